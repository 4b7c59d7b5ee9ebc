"""As in a browser alone (Pyodide, JupyterLite): no thread can be started. What works there, works; the rest says why not."""

import asyncio
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import xarray as xr

from labnb import Measurement, demo_bench, sweep
from labnb.core import LabnbError, LifecycleError, State, begin_thread, threads
from labnb.notebook.prepare import prepare
from labnb.notebook.request import parse_line
from labnb.session import Run

SOURCE = Path(__file__).parents[2]

# What Pyodide does: `sys.platform` says what it is, and a thread raises this.
BARE = """
import sys, threading
def refuse(self): raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
import labnb.core, labnb.sim, labnb.instruments, labnb.record, labnb.live, labnb.session, labnb.notebook.cell
import labnb.notebook.magics, labnb.notebook.panels
import labnb
print(len([getattr(labnb, name) for name in labnb.__all__]))
"""


@pytest.fixture
def no_threads(monkeypatch, tmp_path):
    """Take the threads away, as Pyodide has none. zarr's own, which it brings for itself there, is started before."""
    xr.Dataset({"x": ("n", [1.0])}).to_zarr(tmp_path / "warm.zarr", consolidated=False)
    xr.open_zarr(tmp_path / "warm.zarr", consolidated=False).load()

    def refuse(_self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "_WITHOUT", (sys.platform,))
    monkeypatch.setattr(threading.Thread, "start", refuse)


