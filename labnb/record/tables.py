"""Turns measured arrays into tidy tables: a row for each point, a column for each axis, variable and time.

Variables of the same loops share a table, and what was recorded once per outer place is repeated in it. Arrays (a
trace at each point) have tables of their own, with a row for each of their samples. Where nothing was measured there is
no row; an outer value whose inner loop has no point yet keeps one.
"""

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labnb.core import PlanError
from labnb.record.whole import EXACT

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Dims = tuple[str, ...]
FALSE_TRUE = "false true"


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One column. `missing` says where bools and whole numbers have no value, None if they have one everywhere."""

    name: str
    unit: str
    values: NDArray[Any]
    missing: NDArray[np.bool_] | None = None

    def parts(self) -> "tuple[Column, ...]":
        """Return a complex column as `name.real` and `name.imag`, others as they are."""
        if self.values.dtype.kind != "c":
            return (self,)
        return tuple(Column(f"{self.name}.{part}", self.unit, getattr(self.values, part)) for part in ("real", "imag"))


def table(data: "xr.Dataset", names: Iterable[str] = ()) -> list[Column]:
    """Return the columns of one tidy table of these variables, or of the only table that there is.

    Raises PlanError for a name that is not there, or if there are several tables to choose from.
    """
    wanted = tuple(names)
    if wanted:
        _check(data, wanted)
        return _columns(data, _union(data[name].dims for name in wanted), wanted)
    found = tables(data)
    if len(found) != 1:
        choice = ", ".join(f"{key!r} ({', '.join(_own(columns, data))})" for key, columns in found.items())
        raise PlanError(f"the data make {len(found)} tables: {choice}; say which variables, e.g. to_dataframe('name')")
    return next(iter(found.values()))


def tables(data: "xr.Dataset") -> dict[str, list[Column]]:
    """Return the columns of every tidy table, by its dimensions joined by "_" (`once` without any), largest loops first."""
    loops = {dim for time in times(data) for dim in _dims(data[time])} or set(map(str, data.dims))
    groups: dict[Dims, list[str]] = {}
    for name, values in data.data_vars.items():
        groups.setdefault(_dims(values), []).append(str(name))
    plain = {dims: names for dims, names in groups.items() if loops >= set(dims)}
    widest = [dims for dims in plain if not any(set(dims) < set(other) for other in plain)]
    found: dict[str, list[Column]] = {}
    for dims in sorted(widest, key=len, reverse=True):
        names = [n for group, names in plain.items() if set(group) <= set(dims) for n in names]
        found["_".join(dims) or "once"] = _columns(data, dims, names)
    for dims, names in groups.items():
        if dims not in plain:
            found["_".join(dims)] = _columns(data, dims, names)
    return found


def to_pandas(columns: Iterable[Column]) -> "pd.DataFrame":
    """Return columns as a pandas table, with their units in `.attrs["units"]`."""
    import pandas as pd

    columns = list(columns)
    frame = pd.DataFrame({column.name: _for_pandas(column) for column in columns})
    frame.attrs["units"] = {column.name: column.unit for column in columns if column.unit}
    return frame


def to_polars(columns: Iterable[Column]) -> Any:  # polars is optional, so its types cannot be named
    """Return columns as a polars table; complex ones in two. Raises RecordError without polars."""
    from labnb.record.packages import need

    polars: Any = need("polars", "a polars table", "polars")
    return polars.DataFrame({part.name: _for_polars(part) for column in columns for part in column.parts()})


def times(data: "xr.Dataset") -> list[str]:
    """Return the names of the times of the points, those of the innermost loops first."""
    found = [n for n, c in data.coords.items() if c.attrs.get("standard_name") == "time" and c.dtype.kind == "M"]
    return sorted(map(str, found), key=lambda name: -data[name].ndim)


def _check(data: "xr.Dataset", names: Iterable[str]) -> None:
    for name in names:
        if name not in data.variables:
            raise PlanError(f"there is no variable {name!r}; there are: {', '.join(map(str, data.variables))}")


def _own(columns: Iterable[Column], data: "xr.Dataset") -> list[str]:
    return [column.name for column in columns if column.name in data.data_vars]


def _dims(values: "xr.DataArray") -> Dims:
    return tuple(map(str, values.dims))


def _union(several: Iterable[Iterable[object]]) -> Dims:
    return tuple(dict.fromkeys(str(dim) for dims in several for dim in dims))


def _columns(data: "xr.Dataset", dims: Dims, names: Iterable[str]) -> list[Column]:
    names = list(names)
    rows = _measured(data, dims, names)
    coordinates = [str(n) for n, c in data.coords.items() if n not in dims and set(c.dims) <= set(dims)]
    clocks = set(times(data))
    order = [*dims, *(n for n in coordinates if n not in clocks), *dict.fromkeys(names)]
    order += [n for n in coordinates if n in clocks]
    return [_column(data, name, dims, rows) for name in dict.fromkeys(order)]


def _measured(data: "xr.Dataset", dims: Dims, names: Iterable[str]) -> NDArray[np.bool_]:
    """Return which places of `dims` get a row."""
    clocks = [data[clock] for clock in times(data) if clock in _clocks_of(data, names)]
    kept = np.zeros(tuple(data.sizes[dim] for dim in dims), bool)
    if not clocks:
        return ~kept.reshape(-1)
    for clock in clocks:  # the innermost loops' first
        measured = np.broadcast_to(_spread(clock.notnull(), dims), kept.shape)
        inner = tuple(k for k, dim in enumerate(dims) if dim not in clock.dims)
        if set(clock.dims) >= set(clocks[0].dims):
            kept |= measured
            continue
        first = np.zeros_like(kept)
        first[tuple(slice(0, 1) if k in inner else slice(None) for k in range(len(dims)))] = True
        kept |= measured & first & ~kept.any(axis=inner, keepdims=True)
    return kept.reshape(-1)


def _clocks_of(data: "xr.Dataset", names: Iterable[str]) -> set[str]:
    """Return the times of the points that these variables belong to: those over as many of their loops as there are."""
    clocks = times(data)
    found: set[str] = set()
    for name in names:
        own = [clock for clock in clocks if set(data[clock].dims) <= set(data[name].dims)]
        found |= {clock for clock in own if data[clock].ndim == data[own[0]].ndim}
    return found


def _spread(values: "xr.DataArray", dims: Dims) -> NDArray[Any]:
    """Return an array with an axis for each of `dims`, of length 1 where the values do not depend on it."""
    present = [dim for dim in dims if dim in values.dims]
    array = values.transpose(*present).values
    return array.reshape([values.sizes.get(dim, 1) for dim in dims])


def _column(data: "xr.Dataset", name: str, dims: Dims, rows: NDArray[np.bool_]) -> Column:
    values = data[name]  # of a dimension without values: its places
    shape = tuple(data.sizes[dim] for dim in dims)
    array = np.broadcast_to(_spread(values, dims), shape).reshape(-1)[rows]
    return _restored(name, array, values.attrs, values.encoding)


def _restored(name: str, array: NDArray[Any], attrs: Mapping[str, Any], encoding: Mapping[str, Any]) -> Column:
    """Return a column of the type that was recorded: not measured turns bools and whole numbers into floats."""
    unit = str(attrs.get("units", ""))
    stored = (
        np.dtype(bool) if attrs.get("flag_meanings") == FALSE_TRUE else np.dtype(encoding.get("dtype", array.dtype))
    )
    if array.dtype.kind not in "iuf" or stored.kind not in "biu":
        return Column(name, unit, array)
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    filled = np.where(missing, 0, array)
    whole = filled.astype(stored)
    if stored.kind in "iu" and not (whole == filled).all():  # somebody has computed with them
        return Column(name, unit, array)
    if array.dtype.kind == "f" and (abs(filled) >= EXACT).any():
        text = (
            f"{name} has whole numbers of 2**53 and more, which xarray has rounded; read them by mask_and_scale=False"
        )
        warnings.warn(text, stacklevel=2)
    return Column(name, unit, whole, missing if missing.any() else None)


def _for_pandas(column: Column) -> Any:  # pandas' own arrays
    import pandas as pd

    if column.missing is None:
        return column.values
    if column.values.dtype.kind == "b":
        return pd.arrays.BooleanArray(column.values, column.missing)
    return pd.arrays.IntegerArray(column.values, column.missing)


def _for_polars(column: Column) -> object:
    if column.missing is not None:
        return [None if gone else value for value, gone in zip(column.values.tolist(), column.missing, strict=True)]
    return column.values.tolist() if column.values.dtype.kind in "OTU" else column.values
