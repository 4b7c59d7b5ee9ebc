"""What the service must still know after it was killed: one line of JSON for each change, one writer at a time.

A line reaches the system, not the disk: what kills the whole machine also ends every process that holds something.
"""

import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping
from io import TextIOWrapper
from pathlib import Path

from labnb.core import Flag, Json, ReservationError

_ATTEMPTS, _PROBE_S = 3, 0.05  # `is_written` takes the lock for a moment

Entry = Mapping[str, Json]


class Journal:
    """The file `path`. Raises ReservationError if another process writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _lock_file(path).open("a")
        if not any(self._locked() or Flag().wait(_PROBE_S) for _ in range(_ATTEMPTS)):
            self._lock.close()
            raise ReservationError(f"another service keeps its reservations in {path}; use that one, or another folder")
        self._file: TextIOWrapper | None = None

    def entries(self) -> Iterator[dict[str, Json]]:
        """Yield what was written before, in order; a last line that was cut off is left out.

        Raises ReservationError for a damaged line before the last.
        """
        try:
            lines = self.path.read_text("utf-8").split("\n")
        except FileNotFoundError:
            return
        for number, line in enumerate(lines[:-1], 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ReservationError(
                    f"{self.path}, line {number}: not an entry of the journal; move the file away and start again"
                ) from error

    def rewrite(self, entries: Iterable[Entry]) -> None:
        """Replace everything by `entries`, at once."""
        new = self.path.with_name(f"{self.path.name}.new")
        texts = [_line(entry) for entry in entries]
        new.write_text("".join(texts), "utf-8")
        new.chmod(0o600)
        new.replace(self.path)
        self._close_file()
        self._file = self.path.open("a", encoding="utf-8")
        self.lines = len(texts)

    def append(self, entry: Entry) -> None:
        """Write one entry; it survives this process when the call returns."""
        if self._file is None:
            self._file = self.path.open("a", encoding="utf-8")
        self._file.write(_line(entry))
        self._file.flush()
        self.lines += 1

    def _locked(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let another process write."""
        self._close_file()
        self._lock.close()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def is_written(path: Path) -> bool:
    """Tell whether some process has this journal open."""
    try:
        with _lock_file(path).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _lock_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _line(entry: Entry) -> str:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")) + "\n"
