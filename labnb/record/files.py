"""How bytes reach the disk so that a reader, or a power cut, never finds half of a file."""

import contextlib
import json
import os
import shutil
from pathlib import Path

from labnb.core import Json


def write_whole(path: Path, data: bytes, *, spare: Path, durable: bool) -> None:
    """Replace `path` by `data` in one rename. `spare` is a name in the same file system for the unfinished file."""
    descriptor = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    try:
        try:
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        spare.replace(path)
    except BaseException:
        spare.unlink(missing_ok=True)
        raise
    if durable:
        sync_path(path.parent)


def write_json(path: Path, document: Json) -> None:
    """Replace a JSON file that people read too, durably."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    write_whole(path, text.encode(), spare=path.with_name(f".{path.name}.partial"), durable=True)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte at the descriptor's position. Raises OSError (disk full) if that is not possible."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_path(path: Path) -> None:
    """Force a file's bytes, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_gone(path: Path, descriptor: int) -> bool:
    """Whether the open file lies at `path` no more: deleted, or deleted and made anew.

    Both its number and its count of links must say so, for some file systems make up the one or the other.
    """
    try:
        there = path.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    mine = os.fstat(descriptor)
    return mine.st_nlink == 0 and not os.path.samestat(there, mine)


def begin_writing(path: Path) -> None:
    """Have the disk begin with a file's bytes, without waiting for it. A hint: what fails shows when it is forced."""
    if not hasattr(os, "posix_fadvise"):  # macOS and Windows begin in their own time
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # Linux queues what is dirty, and keeps it
        finally:
            os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Force every file and folder below `folder`, and itself, to the disk."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            sync_path(Path(parent, name))
        sync_path(Path(parent))


def reason(error: OSError) -> str:
    """Return what the system says about `error`, without its number."""
    return error.strerror or str(error)


def remove_tree(path: Path | None, above: list[Path]) -> None:
    """Remove what a failed start has made: a folder with all in it, and empty folders above, innermost last."""
    if path is not None:
        shutil.rmtree(path, ignore_errors=True)
    for folder in reversed(above):
        with contextlib.suppress(OSError):
            folder.rmdir()
