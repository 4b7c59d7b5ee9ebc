"""A session on disk: one run of the record room for each time that it was opened, its parts.

A part holds a log for each variable: a table of its own that is as long as there are entries. The part under way is
read from its chunk files, and what these do not have yet from memory; others are read as any run.
"""

import threading
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnb.core import Group, LogAxis, RunLocked, Span, State, Variable
from labnb.record import Recorder, StoredRun, load, open_run
from labnb.session.monitoring._values import column_of, dim_of

KEEP = 4096
"""How many of the latest entries of a variable are kept in memory, at least."""
PIECE = 1 << 16
"""As many entries of a long history are read at once."""
MOST_BYTES = 256 << 20
"""How long the journal of a part becomes: then the session goes on in a new part, and the journal is given back."""

Times = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(slots=True)
class Log:
    """One column of the part under way. `times` (ns) and `values` are the tail; `base` entries came before it."""

    name: str
    variable: Variable
    key: int
    base: int = 0
    times: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    first: tuple[int, float] = (0, 0.0)
    stretches: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """Of what came before the tail: (the place where a stretch ends, its latest time). A clock may have been set back."""

    @property
    def column(self) -> str:
        """Its name on disk."""
        return self.variable.name

    @property
    def count(self) -> int:
        """Number of entries."""
        return self.base + len(self.times)

    def append(self, time_ns: int, value: float) -> None:
        """Take one entry that is recorded."""
        if not self.count:
            self.first = time_ns, value
        self.times.append(time_ns)
        self.values.append(value)

    def drop(self, shown: int) -> None:
        """Forget old entries, as far as the first `shown` are in the store."""
        surplus = min(len(self.times) - KEEP, shown - self.base)
        if surplus > 0:
            self.stretches.append((self.base + surplus, max(self.times[:surplus])))
            del self.times[:surplus], self.values[:surplus]
            self.base += surplus


