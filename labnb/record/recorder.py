"""Stores the points of one run: the journal at once, everything else behind it.

`put` is the hot path: one type check, one struct, one checksum, one `os.write`. What does not go straight through
takes `_put_slowly`, which finds out why and says so.
"""

import contextlib
import os
import struct
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

from labnb.core import (
    Clock,
    Group,
    Json,
    LifecycleError,
    PlainPoint,
    Point,
    RecordError,
    SchemaError,
    State,
    check_name,
    present_clock,
)
from labnb.record.arrays import root_text
from labnb.record.declaring import Declared, as_kept
from labnb.record.files import is_gone, reason, remove_tree, sync_path, write_whole
from labnb.record.folder import boot_id, make_folder, make_store, write_note
from labnb.record.growing import read_growing
from labnb.record.journal import (
    HEAD,
    MAGIC,
    START,
    again_record,
    group_record,
    run_record,
    slot,
    text_record,
)
from labnb.record.lock import take_lock
from labnb.record.materialiser import Materialiser
from labnb.record.opening import recover
from labnb.record.points import Item, Row, row_record, whole_array
from labnb.record.resuming import Kept, read_kept, read_unfinished, write_journal
from labnb.record.runfile import RunFile, packing_json, stamp
from labnb.record.sealing import packer, unpack_run
from labnb.record.writer import Follower, Touched, Writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_head = HEAD.pack
_write = os.write


