"""Reads the store of a run as xarray data: as people use them, and never half of what is just being written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labnb.core import RecordError
from labnb.record.lock import hold_store
from labnb.record.whole import keep_whole

if TYPE_CHECKING:
    import xarray as xr

SMALL_BYTES = 64 << 20
_HOW_STORED = ("chunks", "shards", "compressors", "filters", "serializer")


# `chunks`: whatever xarray takes for them
def read_store(path: Path, chunks: Any = None, *, alive: bool = False, hold: bool = False) -> "xr.Dataset":
    """Return the data of the store at `path`; in memory if they are small, else read when used, or dask arrays.

    `alive` says that a process is writing them, `hold` that their chunk files may go away once they are packed: then
    those stay as long as there is somebody who may read them. Texts are Python's own. How the store cuts and packs its
    arrays is not handed on: who writes the data anew does as he likes. Raises RecordError.
    """
    import labnb.record.accessor  # noqa: F401  # pyright: ignore[reportUnusedImport]  it gives `data.labnb`

    try:
        if chunks is not None:
            return _finished(_in_pieces(path, chunks, hold=hold), path)
        dataset = _open_lazily(path, hold=hold)
        if dataset.nbytes > SMALL_BYTES:
            return _finished(dataset, path)
        with dataset:
            loaded = _finished(keep_whole(_loaded(dataset), path), path)
            return _only_acknowledged(loaded) if alive else loaded
    except (OSError, ValueError, KeyError) as error:
        raise RecordError(f"the data in {path} cannot be read: {error}; restore it from a copy of the run") from error


def _open_lazily(path: Path, *, hold: bool, **how: Any) -> "xr.Dataset":
    import xarray as xr  # half a second that a recording session must not wait for
    from zarr.storage import LocalStore

    store = LocalStore(path, read_only=True)
    if hold:
        hold_store(path, store)
    return xr.open_zarr(store, **how)


def _in_pieces(path: Path, chunks: Any, *, hold: bool) -> "xr.Dataset":
    """Open a store as dask arrays. Texts are cut as the times of their points: dask cannot tell how large others would be."""
    data = _open_lazily(path, hold=hold, chunks=None)
    texts = _texts(data)
    if not texts:
        return _open_lazily(path, hold=hold, chunks=chunks)
    numbers = _open_lazily(path, hold=hold, chunks=chunks, drop_variables=texts)
    clocks = {name: numbers.variables[name] for name in numbers.coords if name not in numbers.xindexes}
    cut = {name: _cut_as_its_time(data[name], numbers) for name in texts if name in data.data_vars}
    return data.assign_coords(clocks).assign({name: numbers.variables[name] for name in numbers.data_vars} | cut)


def _cut_as_its_time(values: "xr.DataArray", numbers: "xr.Dataset") -> "xr.Variable":
    time = numbers.variables.get(_time_of(values))
    return values.variable if time is None else values.variable.chunk(dict(time.chunksizes))


def _time_of(values: "xr.DataArray") -> str:
    """Return the name of the times of the points of a variable; "" if it has none."""
    return str(values.encoding.get("coordinates", "")).partition(" ")[0]


def _texts(data: "xr.Dataset") -> list[str]:
    return [str(name) for name, values in data.variables.items() if values.dtype.kind == "T"]


def _finished(data: "xr.Dataset", path: Path) -> "xr.Dataset":
    """Return data with Python's texts (xarray cannot mask numpy's), and without what concerns only this store."""
    for name in _texts(data):
        if name in data.data_vars:
            told = {key: value for key, value in data[name].encoding.items() if key != "dtype"}
            data = data.assign({name: data[name].astype(object)})
            data[name].encoding = told
    for values in data.variables.values():
        for key in _HOW_STORED:
            values.encoding.pop(key, None)
    data.encoding["source"] = str(path)
    return data


def _loaded(dataset: "xr.Dataset") -> "xr.Dataset":
    """Read everything, times first: what has a time then is whole when it is read. An error names the variable."""
    times = [name for name, variable in dataset.variables.items() if variable.attrs.get("standard_name") == "time"]
    for name in dict.fromkeys((*times, *dataset.variables)):
        try:
            dataset.variables[name].load()
        except ValueError as error:
            raise ValueError(f"{str(name)!r}: {error}") from error
    return dataset


def _only_acknowledged(dataset: "xr.Dataset") -> "xr.Dataset":
    """Blank the arrays of places that have no time yet: the process that measures is just writing them."""
    for values in dataset.data_vars.values():
        time = _time_of(values)
        if time in dataset.coords and values.ndim > dataset[time].ndim:
            array = values.values
            array[np.isnat(dataset[time].values)] = _not_measured(array.dtype)
    return dataset


def _not_measured(dtype: "np.dtype[Any]") -> float:
    if dtype.kind not in "iu":
        return np.nan
    return np.iinfo(dtype).min if dtype.kind == "i" else np.iinfo(dtype).max
