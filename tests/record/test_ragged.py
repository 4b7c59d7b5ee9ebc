"""Arrays whose length differs from point to point are recorded, padded, with their lengths beside them."""

import shutil
import warnings

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labnb import ragged
from labnb.core import ABSENT, Axis, Group, OpenAxis, SchemaError, Span, State, Variable, infer_variable
from labnb.record import Recorder, export, load, open_run, recover
from labnb.record.sealing import retire_run

V = Axis("v", tuple(range(6)), "V")
N = OpenAxis("n", 1.0)


def group_of(first, axes=(V,), name="peaks"):
    return Group(0, axes, (Variable("x"), infer_variable(name, "V", first)))


def put_all(recorder, values):
    for place, value in enumerate(values):
        recorder.put((0, place, (place * 0.5, value), place + 1))


def check(data, values, name="peaks"):
    for place, value in enumerate(values):
        assert int(data[f"{name}_length"][place]) == len(value)
        np.testing.assert_array_equal(data[name].values[place, : len(value)], value)
        assert np.isnan(data[name].values[place, len(value) :]).all()


SOME = [np.arange(n, dtype=float) + n for n in (3, 700, 0, 256, 257, 1)]


@pytest.mark.parametrize("axes", [(V,), (N,)])
def test_arrays_of_different_lengths_are_padded_and_their_lengths_kept(record, axes):
    recorder = record()
    recorder.declare(group_of(ragged(SOME[0]), axes))
    put_all(recorder, map(ragged, SOME[:4]))
    recorder.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        live = xr.open_zarr(recorder.data_path).load()
    check(live, SOME[:4])
    assert live.peaks.shape[1] == 700
    put_all(recorder, map(ragged, SOME))
    recorder.close(State.DONE)
    data = load(recorder.path)
    check(data, SOME)
    assert data.peaks.dims == (axes[0].name, "peaks_0")
    assert data.peaks.attrs["units"] == "V"
    assert data.peaks.attrs["ancillary_variables"] == "peaks_length"
    assert data.peaks_length.dtype == "int64"
    retire_run(recorder.path)
    check(load(recorder.path), SOME)


def test_arrays_that_are_all_empty_are_no_trouble_to_readers(record):
    recorder = record()
    recorder.declare(group_of(ragged([])))
    put_all(recorder, [ragged([]), ragged(np.empty(0))])
    recorder.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert xr.open_zarr(recorder.data_path).load().peaks.shape == (6, 0)
    recorder.close(State.STOPPED)
    data = load(recorder.path)
    assert data.peaks.shape == (6, 0)
    np.testing.assert_array_equal(data.peaks_length, [0, 0, np.nan, np.nan, np.nan, np.nan])


@pytest.mark.parametrize("dtype", ["<f4", "<c16", "|u1", "<u2", "<i8", "|b1"])
def test_no_type_confuses_what_was_measured_with_what_is_padded(record, dtype):
    recorder = record()
    values = [ragged(np.full(n, fill).astype(dtype)) for n, fill in ((2, 255), (4, 0), (1, 1))]
    recorder.declare(group_of(values[0]))
    put_all(recorder, values)
    recorder.close(State.STOPPED)
    check(load(recorder.path), values)


def test_pictures_whose_both_sides_differ_have_two_lengths(record):
    recorder = record()
    shapes = [(3, 5), (40, 2), (1, 300), (0, 4)]
    values = [np.arange(a * b, dtype=float).reshape(a, b) for a, b in shapes]
    recorder.declare(group_of(ragged(values[0]), name="spot"))
    put_all(recorder, map(ragged, values))
    recorder.close(State.STOPPED)
    data = load(recorder.path)
    assert data.spot.shape == (6, 40, 300)
    for place, (a, b) in enumerate(shapes):
        assert (int(data.spot_length_0[place]), int(data.spot_length_1[place])) == (a, b)
        np.testing.assert_array_equal(data.spot.values[place, :a, :b], values[place])
        assert int(data.spot[place].notnull().sum()) == a * b


