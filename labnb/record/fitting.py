"""Fits a function to measured data by xarray's `curvefit`, and gives the parameters names, units and errors."""

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from labnb.core import PlanError, check_unit
from labnb.record.packages import need

if TYPE_CHECKING:
    import xarray as xr

Function = Callable[..., Any]  # a user's function: of numpy arrays


def fit(
    data: "xr.Dataset",
    name: str,
    along: str | Sequence[str],
    function: Function,
    *,
    units: Mapping[str, str],
    options: Mapping[str, Any],
) -> "xr.Dataset":
    """Return the parameters of `function`, their standard errors and the fitted curve; see `ds.labnb.fit`."""
    need("scipy.optimize", "a fit", "analysis")
    axes = [along] if isinstance(along, str) else [*along]
    values = _checked(data, name, axes)
    parameters, declared = _parameters(data, axes, function)
    for what, given in (("units", units), ("p0", options.get("p0")), ("bounds", options.get("bounds"))):
        if unknown := sorted(set(given or {}) - set(parameters)):
            raise PlanError(f"{what} for {unknown}, but the function's parameters are {', '.join(parameters)}")
    dims = list(dict.fromkeys(dim for axis in axes for dim in values[axis].dims))
    found = _curvefit(values, axes, dims, function, {**options, "param_names": list(parameters)})
    result = _named(found, parameters, declared | dict(units))
    curve = _curve(values, axes, dims, function, [result[parameter] for parameter in parameters])
    return result.assign({f"{name}_fit": curve})


def _curvefit(
    values: "xr.DataArray", axes: Sequence[str], dims: Sequence[Any], function: Function, options: dict[str, Any]
) -> "xr.Dataset":
    def packed(x: Any, *parameters: Any) -> Any:  # numpy's arrays; of several axes one below the other
        return function(x, *parameters) if len(axes) == 1 else function(*x, *parameters)

    names: list[str] = options["param_names"]
    declared = inspect.signature(function).parameters
    start = {name: declared[name].default for name in names if declared[name].default is not inspect.Parameter.empty}
    options["p0"] = start | dict(options.get("p0") or {})
    try:
        return values.where(np.isfinite(values)).curvefit(axes, packed, reduce_dims=dims, **options)
    except (RuntimeError, ValueError, TypeError) as error:  # TypeError: fewer points than parameters
        raise PlanError(
            f"{values.name!r} cannot be fitted along {', '.join(axes)}: {error}; give start values, p0={{...}}, slice "
            'away what the function does not describe, or let such places be NaN by errors="ignore"'
        ) from error


def _checked(data: "xr.Dataset", name: str, axes: Sequence[str]) -> "xr.DataArray":
    if name not in data.data_vars:
        raise PlanError(f"there is no variable {name!r}; there are: {', '.join(map(str, data.data_vars))}")
    values = data[name]
    if values.dtype.kind == "c":
        raise PlanError(f"{name!r} is complex; fit a part of it, e.g. assign(magnitude=('V', lambda d: abs(d.{name})))")
    for axis in axes:
        if axis not in values.coords:
            raise PlanError(f"{axis!r} is no axis of {name!r}; expected one of: {', '.join(map(str, values.coords))}")
    return values


def _parameters(data: "xr.Dataset", axes: Sequence[str], function: Function) -> tuple[list[str], dict[str, str]]:
    """Return the names of what is to be found, and the units that the function declares for them."""
    try:
        declared = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise PlanError(f"{function!r} cannot be fitted: its parameters are not known; wrap it in a def") from error
    if len(declared) <= len(axes) or any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in declared):
        raise PlanError(f"a function to fit takes {', '.join(axes)} and then one or more parameters, each by its name")
    for axis, parameter in zip(axes, declared, strict=False):
        wanted, unit = _unit(parameter), str(data[axis].attrs.get("units", ""))
        if wanted and unit and wanted != unit:
            raise PlanError(
                f"{parameter.name!r} of the function is in {wanted!r}, but the axis {axis!r} is in {unit!r}"
            )
    rest = declared[len(axes) :]
    return [p.name for p in rest], {p.name: _unit(p) for p in rest if _unit(p)}


def _unit(parameter: inspect.Parameter) -> str:
    """Return the unit that an annotation such as `i0: "A"` gives."""
    text = parameter.annotation
    if not isinstance(text, str):
        return ""
    if text[:1] in "'\"" and text:  # under `from __future__ import annotations`
        text = str(ast.literal_eval(text))
    return check_unit(text, f"parameter {parameter.name!r}")


def _named(found: "xr.Dataset", parameters: Sequence[str], units: Mapping[str, str]) -> "xr.Dataset":
    import xarray as xr

    coefficients, covariance = found["curvefit_coefficients"], found["curvefit_covariance"]
    result: dict[str, xr.DataArray] = {}
    for parameter in parameters:
        unit = {"units": units[parameter]} if units.get(parameter) else {}
        value = coefficients.sel(param=parameter, drop=True)
        variance = covariance.sel(cov_i=parameter, cov_j=parameter, drop=True)
        error = variance.copy(data=np.sqrt(variance.values))
        value.attrs = dict(unit)  # xarray may have kept those of the data
        error.attrs = {**unit, "long_name": f"standard error of {parameter}"}
        result |= {parameter: value, f"{parameter}_error": error}
    return xr.Dataset(result)


def _curve(
    values: "xr.DataArray",
    axes: Sequence[str],
    dims: Sequence[Any],
    function: Function,
    parameters: Sequence["xr.DataArray"],
) -> "xr.DataArray":
    """Return the function with the parameters found, where the data are."""
    import xarray as xr

    places = [axis.transpose(*dims) for axis in xr.broadcast(*(values[axis] for axis in axes))]
    count = len(axes)

    def at(*arguments: Any) -> Any:  # numpy's arrays and numbers, one place of the other axes at a time
        shape = arguments[0].shape
        flat = [each.reshape(-1) for each in arguments[:count]]
        return np.broadcast_to(function(*flat, *arguments[count:]), flat[0].shape).reshape(shape)

    core = [list(dims)] * count + [[]] * len(parameters)
    curve = xr.apply_ufunc(
        at, *places, *parameters, input_core_dims=core, output_core_dims=[list(dims)], vectorize=True
    )
    curve = cast("xr.DataArray", curve).transpose(*(dim for dim in values.dims if dim in curve.dims))
    curve.attrs = {"units": values.attrs["units"]} if "units" in values.attrs else {}
    curve.attrs["long_name"] = f"{values.attrs.get('long_name') or values.name}, fit"
    return curve
