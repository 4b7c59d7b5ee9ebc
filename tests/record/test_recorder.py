"""What is recorded is what xarray opens; what does not fit is refused and leaves the rest alone."""

import json
import multiprocessing
import os
import re
import threading
import warnings
from fractions import Fraction

import numpy as np
import pytest
import xarray as xr

from labnb.core import (
    ABSENT,
    Axis,
    Group,
    LifecycleError,
    OpenAxis,
    PlanError,
    Point,
    RecordError,
    RunLocked,
    SchemaError,
    Span,
    State,
    Variable,
)
from labnb.record import Recorder, load, open_run, recover

T = Axis("temperature", (280.0, 300.0), "K", "of the stage")
V = Axis("voltage", (0.0, 0.1, 0.2), "V")
SCALARS = Group(0, (T, V), (Variable("current", "A", notes="through the diode"),))
NS = 1_763_695_000_123_456_789


def only(variable, *axes):
    return Group(0, axes or (V,), (variable,))


def put_all(recorder, group, values):
    recorder.declare(group)
    for place, value in enumerate(values):
        recorder.put(Point(group.key, place, (value,), NS + place))


def test_a_new_run_is_an_empty_dataset_in_a_folder_of_its_own(record, tmp_path):
    recorder = record(name="gate map", cell="for v in sweep(...)")
    assert re.fullmatch(r"gate map-[0-9a-f]{4}", recorder.run_id)
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\d{8}-\d{6}-gate map-[0-9a-f]{4}", str(recorder.path.relative_to(tmp_path)))
    assert len(xr.open_zarr(recorder.data_path)) == 0
    assert json.loads((recorder.path / "run.json").read_text())["metadata"] == {"cell": "for v in sweep(...)"}


def test_points_are_seen_by_a_plain_reader_after_a_flush_and_times_are_exact(record):
    recorder = record()
    put_all(recorder, SCALARS, [0.0, 0.5, 1.0, 1.5])
    recorder.flush()
    data = xr.open_zarr(recorder.data_path)
    np.testing.assert_array_equal(data.current, [[0.0, 0.5, 1.0], [1.5, np.nan, np.nan]])
    assert data.t.dims == ("temperature", "voltage")
    assert data.t.values.ravel()[:4].astype("int64").tolist() == [NS, NS + 1, NS + 2, NS + 3]
    assert np.isnat(data.t.values.ravel()[4:]).all()
    assert data.current.attrs == {"units": "A", "long_name": "through the diode"}
    assert data.temperature.attrs == {"units": "K", "long_name": "of the stage"}
    assert data.attrs["Conventions"] == "CF-1.11"
    described = json.loads(data.attrs["labnb"])
    assert (described["state"], described["points"], described["run"]) == ("running", 4, recorder.run_id)


def test_a_finished_run_opens_with_its_state_and_metadata_and_has_no_journal(record):
    recorder = record(cell="x")
    recorder.update_metadata({"bench": {"dmm": 1}})
    put_all(recorder, SCALARS, [0.5])
    recorder.update_metadata({"tags": ["cold"]})
    recorder.note("warning", "dmm was slow", took_s=2.5)
    recorder.close(State.STOPPED)
    run = open_run(recorder.path)
    assert (run.state, run.points, run.run_id, run.name) == (State.STOPPED, 1, recorder.run_id, "iv")
    assert run.metadata == {"cell": "x", "bench": {"dmm": 1}, "tags": ["cold"]}
    assert json.loads(run.data.attrs["labnb"])["metadata"] == run.metadata
    assert json.loads(run.data.attrs["labnb"])["state"] == "stopped"
    assert not (recorder.path / "journal").exists()
    note = json.loads((recorder.path / "events.ndjson").read_text())
    assert (note["kind"], note["text"], note["took_s"]) == ("warning", "dmm was slow", 2.5)
    assert recover(recorder.path) == run