def test_labelled_arrays_share_their_dimension(record):
    recorder = record()
    first = [ragged(xr.DataArray(np.zeros(3), dims="peak")), ragged(xr.DataArray(np.ones(3), dims="peak"))]
    recorder.declare(Group(0, (V,), tuple(infer_variable(n, "", v) for n, v in zip("ab", first, strict=True))))
    recorder.put((0, 0, tuple(first), 1))
    recorder.put((0, 1, (first[0], np.ones(9)), 2))
    recorder.close(State.STOPPED)
    data = load(recorder.path)
    assert data.a.dims == data.b.dims == ("v", "peak")
    assert data.sizes["peak"] == 9
    assert data.a_length.values[:2].tolist() == [3, 3]
    assert data.b_length.values[:2].tolist() == [3, 9]


def test_coordinates_that_ragged_arrays_lose_are_told():
    array = xr.DataArray(np.zeros(3), dims="f", coords={"f": [1.0, 2, 3]})
    with pytest.warns(UserWarning, match="the values of f are not recorded"):
        assert "f" not in ragged(array).coords


@pytest.mark.parametrize("value", ["text", 1.0, np.array(["a"]), np.ma.masked_equal([1, 2], 2), None])
def test_what_is_no_array_of_numbers_cannot_be_ragged(value):
    with pytest.raises(SchemaError, match="expected an array of numbers"):
        ragged(value)


def test_what_is_computed_from_a_ragged_array_goes_on_as_numpy_does():
    trace = ragged([1.0, 2.0, 4.0])
    assert float(trace.max()) == 4.0
    assert (trace / 2).tolist() == [0.5, 1.0, 2.0]
    assert infer_variable("half", "", trace / 2).ragged
    assert not infer_variable("top", "", trace.max()).dims


@pytest.mark.parametrize("value", [np.zeros((2, 2)), 1.0, np.zeros(3, complex), np.array(["a"]), [1.0]])
def test_a_value_that_is_no_such_array_is_refused_by_name(record, value):
    recorder = record()
    recorder.declare(group_of(ragged([1.0])))
    with pytest.raises(SchemaError, match=r"variable 'peaks', point 0 \(v=0 V\): expected ragged array of 1 dimension"):
        recorder.put((0, 0, (1.0, value), 1))


def test_a_fixed_array_that_changes_its_shape_says_how_to_record_it(record):
    recorder = record()
    recorder.declare(group_of(np.zeros(3)))
    recorder.put((0, 0, (1.0, np.zeros(3)), 1))
    with pytest.raises(
        SchemaError, match=r"expected array of shape \(3,\).*got array of shape \(4,\).*record ragged\(v"
    ):
        recorder.put((0, 1, (1.0, np.zeros(4)), 2))


@pytest.mark.parametrize("other", [Variable("peaks_length"), Variable("y", dims=(Span("peaks_0", 4),))])
def test_a_name_that_a_ragged_array_needs_is_refused_to_others(record, other):
    recorder = record()
    recorder.declare(group_of(ragged([1.0])))
    with pytest.raises(SchemaError, match="rename one"):
        recorder.declare(Group(1, (), (other,)))


