"""Monitoring as people know it from its reference: the programs that are printed there run, with a simulated meter."""

import os
import signal
import subprocess
import sys

import pytest

import labnb

PRELUDE = """\
import asyncio
from labnb import AsyncSession, demo_bench

def SomeDevice():
    return demo_bench().dmm
"""

SCRIPT = """
async def monitoring_task(sesn):
    some_value = await sesn.some_device.aget()
    sesn.add_entry(some_value=some_value)
    print("logged", flush=True)
    await sesn.sleep(10)

async def main(sesn):
    async with SomeDevice() as sesn.some_device:
        await sesn.monitor(monitoring_task)

with AsyncSession() as sesn:
    asyncio.run(main(sesn))
"""

SUBCLASS = """
class Monitoring(AsyncSession):

    async def monitoring_task(self):
        some_value = await self.some_device.aget()
        self.add_entry(some_value=some_value)
        print("logged", flush=True)
        await self.sleep(10)

    async def main(self):
        async with SomeDevice() as self.some_device:
            await self.monitor(self.monitoring_task)

with Monitoring() as mon:
    asyncio.run(mon.main())
"""

SEVERAL = """
async def monitoring_task_a(sesn):
    sesn.add_entry(var_a=await sesn.some_device.aget())
    await sesn.sleep(0.05)

async def monitoring_task_b(sesn):
    sesn.add_entry(var_b=1, var_c=2.5)
    print("logged", flush=True)
    await sesn.sleep(10)

async def main(sesn):
    async with SomeDevice() as sesn.some_device:
        await sesn.monitor(monitoring_task_a,
                           monitoring_task_b,
                           sesn.plot(['var_a', 'var_b', 'var_c']),
                           sesn.send_email(from_addr='toto@titi.org',
                                           to_addrs='tata@titi.org',
                                           delay_hours=2.0),
                           )

with AsyncSession() as sesn:
    asyncio.run(main(sesn))
"""

LAST = """
print({name: len(ts) for name, (ts, _) in (globals().get("sesn") or mon).logged_data().items()}, flush=True)
"""

CELL = """
async def monitoring_task(sesn):
    sesn.add_entry(some_value=await sesn.some_device.aget())
    await sesn.sleep(0.05)

async def enough(sesn):
    await asyncio.sleep(1)
    sesn.ask_exit()

async def main(sesn):
    async with SomeDevice() as sesn.some_device:
        await sesn.monitor(monitoring_task, enough(sesn), sesn.plot(['some_value']))

with AsyncSession("cell") as sesn:
    await main(sesn)
len(sesn['some_value'][0])
"""


@pytest.mark.parametrize(
    ("program", "names"),
    [(SCRIPT, {"some_value"}), (SUBCLASS, {"some_value"}), (SEVERAL, {"var_a", "var_b", "var_c"})],
    ids=["script", "subclass", "several"],
)
def test_the_programs_of_the_reference_run_until_ctrl_c(tmp_path, program, names):
    (tmp_path / "program.py").write_text(PRELUDE + program + LAST)
    process = subprocess.Popen(
        [sys.executable, "program.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in process.stdout:
        if line == "logged\n":
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert err == ""
    counts = eval(out.splitlines()[-1])
    assert set(counts) == names
    (path,) = tmp_path.glob("labnb-data/*/*/*/*")
    stored = labnb.load(path)
    assert {name: stored[name].size for name in names} == counts
    if "some_value" in names:
        assert stored["some_value"].attrs["units"] == "V"


def test_it_runs_in_a_notebook_twice_in_one_kernel_with_a_live_figure(tmp_path, kernel_in):
    kernel = kernel_in(tmp_path)
    content, _ = kernel.run("%load_ext labnb\n" + PRELUDE)
    assert content["status"] == "ok", content
    before = 0
    for _ in range(2):
        content, outputs = kernel.run(CELL)
        assert content["status"] == "ok", content
        count = int(outputs[-1]["data"]["text/plain"])
        assert count > before + 3
        before = count
        assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs)
        assert any("image/png" in output.get("data", {}) for output in outputs)


def test_the_interrupt_button_stops_a_session_and_the_cell_goes_on(tmp_path, kernel_in):
    kernel = kernel_in(tmp_path)
    kernel.run("%load_ext labnb\n" + PRELUDE)
    kernel.start(CELL.replace(", enough(sesn)", "") + "\n'the rest of the cell'")
    while not list(tmp_path.glob("labnb-data/*/*/*/*/data.zarr/some_value/c.0")):
        pass
    os.kill(kernel.manager.provisioner.process.pid, signal.SIGINT)
    assert int(kernel.value("len(sesn['some_value'][0])")) >= 1
    assert kernel.value("sesn.state()") == "'ended'"
