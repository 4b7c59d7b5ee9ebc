"""Whole measurements in virtual time: five seconds on the bench in less than one, and the same bits again."""

import asyncio
import json
import time

import numpy as np
import pytest

from labnb import Measurement
from labnb.core import Axis, LabnbError, State
from labnb.session import Job, Loop, Outline, Record, Run, Section
from labnb.sim import LOAD_ADDRESS, find_bench, run_virtual

PSU, DMM = "keysight/EDU36311A", "keysight/34470A"


@pytest.fixture
def fresh(tmp_path):
    """Return folders that hold nothing."""
    count = iter(range(100))
    return lambda: tmp_path / str(next(count))


def bits(data):
    """Return everything of a dataset but the run's own name, as bytes and plain values."""
    described = json.loads(data.attrs["labnb"])
    assert described.pop("run")
    arrays = {
        name: (array.dims, str(array.dtype), dict(array.attrs), array.values.tobytes())
        for name, array in data.variables.items()
    }
    return {**data.attrs, "labnb": described}, arrays


async def ramp(channel, values, interval):
    while True:
        for volts in values:
            await channel.set(voltage=volts)
            await asyncio.sleep(interval)


async def pulse(load):
    await load.write("FUNC CURR")
    await load.write("INP ON")
    while True:
        for amps in (0.5, 0.1):
            await load.write(f"CURR {amps}")
            await asyncio.sleep(0.5)


async def parallel(store):
    """Ramp a supply and pulse a load in the background; read meter, supply and load every 0.25 s for 5 s."""
    loop = asyncio.get_running_loop()
    async with Measurement("parallel", store=store) as session:
        psu = await session.instrument("psu", PSU, simulate=True)
        dmm = await session.instrument("dmm", DMM, simulate=True)
        load = await session.instrument("load", LOAD_ADDRESS, simulate=True)
        await psu.channel(1).set(voltage=0.7, current_limit=0.5).on()
        await psu.channel(2).set(voltage=1.0, current_limit=1.0).on()
        await dmm.measure_current_dc(range=1.0)

        session.parameter("k", range(20))

        @session.acquire
        async def measure(dmm, psu, load, k):
            await asyncio.sleep(max(0.0, begun + k * 0.25 - loop.time()))
            current, drawn = await asyncio.gather(dmm.measure_current_dc(range=1.0), psu.channel(2).get_current())
            across = await load.query("MEAS:VOLT?")
            return {
                "current": current.values, "taken": current.timestamp, "drawn": drawn,
                "across": float(across),
            }  # fmt: skip

        begun = loop.time()
        tasks = [
            asyncio.create_task(ramp(psu.channel(2), np.linspace(1.0, 5.0, 10), 0.2)),
            asyncio.create_task(pulse(load)),
        ]
        run = await session.run()
        await asyncio.sleep(begun + 5.0 - loop.time())
        for task in tasks:
            task.cancel()
        return run.data.load(), loop.time() - begun


@pytest.mark.speed
def test_five_seconds_of_a_ramp_a_pulse_and_readings_take_less_than_one_and_are_equal_bit_by_bit(fresh):
    run_virtual(parallel(fresh()))  # what is imported only once
    begun = time.perf_counter()
    first, spent = run_virtual(parallel(fresh()))
    wall = time.perf_counter() - begun
    second, _ = run_virtual(parallel(fresh()))
    print(f"\n{spent:g} s on the bench in {wall:.2f} s")
    assert spent == pytest.approx(5.0)
    assert wall < 1
    assert bits(first) == bits(second)
    since = (first["t"] - first["t"][0]) / np.timedelta64(1, "s")
    np.testing.assert_allclose(since, np.arange(20) * 0.25, atol=0.03)
    assert len(set(first["current"].values)) == 20  # there is noise
    assert len({round(float(amps), 1) for amps in first["drawn"].values}) == 2  # and a pulse
    assert float(first["across"].max() - first["across"].min()) > 3  # and a ramp


async def blocking(store):
    """Sweep by a function that blocks its thread, beside a background task on another channel."""
    async with Measurement("blocking", store=store) as session:
        psu = await session.instrument("psu", PSU, simulate=True)
        await session.instrument("dmm", DMM, simulate=True)
        await psu.channel(1).set(voltage=0.0, current_limit=0.5).on()

        session.parameter("voltage", np.linspace(0.5, 0.8, 30), unit="V")

        @session.acquire
        def measure(psu, dmm, voltage):
            psu.channel(1).set(voltage=voltage)
            other = float(psu.query("VOLT? (@2)").result())
            return {"current": dmm.measure_current_dc(range=1.0).values, "other": other}

        task = asyncio.create_task(ramp(psu.channel(2), (1.0, 2.0, 3.0), 0.03))
        run = await session.run()
        task.cancel()
        return run.data.load()


def test_a_blocking_body_beside_a_task_is_repeated_bit_by_bit(fresh):
    first, second = (run_virtual(blocking(fresh())) for _ in range(2))
    assert bits(first) == bits(second)
    assert set(first["other"].values) == {1.0, 2.0, 3.0}