def test_each_level_has_its_own_dims_and_times_whichever_is_declared_first(record):
    recorder = record()
    recorder.declare(Group(5, (T,), (Variable("stage", "K"),)))
    recorder.put(Point(5, 0, (280.1,), NS))
    recorder.flush()
    assert xr.open_zarr(recorder.data_path).t.dims == ("temperature",)
    recorder.declare(Group(6, (T, V), (Variable("current", "A"),)))
    recorder.put(Point(6, 0, (1.0,), NS + 1))
    recorder.put(Point(5, 1, (299.9,), NS + 2))
    recorder.declare(Group(7, (), (Variable("offset", "V"),)))
    recorder.put(Point(7, 0, (0.25,), NS + 3))
    recorder.close(State.DONE)
    data = load(recorder.path)
    assert set(data.coords) == {"temperature", "voltage", "t", "t_temperature", "t_once"}
    assert data.t.dims == ("temperature", "voltage")
    assert data.t_temperature.values.astype("int64").tolist() == [NS, NS + 2]
    assert data.t.values.ravel().astype("int64")[0] == NS + 1
    assert data.t_once.values.astype("int64") == NS + 3
    assert (data.stage.dims, data.offset.dims, float(data.offset)) == (("temperature",), (), 0.25)
    assert sorted(p.name for p in (recorder.data_path / "t").iterdir()) == ["0.0", "c.0.0", "zarr.json"]


def test_times_get_another_name_if_an_axis_or_variable_is_called_t(record):
    recorder = record()
    put_all(recorder, only(Variable("t", "s")), [1.5])
    recorder.close(State.DONE)
    data = load(recorder.path)
    assert set(data.coords) == {"voltage", "time_of_point"}
    assert float(data.t[0]) == 1.5


def test_an_open_axis_grows_with_its_coordinate_across_chunks(record):
    recorder = record()
    recorder.declare(
        Group(0, (OpenAxis("time", 0.5, "s"), V), (Variable("x"), Variable("trace", "", "<f4", (Span("k", 2),))))
    )
    recorder.declare(Group(1, (OpenAxis("time", 0.5, "s"),), (Variable("outer"),)))
    for place in (0, 1, 2, 3, 16384 * 3 + 1):
        recorder.put(Point(0, place, (float(place), np.full(2, place, "f4")), NS + place))
    recorder.flush()
    data = xr.open_zarr(recorder.data_path).load()
    assert dict(data.sizes) == {"time": 16385, "voltage": 3, "k": 2}
    assert data.x.values.ravel()[[0, 3, -2]].tolist() == [0.0, 3.0, 49153.0]
    assert data.time.values[[0, 1, -1]].tolist() == [0.0, 0.5, 8192.0]
    assert data.trace.values[-1, 1].tolist() == [49153.0, 49153.0]
    assert np.isnan(data.outer.values).all()
    recorder.close(State.DONE)
    xr.testing.assert_identical(load(recorder.path).drop_attrs(deep=False), data.drop_attrs(deep=False))


@pytest.mark.parametrize(
    ("variable", "values", "expected"),
    [
        (Variable("x"), [1, 2.5, np.float32(0.5)], [1.0, 2.5, 0.5]),
        (Variable("x"), [np.int64(3), np.array(4.0), xr.DataArray(5.0)], [3.0, 4.0, 5.0]),
        (Variable("x", dtype="<f4"), [np.float32(1.5), np.float16(2.0)], [1.5, 2.0, np.nan]),
        (Variable("x", dtype="<i2"), [np.int16(-5), 7], [-5.0, 7.0, np.nan]),
        (Variable("x", dtype="<u8"), [np.uint64(2**40), 0], [2.0**40, 0.0, np.nan]),
        (Variable("x", dtype="|b1"), [True, np.bool(False)], [1.0, 0.0, np.nan]),
        (Variable("x", dtype="<c16"), [1j, 2, np.float64(0.5)], [1j, 2, 0.5]),
        (Variable("x", dtype="<c8"), [np.complex64(1j), np.float32(2)], [1j, 2, complex(np.nan, np.nan)]),
    ],
)
def test_numbers_of_every_kind_come_back(record, variable, values, expected):
    recorder = record()
    put_all(recorder, only(variable), values)
    recorder.close(State.DONE)
    np.testing.assert_array_equal(load(recorder.path).x.values, expected)


