"""The curves of a line figure, brought up to date from the rows that are new."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnb.core import AdaptiveAxis, Axis, Group, OpenAxis, Span, Traversal, Variable, format_value
from labnb.live.choice import Choice, Kind, Part, Quantity
from labnb.live.decimate import LIMIT, Floats, Trail
from labnb.live.extent import Extent
from labnb.live.raster import can_be_logarithmic, coordinates
from labnb.live.slicing import Slice
from labnb.live.table import Table
from labnb.live.view import LiveView

_LEAST_POINTS = 200


@dataclass(slots=True)
class Curve:
    """One line. `version` changes when its points do; `tone` is its place (0 … 1) along a family, or None."""

    label: str
    tone: float | None = None
    trail: Trail = field(default_factory=Trail)
    version: int = 0
    by_x: bool = False

    def points(self) -> tuple[Floats, Floats]:
        """Return what is drawn; `by_x` from left to right, if they were not measured in that order."""
        x, y = self.trail.points()
        if not self.by_x:
            return x, y
        order = np.argsort(x, kind="stable")
        return x[order], y[order]


def part_of(values: NDArray[Any], part: Part) -> Floats:  # a user's array has any dtype
    """Return the part of values that is drawn, as float64 (phase in degrees)."""
    if part is Part.MAGNITUDE:
        return np.abs(values).astype(np.float64)
    if part is Part.PHASE:
        return np.degrees(np.angle(np.asarray(values, np.complex128)))
    if part is Part.IMAGINARY:
        return np.asarray(np.imag(values), np.float64)
    return np.asarray(np.real(values), np.float64)


class CurveSet:
    """The curves, axes and slice of a LINES, FAMILY, STRIP or TRACE choice. `advance` takes what is new."""

    def __init__(self, view: LiveView, choice: Choice) -> None:
        self._table = view.table(choice.group)
        self._choice = choice
        self._ordinal = 0
        self._traces: list[object] = [None] * len(choice.ys)
        # A variable over another is a path along the innermost loop.
        along = self._table.group.axes[-1:] if isinstance(choice.x, Variable) else (choice.x,)
        self.slice = Slice(self._table.group, (*along, choice.outer), choice.held)
        self.curves = _curves(choice)
        for curve in self.curves:
            curve.by_x = _jumps(self._table.group, choice)
        self._has_length = False
        self._coordinates = coordinates(choice.x) if isinstance(choice.x, Axis | Span) else np.empty(0)
        self.x = _x_extent(choice, self._coordinates)
        names = " · ".join(dict.fromkeys(q.name for q in choice.ys))
        self.y = Extent(names, choice.ys[0].unit, log=choice.log_y)

    def advance(self) -> bool:
        """Take the new rows; return whether anything changed."""
        changed = self._advance_trace() if self._choice.kind is Kind.TRACE else self._advance_rows()
        if changed:
            self._fit()
        return changed

    def _advance_trace(self) -> bool:
        changed = False
        for k, (quantity, curve) in enumerate(zip(self._choice.ys, self.curves, strict=True)):
            trace = self._table.trace(quantity.variable.name)
            if trace is None or trace is self._traces[k]:
                continue
            self._traces[k], changed = trace, True
            y = part_of(_last_line(trace), quantity.part)
            curve.trail.clear()
            curve.trail.extend(self._along(len(y)), y)
            curve.version += 1
        if changed:
            self.slice.select(self.slice.indices(self._table.places[-1:]))
        return changed

    def _along(self, count: int) -> Floats:
        """Return where the samples of a trace are drawn; one whose length changes has the axis of its longest."""
        if isinstance(self._choice.x, Span) and self._choice.x.ragged:
            if count > len(self._coordinates) or not self._has_length:
                self._coordinates, self._has_length = np.arange(max(1, count), dtype=np.float64), True
                self.x.fix(0.0, float(len(self._coordinates) - 1))
            return self._coordinates[:count]
        return self._coordinates

    def _advance_rows(self) -> bool:
        rows = self._table.since(self._ordinal)
        if rows.start >= rows.stop:
            return False
        self._ordinal = self._table.total
        indices = self.slice.indices(self._table.places[rows])
        inside, begun = self.slice.select(indices)
        if begun or rows.start == 0:
            for curve in self.curves:
                curve.trail.clear()
                curve.version += 1
        where = self._where(rows, indices)
        if self._choice.kind is Kind.FAMILY:
            self._extend_family(rows, indices, where, inside)
        else:
            for quantity, curve in zip(self._choice.ys, self.curves, strict=True):
                self._extend(curve, where, _column(self._table, quantity, rows), inside)
        return True

    def _where(self, rows: slice, indices: list[NDArray[np.int64]]) -> Floats:
        x = self._choice.x
        if isinstance(x, Variable):
            return part_of(self._table.column(x.name)[rows], Part.VALUE)
        index = indices[next(k for k, axis in enumerate(self._table.group.axes) if axis == x)]
        return index * np.float64(x.step) if isinstance(x, OpenAxis) else self._coordinates[index]

    def _extend_family(
        self, rows: slice, indices: list[NDArray[np.int64]], where: Floats, inside: NDArray[np.bool_] | None
    ) -> None:
        outer = next(k for k, axis in enumerate(self._table.group.axes) if axis == self._choice.outer)
        y = _column(self._table, self._choice.ys[0], rows)
        for index in np.unique(indices[outer]):
            mine = indices[outer] == index
            self._extend(self.curves[int(index)], where, y, mine if inside is None else mine & inside)

    @staticmethod
    def _extend(curve: Curve, x: Floats, y: Floats, rows: NDArray[np.bool_] | None) -> None:
        if rows is not None:
            x, y = x[rows], y[rows]
        curve.version += curve.trail.extend(x, y)

    def _fit(self) -> None:
        drawn = [curve.trail for curve in self.curves if curve.trail.count]
        if not drawn:
            return
        self.y.fit(min(t.above_zero if self.y.log else t.low for t in drawn), max(t.high for t in drawn))
        if self._choice.kind is Kind.STRIP:
            self.x.run_ahead(max(t.right for t in drawn))
        elif isinstance(self._choice.x, Variable):
            self.x.fit(min(t.left for t in drawn), max(t.right for t in drawn))

    def drawn(self, curve: Curve) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the points of a curve in the units of the ticks; a logarithmic axis has none at zero and below."""
        x, y = curve.points()
        if self.x.log or self.y.log:
            good = np.ones(len(x), np.bool_)
            for axis, values in ((self.x, x), (self.y, y)):
                good &= (values > 0) | (not axis.log)
            x, y = x[good], y[good]
        return self.x.drawn(x), self.y.drawn(y)

    @property
    def has_markers(self) -> bool:
        """Whether every point is marked: where the plan has so few that they are told apart."""
        x = self._choice.x
        return isinstance(x, Axis) and x.size <= 60


