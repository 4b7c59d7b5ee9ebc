"""Background tasks, dry runs and waiting without await, in a real kernel."""

import re

import pytest

SETUP = """%load_ext labnb
import asyncio, labnb
from labnb import connect
from labnb.sim import find_bench
psu = connect("keysight/EDU36311A", simulate=True, visa_library="fast@labnb")
simulated = find_bench("fast")["psu"]
beats = []
"""
TASK = """%%task ramp {options}
await psu.channel(3).set(voltage=1.0).on()
while True:
    beats.append(simulated.output(3))
    await asyncio.sleep(0.01)
"""
MEASURE = """%%measure iv {options}
for k in sweep(range({points})):
    await asyncio.sleep(0.01)
    y: "" = len(beats)
"""


@pytest.fixture
def lab(tmp_path, kernel_in):
    kernel = kernel_in(tmp_path)
    content, _ = kernel.run(SETUP)
    assert content["status"] == "ok"
    return kernel


def ok(lab, code):
    content, outputs = lab.run(code)
    assert content["status"] == "ok", content
    return outputs


def test_a_task_goes_with_a_measurement_and_ends_with_it(lab):
    ok(lab, TASK.format(options=""))
    ok(lab, MEASURE.format(options="--with ramp", points=20))
    assert lab.value("iv.state") == "<State.DONE: 'done'>"
    assert lab.value("bool(iv.data.y[-1] > iv.data.y[0] > 0)") == "True"
    assert lab.value("all(beats), simulated.output(3)") == "(True, False)"
    before = lab.value("len(beats)")
    ok(lab, "await asyncio.sleep(0.1)")
    assert lab.value("len(beats)") == before
    assert lab.value("labnb.load(iv.path).attrs['labnb'].count('ramp')") == "1"


def test_a_task_runs_by_itself_until_it_is_stopped_and_its_instruments_are_safe(lab):
    ok(lab, TASK.format(options="--start"))
    ok(lab, "await asyncio.sleep(0.2)")
    assert lab.value("len(beats) > 3, simulated.output(3)") == "(True, True)"
    (printed,) = ok(lab, "%tasks")
    assert re.search(r"ramp +task +going", printed["data"]["text/plain"])
    assert "<td" in printed["data"]["text/html"]
    content, _ = lab.run(TASK.format(options="--start"))
    assert "going already" in content["evalue"]
    ok(lab, MEASURE.format(options="", points=3))
    assert lab.value("simulated.output(3)") == "True"  # the run leaves the task's instrument alone
    ok(lab, "%stop ramp")
    ok(lab, "await asyncio.sleep(0.2)")
    assert lab.value("simulated.output(3)") == "False"
    content, _ = lab.run("%stop ramp")
    assert "nothing called 'ramp' is going on" in content["evalue"]


def test_a_task_that_fails_by_itself_says_so_under_its_cell_and_is_made_safe(lab):
    request = lab.start("%%task bad --start\nawait psu.channel(3).set(voltage=1.0).on()\nraise ValueError('broken')")
    updated = {}
    while "broken" not in updated.get("data", {}).get("text/plain", ""):
        message = lab.client.get_iopub_msg(timeout=10)
        updated = message["content"] if message["msg_type"] == "update_display_data" else {}
    assert message["parent_header"]["msg_id"] == request
    assert "task 'bad' failed: ValueError: broken" in updated["data"]["text/plain"]
    ok(lab, "await asyncio.sleep(0.1)")
    assert lab.value("simulated.output(3)") == "False"


def test_tasks_lists_what_goes_on_and_what_has_failed_and_stop_ends_it_by_name_and_by_id(lab):
    ok(lab, TASK.format(options="--start"))
    ok(lab, MEASURE.format(options="-b", points=100_000))
    ok(lab, "%%measure bad -b\nfor k in sweep(range(9)):\n    assert k < 3, 'no contact'\n    y: '' = k")
    ok(lab, "session = labnb.Measurement('drift')\nsession.acquire(name='y')(lambda: 2.0)")
    ok(lab, "drift = session.start(interval=0.05)\nawait asyncio.sleep(0.2)")
    ok(lab, "while not bad.state.ended:\n    await asyncio.sleep(0.01)")
    shown = lab.value("get_ipython().run_line_magic('tasks', '')")
    for line in (r"ramp +task +going", r"iv +run +running +\d+ of 100000", r"drift +run +running"):
        assert re.search(line, shown), shown
    assert re.search(r"bad-\w+ +run +failed +3 of 9 +\S+ +AssertionError: no contact", shown), shown
    (printed,) = [o for o in ok(lab, "%stop iv") if "text" in o]
    assert "stopping iv-" in printed["text"]
    assert lab.value("(await iv).state.value, drift.state.value") == "('stopped', 'running')"
    ok(lab, "%stop {drift.run_id}")
    assert lab.value("(await drift).state.value, simulated.output(3)") == "('stopped', True)"
    ok(lab, "%stop all")
    ok(lab, "await asyncio.sleep(0.2)")
    assert lab.value("simulated.output(3)") == "False"


def test_tab_and_the_manual_work_through_the_kernel(lab):
    code = "%%measure iv --plot t,\nfor t in sweep([1]):\n    volts: 'V' = 1"
    lab.client.complete(code, len("%%measure iv --plot t,"))
    assert lab.client.get_shell_msg(timeout=20)["content"]["matches"] == ["t", "volts"]
    content, _ = lab.run("%%measure?")
    (page,) = content["payload"]
    assert "--thread" in page["data"]["text/plain"]


def test_a_dry_run_tells_the_plan_and_moves_nothing(lab, tmp_path):
    code = """%%measure iv --dry-run
for t in sweep([280, 300], "K"):
    stage: "K" = beats.append(1)
    for v in sweep(0, 1, 5, "V"):
        i: "A" = psu.channel(1).on()
"""
    (printed,) = ok(lab, code)
    assert "iv: t 2 × v 5 = 10 points" in printed["text"]
    assert "stage (K)" in printed["text"]
    assert "over t, v" in printed["text"]
    assert "instruments: keysight/EDU36311A" in printed["text"]
    assert lab.value("beats, simulated.output(1)") == "([], False)"
    assert not (tmp_path / "labnb-data").exists()


def test_waiting_without_await_loses_no_cell(lab):
    """Run All: three cells are queued; the first one blocks for its run, while the kernel's loop goes on."""
    cells = (
        """%%measure slow -b
for k in sweep(range(30)):
    await asyncio.sleep(0.01)
    y: "" = k
""",
        "done = slow.wait().state.value",
        "second = labnb.Measurement('s')\nsecond.acquire(name='y')(lambda: 2.0)\nvalue = float(second.run_sync().data.y)",
        "third = (done, value)",
    )
    for cell in cells:
        lab.start(cell)
    assert lab.value("third, slow.points") == "(('done', 2.0), 30)"


def test_another_thread_can_wait_for_a_run(lab):
    ok(
        lab,
        """%%measure slow -b
for k in sweep(range(30)):
    await asyncio.sleep(0.01)
    y: "" = k
""",
    )
    assert lab.value("(await asyncio.to_thread(slow.wait)).points") == "30"