def test_ints_and_bools_are_kept_as_ints_that_have_a_value_to_spare(record):
    recorder = record()
    group = Group(
        0,
        (V,),
        (Variable("n", dtype="<i4"), Variable("ok", dtype="|b1"), Variable("image", "", "|u1", (Span("p", 2),))),
    )
    recorder.declare(group)
    recorder.put(Point(0, 0, (np.int32(7), True, np.array([0, 255], "u1")), NS))
    recorder.flush()
    raw = xr.open_zarr(recorder.data_path, mask_and_scale=False)
    assert (raw.n.dtype, raw.ok.dtype) == (np.dtype("i8"), np.dtype("i1"))
    assert raw.n.attrs["_FillValue"] == -(2**63)
    assert (raw.ok.attrs["flag_values"], raw.ok.attrs["flag_meanings"], raw.ok.attrs["_FillValue"]) == (
        [0, 1],
        "false true",
        -1,
    )
    image = xr.open_zarr(recorder.data_path).image
    assert image.dtype == np.uint8
    assert image.values[0].tolist() == [0, 255]


@pytest.mark.parametrize(
    "dtype", ["<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "<u8", "<u4", "<u2", "|u1", "<c16", "<c8", "|b1"]
)
def test_arrays_of_every_dtype_come_back_bit_for_bit(record, dtype):
    recorder = record()
    values = np.array([[1, 0, 1], [0, 1, 1]]).astype(dtype)
    put_all(
        recorder,
        only(Variable("x", "", dtype, (Span("row", 2), Axis("f", (1.0, 2.0, 3.0), "Hz")))),
        [values, values[::1]],
    )
    recorder.close(State.DONE)
    data = load(recorder.path)
    assert data.x.dims == ("voltage", "row", "f")
    assert data.f.attrs == {"units": "Hz"}
    np.testing.assert_array_equal(data.x.values[:2].astype(dtype), [values, values])


def test_foreign_byte_order_and_strides_are_stored_in_order(record):
    recorder = record()
    big = np.arange(6, dtype=">f8").reshape(3, 2).T
    put_all(
        recorder,
        only(Variable("x", "", "<f8", (Span("row", 2), Span("col", 3)))),
        [big, np.arange(6, dtype="i4").reshape(2, 3)],
    )
    recorder.flush()
    data = xr.open_zarr(recorder.data_path)
    np.testing.assert_array_equal(data.x.values[0], big)
    np.testing.assert_array_equal(data.x.values[1], np.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("dtype", ["|i1", "|u1", "<i2", "<u2", "<i4", "<u4"])
def test_every_value_of_a_small_int_can_be_recorded_and_a_whole_run_reads_as_what_was_measured(record, dtype):
    limits = np.iinfo(dtype)
    values = [np.dtype(dtype).type(limits.min), np.dtype(dtype).type(limits.max), int(limits.max)]
    whole, gaps = record(), record()
    put_all(whole, only(Variable("x", "", dtype)), values)
    put_all(gaps, only(Variable("x", "", dtype)), values[:2])
    whole.flush()
    live = xr.open_zarr(whole.data_path).x
    assert live.dtype.kind == "f"
    np.testing.assert_array_equal(live, [int(v) for v in values])
    whole.close(State.DONE)
    gaps.close(State.DONE)
    assert load(whole.path).x.dtype == np.dtype(dtype)
    assert load(whole.path).x.values.tolist() == [int(v) for v in values]
    np.testing.assert_array_equal(load(gaps.path).x, [int(values[0]), int(values[1]), np.nan])


def test_whole_bools_and_large_ints_read_as_such_and_lose_nothing(record):
    recorder = record()
    recorder.declare(Group(0, (V,), (Variable("ok", dtype="|b1"), Variable("n", dtype="<i8"))))
    for place in range(3):
        recorder.put(Point(0, place, (place == 1, np.int64(2**53 + place)), NS))
    recorder.close(State.DONE)
    data = load(recorder.path)
    assert (data.ok.dtype, data.n.dtype) == (np.dtype(bool), np.dtype("i8"))
    assert data.ok.values.tolist() == [False, True, False]
    assert data.n.values.tolist() == [2**53, 2**53 + 1, 2**53 + 2]


def test_arrays_larger_than_a_chunk_have_a_file_each(record):
    recorder = record()
    size = (9 << 20) // 8
    put_all(recorder, only(Variable("x", "", "<f8", (Span("k", size),))), [np.full(size, 1.0), np.full(size, 2.0)])
    recorder.flush()
    x = xr.open_zarr(recorder.data_path, chunks=None).x
    assert (x[0, [0, -1]].values.tolist(), x[1, [0, -1]].values.tolist()) == ([1.0, 1.0], [2.0, 2.0])
    assert np.isnan(x[2, [0, -1]].values).all()
    assert sorted(p.name for p in (recorder.data_path / "x").iterdir()) == ["c.0.0", "c.1.0", "zarr.json"]


@pytest.mark.parametrize("values", [(True, False), (1, 2), (1, 2.5), ("left", "rechts ä"), (2**70, 1)])
def test_coordinates_of_every_kind_come_back(record, values):
    recorder = record()
    put_all(recorder, only(Variable("x"), Axis("a", values)), [1.0, 2.0])
    recorder.close(State.DONE)
    assert load(recorder.path).a.values.tolist() == list(values)


def test_an_absent_value_reads_as_not_measured(record):
    recorder = record()
    kinds = ("<f8", "<i4", "|b1", "<c16")
    variables = tuple(Variable(f"x{k}", "", dtype) for k, dtype in enumerate(kinds))
    recorder.declare(Group(0, (V,), (*variables, Variable("trace", "", "<f8", (Span("k", 3),)))))
    recorder.put(Point(0, 0, (1.0, ABSENT, ABSENT, ABSENT, ABSENT), NS))
    recorder.put(Point(0, 1, (ABSENT, np.int32(1), True, 1j, np.ones(3)), NS))
    recorder.close(State.DONE)
    data = load(recorder.path)
    assert [bool(np.isnan(data[f"x{k}"].values[0])) for k in range(4)] == [False, True, True, True]
    assert np.isnan(data.trace.values[0]).all()
    assert not np.isnat(data.t.values[0])
    assert [bool(np.isnan(data[f"x{k}"].values[1])) for k in range(4)] == [True, False, False, False]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("<f8", True),
        ("<f8", np.bool(True)),
        ("<f8", "1.0"),
        ("<f8", None),
        ("<f8", 1j),
        ("<f8", np.complex128(1)),
        ("<f8", np.array([1.0])),
        ("<f8", np.ma.masked),
        ("<f8", Fraction(1, 3)),
        ("<f8", 10**400),
        ("<f8", np.timedelta64(1, "s")),
        ("<f8", np.longdouble(1)),
        ("<f4", 0.1),
        ("<f4", np.float64(0.1)),
        ("<i4", 1.0),
        ("<i4", True),
        ("<i4", 2**31),
        ("<i4", -(2**31) - 1),
        ("<i4", np.int64(2**31)),
        ("<i8", -(2**63)),
        ("<u8", np.uint64(2**64 - 1)),
        ("<u2", -1),
        ("<u2", 65536),
        ("|u1", np.int8(-1)),
        ("|b1", 1),
        ("|b1", 0.0),
        ("<c8", 1j),
        ("<c16", True),
    ],
)
def test_a_value_of_another_kind_is_refused_and_nothing_of_its_point_is_stored(record, dtype, value):
    recorder = record()
    good = np.ones((), dtype)[()]
    recorder.declare(Group(0, (V,), (Variable("x", "", dtype), Variable("y"))))
    recorder.put(Point(0, 0, (good, 1.0), NS))
    with pytest.raises(SchemaError, match=r"variable 'x', point 1 \(voltage=0.1 V\)"):
        recorder.put(Point(0, 1, (value, 2.0), NS))
    recorder.put(Point(0, 2, (good, 3.0), NS))
    assert recorder.points == 2
    recorder.close(State.DONE)
    np.testing.assert_array_equal(load(recorder.path).y.values, [1.0, np.nan, 3.0])


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(3),
        np.zeros((1, 4)),
        np.zeros(4, "c16"),
        np.zeros(4, bool),
        [0.0, 0.0, 0.0, 0.0],
        1.0,
        np.ma.masked_equal([1.0, 2, 3, 4], 2),
        xr.DataArray(np.zeros(4), dims="q"),
        xr.DataArray(np.zeros(4), dims="f", coords={"f": [1.0, 2, 3, 5]}),
    ],
)
def test_an_array_of_another_shape_dtype_or_coordinate_is_refused(record, value):
    recorder = record()
    recorder.declare(Group(0, (V,), (Variable("x", "V", "<f8", (Axis("f", (1, 2, 3, 4)),)), Variable("y"))))
    recorder.put(Point(0, 0, (np.ones(4), 1.0), NS))
    with pytest.raises(SchemaError, match="variable 'x', point 1"):
        recorder.put(Point(0, 1, (value, 1.0), NS))
    recorder.close(State.FAILED)
    data = load(recorder.path)
    assert np.isnan(data.x.values[1:]).all()
    assert np.isnat(data.t.values[1:]).all()
    assert data.x.values[0].tolist() == [1, 1, 1, 1]


