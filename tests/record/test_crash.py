"""A process that is killed loses nothing that it acknowledged; a damaged journal gives no wrong row."""

import contextlib
import json
import mmap
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import xarray as xr

from labnb.core import Axis, Group, OpenAxis, Point, RecordError, Span, State, Variable
from labnb.record import load, open_run, recover
from labnb.record.journal import MAGIC, START, slot

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from victim import LABEL_FROM, TRACE_FROM, length_of  # noqa: E402  the process that is killed

V = Axis("v", tuple(range(50)), "V")


def environment():
    root = str(HERE.parents[1])
    return {**os.environ, "PYTHONPATH": root + os.pathsep + os.environ.get("PYTHONPATH", "")}


@pytest.fixture(scope="module")
def victims():
    command = [sys.executable, HERE / "victim.py"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        yield process
        process.stdin.close()


def kill_one(victims, looker, kind, tmp_path, wait_for):
    """Return the path of a run that was killed after `wait_for` points, and what it had acknowledged."""
    board_file = tmp_path / "board"
    board_file.write_bytes(bytes(4096))
    victims.stdin.write(f"{kind}\t{tmp_path}\t{board_file}\n")
    victims.stdin.flush()
    pid = int(victims.stdout.readline())
    with board_file.open("r+b") as file, mmap.mmap(file.fileno(), 4096) as board:
        try:
            wait_until(lambda: board[4095], 10)
            path = Path(os.fsdecode(bytes(board[16:4095]).rstrip(b"\0")))
            looker(path / "data.zarr")
            wait_until(lambda: int.from_bytes(board[0:8], "little") >= wait_for, 20)
        finally:
            os.kill(pid, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(int(victims.stdout.readline())) == -signal.SIGKILL
        return path, int.from_bytes(board[0:8], "little"), int.from_bytes(board[8:16], "little")


def wait_until(true, limit_s):
    """Look without a pause, so that the moment that follows is not one of the clock's ticks."""
    until = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < until, "the process that measures stands still"


@pytest.fixture(scope="module")
def looker():
    """Return a function that has another process look at a store from now on, and says how often it has so far."""
    command = [sys.executable, "-W", "error", HERE / "reader.py"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.set_blocking(process.stdout.fileno(), False)
        printed = bytearray()

        def look(path=""):
            try:
                process.stdin.write(f"{path}\n".encode())
                process.stdin.flush()
            except BrokenPipeError:
                pytest.fail(process.stderr.read().decode())
            idle = printed.count(b"idle\n")
            while not path and printed.count(b"idle\n") == idle:
                if select.select([process.stdout], [], [], 20)[0]:
                    printed.extend(os.read(process.stdout.fileno(), 1 << 16))
                assert process.poll() is None, process.stderr.read().decode()
            return printed.count(b"\n")

        yield look
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        assert process.wait() == 0


MOMENTS = random.Random(20261121)
MOST = {"logger": 60_000, "grid": 60_000, "levels": 60_000, "traces": 1_200, "map": 799, "texts": 6_000}
MOST |= {"ragged": 2_000, "late": 3_000, "again": 300}
COUNTS = {"logger": 8, "grid": 6, "levels": 6, "traces": 6, "map": 4, "texts": 4, "ragged": 8, "late": 8, "again": 6}
KILLS = [kind for kind, count in COUNTS.items() for _ in range(count)]


@pytest.mark.parametrize(("kind", "moment"), [(kind, MOMENTS.randrange(1, MOST[kind])) for kind in KILLS])
def test_every_acknowledged_point_is_there_after_a_kill_and_readers_never_fail(victims, looker, tmp_path, kind, moment):
    path, acknowledged, rows = kill_one(victims, looker, kind, tmp_path, moment)
    data = load(path)
    looker()
    x, t = data.x.values.ravel(), data.t.values.ravel().astype("int64")
    found = int((t > 0).sum())
    assert acknowledged <= found <= acknowledged + 1
    if kind == "again":
        check_again(data, found, acknowledged, rows)
        return
    np.testing.assert_array_equal(x[:found], np.arange(found) * 0.5)
    np.testing.assert_array_equal(t[:found], np.arange(found) + 1)
    assert np.isnan(x[found:]).all()
    if kind == "logger":
        np.testing.assert_array_equal(data.n_seen.values, np.arange(found))
    if kind in ("traces", "map"):
        np.testing.assert_array_equal(data.trace.values[:found], np.arange(found)[:, None] * np.ones(5000))
        assert np.isnan(data.trace.values[found:]).all()
    if kind == "levels":
        np.testing.assert_array_equal(data.stage.values[:rows], np.arange(rows) + 0.25)
    if kind == "ragged":
        check_ragged(data, found)
    if kind == "late":
        check_late(data, found)
    if kind == "texts":
        assert data.label.values.tolist() == [str(k) for k in range(found)]
    run = open_run(path)
    assert run.state is State.INTERRUPTED
    assert run.points == found
    assert sorted(p.name for p in path.iterdir()) == ["data.zarr", "events.ndjson", "lock", "run.json"]


def check_ragged(data, found):
    assert data.trace_length.values.tolist() == [length_of(place) for place in range(found)]
    for place, trace in enumerate(data.trace.values):
        np.testing.assert_array_equal(trace[: length_of(place)], float(place))
        assert np.isnan(trace[length_of(place) :]).all()


def check_late(data, found):
    expected = [place if place >= TRACE_FROM and place % 2 else np.nan for place in range(found)]
    if found > TRACE_FROM + 1:
        np.testing.assert_array_equal(data.trace.values, np.array(expected)[:, None] * np.ones(300))
    if found > LABEL_FROM:
        assert data.label.values.tolist() == [str(k) if k >= LABEL_FROM else "" for k in range(found)]


def check_again(data, found, acknowledged, tried):
    """Each place is measured twice; the first time as -1."""
    second = acknowledged if found == acknowledged else acknowledged + 1
    x = data.x.values[:found]
    np.testing.assert_array_equal(x[:acknowledged], np.arange(acknowledged) * 0.5)
    assert x[acknowledged:].tolist() in ([], [-1.0], [acknowledged * 0.5])
    assert tried <= second or tried == found
    np.testing.assert_array_equal(data.trace.values[:found], np.where(x < 0, -1.0, 2 * x)[:, None] * np.ones(5000))
    assert np.isnan(data.trace.values[found:]).all()


def test_a_plain_reader_never_fails_from_the_first_moment_of_a_run_to_its_packed_end(record, looker):
    looks = looker()
    for _ in range(3):
        recorder = record(period_s=0.002)
        looker(recorder.data_path)
        recorder.declare(Group(9, (), (Variable("offset"),)))
        recorder.put(Point(9, 0, (1.0,), 1))
        trace = Variable("trace", "", "<f8", (Span("k", 2000),))
        recorder.declare(Group(0, (OpenAxis("n", 1.0),), (Variable("x"), trace)))
        for place in range(1000):
            recorder.put(Point(0, place, (place * 0.5, np.full(2000, float(place))), place))
        recorder.close(State.DONE)
        again = time.monotonic() + 0.6  # looks at what has ended too
        while time.monotonic() < again:
            load(recorder.path)
        looks, before = looker(), looks
        assert looks > before + 3


def broken(record, tmp_path, *, traces=False, count=30):
    """Return the folder of a run whose process vanished after `count` points, some of them materialised."""
    recorder = record()
    variables = (Variable("x"), Variable("trace", "", "<f8", (Span("k", 3),))) if traces else (Variable("x"),)
    recorder.declare(Group(0, (V,), variables))
    for place in range(count):
        recorder.put(Point(0, place, (place + 0.5, np.full(3, float(place)))[: len(variables)], place + 1))
        if place == count // 2:
            recorder.flush()
    copy = tmp_path / "copy"
    shutil.copytree(recorder.path, copy)
    return copy


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 35, 36, 37, 400])
def test_a_truncated_journal_gives_the_whole_rows_before_its_end(record, tmp_path, cut):
    path = broken(record, tmp_path)
    size = (path / "journal").stat().st_size
    os.truncate(path / "journal", size - cut)
    left = 30 - -(-cut // 36)
    data = load(path)
    np.testing.assert_array_equal(data.x.values[:left], np.arange(left) + 0.5)
    assert np.isnan(data.x.values[left:]).all()
    assert open_run(path).points == left


def test_a_flipped_byte_ends_the_run_before_it_and_keeps_the_rest_aside(record, tmp_path):
    path = broken(record, tmp_path)
    journal = bytearray((path / "journal").read_bytes())
    journal[-36 * 10 + 30] ^= 4
    (path / "journal").write_bytes(journal)
    data = load(path)
    np.testing.assert_array_equal(data.x.values[:20], np.arange(20) + 0.5)
    assert np.isnan(data.x.values[20:]).all()
    assert (path / "journal.cut").read_bytes() == bytes(journal[-360:])
    report = json.loads((path / "run.json").read_text())["recovery"]
    assert (report["points"], report["cut_bytes"]) == (20, 360)
    assert json.loads((path / "events.ndjson").read_text())["kind"] == "recovered"


def test_a_journal_without_its_start_changes_nothing_and_says_what_can_be_opened(record, tmp_path):
    path = broken(record, tmp_path)
    journal = path / "journal"
    journal.write_bytes(b"X" + journal.read_bytes()[1:])
    with pytest.raises(RecordError, match=r"damaged at its start.*open_zarr"):
        load(path)
    assert int((~np.isnan(xr.open_zarr(path / "data.zarr").x.values)).sum()) == 16
    assert journal.exists()


@pytest.mark.parametrize("harm", ["missing", "short", "zeros"])
def test_scalar_chunks_are_rebuilt_from_the_journal_whatever_happened_to_them(record, tmp_path, harm):
    path = broken(record, tmp_path)
    for chunk in (path / "data.zarr" / "x" / "c.0", path / "data.zarr" / "t" / "c.0"):
        if harm == "missing":
            chunk.unlink()
        else:
            chunk.write_bytes(bytes(chunk.stat().st_size if harm == "zeros" else 11))
    data = load(path)
    np.testing.assert_array_equal(data.x.values[:30], np.arange(30) + 0.5)
    assert np.isnan(data.x.values[30:]).all()
    assert data.t.values.astype("int64")[:30].tolist() == list(range(1, 31))


def test_a_lost_file_of_arrays_is_reported_with_its_places(record, tmp_path):
    path = broken(record, tmp_path, traces=True, count=3)
    os.truncate(path / "data.zarr" / "trace" / "c.0.0", 10)
    data = load(path)
    assert data.x.values[:3].tolist() == [0.5, 1.5, 2.5]
    assert np.isnan(data.trace.values).all()
    assert json.loads((path / "run.json").read_text())["recovery"]["lost_arrays"] == {"0": [0, 1, 2]}


def test_an_array_that_was_written_but_not_acknowledged_is_blanked(record, tmp_path):
    path = broken(record, tmp_path, traces=True, count=5)
    chunk = np.memmap(path / "data.zarr" / "trace" / "c.0.0", "<f8", "r+", shape=(50, 3))
    chunk[5, :2] = 99.0
    chunk.flush()
    del chunk
    data = load(path)
    np.testing.assert_array_equal(data.trace.values[:5], np.arange(5)[:, None] * np.ones(3))
    assert np.isnan(data.trace.values[5:]).all()


def test_after_a_power_cut_points_whose_arrays_may_not_be_on_the_disk_are_dropped(record, tmp_path):
    path = broken(record, tmp_path, traces=True, count=10)
    journal = (path / "journal").read_bytes()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip().encode()
    head, body = journal[: len(MAGIC)], journal[START:]
    other = body.replace(boot, b"0" * len(boot))
    length = int.from_bytes(other[:4], "little")
    other = other[:4] + crc32(other[8 : 8 + length], length).to_bytes(4, "little") + other[8:]
    (path / "journal").write_bytes(head + slot(len(journal) - 36 * 4) + other)
    data = load(path)
    assert (~np.isnan(data.x.values)).sum() == 6
    assert (~np.isnan(data.trace.values)).all(axis=1).sum() == 6


def test_recovering_twice_is_recovering_once(record, tmp_path):
    path = broken(record, tmp_path)
    first = recover(path)
    assert recover(path) == first
    assert first.points == 30


def test_a_crash_after_the_end_was_noted_keeps_the_state_that_was_reached(record, tmp_path):
    path = broken(record, tmp_path)
    document = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(document | {"state": "done", "points": 30}))
    assert recover(path).state is State.DONE


def test_what_is_no_run_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(RecordError, match="not a labnb run"):
            load(path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RecordError, match="cannot be read"):
        open_run(tmp_path)
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(RecordError, match="format 99"):
        open_run(tmp_path)


def test_a_store_that_was_copied_alone_opens_as_well(record, tmp_path):
    path = broken(record, tmp_path)
    (path / "data.zarr").rename(tmp_path / "data.zarr")
    assert "x" in load(tmp_path / "data.zarr")
