"""What of a run travels: the files of its store that count, and what describes it. Never its journal, lock or spares."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass
from pathlib import Path

from labnb.core import LabnbError, LifecycleError, RecordError, State
from labnb.record.files import reason
from labnb.record.lock import take_lock
from labnb.record.opening import check_files, open_run
from labnb.record.packing import is_intact
from labnb.record.runfile import Packing, RunFile
from labnb.record.sealing import pack_run, packer

STORE = "data.zarr"
ROOT = f"{STORE}/zarr.json"
DESCRIBING = ("run.json", "events.ndjson")


@dataclass(frozen=True, slots=True)
class Content:
    """How large a file is, and its SHA-256: the CRC of a chunk that ends with its own CRC is the same for every chunk."""

    size: int
    check: str


@dataclass(frozen=True, slots=True)
class Parcel:
    """A run that has ended. `files` are those of its store, by their path in its folder."""

    folder: Path
    run: RunFile
    files: dict[str, Content]

    @property
    def described(self) -> tuple[str, ...]:
        """The files besides the store."""
        return tuple(name for name in DESCRIBING if (self.folder / name).exists())

    def read(self, name: str) -> bytes:
        """Return the bytes of a file. Raises RecordError."""
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise RecordError(f"{self.folder / name} cannot be read: {reason(error)}") from error


@contextlib.asynccontextmanager
async def pack_up(folder: Path) -> AsyncGenerator[Parcel]:
    """Keep a run as it is and yield what of it travels. Nothing else can change its data meanwhile.

    A run whose process died is completed first. Raises LifecycleError if it is still measured, RunLocked, and
    RecordError if it cannot be read or a file of it is damaged.
    """
    found = open_run(folder)
    if found.state is State.RUNNING:
        raise LifecycleError(f"run {found.run_id} is still being measured; publish it when it has ended")
    packer.withdraw(found.path)
    try:
        _pack(found.path)
        with _kept(found.path):
            run = RunFile.read(found.path / "run.json")
            if not run.state.ended:
                raise LifecycleError(f"run {run.run_id} is being measured again; publish it when it has ended")
            check_files(found.path)
            yield Parcel(found.path, run, {name: await _look(found.path, name) for name in _names(found.path, run)})
    finally:
        if os.access(found.path, os.W_OK):
            packer.later(found.path)


def _pack(folder: Path) -> None:
    """Pack the run, if that is still to be done: fewer bytes to send. Where it is read-only it travels as it is."""
    try:
        pack_run(folder)
    except (LabnbError, OSError):
        if os.access(folder, os.W_OK):
            raise


@contextlib.contextmanager
def _kept(folder: Path) -> Generator[None]:
    try:
        lock = take_lock(folder / "lock", "published")
    except RecordError:
        if os.access(folder, os.W_OK) or (folder / "lock").exists():
            raise
        yield  # a copy on a read-only medium: nobody can write it
        return
    try:
        yield
    finally:
        os.close(lock)


def _names(folder: Path, run: RunFile) -> list[str]:
    """Return the files that readers use: of the two kinds of chunk files only the one that counts."""
    growing = run.packing is Packing.OPEN
    names = [
        path.relative_to(folder).as_posix()
        for path in (folder / STORE).rglob("*")
        if path.is_file() and (path.name == "zarr.json" or path.name.startswith("c") == growing)
    ]
    return sorted(names)


async def _look(folder: Path, name: str) -> Content:
    await asyncio.sleep(0)  # being cancelled ends it between two files
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise RecordError(f"{folder / name} cannot be read: {reason(error)}") from error
    packed = not name.endswith("zarr.json") and not Path(name).name.startswith("c")
    if packed and not is_intact(data):
        raise RecordError(
            f"{folder / name} is damaged: its checksum does not match; nothing was published; restore this file from a "
            "copy of the run"
        )
    return Content(len(data), hashlib.sha256(data).hexdigest())