def test_a_point_that_is_not_of_its_group_is_refused(record):
    recorder = record()
    recorder.declare(SCALARS)
    for point, text in [
        (Point(1, 0, (1.0,), NS), "never declared"),
        (Point(0, 6, (1.0,), NS), "outside"),
        (Point(0, -1, (1.0,), NS), "outside"),
        (Point(0, 0, (1.0, 2.0), NS), "expected 1 values, got 2"),
        (Point(0, 0, (ABSENT,), NS), "no value at all"),
        (Point(0, 0, (1.0,), 1.5), "whole nanoseconds"),  # type: ignore[arg-type]
    ]:
        with pytest.raises(SchemaError, match=text):
            recorder.put(point)
    assert recorder.points == 0


@pytest.mark.parametrize(
    "second",
    [
        Group(0, (V,), (Variable("other"),)),
        Group(1, (V,), (Variable("current"),)),
        Group(1, (Axis("voltage", (0.0, 0.1, 0.3), "V"),), (Variable("other"),)),
        Group(1, (Axis("voltage", (0.0, 0.1, 0.2), "mV"),), (Variable("other"),)),
        Group(1, (OpenAxis("voltage", 0.1, "V"),), (Variable("other"),)),
        Group(1, (Axis("current", (1.0,)),), (Variable("other"),)),
        Group(1, (), (Variable("voltage"),)),
        Group(1, (), (Variable("t"),)),
        Group(1, (), (Variable("x", dims=(Span("voltage", 4),)),)),
        Group(1, (), (Variable("zarr.json"),)),
        Group(1, (), (Variable("x" * 300),)),
        Group(1, (), (Variable("x", dtype="<f16"),)),
        Group(1, (), ()),
    ],
)
def test_a_group_that_contradicts_an_earlier_one_is_refused_before_anything_is_written(record, second):
    recorder = record()
    recorder.declare(SCALARS)
    before = (recorder.path / "journal").stat().st_size
    with pytest.raises(SchemaError):
        recorder.declare(second)
    assert (recorder.path / "journal").stat().st_size == before
    recorder.put(Point(0, 0, (1.0,), NS))
    recorder.close(State.DONE)
    assert float(load(recorder.path).current[0, 0]) == 1.0