def test_what_a_ragged_array_of_a_failed_try_has_left_is_gone(record, monkeypatch):
    recorder = record()
    recorder.declare(group_of(ragged([1.0])))
    with monkeypatch.context() as patch:
        patch.setattr(recorder, "_append", lambda _record: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            recorder.put((0, 0, (1.0, ragged(np.full(900, 7.0))), 1))
    recorder.put((0, 0, (1.0, ragged([2.0])), 1))
    recorder.put((0, 1, (1.0, ragged(np.full(900, 1.0))), 1))
    recorder.close(State.STOPPED)
    check(load(recorder.path), [np.array([2.0]), np.full(900, 1.0)])


def test_a_run_of_ragged_arrays_is_resumed(record, tmp_path):
    recorder = record()
    recorder.declare(group_of(ragged(SOME[0])))
    put_all(recorder, map(ragged, SOME[:3]))
    recorder.put((0, 3, (1.5, ABSENT), 4))
    recorder.close(State.STOPPED)
    again = Recorder.resume(recorder.path, {}, period_s=3600)
    assert [again.kept[0].values(k)[1].tolist() for k in range(3)] == [v.tolist() for v in SOME[:3]]
    assert again.kept[0].values(3)[1] is ABSENT
    again.declare(group_of(ragged(np.zeros(5000))))
    again.put((0, 4, (2.0, ragged(SOME[1])), 5))
    again.put((0, 5, (2.5, ragged(np.arange(5000.0))), 6))
    again.close(State.DONE)
    data = load(recorder.path)
    check(data.isel(v=slice(0, 3)), SOME[:3])
    assert np.isnan(data.peaks_length[3])
    check(data.isel(v=slice(4, 6)), [SOME[1], np.arange(5000.0)])
    files = export(recorder.path, tmp_path / "run.csv")
    assert len(files) == 2
    (nc,) = export(recorder.path, tmp_path / "run.nc")
    with xr.open_dataset(nc) as exported:
        np.testing.assert_array_equal(exported.peaks, data.peaks)


@pytest.mark.parametrize("had", [[], [SOME[2]], [SOME[2], SOME[2]]])
def test_a_run_whose_ragged_arrays_were_all_empty_so_far_is_resumed(record, had):
    recorder = record()
    group = group_of(ragged(SOME[0]))
    recorder.declare(group)
    put_all(recorder, map(ragged, had))
    recorder.close(State.STOPPED)
    again = Recorder.resume(recorder.path, {}, period_s=3600.0)
    again.declare(group)
    assert again.kept[0].places.tolist() == list(range(len(had)))
    put_all(again, map(ragged, SOME))
    again.close(State.DONE)
    check(load(recorder.path), SOME)


def test_a_dead_process_leaves_only_arrays_that_were_acknowledged(record, tmp_path):
    recorder = record()
    recorder.declare(group_of(ragged([1.0])))
    put_all(recorder, map(ragged, SOME[:2]))
    recorder.flush()
    row, point = recorder._known[0], (0, 2, (1.0, np.full(3000, 9.0)), 3)
    recorder._write_items(2, row.items(2, [(1, point[2][1])]), "")  # and it dies before the journal has it
    shutil.copytree(recorder.path, tmp_path / "copy")
    run = recover(tmp_path / "copy")
    assert run.points == 2
    check(run.data, SOME[:2])
    assert run.data.peaks.shape == (6, 700)
    assert not list((tmp_path / "copy" / "data.zarr" / "peaks").glob("c.*.11"))
    again = Recorder.resume(run.path, {}, period_s=3600)
    again.put((0, 3, (1.0, ragged(np.full(3000, 5.0))), 4))
    again.close(State.STOPPED)
    data = load(run.path)
    assert np.isnan(data.peaks.values[2]).all()
    np.testing.assert_array_equal(data.peaks.values[3], np.full(3000, 5.0))


@given(st.lists(arrays("<f8", st.integers(0, 800)), min_size=1, max_size=6), st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_lengths_come_they_read_as_they_were_put(tmp_path_factory, values, flushed):
    recorder = Recorder.create(tmp_path_factory.mktemp("lab"), "r", {}, period_s=3600)
    recorder.declare(group_of(ragged(values[0])))
    for place, value in enumerate(values):
        recorder.put((0, place, (0.5, ragged(value)), place + 1))
        if flushed:
            recorder.flush()
    recorder.close(State.STOPPED)
    check(load(recorder.path), values)
    assert open_run(recorder.path).points == len(values)
