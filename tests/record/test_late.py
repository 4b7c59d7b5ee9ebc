"""A variable that is absent at first gets its kind with its first value, whichever row that is in."""

import enum
import json
import shutil
import threading
import warnings

import numpy as np
import pytest
import xarray as xr

from labnb import ragged
from labnb.core import ABSENT, Axis, Group, OpenAxis, SchemaError, State, Variable, infer_variable
from labnb.record import Recorder, export, load, open_run, recover
from labnb.record.sealing import retire_run


class Status(enum.Flag):
    READY = 1
    OVERLOAD = 2
    LOCKED = 8


V = Axis("v", tuple(range(6)), "V")
LATE = Group(0, (V,), (Variable("x"), infer_variable("late", "", ABSENT)))
VALUES = {
    "number": 1.5,
    "bool": True,
    "text": "warm",
    "int": np.int16(-3),
    "complex": 1 + 2j,
    "array": np.arange(4.0),
    "picture": np.arange(6, dtype="u1").reshape(2, 3),
    "ragged": ragged([1.0, 2.0]),
    "flag": Status.READY | Status.LOCKED,
}


def decided(value, group=LATE):
    return Group(0, group.axes, (Variable("x"), infer_variable("late", "", value)))


def plain(value):
    return value.value if isinstance(value, enum.Flag) else value


def put(recorder, place, late=ABSENT):
    recorder.put((0, place, (place * 0.5, late), place + 1))


def check(data, value, place):
    np.testing.assert_array_equal(data.x.values[: place + 1], np.arange(place + 1) * 0.5)
    np.testing.assert_array_equal(data.late.values[place], plain(value))
    before = data.late.values[0]
    if isinstance(value, str):
        assert before == ""
    elif getattr(value, "dtype", None) != "u1":  # arrays of pixels have no value for "not measured"
        assert np.isnan(before).all()


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("axes", [(V,), (OpenAxis("n", 1.0),)], ids=["grid", "open"])
def test_the_first_value_decides_what_a_late_variable_is(record, tmp_path, value, axes):
    recorder = record()
    group = Group(0, axes, LATE.variables)
    recorder.declare(group)
    put(recorder, 0)
    recorder.flush()
    assert "late" not in xr.open_zarr(recorder.data_path)
    put(recorder, 1)
    recorder.declare(decided(value, group))
    put(recorder, 2, value)
    put(recorder, 3)
    recorder.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(xr.open_zarr(recorder.data_path).load(), value, 2)
    shutil.copytree(recorder.path, tmp_path / "copy")
    check(recover(tmp_path / "copy").data, value, 2)
    recorder.close(State.STOPPED)
    check(load(recorder.path), value, 2)
    retire_run(recorder.path)
    check(load(recorder.path), value, 2)
    document = json.loads((recorder.path / "run.json").read_text())
    assert [len(document["groups"]), document["points"]] == [1, 4]


def test_a_variable_that_never_came_reads_as_not_measured_when_the_run_has_ended(record):
    recorder = record()
    recorder.declare(LATE)
    put(recorder, 0)
    recorder.close(State.DONE)
    retire_run(recorder.path)
    data = load(recorder.path)
    assert data.late.dtype == "float64"
    assert np.isnan(data.late.values).all()


def test_a_kind_is_decided_once(record):
    recorder = record()
    recorder.declare(LATE)
    put(recorder, 0)
    recorder.declare(decided(np.zeros(4)))
    for group in (decided(np.zeros(4)), decided(np.zeros(5)), decided(1.0), LATE):
        with pytest.raises(SchemaError):
            recorder.declare(group)
    put(recorder, 1, np.ones(4))
    with pytest.raises(SchemaError, match=r"variable 'late', point 2 .*expected array of shape \(4,\)"):
        put(recorder, 2, 1.0)


def test_a_value_of_a_variable_that_is_undecided_is_refused(record):
    recorder = record()
    recorder.declare(LATE)
    for value in (1.0, np.zeros(3), "text"):
        with pytest.raises(SchemaError, match="variable 'late', point 0"):
            put(recorder, 0, value)


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("already", [False, True])
def test_a_resumed_run_decides_what_is_left_or_agrees(record, value, already):
    recorder = record()
    recorder.declare(LATE)
    put(recorder, 0)
    if already:
        recorder.declare(decided(value))
        put(recorder, 1, value)
    recorder.close(State.STOPPED)
    again = Recorder.resume(recorder.path, {}, period_s=3600)
    assert (again.kept[0].values(0)[1] is ABSENT) == (not already or isinstance(value, str | type(ragged([])))), (
        again.kept[0].values(0)
    )
    again.declare(LATE)
    put(again, 2)
    again.declare(decided(value))
    put(again, 3, value)
    again.close(State.STOPPED)
    retire_run(recorder.path)
    data = load(recorder.path)
    np.testing.assert_array_equal(data.x.values[2:4], [1.0, 1.5])
    np.testing.assert_array_equal(data.late.values[3], plain(value))


