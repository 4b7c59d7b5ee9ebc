"""Live a run's whole life, and die, or meet a full disk, at one system call of it.

Forks a process per line of its input (`folder board call how`), so that the imports are paid once. Board: number of
points that were acknowledged, then the number of system calls of a life that came to its end (u32). For every line it
prints the exit code: 0 for such a life, 9 if it died on the way.
"""

import errno
import mmap
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from labnb.core import ABSENT, Axis, Group, Point, RecordError, Span, State, Variable, infer_variable
from labnb.record import Recorder, materialiser, ragged, recorder, recover
from labnb.record.sealing import pack_run, packer, retire_run

Call = Callable[..., Any]
A, B = Axis("a", (0, 1), "K"), Axis("b", tuple(range(6)), "V")
LEVEL = Group(0, (A,), (Variable("stage", "K"),))
KNOWN = (
    Variable("x", "A"),
    Variable("n", dtype="|u1"),
    Variable("label", dtype="str"),
    Variable("trace", "V", "<f8", (Span("k", 20),)),
    infer_variable("rag", "", ragged([0.0])),
)
EARLY = Group(1, (A, B), (*KNOWN, infer_variable("late", "", ABSENT)))
LATE = Group(1, (A, B), (*KNOWN, infer_variable("late", "", np.zeros(3))))
LATE_FROM = 4
AGAIN = {2: 2, 7: 7, 8: 1}
"""After which place which one is measured once more."""


def row(place: int, attempt: int) -> tuple[Any, ...]:
    """Return what is measured at a place at this attempt."""
    value = place + 100.0 * attempt
    late = np.full(3, value) if place >= LATE_FROM else ABSENT
    return (value, np.uint8(value), f"p{value:g}", np.full(20, value), ragged(np.full(1 + place % 3, value)), late)


def life() -> Iterator[Point]:
    """Yield all points in their order."""
    for place in range(12):
        if place % 6 == 0:
            yield Point(0, place // 6, (place + 0.5,), 1000 + place)
        yield Point(1, place, row(place, 0), 2000 + place)
        if place in AGAIN:
            yield Point(1, AGAIN[place], row(AGAIN[place], 1), 3000 + place)


POINTS = list(life())
PAUSE = 8
"""After how many the run is ended, packed, and taken up again."""
FIRST_LATE = next(k for k, point in enumerate(POINTS) if point[:2] == (1, LATE_FROM))


def keep(live: Recorder, board: mmap.mmap, numbers: range, insist: Call) -> None:
    """Put these points and note each that is acknowledged."""
    for number in numbers:
        if number == FIRST_LATE:
            insist(live.declare, LATE)
        insist(live.put, POINTS[number])
        board[0] = number + 1
        if number % 3 == 2:
            insist(live.flush)


def end(live: Recorder, state: State, insist: Call) -> None:
    """Close a run, pack it and let go of what packing has replaced."""
    try:
        live.close(state)
    except RecordError:
        insist(recover, live.path)
    packer.withdraw(live.path)
    insist(pack_run, live.path)
    insist(retire_run, live.path)


def begin(folder: Path, board: mmap.mmap, insist: Call) -> None:
    """Live the whole life of a run."""
    run = insist(Recorder.create, folder, "life", {"note": "x"}, period_s=3600.0)
    insist(run.declare, LEVEL)
    insist(run.declare, EARLY)
    keep(run, board, range(PAUSE), insist)
    insist(run.update_metadata, {"more": 1})
    insist(run.note, "log", "a line")
    end(run, State.STOPPED, insist)
    go_on(run.path, board, insist)


def go_on(path: Path, board: mmap.mmap, insist: Call) -> None:
    """Take a run up that has ended early and bring it to its end."""
    start = board[0]
    run = insist(Recorder.resume, path, {"again": True}, period_s=3600.0)
    insist(run.declare, LEVEL)
    insist(run.declare, EARLY if start <= FIRST_LATE else LATE)
    keep(run, board, range(start, len(POINTS)), insist)
    end(run, State.DONE, insist)


class Fate:
    """Counts the system calls that change something on the disk, and does at one of them what was asked for.

    `die` before it, `half` in the middle of it, `short`: write only a part, `full`: find no space.
    """

    CALLS = (
        "write", "pwrite", "fsync", "fdatasync", "replace", "rename", "unlink", "mkdir", "ftruncate", "posix_fallocate",
        "open",
    )  # fmt: skip

    def __init__(self, at: int, how: str) -> None:
        self.at, self.how, self.count = at, how, 0
        for name in self.CALLS:
            setattr(os, name, self._counted(name, getattr(os, name)))
        recorder._write = os.write  # pyright: ignore[reportPrivateUsage]

    def _counted(self, name: str, real: Call) -> Call:
        def call(*given: Any, **named: Any) -> Any:
            self.count += name != "open" or bool(given[1] & os.O_CREAT)
            if self.count != self.at:
                return real(*given, **named)
            self.at = -1
            if name in ("write", "pwrite") and self.how in ("half", "short"):
                done = real(given[0], bytes(given[1])[: len(given[1]) // 2], *given[2:])
                return done if self.how == "short" else os._exit(9)
            if self.how == "short":
                return real(*given, **named)
            if self.how == "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os._exit(9)

        return call


def plainly(function: Call, *given: Any, **named: Any) -> Any:
    """Call a function."""
    return function(*given, **named)


def insistently(function: Call, *given: Any, **named: Any) -> Any:
    """Call a function until it succeeds, as a person would who makes space on the disk."""
    for _ in range(2):
        try:
            return function(*given, **named)
        except (RecordError, OSError):
            pass
    return function(*given, **named)


def main() -> None:
    """Fork a life for every line."""
    materialiser.PACK_AT_ONCE_BYTES = int(sys.argv[1])
    for line in sys.stdin:
        folder, board_file, at, how = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            try:
                with open(board_file, "r+b") as file, mmap.mmap(file.fileno(), 4096) as board:
                    fate, insist = Fate(int(at), how), plainly if how in ("die", "half") else insistently
                    runs = [path.parent for path in Path(folder).glob("*/*/*/*/run.json")]
                    go_on(runs[0], board, insist) if runs else begin(Path(folder), board, insist)
                    board[1:5] = fate.count.to_bytes(4, "little")
                os._exit(0)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
