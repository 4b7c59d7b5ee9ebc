"""Logs: groups whose axis has no schedule, declared whenever a variable first appears."""

import numpy as np
import pytest
import xarray as xr

from labnb.core import Group, LogAxis, SchemaError, Span, State, Variable
from labnb.record import Recorder, load, open_run


def log(key, name, *dims, dtype="<f8"):
    return Group(key, (LogAxis(f"time_{name}"),), (Variable(name, "V", dtype, dims),))


def test_each_entry_of_a_log_has_its_time_as_coordinate_and_logs_may_appear_late(tmp_path):
    recorder = Recorder.create(tmp_path, "log", {})
    recorder.declare(log(0, "a"))
    for k in range(20_000):
        recorder.put((0, k, (k + 0.5,), 1000 + k))
        if k % 4 == 0:
            if not k:
                recorder.declare(log(1, "b"))
            recorder.put((1, k // 4, (float(k),), 1000 + k))
    recorder.flush()
    live = xr.open_zarr(recorder.data_path).load()
    assert recorder.shown("time_a") == 20_000
    assert recorder.read("a", 16_000, 17_000).tolist() == [k + 0.5 for k in range(16_000, 17_000)]
    assert recorder.read("time_b", 0, 5_000).tolist() == list(range(1000, 21_000, 4))
    recorder.close(State.DONE)
    for data in (live, load(recorder.path)):
        assert data.a.dims == ("time_a",)
        assert data.time_a.values.astype("int64").tolist() == list(range(1000, 21_000))
        assert data.b.values.tolist() == list(range(0, 20_000, 4))
        assert "t" not in data.variables


def test_a_log_whose_process_died_is_completed(tmp_path):
    recorder = Recorder.create(tmp_path, "log", {}, period_s=1e6)
    recorder.declare(log(0, "a"))
    recorder.declare(log(1, "f", Span("f_0", 3), dtype="|u1"))
    for k in range(50):
        recorder.put((0, k, (float(k),), k))
        recorder.put((1, k, (np.full(3, k, np.uint8),), k))
    recorder._let_go()  # as the system does when the process is killed
    recorder._writer.stop()
    data = open_run(recorder.path).data
    assert data.a.values.tolist() == list(range(50))
    assert data.f.values.tolist() == [[k] * 3 for k in range(50)]
    assert data.time_f.values.astype("int64").tolist() == list(range(50))


@pytest.mark.parametrize("dtype", ["|b1", "<i4", "|u1", "<f4"])
def test_arrays_of_a_log_keep_their_dtype(tmp_path, dtype):
    recorder = Recorder.create(tmp_path, "log", {})
    recorder.declare(log(0, "f", Span("f_0", 2), dtype=dtype))
    recorder.put((0, 0, (np.array([1, 0], dtype),), 5))
    assert recorder.read("f", 0, 1).tolist() == [[1, 0]]
    recorder.close(State.DONE)
    assert load(recorder.path).f.dtype == np.dtype(dtype)


def test_two_groups_cannot_share_the_axis_of_a_log(tmp_path):
    recorder = Recorder.create(tmp_path, "log", {})
    recorder.declare(log(0, "a"))
    with pytest.raises(SchemaError, match="times"):
        recorder.declare(Group(1, (LogAxis("time_a"),), (Variable("b"),)))
    recorder.close(State.DONE)
