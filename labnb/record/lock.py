"""One writer per run: a lock that the system releases when its holder dies, and that names its holder.

Linux and macOS lock the file by flock, Windows one byte of it far behind its text, by msvcrt. Where a network file system
refuses flock (NFS without a lock service), POSIX's own locks are tried, on Linux those that belong to the open file: the
others are lost as soon as anything in the process that holds one looks at the file. Where those are refused too, nothing
is recorded.
"""

import contextlib
import errno
import json
import os
import platform
import struct
import weakref
from collections.abc import Callable, Generator
from importlib import import_module
from pathlib import Path
from typing import Any

from labnb.core import RecordError, RunLocked
from labnb.record.files import reason

_BEHIND = 1 << 30  # where Windows locks: what is locked there cannot be read, and the holder's name must be
_NOT_HERE = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
_HELD = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_FLOCK = struct.Struct("@hhqqi4x")  # Linux's `struct flock`: type, whence, start, length, pid
_CLOSED_WITH_FORK = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

Lock = Callable[[int, bool], None]
"""Locks a descriptor, for itself alone or (True) together with others; raises OSError with one of _HELD if it is held."""


def _by_flock(fcntl: Any) -> Lock:  # the module, which Windows has not
    def lock(descriptor: int, shared: bool) -> None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)

    return lock


def _by_record(fcntl: Any) -> Lock:  # as above
    def lock(descriptor: int, shared: bool) -> None:
        if not hasattr(fcntl, "F_OFD_SETLK"):
            fcntl.lockf(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return
        whole = _FLOCK.pack(fcntl.F_RDLCK if shared else fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, whole)

    return lock


def by_msvcrt(msvcrt: Any) -> Lock:  # the module, which only Windows has
    """Return how Windows locks. It knows no shared locks: for the moment of asking whether one is held, it is held."""

    def lock(descriptor: int, shared: bool) -> None:
        os.lseek(descriptor, _BEHIND, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        if shared:
            os.lseek(descriptor, _BEHIND, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    return lock


def _ways() -> tuple[Lock, ...]:
    """Return how this system locks files, best first."""
    if os.name == "nt":
        return (by_msvcrt(import_module("msvcrt")),)
    fcntl = import_module("fcntl")
    return (_by_flock(fcntl), _by_record(fcntl))


ways = _ways()


def take_lock(path: Path, doing: str = "written") -> int:
    """Return the descriptor that holds the lock until it is closed. Raises RunLocked, naming the holder, and RecordError.

    `doing` is what others are told is being done to the run.

    The folder may be read-only: then the lock is taken, but no holder written.
    """
    descriptor = _open(path)
    try:
        _lock(descriptor, shared=False)
    except OSError as error:
        os.close(descriptor)
        if error.errno in _HELD:
            raise RunLocked(f"run {path.parent.name} is being {_holder(path)}") from error
        raise RecordError(
            f"{path} cannot be locked: {reason(error)}; a run needs a disk that knows locks: record on a local one, or "
            "mount this network drive with its lock service"
        ) from error
    except BaseException:
        os.close(descriptor)
        raise
    with contextlib.suppress(OSError):  # who holds it is only a courtesy to the next one
        os.ftruncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, json.dumps({"pid": os.getpid(), "host": platform.node(), "doing": doing}).encode())
    return descriptor


def _lock(descriptor: int, *, shared: bool) -> None:
    """Lock by the first way that this file system knows. Raises OSError: the last one's, or that it is held."""
    for way in ways[:-1]:
        try:
            way(descriptor, shared)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
        else:
            return
    ways[-1](descriptor, shared)


def is_locked(path: Path) -> bool:
    """Whether a process that lives writes the run of this lock file.

    A shared lock is tried: it never disturbs a writer that is there, and is let go at once if there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _CLOSED_WITH_FORK)
    except OSError:
        return False
    try:
        _lock(descriptor, shared=True)
    except OSError as error:
        return error.errno in _HELD  # else a file system without locks
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def hold_folder(folder: Path) -> Generator[None]:
    """Let one process at a time change small files in `folder`; others wait the few milliseconds.

    Where folders cannot be locked (NFS, Windows), of two changes at the same instant the later one wins.
    """
    if os.name == "nt":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def hold_store(path: Path, holder: object) -> None:
    """Keep the chunk files that a store has now, until `holder` is no more: see `is_held`. A hint where folders cannot be locked."""
    if os.name == "nt":
        return
    import fcntl

    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(holder, os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_SH)  # `is_held` has it for a moment only


def is_held(path: Path) -> bool:
    """Whether somebody on this computer has opened a store, and reads it when it is used."""
    if os.name == "nt":
        return False
    import fcntl

    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _HELD
    finally:
        os.close(descriptor)
    return False


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | _CLOSED_WITH_FORK, 0o666)
    except OSError as first:
        try:
            return os.open(path, os.O_RDONLY | _CLOSED_WITH_FORK)
        except OSError:
            raise RecordError(f"{path} cannot be opened to lock the run: {reason(first)}") from first


def doing(path: Path) -> str:
    """Return what the last holder of a lock has said that it does; "" if that is not known."""
    try:
        return str(json.loads(path.read_bytes())["doing"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _holder(path: Path) -> str:
    try:
        found = json.loads(path.read_bytes())
        doing = str(found.get("doing", "written"))
        advice = "stop that run first" if doing == "written" else "try again in a moment"
        return f"{doing} by process {found['pid']} on {found['host']}; {advice}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "written by another process; stop that run first"
