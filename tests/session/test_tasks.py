"""Background tasks: begun before the first point, ended and awaited on every exit, and never alone with an instrument."""

import asyncio
import contextlib
import threading

import pytest

from labnb.core import InstrumentError, LabnbError, PlanError, RunCancelled, State
from labnb.instruments import demo
from labnb.session import Measurement, _task
from labnb.sim import demo_bench, find_bench, register


@pytest.fixture
def bench(request):
    """Return (connected instruments, the simulated bench behind them)."""
    name = f"task-{request.node.name}-{id(request)}"
    register(name, demo_bench(clock="skip"))
    instruments = demo(name)
    yield instruments, find_bench(name)
    for instrument in (instruments.psu, instruments.dmm, instruments.oven):
        instrument.close()


def session_of(tmp_path, points=3):
    session = Measurement("tasks", store=tmp_path)
    session.parameter("x", range(points))
    return session


async def test_a_task_begins_before_the_first_point_and_its_cleanup_is_awaited(tmp_path):
    events = []
    async with session_of(tmp_path) as session:

        @session.task
        async def ramp():
            events.append("begun")
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                await asyncio.sleep(0.01)
                events.append("cleaned up")

        @session.acquire
        async def measure(x):
            events.append(x)
            return {"y": x}

        run = await session.run()
    assert events == ["begun", 0, 1, 2, "cleaned up"]
    assert run.state is State.DONE
    assert run.data.y.values.tolist() == [0, 1, 2]


EXITS = {
    "done": (None, State.DONE),
    "stop": (None, State.STOPPED),
    "error in acquire": (ValueError, State.FAILED),
    "error in task": (ValueError, State.FAILED),
    "cancel": (RunCancelled, State.CANCELLED),
    "cancel twice": (RunCancelled, State.CANCELLED),
}


class Bustle:
    """A task that keeps output 2 on and cleans up slowly, and a measurement; point 10 begins the exit `how`."""

    def __init__(self, how):
        self.how, self.reached, self.ended = how, threading.Event(), []

    async def task(self, psu):
        try:
            await psu.channel(2).set(voltage=1.0).on()
            while not (self.how == "error in task" and self.reached.is_set()):
                await asyncio.sleep(0.001)
            raise ValueError("broken")
        finally:
            await psu.channel(2).set(voltage=0.5)
            self.ended.append(True)

    def measure(self, x):
        threading.Event().wait(0.001)
        if x == 10:
            self.reached.set()
            if self.how == "error in acquire":
                raise ValueError("broken")
        return {"y": x + 0.5}

    async def measure_async(self, x):
        await asyncio.sleep(0.001)
        return self.measure(x)

    async def leave(self, run):
        while not self.reached.is_set():
            await asyncio.sleep(0.001)
        if self.how == "stop":
            run.stop()
        for _ in range({"cancel": 1, "cancel twice": 2}.get(self.how, 0)):
            run.cancel()
            await asyncio.sleep(0)


@pytest.mark.parametrize("how", EXITS)
@pytest.mark.parametrize("blocking", [False, True], ids=["async acquire", "sync acquire"])
async def test_on_every_exit_tasks_have_ended_points_are_kept_and_the_supply_is_off(bench, tmp_path, how, blocking):
    instruments, simulated = bench
    error, state = EXITS[how]
    bustle = Bustle(how)
    session = session_of(tmp_path, 20 if how == "done" else 1000)
    await session.instrument("psu", instruments.psu)
    session.task(bustle.task)
    session.acquire(bustle.measure if blocking else bustle.measure_async)
    run = session.start()
    await bustle.leave(run)
    with pytest.raises(error) if error else contextlib.nullcontext():
        await run
    assert bustle.ended == [True]
    assert not simulated["psu"].output(2)
    kept = run.data.y.dropna("x").values
    assert kept.tolist() == [k + 0.5 for k in range(len(kept))]
    assert len(kept) == run.points >= 10
    assert run.state is state
    assert [t for t in threading.enumerate() if t.name.startswith("labnb lane task")] == []


async def test_a_failing_task_stops_the_run_and_is_named_with_the_setpoint(tmp_path):
    async with session_of(tmp_path, 1000) as session:
        reached = asyncio.Event()

        @session.task(name="pump")
        async def _():
            await reached.wait()
            raise OSError("no pressure")

        @session.acquire
        async def measure(x):
            if x == 3:
                reached.set()
            await asyncio.sleep(0.001)
            return {"y": x}

        with pytest.raises(OSError, match="no pressure") as caught:
            await session.run()
    assert "in background task 'pump'" in caught.value.__notes__
    assert any("at x=" in note and "points kept" in note for note in caught.value.__notes__)


async def test_a_task_that_may_fail_is_noted_and_the_run_goes_on(tmp_path):
    async with session_of(tmp_path, 5) as session:

        @session.task(on_error="warn")
        async def pump():
            raise OSError("no pressure")

        @session.acquire
        async def measure(x):
            await asyncio.sleep(0.001)
            return {"y": x}

        run = await session.run()
    assert run.state is State.DONE
    assert run.warnings == ("background task 'pump' failed, the run goes on: OSError: no pressure",)


