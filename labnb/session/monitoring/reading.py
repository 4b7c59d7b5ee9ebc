"""What a session holds, read back: logged variables, parameters, texts, datasets, and all of it as xarray."""

import math
import sys
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from labnb.core import nearest
from labnb.record import load
from labnb.session.monitoring._parts import Item, Numbers, Part, Times
from labnb.session.monitoring._values import dim_of

if TYPE_CHECKING:
    import xarray as xr

Floats = NDArray[np.float64]


def seconds(times: Times) -> Floats:
    """Return ns since 1970 as s since 1970."""
    return times / 1e9


class Readings:
    """Everything that was logged or saved in a session, whichever of its parts holds it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._parameters: dict[str, float] = {}
        self._texts: dict[str, str] = {}
        self._units: dict[str, str] = {}

    def _all_parts(self) -> Sequence[Part]:
        """Return the parts, oldest first."""
        raise NotImplementedError

    def _show(self) -> None:
        """Bring what readers of the disk see up to date."""

    @property
    def name(self) -> str:
        """What it is called."""
        return self._name

    # ---- logged variables

    def logged_variables(self) -> set[str]:
        """Return the names of all variables that have an entry."""
        return {name for part in self._all_parts() for name in part.numbers}

    def logged_variable(self, name: str) -> tuple[Floats, Floats]:
        """Return (timestamps in s since 1970, values) of a variable, oldest first; `sesn[name]` does the same.

        Raises KeyError that lists the names if there is none called so.
        """
        times, values = self._series(name)
        if not len(times):
            raise KeyError(
                f"nothing called {name!r} was logged in session {self.name!r}; {nearest(name, sorted(self.logged_variables()))}"
            )
        return seconds(times), values

    __getitem__ = logged_variable

    def logged_data(self) -> dict[str, tuple[Floats, Floats]]:
        """Return (timestamps in s, values) of every variable."""
        return {name: self.logged_variable(name) for name in sorted(self.logged_variables())}

    def logged_first_values(self) -> dict[str, tuple[float, float]]:
        """Return (timestamp in s, value) of each variable's first entry."""
        return self._ends(self._all_parts(), "first")

    def logged_last_values(self) -> dict[str, tuple[float, float]]:
        """Return (timestamp in s, value) of each variable's latest entry."""
        return self._ends(reversed(self._all_parts()), "last")

    def logged_data_fromtimestamp(self, name: str, ts: float) -> tuple[Floats, Floats]:
        """Return (timestamps in s, values) from `ts` (s since 1970) on, inclusive; two empty arrays if there is nothing."""
        times, values = self._series(name, self.place_from(name, ts))
        when = seconds(times)
        later = when >= ts
        return when[later], values[later]

    def latest(self, name: str, count: int) -> tuple[Floats, Floats]:
        """Return (timestamps in s, values) of the latest `count` entries; two empty arrays if there is nothing."""
        times, values = self._series(name, max(0, self.logged_count(name) - count))
        return seconds(times), values

    # Long histories are read piece by piece, in threads: entries have places, in the order in which they were logged.

    def logged_count(self, name: str) -> int:
        """Return how many entries a variable has."""
        return sum(part.count(name) for part in self._all_parts())

    def logged_piece(self, name: str, begin: int, end: int) -> tuple[Floats, Floats]:
        """Return (timestamps in s, values) of the entries `begin` … `end`, in the order in which they were logged."""
        times, values = self._series(name, begin, end)
        return seconds(times), values

    def place_from(self, name: str, ts: float) -> int:
        """Return the place of the first entry that was logged at `ts` (s since 1970) or later; the count, if none was."""
        if not math.isfinite(ts):
            return self.logged_count(name) if ts > 0 else 0
        since, before = max(-(2**63), min(2**63 - 1, int(ts * 1e9) - 1000)), 0  # a float of s tells 240 ns apart
        for part in self._all_parts():
            if count := part.count(name):
                place = part.place_from(name, since)
                if place < count:
                    return before + place
                before += count
        return before

    def _ends(self, parts: "Iterator[Part] | Sequence[Part]", which: str) -> dict[str, tuple[float, float]]:
        """Return that of every variable in the first of `parts` that has it: no other is read."""
        found = dict[str, tuple[float, float]]()
        for part in parts:
            for name in part.numbers.keys() - found.keys():
                time_ns, value = part.first(name) if which == "first" else part.last(name)
                found[name] = (time_ns / 1e9, value)
        return found

    def _series(self, name: str, begin: int = 0, end: int = sys.maxsize) -> tuple[Times, Numbers]:
        found, before = list[tuple[Times, Numbers]](), 0
        for part in self._all_parts():
            count = part.count(name)
            low, high = max(0, begin - before), min(count, end - before)
            if low < high:
                found.append(part.piece(name, low, high))
            before += count
        if not found:
            return np.empty(0, np.int64), np.empty(0, np.float64)
        if len(found) == 1:
            return found[0]
        return np.concatenate([times for times, _ in found]), np.concatenate([values for _, values in found])

    # ---- parameters and texts

    def parameter(self, name: str) -> float | None:
        """Return a parameter; None if there is none called so."""
        return self._parameters.get(name)

    def parameters(self) -> dict[str, float]:
        """Return all parameters."""
        return dict(self._parameters)

    def has_parameter(self, name: str) -> bool:
        """Return whether there is such a parameter."""
        return name in self._parameters

    def metadata(self, name: str) -> str | None:
        """Return a text; None if there is none called so."""
        return self._texts.get(name)

    def metadatas(self) -> dict[str, str]:
        """Return all texts."""
        return dict(self._texts)

    def has_metadata(self, name: str) -> bool:
        """Return whether there is such a text."""
        return name in self._texts

    def units(self) -> dict[str, str]:
        """Return the units of the variables that have one."""
        return dict(self._units)

    # ---- datasets

    def dataset_names(self) -> set[str]:
        """Return the names of all datasets."""
        return {name for part in self._all_parts() for name in part.arrays()}

    def dataset_times(self, name: str) -> Floats:
        """Return the timestamps (s since 1970) of a dataset's items, oldest first. Raises KeyError."""
        return seconds(np.array([item.time_ns for item in self._items(name)], np.int64))

    def datasets(self, name: str) -> Iterator[tuple[float, NDArray[Any]]]:
        """Yield (timestamp in s, array) of a dataset, oldest first. Raises KeyError."""
        return ((item.time_ns / 1e9, item.read()) for item in self._items(name))

    def dataset(self, name: str, ts: float | None = None, n: int | None = None) -> NDArray[Any]:
        """Return one array of a dataset: the n-th, the one of timestamp `ts`, or the latest.

        Raises KeyError if there is no such dataset or timestamp, and IndexError for an `n` that it does not have.
        """
        items = self._items(name)
        if ts is not None:
            times = [item.time_ns / 1e9 for item in items]
            items = [item for item, time in zip(items, times, strict=True) if time == ts]
            if not items:
                close = min(times, key=lambda time: abs(time - ts))
                raise KeyError(f"dataset {name!r} has nothing at {ts!r}; the nearest is at {close!r} (dataset_times())")
        k = -1 if n is None else n
        if not -len(items) <= k < len(items):
            raise IndexError(f"dataset {name!r} has {len(items)} items here; there is no number {n}")
        return items[k].read()

    def dataset_last_data(self, name: str) -> tuple[float, NDArray[Any]]:
        """Return (timestamp in s, array) of the latest item. Raises KeyError."""
        item = self._items(name)[-1]
        return item.time_ns / 1e9, item.read()

    def _items(self, name: str) -> list[Item]:
        found = list[Item]()
        for part in self._all_parts():
            found.extend(sorted(part.items(name), key=lambda item: item.time_ns))
        if not found:
            raise KeyError(
                f"session {self.name!r} has no dataset {name!r}; {nearest(name, sorted(self.dataset_names()))}"
            )
        return found

    # ---- as a whole

    @property
    def data(self) -> "xr.DataTree":
        """Everything, live: a node with the dimension `time` for each variable and dataset, parameters at the root.

        `sesn.data["pressure"].to_dataset()` is one of them; large ones are read when they are used.
        """
        import xarray as xr

        self._show()
        found = dict[tuple[str, tuple[int, ...]], tuple[str, list[xr.Dataset]]]()
        for part in self._all_parts():
            stored = load(part.path)
            for column in map(str, stored.data_vars):
                one = stored[[column]].rename({dim_of(column): "time"}).drop_attrs(deep=False)
                name = str(one[column].attrs.get("long_name", column))
                one[column].attrs |= {"units": self._units[name]} if name in self._units else {}
                taken = {node for node, _ in found.values()}
                found.setdefault((name, one[column].shape[1:]), (_free(column, taken), []))[1].append(one)
        root = xr.Dataset(attrs={"session": self.name, **self._parameters, **self._texts})
        nodes = {node: _joined(node, pieces) for node, pieces in found.values()}
        return xr.DataTree.from_dict({"/": root, **{f"/{node}": data for node, data in nodes.items()}}, name=self.name)

    def stores(self) -> dict[str, Path]:
        """Return the zarr store of each part, by the name of its run; each opens by `xarray.open_zarr`."""
        return {part.run_id: part.store for part in self._all_parts()}


def _free(name: str, taken: Collection[str]) -> str:
    return next(n for n in (name, *(f"{name}_{k}" for k in range(2, len(taken) + 3))) if n not in taken)


def _joined(node: str, pieces: "list[xr.Dataset]") -> "xr.Dataset":
    """Return the pieces of one variable, which may have had other columns in other parts."""
    import xarray as xr

    pieces = [piece.rename(_renaming(piece, node)) for piece in pieces]
    if len(pieces) == 1:
        return pieces[0]
    return xr.concat(pieces, dim="time", combine_attrs="override", data_vars="all", coords="minimal", compat="override")


def _renaming(piece: "xr.Dataset", node: str) -> dict[str, str]:
    (column,) = map(str, piece.data_vars)
    dims = [str(dim) for dim in piece.dims if dim != "time"]
    return {} if column == node else {column: node, **{dim: node + dim.removeprefix(column) for dim in dims}}
