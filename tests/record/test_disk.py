"""A full disk is an error that people see and that passes; a read-only one leaves nothing behind."""

import contextlib
import os
import re
import subprocess
import warnings

import numpy as np
import pytest

from labnb.core import Axis, Group, OpenAxis, Point, RecordError, Span, State, Variable, infer_variable
from labnb.record import Recorder, load, open_run, ragged, recover

N = OpenAxis("n", 1.0)
SCALAR = Group(0, (N,), (Variable("x"),))


def fill(disk):
    """Leave not a byte of the disk free; return the file that takes it up."""
    path = disk / "ballast"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, bytes(4096))
    os.close(descriptor)
    assert os.statvfs(disk).f_bavail == 0
    return path


def put_anyway(recorder, point):
    """Put a point as often as it takes: trouble in the background is told once for every cycle that fails."""
    while True:
        with contextlib.suppress(RecordError):
            return recorder.put(point)


def put_until_full(recorder, place=0, row=None):
    while True:
        try:
            recorder.put(Point(0, place, row or (place * 0.5,), place))
        except RecordError as error:
            return place, str(error)
        place = place + 1 if row is None or len(row) > 1 else place


def test_a_full_disk_refuses_a_point_whole_and_recording_goes_on_when_there_is_space(record, mounted):
    disk = mounted("size=2m")
    recorder = record(disk)
    recorder.declare(SCALAR)
    recorder.put(Point(0, 0, (0.0,), 0))
    recorder.flush()
    ballast = fill(disk)
    count, text = put_until_full(recorder, 1)
    assert "No space left on the device" in text or "no space left" in text.lower()
    assert f"the {count} points before it are kept" in text
    size = (recorder.path / "journal").stat().st_size
    for _ in range(3):
        assert put_until_full(recorder, count)[0] == count
    assert (recorder.path / "journal").stat().st_size == size
    ballast.unlink()
    for place in range(count, count + 500):
        recorder.put(Point(0, place, (place * 0.5,), place))
    recorder.close(State.DONE)
    np.testing.assert_array_equal(load(recorder.path).x.values, np.arange(count + 500) * 0.5)


def test_a_torn_record_is_taken_back_before_the_next_one(record, mounted):
    disk = mounted("size=12m")
    recorder = record(disk)
    recorder.declare(Group(0, (N,), tuple(Variable(f"x{k}") for k in range(60))))
    fill(disk)
    row = tuple(float(k) for k in range(60))
    place, text = put_until_full(recorder, row=row)
    assert "no space left on the device" in text
    whole = (recorder.path / "journal").stat().st_size
    (disk / "ballast").unlink()
    recorder.put(Point(0, place, row, place))
    assert (recorder.path / "journal").stat().st_size == whole + 8 + 20 + 480
    recorder.close(State.DONE)
    np.testing.assert_array_equal(load(recorder.path).x59.values, np.full(place + 1, 59.0))


def test_trouble_in_the_background_reaches_the_next_put_and_ends_when_there_is_space(record, mounted):
    disk = mounted("size=2m")
    recorder = record(disk, period_s=0.002)
    ballast = fill(disk)
    os.truncate(ballast, ballast.stat().st_size - 64 * 1024)  # enough for the journal, not for a chunk
    recorder.declare(SCALAR)
    for place in range(100):
        put_anyway(recorder, Point(0, place, (place * 0.5,), place))
    said = ""
    while "data not written" not in said:
        with contextlib.suppress(RecordError):
            recorder.update_metadata({})  # nothing that takes space, but time for another cycle
        said = put_until_full(recorder, 99, (49.5,))[1]
    assert re.search(r"data not written to .*data\.zarr.*kept in the journal", said)
    with pytest.raises(RecordError, match="data not written to"):
        recorder.flush()
    ballast.unlink()
    recorder.flush()
    recorder.put(Point(0, 100, (50.0,), 100))
    recorder.close(State.DONE)
    np.testing.assert_array_equal(load(recorder.path).x.values, np.arange(101) * 0.5)


