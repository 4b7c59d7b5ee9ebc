"""Opens a run: a finished one as it lies there, a broken one after its journal has been replayed."""

import errno
import os
import time
import warnings
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from labnb.core import Group, Json, RecordError, RunLocked, State, SystemClock
from labnb.record.arrays import root_text
from labnb.record.files import reason, remove_tree, sync_path, write_whole
from labnb.record.folder import boot_id, make_store, write_note
from labnb.record.journal import HEAD, START, Batch, RowCodec, Scanner, gathered, pending_bytes, read_start
from labnb.record.lock import doing, take_lock
from labnb.record.materialiser import Materialiser
from labnb.record.packing import count_files
from labnb.record.reading import read_store
from labnb.record.runfile import Packing, RunFile, groups_json, packing_json, stamp
from labnb.record.sealing import packer
from labnb.record.stored import StoredRun
from labnb.record.summary import committed_points
from labnb.record.writer import read_on

if TYPE_CHECKING:
    import xarray as xr

_COMPLETED, _COMPLETED_S = "completed", 60.0
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


def load(path: Path | str, *, chunks: object = None) -> "xr.Dataset":
    """Return the data of a run, given its folder or its `data.zarr`; in memory up to 64 MiB, else read when used.

    With `chunks` they are dask arrays, in pieces as `xarray.open_zarr` makes them.

    A run whose process died is completed from its journal first; of one that is being written, this is what is
    committed, and in memory only arrays that are whole. Raises RecordError if there is no run, or if it cannot be read.
    """
    folder = _folder(Path(path))
    if not (folder / "run.json").exists() and (folder / "data.zarr").exists():
        return read_store(folder / "data.zarr", chunks)  # it was copied alone
    alive = _settle(folder)
    packing = check_files(folder)
    return read_store(folder / "data.zarr", chunks, alive=alive, hold=packing is Packing.OPEN)


def check_files(folder: Path) -> Packing:
    """Raise RecordError if a packed run lacks a chunk file: a reader would take it for "not measured"."""
    run = RunFile.read(folder / "run.json")
    expected = run.files
    try:
        found = count_files(folder / "data.zarr", expected)
    except OSError as error:
        raise RecordError(f"the data in {folder} cannot be read: {reason(error)} ({error.filename})") from error
    for name, count in expected.items():
        if found[name] != count:
            raise RecordError(
                f"the data in {folder} are not complete: {name!r} has {found[name]} of its {count} files; restore the "
                "folder data.zarr from a copy of the run"
            )
    return run.packing


def open_run(path: Path | str) -> StoredRun:
    """Return a run, given its folder or its `data.zarr`; completed as by `load`. Raises RecordError."""
    folder = _folder(Path(path))
    return _stored(folder, alive=_settle(folder))


def _stored(folder: Path, *, alive: bool) -> StoredRun:
    run = RunFile.read(folder / "run.json")
    state = run.state if alive or run.state.ended else State.INTERRUPTED
    points = run.points if run.state.ended else committed_points(folder)
    return StoredRun(folder, run.run_id, run.name, state, run.metadata, points)


def recover(path: Path | str) -> StoredRun:
    """Complete a run whose process died: replay its journal, mark it interrupted. Does nothing to a finished run.

    Raises RunLocked if the run is being written, and RecordError if it cannot be completed; the journal stays then.
    """
    folder = _folder(Path(path))
    run = RunFile.read(folder / "run.json")
    if (folder / "journal").exists():
        try:
            _recover(folder, run)
        except OSError as error:
            if isinstance(error, RecordError):
                raise
            raise RecordError(
                f"run {run.run_id} in {folder} cannot be completed: {reason(error)}; its journal is kept, and what was "
                f"committed can be opened by xarray.open_zarr({str(folder / 'data.zarr')!r})"
            ) from error
    return _stored(folder, alive=False)


def _folder(path: Path) -> Path:
    path = path.absolute()
    return path.parent if path.name == "data.zarr" else path


def _settle(folder: Path) -> bool:
    """Complete a broken run; return whether another process still writes it."""
    if not (folder / "journal").exists():
        run = RunFile.read(folder / "run.json")
        if not run.state.ended:
            _tell(
                f"run {folder.name} had not ended, but its journal is not there: its folder was copied in the middle of "
                "something, or somebody deleted it; its last points may be missing"
            )
        if run.packing is not Packing.DONE and not run.rebuilt and os.access(folder, os.W_OK):
            packer.later(folder)
        return False
    try:
        _recover_or_wait(folder)
    except RunLocked:
        return True
    except RecordError as error:
        cause = error.__cause__
        if not (isinstance(cause, OSError) and cause.errno in _NOT_WRITABLE):
            raise
        _tell(
            f"run {folder.name} was interrupted and cannot be completed where it is read-only: its last points may be missing"
        )
    return False


def _recover_or_wait(folder: Path) -> None:
    """Complete a broken run, or wait until another process has, which is just doing so. Raises RunLocked, RecordError."""
    until = time.monotonic() + _COMPLETED_S
    while True:
        try:
            recover(folder)
        except RunLocked:
            if doing(folder / "lock") != _COMPLETED or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


def _tell(text: str) -> None:
    warnings.warn(text, stacklevel=4)


