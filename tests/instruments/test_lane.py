import asyncio
import contextvars
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.core import LinkError, LinkTimeout
from labnb.instruments import Lane
from labnb.instruments.action import act


@pytest.fixture
def lane():
    lane = Lane("test")
    yield lane
    lane.close()


@given(st.lists(st.integers(0, 1000), max_size=40))
@settings(max_examples=30, deadline=None)
def test_what_is_queued_first_is_done_first(values):
    lane, done = Lane("order"), []
    jobs = [lane.submit(done.append, value) for value in values]
    lane.close()
    assert done == values
    assert all(job.done for job in jobs)


async def test_awaiting_gives_the_result_and_raises_the_error(lane: Lane):
    assert await lane.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await lane.run(divmod, 7, 0)


def test_a_thread_without_a_loop_blocks_for_the_result(lane: Lane):
    assert lane.call(max, 3, 4) == 4
    with pytest.raises(ValueError, match=r"empty"):
        lane.call(max, [])


async def test_work_runs_in_the_lanes_thread_with_the_callers_context(lane: Lane):
    variable = contextvars.ContextVar("variable", default="outside")
    variable.set("inside")
    assert await lane.run(lambda: (threading.current_thread() is not threading.main_thread(), variable.get())) == (
        True,
        "inside",
    )


def test_a_call_from_within_the_lane_does_not_wait_for_itself(lane: Lane):
    assert lane.call(lambda: lane.call(lambda: lane.submit(lambda: 5).wait())) == 5


async def test_a_cancelled_wait_leaves_the_work_whole_and_the_next_behind_it(lane: Lane):
    begun, go, done = threading.Event(), threading.Event(), []

    def exchange():
        begun.set()
        go.wait(10)
        done.append("first")

    task = asyncio.create_task(lane.run(exchange))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    second = asyncio.create_task(lane.run(done.append, "second"))
    await asyncio.sleep(0)
    assert done == []
    go.set()
    await second
    assert done == ["first", "second"]


async def test_many_tasks_cancelled_at_random_never_mix_up_their_answers(lane: Lane):
    rng, busy = random.Random(1), threading.Lock()

    def echo(value):
        assert busy.acquire(blocking=False)
        busy.release()
        return value

    async def ask(value):
        assert await lane.run(echo, value) == value

    tasks = [asyncio.create_task(ask(value)) for value in range(300)]
    for task in tasks:
        if rng.random() < 0.3:
            task.cancel()
        if rng.random() < 0.2:
            await asyncio.sleep(0)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(result) for result in results} <= {type(None), asyncio.CancelledError}


def test_a_closed_lane_has_finished_its_work_and_refuses_more(lane: Lane):
    done = []
    for value in range(50):
        lane.submit(done.append, value)
    lane.close()
    lane.close()
    assert done == list(range(50))
    with pytest.raises(LinkError, match=r"closed"):
        lane.submit(done.append, 0)


def test_closing_leaves_no_thread(lane: Lane):
    lane.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "labnb lane test"]


def test_a_lane_that_is_closed_from_within_ends():
    lane = Lane("inner")
    thread = lane.call(threading.current_thread)
    lane.call(lane.close)
    thread.join(10)
    assert not thread.is_alive()


def test_waiting_with_a_timeout_gives_up_and_the_work_goes_on(lane: Lane):
    go, done = threading.Event(), []
    job = lane.submit(lambda: (go.wait(10), done.append(1)))
    with pytest.raises(LinkTimeout):
        job.wait(0.01)
    go.set()
    lane.call(int)
    assert done == [1]


def test_a_loop_that_ended_before_the_answer_does_no_harm(lane: Lane):
    go = threading.Event()

    async def leave():
        waiting = asyncio.create_task(lane.run(go.wait, 10))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(leave())
    go.set()
    assert lane.call(int) == 0


def test_two_lanes_that_ask_each_other_come_to_an_end():
    left, right = Lane("left"), Lane("right")

    def deeper(n):
        return 0 if n == 0 else 1 + (left, right)[n % 2].call(deeper, n - 1)

    jobs = [lane.submit(deeper, 6) for lane in (left, right, left, right)]
    assert [job.wait(10) for job in jobs] == [6, 6, 6, 6]
    left.close()
    right.close()


async def test_a_lane_that_waits_for_a_dropped_job_does_what_that_asks_of_it():
    """`device.energy.set(5)` without await, then `gate.get()`: the device's lane sets the gate, whose lane waits for it."""
    device, gate, order = Lane("device"), Lane("gate"), []
    begun = threading.Event()

    def set_energy():
        begun.wait(5)  # the next statement is queued in the gate's lane before the gate is asked
        gate.call(order.append, "set")

    act(device, set_energy)
    reading = act(gate, lambda: order.append("get"))
    begun.set()
    await asyncio.wait_for(asyncio.ensure_future(asyncio.to_thread(reading.result)), 5)
    assert order == ["set", "get"]
    device.close()
    gate.close()


async def test_what_nobody_waits_for_keeps_its_place_in_the_queue():
    asking, asked, order = Lane("asking"), Lane("asked"), []
    hold = threading.Event()
    asked.submit(hold.wait, 5)
    jobs = [asking.submit(asked.call, order.append, k) for k in range(3)]
    asked.submit(order.append, "after")
    hold.set()
    for job in jobs:
        job.wait(5)
    asked.call(order.append, "last")
    assert [each for each in order if isinstance(each, int)] == [0, 1, 2]
    assert order[-1] == "last"
    asking.close()
    asked.close()
