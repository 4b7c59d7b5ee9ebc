"""Draws measured data with what a figure in a lab book needs: names, units, and which value was held."""

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from labnb.core import PlanError
from labnb.record.tables import times

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

_LINES = 8  # up to as many rows, a map is easier to read as lines
_PARTS = {
    "abs": ("|{}|", np.abs),
    "phase": ("arg {}", np.angle),
    "real": ("Re {}", np.real),
    "imag": ("Im {}", np.imag),
}


def label(values: "xr.DataArray") -> str:
    """Return what to write on an axis: `long name (unit)`."""
    name = str(values.attrs.get("long_name") or values.name)
    unit = str(values.attrs.get("units") or "")
    return f"{name} ({unit})" if unit and unit != "1" else name


def draw(
    data: "xr.Dataset", name: str | None, *, x: str | None, hue: str | None, part: str | None, options: dict[str, Any]
) -> "Axes":
    """Draw one variable: a curve, curves, or a map; see `ds.labnb.plot`. Raises PlanError."""
    values = _part(_chosen(data, name), part)
    values = values.squeeze()
    if values.ndim not in (1, 2):
        raise PlanError(
            f"{values.name!r} runs over {', '.join(map(str, values.dims)) or 'nothing'}; one or two axes can be drawn: "
            "choose a part by .labnb.slice(axis=value)"
        )
    for axis, role in ((x, "x"), (hue, "hue")):
        if axis is not None and axis not in values.coords and axis not in values.dims:
            known = dict.fromkeys([*map(str, values.dims), *map(str, values.coords)])
            raise PlanError(f"{role}={axis!r} is no axis of {values.name!r}; expected one of: {', '.join(known)}")
    axes = _draw_curves(values, x, hue, options) if _as_curves(values, hue) else _draw_map(values, x, options)
    axes.set_title(_held(values, set(times(data))))
    return axes


def _chosen(data: "xr.Dataset", name: str | None) -> "xr.DataArray":
    if name is not None:
        if name not in data.variables:
            raise PlanError(f"there is no variable {name!r}; there are: {', '.join(map(str, data.data_vars))}")
        return data[name]
    loops = {dim for time in times(data) for dim in data[time].dims} or set(data.dims)
    plain = [values for values in data.data_vars.values() if set(values.dims) <= loops]
    if not plain:
        raise PlanError(f"which variable? expected one of: {', '.join(map(str, data.data_vars)) or 'none is there'}")
    deepest = max(values.squeeze().ndim for values in plain)
    return next(values for values in plain if values.squeeze().ndim == deepest)


def _part(values: "xr.DataArray", part: str | None) -> "xr.DataArray":
    if part is not None and part not in _PARTS:
        raise PlanError(f"part={part!r}: expected one of {', '.join(_PARTS)}")
    if values.dtype.kind != "c":
        if part is not None:
            raise PlanError(f"part={part!r}, but {values.name!r} is not complex")
        return values
    text, function = _PARTS[part or "abs"]
    shown = values.copy(data=function(values.values))
    shown.attrs = {**values.attrs, "long_name": text.format(values.attrs.get("long_name") or values.name)}
    if part == "phase":
        shown.attrs["units"] = "rad"
    return shown


def _as_curves(values: "xr.DataArray", hue: str | None) -> bool:
    return values.ndim == 1 or hue is not None or min(values.shape) <= _LINES


def _draw_curves(values: "xr.DataArray", x: str | None, hue: str | None, options: dict[str, Any]) -> "Axes":
    along: dict[str, Any] = {} if x is None else {"x": x}
    if values.ndim == 2:
        x, hue = _roles(values, x, hue)
        along = {"x": x, "hue": hue}
    lines = cast("Any", values.plot.line(**along, **options))  # xarray's plots return what matplotlib does
    axes = cast("Axes", lines[0].axes)
    shown = x or str(values.dims[0])
    flat = options.get("y") is None
    if flat:
        axes.set_xlabel(label(values[shown]))
        axes.set_ylabel(label(values))
    legend = axes.get_legend()
    if legend is not None and hue is not None:
        legend.set_title(label(values[hue]))
    return axes


def _roles(values: "xr.DataArray", x: str | None, hue: str | None) -> tuple[str, str]:
    """Return what is drawn along x and what tells the curves apart: by default the shorter axis does."""
    outer, inner = map(str, values.dims)
    short, long = (outer, inner) if values.shape[0] <= values.shape[1] or values.shape[0] <= _LINES else (inner, outer)
    if hue is None and x is None:
        return long, short
    if x is None:
        x = next(str(dim) for dim in values.dims if dim not in values[cast(str, hue)].dims)
    if hue is None:
        hue = next(str(dim) for dim in values.dims if dim not in values[x].dims)
    return x, hue


def _draw_map(values: "xr.DataArray", x: str | None, options: dict[str, Any]) -> "Axes":
    inner = x or str(values.dims[-1])
    outer = options.pop("y", None) or next(str(dim) for dim in values.dims if dim not in values[inner].dims)
    shade: dict[str, Any] = {"cbar_kwargs": {"label": label(values)}} if options.get("add_colorbar", True) else {}
    mesh = cast("Any", values.plot.pcolormesh(x=inner, y=outer, **(shade | options)))  # as above
    axes = cast("Axes", mesh.axes)
    axes.set_xlabel(label(values[inner]))
    axes.set_ylabel(label(values[outer]))
    return axes


def _held(values: "xr.DataArray", clocks: set[str]) -> str:
    """Return which axes had which single value: the figure's title."""
    held = [c for n, c in values.coords.items() if c.ndim == 0 and n not in clocks and c.dtype.kind in "iufbUO"]
    return ", ".join(f"{c.name} = {_text(c.values[()])} {c.attrs.get('units', '')}".rstrip() for c in held)


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