def test_a_resumed_run_that_measures_another_kind_is_refused(record):
    recorder = record()
    recorder.declare(LATE)
    put(recorder, 0)
    recorder.declare(decided(np.zeros(4)))
    put(recorder, 1, np.zeros(4))
    recorder.close(State.STOPPED)
    again = Recorder.resume(recorder.path, {}, period_s=3600)
    with pytest.raises(SchemaError, match="cannot be resumed by this measurement"):
        again.declare(decided("text"))
    again.close(State.STOPPED)


def test_a_place_that_had_no_array_gets_one_later_and_loses_it_if_that_was_not_acknowledged(record, tmp_path):
    recorder = record()
    recorder.declare(LATE)
    put(recorder, 0)
    put(recorder, 1)
    recorder.declare(decided(np.zeros(4)))
    put(recorder, 0, np.full(4, 1.0))
    put(recorder, 2, np.full(4, 2.0))
    recorder.flush()
    live = xr.open_zarr(recorder.data_path).late.values
    np.testing.assert_array_equal(live[:3, 0], [1.0, np.nan, 2.0])
    recorder.close(State.STOPPED)
    np.testing.assert_array_equal(load(recorder.path).late.values[:3, 0], [1.0, np.nan, 2.0])


def test_readers_never_fail_while_variables_appear_one_after_the_other(record):
    recorder = record(period_s=0.001)
    names = list(VALUES)
    n = OpenAxis("n", 1.0)
    group = Group(0, (n,), (Variable("x"), *(infer_variable(name, "", ABSENT) for name in names)))
    recorder.declare(group)
    ended, looks = threading.Event(), []

    def look():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            while not ended.is_set():
                data = xr.open_zarr(recorder.data_path, chunks=None).load()
                looks.append(len(data.variables))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for step in range(len(names) * 40):
            if step % 40 == 20:
                variables = (
                    infer_variable(v.name, "", VALUES[v.name]) if v.name == names[step // 40] else v
                    for v in group.variables
                )
                group = Group(0, (n,), (Variable("x"), *tuple(variables)[1:]))
                recorder.declare(group)
            values = tuple(ABSENT if v.undecided else VALUES[v.name] for v in group.variables[1:])
            recorder.put((0, step, (step * 0.5, *values), step + 1))
            count = len(looks)
            while step % 20 == 19 and reader.is_alive() and len(looks) == count:
                pass
    finally:
        ended.set()
        reader.join()
    assert len(set(looks)) > 3
    recorder.close(State.DONE)
    assert open_run(recorder.path).points == len(names) * 40


# ---- flags


class Other(enum.Flag):
    A = 1
    B = 2


class Register(enum.IntFlag):
    POWER = 1
    HIGH = 1 << 40


def test_flags_are_numbers_with_their_names_beside_them_as_cf_says(record):
    recorder = record()
    values = [Status.READY, Status.READY | Status.LOCKED, Status(0), Status.OVERLOAD]
    group = Group(
        0, (Axis("v", range(4)),), (infer_variable("s", "", values[0]), infer_variable("r", "", Register.HIGH))
    )
    recorder.declare(group)
    for place, value in enumerate(values):
        recorder.put((0, place, (value, Register.HIGH | Register.POWER), place + 1))
    recorder.close(State.DONE)
    data = load(recorder.path)
    assert [Status(int(v)) for v in data.s.values] == values
    assert Register(int(data.r[0])) == Register.HIGH | Register.POWER
    assert data.s.dtype == "int32"
    assert data.s.attrs["flag_masks"] == [1, 2, 8]
    assert data.s.attrs["flag_meanings"] == "READY OVERLOAD LOCKED"


def test_flags_come_through_netcdf_in_the_type_of_their_variable(record, tmp_path):
    recorder = record()
    recorder.declare(Group(0, (V,), (infer_variable("s", "", Status.READY), infer_variable("b", "", True))))
    recorder.put((0, 0, (Status.READY | Status.LOCKED, True), 1))
    recorder.close(State.STOPPED)
    (path,) = export(recorder.path, tmp_path / "run.nc")
    with xr.open_dataset(path, mask_and_scale=False) as raw:
        for name in ("s", "b"):
            key = "flag_masks" if name == "s" else "flag_values"
            assert raw[name].attrs[key].dtype == raw[name].dtype
        assert Status(int(raw.s[0])) == Status.READY | Status.LOCKED


def test_a_flag_of_another_kind_is_refused(record):
    recorder = record()
    recorder.declare(Group(0, (V,), (infer_variable("s", "", Status.READY),)))
    recorder.put((0, 0, (3,), 1))
    recorder.put((0, 1, (Status.LOCKED,), 2))
    for value in (Other.A, Register.POWER, 1.0, True, "READY"):
        with pytest.raises(SchemaError, match=r"variable 's', point 2 .*expected a flags READY | OVERLOAD | LOCKED"):
            recorder.put((0, 2, (value,), 3))


def test_flags_of_more_bits_than_a_number_has_are_refused():
    with pytest.raises(SchemaError, match="70 bits; at most 63"):
        infer_variable("s", "", enum.Flag("Long", {"A": 1 << 69}).A)
