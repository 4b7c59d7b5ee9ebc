"""How the setpoints of an axis fall on the pixels of a map."""

import numpy as np
from numpy.typing import NDArray

from labnb.core import Axis, Span
from labnb.live.decimate import Floats

SIDE = 500
"""Cells along one side of a picture at most."""

_RATIO_KEPT = 1e-6


def coordinates(axis: Axis | Span) -> Floats:
    """Return where the setpoints of an axis are drawn: numbers in their place, texts and bools at 0, 1, 2 and so on."""
    if isinstance(axis, Span) or is_ordinal(axis):
        return np.arange(axis.size, dtype=np.float64)
    return np.array(axis.values, np.float64)


def is_ordinal(axis: object) -> bool:
    """Whether the setpoints of an axis are texts or bools, which have no place of their own."""
    return isinstance(axis, Axis) and isinstance(axis.values[0], str | bool)


def tick_texts(axis: object) -> dict[int, str] | None:
    """Return the texts at an ordinal axis; None for numbers."""
    return dict(enumerate(map(str, axis.values))) if isinstance(axis, Axis) and is_ordinal(axis) else None


def can_be_logarithmic(axis: object) -> bool:
    """Whether all setpoints are above zero, so that they have a place on a logarithmic axis."""
    return isinstance(axis, Axis) and not is_ordinal(axis) and axis.size > 1 and bool((coordinates(axis) > 0).all())


def is_logarithmic(axis: object) -> bool:
    """Whether setpoints have even ratios, as `sweep(..., log=True)` makes them, over more than one decade."""
    if not isinstance(axis, Axis) or axis.size < 4 or not can_be_logarithmic(axis):
        return False
    where = np.log(np.sort(coordinates(axis)))
    steps = np.diff(where)
    return bool(where[-1] - where[0] > np.log(10) and np.ptp(steps) < _RATIO_KEPT * steps.mean())


class Raster:
    """How coordinates fall on a row of equal pixels, on a linear or a logarithmic (`log`) axis.

    Cells reach half-way to their neighbours. Evenly spaced setpoints get a pixel each (or share one, beyond `side`);
    others are resampled, so that an uneven or shuffled sweep shows at its true places.
    """

    def __init__(self, where: Floats, side: int = SIDE, *, log: bool = False) -> None:
        size = len(where)
        self.log = log
        drawn = np.log10(where) if log else where
        order = np.argsort(drawn, kind="stable")
        edges = _edges(drawn[order])
        self.low, self.high = (float(10**edge) if log else float(edge) for edge in edges[[0, -1]])
        steps = np.diff(drawn[order])
        even = len(steps) == 0 or bool(steps.min() > 0.99 * steps.max())
        self.cells = min(size, side)
        rank = np.empty(size, np.int64)
        rank[order] = np.arange(size)
        self.cell_of = rank * self.cells // size
        self._edges = edges
        self.centres = np.bincount(self.cell_of, where, self.cells) / np.bincount(self.cell_of, minlength=self.cells)
        if even:
            self.pixels = np.arange(self.cells)
        else:
            middles = edges[0] + (np.arange(side) + 0.5) * (edges[-1] - edges[0]) / side
            ranks = np.searchsorted(edges, middles, side="right") - 1
            self.pixels = np.clip(ranks, 0, size - 1) * self.cells // size

    def cell_at(self, value: float) -> int | None:
        """Return the cell that holds a coordinate; None beside the map."""
        if self.log and value <= 0:
            return None
        place = np.log10(value) if self.log else value
        if not self._edges[0] <= place <= self._edges[-1]:
            return None
        size = len(self._edges) - 1
        rank = min(int(np.searchsorted(self._edges, place, side="right")) - 1, size - 1)
        return rank * self.cells // size


def _edges(where: Floats) -> NDArray[np.float64]:
    if len(where) == 1:
        half = abs(where[0]) * 0.05 or 0.5
        return np.array([where[0] - half, where[0] + half])
    middles = (where[1:] + where[:-1]) / 2
    return np.concatenate(([2 * where[0] - middles[0]], middles, [2 * where[-1] - middles[-1]]))
