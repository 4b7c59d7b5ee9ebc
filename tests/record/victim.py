"""Put points at full speed until killed; report what was acknowledged through a shared file.

Forks one process per line of its input (`kind folder board`), so that the imports are paid once.
Board: u64 acknowledged count of group 1, u64 of group 0, then the run's path, and a last byte once that is whole.
"""

import mmap
import os
import signal
import sys
from pathlib import Path

import numpy as np

from labnb.core import ABSENT, Axis, Group, OpenAxis, Point, Span, Variable, infer_variable
from labnb.record import Recorder, ragged

ROWS, COLUMNS = 400, 2500
OUTER = Axis("a", tuple(range(ROWS)), "K")
INNER = Axis("b", tuple(range(COLUMNS)), "V")
CLOCK = OpenAxis("n", 1.0)
TRACE = (Span("k", 5000),)
GROUPS = {
    "logger": [Group(1, (CLOCK,), (Variable("x"), Variable("y"), Variable("n_seen", dtype="<i8")))],
    "grid": [Group(1, (OUTER, INNER), (Variable("x"),))],
    "levels": [Group(0, (OUTER,), (Variable("stage"),)), Group(1, (OUTER, INNER), (Variable("x"),))],
    "traces": [Group(1, (CLOCK,), (Variable("x"), Variable("trace", "", "<f8", TRACE)))],
    "map": [Group(1, (Axis("m", tuple(range(800))),), (Variable("x"), Variable("trace", "", "<f8", TRACE)))],
    "ragged": [Group(1, (CLOCK,), (Variable("x"), infer_variable("trace", "", ragged([0.0] * 200))))],
    "late": [
        Group(1, (CLOCK,), (Variable("x"), infer_variable("trace", "", ABSENT), infer_variable("label", "", ABSENT)))
    ],
    "again": [Group(1, (Axis("m", tuple(range(800))),), (Variable("x"), Variable("trace", "", "<f8", TRACE)))],
    "texts": [Group(1, (CLOCK,), (Variable("x"), Variable("label", "", "str")))],
}


def length_of(place: int) -> int:
    """Return how long the ragged array of a place is; longer ones come later."""
    return (place * 37) % (10 + place)


TRACE_FROM, LABEL_FROM = 50, 100
"""From where on the late variables are measured."""


def values_of(kind: str, place: int) -> tuple[object, ...]:
    """Return what is measured at a place."""
    if kind == "ragged":
        return (place * 0.5, ragged(np.full(length_of(place), float(place))))
    if kind == "late":
        trace = np.full(300, float(place)) if place >= TRACE_FROM and place % 2 else ABSENT
        return (place * 0.5, trace, str(place) if place >= LABEL_FROM else ABSENT)
    if kind == "logger":
        return (place * 0.5, -1.0 * place, place)
    if kind == "texts":
        return (place * 0.5, str(place))
    return (place * 0.5, np.full(5000, float(place))) if kind in ("traces", "map", "again") else (place * 0.5,)


def measure(kind: str, folder: Path, board: mmap.mmap) -> None:
    """Put points for ever."""
    recorder = Recorder.create(folder, kind, {}, period_s=0.02)
    path = os.fsencode(recorder.path)
    board[16 : 16 + len(path)] = path
    board[4095] = 1
    groups = {group.key: group for group in GROUPS[kind]}
    recorder.declare(groups[1]) if kind != "levels" else None
    for place in range(groups[1].size or ROWS * COLUMNS):
        if kind == "levels" and place % COLUMNS == 0:
            row = place // COLUMNS
            if row == 0:
                recorder.declare(groups[0])
            recorder.put(Point(0, row, (row + 0.25,), row + 1))
            board[8:16] = (row + 1).to_bytes(8, "little")
            if row == 0:
                recorder.declare(groups[1])
        values = values_of(kind, place)
        if kind == "late" and place in (TRACE_FROM + 1, LABEL_FROM):
            known = [infer_variable(v.name, "", value) for v, value in zip(groups[1].variables, values, strict=True)]
            recorder.declare(Group(1, (CLOCK,), tuple(known)))
        if kind == "again":
            recorder.put(Point(1, place, (-1.0, np.full(5000, -1.0)), place + 1))
            board[8:16] = (place + 1).to_bytes(8, "little")
        recorder.put(Point(1, place, values, place + 1))
        board[0:8] = (place + 1).to_bytes(8, "little")


def main() -> None:
    """Fork a measuring process for every line."""
    for line in sys.stdin:
        kind, folder, board = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            with open(board, "r+b") as file:
                measure(kind, Path(folder), mmap.mmap(file.fileno(), 4096))
            signal.pause()
        print(pid, flush=True)
        print(os.waitpid(pid, 0)[1], flush=True)


if __name__ == "__main__":
    main()
