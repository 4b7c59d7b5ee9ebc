"""Walking through loops: every setpoint once, every row whole, orders obeyed between two points."""

import asyncio
import collections
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.core import ABSENT, Axis, OpenAxis, PlanError, Point, SchemaError, amended, sweep
from labnb.instruments import Reading
from labnb.session import Loop, Outline, Record, Section, Steps
from labnb.session._gate import Halted, Order


class Kept:
    """What the steps delivered."""

    def __init__(self):
        self.groups, self.points = {}, []

    def declare(self, group):
        known = self.groups.get(group.key)
        assert known is None or amended(known, group) != known
        self.groups[group.key] = group

    def put(self, point):
        point = Point(*point)
        assert point.group in self.groups
        self.points.append(point)

    def values(self, group):
        return {p.place: p.values for p in self.points if p.group == group}


def steps_for(outline, axes=None, awaiting=False):
    kept = Kept()
    return Steps(outline, axes or {}, awaiting=awaiting, declare=kept.declare, put=kept.put), kept


def two_loops(conditional=False):
    return Outline(
        (Loop(0, "a", None, None, 2), Loop(1, "b", 0, 0, 1)),
        (
            Section(0, 0, (Record("before", "K"),)),
            Section(1, 1, (Record("x", "A"),), conditional),
            Section(2, 0, (Record("after", "K"),)),
        ),
    )


@given(st.integers(1, 5), st.integers(1, 5))
def test_nested_loops_deliver_each_place_once_with_its_own_values(n, m):
    steps, kept = steps_for(two_loops())
    for a in steps.loop(0, sweep(range(n))):
        steps.rows[0][0] = a * 10.0
        for b in steps.loop(1, sweep(range(m))):
            steps.rows[1][0] = a * 100.0 + b
        steps.rows[2][0] = a + 0.5
    assert kept.values(0) == {a: (a * 10.0,) for a in range(n)}
    assert kept.values(1) == {a * m + b: (a * 100.0 + b,) for a in range(n) for b in range(m)}
    assert kept.values(2) == {a: (a + 0.5,) for a in range(n)}
    assert kept.groups[1].dims == ("a", "b")
    assert kept.groups[0].variables[0].unit == "K"
    assert steps.points == steps.total == n * m
    times = [p.time_ns for p in kept.points]
    assert times == sorted(times)


def test_an_outer_row_is_kept_before_the_inner_loop_begins():
    steps, kept = steps_for(two_loops())
    for _ in steps.loop(0, sweep([1])):
        steps.rows[0][0] = 3.0
        for _ in steps.loop(1, sweep([1])):
            assert [p.group for p in kept.points] == [0]
            steps.rows[1][0] = 4.0
        steps.rows[2][0] = 5.0
    assert [p.group for p in kept.points] == [0, 1, 2]


def test_a_conditional_row_is_absent_where_nothing_was_recorded_and_never_stale():
    outline = Outline((Loop(0, "a", None, None, 0),), (Section(0, 0, (Record("x"), Record("y")), True),))
    steps, kept = steps_for(outline)
    for a in steps.loop(0, sweep(range(4))):
        if a in (0, 3):
            steps.rows[0][0] = float(a)
        if a == 3:
            steps.rows[0][1] = 9.0
    assert kept.values(0)[3] == (3.0, 9.0)
    assert set(kept.values(0)) == {0, 3}
    assert kept.values(0)[0] == (0.0, ABSENT)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("late", [0, 1, 2, 3])
def test_readings_and_numbers_may_take_turns(conditional, late):
    outline = Outline((Loop(0, "a", None, None, 0),), (Section(0, 0, (Record("x"),), conditional),))
    kept = Kept()

    def put(point):
        if isinstance(point[2][0], Reading):
            raise SchemaError("expected a number")
        kept.put(point)

    steps = Steps(outline, {}, awaiting=False, declare=kept.declare, put=put)
    for a in steps.loop(0, sweep(range(4))):
        steps.rows[0][0] = Reading(a + 0.5, "A", 0.0) if a >= late else a + 0.5
    assert kept.values(0) == {a: (a + 0.5,) for a in range(4)}


