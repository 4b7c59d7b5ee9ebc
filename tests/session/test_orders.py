"""Whatever is ordered at whatever moment: no point is lost, none is doubled, and the state is true."""

import asyncio
import tempfile
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labnb.core import LifecycleError, RunCancelled, State, sweep
from labnb.session import Measurement
from labnb.sim import run_virtual

KINDS = {
    "straight": lambda s: s,
    "snake": lambda s: s.snake(),
    "shuffled": lambda s: s.shuffled(7),
    "there and back": lambda s: s.there_and_back(),
}
ORDERS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from(["pause", "resume", "stop", "cancel", "resume", "pause"])), max_size=6
)


class Told:
    """A session over a grid whose acquire obeys a list: after so many more points, give this order."""

    def __init__(self, root, kinds, orders, blocking):
        self.session = session = Measurement("orders", store=root)
        session.parameter("a", KINDS[kinds[0]](sweep(range(4))))
        session.parameter("b", KINDS[kinds[1]](sweep(range(6))))
        self.orders, self.left, self.calls = list(orders), None, []

        def point(a, b):
            self.calls.append((a, b))
            self.obey()
            return {"y": 100.0 * a + b}

        async def point_async(a, b):
            await asyncio.sleep(0)
            return point(a, b)

        session.acquire(point if blocking else point_async)

    def obey(self):
        if self.left is None:
            self.left = self.orders[0][0] if self.orders else -1
        while self.orders and self.left == 0:
            _, order = self.orders.pop(0)
            self.left = self.orders[0][0] if self.orders else -1
            self.give(order)
        self.left -= 1

    def give(self, order):
        try:
            getattr(self.run, order)()
        except LifecycleError:
            return  # it was stopping already
        if order == "pause":  # somebody else lets it go on
            loop = self.run._loop
            loop.call_soon_threadsafe(loop.call_later, 0.002, self.go_on)

    def go_on(self):
        if not self.run.state.ended:
            try:
                self.run.resume()
            except LifecycleError:
                return

    async def go(self):
        self.run = self.session.start()
        try:
            return await self.run
        except RunCancelled:
            return self.run


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "sync"])
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(kinds=st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(KINDS))), orders=ORDERS)
def test_orders_at_random_moments_never_lose_or_double_a_point(blocking, kinds, orders):
    before = set(threading.enumerate())
    with tempfile.TemporaryDirectory() as folder:
        told = Told(folder, kinds, orders, blocking)
        run = asyncio.run(told.go())
        data = run.data
    y = data.y if "y" in data else None
    kept = 0 if y is None else int(y.notnull().sum())
    assert kept == run.points
    # Every point that was measured is kept, but for the one that an order broke off.
    assert 0 <= len(told.calls) - kept <= (0 if run.state is State.DONE else 1)
    if y is not None:
        expected = (100.0 * data.a + data.b).broadcast_like(y).transpose(*y.dims)
        assert np.array_equal(y.values[y.notnull().values], expected.values[y.notnull().values])
    visited = [tuple(s.as_dict()[name] for name in "ab") for s in told.session.plan]
    assert told.calls == visited[: len(told.calls)]
    ends = {order for _, order in orders} & {"stop", "cancel"}
    assert run.state is State.DONE or (ends and run.state in (State.STOPPED, State.CANCELLED))
    assert not [t for t in threading.enumerate() if t not in before and t.name.startswith("labnb")]


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(orders=ORDERS, blocking=st.booleans(), task_fails_at=st.integers(0, 40))
def test_with_a_task_that_may_fail_at_any_moment_no_point_is_lost_or_doubled(orders, blocking, task_fails_at):
    with tempfile.TemporaryDirectory() as folder:
        told = Told(folder, ("straight", "snake"), orders, blocking)
        ended = []

        @told.session.task
        async def pump():
            try:
                while len(told.calls) < task_fails_at or task_fails_at > 20:
                    await asyncio.sleep(0)
                raise OSError("no pressure")
            finally:
                ended.append(True)

        async def go():
            try:
                return await told.go()
            except OSError:
                return told.run

        run = asyncio.run(go())
        data = run.data
    kept = int(data.y.notnull().sum()) if "y" in data else 0
    assert kept == run.points
    assert 0 <= len(told.calls) - kept <= (0 if run.state is State.DONE else 1)
    assert len(ended) <= 1
    assert run.state.ended
    assert (run.error is not None) == (run.state is State.FAILED)


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(
    kinds=st.tuples(st.sampled_from(sorted(KINDS)), st.sampled_from(sorted(KINDS))), parts=st.lists(ORDERS, max_size=3)
)
def test_a_run_that_is_ended_and_resumed_at_random_moments_measures_each_point_once(kinds, parts):
    with tempfile.TemporaryDirectory() as folder:
        calls, began = [], False
        for orders in (*parts, []):
            told = Told(folder, kinds, orders, blocking=len(calls) % 2)
            run = asyncio.run(resumed(told) if began else told.go())
            began = True
            calls += told.calls[: run.points - len(calls)]
            if run.state is State.DONE:
                break
        data = run.data
    assert run.state is State.DONE
    assert sorted(calls) == sorted((s.as_dict()["a"], s.as_dict()["b"]) for s in told.session.plan)
    expected = (100.0 * data.a + data.b).broadcast_like(data.y).transpose(*data.y.dims)
    assert np.array_equal(data.y.values, expected.values)


async def resumed(told):
    """Go on with the run before as `told` orders."""
    start = told.session._start

    def noted(run):
        told.run = run
        return start(run)

    told.session._start = noted
    try:
        return await told.session.resume()
    except RunCancelled:
        return told.run


@settings(deadline=None, max_examples=20, suppress_health_check=list(HealthCheck))
@given(
    delays=st.lists(st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.6]), max_size=8),
    order=st.sampled_from(["none", "pause", "stop", "cancel"]),
    at=st.integers(0, 8),
)
def test_a_schedule_under_random_delays_and_orders_keeps_each_slot_at_most_once(delays, order, at):
    with tempfile.TemporaryDirectory() as folder:
        run, slots = run_virtual(scheduled(folder, delays, order, at))
        data = run.data
    times = [] if "y" not in data else data.time.values[data.y.notnull().values].tolist()
    assert len(times) == run.points
    assert slots[: len(times)] == times
    assert len(slots) - len(times) <= (0 if run.state is State.DONE else 1)
    assert len(set(slots)) == len(slots)
    if times:
        assert np.allclose(np.array(times) / 0.1, np.round(np.array(times) / 0.1))
        assert (data.lateness.values[data.y.notnull().values] >= 0).all()
    if run.state is State.DONE:
        assert run.points + run._steps.missed + run._steps.held == 10


async def scheduled(folder, delays, order, at):
    session, slots = Measurement("slots", store=folder), []

    @session.acquire
    async def measure(time):
        slots.append(time)
        if len(slots) == at + 1 and order != "none":
            getattr(run, order)()
            if order == "pause":
                asyncio.get_running_loop().call_later(0.35, run.resume)
        await asyncio.sleep(delays[len(slots) - 1] if len(slots) <= len(delays) else 0)
        return {"y": time}

    run = session.start(interval=0.1, duration=1.0)
    try:
        await run
    except RunCancelled:
        return run, slots
    return run, slots