async def in_parallel_mode(store):
    """Measure by the session's own schedule, beside an async task and one that blocks its thread."""
    async with Measurement("own", store=store) as session:
        await session.instrument("psu", PSU, simulate=True)
        await session.instrument("dmm", DMM, simulate=True)

        @session.task
        async def up_and_down(psu):
            await psu.channel(1).set(voltage=0.7, current_limit=0.5).on()
            await ramp(psu.channel(2), (1.0, 2.0, 3.0), 0.4)

        @session.task
        def turns(psu, stop):
            k = 0
            while not stop.wait(0.7):
                k += 1
                psu.channel(3).set(voltage=k)

        @session.acquire
        async def measure(dmm, psu):
            current = await dmm.measure_current_dc(range=1.0)
            return {"current": current.values, "set": float(await psu.query("VOLT? (@2)")),
                    "turn": float(await psu.query("VOLT? (@3)"))}  # fmt: skip

        run = await session.run(duration=5.0, interval=0.25)
        return run.data.load(), run.warnings


def test_a_sessions_own_schedule_and_tasks_are_repeated_bit_by_bit(fresh):
    (first, warnings), (second, _) = (run_virtual(in_parallel_mode(fresh())) for _ in range(2))
    assert bits(first) == bits(second)
    assert warnings == ()
    assert len(first["current"]) == 20
    assert first["time"].values.tolist() == [k * 0.25 for k in range(20)]
    assert first["lateness"].values.tolist() == [0.0] * 20  # each point began exactly on time
    assert not np.isnan(first["current"].values).any()
    assert set(first["turn"].values) == set(range(7))
    assert set(first["set"].values) >= {1.0, 2.0, 3.0}


SCHEDULE = Outline((Loop(0, "time", None, None, 0),), (Section(0, 0, (Record("y"),)),))


def scheduled(body, store, awaiting):
    axis = Axis("time", tuple(k * 0.25 for k in range(20)), "s")
    return Run(Job("schedule", SCHEDULE, body(axis), awaiting, {0: axis}), store)


def in_thread(axis):
    def body(steps):
        for now in steps.ticks(0, axis, 0.25):
            if not steps.wait_tick():
                break
            steps.rows[0][0] = now

    return body


def on_loop(axis):
    async def body(steps):
        for now in steps.ticks(0, axis, 0.25):
            if not await steps.wait_tick_async():
                break
            steps.rows[0][0] = now

    return body


@pytest.mark.parametrize("body", [in_thread, on_loop])
def test_a_schedule_is_kept_exactly(fresh, body):
    async def main():
        run = await scheduled(body, fresh(), body is on_loop).foreground()
        return run.data.load(), run.snapshot().elapsed_s

    data, elapsed = run_virtual(main())
    since = (data["t"].values - np.datetime64("2000-01-01")) / np.timedelta64(1, "ns")
    assert since.tolist() == [k * 250_000_000 for k in range(20)]
    assert elapsed == pytest.approx(4.75)


@pytest.mark.parametrize("body", [in_thread, on_loop])
def test_a_pause_lasts_as_long_as_it_was_meant_to(fresh, body):
    async def main():
        run = scheduled(body, fresh(), body is on_loop).start()
        await asyncio.sleep(1.1)
        run.pause()
        await asyncio.sleep(1.0)
        run.resume()
        await run
        return run.data.load(), run.warnings

    data, warnings = run_virtual(main())
    (missing,) = np.nonzero(np.isnan(data["y"].values))
    assert missing.tolist() == [5, 6, 7]
    assert len(warnings) == 1
    assert "3 slots of the schedule were not measured" in warnings[0]


@pytest.mark.parametrize("body", [in_thread, on_loop])
def test_a_stop_ends_a_long_wait_at_once(fresh, body):
    async def main():
        run = scheduled(body, fresh(), body is on_loop).start()
        await asyncio.sleep(1.1)
        run.stop()
        await run
        return run.state, asyncio.get_running_loop().time()

    state, ended = run_virtual(main())
    assert state is State.STOPPED
    assert ended == pytest.approx(1.1, abs=0.06)


def test_a_measurement_that_waits_for_ever_is_ended_with_an_error_and_its_outputs_off(fresh):
    seen = []

    async def main():
        async with Measurement("hopeless", store=fresh()) as session:
            await session.instrument("psu", PSU, simulate=True)
            seen.append(find_bench("demo"))
            session.parameter("k", range(3))

            @session.acquire
            async def measure(psu, k):
                await psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
                if k == 2:
                    await asyncio.Event().wait()
                return {"volts": await psu.channel(1).get_voltage()}

            run = session.start()
            seen.append(run)
            await run

    with pytest.raises(LabnbError, match=r"everything waits.* > measure > wait \(.*locks.py"):
        run_virtual(main())
    bench, run = seen
    assert bench["psu"].output(1) is False
    assert "OUTP OFF,(@1:3)" in bench["psu"].log
    assert run.state is State.CANCELLED
    assert run.points == 2