def test_an_inner_row_left_by_an_error_does_not_leak_into_the_next_pass():
    outline = two_loops(conditional=True)
    steps, kept = steps_for(outline)
    for a in steps.loop(0, sweep(range(2))):
        steps.rows[0][0] = steps.rows[2][0] = 0.0
        try:
            for b in steps.loop(1, sweep(range(2))):
                if a == 1 and b == 0:
                    continue
                steps.rows[1][0] = a * 10.0 + b
                if a == 0 and b == 1:
                    raise ValueError
        except ValueError:
            pass
    assert kept.values(1) == {0: (0.0,), 3: (11.0,)}


def test_a_sweep_that_runs_twice_at_one_setpoint_is_refused():
    steps, _ = steps_for(two_loops())
    for _ in steps.loop(0, sweep([1.5], "K")):
        steps.rows[0][0] = steps.rows[2][0] = 0.0
        for _ in steps.loop(1, sweep([1])):
            steps.rows[1][0] = 1.0
        with pytest.raises(PlanError, match=r"'b' ran twice at a=1.5 K \(point 1 of 1\)"):
            next(steps.loop(1, sweep([1])))


def test_a_sweep_that_changes_between_passes_is_refused():
    steps, _ = steps_for(two_loops())

    def body():
        for a in steps.loop(0, sweep([1, 2])):
            steps.rows[0][0] = steps.rows[2][0] = 0.0
            for _ in steps.loop(1, sweep([a])):
                steps.rows[1][0] = 1.0

    with pytest.raises(PlanError, match="'b' changed from one pass"):
        body()


def test_where_follows_the_innermost_loop_and_comes_back():
    steps, _ = steps_for(two_loops(), {0: Axis("a", (1.0, 2.0), "K"), 1: Axis("b", (0.1, 0.2), "V")})
    assert steps.where() == ""
    assert steps.total == 4
    seen = []
    for _ in steps.loop(0):
        steps.rows[0][0] = steps.rows[2][0] = 0.0
        for _ in steps.loop(1):
            steps.rows[1][0] = 1.0
            seen.append(steps.where())
        seen.append(steps.where())
    assert seen[1] == "at a=1 K, b=0.2 V (point 2 of 4)"
    assert seen[2] == "at a=1 K (point 1 of 2)"
    assert seen[4] == "at a=2 K, b=0.2 V (point 4 of 4)"
    assert steps.where() == ""


@pytest.mark.parametrize("value", [[1.0, 2.0], None, b"text"])
def test_a_value_that_cannot_be_recorded_is_refused_at_its_first_point(value):
    steps, kept = steps_for(Outline((), (Section(0, None, (Record("x"),)),), 0))
    steps.rows[0][0] = value
    with pytest.raises(SchemaError, match="'x'"):
        steps.finish()
    assert kept.points == []


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from([Order.HOLD, Order.GO]), max_size=6), st.integers(0, 40))
def test_a_blocking_body_obeys_any_orders_and_loses_or_doubles_no_point(orders, stop_after):
    outline = Outline((Loop(0, "a", None, None, 0),), (Section(0, 0, (Record("x"),)),))
    steps, kept = steps_for(outline, {0: Axis("a", tuple(range(100)))})
    reached = threading.Event()

    def body():
        try:
            for a in steps.loop(0):
                if a == stop_after:
                    reached.set()
                steps.rows[0][0] = float(a)
        except Halted:
            return

    thread = threading.Thread(target=body)
    thread.start()
    assert reached.wait(5)
    for order in orders:
        steps.gate.give(order)
    steps.gate.give(Order.STOP)
    steps.gate.give(Order.GO)  # too late: stop is final
    thread.join(5)
    assert not thread.is_alive()
    assert [p.place for p in kept.points] == list(range(len(kept.points)))
    assert all(p.values == (float(p.place),) for p in kept.points)
    assert len(kept.points) >= stop_after


