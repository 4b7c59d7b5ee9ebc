"""One writer per run: a lock that the system releases when its holder dies, and that names its holder."""

import contextlib
import fcntl
import json
import os
import platform
from collections.abc import Generator
from pathlib import Path

from labnb.core import RecordError, RunLocked
from labnb.record.files import reason


def take_lock(path: Path, doing: str = "written") -> int:
    """Return the descriptor that holds the lock until it is closed. Raises RunLocked, naming the holder.

    `doing` is what others are told is being done to the run.

    The folder may be read-only: then the lock is taken, but no holder written.
    """
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RunLocked(f"run {path.parent.name} is being {_holder(path)}") from error
    except BaseException:
        os.close(descriptor)
        raise
    with contextlib.suppress(OSError):  # who holds it is only a courtesy to the next one
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps({"pid": os.getpid(), "host": platform.node(), "doing": doing}).encode(), 0)
    return descriptor


def is_locked(path: Path) -> bool:
    """Whether a process that lives writes the run of this lock file.

    A shared lock is tried: it never disturbs a writer that is there, and is let go at once if there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def hold_folder(folder: Path) -> Generator[None]:
    """Let one process at a time change small files in `folder`; others wait the few milliseconds.

    Where folders cannot be locked (NFS), of two changes at the same instant the later one wins.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as first:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise RecordError(f"{path} cannot be opened to lock the run: {reason(first)}") from first


def _holder(path: Path) -> str:
    try:
        found = json.loads(path.read_bytes())
        doing = str(found.get("doing", "written"))
        advice = "stop that run first" if doing == "written" else "try again in a moment"
        return f"{doing} by process {found['pid']} on {found['host']}; {advice}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "written by another process; stop that run first"