class LivePart:
    """The part that is being written. Every method may be called from any thread."""

    def __init__(self, root: Path, name: str, metadata: Mapping[str, object]) -> None:
        self._recorder = Recorder.create(root, name, metadata)
        self.path = self._recorder.path
        self.run_id = self._recorder.run_id
        self._numbers: dict[str, Log] = {}
        self._arrays: dict[tuple[str, str, tuple[int, ...]], Log] = {}
        self._used: set[str] = set()
        self._lock = threading.RLock()
        self.full = False
        """Whether it is long enough, and a new part should be begun."""

    @property
    def store(self) -> Path:
        """Its zarr store."""
        return self._recorder.data_path

    def put(self, numbers: Mapping[str, float], time_ns: int, units: Mapping[str, str]) -> None:
        """Log numbers at one time. Raises RecordError; those that were written before the error stay."""
        with self._lock:
            for name, value in numbers.items():
                log = self._numbers.get(name)
                if log is None:
                    log = self._numbers[name] = self._declare(name, units.get(name, ""), "<f8", ())
                self._recorder.put((log.key, log.count, (value,), time_ns))
                self._append(log, time_ns, value)

    def put_array(self, name: str, value: NDArray[Any], time_ns: int, unit: str) -> None:
        """Keep an array. One of another shape or kind than those before gets a column of its own. Raises RecordError."""
        with self._lock:
            kind = (name, value.dtype.str, value.shape)
            log = self._arrays.get(kind)
            if log is None:
                log = self._arrays[kind] = self._declare(name, unit, value.dtype.str, value.shape)
            self._recorder.put((log.key, log.count, (value,), time_ns))
            self._append(log, time_ns, 0.0)

    def _append(self, log: Log, time_ns: int, value: float) -> None:
        log.append(time_ns, value)
        if len(log.times) >= 2 * KEEP:
            log.drop(self._recorder.shown(dim_of(log.column)))
        if log.count % KEEP == 0:
            self.full = self._recorder.journal_bytes >= MOST_BYTES

    def _declare(self, name: str, unit: str, dtype: str, shape: tuple[int, ...]) -> Log:
        column = column_of(name, self._used)
        spans = tuple(Span(f"{column}_{k}", size) for k, size in enumerate(shape))
        variable = Variable(column, unit, dtype, spans, "" if column == name else name)
        key = len(self._numbers) + len(self._arrays)
        self._recorder.declare(Group(key, (LogAxis(dim_of(column)),), (variable,)))
        self._used.update((column, dim_of(column), *(span.name for span in spans)))
        return Log(name, variable, key)

    # ---- reading

    @property
    def numbers(self) -> Mapping[str, object]:
        """The logged variables that have an entry."""
        return {name: log for name, log in list(self._numbers.items()) if log.count}

    def first(self, name: str) -> tuple[int, float]:
        """Return the first entry of a logged variable."""
        return self._numbers[name].first

    def last(self, name: str) -> tuple[int, float]:
        """Return the latest entry of a logged variable."""
        with self._lock:
            log = self._numbers[name]
            return log.times[-1], log.values[-1]

    def count(self, name: str) -> int:
        """Return how many entries a logged variable has."""
        log = self._numbers.get(name)
        return 0 if log is None else log.count

    def piece(self, name: str, begin: int, end: int) -> tuple[Times, Numbers]:
        """Return times and values of the entries `begin` … `end` of a logged variable. Raises RecordError."""
        with self._lock:
            log = self._numbers[name]
            base, low = log.base, max(0, begin - log.base)
            times = np.array(log.times[low : max(0, end - base)], np.int64)
            values = np.array(log.values[low : max(0, end - base)], np.float64)
        if begin >= base:
            return times, values
        stored = [self._recorder.read(array, begin, min(base, end)) for array in (dim_of(log.column), log.column)]
        return np.concatenate((stored[0], times)), np.concatenate((stored[1], values))

    def place_from(self, name: str, since_ns: int) -> int:
        """Return the place of the first entry that is not older than `since_ns`; how many there are, if none is.

        Of what lies on disk one stretch is read at most. Raises RecordError.
        """
        with self._lock:
            log = self._numbers[name]
            base, end, tail = log.base, log.count, np.array(log.times, np.int64)
            ends = [place for place, _ in log.stretches]
            at = next((k for k, (_, latest) in enumerate(log.stretches) if latest >= since_ns), None)
        begin = base
        if at is not None:
            begin = ends[at - 1] if at else 0
            tail = self._recorder.read(dim_of(log.column), begin, ends[at])
        later = np.flatnonzero(tail >= since_ns)
        return begin + int(later[0]) if len(later) else end

    def items(self, name: str) -> "list[Item]":
        """Return what there is of a dataset, in the order of its columns."""
        found = list[Item]()
        for log in [log for log in self._arrays.values() if log.name == name]:
            with self._lock:
                base, times = log.base, np.array(log.times, np.int64)
            if base:
                times = np.concatenate((self._recorder.read(dim_of(log.column), 0, base), times))
            found.extend(Item(time, self, log.column, place) for place, time in enumerate(times.tolist()))
        return found

    def arrays(self) -> set[str]:
        """Return the names of datasets."""
        return {log.name for log in list(self._arrays.values())}

    def read(self, column: str, place: int) -> NDArray[Any]:
        """Return one item of a dataset. Raises RecordError."""
        log = next(log for log in self._arrays.values() if log.column == column)
        return self._recorder.read(column, place, place + 1)[0].astype(log.variable.dtype)

    # ---- the run

    def describe(self, metadata: Mapping[str, object]) -> None:
        """Add to what describes it. Raises RecordError."""
        with self._lock:
            self._recorder.update_metadata(metadata)

    def note(self, kind: str, text: str, **fields: object) -> None:
        """Add a line to its events. Raises RecordError."""
        self._recorder.note(kind, text, **fields)

    def flush(self) -> None:
        """Show everything to readers now. Raises RecordError."""
        with self._lock:
            self._recorder.flush()

    def close(self, state: State) -> None:
        """Bring it to its end. Raises RecordError."""
        with self._lock:
            self._recorder.close(state)