@pytest.mark.parametrize("again", [False, True])
def test_a_ragged_or_repeated_array_that_finds_no_space_leaves_what_was_there(record, mounted, again):
    disk = mounted("size=6m")
    recorder = record(disk)
    recorder.declare(Group(0, (N,), (infer_variable("y", "", ragged([1.0])),)))
    recorder.put((0, 0, (ragged(np.full(1000, 1.0)),), 1))
    recorder.flush()
    ballast = fill(disk)
    place = 0 if again else 1
    with pytest.raises(RecordError, match=r"[Nn]o space left"):
        recorder.put((0, place, (ragged(np.full(90_000, 2.0)),), 2))
    ballast.unlink()
    recorder.flush()
    np.testing.assert_array_equal(load(recorder.path).y.values[0, :1000], 1.0)
    recorder.put((0, place, (ragged(np.full(500, 3.0)),), 3))
    recorder.close(State.DONE)
    data = load(recorder.path)
    assert int(data.y_length[place]) == 500
    np.testing.assert_array_equal(data.y.values[place, :500], 3.0)
    assert np.isnan(data.y.values[place, 500:]).all()


def test_an_array_that_finds_no_space_is_absent_and_the_next_one_may_succeed(record, mounted):
    disk = mounted("size=4m")
    recorder = record(disk)
    recorder.declare(Group(0, (Axis("v", (0.0, 1.0)),), (Variable("trace", "", "<f8", (Span("k", 100_000),)),)))
    ballast = fill(disk)
    with pytest.raises(RecordError, match=r"an array of point 0 \(v=0\) not written: No space"):
        recorder.put(Point(0, 0, (np.ones(100_000),), 1))
    ballast.unlink()
    recorder.put(Point(0, 1, (np.ones(100_000),), 2))
    recorder.close(State.DONE)
    data = load(recorder.path)
    assert np.isnan(data.trace.values[0]).all()
    assert (data.trace.values[1] == 1.0).all()


def test_a_run_that_cannot_be_sealed_keeps_its_journal_and_is_completed_later(record, mounted):
    disk = mounted("size=2m")
    recorder = record(disk)
    recorder.declare(SCALAR)
    for place in range(100):
        recorder.put(Point(0, place, (place * 0.5,), place))
    ballast = fill(disk)
    with pytest.raises(RecordError, match=r"all 100 points are kept|100 points so far are kept"):
        recorder.close(State.DONE)
    assert (recorder.path / "journal").exists()
    with pytest.raises(RecordError, match=r"cannot be completed: No space.*journal is kept"):
        recover(recorder.path)
    ballast.unlink()
    assert recover(recorder.path).points == 100
    np.testing.assert_array_equal(load(recorder.path).x.values, np.arange(100) * 0.5)


def test_a_disk_that_is_full_from_the_start_leaves_nothing_behind(mounted):
    disk = mounted("size=1m")
    ballast = fill(disk)
    with pytest.raises(RecordError, match="No space left"):
        Recorder.create(disk, "iv", {})
    assert list(disk.iterdir()) == [ballast]


def test_a_read_only_folder_is_refused(mounted):
    disk = mounted("size=1m")
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with pytest.raises(RecordError, match=r"Read-only file system.*can be written"):
        Recorder.create(disk, "iv", {})
    with pytest.raises(RecordError, match="Read-only file system"):
        Recorder.create(disk / "data", "iv", {})


