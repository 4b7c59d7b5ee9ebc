"""Plans: what can be swept, and that a grid visits each of its places once."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import Axis, OpenAxis, Plan, PlanError, Span, Sweep, check_name, sweep

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
axes = st.lists(st.lists(finite, min_size=1, max_size=5), min_size=0, max_size=4).map(
    lambda grids: tuple(Axis(f"a{k}", tuple(values)) for k, values in enumerate(grids))
)


@given(axes)
def test_a_plan_visits_each_index_exactly_once_in_c_order(grid):
    plan = Plan(grid)
    setpoints = list(plan)
    assert [s.index for s in setpoints] == list(range(plan.size))
    assert [plan.setpoint(k) for k in range(plan.size)] == setpoints
    for s in setpoints:
        place = np.unravel_index(s.index, plan.shape) if plan.axes else ()
        assert s.values == tuple(axis.values[k] for axis, k in zip(plan.axes, place, strict=True))


@given(finite, finite, st.integers(1, 50))
def test_a_linear_sweep_has_its_number_of_points_and_both_exact_ends(start, stop, num):
    values = sweep(start, stop, num, "V").values
    assert len(values) == num
    assert values[0] == start
    assert num == 1 or values[-1] == stop
    np.testing.assert_allclose(values, np.linspace(start, stop, num), rtol=1e-12, atol=1e-30)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 50))
def test_a_logarithmic_sweep_has_constant_ratios(start, stop, num):
    np.testing.assert_allclose(sweep(start, stop, num, log=True).values, np.geomspace(start, stop, num), rtol=1e-9)


@pytest.mark.parametrize(
    ("start", "stop", "step", "expected"),
    [
        (0, 1, 0.25, (0, 0.25, 0.5, 0.75, 1)),
        (1, 0, -0.5, (1, 0.5, 0)),
        (0, 0.3, 0.1, (0, 0.1, 0.2, 0.3)),
        (0, 1, 0.4, (0, 0.4, 0.8)),
    ],
)
def test_a_stepped_sweep_includes_the_end_only_if_a_step_meets_it(start, stop, step, expected):
    assert sweep(start, stop, "V", step=step).values == pytest.approx(expected)
    assert sweep(start, stop, "V", step=step).unit == "V"


def test_arrays_ranges_and_lists_become_plain_values():
    assert sweep(np.array([1.5, 2.5], "f4"), "V") == Sweep((1.5, 2.5), "V")
    assert sweep(range(3)).values == (0, 1, 2)
    assert type(sweep(np.arange(2)).values[0]) is int
    assert sweep(v for v in (1, 2)).values == (1, 2)
    assert sweep(np.float64(0), np.float32(1), np.int64(3)).values == (0.0, 0.5, 1.0)
    assert sweep([np.float32(0.5), np.int8(2)]).values == (0.5, 2)
    assert sweep(["up", "down"]).values == ("up", "down")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sweep([]), "empty"),
        (lambda: sweep(0, math.nan, 3), "stop is nan"),
        (lambda: sweep(math.inf, 1, 3), "start is inf"),
        (lambda: sweep([0, math.nan]), "value 1 is nan"),
        (lambda: sweep(0, 1), "number of points or step"),
        (lambda: sweep(0, 1, 3, step=1), "number of points or step"),
        (lambda: sweep(5), "no end"),
        (lambda: sweep(0, 1, 0), "at least 1"),
        (lambda: sweep(0, 1, 2.5), "whole number"),
        (lambda: sweep(0, 1, True), "whole number"),
        (lambda: sweep(0, 1, 3, 5), "unit must be a text"),
        (lambda: sweep([1], 5), "unit must be a text"),
        (lambda: sweep("abc"), "values to sweep"),
        (lambda: sweep("0", 1, 3), "values to sweep|number"),
        (lambda: sweep(np.zeros((2, 2))), "one dimension"),
        (lambda: sweep([1, "a"]), "mixes"),
        (lambda: sweep([None]), "value 0 is None"),
        (lambda: sweep(0, 1, 3, log=True), "other than zero"),
        (lambda: sweep(0, 1, step=-1), "never leads"),
        (lambda: sweep(0, 1, step=0), "never leads"),
        (lambda: sweep([1, 2], "V", 3), "only the unit"),
        (lambda: Axis("a/b", (1,)), "no '/'"),
        (lambda: Axis("", (1,)), "cannot be used"),
        (lambda: Axis("a", ()), "empty"),
        (lambda: Axis("a", (1,), 3), "unit must be a text"),
        (lambda: Plan((Axis("a", (1,)), Axis("a", (2,)))), "used 2 times"),
        (lambda: OpenAxis("time", 0.0), "positive"),
        (lambda: Span("x", 0), "length 0"),
    ],
)
def test_what_cannot_be_swept_is_refused_with_the_reason(make, words):
    with pytest.raises(PlanError, match=words):
        make()


@pytest.mark.parametrize("name", ["a/b", "../x", ".hidden", "1st", " a", "a ", "", "a\\b", None, 3, "a\nb"])
def test_a_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(PlanError, match="name"):
        check_name(name, "variable")


@pytest.mark.parametrize("name", ["voltage", "V_gate", "µ", "gate 1", "a.b", "x-y", "_x"])
def test_ordinary_names_are_accepted(name):
    if name == "_x":
        assert check_name(name, "variable") == name
    assert check_name(name, "variable") == name


def test_a_setpoint_says_where_it_is():
    plan = Plan((Axis("temperature", (280, 300.0), "K"), Axis("voltage", (0.1, 0.31), "V")))
    assert str(plan.setpoint(3)) == "temperature=300 K, voltage=0.31 V"
    assert plan.setpoint(2).as_dict() == {"temperature": 300.0, "voltage": 0.1}
    assert str(plan) == "temperature 2 × voltage 2 = 4 points"
    assert str(Plan()) == "1 point"
    for outside in (-1, 4):
        with pytest.raises(IndexError, match="4 points"):
            plan.setpoint(outside)
