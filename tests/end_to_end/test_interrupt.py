"""Ctrl-C in a script, once and twice: tasks have ended, the supply is off, points are kept, and the state is true."""

import signal
import subprocess
import sys
import time

import pytest

SCRIPT = """
import asyncio, atexit, sys, time
from pathlib import Path
from labnb import Measurement
from labnb.instruments import demo
from labnb.record import open_run
from labnb.sim import demo_bench, find_bench, register

how, blocking, safe_s = sys.argv[1], sys.argv[2] == "blocking", float(sys.argv[3])
register("bench", demo_bench(clock="skip"))
psu, simulated, events = demo("bench").psu, find_bench("bench")["psu"], []
make_safe = psu.make_safe

async def slowly():
    Path("ending").touch()
    await asyncio.sleep(safe_s)
    await make_safe()

psu.make_safe = slowly
session = Measurement("script", store="data")
session.parameter("x", range(100_000))

@session.task
async def pump(psu):
    await psu.channel(2).set(voltage=1.0).on()
    try:
        await asyncio.sleep(1000)
    finally:
        events.append("task ended")

def measure(psu, x):
    psu.channel(1).set(voltage=1.0).on().result()
    time.sleep(0.002)
    if x == 20:
        Path("reached").touch()
    return {"y": x + 0.5}

async def measure_async(psu, x):
    await asyncio.sleep(0.002)
    await psu.channel(1).set(voltage=1.0).on()
    if x == 20:
        Path("reached").touch()
    return {"y": x + 0.5}

session.acquire(measure if blocking else measure_async)

def tell():
    stored = open_run(next(Path("data").glob("*/*/*/*")))
    y = stored.data.y.dropna("x")
    kept = len(y) == stored.points > 20 and bool((y == y.x + 0.5).all())
    print([stored.state.value, kept, simulated.output(1), simulated.output(2), events])

async def main():
    async with session:
        await session.instrument("psu", psu)
        await session.run()

def synchronous():
    with session:
        session.instrument("psu", psu)
        session.run_sync()

try:
    asyncio.run(main()) if how == "asyncio.run" else synchronous()
except KeyboardInterrupt:
    print("KeyboardInterrupt")
finally:
    tell()
"""


def until(path):
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path.name}: it did not happen in time"
        time.sleep(0.01)


@pytest.mark.parametrize("blocking", ["awaiting", "blocking"])
@pytest.mark.parametrize("how", ["asyncio.run", "run_sync"])
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
def test_a_script_that_is_interrupted_leaves_nothing_on_and_keeps_its_points(tmp_path, how, blocking, times):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    slow_s = "0" if times == 1 else "0.2"
    process = subprocess.Popen(
        [sys.executable, str(script), how, blocking, slow_s],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(tmp_path / "reached")
    process.send_signal(signal.SIGINT)
    if times == 2:  # while instruments are made safe: this cancels everything that is on the loop
        until(tmp_path / "ending")
        process.send_signal(signal.SIGINT)
    out, problems = process.communicate(timeout=60)
    assert out.splitlines() == ["KeyboardInterrupt", "['cancelled', True, False, False, ['task ended']]"], (
        out + problems
    )
