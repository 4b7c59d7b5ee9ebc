"""The cells of a map, binned to what a screen shows, and the colour limits that go with them."""

import numpy as np
from numpy.typing import NDArray

from labnb.core import Axis
from labnb.live.choice import Choice
from labnb.live.curves import Slice, coordinates, part_of
from labnb.live.decimate import Floats
from labnb.live.extent import Extent
from labnb.live.si import OVERLOAD, Scaling, scaling
from labnb.live.view import LiveView

SIDE = 500
"""Cells along one side of a picture at most."""

_SAMPLE = 20_000
_MOVE = 0.02  # of the colour range: smaller changes of its ends do not recolour the map


class Raster:
    """How the setpoints of an axis fall on a row of equal pixels.

    Cells reach half-way to their neighbours. Evenly spaced setpoints get a pixel each (or share one, beyond `SIDE`);
    others are resampled, so that a logarithmic or shuffled sweep shows at its true places.
    """

    def __init__(self, axis: Axis, side: int = SIDE) -> None:
        where = coordinates(axis)
        order = np.argsort(where, kind="stable")
        sorted_where = where[order]
        edges = _edges(sorted_where)
        self.low, self.high = float(edges[0]), float(edges[-1])
        steps = np.diff(sorted_where)
        even = len(steps) == 0 or bool(steps.min() > 0.99 * steps.max())
        self.cells = min(axis.size, side)
        rank = np.empty(axis.size, np.int64)
        rank[order] = np.arange(axis.size)
        self.cell_of = rank * self.cells // axis.size
        if even:
            self.pixels = np.arange(self.cells)
        else:
            middles = self.low + (np.arange(side) + 0.5) * (self.high - self.low) / side
            ranks = np.searchsorted(edges, middles, side="right") - 1
            self.pixels = np.clip(ranks, 0, axis.size - 1) * self.cells // axis.size


def _edges(where: Floats) -> Floats:
    if len(where) == 1:
        half = abs(where[0]) * 0.05 or 0.5
        return np.array([where[0] - half, where[0] + half])
    middles = (where[1:] + where[:-1]) / 2
    return np.concatenate(([2 * where[0] - middles[0]], middles, [2 * where[-1] - middles[-1]]))


class Grid:
    """The map of one quantity over two axes at the current setpoint of the others. `advance` takes what is new."""

    def __init__(self, view: LiveView, choice: Choice) -> None:
        if not isinstance(choice.x, Axis) or choice.outer is None:
            raise TypeError("a map needs two axes with setpoints")
        self._table = view.table(choice.group)
        self._quantity = choice.ys[0]
        axes = self._table.group.axes
        self._x_place, self._y_place = axes.index(choice.x), axes.index(choice.outer)
        self.slice = Slice(self._table.group, (choice.x, choice.outer))
        self.across, self.up = Raster(choice.x), Raster(choice.outer)
        self.x, self.y = Extent(choice.x.name, choice.x.unit), Extent(choice.outer.name, choice.outer.unit)
        self.x.show(self.across.low, self.across.high)
        self.y.show(self.up.low, self.up.high)
        self._sum = np.zeros((self.up.cells, self.across.cells))
        self._count = np.zeros(self._sum.shape, np.int64)
        self._ordinal = 0
        self.colours = ColourRange(self._quantity.unit)

    @property
    def label(self) -> str:
        """Return what the colour says: `current (mA)`."""
        return self.colours.scaling.label(self._quantity.name)

    def advance(self) -> bool:
        """Take the new rows; return whether anything changed."""
        rows = self._table.since(self._ordinal)
        if rows.start >= rows.stop:
            return False
        self._ordinal = self._table.total
        indices = self.slice.indices(self._table.places[rows])
        inside, begun = self.slice.select(indices)
        if begun or rows.start == 0:
            self._sum[:], self._count[:] = 0, 0
        values = part_of(self._table.column(self._quantity.variable.name)[rows], self._quantity.part)
        good = np.abs(values) < OVERLOAD
        if inside is not None:
            good &= inside
        cells = (self.up.cell_of[indices[self._y_place][good]], self.across.cell_of[indices[self._x_place][good]])
        np.add.at(self._sum, cells, values[good])
        np.add.at(self._count, cells, 1)
        self.colours.fit(self.cells())
        return True

    def cells(self) -> Floats:
        """Return the mean of every cell, lowest row first; NaN where nothing was measured."""
        with np.errstate(invalid="ignore"):
            return self._sum / self._count

    def picture(self) -> NDArray[np.uint8]:
        """Return the colour index of every pixel, top row first; 255 is transparent."""
        shades = self.colours.shades(self.cells())
        return shades[self.up.pixels][:, self.across.pixels][::-1]


class ColourRange:
    """Which value has which colour: robust against outliers, symmetric around zero for signed data, and calm."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self.low, self.high = 0.0, 1.0
        self.signed = False
        self.known = False
        self.scaling = Scaling(unit=unit)

    def fit(self, values: Floats) -> None:
        """Follow the data; small movements are ignored, so that the map does not flicker."""
        found = values[np.isfinite(values)]
        if not len(found):
            return
        low, high = _robust(found[:: max(1, len(found) // _SAMPLE)])
        small, large = sorted((abs(low), abs(high)))
        self.signed = low < 0 < high and small > 0.1 * large
        if self.signed:
            low, high = -large, large
        calm = _MOVE * (self.high - self.low)
        if self.known and abs(low - self.low) < calm and abs(high - self.high) < calm:
            return
        self.low, self.high = low, high
        self.scaling = scaling(low, high, self._unit, self.scaling if self.known else None)
        self.known = True

    def shades(self, values: Floats) -> NDArray[np.uint8]:
        """Return colour indices 0 … 254; 255 for NaN."""
        span = self.high - self.low or 1.0
        with np.errstate(invalid="ignore"):
            shade = np.clip((values - self.low) * (254 / span) + 0.5, 0, 254)
        return np.where(np.isnan(shade), 255, shade).astype(np.uint8)


def _robust(values: Floats) -> tuple[float, float]:
    """Return the whole range, or that of the inner 98 % if a few outliers would take more than half of the colours."""
    low, high = float(values.min()), float(values.max())
    if len(values) < 50:
        return low, high
    inner_low, inner_high = (float(v) for v in np.percentile(values, (1, 99)))
    return (inner_low, inner_high) if 0 < inner_high - inner_low < 0.5 * (high - low) else (low, high)
