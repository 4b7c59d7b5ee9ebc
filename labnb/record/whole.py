"""Keeps large whole numbers exact when data are opened.

xarray turns whole numbers into floats where a value marks "not measured"; from 2**53 on, floats skip whole numbers.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

EXACT = 2.0**53
"""Up to here every whole number is a float64."""


def keep_whole(data: "xr.Dataset", path: Path) -> "xr.Dataset":
    """Return loaded data whose large whole numbers are those of the store at `path`.

    That is possible where all of a variable was measured; else they stay rounded, and a warning says so.
    """
    import xarray as xr

    large = [str(name) for name, values in data.data_vars.items() if _is_rounded(values)]
    if not large:
        return data
    with xr.open_zarr(path, mask_and_scale=False) as raw:
        for name in large:
            stored = raw[name].values
            if (stored == data[name].encoding["_FillValue"]).any():
                warnings.warn(
                    f"{name} has whole numbers of 2**53 and more, which are rounded here because some are not measured; "
                    f"the exact ones: xarray.open_zarr({str(path)!r}, mask_and_scale=False)",
                    stacklevel=4,
                )
            else:
                data = data.assign({name: data[name].copy(data=stored)})
    return data


def _is_rounded(values: "xr.DataArray") -> bool:
    stored = np.dtype(values.encoding.get("dtype", values.dtype))
    if values.dtype.kind != "f" or stored.kind not in "iu" or stored.itemsize < 8:
        return False
    return bool((abs(values) >= EXACT).any())
