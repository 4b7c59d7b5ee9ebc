"""Cuts a piece out of measured data by the values of its axes, whatever order they were swept in."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from labnb.core import PlanError

if TYPE_CHECKING:
    import xarray as xr


def cut(data: "xr.Dataset", wanted: dict[str, object]) -> "xr.Dataset":
    """Return the part of `data` where each named axis has the value wanted, see `ds.labnb.slice`. Raises PlanError."""
    for name, value in wanted.items():
        axis = _axis(data, name)
        places = _places(axis, value)
        data = data.isel({axis.dims[0]: places})
    return data


def _axis(data: "xr.Dataset", name: str) -> "xr.DataArray":
    if name not in data.coords and name not in data.dims:
        kind = "a variable, not an axis" if name in data else "not there"
        axes = [str(n) for n, c in data.coords.items() if c.ndim == 1] + [
            str(d) for d in data.dims if d not in data.coords
        ]
        raise PlanError(f"{name!r} is {kind}; expected one of: {', '.join(axes) or 'nothing is left to slice'}")
    axis = data[name]
    if axis.ndim != 1:
        why = "has one value left" if axis.ndim == 0 else f"runs over {', '.join(map(str, axis.dims))}"
        raise PlanError(f"{name!r} cannot be sliced: it {why}")
    return axis


def _places(axis: "xr.DataArray", value: object) -> Any:  # an int, or an array of them
    """Return where an axis has the value: a number if that is one place, else all of them."""
    if isinstance(value, slice):
        if value.step is not None:
            raise PlanError(f"{axis.name}: a slice with a step; expected (from, to)")
        value = (value.start, value.stop)
    if isinstance(value, tuple):
        return _between(axis, cast("tuple[object, ...]", value))
    if isinstance(value, list | np.ndarray):
        each = [np.atleast_1d(_at(axis, one)) for one in cast("Sequence[object]", value)]
        return np.concatenate(each) if each else np.empty(0, int)
    found = _at(axis, value)
    return int(found[0]) if len(found) == 1 else found


def _between(axis: "xr.DataArray", ends: tuple[object, ...]) -> NDArray[np.intp]:
    if len(ends) != 2:
        raise PlanError(f"{axis.name}={ends}: expected (from, to), both included; None for no limit")
    values, inside = axis.values, np.ones(axis.size, bool)
    low, high = (None if end is None else _number(axis, end) for end in ends)
    slack = 1e-9 * _span(values)
    if low is not None:
        inside &= values >= low - slack
    if high is not None:
        inside &= values <= high + slack
    if not inside.any():
        raise PlanError(f"{axis.name}={ends}: nothing was swept there; {_range(axis)}")
    return np.flatnonzero(inside)


def _at(axis: "xr.DataArray", value: object) -> NDArray[np.intp]:
    values = axis.values
    if values.dtype.kind not in "iuf":  # texts and bools
        found = np.flatnonzero(values == value)
        if not len(found):
            raise PlanError(f"{axis.name}={value!r} is not there; there are: {', '.join(map(str, values[:20]))}")
        return found
    number = _number(axis, value)
    distance = abs(values - number)
    nearest = np.nanmin(distance) if np.isfinite(distance).any() else np.inf
    if not nearest <= _reach(values):
        raise PlanError(f"{axis.name}={value}: nothing was swept near it; {_range(axis)}")
    return np.flatnonzero(distance <= nearest * (1 + 1e-9))


def _number(axis: "xr.DataArray", value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or axis.dtype.kind not in "iuf":
        raise PlanError(f"{axis.name}={value!r}: expected a number, as {_range(axis)}")
    return float(value)


def _reach(values: NDArray[Any]) -> float:
    """Return how far from the nearest value of an axis one may be: half of its widest step."""
    steps = np.diff(np.unique(values[np.isfinite(values)]))
    return float(steps.max()) / 2 * (1 + 1e-9) if len(steps) else 1e-6 * max(1e-300, float(np.nanmax(abs(values))))


def _span(values: NDArray[Any]) -> float:
    return float(np.nanmax(values) - np.nanmin(values)) if len(values) else 0.0


def _range(axis: "xr.DataArray") -> str:
    unit = axis.attrs.get("units", "")
    values = axis.values
    if axis.dtype.kind not in "iuf":
        return f"the axis has {', '.join(map(str, values[:20]))}"
    return (
        f"the axis goes from {np.nanmin(values):g} to {np.nanmax(values):g} {unit}".rstrip()
        if len(values)
        else "the axis is empty"
    )
