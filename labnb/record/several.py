"""Opens the data of one run, or of many as one tree, in memory or in pieces that dask reads when they are used."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, overload

from labnb.core import PlanError
from labnb.record import opening
from labnb.record.packages import need
from labnb.record.stored import StoredRun

if TYPE_CHECKING:
    import xarray as xr

Where = str | os.PathLike[str] | StoredRun


@overload
def load(run: Where, *, chunks: object = None) -> "xr.Dataset": ...
@overload
def load(run: Iterable[Where], *, chunks: object = None) -> "xr.DataTree": ...
def load(run: Where | Iterable[Where], *, chunks: object = None) -> "xr.Dataset | xr.DataTree":
    """Return the data of a run, given its folder, its `data.zarr` or itself; of several runs, a tree of them.

    They are in memory up to 64 MiB a run, else read when used; with `chunks` ("auto", {} or what xarray takes) they are
    dask arrays, which need labnb[cluster]. A run whose process died is completed from its journal first; of one that is
    being written, this is what is committed. A tree's nodes have the names of the runs' folders.
    Raises RecordError if there is no run, or if it cannot be read.
    """
    if isinstance(run, str | os.PathLike | StoredRun):
        return _load_one(run, chunks)
    return load_tree(run, chunks=chunks)


def load_tree(runs: Iterable[Where], *, chunks: object = None) -> "xr.DataTree":
    """Return the data of several runs, each a node with the name of its folder. Raises PlanError if there are none."""
    import xarray as xr

    nodes: dict[str, xr.Dataset] = {}
    for run in runs:
        name = _free(_folder(run).name, nodes)
        nodes[name] = _load_one(run, chunks)
    if not nodes:
        raise PlanError("no run to load; expected at least one")
    return xr.DataTree.from_dict(nodes)


def _load_one(run: Where, chunks: object) -> "xr.Dataset":
    if chunks is not None:
        need("dask.array", "reading in pieces (chunks=...)", "cluster")
    return opening.load(_folder(run), chunks=chunks)


def _folder(run: Where) -> Path:
    path = run.path if isinstance(run, StoredRun) else Path(run).absolute()
    return path.parent if path.name == "data.zarr" else path


def _free(name: str, taken: Iterable[str]) -> str:
    used = set(taken)
    return next(n for n in (name, *(f"{name}-{k}" for k in range(2, len(used) + 3))) if n not in used)