def test_a_place_that_is_measured_again_has_its_last_value(record):
    recorder = record()
    recorder.declare(SCALARS)
    for place, value in [(2, 1.0), (0, 2.0), (2, 3.0), (1, 4.0), (2, 5.0)]:
        recorder.put(Point(0, place, (value,), NS))
    recorder.close(State.DONE)
    assert load(recorder.path).current.values[0].tolist() == [2.0, 4.0, 5.0]


def test_a_second_writer_is_told_who_holds_the_run(record):
    recorder = record()
    with pytest.raises(RunLocked, match=f"process {os.getpid()} on "):
        recover(recorder.path)
    assert open_run(recorder.path).state is State.RUNNING
    recorder.close(State.DONE)
    assert recover(recorder.path).state is State.DONE


def test_loading_a_run_that_is_being_written_shows_what_is_committed(record):
    recorder = record()
    put_all(recorder, SCALARS, [1.0])
    recorder.flush()
    recorder.put(Point(0, 1, (2.0,), NS))
    assert float(load(recorder.path).current.sum()) == 1.0
    assert float(load(str(recorder.data_path)).current.sum()) == 1.0
    assert open_run(recorder.path).points == 1


def test_points_become_visible_without_a_flush(record):
    recorder = record(period_s=0.005)
    put_all(recorder, SCALARS, [1.0])
    while "current" not in (data := xr.open_zarr(recorder.data_path)):
        pass
    assert float(data.current[0, 0]) == 1.0


