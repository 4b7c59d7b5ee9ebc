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
