"""The one background thread of a run: it follows the journal and brings the store up to it, every `period_s`.

It shares no buffer with the thread that puts points: what it materialises is what lies in the journal file. A cycle
that fails (disk full) is kept as the run's trouble and repeated; every step of it can be.
"""

import contextlib
import errno
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from labnb.core import Group, RecordError, State, have_threads
from labnb.record.files import begin_writing, is_gone, sync_path
from labnb.record.folder import write_note
from labnb.record.journal import MAGIC, START, Batch, Scanner, gathered, slot
from labnb.record.materialiser import Materialiser
from labnb.record.runfile import RunFile, groups_json
from labnb.record.system import force

_READ_BYTES = 4 << 20
_CLOCK_NOISE_NS = 1_000_000_000


@dataclass(slots=True)
class Touched:
    """Array files that were written and not yet forced to the disk; filled by one thread, emptied by another."""

    paths: set[Path] = field(default_factory=set[Path])
    lock: threading.Lock = field(default_factory=threading.Lock)
    left: "queue.SimpleQueue[Path | None]" = field(default_factory=queue.SimpleQueue)
    """Files that were left for the next one: nothing more comes for most of them, so the disk may have them now."""
    _latest: dict[Path, Path] = field(default_factory=dict[Path, Path])

    def add(self, path: Path) -> None:
        """Remember a file, before the journal speaks of it."""
        with self.lock:
            if path in self.paths:
                return
            self.paths.add(path)
        before = self._latest.get(path.parent, path)
        self._latest[path.parent] = path
        if before != path:
            self.left.put(before)

    def take(self) -> set[Path]:
        """Return all files and forget them."""
        with self.lock:
            taken, self.paths = self.paths, set()
            return taken


def read_on(descriptor: int, scanner: Scanner, size: int) -> list[Batch | Group]:
    """Feed the next piece of a journal of `size` bytes; return what it holds. The scanner stands still at its end."""
    want, before = _READ_BYTES, scanner.offset
    while True:
        left = size - before
        found = scanner.feed(os.pread(descriptor, min(want, left), before))
        if scanner.offset > before or want >= left:
            return found
        want *= 8  # a record longer than what was read: the declaration of a very long axis


