"""The rows of one group as numpy columns: where they are in the grid, and what was measured there."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Flag
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from labnb.core import ABSENT, Group, Variable
from labnb.live.raster import Raster, coordinates

KEEP_ROWS = 1 << 22
"""Rows that are kept in memory; beyond, older ones are thinned. Everything is on disk; this is for the eye."""

_BLOCK = 8  # of so many older rows two survive

_KEEP_TRACES = 1024
_AT_ONCE = 64  # traces of one drain that are kept for a waterfall, evenly chosen

_T = TypeVar("_T", bound=np.generic)
Numbers = NDArray[np.float64 | np.complex128]
_Kept = np.dtype[np.float64 | np.complex128]


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One array of many: where it was measured, and what of it a screen can show."""

    ordinal: int
    place: int
    values: Numbers


class Table:
    """Rows in the order in which they were measured. Columns only ever grow at their end, but for thinning.

    Rows have an ordinal, which counts from the first row ever and survives thinning; `since` turns it into a place.
    """

    def __init__(self, group: Group, keep: int = KEEP_ROWS) -> None:
        self.group = group
        self.total = 0
        self._keep = keep
        self._rows = 0
        self._thinned = 0  # rows at the beginning whose ordinals are lost
        self._places = np.empty(256, np.int64)
        self._columns = {v.name: np.empty(256, _kept_as(v)) for v in group.variables if not v.dims}
        self._index = {v.name: k for k, v in enumerate(group.variables)}
        self._traces: dict[str, NDArray[np.generic]] = {}
        self._latest: dict[str, object] = {}
        self._binning = {v.name: _cells(v) for v in group.variables if v.dims and not v.ragged}
        self._trace_rows: dict[str, list[TraceRow]] = {name: [] for name in self._binning}

    def __len__(self) -> int:
        return self._rows

    @property
    def places(self) -> NDArray[np.int64]:
        """C-order indices in the group's grid, one a row."""
        return self._places[: self._rows]

    def column(self, name: str) -> Numbers:
        """Return a scalar variable, one value a row; NaN where it was not recorded."""
        return self._columns[name][: self._rows]

    def trace(self, name: str) -> NDArray[np.generic] | None:
        """Return the newest array of an array variable; None before the first."""
        return self._traces.get(name)

    def traces_since(self, name: str, ordinal: int) -> list[TraceRow]:
        """Return the arrays of a variable from row `ordinal` on, oldest first, binned along their last dimension."""
        rows = self._trace_rows[name]
        first = next((k for k, row in enumerate(rows) if row.ordinal >= ordinal), len(rows))
        return rows[first:]

    def latest(self, name: str) -> object:
        """Return the newest recorded value of a variable as it came; None before the first."""
        return self._latest.get(name)

    def since(self, ordinal: int) -> slice:
        """Return the rows from `ordinal` on; all rows if that one was thinned away."""
        place = ordinal - (self.total - self._rows)
        return slice(0 if place < self._thinned else place, self._rows)

    def amend(self, group: Group) -> None:
        """Take note of what is known by now of variables that had no value when the group was declared."""
        if group is self.group:
            return
        self.group = group
        for variable in group.variables:
            if variable.dims:
                self._columns.pop(variable.name, None)
                if not variable.ragged:
                    self._binning[variable.name] = _cells(variable)
                    self._trace_rows.setdefault(variable.name, [])
            elif self._columns[variable.name].dtype != _kept_as(variable):
                self._columns[variable.name] = self._columns[variable.name].astype(_kept_as(variable))

    def append(self, places: list[int], values: list[tuple[object, ...]]) -> None:
        """Add rows: where they are, and for each one value per variable."""
        count = len(places)
        if self._rows + count > self._keep:
            self._thin()
        self._reserve(self._rows + count)
        rows = slice(self._rows, self._rows + count)
        self._places[rows] = places
        for name, column in self._columns.items():
            index = self._index[name]
            column[rows] = _numbers([row[index] for row in values], column.dtype)
        for name, index in self._index.items():
            self._note(name, next((row[index] for row in reversed(values) if row[index] is not ABSENT), None))
        self._keep_traces(places, values)
        self._rows += count
        self.total += count

    def fill(self, places: NDArray[np.int64], columns: Mapping[str, NDArray[Any]]) -> None:  # stored data of any type
        """Take rows of a run that ended, in the order in which they were measured, all at once.

        `columns` has a value per row, of arrays one array per row. What is beyond the room is left out, the oldest.
        """
        kept = slice(max(0, len(places) - self._keep), None)
        self._places = places[kept]
        self._rows = self.total = len(self._places)
        for name, column in self._columns.items():
            values = columns.get(name)
            self._columns[name] = np.full(self._rows, np.nan, column.dtype) if values is None else values[kept]
        for name, cells in self._binning.items():
            if (arrays := columns.get(name)) is None or not self._rows:
                continue
            arrays = arrays[kept]
            self._traces[name] = np.array(arrays[-1])
            chosen = np.unique(np.linspace(0, self._rows - 1, min(self._rows, _KEEP_TRACES)).astype(int)).tolist()
            self._trace_rows[name] = [TraceRow(k, int(self._places[k]), _binned(arrays[k], cells)) for k in chosen]

    def _keep_traces(self, places: list[int], values: list[tuple[object, ...]]) -> None:
        if not self._binning:
            return
        chosen = sorted({*np.linspace(0, len(places) - 1, min(len(places), _AT_ONCE)).astype(int).tolist()})
        for name, cells in self._binning.items():
            rows, index = self._trace_rows[name], self._index[name]
            for k in chosen:
                if values[k][index] is not ABSENT:
                    rows.append(TraceRow(self.total + k, places[k], _binned(np.asarray(values[k][index]), cells)))
            while len(rows) > _KEEP_TRACES:
                rows[: _KEEP_TRACES // 2] = rows[: _KEEP_TRACES // 2 : 2]

    def _note(self, name: str, newest: object) -> None:
        if newest is None:
            return
        self._latest[name] = newest
        if name not in self._columns:
            self._traces[name] = np.array(newest)

    def _reserve(self, rows: int) -> None:
        size = len(self._places)
        if rows <= size:
            return
        while size < rows:
            size *= 2
        self._places = _grown(self._places, self._rows, size)
        self._columns = {name: _grown(column, self._rows, size) for name, column in self._columns.items()}

    def _thin(self) -> None:
        """Of eight rows in the older three quarters keep two: where the first variable was lowest and highest."""
        older = self._rows * 3 // 4 // _BLOCK * _BLOCK
        kept = np.concatenate((self._telling(older), np.arange(older, self._rows)))
        self._places = self._places[kept]
        self._columns = {name: column[kept] for name, column in self._columns.items()}
        self._thinned = len(kept) - (self._rows - older)
        self._rows = len(kept)

    def _telling(self, rows: int) -> NDArray[np.int64]:
        starts = np.arange(0, rows, _BLOCK)
        if not self._columns:
            return starts
        first = next(iter(self._columns.values()))[:rows]
        blocks = (np.abs(first) if first.dtype.kind == "c" else first).reshape(-1, _BLOCK)
        lowest = np.where(np.isnan(blocks), np.inf, blocks).argmin(axis=1)
        highest = np.where(np.isnan(blocks), -np.inf, blocks).argmax(axis=1)
        return np.unique(np.concatenate((starts + lowest, starts + highest)))


def _kept_as(variable: Variable) -> _Kept:
    return np.dtype(np.complex128 if variable.dtype[1] == "c" else np.float64)


def _grown(column: NDArray[_T], rows: int, size: int) -> NDArray[_T]:
    grown = np.empty(size, column.dtype)
    grown[:rows] = column[:rows]
    return grown


def _numbers(values: list[object], dtype: _Kept) -> Numbers:
    try:
        return np.array(values, dtype)
    except (TypeError, ValueError):  # something is ABSENT, or no number
        numbers = np.array([_number(v) for v in values], np.complex128)
        return numbers if dtype.kind == "c" else numbers.real


def _number(value: object) -> complex:
    """Return one value as a number; NaN for ABSENT and for what is none: a view must not stop a measurement."""
    if value is ABSENT:
        return complex(np.nan)
    try:
        return complex(np.asarray(value.value if isinstance(value, Flag) else value).item())
    except (TypeError, ValueError):
        return complex(np.nan)


def _cells(variable: Variable) -> NDArray[np.int64]:
    return Raster(coordinates(variable.dims[-1])).cell_of


def _binned(array: NDArray[np.generic], cells: NDArray[np.int64]) -> Numbers:
    """Return the means of the last row of an array in `cells`, from left to right."""
    row = array.reshape(-1, len(cells))[-1]
    sizes = np.bincount(cells)
    real = np.bincount(cells, np.asarray(np.real(row), np.float64)) / sizes
    return real + 1j * (np.bincount(cells, np.imag(row)) / sizes) if row.dtype.kind == "c" else real