class Recorder:
    """Keeps every point of one run from the moment `put` returned; implements `labnb.core.Sink`.

    `declare` and `put` are called from one thread at a time. Readers may open `data_path` by a plain
    `xarray.open_zarr` from now on, at any moment. Make it by `Recorder.create`.
    """

    def __init__(
        self, path: Path, run: RunFile, clock: Clock, lock: int, journal: int, period_s: float, *, again: bool = False
    ) -> None:
        self.path = path
        self.run_id = run.run_id
        self.data_path = path / "data.zarr"
        self.points = 0
        self._run = run
        self._clock = clock
        self._lock = lock
        self._fd = journal
        self.kept: dict[int, Kept] = {}
        """What was there already when the run was resumed, by the key of the group."""
        self._declared = Declared(self.data_path)
        self._known = self._declared.rows
        self._rows: dict[int, Row] = {}  # what `put` sees; empty while something is wrong, so that it looks closer
        self._texts: dict[str, int] = {}
        self._trouble: Exception | None = None
        self._torn_at = -1
        self._closed = False
        self._touched = Touched()
        self._store = Materialiser(self.data_path, keep_all=again)
        self._follower = Follower(path / "journal", self._store, run, self._touched)
        self._writer = Writer(self._follower, period_s, self._set_trouble, self.run_id)
        _alive.add(self)

    @classmethod
    def create(
        cls,
        root: Path,
        name: str,
        metadata: Mapping[str, object],
        *,
        clock: Clock | None = None,
        period_s: float = 0.25,
    ) -> "Recorder":
        """Make the folder of a new run below `root` (made if its parent exists) and begin to record.

        Raises PlanError for a name that cannot be used and RecordError if the folder cannot be written; nothing is
        left behind then. `period_s` is how often, at most, points are forced to the disk and shown to readers.
        """
        check_name(name, "run")
        clock = present_clock() if clock is None else clock
        path, made = make_folder(Path(root).absolute(), name, clock.time_ns())
        try:
            recorder = cls._begin(path, name, metadata, clock, period_s)
        except BaseException as error:
            remove_tree(path, made)
            if isinstance(error, OSError) and not isinstance(error, RecordError):
                raise RecordError(f"run {name!r} cannot be recorded in {path}: {reason(error)}") from error
            raise
        return recorder

    @classmethod
    def _begin(cls, path: Path, name: str, metadata: Mapping[str, object], clock: Clock, period_s: float) -> "Recorder":
        run = RunFile.new(path / "run.json", path.name[16:], name, clock.time_ns(), metadata)
        with contextlib.ExitStack() as undo:
            lock = take_lock(path / "lock")
            undo.callback(os.close, lock)
            facts = {"run": run.run_id, "boot": boot_id()}
            start = MAGIC + slot(START) + run_record(facts)
            write_whole(path / "journal", start, spare=path / ".journal.partial", durable=True)
            journal = os.open(path / "journal", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            undo.callback(os.close, journal)
            make_store(path / "data.zarr", root_text(run.root_attributes(State.RUNNING, 0, None), {}))
            recorder = cls(path, run, clock, lock, journal, period_s)
            undo.callback(recorder._follower.close)
            recorder._writer.cycle()
            run.write()
            for folder in (path, *path.parents[:4]):
                sync_path(folder)
            recorder._writer.start()
            undo.pop_all()
        return recorder

    @classmethod
    def resume(
        cls,
        path: Path,
        metadata: Mapping[str, object],
        check: "Callable[[Mapping[int, Kept]], None] | None" = None,
        *,
        clock: Clock | None = None,
        period_s: float = 0.25,
    ) -> "Recorder":
        """Go on with a run that has ended before it was done; `kept` says what it has. `metadata` is added to its own.

        A group that it has declared may be declared again, as it was; points at places that it has are refused to
        nobody: the caller skips them. `check` gets what it has and may raise, before anything is changed.
        Raises RecordError if there is no such run, or it is done, and RunLocked if somebody still writes it.
        """
        run = recover(path)
        clock = present_clock() if clock is None else clock
        packer.withdraw(run.path)
        try:
            return cls._begin_again(run.path, metadata, check, clock, period_s)
        except OSError as error:
            if isinstance(error, RecordError):
                raise
            raise RecordError(f"run {run.run_id} cannot be resumed in {run.path}: {reason(error)}") from error

    @classmethod
    def _begin_again(
        cls,
        path: Path,
        metadata: Mapping[str, object],
        check: "Callable[[Mapping[int, Kept]], None] | None",
        clock: Clock,
        period_s: float,
    ) -> "Recorder":
        with contextlib.ExitStack() as undo:
            lock = take_lock(path / "lock")
            undo.callback(os.close, lock)
            run = read_unfinished(path)  # only now: another process may have gone on with it until a moment ago
            kept = read_kept(path, run)
            if check is not None:
                check({each.group.key: each for each in kept})
            unpack_run(path, run)
            resumed = [*cast("list[Json]", run.metadata.get("resumed", [])), stamp(clock.time_ns())]
            write_journal(path, run.run_id, kept)
            run.write(state=State.RUNNING.value, ended=None, **packing_json(None))
            run.add_metadata({**metadata, "resumed": resumed})
            journal = os.open(path / "journal", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            undo.callback(os.close, journal)
            recorder = cls(path, run, clock, lock, journal, period_s, again=True)
            undo.callback(recorder._follower.close)
            recorder._take_kept(kept)
            recorder._writer.cycle()
            recorder._writer.start()
            undo.pop_all()
        return recorder

    def _take_kept(self, kept: list[Kept]) -> None:
        for each in kept:
            self._texts = {text: number for number, text in enumerate(each.texts)}
            self._know(each.group, keep=True)
            self._known[each.group.key].had.update(each.places)
            self.kept[each.group.key] = each
            self.points += len(each.rows)

    def _know(self, group: Group, *, keep: bool = False) -> None:
        """Take a group in, or what a later declaration says of one; with `keep` the journal has it already."""
        row = self._declared.row_of(group)
        if not keep:
            self._append(group_record(row.group))
        self._declared.accept(row)
        self._rows = self._known

    def declare(self, group: Group) -> None:
        """Announce a group before its first point, or once more with the first value of a variable that was undecided.

        Raises SchemaError if it contradicts an earlier one, RecordError.
        """
        self._check_usable()
        known = self.kept.get(group.key)
        if known is None:
            self._know(group)
            return
        changed = as_kept(known.group, group, self.run_id)
        if changed != known.group:
            self._know(changed)
            self.kept[group.key] = replace(known, group=changed)

    def put(self, point: PlainPoint) -> None:
        """Keep one point; what returned survives the death of this process.

        Raises SchemaError if a value does not fit its variable and RecordError if the point cannot be written (disk
        full); the point is absent then, and the next one may succeed.
        """
        key, place, values, time_ns = point
        row = self._rows.get(key)
        # One variable is the usual case; its short form saves 80 ns.
        kinds = (type(values[0]),) if len(values) == 1 else tuple(map(type, values))
        if row is None or kinds not in row.admitted or not 0 <= place < row.size:
            self._put_slowly(Point(*point))
            return
        for k, value in row.reserved:
            if values[k] == value:
                self._put_slowly(Point(*point))
                return
        try:
            body = row.pack(row.index, place, time_ns, *values)
        except (struct.error, OverflowError, TypeError):
            self._put_slowly(Point(*point))
            return
        length = row.length
        try:
            written = _write(self._fd, _head(length, crc32(body, length)) + body)
        except OSError as error:
            raise self._not_written(reason(error)) from error
        if written != row.total:
            self._take_back(written)
        self.points += 1

    def flush(self) -> None:
        """Show every point to readers now. Raises RecordError if that fails; the points are kept all the same."""
        self._check_open()
        self._mend()
        self._cycle()

    def note(self, kind: str, text: str, **fields: object) -> None:
        """Add a line to `events.ndjson`: a log line, a warning, what failed. Raises RecordError."""
        write_note(self.path, self._clock.time_ns(), kind, text, fields)

    @property
    def journal_bytes(self) -> int:
        """How long the journal is by now; it grows until the run is closed, and is read anew after a crash."""
        return os.fstat(self._fd).st_size if self._fd >= 0 else 0

    def shown(self, axis: str) -> int:
        """Return how many places along an open axis lie in the store, which readers see at the next commit."""
        return self._store.lengths.get(axis, 0)

    def read(self, name: str, start: int, stop: int) -> "NDArray[Any]":
        """Return the values `start` … `stop` of an array over an open axis, as they lie on disk. Raises RecordError.

        Of scalars and times those before `shown`, of arrays all that were put.
        """
        try:
            return read_growing(self.data_path, self._declared.array(name), start, stop)
        except OSError as error:
            raise RecordError(
                f"run {self.run_id}: {name!r} cannot be read from {self.data_path}: {reason(error)}"
            ) from error

    def update_metadata(self, extra: Mapping[str, object]) -> None:
        """Add to what describes the run: in `run.json` now, for readers of the data at the next commit."""
        self._check_open()
        try:
            self._run.add_metadata(extra)
        except OSError as error:
            raise RecordError(f"run {self.run_id}: metadata not written to {self.path}: {reason(error)}") from error
        self._follower.touch()

    def close(self, state: State) -> None:
        """Take note of how the run ended, force everything to the disk and delete the journal.

        Raises RecordError if that fails: then the journal stays, and `recover` brings the run to its end.
        """
        if self._closed:
            return
        if not state.ended:
            raise LifecycleError(f"run {self.run_id}: a run cannot be closed as {state}; it must have ended")
        self._closed = True
        self._rows = {}
        try:
            self._writer.stop()
            self._mend()
            self._cycle()
            self._seal(state)
        except OSError as error:
            if isinstance(error, RecordError):
                raise
            raise RecordError(
                f"run {self.run_id}: not brought to its end in {self.path}: {reason(error)}; all {self.points} points "
                "are kept in its journal, loading the run completes it"
            ) from error
        finally:
            self._let_go()
        packer.later(self.path)

    def _seal(self, state: State) -> None:
        points, last = self._follower.points, self._follower.last_time_ns
        packing = packing_json(self._store.seal(self._run.root_attributes(state, points, last)))
        self._run.write(state=state.value, points=points, ended=stamp(self._clock.time_ns()), **packing)
        (self.path / "journal").unlink()
        sync_path(self.path)

    def _put_slowly(self, point: Point) -> None:
        """Store a point with arrays, ABSENT or unfamiliar types, or say what is wrong with it."""
        self._check_usable()
        row = self._known.get(point.group)
        if row is None:
            raise SchemaError(f"a point of group {point.group}, which was never declared")
        where = row.where(point)
        numbers, arrays = row.fit(point, where)
        # Texts get their numbers last of all: a point that is refused leaves nothing in the journal.
        row_record(row, point, [0 if isinstance(number, str) else number for number in numbers], where)
        again = point.place in row.had
        if arrays and not again:
            self._write_items(point.place, row.items(point.place, arrays), where)
        coded = [self._number_of(number) if isinstance(number, str) else number for number in numbers]
        record = row_record(row, point, coded, where)
        self._append(again_record(record, map(whole_array, arrays)) if arrays and again else record)
        self.points += 1
        if arrays or row.undecided:
            row.had.add(point.place)
        row.admit(tuple(map(type, point.values)))

    def _write_items(self, place: int, items: Iterable[Item], where: str) -> None:
        try:
            with self._store.writing:
                for files, data in items:
                    self._touched.add(files.write(place, data))
        except OSError as error:
            raise self._not_written(f"an array of {where} not written: {reason(error)}") from error

    def _number_of(self, text: str) -> int:
        number = self._texts.get(text)
        if number is None:
            number = len(self._texts)
            self._append(text_record(text))
            self._texts[text] = number
        return number

    def _append(self, record: bytes) -> None:
        try:
            written = os.write(self._fd, record)
        except OSError as error:
            raise self._not_written(reason(error)) from error
        if written != len(record):
            self._take_back(written)

    def _take_back(self, written: int) -> None:
        """Cut a record that was written in part off the journal, and raise."""
        self._torn_at = os.fstat(self._fd).st_size - written
        with contextlib.suppress(OSError):
            self._mend()
        raise self._not_written("no space left on the device")

    def _mend(self) -> None:
        if self._torn_at >= 0:
            self._rows = {}
            os.ftruncate(self._fd, self._torn_at)
            self._torn_at = -1
            self._rows = {} if self._closed else self._known

    def _not_written(self, why: str) -> RecordError:
        return RecordError(
            f"run {self.run_id}: point not written to {self.path}: {why}; the {self.points} points before it are kept, "
            "and recording goes on as soon as writing works again"
        )

    def _cycle(self) -> None:
        try:
            self._writer.cycle()
        except Exception as error:
            raise self._not_shown(error) from error
        self._trouble = None
        if not self._follower.caught_up():
            raise RecordError(
                f"run {self.run_id}: the journal is damaged at byte {self._follower.offset} of {self.path}"
            )

    def _not_shown(self, error: Exception) -> RecordError:
        if is_gone(self.path / "journal", self._fd):
            gone = "its journal is gone (deleted, or another process completed the run after its lock was deleted)"
            if not self.path.exists():
                gone = "its folder is gone (deleted, moved, or its disk was taken away)"
            return RecordError(
                f"run {self.run_id}: {gone}: {self.path}; what was put since then is not kept; start a new run"
            )
        why = reason(error) if isinstance(error, OSError) else repr(error)
        return RecordError(
            f"run {self.run_id}: data not written to {self.data_path}: {why}; the {self.points} points so far are kept in "
            "the journal, and writing is tried again"
        )

    def _set_trouble(self, error: Exception | None) -> None:
        self._trouble = error
        if error is not None:
            self._rows = {}
        elif not self._closed and self._torn_at < 0:
            self._rows = self._known

    def _check_usable(self) -> None:
        """Raise what went wrong in the background, once; the point at hand is not stored then."""
        self._check_open()
        error, self._trouble = self._trouble, None
        try:
            self._mend()
        except OSError as again:
            raise self._not_written(reason(again)) from again
        self._rows = self._known
        if error is not None:
            raise self._not_shown(error) from error

    def _check_open(self) -> None:
        if self._closed:
            raise RecordError(f"run {self.run_id} is closed; start a new run to record more")
        if self._fd < 0:
            raise RecordError(f"run {self.run_id} is recorded by the process that this one was forked from")

    def _let_go(self) -> None:
        """Close every descriptor; the lock is free when the last process that had it open has closed it."""
        self._rows = {}
        self._follower.close()
        journal, lock, self._fd, self._lock = self._fd, self._lock, -1, -1
        for descriptor in (journal, lock):
            if descriptor >= 0:
                os.close(descriptor)


_alive: "weakref.WeakSet[Recorder]" = weakref.WeakSet()


def _forget_in_child() -> None:
    """Let go of every run: a forked child must neither write a journal nor keep a lock when its parent has died."""
    for recorder in list(_alive):
        recorder._let_go()  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  the same module


os.register_at_fork(after_in_child=_forget_in_child)
