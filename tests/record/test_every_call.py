"""Whatever a process is doing when it dies, or when the disk is full, no acknowledged point is lost.

A run lives its whole life: levels, arrays, ragged ones, texts, a variable that comes late, places that are measured
again; it is ended, packed, taken up again, packed again. It dies, or finds no space, at one of the thousand system calls
of that life. `LABNB_EVERY_CALL=1` tries each of them, which takes half an hour.
"""

import os
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from labnb.core import ABSENT, State
from labnb.record import load, open_run, runs
from labnb.record.materialiser import PACK_AT_ONCE_BYTES

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from steps import LEVEL, POINTS  # noqa: E402  the process that dies

EVERY = bool(os.environ.get("LABNB_EVERY_CALL"))
MOMENTS = random.Random(20261121)
TRIES = 3
pytestmark = pytest.mark.timeout(7200 if EVERY else 120)


class Lives:
    """Lives of one kind of run: packed at its end, or (0) later."""

    def __init__(self, pack_at_once):
        root = str(HERE.parents[1])
        path = root + os.pathsep + os.environ.get("PYTHONPATH", "")
        self.process = subprocess.Popen(
            [sys.executable, HERE / "steps.py", str(pack_at_once)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def live(self, folder, call, how, acknowledged=0):
        """Live, or go on living, until the call of that number; return the exit code, and what was acknowledged."""
        board = folder / "board"
        board.write_bytes(bytes([acknowledged]) + bytes(4095))
        (folder / "data").mkdir(exist_ok=True)
        self.process.stdin.write(f"{folder / 'data'}\t{board}\t{call}\t{how}\n")
        self.process.stdin.flush()
        code, seen = int(self.process.stdout.readline()), board.read_bytes()
        self.calls = int.from_bytes(seen[1:5], "little")
        return code, seen[0]


@pytest.fixture(scope="module", params=[PACK_AT_ONCE_BYTES, 0], ids=["packed at once", "packed later"])
def lives(request, tmp_path_factory):
    lives = Lives(request.param)
    with lives.process:
        code, acknowledged = lives.live(tmp_path_factory.mktemp("whole"), -1, "die")
        assert (code, acknowledged) == (0, len(POINTS))
        lives.total = lives.calls
        yield lives
        lives.process.stdin.close()


def folder_of(root):
    return next((root / "data").glob("*/*/*/*"), None)


def expected(count):
    """Return the last values of every place of both groups after so many points."""
    last = {0: {}, 1: {}}
    for point in POINTS[:count]:
        last[point.group][point.place] = point.values
    return last


def is_after(data, count):
    """Whether the data are those after so many points: all of these, whole, and nothing else."""
    last = expected(count)
    if not last[1]:
        return ("x" not in data or bool(np.isnan(data.x).all())) and stages(data, last[0])
    places = [place_of(data, place) for place in range(12)]
    return stages(data, last[0]) and all(as_put(seen, last[1].get(k)) for k, seen in enumerate(places))


def stages(data, last):
    if not last:
        return "stage" not in data or bool(np.isnan(data.stage).all())
    wanted = [last.get(k, (np.nan,))[0] for k in range(len(LEVEL.axes[0].values))]
    return np.array_equal(data.stage, wanted, equal_nan=True)


def place_of(data, place):
    return data.isel(a=place // 6, b=place % 6)


def as_put(seen, values):
    """Whether one place reads as it was put; None: as not measured."""
    arrays = [seen[name].values for name in ("trace", "rag", "late") if name in seen]
    if values is None:
        blank = np.isnan(seen.x) and np.isnat(seen.t.values) and seen.label.values[()] == ""
        return bool(blank) and all(np.isnan(array.astype(float)).all() for array in arrays)
    x, n, label, trace, rag, late = values
    length = int(seen.rag_length)
    whole = (float(seen.x), int(seen.n), str(seen.label.values[()]), length) == (x, n, label, len(np.asarray(rag)))
    known = np.array_equal(seen.trace, trace) and (seen.rag[:length] == x).all() and np.isnan(seen.rag[length:]).all()
    if late is ABSENT:
        return bool(whole and known) and ("late" not in seen or bool(np.isnan(seen.late).all()))
    return bool(whole and known) and np.array_equal(seen.late, late)


def look(root, acknowledged):
    """Look at a run as people do, first without labnb; return its folder and how many points it has."""
    path = folder_of(root)
    if path is not None and (path / "data.zarr").exists():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            xr.open_zarr(path / "data.zarr", chunks=None).load()
    runs(root / "data")
    if path is None or not (path / "run.json").exists():
        assert acknowledged == 0
        return None, 0
    data = load(path)
    count = next(count for count in (acknowledged, acknowledged + 1) if is_after(data, count))
    left = {each.name for each in path.iterdir() if not each.name.endswith(".partial")}
    assert left <= {"data.zarr", "events.ndjson", "lock", "run.json"}
    return path, count


def moments(total, seed):
    return range(1, total + 1) if EVERY else sorted(random.Random(seed).sample(range(1, total + 1), TRIES))


@pytest.mark.parametrize("how", ["die", "half"])
def test_a_process_that_dies_at_any_system_call_leaves_a_run_that_is_whole_and_can_be_gone_on_with(
    lives, tmp_path, monkeypatch, how
):
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    chance = random.Random(how)
    for call in moments(lives.total, how):
        root = tmp_path / f"{how}{call}"
        root.mkdir()
        code, acknowledged = lives.live(root, call, how)
        assert code == 9, call
        path, count = look(root, acknowledged)
        for again in (chance.randrange(1, lives.total), -1):  # it dies once more on the way, or has ended before
            if path is not None and open_run(path).state is not State.DONE:
                _, acknowledged = lives.live(root, again, how, count)
                path, count = look(root, acknowledged)
        if path is not None:
            assert (open_run(path).state, count) == (State.DONE, len(POINTS)), call


@pytest.mark.parametrize("how", ["full", "short"])
def test_a_disk_that_is_full_at_any_system_call_loses_nothing_and_the_next_try_succeeds(
    lives, tmp_path, monkeypatch, how
):
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    for call in moments(lives.total, how):
        root = tmp_path / f"{how}{call}"
        root.mkdir()
        assert lives.live(root, call, how) == (0, len(POINTS)), call
        path, count = look(root, len(POINTS))
        assert count == len(POINTS), call
        assert open_run(path).state in (State.DONE, State.INTERRUPTED), call  # it could not take note of its end
