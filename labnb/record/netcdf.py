"""Writes a dataset as netCDF, by whichever library is there, and hides what each of them cannot hold."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labnb.core import RecordError
from labnb.record.packages import is_there

if TYPE_CHECKING:
    import xarray as xr

_CLASSIC = {"uint8": "int16", "uint16": "int32"}  # the next type that the classic format has
_EXACT = 2**53


def write_netcdf(data: "xr.Dataset", path: Path) -> None:
    """Write `data` to `path`. Raises RecordError if no library is there or the data cannot be held, OSError."""
    engine = find_engine()
    options: dict[str, Any] = {}  # xarray's
    if engine == "netcdf4":
        options["auto_complex"] = True
    if engine == "scipy":
        data = classic(data)
    try:
        data.to_netcdf(path, engine=engine, **options)
    except (ValueError, TypeError, NotImplementedError) as error:
        advice = "; the classic format is the narrowest, install h5netcdf: pip install 'labnb[analysis]'"
        raise RecordError(
            f"the data cannot be written as netCDF: {error}{advice if engine == 'scipy' else ''}"
        ) from error


def find_engine() -> "Any":  # xarray's own literal
    """Return which of xarray's engines writes netCDF here. Raises RecordError if there is none."""
    for engine, modules in (("h5netcdf", ("h5netcdf", "h5py")), ("netcdf4", ("netCDF4",)), ("scipy", ("scipy",))):
        if is_there(*modules):
            return engine
    raise RecordError(
        "a netCDF file needs h5netcdf and h5py, netCDF4 or scipy, none of them is installed; run: pip install 'labnb[analysis]'"
    )


def classic(data: "xr.Dataset") -> "xr.Dataset":
    """Return data that the classic format of netCDF can hold: no complex numbers, no 64-bit integers.

    Times become float64 nanoseconds since the first one: exact for 104 days. Raises RecordError for integers that no
    type of the format holds exactly.
    """
    data = data.copy(deep=False)
    for name in map(str, list(data.variables)):
        values = data[name]
        if values.dtype.kind == "c":
            data = data.drop_vars(name)
            for part in ("real", "imag"):
                data[f"{name}_{part}"] = getattr(values, part).assign_attrs(values.attrs)
        elif values.dtype.kind == "M":
            data[name].encoding = _clock(values.values)
        elif name not in data.dims or values.dtype.kind in "iu":
            data = (
                data.assign_coords({name: _narrow(values)})
                if name in data.coords
                else data.assign({name: _narrow(values)})
            )
    return data


def _clock(values: Any) -> Mapping[str, Any]:  # numpy's datetimes
    measured = values[~np.isnat(values)]
    first = np.datetime_as_string(measured.min() if measured.size else np.datetime64(0, "ns"), unit="ns")
    return {"dtype": "float64", "units": f"nanoseconds since {first}", "_FillValue": np.nan}


def _narrow(values: "xr.DataArray") -> "xr.DataArray":
    encoded = values.encoding.get("dtype")
    kind = np.dtype(encoded if encoded is not None else values.dtype)
    if kind.kind not in "iu" or kind.name in ("int8", "int16", "int32"):
        return values
    values = values.copy(deep=False)
    if kind.name in _CLASSIC and values.dtype.kind in "iu":
        narrowed = values.astype(_CLASSIC[kind.name])
    else:
        if values.dtype.kind in "iu" and bool((abs(values.astype(float)) > _EXACT).any()):
            raise RecordError(
                f"variable {values.name!r} has integers that the classic format of netCDF cannot hold exactly"
            )
        narrowed = values.astype("float64")
    narrowed.encoding = {}
    return narrowed.assign_attrs(values.attrs)
