"""A loop of its own in a thread, and the watch over a loop that stands still."""

import asyncio
import re
import threading
import time

import pytest

from labnb.session._apart import Apart
from labnb.session._stall import StallWatch


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name == "apart"]


async def test_work_apart_runs_in_a_thread_of_its_own_and_returns_what_it_made():
    async def work():
        await asyncio.sleep(0)
        return threading.current_thread().name, asyncio.get_running_loop()

    name, loop = await Apart(work, "apart").run()
    assert name == "apart"
    assert loop is not asyncio.get_running_loop()
    assert loop.is_closed()
    assert threads() == []


async def test_what_work_apart_raises_is_raised_where_it_is_waited_for():
    async def work():
        raise ValueError("no contact")

    with pytest.raises(ValueError, match="no contact"):
        await Apart(work, "apart").run()
    assert threads() == []


async def test_cancelling_waits_until_the_work_apart_has_cleaned_up():
    begun, told = threading.Event(), []

    async def work():
        try:
            begun.set()
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0.01)
            told.append("cleaned up")

    waiting = asyncio.ensure_future(Apart(work, "apart").run())
    await asyncio.to_thread(begun.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert told == ["cleaned up"]
    assert threads() == []


async def test_tasks_that_work_apart_leaves_behind_end_with_it():
    ended = []

    async def beat():
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)

    async def work():
        task = asyncio.create_task(beat())
        await asyncio.sleep(0)
        return task

    assert (await Apart(work, "apart").run()).cancelled()
    assert ended == [True]


async def test_posting_to_work_that_has_ended_does_nothing():
    async def work():
        return 1

    apart = Apart(work, "apart")
    apart.post(lambda: None)
    assert await apart.run() == 1
    apart.post(lambda: None)


class Hand:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def time_ns(self):
        return time.time_ns()


async def watched(stalls_s, advice=""):
    """Return what a watch tells of a loop that stands still for these times."""
    clock, told = Hand(), []
    watch = asyncio.ensure_future(StallWatch(clock, told.append, advice).run())
    for stall_s in stalls_s:
        await asyncio.sleep(0)
        clock.now += stall_s
        count = len(told)
        end = asyncio.get_running_loop().time() + 0.25
        while len(told) == count and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(0.01)
    watch.cancel()
    await asyncio.wait([watch])
    return told


async def test_a_loop_that_stands_still_is_told_with_its_duration_its_time_and_what_helps():
    (told,) = await watched([9.8], "--thread")
    assert re.fullmatch(r"the kernel's loop stood still for 9\.7 s at \d\d:\d\d:\d\d \(see --thread\)", told)


async def test_a_loop_that_is_a_little_late_is_not_worth_a_word():
    assert await watched([0.5]) == []


async def test_many_stalls_are_counted_and_told_at_the_end(monkeypatch):
    monkeypatch.setattr("labnb.session._stall._PERIOD_S", 0.001)
    told = await watched([5.0] * 25)
    assert len(told) == 21
    assert told[-1] == "the loop stood still 5 more times, for 25.0 s in all"
