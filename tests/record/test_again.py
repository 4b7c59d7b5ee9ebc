"""A point that is put once more replaces its arrays whole: readers and a dead process see the old ones or the new ones."""

import os
import shutil
import threading

import numpy as np
import pytest
import xarray as xr

from labnb import ragged
from labnb.core import Axis, Group, OpenAxis, Span, State, Variable, infer_variable
from labnb.record import Recorder, load, open_run, recover
from labnb.record.journal import START

V = Axis("v", tuple(range(4)), "V")
SIZE = 60_000
TRACE = Group(0, (V,), (Variable("x"), Variable("y", "", "<f8", (Span("k", SIZE),))))
RAGGED = Group(0, (V,), (Variable("x"), infer_variable("y", "", ragged([1.0]))))


def trace(level, size=SIZE):
    return np.full(size, float(level))


@pytest.mark.parametrize("flushed", [False, True])
def test_the_last_array_of_a_place_is_what_is_read(record, flushed):
    recorder = record()
    recorder.declare(TRACE)
    for level in (1, 2, 1, 3):
        recorder.put((0, 0, (level, trace(level)), level))
        recorder.put((0, 1, (level, trace(-level)), level))
        if flushed:
            recorder.flush()
            np.testing.assert_array_equal(xr.open_zarr(recorder.data_path).y.values[:2, 0], [level, -level])
    recorder.close(State.STOPPED)
    data = load(recorder.path)
    np.testing.assert_array_equal(data.y.values[:2], [trace(3), trace(-3)])
    assert open_run(recorder.path).points == 2


@pytest.mark.parametrize(("first", "second"), [(10, 2000), (2000, 10), (700, 0)])
def test_a_longer_or_shorter_ragged_array_leaves_nothing_of_the_one_before(record, tmp_path, first, second):
    recorder = record()
    recorder.declare(RAGGED)
    recorder.put((0, 0, (1.0, trace(1, first)), 1))
    recorder.put((0, 1, (1.0, trace(5, 300)), 1))
    recorder.flush()
    recorder.put((0, 0, (1.0, trace(2, second)), 2))
    shutil.copytree(recorder.path, tmp_path / "copy")
    recorder.flush()
    recorder.close(State.STOPPED)
    for path in (recorder.path, tmp_path / "copy"):
        data = load(path)
        assert data.y_length.values[:2].tolist() == [second, 300]
        np.testing.assert_array_equal(data.y.values[0, :second], trace(2, second))
        assert np.isnan(data.y.values[0, second:]).all()
        np.testing.assert_array_equal(data.y.values[1, :300], trace(5, 300))


def test_a_process_that_dies_in_the_middle_of_the_second_try_leaves_the_first(record, tmp_path):
    recorder = record()
    recorder.declare(TRACE)
    recorder.put((0, 0, (1.0, trace(1)), 1))
    before = (recorder.path / "journal").stat().st_size
    recorder.put((0, 0, (2.0, trace(2)), 2))
    after = (recorder.path / "journal").stat().st_size
    assert after - before > SIZE * 8
    for number, size in enumerate((before + 1, before + 4096, after - 1, after)):
        copy = tmp_path / str(number)
        shutil.copytree(recorder.path, copy)
        os.truncate(copy / "journal", size)
        level = 2.0 if size == after else 1.0
        run = recover(copy)
        assert (run.points, float(run.data.x[0])) == (1, level)
        np.testing.assert_array_equal(run.data.y.values[0], trace(level))
        assert not (copy / "journal.cut").exists()
    assert before > START


def test_a_run_that_was_resumed_replaces_what_it_had(record):
    recorder = record()
    recorder.declare(TRACE)
    recorder.put((0, 0, (1.0, trace(1)), 1))
    recorder.close(State.STOPPED)
    again = Recorder.resume(recorder.path, {}, period_s=3600)
    again.declare(TRACE)
    again.put((0, 0, (2.0, trace(2)), 2))
    again.put((0, 1, (2.0, trace(4)), 3))
    again.close(State.STOPPED)
    np.testing.assert_array_equal(load(recorder.path).y.values[:2, 0], [2.0, 4.0])
    assert open_run(recorder.path).points == 2


@pytest.mark.parametrize("axis", [V, OpenAxis("n", 1.0)])
def test_a_reader_sees_one_of_both_and_other_places_keep_theirs(record, axis):
    recorder = record(period_s=0.001)
    recorder.declare(Group(0, (axis,), TRACE.variables))
    ended, torn, looks = threading.Event(), [], []

    def look():
        while not ended.is_set():
            data = xr.open_zarr(recorder.data_path, chunks=None)
            if "y" in data and len(data.y):
                first = data.y[0].values
                looks.append(first[0])
                torn.extend([first] if len(np.unique(first[~np.isnan(first)])) > 1 else [])

    recorder.put((0, 0, (1.0, trace(1)), 1))
    recorder.flush()
    reader = threading.Thread(target=look)
    reader.start()
    level = 1
    while len(set(looks)) < 6 and reader.is_alive():
        level += 1
        recorder.put((0, 0, (1.0, trace(level)), level))
        recorder.put((0, 1 + level % 3, (1.0, trace(100 + level % 3)), level))
    ended.set()
    reader.join()
    assert not torn
    recorder.close(State.STOPPED)
    data = load(recorder.path)
    np.testing.assert_array_equal(data.y.values[0], trace(level))
    for place in (1, 2, 3):
        np.testing.assert_array_equal(data.y.values[place], trace(100 + place - 1))


@pytest.mark.parametrize("dtype", ["<f8", "<u2"])
def test_what_is_just_being_written_is_not_shown_by_load(record, dtype):
    recorder = record()
    recorder.declare(Group(0, (V,), (Variable("y", "", dtype, (Span("k", 5),)),)))
    recorder.put((0, 0, (np.full(5, 1, dtype),), 1))
    recorder.flush()
    row = recorder._known[0]
    half = np.array([7, 7, 7, 0, 0], dtype).tobytes()
    recorder._write_items(1, row.items(1, [(0, half)]), "")  # the write is under way
    data = load(recorder.path)
    assert (data.y.values[0] == 1).all()
    blank = data.y.values[1:]
    assert np.isnan(blank).all() if dtype == "<f8" else (blank == 0xFFFF).all()
