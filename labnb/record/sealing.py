"""What is done to a run after its end, in the background: it is packed, and later its growing chunk files are emptied.

```
open    growing chunk files only           a large run that has just ended
both    packed ones count, the others lie there for those who opened the store before
done    packed ones only
```
Each step can be repeated, and what a process leaves undone the next one that opens the run takes up.
"""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from labnb.core import LabnbError, SystemClock, have_threads
from labnb.record.arrays import StoredArray
from labnb.record.files import reason
from labnb.record.folder import write_note
from labnb.record.journal import group_from
from labnb.record.lock import is_held, take_lock
from labnb.record.materialiser import Materialiser
from labnb.record.runfile import Packing, RunFile, packing_json

GRACE_S = 5.0
"""How long a run that has ended is left alone first."""
READERS_S = 600.0
"""How long those who have opened a store, and read it when they need it, still find the chunk files that it had.

Data that labnb has opened on this computer find them as long as they are there; after that others get an error.
"""


def pack_run(folder: Path, stop: Callable[[], bool] = lambda: False) -> None:
    """Pack a run that has ended, unless it is. Raises RunLocked, RecordError, OSError; all can be tried again."""
    _locked(folder, lambda run: _pack(folder, run, stop) if run.packing is Packing.OPEN else None)


def retire_run(folder: Path) -> None:
    """Empty the chunk files that packed ones have replaced. Raises RunLocked, RecordError, OSError."""
    _locked(folder, lambda run: _retire(folder, run) if run.packing is Packing.BOTH else None)


def unpack_run(folder: Path, run: RunFile) -> None:
    """Bring array variables back to growing chunk files; the caller holds the lock. Raises RecordError, OSError."""
    if run.packing is not Packing.OPEN:
        store, metadata = _store(folder, run)
        store.unpack({name: _as_stored(array, metadata[name]) for name, array in store.arrays.items()})


def _as_stored(array: StoredArray, document: dict[str, Any]) -> StoredArray:  # zarr's JSON
    return array.packed(whole=document["data_type"] != array.data_type)


def _locked(folder: Path, work: Callable[[RunFile], None]) -> None:
    lock = take_lock(folder / "lock", "packed")
    try:
        run = RunFile.read(folder / "run.json")
        if run.state.ended and not run.rebuilt and not (folder / "journal").exists():
            work(run)
    finally:
        os.close(lock)


def _pack(folder: Path, run: RunFile, stop: Callable[[], bool]) -> None:
    store, _ = _store(folder, run)
    attributes = json.loads((folder / "data.zarr" / "zarr.json").read_bytes())["attributes"]
    files = store.pack(attributes, stop)
    if files is not None:
        run.write(**packing_json(files))


def _retire(folder: Path, run: RunFile) -> None:
    _store(folder, run)[0].retire()
    run.write(packing=Packing.DONE.value)


def _store(folder: Path, run: RunFile) -> tuple[Materialiser, dict[str, Any]]:  # zarr's JSON
    """Return the store of a run that has ended, and the metadata of its arrays."""
    root = json.loads((folder / "data.zarr" / "zarr.json").read_bytes())
    metadata = cast(dict[str, Any], root["consolidated_metadata"]["metadata"])
    store = Materialiser(folder / "data.zarr", keep_all=True)
    for document in run.groups:
        store.declare(group_from(cast(dict[str, Any], document)))
    store.take_lengths(metadata)
    return store, metadata


class Packer:
    """Does this for any number of runs in one thread, which ends when nothing is left to do."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._due: dict[Path, float] = {}
        self._busy: Path | None = None
        self._stop = False
        self._thread: threading.Thread | None = None
        self.looked = 0
        """How many steps it has done or tried."""

    def later(self, folder: Path, after_s: float = GRACE_S) -> None:
        """Do what is left to be done to a run, some time from now; where there are no threads, leave it as it is."""
        if not have_threads():
            return
        with self._change:
            self._due.setdefault(folder, time.monotonic() + after_s)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="labnb packing", daemon=True)
                self._thread.start()
            self._change.notify_all()

    def withdraw(self, folder: Path) -> None:
        """Leave a run alone; return when nothing is done to it any more."""
        with self._change:
            self._due.pop(folder, None)
            if self._busy == folder:
                self._stop = True
            self._change.wait_for(lambda: self._busy != folder)

    def join(self) -> None:
        """Return when all is done; for tests and for the end of a program."""
        with self._change:
            self._change.wait_for(lambda: not self._due and self._busy is None)

    def _work(self) -> None:
        while (folder := self._next()) is not None:
            try:
                again = self._do(folder)
            finally:
                with self._change:
                    self._busy = None
                    self.looked += 1
                    self._change.notify_all()
            if again is not None:
                self.later(folder, again)

    def _next(self) -> Path | None:
        with self._change:
            while self._due:
                folder, due = min(self._due.items(), key=lambda each: each[1])
                wait = due - time.monotonic()
                if wait <= 0:
                    del self._due[folder]
                    self._busy, self._stop = folder, False
                    return folder
                self._change.wait(wait)
            self._thread = None
            return None

    def _do(self, folder: Path) -> float | None:
        """Do one step; return in how many seconds there is another, None if there is none."""
        try:
            packing = RunFile.read(folder / "run.json").packing
            if packing is Packing.OPEN:
                pack_run(folder, lambda: self._stop)
                return None if self._stop else READERS_S
            if packing is Packing.BOTH:
                packed_s = time.time() - (folder / "data.zarr" / "zarr.json").stat().st_mtime
                if 0 <= packed_s < READERS_S:
                    return READERS_S - packed_s
                if is_held(folder / "data.zarr"):
                    return READERS_S
                retire_run(folder)
        except (LabnbError, OSError, ValueError, KeyError) as error:
            _note(folder, error)
        return None


def _note(folder: Path, error: Exception) -> None:
    """Say in the run's events what went wrong. A run that was deleted, or is written again, needs nothing."""
    why = reason(error) if isinstance(error, OSError) else str(error)
    with contextlib.suppress(LabnbError):
        if (folder / "run.json").exists():
            text = f"not packed: {why}; the data are complete, and it is tried again when the run is opened"
            write_note(folder, SystemClock.time_ns(), "warning", text, {})


packer = Packer()


def _start_anew_in_child() -> None:
    packer.__init__()


os.register_at_fork(after_in_child=_start_anew_in_child)