async def test_a_sync_task_has_its_own_thread_and_is_told_to_stop(bench, tmp_path):
    instruments, simulated = bench
    seen = []
    async with session_of(tmp_path, 30) as session:
        await session.instrument("psu", instruments.psu)

        @session.task
        def ramp(psu, stop):
            psu.channel(1).on()
            while not stop.wait(0.001):
                psu.channel(1).set(voltage=1.0)
            seen.append(threading.current_thread().name)

        @session.acquire
        async def measure(x):
            await asyncio.sleep(0.002)
            return {"y": x}

        run = await session.run()
    assert seen == ["labnb lane task ramp"]
    assert run.warnings == ()
    assert not simulated["psu"].output(1)


async def test_a_sync_task_that_does_not_listen_loses_its_instruments(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(_task, "PATIENCE_S", 0.05)
    instruments, simulated = bench
    release, refused = threading.Event(), []
    async with session_of(tmp_path) as session:
        await session.instrument("psu", instruments.psu)

        @session.task
        def deaf(psu):
            psu.channel(1).on()
            release.wait(5)
            try:
                psu.channel(1).on()
            except InstrumentError as error:
                refused.append(str(error))

        @session.acquire
        async def measure(x):
            await asyncio.sleep(0.005)
            return {"y": x}

        run = await session.run()
        assert not simulated["psu"].output(1)
        release.set()
        while not refused:
            await asyncio.sleep(0.001)
    assert "has ended; nothing was sent" in refused[0]
    assert not simulated["psu"].output(1)
    assert "'deaf' does not end" in run.warnings[0]
    assert "stop.wait" in run.warnings[0]


async def test_a_task_that_swallows_its_cancelling_does_not_keep_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(_task, "PATIENCE_S", 0.05)
    over = asyncio.Event()
    async with session_of(tmp_path) as session:

        @session.task
        async def stubborn():
            while not over.is_set():
                try:
                    await over.wait()
                except asyncio.CancelledError:
                    continue

        @session.acquire
        async def measure(x):
            return {"y": x}

        run = await session.run()
        assert run.state is State.DONE
        assert "'stubborn' does not end" in run.warnings[0]
        over.set()
        await asyncio.sleep(0.01)


async def test_a_cleanup_that_fails_fails_the_run_with_all_points(tmp_path):
    async with session_of(tmp_path) as session:

        @session.task
        async def load():
            try:
                await asyncio.sleep(60)
            finally:
                raise OSError("still on")

        @session.acquire
        async def measure(x):
            await asyncio.sleep(0)
            return {"y": x}

        run = session.start()
        with pytest.raises(OSError, match="still on"):
            await run
    assert run.state is State.FAILED
    assert run.data.y.values.tolist() == [0, 1, 2]


async def test_of_two_errors_the_first_is_raised_and_the_other_told_with_it(tmp_path):
    async with session_of(tmp_path) as session:

        @session.task
        async def load():
            try:
                await asyncio.sleep(60)
            finally:
                raise OSError("still on")

        @session.acquire
        async def measure(x):
            await asyncio.sleep(0)
            raise ValueError("broken")

        with pytest.raises(ValueError, match="broken") as caught:
            await session.run()
    assert "and then: OSError: still on" in caught.value.__notes__


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_would_end_the_loop_in_a_task_ends_only_the_run(tmp_path, error):
    async with session_of(tmp_path, 1000) as session:

        @session.task
        async def task():
            await asyncio.sleep(0.005)
            raise error

        @session.acquire
        async def measure(x):
            await asyncio.sleep(0.001)
            return {"y": x}

        with pytest.raises(RunCancelled if error is KeyboardInterrupt else LabnbError):
            await session.run()


def test_a_task_that_asks_for_what_there_is_not_is_refused(tmp_path):
    session = session_of(tmp_path)

    @session.task
    async def ramp(pus):
        pass

    @session.acquire
    async def measure(x):
        return {"y": x}

    async def go():
        await session.run()

    with pytest.raises(
        PlanError, match=r"task 'ramp' wants 'pus', which is no instrument of this session; .*there are ctx, stop"
    ):
        asyncio.run(go())
    with pytest.raises(PlanError, match="on_error must be"):
        session.task(on_error="ignore")(ramp)


async def test_what_a_task_leaves_behind_cannot_switch_on_again_what_was_made_safe(bench, tmp_path):
    instruments, simulated = bench
    over, left = asyncio.Event(), []

    async def later(psu):
        await over.wait()
        await psu.channel(1).on()

    async with session_of(tmp_path) as session:
        await session.instrument("psu", instruments.psu)

        @session.task
        async def careless(psu):
            left.append(asyncio.create_task(later(psu)))

        @session.acquire
        async def measure(x):
            await asyncio.sleep(0.005)
            return {"y": x}

        await session.run()
        over.set()
        with pytest.raises(InstrumentError, match="has ended; nothing was sent"):
            await left[0]
    assert not simulated["psu"].output(1)
