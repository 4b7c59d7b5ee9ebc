"""The session API as people know it from its reference: each of these programs runs as it is printed there.

As a script, and in a notebook by top-level await.
"""

import subprocess
import sys

import numpy as np
import pytest

import labnb

BENCH = """\
bench_name: reference
simulate: true
instruments:
  psu: {profile: keysight/EDU36311A, address: "USB0::0x2A8D::0x8F01::CN6123::INSTR"}
  dmm: {profile: keysight/34470A, address: "TCPIP0::192.0.2.21::inst0::INSTR"}
  load: {profile: keysight/EL33133A, address: "USB0::0x2A8D::0x3802::MY61001234::INSTR"}
  scope: {profile: keysight/DSOX1204G, address: "USB0::0x2A8D::0x0396::CN61200123::INSTR"}
parts:
  cable: {part: resistor, ohms: 0.1 ohm}
wiring:
  - {from: psu.1, to: cable.1}
  - {from: cable.2, to: [load.+, scope.1, dmm.hi]}
"""

EMPTY = """\
import asyncio
from labnb import Measurement

async def main():
    async with Measurement() as session:
        # Register instruments directly
        psu = await session.instrument("psu", "keysight/EDU36311A", simulate=True)
        dmm = await session.instrument("dmm", "keysight/34470A", simulate=True)

        # ... define parameters and measurements ...
        pass

asyncio.run(main())
"""

EMPTY_BENCH = """\
import asyncio
from labnb import Bench, Measurement

async def main():
    async with await Bench.open("bench.yaml") as bench:
        async with Measurement(bench=bench) as session:
            # ... define parameters and measurements ...
            pass

asyncio.run(main())
"""

BASIC = """\
import asyncio
from labnb import Bench, Measurement

async def main():
    async with await Bench.open("bench.yaml") as bench:
        async with Measurement(bench=bench) as session:
            session.parameter("voltage", [1.0, 2.0, 3.0], unit="V", notes="Supply voltage")
            session.parameter("current", [0.1, 0.5, 1.0], unit="A")

            @session.acquire
            async def measure_voltage(psu, dmm, ctx):
                await psu.channel(1).set(voltage=ctx["voltage"], current_limit=ctx["current"]).on()
                result = await dmm.measure_voltage_dc()
                return {"measured_voltage": result.values}

            experiment = await session.run()
            print(experiment.data)

asyncio.run(main())
"""

SWEEP = """\
import asyncio
from labnb import Measurement

async def main():
    async with Measurement() as session:
        psu = await session.instrument("psu", "keysight/EDU36311A", simulate=True)
        dmm = await session.instrument("dmm", "keysight/34470A", simulate=True)

        session.parameter("voltage", [1.0, 2.0, 3.0])
        session.parameter("current", [0.1, 0.5, 1.0])

        @session.acquire
        async def measure(psu, dmm, ctx):
            await psu.channel(1).set(voltage=ctx["voltage"], current_limit=ctx["current"]).on()
            result = await dmm.measure_voltage_dc()
            return {"v_measured": result.values}

        experiment = await session.run()
        print(experiment.data)

asyncio.run(main())
"""

TRACES = """\
import asyncio
from labnb import Bench, Measurement

async def main():
    async with await Bench.open("bench.yaml") as bench:
        async with Measurement(bench=bench) as session:
            @session.task
            async def psu_ramp(psu):
                while True:
                    for v in [1.0, 2.0, 3.0]:
                        await psu.channel(1).set(voltage=v)
                        await asyncio.sleep(0.5)

            @session.acquire
            async def measure(scope):
                await scope._send_command(":SINGle")
                await asyncio.sleep(0.05)
                result = await scope.read_channels(1)
                return {"vpp": result.values}

            experiment = await session.run(duration=10.0, interval=0.2)

asyncio.run(main())
"""

PARALLEL = """\
import asyncio
import numpy as np
from labnb import Measurement

async def main():
    async with Measurement() as session:
        psu = await session.instrument("psu", "keysight/EDU36311A", simulate=True)
        load = await session.instrument("load", "keysight/EL33133A", simulate=True)
        scope = await session.instrument("scope", "keysight/DSOX1204G", simulate=True)

        # Background task: PSU voltage ramp
        @session.task
        async def psu_ramp(psu):
            while True:
                for v in np.linspace(1.0, 5.0, 10):
                    await psu.channel(1).set(voltage=v)
                    await asyncio.sleep(0.2)
                for v in np.linspace(5.0, 1.0, 10):
                    await psu.channel(1).set(voltage=v)
                    await asyncio.sleep(0.2)

        # Background task: Pulsed load
        @session.task
        async def load_pulse(load):
            await load.set_mode("CC")
            await load.enable_input(True)
            try:
                while True:
                    await load.set_load(1.0)
                    await asyncio.sleep(0.5)
                    await load.set_load(0.1)
                    await asyncio.sleep(0.5)
            except asyncio.CancelledError:
                await load.enable_input(False)

        # Acquisition: Oscilloscope measurement
        @session.acquire
        async def measure_ripple(scope):
            await scope._send_command(":SINGle")
            await asyncio.sleep(0.05)
            vpp = await scope.measure_voltage_peak_to_peak(1)
            return {"vpp_ripple": vpp.values}

        # Run for 5 seconds, acquire every 250 ms
        experiment = await session.run(duration=5.0, interval=0.25)
        print(experiment.data)

asyncio.run(main())
"""

