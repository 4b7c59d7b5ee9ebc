"""In which order a plan is visited: every place once, whatever the order, and what the order promises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.core import Axis, Plan, PlanError, dimensions, sweep

KINDS = {
    "straight": lambda s: s,
    "snake": lambda s: s.snake(),
    "shuffled": lambda s: s.shuffled(7),
    "there and back": lambda s: s.there_and_back(),
}


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(sorted(KINDS))), max_size=4))
def test_every_plan_visits_each_index_exactly_once(shape):
    axes = tuple(KINDS[kind](sweep(range(size))).named(f"a{k}") for k, (size, kind) in enumerate(shape))
    plan = Plan(axes)
    visited = [setpoint.index for setpoint in plan]
    assert sorted(visited) == list(range(plan.size))
    assert all(plan.setpoint(s.index) == s for s in plan)


def indices(*axes):
    return [setpoint.index for setpoint in Plan(axes)]


def test_a_snake_turns_at_every_other_pass():
    assert indices(sweep([1, 2, 3]).named("y"), sweep([1, 2, 3]).snake().named("x")) == [0, 1, 2, 5, 4, 3, 6, 7, 8]


def test_there_and_back_is_a_dimension_that_shows_hysteresis():
    plan = Plan((sweep([10, 20, 30], "mT").there_and_back().named("field"),))
    assert plan.dims == ("direction", "field")
    assert plan.shape == (2, 3)
    walk = [(s.as_dict()["direction"], s.as_dict()["field"]) for s in plan]
    assert walk == [("forward", f) for f in (10, 20, 30)] + [("backward", f) for f in (30, 20, 10)]


def test_two_axes_there_and_back_have_two_directions():
    axes = [sweep([1, 2]).there_and_back().named(name) for name in ("a", "b")]
    assert [axis.name for axis in dimensions(axes)] == ["direction", "a", "b_direction", "b"]


def test_a_shuffled_axis_is_the_same_for_the_same_seed_and_another_in_each_pass():
    def order(seed):
        return indices(sweep(range(3)).named("y"), sweep(range(20)).shuffled(seed).named("x"))

    assert order(1) == order(1)
    assert order(1) != order(2)
    first, second = order(1)[:20], [k - 20 for k in order(1)[20:40]]
    assert first != second
    assert sorted(first) == sorted(second) == list(range(20))


def test_what_is_in_lock_step_has_a_value_of_each_at_each_place():
    axis = sweep.zip(sweep(0, 1, 3, "V"), [5, 6, 7]).named("x", "y")
    assert axis.names == ("x", "y")
    assert list(axis.yielded(0)) == [(0, (0.0, 5)), (1, (0.5, 6)), (2, (1.0, 7))]
    assert str(Plan((axis,)).setpoint(1)) == "x=0.5 V, y=6"
    back = sweep.zip([1, 2], [3, 4]).there_and_back().named("x", "y")
    assert [s.as_dict()["y"] for s in Plan((back,))] == [3, 4, 4, 3]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sweep([1]).snake().shuffled(), "is snake already; it cannot be shuffled as well"),
        (lambda: sweep.zip([1, 2]), "at least two sweeps"),
        (lambda: sweep.zip([1, 2], [1]), "has 2 values and .* 1; they must agree"),
        (lambda: sweep.zip(sweep([1]).snake(), [1]), "cannot be in lock-step"),
        (lambda: sweep.zip([1], [2]).named("x"), "2 sweeps in lock-step for the names x: give each sweep one name"),
        (lambda: sweep([1]).named("x", "y"), "1 sweep in lock-step for the names x, y"),
        (lambda: Axis("x", (1, 2), others=(Axis("y", (1,)),)), "'x' has 2 values and 'y' 1"),
        (lambda: Plan((sweep.zip([1], [2]).named("x", "y"), sweep([1]).named("y"))), "axis 'y' is used 2 times"),
    ],
)
def test_what_cannot_be_visited_is_refused(make, words):
    with pytest.raises(PlanError, match=words):
        make()
