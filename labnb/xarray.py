"""Gives `ds.labnb` to every xarray dataset: `import labnb.xarray`.

Opening data by labnb does that too; this is for a session that opens them by `xarray.open_zarr` only.
"""

from labnb.record.accessor import LabAccessor

__all__ = ["LabAccessor"]