def test_runs_in_a_read_only_folder_open_and_a_broken_one_says_that_points_may_be_missing(record, mounted, tmp_path):
    disk = mounted("size=4m")
    done, broken = record(disk), record(tmp_path)
    for recorder in (done, broken):
        recorder.declare(SCALAR)
        recorder.put(Point(0, 0, (1.0,), 1))
        recorder.flush()
        recorder.put(Point(0, 1, (2.0,), 1))
    done.close(State.DONE)
    subprocess.run(["cp", "-r", broken.path, disk / "copy"], check=True)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert load(done.path).x.values.tolist() == [1.0, 2.0]
    with pytest.warns(UserWarning, match="its last points may be missing"):
        assert load(disk / "copy").x.values.tolist() == [1.0]
    with pytest.warns(UserWarning, match="its last points may be missing"):
        assert open_run(disk / "copy").state is State.INTERRUPTED


def number_row(place):
    return (float(place),) * 30


def trace_row(place):
    return (float(place), np.full(20_000, float(place)))


def text_row(place):
    return (float(place), f"{place:0500}")


def put_until_refused(recorder, row, times):
    """Return how many points were taken until so many were refused, and what was said of those."""
    count, said = 0, []
    while len(said) < times:
        try:
            recorder.put(Point(0, count, row(count), count + 1))
        except RecordError as error:
            said.append(str(error))
        else:
            count += 1
    return count, said


@pytest.mark.parametrize(
    ("row", "variables"),
    [
        (number_row, tuple(Variable(f"x{k}" if k else "x") for k in range(30))),
        (trace_row, (Variable("x"), Variable("y", "", "<f8", (Span("k", 20_000),)))),
        (text_row, (Variable("x"), Variable("y", "", "str"))),
    ],
    ids=["scalars", "traces", "texts"],
)
def test_a_disk_that_fills_up_in_mid_run_loses_nothing_and_the_run_goes_on_when_it_is_larger(mounted, row, variables):
    disk = mounted("size=20m")
    recorder = Recorder.create(disk, "iv", {}, period_s=0.01)
    recorder.declare(Group(0, (N,), variables))
    count, said = put_until_refused(recorder, row, 5)
    assert all("no space left" in text.lower() and "are kept" in text for text in said)
    subprocess.run(["mount", "-o", "remount,size=90m", disk], check=True)
    recorder.flush()
    for place in range(count, count + 50):
        recorder.put(Point(0, place, row(place), place + 1))
    recorder.close(State.DONE)
    data = load(recorder.path)
    np.testing.assert_array_equal(data.x, np.arange(count + 50))
    if row is trace_row:
        np.testing.assert_array_equal(data.y[:, 777], np.arange(count + 50))
    if row is text_row:
        assert data.y.values.tolist() == [f"{k:0500}" for k in range(count + 50)]


def test_a_folder_that_vanishes_is_noticed_and_nothing_is_said_to_be_kept(record, tmp_path):
    recorder = record(period_s=0.005)
    recorder.declare(SCALAR)
    recorder.put(Point(0, 0, (1.0,), 1))
    recorder.path.rename(tmp_path / "elsewhere")
    _, said = put_until_refused(recorder, lambda place: (float(place),), 1)
    assert re.search(r"folder is gone.*not kept.*start a new run", said[0])
    with pytest.raises(RecordError, match="folder is gone"):
        recorder.flush()
    with pytest.raises(RecordError, match="folder is gone"):
        recorder.close(State.DONE)


def test_a_clock_that_is_set_back_changes_no_point_and_is_noted(record):
    recorder = record()
    recorder.declare(SCALAR)
    hour = 3600 * 10**9
    times = [5 * hour, 5 * hour + 1, 2 * hour, 2 * hour + 5]
    for place, now in enumerate(times):
        recorder.put(Point(0, place, (place * 0.5,), now))
        recorder.flush()
    recorder.close(State.STOPPED)
    data = load(recorder.path)
    assert data.t.values.astype("int64").tolist() == times
    assert data.x.values.tolist() == [0.0, 0.5, 1.0, 1.5]
    notes = (recorder.path / "events.ndjson").read_text().splitlines()
    assert len(notes) == 1
    assert "clock was set back by 10800 s" in notes[0]