def _last_line(trace: NDArray[Any]) -> NDArray[Any]:
    return trace.reshape(-1, trace.shape[-1])[-1] if trace.size else np.empty(0)


def _jumps(group: Group, choice: Choice) -> bool:
    """Whether the points come in an order in which a line through them would go to and fro."""
    innermost = group.axes[-1] if group.axes else None
    shuffled = isinstance(choice.x, Axis) and choice.x.visit.traversal is Traversal.SHUFFLED
    return shuffled or (isinstance(innermost, AdaptiveAxis) and isinstance(choice.x, Variable))


def _column(table: Table, quantity: Quantity, rows: slice) -> Floats:
    return part_of(table.column(quantity.variable.name)[rows], quantity.part)


def _curves(choice: Choice) -> list[Curve]:
    if choice.kind is not Kind.FAMILY or not isinstance(choice.outer, Axis):
        return [Curve(q.name, None, Trail(LIMIT)) for q in choice.ys]
    outer = choice.outer
    last = max(1, outer.size - 1)
    limit = max(_LEAST_POINTS, LIMIT // outer.size)
    return [
        Curve(f"{format_value(v)} {outer.unit}".rstrip(), k / last, Trail(limit)) for k, v in enumerate(outer.values)
    ]


def _x_extent(choice: Choice, where: Floats) -> Extent:
    x = choice.x
    extent = Extent(x.name if x else "", getattr(x, "unit", ""), log=choice.log_x and can_be_logarithmic(x))
    if len(where):
        extent.fix(float(where.min()), float(where.max()))
    elif isinstance(x, OpenAxis):
        extent.run_ahead(x.step * 10)
    return extent
