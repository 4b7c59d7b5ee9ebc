"""What people get when they open a run goes through everything that xarray does with data."""

import os
import shutil
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr

from labnb.core import Axis, Group, PlanError, RecordError, Span, State, Variable
from labnb.record import Recorder, load, open_run, runs
from labnb.record.lock import take_lock

MODE = Axis("mode", ("dc", "ac"), others=(Axis("filter", ("none", "slow")),))
V = Axis("v", (0.0, 1.0), "V")
GROUP = Group(
    0, (MODE, V), (Variable("label", dtype="str"), Variable("x", "A"), Variable("trace", "V", "<f8", (Span("k", 4),)))
)


def measured(record, state=State.STOPPED):
    """Return a run of which three of four places are measured."""
    recorder = record()
    recorder.declare(GROUP)
    for k in range(3):
        recorder.put((0, k, (f"l{k}", 1.0 * k, np.full(4, float(k))), 10**18 + k))
    recorder.close(state) if state else recorder.flush()
    return recorder


@pytest.fixture(params=["in memory", "lazily", "auto", {}, {"v": 2}], ids=str)
def data(request, record, monkeypatch):
    chunks = None if isinstance(request.param, str) and request.param != "auto" else request.param
    if request.param == "lazily":
        monkeypatch.setattr("labnb.record.reading.SMALL_BYTES", 0)
    return load(measured(record).path, chunks=chunks)


def test_data_with_texts_can_be_masked(data):
    measured_only = data.where(data.t.notnull())
    assert measured_only.label.values.ravel().tolist()[:3] == ["l0", "l1", "l2"]
    assert data.where(data.label == "l1").x.sum() == 1.0
    assert data.sel(mode="ac").label[0] == "l2"


def test_texts_and_numbers_come_in_the_same_pieces(data):
    assert dict(data.chunks) in ({}, {"mode": (2,), "v": (2,), "k": (4,)})
    assert set(data.coords) == {"mode", "v", "filter", "t"}


@pytest.mark.filterwarnings("ignore:.*dask array with dtype=object")
@pytest.mark.parametrize("form", [2, 3])
def test_data_can_be_cut_anew_and_written_as_zarr_of_either_form(data, tmp_path, form):
    data.chunk(v=1).to_zarr(tmp_path / "z", zarr_format=form, consolidated=False)
    xr.testing.assert_equal(xr.open_zarr(tmp_path / "z", consolidated=False).load(), data.compute())


@pytest.mark.filterwarnings("ignore:.*dask array with dtype=object")
def test_netcdf_gives_the_same_data_back(data, tmp_path):
    pytest.importorskip("h5netcdf")
    data.to_netcdf(tmp_path / "a.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as back:
        xr.testing.assert_identical(back.load(), data.compute())


def test_all_runs_can_be_opened_in_pieces_if_some_have_texts(record, tmp_path, monkeypatch):
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    for _ in range(2):
        measured(record)
    tree = runs(tmp_path).tree(chunks="auto")
    assert [float(node.x.sum()) for node in tree.children.values()] == [3.0, 3.0]


def test_any_number_of_runs_that_are_packed_can_be_open_at_once(record, monkeypatch):
    path = measured(record).path
    before = len(os.listdir("/proc/self/fd"))
    held = [load(path, chunks={}) for _ in range(20)]
    assert len(os.listdir("/proc/self/fd")) < before + 5
    assert len(held) == 20


@pytest.mark.parametrize("unit", ["s since start", "days since 2000-01-01"])
def test_a_unit_that_xarray_takes_for_a_date_is_refused(unit):
    for make in (lambda: Variable("x", unit), lambda: Axis("x", (1.0,), unit)):
        with pytest.raises(PlanError, match=r"'x': unit .*since.*read as a date.*expected a unit such as \"s\""):
            make()


def test_a_copy_that_lacks_the_journal_of_a_run_says_that_points_may_be_missing(record, tmp_path):
    path = measured(record, None).path
    copy = tmp_path / "copy" / path.name
    copy.parent.mkdir()
    subprocess.run(["cp", "-r", path, copy], check=True)
    (copy / "journal").unlink()
    for look in (load, open_run):
        with pytest.warns(UserWarning, match=r"its journal is not there.*copied.*may be missing"):
            look(copy)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(path)  # the run itself goes on


def test_who_opens_a_broken_run_while_another_process_completes_it_gets_all_of_it(record, tmp_path):
    recorder = record()
    recorder.declare(GROUP)
    recorder.put((0, 0, ("l0", 7.0, np.zeros(4)), 10**18))  # in the journal only
    copy = tmp_path / "copy"
    shutil.copytree(recorder.path, copy)
    held = take_lock(copy / "lock", "completed")
    with ThreadPoolExecutor(1) as other:
        found = other.submit(load, copy)
        with pytest.raises(TimeoutError):
            found.result(0.05)
        os.close(held)
        assert found.result(10).x.values[0, 0] == 7.0
    assert open_run(copy).state is State.INTERRUPTED


def test_a_run_whose_lock_and_journal_were_taken_away_claims_nothing_to_be_kept(record):
    recorder = measured(record, None)
    (recorder.path / "lock").unlink()
    assert open_run(recorder.path).state is State.INTERRUPTED  # whoever looks now completes it
    recorder.put((0, 3, ("l3", 3.0, np.zeros(4)), 10**18))
    with pytest.raises(RecordError, match=r"its journal is gone.*another process completed.*start a new run"):
        recorder.flush()
    with pytest.raises(RecordError, match="its journal is gone"):
        recorder.close(State.DONE)
    np.testing.assert_array_equal(load(recorder.path).x.values.ravel()[:3], [0.0, 1.0, 2.0])


def test_a_run_that_somebody_else_has_finished_in_the_meantime_is_not_gone_on_with(record, monkeypatch):
    path = measured(record).path
    real = Recorder._begin_again.__func__

    def late(cls, *given):
        monkeypatch.undo()
        other = Recorder.resume(path, {}, period_s=3600.0)
        other.declare(GROUP)
        other.put((0, 3, ("l3", 3.0, np.zeros(4)), 10**18 + 3))
        other.close(State.DONE)
        return real(cls, *given)

    monkeypatch.setattr(Recorder, "_begin_again", classmethod(late))
    with pytest.raises(RecordError, match="is done, all of its 4 points are there"):
        Recorder.resume(path, {})
    assert load(path).x.values.tolist() == [[0.0, 1.0], [2.0, 3.0]]