def test_no_thread_and_no_descriptor_is_left_after_close(record):
    def left():
        return [t.name for t in threading.enumerate() if t.name != "labnb packing"], len(os.listdir("/proc/self/fd"))

    before = left()
    recorder = record(period_s=0.005)
    put_all(recorder, SCALARS, [1.0])
    recorder.close(State.DONE)
    recorder.close(State.DONE)
    assert left() == before
    for call in (lambda: recorder.put(Point(0, 0, (1.0,), NS)), recorder.flush, lambda: recorder.update_metadata({})):
        with pytest.raises(RecordError, match="closed"):
            call()


def test_a_run_cannot_be_closed_in_a_state_that_is_not_final(record):
    with pytest.raises(LifecycleError, match="cannot be closed as running"):
        record().close(State.RUNNING)


def test_a_forked_child_neither_writes_nor_holds_the_lock(record):
    recorder = record()
    put_all(recorder, SCALARS, [1.0])

    def child(pipe):
        try:
            recorder.put(Point(0, 1, (2.0,), NS))
        except RecordError as error:
            pipe.send(str(error))
        pipe.recv()

    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=child, args=(theirs,))
    process.start()
    try:
        assert "forked" in ours.recv()
        recorder.close(State.DONE)
        assert load(recorder.path).current.values[0, :2].tolist()[0] == 1.0
        assert recorder.points == 1
        assert recover(recorder.path).state is State.DONE
    finally:
        ours.send(None)
        process.join()


@pytest.mark.parametrize("name", ["a/b", "", " x", "..", "1st"])
def test_a_name_that_cannot_be_a_folder_is_refused(tmp_path, name):
    with pytest.raises(PlanError):
        Recorder.create(tmp_path, name, {})
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_a_file_or_has_no_parent_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for root in (tmp_path / "file", tmp_path / "no" / "folder", tmp_path / "file" / "below"):
        with pytest.raises(RecordError, match=r"cannot be recorded below .*expected a folder"):
            Recorder.create(root, "iv", {})
    with pytest.raises(RecordError, match="too long"):
        Recorder.create(tmp_path, "x" * 300, {})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_two_runs_of_one_second_have_folders_of_their_own(record):
    assert len({record().path for _ in range(20)}) == 20


def test_a_plain_reader_gets_no_warning_with_any_kind_of_variable(record):
    recorder = record()
    group = Group(
        0,
        (Axis("side", ("l", "r")), Axis("wait", (1, 2), "seconds")),
        tuple(Variable(f"x{k}", "days", d) for k, d in enumerate(("<f8", "<i8", "|b1", "<c16"))),
    )
    recorder.declare(group)
    recorder.put(Point(0, 0, (1.0, np.int64(5), True, 1j), NS))
    recorder.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = xr.open_zarr(recorder.data_path).load()
    assert float(data.x0[0, 0]) == 1.0
    assert data.wait.values.tolist() == [1, 2]


def test_the_dataset_can_be_exported_to_netcdf(record, tmp_path):
    recorder = record()
    put_all(recorder, SCALARS, [1.0])
    recorder.close(State.DONE)
    pytest.importorskip("scipy")
    load(recorder.path).to_netcdf(tmp_path / "iv.nc", engine="scipy")


def test_arrays_over_an_open_axis_that_another_group_makes_longer_read_as_not_measured(record):
    recorder = record()
    n = OpenAxis("n", 1.0)
    recorder.declare(Group(0, (n,), (Variable("y", "", "<f8", (Span("k", 4),)),)))
    for place in (0, 1, 5):
        recorder.put(Point(0, place, (np.full(4, 1.0 + place),), NS))
    recorder.declare(Group(1, (n,), (Variable("x"),)))
    recorder.put(Point(1, 30, (1.0,), NS))
    recorder.flush()
    expected = np.full((31, 4), np.nan)
    expected[[0, 1, 5]] = [[1.0] * 4, [2.0] * 4, [6.0] * 4]
    np.testing.assert_array_equal(xr.open_zarr(recorder.data_path).y, expected)
    recorder.put(Point(0, 33, (np.full(4, 9.0),), NS))
    recorder.close(State.DONE)
    np.testing.assert_array_equal(load(recorder.path).y[:31], expected)
