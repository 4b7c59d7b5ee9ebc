"""How long the kernel's loop is held up while runs go on: a coroutine beside each kind of run sleeps and looks.

What is asserted is generous, for the machine may be shared; the table is what counts (law: p99 <= 20 ms).
"""

import asyncio
import time

import pytest

from labnb.core import sweep
from labnb.session import Measurement

DURATION_S = 1.0
MILLION = 1_000_000


class Probe:
    """Sleeps for a millisecond again and again; `lags_ms` is how much longer each sleep took."""

    def __init__(self):
        self.lags_ms = []

    async def __aenter__(self):
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _look(self):
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            self.lags_ms.append((time.perf_counter() - begun) * 1e3 - 1)

    def summary(self):
        lags = sorted(self.lags_ms)
        return [lags[len(lags) // 2], lags[int(len(lags) * 0.99)], lags[-1]]


def session_of(tmp_path, kind):
    session = Measurement("lag", store=tmp_path)
    session.parameter("x", range(100_000))

    def blocking():
        time.sleep(0.0005)  # as a driver that waits for its instrument
        return {"y": 1.0}

    async def awaiting():
        return {"z": 1.0}

    if kind != "async":
        session.acquire(blocking)
    if kind != "sync":
        session.acquire(awaiting)
    return session


async def lags_beside(session, duration_s=DURATION_S):
    async with Probe() as probe:
        run = session.start()
        await asyncio.sleep(duration_s)
        run.stop()
        await run
    return probe.summary(), run.points


async def idle():
    async with Probe() as probe:
        await asyncio.sleep(DURATION_S / 2)
    return probe.summary()


def show(name, summary, points=""):
    print(f"{name:24} p50 {summary[0]:7.2f}   p99 {summary[1]:7.2f}   max {summary[2]:7.2f} ms   {points}")


@pytest.mark.parametrize("kind", ["sync", "async", "mixed"])
async def test_the_loop_turns_while_a_run_goes_on(tmp_path, kind):
    still = await idle()
    summary, points = await lags_beside(session_of(tmp_path, kind))
    print()
    show("idle", still)
    show(f"{kind} body", summary, f"{points} points")
    assert points > 0
    assert summary[1] <= max(40, 4 * still[1])


@pytest.mark.parametrize("order", ["straight", "snake", "shuffled", "there_and_back", "zip"])
async def test_a_sweep_of_a_million_points_does_not_hold_up_the_loop_when_it_begins(tmp_path, order):
    session = Measurement("lag", store=tmp_path)
    values = sweep(0, 1, MILLION, "V")
    names = ("x", "z") if order == "zip" else "x"
    if order == "zip":
        values = sweep.zip(values, values)
    elif order != "straight":
        values = getattr(values, order)()
    session.parameter(names, values)

    @session.acquire
    async def nothing(x):
        return {"y": 1.0}

    still = await idle()
    summary, points = await lags_beside(session)
    print()
    show("idle", still)
    show(f"a million, {order}", summary, f"{points} points")
    assert points > 0
    assert summary[2] <= max(800, 20 * still[2])
