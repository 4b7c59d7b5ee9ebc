"""The curves of a line figure, brought up to date from the rows that are new."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnb.core import AdaptiveAxis, Axis, Group, OpenAxis, Span, Traversal, Variable, format_value
from labnb.live.choice import Choice, Kind, Part, Quantity
from labnb.live.decimate import LIMIT, Floats, Trail
from labnb.live.extent import Extent
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


def part_of(values: NDArray[Any], part: Part) -> Floats:  # a user's array has any dtype
    """Return the part of values that is drawn, as float64 (phase in degrees)."""
    if part is Part.MAGNITUDE:
        return np.abs(values).astype(np.float64)
    if part is Part.PHASE:
        return np.degrees(np.angle(np.asarray(values, np.complex128)))
    return np.asarray(np.real(values), np.float64)


class Slice:
    """Which rows belong to the picture: those at the current setpoint of the axes that it does not show."""

    def __init__(self, group: Group, shown: tuple[object, ...]) -> None:
        self._group = group
        self._sizes = [axis.size or 0 for axis in group.axes]  # 0: open, only ever the first
        self._shown = [k for k, axis in enumerate(group.axes) if axis in shown]
        self._others = [k for k in range(len(group.axes)) if k not in self._shown]
        self._current: tuple[int, ...] | None = None

    def indices(self, places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the index along every axis of the group."""
        found = list[NDArray[np.int64]]()
        rest = places
        for size in reversed(self._sizes):
            rest, index = (rest, rest) if not size else (rest // size, rest % size)
            found.append(index)
        return found[::-1]

    def select(self, indices: list[NDArray[np.int64]]) -> tuple[NDArray[np.bool_] | None, bool]:
        """Return which rows are in the newest slice (None: all of them), and whether another slice has begun."""
        if not self._others or not len(indices[0]):
            return None, False
        newest = tuple(int(indices[k][-1]) for k in self._others)
        begun = newest != self._current
        self._current = newest
        inside = np.ones(len(indices[0]), np.bool_)
        for k, value in zip(self._others, newest, strict=True):
            inside &= indices[k] == value
        return inside, begun

    @property
    def is_part(self) -> bool:
        """Whether the picture shows some setpoints only."""
        return bool(self._others)

    @property
    def text(self) -> str:
        """Return where the slice is, e.g. `field = 0.5 T`; nothing if the picture shows all axes."""
        if self._current is None:
            return ""
        parts = list[str]()
        for k, index in zip(self._others, self._current, strict=True):
            axis = self._group.axes[k]
            value = index * axis.step if isinstance(axis, OpenAxis) else axis.values[index]
            parts.append(f"{axis.name} = {format_value(value)} {axis.unit}".rstrip())
        return ", ".join(parts)


class CurveSet:
    """The curves, axes and slice of a LINES, FAMILY, STRIP or TRACE choice. `advance` takes what is new."""

    def __init__(self, view: LiveView, choice: Choice) -> None:
        self._table = view.table(choice.group)
        self._choice = choice
        self._ordinal = 0
        self._traces: list[object] = [None] * len(choice.ys)
        # A variable over another is a path along the innermost loop.
        along = self._table.group.axes[-1:] if isinstance(choice.x, Variable) else (choice.x,)
        self.slice = Slice(self._table.group, (*along, choice.outer))
        self.curves = _curves(choice)
        for curve in self.curves:
            curve.by_x = _jumps(self._table.group, choice)
        self._has_length = False
        self._coordinates = coordinates(choice.x) if isinstance(choice.x, Axis | Span) else np.empty(0)
        self.x = _x_extent(choice, self._coordinates)
        names = " · ".join(dict.fromkeys(q.name for q in choice.ys))
        self.y = Extent(names, choice.ys[0].unit)

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
        self.y.fit(min(t.low for t in drawn), max(t.high for t in drawn))
        if self._choice.kind is Kind.STRIP:
            self.x.run_ahead(max(t.right for t in drawn))
        elif isinstance(self._choice.x, Variable):
            self.x.fit(min(t.left for t in drawn), max(t.right for t in drawn))

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
    if choice.kind is not Kind.FAMILY or choice.outer is None:
        return [Curve(q.name, None, Trail(LIMIT)) for q in choice.ys]
    outer = choice.outer
    last = max(1, outer.size - 1)
    limit = max(_LEAST_POINTS, LIMIT // outer.size)
    return [
        Curve(f"{format_value(v)} {outer.unit}".rstrip(), k / last, Trail(limit)) for k, v in enumerate(outer.values)
    ]


def _x_extent(choice: Choice, where: Floats) -> Extent:
    x = choice.x
    extent = Extent(x.name if x else "", getattr(x, "unit", ""))
    if len(where):
        extent.fix(float(where.min()), float(where.max()))
    elif isinstance(x, OpenAxis):
        extent.run_ahead(x.step * 10)
    return extent