def test_every_room_is_imported_without_a_thread():
    done = subprocess.run([sys.executable, "-c", BARE], cwd=SOURCE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 15


def test_what_needs_a_thread_says_so(no_threads, monkeypatch):
    with pytest.raises(LabnbError, match="publishing needs a thread, and Python in a browser has none"):
        begin_thread(print, "labnb publishing", "publishing")
    monkeypatch.setattr(threads, "_WITHOUT", ())
    with pytest.raises(LabnbError, match="psu needs a thread, and this computer starts no more of them: can't start"):
        begin_thread(print, "labnb lane psu", "psu")


async def test_a_session_measures_and_records_without_a_thread(no_threads, tmp_path):
    bench = demo_bench("fast")
    async with Measurement("iv", store=tmp_path) as session:
        await session.instrument("psu", bench.psu)
        await session.instrument("dmm", bench.dmm)
        session.parameter("voltage", [0.0, 0.4, 0.8], unit="V")

        @session.acquire
        async def measure(psu, dmm, voltage):
            await psu.channel(1).set(voltage=voltage, current_limit=0.1).on()
            return {"current": (await dmm.measure_current_dc(nplc=0.02)).values}

        run = await session.run()
    assert (run.state, run.points) == (State.DONE, 3)
    assert run.data.current.sizes == {"voltage": 3}
    assert float(run.data.current[2]) > 0.01
    assert bench.psu.channel(1).get_output_state().result() is False  # made safe
    meta = json.loads((run.path / "run.json").read_text())
    assert meta["state"] == "done"
    bench.close()


async def test_waiting_for_a_run_inside_of_the_loop_is_refused(no_threads):
    session = Measurement("x")
    with pytest.raises(LifecycleError, match="write `await` before it instead"):
        session.run_sync()


def cell(line, body, tmp_path):
    prepared = prepare(parse_line(line), body, "<cell>", {"sweep": sweep, "asyncio": asyncio})
    return Run(prepared.job, tmp_path).start()


async def test_a_body_without_await_runs_and_an_awaiting_one_can_be_stopped(no_threads, tmp_path):
    run = cell("iv", 'for x in sweep(range(3), "V"):\n    y: "A" = 2 * x\n', tmp_path)
    await run
    assert (run.state, run.data.y.values.tolist()) == (State.DONE, [0.0, 2.0, 4.0])
    run = cell("iv", 'for x in sweep(range(9), "V"):\n    await asyncio.sleep(0.01)\n    y: "A" = x\n', tmp_path)
    while run.points < 2:
        await asyncio.sleep(0.005)
    run.stop()
    await run
    assert run.state is State.STOPPED


async def test_a_thread_that_is_asked_for_is_refused(no_threads, tmp_path):
    there = sorted(tmp_path.iterdir())
    with pytest.raises(
        LifecycleError, match=r"iv was told to use a thread of its own .--thread., and Python in a browser"
    ):
        cell("iv --thread", 'for x in sweep(range(3), "V"):\n    await asyncio.sleep(0)\n    y: "A" = x\n', tmp_path)
    assert sorted(tmp_path.iterdir()) == there  # no run was begun


# ---- Pyodide itself, in Node

PYODIDE = os.environ.get("LABNB_PYODIDE", "")

HOST = """
import { loadPyodide } from "%(pyodide)s/pyodide.mjs";
import fs from "fs";
const python = await loadPyodide({indexURL: "%(pyodide)s/"});
python.FS.mkdirTree("/code");
python.FS.mount(python.FS.filesystems.NODEFS, {root: "%(code)s"}, "/code");
python.runPython("import sys; sys.path.insert(0, '/code'); sys.dont_write_bytecode = True");
console.log(String(await python.runPythonAsync(fs.readFileSync("%(program)s", "utf8"))));
process.exit(0);
"""

PROGRAM = """
from labnb import connect, sweep
from labnb.sim import Bench, Diode, Multimeter, PowerSupply, Resistor, register

PSU, DMM = "USB0::0x2A8D::0x8F01::CN6123::INSTR", "TCPIP0::192.0.2.21::inst0::INSTR"
bench = Bench(clock="skip")
PowerSupply(bench, "psu", PSU, outputs=(("p", "gnd"), ("b", "gnd"), ("c", "gnd")))
Multimeter(bench, "dmm", DMM, voltage_input=("a", "gnd"), current_input=("p", "r"))
bench.circuit.add(Resistor("r", "a", ohms=10.0), Diode("a", "gnd"))
register("page", bench)
psu = connect("keysight/EDU36311A", address=PSU, visa_library="page@labnb", name="psu")
dmm = connect("keysight/34470A", address=DMM, visa_library="page@labnb", name="dmm")
await psu.channel(1).set(voltage=0, current_limit=0.1).on()
currents = []
for voltage in sweep(0, 0.8, 5, "V"):
    await psu.channel(1).set(voltage=voltage)
    currents.append((await dmm.measure_current_dc(nplc=0.02)).values)
await psu.make_safe()
import json, sys
json.dumps([sys.platform, currents, await psu.channel(1).get_output_state()])
"""


@pytest.mark.skipif(not PYODIDE, reason="LABNB_PYODIDE names no folder with Pyodide's npm package")
def test_bench_pyvisa_and_drivers_measure_in_pyodide(tmp_path):
    code = tmp_path / "code"
    for package in ("labnb", "pyvisa"):
        source = Path(importlib.util.find_spec(package).origin).parent
        shutil.copytree(source, code / package, ignore=shutil.ignore_patterns("__pycache__", "testsuite"))
    for module in (SOURCE / "pyvisa_labnb.py", Path(importlib.util.find_spec("typing_extensions").origin)):
        shutil.copy(module, code)
    (tmp_path / "program.py").write_text(PROGRAM)
    places = {"pyodide": Path(PYODIDE).absolute(), "code": code, "program": tmp_path / "program.py"}
    (tmp_path / "host.mjs").write_text(HOST % places)
    done = subprocess.run(
        ["node", tmp_path / "host.mjs"], capture_output=True, text=True, check=False, timeout=100, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    platform, currents, is_on = json.loads(done.stdout.splitlines()[-1])
    assert (platform, is_on) == ("emscripten", False)
    assert currents == sorted(currents)
    assert 1e-3 < currents[-1] < 0.1
