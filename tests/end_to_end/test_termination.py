"""A process that is told to end while it measures leaves nothing on."""

import signal

import pytest

from labnb.core import State
from labnb.record import open_run

LOAD = """%load_ext labnb
import asyncio, time
from labnb import demo_bench
psu = demo_bench().psu
sent, write = open("sent.log", "a", buffering=1), psu.link.write
def noted(command):
    sent.write(command + "\\n")
    return write(command)
psu.link.write = noted"""
BODY = """%%measure iv {options}
{wait}psu.channel(1).set(voltage=1, current_limit=0.1).on()
for x in sweep(range(1000)):
    {wait}{sleep}
    y: "A" = x
    if x == 5:
        open("reached", "w").close()
"""


@pytest.mark.parametrize("options", ["", "-b"])
@pytest.mark.parametrize(("wait", "sleep"), [("await ", "asyncio.sleep(0.02)"), ("", "time.sleep(0.02)")])
@pytest.mark.parametrize("how", ["shutdown", "terminate"])
def test_outputs_are_off_after_the_kernel_was_told_to_end(kernel_in, tmp_path, options, wait, sleep, how, until):
    kernel = kernel_in(tmp_path)
    kernel.run(LOAD)
    kernel.start(BODY.format(options=options, wait=wait, sleep=sleep))
    until((tmp_path / "reached").exists)
    if how == "shutdown":
        kernel.manager.shutdown_kernel(now=False)
    else:
        kernel.manager.provisioner.process.send_signal(signal.SIGTERM)
        assert kernel.manager.provisioner.process.wait(10) == -signal.SIGTERM
    log = (tmp_path / "sent.log").read_text().split("\n")
    assert "OUTP ON,(@1)" in log
    assert log[-2] == "OUTP OFF,(@1:3)"


@pytest.fixture
def until():
    """Return a function that waits until something is so."""
    import time

    def wait(condition):
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.02)

    return wait


TASK = """%%task pump {start}
{wait}psu.channel(2).set(voltage=1, current_limit=0.1).on()
try:
    {loop}
finally:
    open("task ended", "w").close()
"""


@pytest.mark.parametrize("how", ["shutdown", "terminate"])
@pytest.mark.parametrize("start", ["", "--start"], ids=["beside a run", "by itself"])
@pytest.mark.parametrize("wait", ["await ", ""], ids=["awaiting", "blocking"])
def test_a_kernel_that_is_told_to_end_during_a_task_leaves_nothing_on_and_keeps_the_points(
    kernel_in, tmp_path, wait, start, how, until
):
    kernel = kernel_in(tmp_path)
    kernel.run(LOAD)
    loop = "while True: await asyncio.sleep(0.01)" if wait else "stop.wait()"
    content, _ = kernel.run(TASK.format(start=start, wait=wait, loop=loop))
    assert content["status"] == "ok", content
    beside = "" if start else "--with pump"
    kernel.start(BODY.format(options=beside, wait="await ", sleep="asyncio.sleep(0.02)"))
    until((tmp_path / "reached").exists)
    if how == "shutdown":
        kernel.manager.shutdown_kernel(now=False)
    else:
        kernel.manager.provisioner.process.send_signal(signal.SIGTERM)
        assert kernel.manager.provisioner.process.wait(10) == -signal.SIGTERM
    log = (tmp_path / "sent.log").read_text().split("\n")
    assert "OUTP ON,(@2)" in log
    assert log[-2] == "OUTP OFF,(@1:3)"
    stored = open_run(next((tmp_path / "labnb-data").glob("*/*/*/*")))
    assert stored.state in (State.INTERRUPTED, State.CANCELLED)
    y = stored.data.y.dropna("x")
    assert stored.points == len(y) >= 5
    assert (y == y.x).all()