@dataclass(slots=True)
class _Found:
    """What a journal holds, after all checksums were compared."""

    size: int
    end: int
    synced: int
    groups: list[Group]
    longest: int


def _recover(folder: Path, run: RunFile) -> None:
    lock = take_lock(folder / "lock", _COMPLETED)
    try:
        if (folder / "journal").exists():  # else another process has completed it in the meantime
            _complete(folder, RunFile.read(folder / "run.json"))
    finally:
        os.close(lock)


def _complete(folder: Path, run: RunFile) -> None:
    journal = os.open(folder / "journal", os.O_RDWR | os.O_CLOEXEC)
    try:
        found = _inspect(journal, folder)
        _cut(journal, folder, found)
        if not (folder / "data.zarr").exists():  # it died at its very start, or somebody deleted it
            make_store(folder / "data.zarr", root_text(run.root_attributes(run.state, 0, None), {}))
        store = Materialiser(folder / "data.zarr", keep_arrays=True)
        for group in found.groups:
            if group not in store.layout.groups:
                store.declare(group)
        points, last, lost = _replay(journal, found, store)
    finally:
        os.close(journal)
    state = run.state if run.state.ended else State.INTERRUPTED
    report: dict[str, Json] = {
        "points": points,
        "committed_before": committed_points(folder),
        "cut_bytes": found.size - found.end,
        "lost_arrays": cast(Json, lost),
    }
    packing = packing_json(store.seal(run.root_attributes(state, points, last)))
    ended = stamp(SystemClock.time_ns() if last is None else last)
    groups = groups_json(store.layout.groups)
    run.write(state=state.value, points=points, ended=ended, groups=groups, recovery=report, **packing)
    write_note(folder, SystemClock.time_ns(), "recovered", f"completed from the journal, {points} points", report)
    for spare in folder.glob(".*.partial"):
        remove_tree(spare, []) if spare.is_dir() else spare.unlink()
    (folder / "journal").unlink()
    sync_path(folder)


def _inspect(journal: int, folder: Path) -> _Found:
    size = os.fstat(journal).st_size
    try:
        synced = read_start(os.pread(journal, START, 0))
    except RecordError as error:
        raise RecordError(
            f"the journal of {folder} is damaged at its start: {error}; nothing was changed, and what was committed can be "
            f"opened by xarray.open_zarr({str(folder / 'data.zarr')!r})"
        ) from error
    scanner = Scanner(verify=True)
    groups = [item for item in _items(journal, scanner, size) if isinstance(item, Group)]
    if scanner.facts.get("boot") == boot_id():
        synced = size  # the computer did not go down: what was written before the process died is all there
    longest = max((codec.total for codec in scanner.codecs), default=0)
    longest = max(longest, pending_bytes(os.pread(journal, HEAD.size + 4, scanner.offset)))
    return _Found(size, scanner.offset, synced, groups, longest)


def _items(journal: int, scanner: Scanner, size: int) -> Iterator[Batch | Group]:
    before = -1
    while scanner.offset > before:
        before = scanner.offset
        yield from read_on(journal, scanner, size)


def _cut(journal: int, folder: Path, found: _Found) -> None:
    """Cut off what is behind the last good record. More than one torn record is damage: it is kept for a person."""
    tail = found.size - found.end
    if tail >= max(1, found.longest):
        data = os.pread(journal, tail, found.end)
        write_whole(folder / "journal.cut", data, spare=folder / ".journal.cut.partial", durable=True)
    if tail:
        os.ftruncate(journal, found.end)


def _replay(journal: int, found: _Found, store: Materialiser) -> tuple[int, int | None, dict[str, list[int]]]:
    """Apply every row; return the number of points, the time of the last one, and the places whose arrays are gone."""
    last = None
    places: dict[int, list[NDArray[np.int64]]] = {g.key: [] for g in store.layout.groups if _has_arrays(g)}
    scanner = Scanner(verify=False)
    store.texts = scanner.texts
    for batch in _gathered_items(journal, scanner, found, places):
        key = batch.codec.group.key
        store.apply(batch)
        last = int(batch.rows["time"][-1])
        if key in places:
            places[key].append(batch.rows["place"].astype(np.int64))
    lost: dict[str, list[int]] = {}
    for key, parts in places.items():
        acknowledged = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.int64)
        gone = store.clear_unacknowledged(key, acknowledged)
        if gone:
            lost[str(key)] = gone
    return store.points, last, lost


def _gathered_items(journal: int, scanner: Scanner, found: _Found, arrays: Container[int]) -> Iterator[Batch]:
    """Yield every row that survives, piece by piece of the journal; `arrays` are the groups that have some."""
    before = -1
    while scanner.offset > before:
        before = scanner.offset
        items = [item for item in read_on(journal, scanner, found.end) if isinstance(item, Batch)]
        kept = (_survivors(item, found.synced) if item.codec.group.key in arrays else item for item in items)
        yield from gathered([batch for batch in kept if len(batch.rows)])


def _has_arrays(group: Group) -> bool:
    return any(variable.dims for variable in group.variables)


def _survivors(batch: Batch, synced: int) -> Batch:
    """Return the rows whose arrays were on the disk before the power went: those before the synced offset."""
    codec: RowCodec = batch.codec
    count = max(0, min(len(batch.rows), (synced - batch.offset) // codec.total))
    return replace(batch, rows=batch.rows[:count])
