"""The points of a stored run as a live view has them, so that the same figures can show them."""

import ast
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labnb.core import AdaptiveSweep, Axis, Group, LoopAxis, Span, Variable
from labnb.live import LiveView
from labnb.record import StoredRun

if TYPE_CHECKING:
    import xarray as xr


def stored_view(run: StoredRun) -> LiveView:
    """Return what a stored run measured. Raises RecordError if it cannot be read."""
    told, source = run.metadata.get("chosen"), run.metadata.get("source")
    chosen = tuple(map(str, told)) if isinstance(told, list) else ()
    return dataset_view(run.data, chosen or (_chosen(source) if isinstance(source, str) else ()))


def dataset_view(data: "xr.Dataset", chosen: tuple[str, ...] = ()) -> LiveView:
    """Return recorded data; `chosen` are the names that an adaptive sweep chose, if there was one."""
    clocks = _clocks(data)
    members: dict[tuple[str, ...], list[xr.DataArray]] = {}
    for values in data.data_vars.values():
        if values.dtype.kind in "biufc":
            members.setdefault(_loops(values, clocks), []).append(values)
    view = LiveView()
    for key, (dims, found) in enumerate(members.items()):
        names = chosen if dims[-1:] == ("point",) else ()
        group = Group(key, tuple(_axis(data, dim, names) for dim in dims), tuple(_variable(v, dims) for v in found))
        view.declare(group)
        places = _places(data, dims, clocks.get(dims), found)
        columns = {str(v.name): _rows(v, dims)[places] for v in found}
        view.table(key).fill(places, columns)
    return view


def _clocks(data: "xr.Dataset") -> dict[tuple[str, ...], "xr.DataArray"]:
    """Return the times of the points of each group of loops."""
    times = (c for c in data.coords.values() if c.attrs.get("standard_name") == "time" and c.dtype.kind == "M")
    return {tuple(map(str, clock.dims)): clock for clock in times}


def _loops(values: "xr.DataArray", clocks: dict[tuple[str, ...], "xr.DataArray"]) -> tuple[str, ...]:
    """Return the loops around a variable: its own clock says so; without any clock, all its dimensions."""
    dims = tuple(map(str, values.dims))
    told = str(values.encoding.get("coordinates") or values.attrs.get("coordinates") or "").split()
    own = [loops for loops, clock in clocks.items() if str(clock.name) in told and dims[: len(loops)] == loops]
    around = own or [loops for loops in clocks if dims[: len(loops)] == loops]
    return max(around, key=len) if around else dims


def _axis(data: "xr.Dataset", dim: str, chosen: tuple[str, ...]) -> LoopAxis:
    if chosen:
        ends = tuple(_ends(data[name].values) for name in chosen)
        units = tuple(str(data[name].attrs.get("units", "")) for name in chosen)
        return AdaptiveSweep(ends, units).named(*chosen)
    coordinate = data.coords.get(dim)
    if coordinate is None or coordinate.dtype.kind not in "biufUOT":
        return Axis(dim, tuple(range(data.sizes[dim])))
    return Axis(dim, tuple(coordinate.values.tolist()), str(coordinate.attrs.get("units", "")))


def _ends(values: NDArray[Any]) -> tuple[float, float]:  # numbers of any type
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _variable(values: "xr.DataArray", loops: tuple[str, ...]) -> Variable:
    own = tuple(_dim(values, str(dim)) for dim in values.dims[len(loops) :])
    return Variable(str(values.name), str(values.attrs.get("units", "")), values.dtype.str, own)


def _dim(values: "xr.DataArray", dim: str) -> Axis | Span:
    coordinate = values.coords.get(dim)
    if coordinate is None or coordinate.dtype.kind not in "biuf":
        return Span(dim, values.sizes[dim])
    return Axis(dim, tuple(coordinate.values.tolist()), str(coordinate.attrs.get("units", "")))


def _rows(values: "xr.DataArray", loops: tuple[str, ...]) -> NDArray[Any]:  # data of any type
    array = values.values
    return array.reshape(-1, *array.shape[len(loops) :])


def _places(
    data: "xr.Dataset", loops: tuple[str, ...], clock: "xr.DataArray | None", found: "list[xr.DataArray]"
) -> NDArray[np.int64]:
    """Return the measured places in the order in which they were measured."""
    if clock is not None:
        times = clock.values.reshape(-1)
        places = np.flatnonzero(~np.isnat(times))
        return places[np.argsort(times[places], kind="stable")]
    size = int(np.prod([data.sizes[dim] for dim in loops]))
    measured = np.zeros(size, np.bool_)
    for values in found:
        rows = _rows(values, loops)
        measured |= ~np.isnan(rows.reshape(size, -1)).all(axis=1) if rows.dtype.kind in "fc" else True
    return np.flatnonzero(measured)


def _chosen(source: str) -> tuple[str, ...]:
    """Return the names that `for a, b in sweep.adaptive(...)` chooses in a cell."""
    try:
        tree = ast.parse(source, mode="exec")
    except SyntaxError:
        return ()
    for node in ast.walk(tree):
        if not isinstance(node, ast.For) or not isinstance(node.iter, ast.Call):
            continue
        if ast.unparse(node.iter.func).endswith("sweep.adaptive"):
            names = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
            return tuple(ast.unparse(name) for name in names)
    return ()
