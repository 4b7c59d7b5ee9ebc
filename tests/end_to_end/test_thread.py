"""What happens to a measurement while other cells compute: on the kernel's loop, and with `--thread` on its own."""

import re

import pytest

SETUP = """%load_ext labnb
import asyncio, time, threading
import numpy as np
from labnb import connect
from labnb.sim import find_bench
psu = connect("keysight/EDU36311A", simulate=True, visa_library="fast@labnb")
simulated = find_bench("fast")["psu"]

def block(seconds):
    "Compute without a pause, as a cell with numpy does."
    end, matrix = time.monotonic() + seconds, np.ones((300, 300))
    while time.monotonic() < end:
        matrix = np.tanh(matrix @ matrix)

def longest_gap(run):
    return float(np.diff(run.data.moment.dropna("k").values).max())
"""
MEASURE = """%%measure {name} {options}
for k in sweep(range({points})):
    await psu.channel(1).set(voltage=1, current_limit=0.1).on()
    await asyncio.sleep(0.01)
    {act}
    moment: "s" = time.monotonic()
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory, shared_kernel_in):
    kernel = shared_kernel_in(tmp_path_factory.mktemp("lab"))
    ok(kernel, SETUP)
    return kernel


def ok(lab, code):
    content, outputs = lab.run(code)
    assert content["status"] == "ok", content
    return outputs


def cell(name="iv", options="", points=100_000, act="pass"):
    return MEASURE.format(name=name, options=options, points=points, act=act)


def plain(lines):
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))


def test_a_cell_that_computes_holds_up_a_run_on_the_kernels_loop_which_says_so(lab):
    ok(lab, cell(options="-b"))
    ok(lab, "await asyncio.sleep(0.3); block(1.6); await asyncio.sleep(0.5)")
    ok(lab, "iv.stop(); await iv")
    assert float(lab.value("longest_gap(iv)")) > 1.5
    (warning,) = eval(lab.value("iv.warnings"))
    assert re.fullmatch(r"the kernel's loop stood still for 1\.\d s at \d\d:\d\d:\d\d \(see --thread\)", warning)
    kept = lab.value("[line for line in (iv.path / 'events.ndjson').read_text().splitlines() if 'stood still' in line]")
    assert warning.replace("'", "\\'") in kept or warning in kept


@pytest.mark.speed
def test_with_thread_a_cell_that_computes_holds_up_nothing(lab):
    ok(lab, "%%task beat\nwhile True:\n    beats.append(time.monotonic())\n    await asyncio.sleep(0.02)".strip())
    ok(lab, "beats = []")
    ok(lab, cell(options="-b --thread --with beat"))
    ok(lab, "await asyncio.sleep(0.3); block(1.6); await asyncio.sleep(0.2)")
    ok(lab, "iv.stop(); await iv")
    gap, beat = float(lab.value("longest_gap(iv)")), float(lab.value("float(np.diff(beats).max())"))
    print(f"with --thread: longest gap between points {gap * 1e3:.0f} ms, of its task {beat * 1e3:.0f} ms")
    assert gap < 0.3
    assert beat < 0.4
    assert lab.value("iv.state.value, iv.warnings, simulated.output(1)") == "('stopped', (), False)"
    assert lab.value("[t.name for t in threading.enumerate() if 'iv' in t.name]") == "[]"


@pytest.mark.speed
@pytest.mark.parametrize("how", ["stop", "cancel", "cancel twice"])
def test_a_run_in_a_thread_is_ended_in_the_middle_of_an_await_and_its_output_is_off(lab, how):
    ok(lab, cell(options="-b --thread", act="if k == 5: await asyncio.sleep(1000)"))
    ok(lab, "while iv.points < 5: await asyncio.sleep(0.01)")
    assert lab.value("simulated.output(1)") == "True"
    ok(lab, "began = time.monotonic()\n" + ("iv.stop()" if how == "stop" else "iv.cancel()\n" * len(how.split())))
    ok(lab, "while not iv.state.ended: await asyncio.sleep(0.005)\ntook = time.monotonic() - began")
    assert float(lab.value("took")) < 0.5
    state = "stopped" if how == "stop" else "cancelled"
    assert lab.value("iv.state.value, iv.points, simulated.output(1)") == f"('{state}', 5, False)"


def test_pause_holds_a_run_in_a_thread_and_resume_goes_on(lab):
    ok(lab, cell(options="-b --thread"))
    ok(lab, "while iv.points < 5: await asyncio.sleep(0.01)\niv.pause(); await asyncio.sleep(0.2); held = iv.points")
    ok(lab, "await asyncio.sleep(0.3)")
    assert lab.value("iv.state.value, iv.points - held") == "('paused', 0)"
    ok(lab, "iv.resume()\nwhile iv.points < held + 5: await asyncio.sleep(0.01)\niv.stop(); await iv")
    assert lab.value("iv.state.value") == "'stopped'"


def test_an_interrupt_ends_a_foreground_run_in_a_thread_and_the_queue(lab):
    ok(lab, "ready = False")
    lab.start(cell(options="--thread", act="if k == 5: print('five')"))
    later = lab.start("'not reached'")
    while (m := lab.client.get_iopub_msg(timeout=20))["msg_type"] != "stream" or "five" not in m["content"]["text"]:
        pass
    lab.manager.interrupt_kernel()
    while (reply := lab.client.get_shell_msg(timeout=20))["content"].get("status") != "error":
        pass
    assert reply["content"]["ename"] == "MeasureInterrupted"
    while reply["parent_header"]["msg_id"] != later:
        reply = lab.client.get_shell_msg(timeout=20)
    assert reply["content"]["status"] == "aborted"
    assert lab.value("iv.state.value, simulated.output(1), iv.points == int(iv.data.moment.notnull().sum()) > 4") == (
        "('cancelled', False, True)"
    )


@pytest.mark.parametrize("options", ["--thread", "--thread -b"])
def test_an_error_in_a_thread_shows_the_users_line_and_where_it_was_under_its_own_cell(lab, options):
    request = lab.start(cell(options=options, points=9, act="assert k < 3, 'no contact'"))
    seen = []
    while not any(m["msg_type"] == "error" for m in seen):
        seen.append(lab.client.get_iopub_msg(timeout=20))
    assert seen[-1]["parent_header"]["msg_id"] == request
    text = plain(seen[-1]["content"]["traceback"])
    assert "----> 5     assert k < 3, 'no contact'" in text
    assert "at k=3 (point 4 of 9); 3 points kept in run iv-" in text
    assert "labnb/" not in text
    assert "asyncio/" not in text
    while lab.client.get_shell_msg(timeout=20)["parent_header"]["msg_id"] != request:
        pass
    assert lab.value("iv.state.value, simulated.output(1)") == "('failed', False)"


def test_waiting_without_await_for_a_run_in_a_thread_loses_no_cell(lab):
    for code in (cell(options="-b --thread", points=30), "done = iv.wait().state.value", "after = (done, iv.points)"):
        lab.start(code)
    assert lab.value("after") == "('done', 30)"


def test_what_a_body_in_a_thread_leaves_behind_ends_with_it(lab):
    act = "asyncio.create_task(asyncio.sleep(1000)) if k == 0 else None"
    ok(lab, cell(options="--thread", points=3, act=act))
    assert lab.value("iv.state.value") == "'done'"
    assert lab.value("[t.name for t in threading.enumerate() if 'iv' in t.name]") == "[]"
