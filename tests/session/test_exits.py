"""However a run ends, what it has switched on is off, seen at the simulated instruments themselves."""

import asyncio
import contextvars
import uuid

import pytest

from labnb.core import InstrumentError, LabnbError
from labnb.instruments import demo
from labnb.session import Measurement
from labnb.sim import demo_bench, register


@pytest.fixture
def bench_name():
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def bench(bench_name):
    made = demo_bench(clock="skip")
    register(bench_name, made)
    return made


@pytest.fixture
def lab(bench, bench_name):
    opened = demo(bench_name)
    yield opened
    opened.close()


def lit(bench) -> dict[str, bool]:
    """Return what is on, as the instruments themselves have it."""
    psu, awg = bench["psu"], bench["awg"]
    return {
        **{f"psu {number}": bool(psu.output(number)) for number in (1, 2, 3)},
        **{f"awg {number}": bool(awg.output(number)) for number in (1, 2)},
        "load": bool(bench["load"].input()),
        "smu": bool(bench["smu"].output()),
        "oven": bool(bench["oven"].output()),
    }


async def light(lab) -> None:
    await lab.psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
    await lab.psu.channel(3).on()
    await lab.awg.channel(1).set(amplitude=0.5).on()
    await lab.awg.channel(2).on()
    await lab.load.set_mode("CC")
    await lab.load.enable_input(True)
    await lab.smu.source_voltage(0.5, compliance=0.01)
    await lab.smu.on()
    await lab.oven.setpoint.set(310)
    await lab.oven.heater.on()


async def done(run, reached):
    await run


async def stopped(run, reached):
    await reached.wait()
    run.stop()
    await run


async def cancelled(run, reached):
    await reached.wait()
    run.cancel()
    with pytest.raises(LabnbError):
        await run


async def failed(run, reached):
    with pytest.raises(ZeroDivisionError):
        await run


async def failed_at_an_instrument(run, reached):
    with pytest.raises(InstrumentError):
        await run


async def failed_in_a_task(run, reached):
    with pytest.raises(RuntimeError, match="the task"):
        await run


async def waited_for_too_briefly(run, reached):
    await reached.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run.foreground(), 0.001)


async def divide():
    raise ZeroDivisionError


EXITS = (done, stopped, cancelled, failed, failed_at_an_instrument, failed_in_a_task, waited_for_too_briefly)


@pytest.mark.parametrize("held", ["by alias", "only touched"])
@pytest.mark.parametrize("end", EXITS)
async def test_every_exit_of_a_run_switches_off(lab, bench, tmp_path, end, held):
    reached = asyncio.Event()
    at_the_second = dict.fromkeys(EXITS, asyncio.Event().wait) | {
        done: lambda: light(lab),
        failed: divide,
        failed_at_an_instrument: lambda: lab.psu.write("NONSENSE 1"),
    }
    session = Measurement("exits", store=tmp_path)
    if held == "by alias":
        for name in ("psu", "awg", "load", "smu", "oven"):
            await session.instrument(name, getattr(lab, name))
    session.parameter("step", [1, 2, 3])

    @session.acquire
    async def measure(step):
        await light(lab)
        if step == 2:
            assert all(on for name, on in lit(bench).items() if name != "psu 2")
            reached.set()
            await at_the_second[end]()
        return {"x": 1.0}

    if end is failed_in_a_task:

        @session.task
        async def task():
            await reached.wait()
            raise RuntimeError("the task")

    await end(session.start(), reached)
    assert lit(bench) == dict.fromkeys(lit(bench), False)
    await session.close()


async def test_a_blocking_body_that_is_stopped_switches_off_too(lab, bench, tmp_path):
    session = Measurement("exits", store=tmp_path)
    reached = asyncio.Event()
    loop = asyncio.get_running_loop()

    @session.acquire
    def measure():
        lab.psu.channel(1).set(voltage=1).on()
        lab.smu.source_voltage(0.5, compliance=0.01)
        lab.smu.on()
        lab.awg.channel(1).on()
        loop.call_soon_threadsafe(reached.set)
        return {"x": 1.0}

    run = session.start(interval=0.01)
    await reached.wait()
    run.stop()
    await run
    assert lit(bench) == dict.fromkeys(lit(bench), False)
    await session.close()


@pytest.mark.parametrize("blocking", [False, True])
async def test_what_a_body_leaves_behind_does_not_switch_on_again(lab, bench, tmp_path, blocking):
    session = Measurement("exits", store=tmp_path)
    over, left = asyncio.Event(), []

    async def later():
        await over.wait()
        await lab.psu.channel(1).on()

    def blocking_later(context):
        context.run(lab.psu.channel(1).on)

    @session.acquire
    async def measure():
        if blocking:
            left.append(contextvars.copy_context())
        else:
            left.append(asyncio.create_task(later()))
        return {"x": 1.0}

    await session.run()
    over.set()
    with pytest.raises(InstrumentError, match=r"psu: the run that this task belongs to has ended; nothing was sent"):
        await (asyncio.to_thread(blocking_later, left[0]) if blocking else left[0])
    assert not bench["psu"].output(1)
    await session.close()
