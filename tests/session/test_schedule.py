"""Parallel mode: points on a drift-free schedule beside the tasks."""

import asyncio

import numpy as np
import pytest

from labnb.core import PlanError, SchemaError, State
from labnb.session import Measurement
from labnb.session._schedule import time_axis


@pytest.mark.parametrize("blocking", [False, True])
async def test_points_come_at_multiples_of_the_interval_and_say_how_late_they_were(tmp_path, blocking):
    loop = asyncio.get_running_loop()
    async with Measurement("series", store=tmp_path) as session:
        if blocking:

            @session.acquire
            def measure():
                return {"y": 1.0}
        else:

            @session.acquire
            async def measure():
                return {"y": 1.0}

        began = loop.time()
        run = await session.run(duration=0.5, interval=0.05)
        took = loop.time() - began
    assert run.data.sizes == {"time": 10}
    np.testing.assert_allclose(run.data.time, np.arange(10) * 0.05)
    assert run.data.time.attrs["units"] == "s"
    assert run.data.lateness.attrs["units"] == "s"
    assert float(run.data.lateness.min()) >= 0
    assert float(run.data.lateness.median()) < 0.01
    assert took >= 0.5  # the tasks go on until the duration is over
    assert run.state is State.DONE


async def test_tasks_go_on_until_the_duration_is_over(tmp_path):
    beats = []
    async with Measurement("series", store=tmp_path) as session:

        @session.task
        async def beat():
            while True:
                beats.append(asyncio.get_running_loop().time())
                await asyncio.sleep(0.01)

        @session.acquire
        async def measure():
            return {"y": len(beats)}

        run = await session.run(duration=0.3, interval=0.2)
    assert run.data.sizes == {"time": 2}
    assert beats[-1] - beats[0] > 0.25


async def test_a_slow_point_is_late_by_less_than_an_interval_and_the_slots_it_covers_are_skipped(tmp_path):
    async with Measurement("series", store=tmp_path) as session:

        @session.acquire
        async def measure(time):
            await asyncio.sleep(0.12 if time == 0 else 0)
            return {"y": time}

        run = await session.run(duration=0.3, interval=0.05)
    measured = run.data.dropna("time")
    assert measured.time.values.tolist() == pytest.approx([0, 0.1, 0.15, 0.2, 0.25])
    np.testing.assert_array_equal(measured.y, measured.time)
    assert 0.01 < float(measured.lateness[1]) < 0.05
    assert "1 slots of the schedule were missed" in run.warnings[0]


async def test_without_a_duration_it_goes_on_until_it_is_stopped(tmp_path):
    async with Measurement("series", store=tmp_path) as session:

        @session.acquire
        async def measure():
            return {"y": 1.0}

        run = session.start(interval=0.01)
        while run.points < 5:
            await asyncio.sleep(0.005)
        run.stop()
        await run
    assert run.state is State.STOPPED
    assert int(run.data.y.notnull().sum()) == run.points  # a busy machine may have missed slots


async def test_what_cannot_be_scheduled_is_refused(tmp_path):
    session = Measurement("series", store=tmp_path)

    @session.acquire
    async def measure():
        return {"y": 1.0, "lateness": 2.0}

    with pytest.raises(PlanError, match="needs an interval too"):
        await session.run(duration=1.0)
    for duration, interval in ((0, 1), (1, 0), (1, -1), (float("nan"), 1), (1, float("inf")), ("5 s", 1), (True, 1)):
        with pytest.raises(PlanError, match="must be a number of seconds"):
            await session.run(duration=duration, interval=interval)
    with pytest.raises(SchemaError, match="'lateness', which a run on a schedule records itself"):
        await session.run(duration=0.1, interval=0.1)
    session.parameter("x", [1])
    with pytest.raises(PlanError, match=r"this session has the parameters x; run\(\) sweeps them"):
        await session.run(duration=1, interval=0.1)
    del session._contents.axes["x"]
    session.acquire(per="x", name="level")(measure)
    with pytest.raises(PlanError, match="belongs to the parameter 'x', but"):
        await session.run(duration=1, interval=0.1)


def test_the_axis_has_each_point_that_begins_within_the_duration():
    assert time_axis(0.2, 10.0).size == 50
    assert time_axis(0.25, 5.0).size == 20
    assert time_axis(0.3, 1.0).values == pytest.approx((0, 0.3, 0.6, 0.9))
    assert time_axis(1.0, 0.1).size == 1


@pytest.mark.parametrize(
    ("interval", "duration", "words"), [(1e-10, 1e-9, "1e-06 s or longer"), (1e-3, 1e9, "more than one axis holds")]
)
def test_a_schedule_that_no_computer_keeps_is_refused(interval, duration, words):
    with pytest.raises(PlanError, match=words):
        time_axis(interval, duration)


def test_a_schedule_may_be_given_in_numpys_numbers():
    assert time_axis(np.float64(0.5), np.int64(1)).values == (0.0, 0.5)