async def test_an_awaiting_body_gives_the_loop_a_turn_every_20_ms_of_its_own_time():
    outline = Outline((Loop(0, "a", None, None, 0),), (Section(0, 0, (Record("x"),)),))
    last = collections.deque(maxlen=1)  # keeping all would measure the garbage collector
    axes = {0: Axis("a", tuple(range(2_000_000)))}
    steps = Steps(outline, axes, awaiting=True, declare=lambda group: None, put=last.append)
    turns = 0

    async def watch():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    watching = asyncio.create_task(watch())
    begin = time.process_time()
    for a in steps.loop(0):
        if steps.due:
            await steps.rest()
        steps.rows[0][0] = float(a)
    spent = time.process_time() - begin
    watching.cancel()
    assert last[0][1] == 1_999_999
    assert turns >= max(3, spent / 0.020 - 1)


async def test_an_awaiting_body_holds_and_goes_on():
    outline = Outline((Loop(0, "a", None, None, 0),), (Section(0, 0, (Record("x"),)),))
    steps, kept = steps_for(outline, {0: Axis("a", tuple(range(5)))}, awaiting=True)
    held = asyncio.Event()

    async def body():
        for a in steps.loop(0):
            if steps.due:
                await steps.rest()
            steps.rows[0][0] = float(a)
            if a == 2:
                steps.gate.give(Order.HOLD)
                held.set()

    task = asyncio.create_task(body())
    await held.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(kept.points) == 3
    steps.gate.give(Order.GO)
    await task
    assert [p.place for p in kept.points] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("slots", [40, None])
async def test_a_point_after_a_pause_stands_at_the_time_when_it_was_measured(slots):
    interval = 0.01
    axis = OpenAxis("time", interval, "s") if slots is None else Axis("time", tuple(k * interval for k in range(slots)))
    outline = Outline((Loop(0, "time", None, None, 0),), (Section(0, 0, (Record("y"),)),))
    steps, kept = steps_for(outline, awaiting=True)
    for _ in steps.ticks(0, axis, interval):
        if not await steps.wait_tick_async():
            break
        steps.rows[0][0] = 1.0
        if steps.points == 2:
            steps.gate.give(Order.HOLD)
            asyncio.get_running_loop().call_later(0.1, steps.gate.give, Order.GO)
        if steps.points == 5:
            break
    times = [point.time_ns / 1e9 for point in kept.points]
    places = [point.place for point in kept.points]
    for place, at in zip(places, times, strict=True):
        assert -0.005 <= at - times[0] - place * interval < 2 * interval
    assert places[3] - places[2] >= 9
    assert steps.held >= 8
    assert steps.missed == 0


def test_a_pause_over_the_end_of_a_schedule_ends_it():
    axis = Axis("time", tuple(k * 0.05 for k in range(5)))
    outline = Outline((Loop(0, "time", None, None, 0),), (Section(0, 0, (Record("y"),)),))
    steps, kept = steps_for(outline)
    for _ in steps.ticks(0, axis, 0.05):
        if not steps.wait_tick():
            break
        steps.rows[0][0] = 1.0
        if steps.points == 1:
            steps.gate.give(Order.HOLD)
            threading.Timer(0.4, steps.gate.give, (Order.GO,)).start()
    assert [point.place for point in kept.points] == [0, 1]
    assert steps.held == 3


def test_an_outline_refuses_a_name_that_is_used_twice():
    with pytest.raises(PlanError, match="variable 'x'"):
        Outline((), (Section(0, None, (Record("x"),)), Section(1, None, (Record("x"),))))
    with pytest.raises(PlanError, match="variable 'a'"):
        Outline((Loop(0, "a"),), (Section(0, 0, (Record("a"),)),))
    assert ABSENT is not None