PARALLEL_BENCH = """\
import asyncio
import numpy as np
from labnb import Bench, Measurement

async def main():
    async with await Bench.open("bench_parallel.yaml") as bench:
        async with Measurement(bench=bench) as session:
            # Background task: PSU voltage ramp
            @session.task
            async def psu_ramp(psu):
                while True:
                    for v in np.linspace(1.0, 5.0, 10):
                        await psu.channel(1).set(voltage=v)
                        await asyncio.sleep(0.2)
                    for v in np.linspace(5.0, 1.0, 10):
                        await psu.channel(1).set(voltage=v)
                        await asyncio.sleep(0.2)

            # Background task: Pulsed load
            @session.task
            async def load_pulse(load):
                await load.set_mode("CC")
                await load.enable_input(True)
                try:
                    while True:
                        await load.set_load(1.0)
                        await asyncio.sleep(0.5)
                        await load.set_load(0.1)
                        await asyncio.sleep(0.5)
                except asyncio.CancelledError:
                    await load.enable_input(False)

            # Acquisition: Oscilloscope measurement
            @session.acquire
            async def measure_ripple(scope):
                await scope._send_command(":SINGle")
                await asyncio.sleep(0.05)
                vpp = await scope.measure_voltage_peak_to_peak(1)
                return {"vpp_ripple": vpp.values}

            # Run for 5 seconds, acquire every 250 ms
            experiment = await session.run(duration=5.0, interval=0.25)
            print(experiment.data)

asyncio.run(main())
"""


def grid(data, name, units):
    assert data[name].dims == ("voltage", "current")
    assert data.voltage.values.tolist() == [1.0, 2.0, 3.0]
    assert data.current.values.tolist() == [0.1, 0.5, 1.0]
    assert data[name].notnull().all()
    assert (data.voltage.attrs.get("units"), data.current.attrs.get("units")) == units


def basic(data):
    grid(data, "measured_voltage", ("V", "A"))
    assert data.voltage.attrs["long_name"] == "Supply voltage"
    np.testing.assert_allclose(data.measured_voltage, data.voltage.broadcast_like(data.measured_voltage), atol=0.01)


def swept(data):
    grid(data, "v_measured", (None, None))


def traces(data):
    assert data.vpp.dims[0] == "time"
    np.testing.assert_allclose(data.time, np.arange(50) * 0.2)
    assert data.vpp.notnull().any()


def parallel(data):
    assert data.vpp_ripple.dims == ("time",)
    np.testing.assert_allclose(data.time, np.arange(20) * 0.25)
    assert data.time.attrs["units"] == "s"
    assert data.vpp_ripple.notnull().sum() >= 19
    assert float(data.lateness.quantile(0.9)) < 0.1  # a loaded machine; exactly on time under a virtual clock


PROGRAMS = {
    "traces": (TRACES, traces),
    "parallel": (PARALLEL, parallel),
    "parallel with a bench": (PARALLEL_BENCH, parallel),
    "basic usage": (BASIC, basic),
    "sweep": (SWEEP, swept),
    "with a bench": (EMPTY_BENCH, None),
    "without a bench": (EMPTY, None),
}
LONG = ("traces", "parallel", "parallel with a bench")


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    """Return a function that begins a program as a script; the long ones run beside each other, as they mostly wait."""

    def begin(name):
        folder = laid_out(tmp_path_factory)
        (folder / "program.py").write_text(PROGRAMS[name][0])
        command = [sys.executable, "-W", "error", "program.py"]
        return folder, subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    long = {name: begin(name) for name in LONG}
    return lambda name: long.pop(name, None) or begin(name)


@pytest.fixture(scope="module")
def cell(tmp_path_factory, shared_kernel_in):
    """Return a function that begins a program as a cell of a new kernel; the long ones run beside each other."""

    def begin(name):
        folder = laid_out(tmp_path_factory)
        kernel = shared_kernel_in(folder)
        return folder, kernel, kernel.start(PROGRAMS[name][0].replace("asyncio.run(main())", "await main()"))

    long = {name: begin(name) for name in LONG}
    return lambda name: long.pop(name, None) or begin(name)


def laid_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    for name in ("bench.yaml", "bench_parallel.yaml"):
        (folder / name).write_text(BENCH)
    return folder


def check(folder, name):
    expected = PROGRAMS[name][1]
    runs = sorted(folder.glob("labnb-data/*/*/*/*"))
    if expected is None:
        assert runs == []
        return
    (run,) = runs
    expected(labnb.load(run))


@pytest.mark.speed
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_runs_as_a_script(script, name):
    folder, process = script(name)
    _, complaints = process.communicate(timeout=60)
    assert (process.returncode, complaints) == (0, "")
    check(folder, name)


@pytest.mark.speed
@pytest.mark.parametrize("name", PROGRAMS)
def test_the_program_runs_in_a_notebook_by_top_level_await(cell, name):
    folder, kernel, request = cell(name)
    content, outputs = kernel.ended(request)
    assert content["status"] == "ok", content
    assert [o for o in outputs if o.get("name") == "stderr"] == []
    check(folder, name)
