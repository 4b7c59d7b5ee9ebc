"""Schemas: what a first value declares, and which groups contradict themselves."""

import copy
import pickle

import numpy as np
import pytest
import xarray as xr

from labnb.core import (
    ABSENT,
    Axis,
    Group,
    OpenAxis,
    PlanError,
    SchemaError,
    Span,
    Variable,
    describe_value,
    infer_variable,
)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, "<f8"),
        (1.5, "<f8"),
        (True, "|b1"),
        (1j, "<c16"),
        (np.float32(1), "<f4"),
        (np.int16(1), "<i2"),
        (np.bool_(True), "|b1"),
        (np.complex64(1), "<c8"),
        (np.float64(1), "<f8"),
        (np.array(2, ">i4"), "<i4"),
    ],
)
def test_a_first_value_declares_its_dtype_and_python_numbers_float64(value, dtype):
    assert infer_variable("x", "V", value) == Variable("x", "V", dtype)


def test_an_array_declares_its_own_dimensions():
    variable = infer_variable("trace", "V", np.zeros((2, 3), "f4"))
    assert variable.dims == (Span("trace_0", 2), Span("trace_1", 3))
    assert variable.shape == (2, 3)


def test_a_labelled_array_brings_its_names_and_coordinates():
    array = xr.DataArray(
        np.zeros((2, 3)), dims=("channel", "time"), coords={"time": ("time", [0.0, 1.0, 2.0], {"units": "s"})}
    )
    assert infer_variable("trace", "V", array).dims == (Span("channel", 2), Axis("time", (0.0, 1.0, 2.0), "s"))


@pytest.mark.parametrize(
    "value", [b"text", None, object(), np.array(["a"]), np.datetime64("2026-01-01"), np.zeros(0), {}]
)
def test_what_cannot_be_recorded_is_refused_by_name(value):
    with pytest.raises(SchemaError, match="'x'"):
        infer_variable("x", "V", value)


def test_a_group_refuses_names_that_collide_and_open_axes_inside():
    voltage, time = Axis("voltage", (1.0,)), OpenAxis("time", 0.5, "s")
    with pytest.raises(PlanError, match="name of the axis"):
        Group(0, (voltage,), (Variable("voltage"),))
    with pytest.raises(PlanError, match="dimension 'voltage'"):
        Group(0, (voltage,), (Variable("x", dims=(Span("voltage", 3),)),))
    with pytest.raises(PlanError, match="outermost"):
        Group(0, (voltage, time), ())
    assert Group(0, (time, voltage), ()).size is None
    assert Group(0, (time, voltage), ()).setpoint_text(3) == "time=1.5 s, voltage=1"


def test_absent_stays_itself_when_copied():
    assert copy.deepcopy(ABSENT) is ABSENT
    assert pickle.loads(pickle.dumps(ABSENT)) is ABSENT


def test_a_value_is_described_with_its_kind():
    assert describe_value(None) == "None (NoneType)"
    assert describe_value(np.zeros(3)) == "array of shape (3,) of float64"
    assert len(describe_value("x" * 1000)) < 80
