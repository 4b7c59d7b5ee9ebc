"""A run's folder: how it is named and made, and the notes in it."""

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from labnb.core import RecordError, to_jsonable
from labnb.record.files import reason, remove_tree
from labnb.record.runfile import stamp


def write_note(path: Path, time_ns: int, kind: str, text: str, fields: Mapping[str, object]) -> None:
    """Append one line to the events of the run in `path`. Raises RecordError."""
    entry = {"time": stamp(time_ns), "kind": kind, "text": text, **fields}
    line = (json.dumps(to_jsonable(entry), ensure_ascii=False) + "\n").encode()
    try:
        descriptor = os.open(path / "events.ndjson", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            written = os.write(descriptor, line)
            if written != len(line):
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise RecordError(f"a note was not written to {path}: no space left on the device")
        finally:
            os.close(descriptor)
    except OSError as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"a note was not written to {path}: {reason(error)}") from error


def boot_id() -> str:
    """Return what names this start of this computer; "" where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def make_folder(root: Path, name: str, time_ns: int) -> tuple[Path, list[Path]]:
    """Make a folder of its own for a run; return it and the folders above that were made for it, outermost first."""
    began = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).astimezone()
    day = root / f"{began:%Y}" / f"{began:%m}" / f"{began:%d}"
    made: list[Path] = []
    try:
        for folder in (root, *reversed(day.parents[:2]), day):
            made.extend([folder] if _make_if_missing(folder) else [])
        return _own_folder(day, f"{began:%Y%m%d-%H%M%S}-{name}"), made
    except OSError as error:
        remove_tree(None, made)
        raise RecordError(
            f"run {name!r} cannot be recorded below {root}: {reason(error)} ({error.filename}); "
            "expected a folder that exists, or can be made in one that exists, and can be written"
        ) from error


def _make_if_missing(folder: Path) -> bool:
    try:
        folder.mkdir()
    except OSError:  # of several kinds, even for a folder that exists, on read-only file systems
        if not folder.exists() or not folder.is_dir():
            raise
        return False
    return True


def _own_folder(day: Path, stem: str) -> Path:
    while True:
        path = day / f"{stem}-{secrets.token_hex(2)}"
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            return path


def make_store(store: Path, text: str) -> None:
    """Make an empty zarr store, under another name first: whoever sees the folder can open it."""
    spare = store.with_name(f".{store.name}.partial")
    spare.mkdir(exist_ok=True)  # an earlier try may have died
    (spare / "zarr.json").write_text(text)
    spare.rename(store)