class Follower:
    """Materialises a journal file, cycle by cycle. Not thread-safe; every cycle can be repeated after an error."""

    def __init__(self, journal: Path, store: Materialiser, run: RunFile, touched: Touched) -> None:
        self._store = store
        self._run = run
        self.touched = touched
        self._scanner = Scanner(verify=False)
        store.texts = self._scanner.texts
        self._pending: list[Batch | Group] = []
        self._journal = journal
        self._folder = journal.parent
        self._fd = os.open(journal, os.O_RDWR | os.O_CLOEXEC)
        self._synced = START
        self._changed = True
        self._replay_to = 0
        self._began_at = os.fstat(self._fd).st_size
        self._watched_ns: int | None = None
        self.last_time_ns: int | None = None

    @property
    def points(self) -> int:
        """How many places of the main grid are materialised."""
        return self._store.points

    def close(self) -> None:
        """Let go of the journal."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def touch(self) -> None:
        """Have the next cycle commit even if no point came."""
        self._changed = True

    def cycle(self) -> None:
        """Force to the disk, materialise and show what the journal holds by now. Raises OSError.

        One of them says that the journal is gone: what would be written to it then, nobody would ever find.
        """
        if is_gone(self._journal, self._fd):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self._journal))
        size = os.fstat(self._fd).st_size
        self._force(size)
        while self._pending or self._read(size):
            self._apply()
        if self._changed:
            self._changed = False
            try:
                self._store.commit(self._run.root_attributes(State.RUNNING, self.points, self.last_time_ns))
            except BaseException:
                self._changed = True
                raise

    def caught_up(self) -> bool:
        """Whether everything in the journal is materialised."""
        return not self._pending and self._scanner.offset == os.fstat(self._fd).st_size

    @property
    def offset(self) -> int:
        """Where reading of the journal stands."""
        return self._scanner.offset

    def _force(self, size: int) -> None:
        if size <= self._synced:
            return
        taken = self.touched.take()
        try:
            for path in taken:
                sync_path(path)
            for folder in {path.parent for path in taken}:
                sync_path(folder)
                sync_path(folder.parent)
        except BaseException:
            for path in taken:
                self.touched.add(path)
            raise
        os.pwrite(self._fd, slot(size), len(MAGIC))
        force(self._fd)
        self._synced = size

    def _read(self, size: int) -> bool:
        """Take the next piece of the journal in; return whether there was one."""
        before = self._scanner.offset
        batches = list[Batch]()
        for item in read_on(self._fd, self._scanner, size):
            if isinstance(item, Batch):
                batches.append(item)
                continue
            self._queue(batches)
            self._pending.append(item)
            batches = []
        self._queue(batches)
        return self._scanner.offset > before

    def _queue(self, batches: list[Batch]) -> None:
        self._watch_clock(batches)
        self._pending += gathered(batches)

    def _apply(self) -> None:
        if self._replay_to:
            self._replay()
        while self._pending:
            item = self._pending[0]
            if isinstance(item, Group):
                self._declare(item)
            else:
                self._store.apply(item)
                self.last_time_ns = int(item.rows["time"][-1])
            self._changed = True
            del self._pending[0]

    def _watch_clock(self, batches: list[Batch]) -> None:
        """Note when the computer's clock is set back: times are kept as they came, so the order of points is not theirs."""
        if not batches:
            return
        before, self._watched_ns = self._watched_ns, int(batches[-1].rows["time"][-1])
        if batches[0].offset < self._began_at or before is None:
            return
        times = np.concatenate([[before], *(batch.rows["time"] for batch in batches)])
        back_ns = int(np.diff(times).min())
        if back_ns < -_CLOCK_NOISE_NS:
            text = f"the computer's clock was set back by {-back_ns / 1e9:.0f} s during the run; times of points before and after overlap"
            with contextlib.suppress(RecordError):
                write_note(self._folder, int(times[-1]), "warning", text, {})

    def _declare(self, group: Group) -> None:
        if group not in self._store.layout.groups and self._store.declare(group):
            self._replay_to = self._scanner.offset
            self._replay()
        self._run.write(groups=groups_json(self._store.layout.groups))

    def _replay(self) -> None:
        """Apply all rows once more: an array of times has got another name."""
        scanner, keys = Scanner(verify=False), {group.key for group in self._store.layout.groups}
        while scanner.offset < self._replay_to:
            for item in read_on(self._fd, scanner, self._replay_to):
                if isinstance(item, Batch) and item.codec.group.key in keys:
                    self._store.apply(replace(item, arrays=()))
        self._replay_to = 0


class Writer:
    """Runs a follower's cycles in a thread, and on request in the caller's.

    Between two cycles the thread has the disk begin with array files that are left, so that it works while the next
    ones are filled: what a cycle then still has to wait for is the last piece.
    """

    def __init__(
        self, follower: Follower, period_s: float, trouble: Callable[[Exception | None], None], name: str
    ) -> None:
        """`trouble` is told what went wrong in the thread, and None when a later cycle went well."""
        self._follower = follower
        self._period_s = period_s
        self._trouble = trouble
        self._left = follower.touched.left
        self._cycling = threading.Lock()
        self._thread = threading.Thread(target=self._loop, name=f"labnb record {name}", daemon=True)

    def start(self) -> None:
        """Start the thread. In a browser there is none: then the store follows on request, and at the end."""
        if have_threads():
            self._thread.start()

    def stop(self) -> None:
        """End the thread; return when it has ended."""
        if self._thread.is_alive():
            self._left.put(None)
            self._thread.join()

    def cycle(self) -> None:
        """Run one cycle now. Raises what it raises."""
        with self._cycling:
            self._follower.cycle()

    def _loop(self) -> None:
        failed = False
        while self._rest():
            try:
                self.cycle()
            except Exception as error:  # noqa: BLE001  shown to a person by the next put, flush or close
                failed = True
                self._trouble(error)
            else:
                if failed:
                    self._trouble(None)
                failed = False

    def _rest(self) -> bool:
        """Return when the next cycle is due, False when there is to be none."""
        due = time.monotonic() + self._period_s
        while True:
            try:
                path = self._left.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                return True
            if path is None:
                return False
            begin_writing(path)
