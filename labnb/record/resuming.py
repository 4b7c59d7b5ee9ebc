"""Takes a run up again that has ended too early: its journal is written anew from what the store holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any, cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from labnb.core import ABSENT, Group, OpenAxis, RecordError, State, Variable
from labnb.core.schema import TEXT
from labnb.record.arrays import NOT_A_TIME, length_names
from labnb.record.files import write_whole
from labnb.record.folder import boot_id
from labnb.record.journal import (
    HEAD,
    MAGIC,
    START,
    RowCodec,
    Rows,
    group_from,
    group_record,
    run_record,
    slot,
    text_record,
)
from labnb.record.layout import Layout
from labnb.record.ragged import ragged
from labnb.record.runfile import RunFile
from labnb.record.values import storage_of


@dataclass(frozen=True)
class Kept:
    """What a run has recorded of one group so far: `rows` in the order of time, with `place`, `time` and `v<k>`.

    `arrays` are those of variables that have dimensions of their own, over all places.
    """

    group: Group
    rows: Rows
    arrays: "dict[str, NDArray[Any]]"
    texts: Sequence[str] = ()
    """The texts of the whole run; rows speak of them by number."""

    @property
    def places(self) -> NDArray[np.int64]:
        """The places that have a point."""
        return self.rows["place"].astype(np.int64)

    def values(self, row: int) -> tuple[object, ...]:
        """Return the values of one row as they were put, numbers as numpy's."""
        return tuple(
            self._array(v, k, row)
            if v.dims
            else ABSENT
            if v.undecided
            else self._as_put(self.rows[f"v{k}"][row], v.dtype)
            for k, v in enumerate(self.group.variables)
        )

    def _array(self, variable: Variable, k: int, row: int) -> object:
        found = self.arrays[variable.name][int(self.rows["place"][row])]
        if not variable.ragged:
            return found
        lengths = self.rows[f"v{k}"][row].tolist()
        return ABSENT if min(lengths) < 0 else ragged(found[tuple(map(slice, lengths))])

    def _as_put(self, value: Any, dtype: str) -> object:  # numpy's scalar
        if dtype == TEXT:
            return self.texts[value] if value >= 0 else ABSENT
        return bool(value) if dtype == "|b1" else value.item()


def read_unfinished(folder: Path) -> RunFile:
    """Return the document of a run that can be gone on with; the caller holds its lock. Raises RecordError."""
    run = RunFile.read(folder / "run.json")
    if run.state is State.DONE:
        raise RecordError(f"run {run.run_id} is done, all of its {run.points} points are there; start a new one")
    if (folder / "journal").exists():
        raise RecordError(f"run {run.run_id} was gone on with by another process, which has died; try again")
    if run.rebuilt and not run.groups:
        raise RecordError(f"run {run.run_id} cannot be resumed: its run.json in {folder} is damaged; start a new run")
    return run


def read_kept(folder: Path, run: RunFile) -> list[Kept]:
    """Return what a run that has ended holds. Raises RecordError if it cannot be gone on with."""
    import zarr

    groups = [group_from(cast(dict[str, Any], document)) for document in run.groups]
    layout = Layout()
    for group in groups:
        if any(isinstance(axis, OpenAxis) for axis in group.axes):
            raise RecordError(f"run {run.run_id} followed the clock ({group.axes[0].name}); it cannot be resumed")
        layout = layout.with_group(group)
    names = layout.time_names()
    try:
        store = zarr.open_group(folder / "data.zarr", mode="r")
        texts: dict[str, int] = {}
        found = [
            _kept(store, group, names[group.key], RowCodec(index, group), texts) for index, group in enumerate(groups)
        ]
        return [replace(kept, texts=tuple(texts)) for kept in found]
    except (OSError, ValueError, KeyError) as error:
        raise RecordError(f"the data of run {run.run_id} in {folder} cannot be read: {error}") from error


# zarr's groups have no useful type
def _kept(store: Any, group: Group, times_name: str, codec: RowCodec, texts: dict[str, int]) -> Kept:
    times = np.asarray(store[times_name][...], np.int64).reshape(-1)
    places = np.flatnonzero(times != NOT_A_TIME)
    places = places[np.argsort(times[places], kind="stable")]
    rows = np.zeros(len(places), codec.dtype)
    rows["length"], rows["group"] = codec.length, codec.index
    rows["place"], rows["time"] = places, times[places]
    arrays: dict[str, NDArray[Any]] = {}
    for k, variable in enumerate(group.variables):
        if variable.undecided:
            rows[f"v{k}"] = np.nan
            continue
        stored = np.asarray(store[variable.name][...])
        if variable.dtype == TEXT:
            found = stored.reshape(-1)[places].tolist()
            rows[f"v{k}"] = [texts.setdefault(str(text), len(texts)) if text else -1 for text in found]
        elif variable.dims:
            arrays[variable.name] = stored.reshape(times.size, *stored.shape[len(group.axes) :])  # it may be empty
            for d, name in enumerate(length_names(variable)):
                rows[f"v{k}"][:, d] = np.asarray(store[name][...]).reshape(-1)[places]
        else:
            rows[f"v{k}"] = stored.reshape(-1)[places].astype(storage_of(variable).dtype)
    return Kept(group, rows, arrays)


def find_latest(root: Path, name: str) -> RunFile | None:
    """Return the latest run called `name` below `root`; None if there is none."""
    days = sorted(root.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"), reverse=True)
    for day in days:
        found = [run for folder in day.glob(f"*-{escape(name)}-*") if (run := _read(folder)) and run.name == name]
        if found:
            return max(found, key=lambda run: run.created)
    return None


def pace_of_latest(root: Path, name: str) -> float | None:
    """Return how many seconds a point took in the latest run called `name`; None if none has ended with points."""
    latest = find_latest(root, name)
    if latest is None or latest.ended is None or not latest.points:
        return None
    return (latest.ended - latest.created).total_seconds() / latest.points


def find_unfinished(root: Path, name: str) -> Path | None:
    """Return the folder of the latest run called `name` below `root` that has begun; None if it is done, or none is there.

    Only the latest counts: an older unfinished one has been given up.
    """
    latest = find_latest(root, name)
    return None if latest is None or latest.state is State.DONE else latest.folder


def _read(folder: Path) -> RunFile | None:
    try:
        return RunFile.read(folder / "run.json")
    except RecordError:
        return None


def write_journal(folder: Path, run_id: str, kept: Iterable[Kept]) -> None:
    """Write the journal of a run that has these rows, as if it had just recorded them. Raises OSError."""
    kept = list(kept)
    parts = [run_record({"run": run_id, "boot": boot_id()}), *(group_record(each.group) for each in kept)]
    parts.extend(text_record(text) for text in (kept[0].texts if kept else ()))
    in_time = sorted(kept, key=lambda k: int(k.rows["time"][-1]) if len(k.rows) else 0)
    parts.extend(_records(each.rows) for each in in_time)  # the last row of the journal is the latest one
    body = b"".join(parts)
    start = MAGIC + slot(START + len(body))
    write_whole(folder / "journal", start + body, spare=folder / ".journal.partial", durable=True)


def _records(rows: Rows) -> bytes:
    """Return rows as records, with their checksums."""
    if not len(rows):
        return b""
    data, size = memoryview(rows.tobytes()), rows.dtype.itemsize
    length = size - HEAD.size
    rows = rows.copy()
    rows["crc"] = [crc32(data[at + HEAD.size : at + size], length) for at in range(0, len(data), size)]
    return rows.tobytes()
