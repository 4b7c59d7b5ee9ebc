"""Views tick at a bounded rate, show the last change, and fail without harm."""

import asyncio
import contextlib

import pytest

from labnb.live import Ticker


class _Time:
    """A clock that moves only while somebody sleeps on it."""

    def __init__(self):
        self.now = 0.0
        self.naps = []
        self.gate = asyncio.Semaphore(0)

    def time_ns(self):
        return int(self.now * 1e9)

    def monotonic(self):
        return self.now

    async def sleep(self, seconds):
        self.naps.append(seconds)
        await self.gate.acquire()
        self.now += seconds


async def _settle():
    for _ in range(5):
        await asyncio.sleep(0)


def _fail(error):
    raise error


async def _stop(task):
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_it_shows_ten_times_a_second_and_once_more_at_the_end():
    time, shown = _Time(), []
    task = asyncio.create_task(
        Ticker(lambda: shown.append(time.now), on_error=_fail, clock=time, sleep=time.sleep, spent=time.monotonic).run()
    )
    for _ in range(5):
        time.gate.release()
    await _settle()
    await _settle()
    assert shown == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    value = ["late change"]
    await _stop(task)
    assert len(shown) == 7
    assert value


async def test_cancelling_passes_through():
    time = _Time()
    task = asyncio.create_task(
        Ticker(lambda: None, on_error=_fail, clock=time, sleep=time.sleep, spent=time.monotonic).run()
    )
    await _settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_slow_view_gets_a_tenth_of_the_time():
    time = _Time()

    def slow():
        time.now += 0.05

    task = asyncio.create_task(Ticker(slow, on_error=_fail, clock=time, sleep=time.sleep, spent=time.monotonic).run())
    time.gate.release()
    time.gate.release()
    await _settle()
    await _settle()
    assert time.naps == pytest.approx([0.05, 0.45, 0.45])
    await _stop(task)


@pytest.mark.parametrize("extra", ["a tick that takes long once", "sleeps that end late"])
async def test_what_is_late_once_puts_no_later_tick_off(extra):
    time, shown = _Time(), []

    def show():
        shown.append(time.now)
        if len(shown) == 2 and extra.startswith("a tick"):
            time.now += 0.08  # as a collection of garbage

    async def sleep(seconds):
        await time.sleep(seconds)
        time.now += 0.02 * extra.startswith("sleeps")

    task = asyncio.create_task(Ticker(show, on_error=_fail, clock=time, sleep=sleep, spent=time.monotonic).run())
    for _ in range(4):
        time.gate.release()
    await _settle()
    await _settle()
    late = 0.02 if extra.startswith("sleeps") else 0.0
    assert shown == pytest.approx([0.0, 0.1 + late, 0.2 + late, 0.3 + late, 0.4 + late])
    await _stop(task)


async def test_a_view_that_fails_is_reported_once_and_left_alone():
    time, errors, calls = _Time(), [], []

    def broken():
        calls.append(1)
        raise RuntimeError("no picture today")

    await Ticker(broken, on_error=errors.append, clock=time, sleep=time.sleep, spent=time.monotonic).run()
    assert [str(error) for error in errors] == ["no picture today"]
    assert len(calls) == 1


def test_a_period_must_be_positive():
    with pytest.raises(ValueError, match="positive"):
        Ticker(lambda: None, on_error=_fail, period_s=0)