class StoredPart:
    """A part that is not written here: it has ended, or another process writes it."""

    def __init__(self, run: StoredRun) -> None:
        self.path = run.path
        self.run_id = run.run_id
        self.metadata = run.metadata
        self.alive = run.state is State.RUNNING
        self._data: Any = None  # xarray.Dataset: loaded when it is needed
        self._logged: dict[str, str] | None = None
        self._ends: dict[tuple[str, int], tuple[int, float]] = {}

    @property
    def store(self) -> Path:
        """Its zarr store."""
        return self.path / "data.zarr"

    @property
    def was_followed(self) -> bool:
        """Whether another process wrote it and has ended it: that may have gone on in another part."""
        return self.alive and not (self.path / "journal").exists()

    @property
    def data(self) -> Any:  # xarray.Dataset
        """What it holds; of one that another process writes, what is committed now."""
        if self._data is None or self.alive:
            self._data, self._logged = load(self.path), None
            self._ends.clear()
        return self._data

    def _columns(self, data: Any, *, arrays: bool) -> dict[str, list[str]]:  # xarray.Dataset
        found = dict[str, list[str]]()
        for column, variable in data.data_vars.items():
            if (variable.ndim > 1) is arrays and variable.shape[0]:
                found.setdefault(str(variable.attrs.get("long_name", column)), []).append(str(column))
        return found

    @property
    def numbers(self) -> Mapping[str, str]:
        """The logged variables, and the column of each."""
        data = self.data
        if self._logged is None:
            self._logged = {name: columns[0] for name, columns in self._columns(data, arrays=False).items()}
        return self._logged

    def units(self) -> dict[str, str]:
        """Return the units of what has one, as it was declared."""
        every = self.data.data_vars.items()
        return {str(v.attrs.get("long_name", c)): str(v.attrs["units"]) for c, v in every if "units" in v.attrs}

    def count(self, name: str) -> int:
        """Return how many entries a logged variable has."""
        column = self.numbers.get(name)
        return 0 if column is None else int(self._data.sizes[dim_of(column)])

    def piece(self, name: str, begin: int, end: int) -> tuple[Times, Numbers]:
        """Return times and values of the entries `begin` … `end` of a logged variable."""
        column = self.numbers[name]
        data = self._data.isel({dim_of(column): slice(begin, end)})
        return _ns(data[dim_of(column)]), data[column].values.astype(np.float64)

    def place_from(self, name: str, since_ns: int) -> int:
        """Return the place of the first entry that is not older than `since_ns`; how many there are, if none is."""
        column = self.numbers[name]
        times, end = self._data[dim_of(column)], self.count(name)
        for begin in range(0, end, PIECE):
            later = np.flatnonzero(_ns(times[begin : begin + PIECE]) >= since_ns)
            if len(later):
                return begin + int(later[0])
        return end

    def first(self, name: str) -> tuple[int, float]:
        """Return the first entry of a logged variable."""
        return self._entry(name, 0)

    def last(self, name: str) -> tuple[int, float]:
        """Return the latest entry of a logged variable."""
        return self._entry(name, self.count(name) - 1)

    def _entry(self, name: str, place: int) -> tuple[int, float]:
        if (name, place) not in self._ends:
            times, values = self.piece(name, place, place + 1)
            self._ends[name, place] = int(times[0]), float(values[0])
        return self._ends[name, place]

    def arrays(self) -> set[str]:
        """Return the names of datasets."""
        return set(self._columns(self.data, arrays=True))

    def items(self, name: str) -> "list[Item]":
        """Return what there is of a dataset, in the order of its columns."""
        found = list[Item]()
        for column in self._columns(self.data, arrays=True).get(name, ()):
            times = _ns(self._data[dim_of(column)])
            found.extend(Item(time, self, column, place) for place, time in enumerate(times.tolist()))
        return found

    def read(self, column: str, place: int) -> NDArray[Any]:
        """Return one item of a dataset."""
        return self.data[column][place].values


def _ns(times: Any) -> Times:  # xarray.DataArray
    return times.values.astype("datetime64[ns]").astype(np.int64)


Part = LivePart | StoredPart


@dataclass(frozen=True, slots=True)
class Item:
    """Where one array of a dataset is."""

    time_ns: int
    part: Part
    column: str
    place: int

    def read(self) -> NDArray[Any]:
        """Return it. Raises RecordError."""
        return self.part.read(self.column, self.place)


def find_parts(root: Path, session: str) -> Iterator[StoredPart]:
    """Yield the parts of a session below `root`, oldest first; one whose process died is completed. Raises RecordError."""
    runs = [open_run(path.parent) for path in root.glob(f"*/*/*/*-{escape(session)}-*/run.json")]
    for run in sorted(runs, key=lambda run: run.created):
        if run.name == session and run.metadata.get("session") == session:
            yield StoredPart(run)


def check_not_written(parts: list[StoredPart], session: str) -> None:
    """Raise RunLocked if another process, or another session object, writes one of `parts`."""
    for part in parts:
        if part.alive:
            raise RunLocked(
                f"session {session!r} is being written already (run {part.run_id} in {part.path}); close it there, or look "
                "at it by AsyncSession(name, readonly=True)"
            )
