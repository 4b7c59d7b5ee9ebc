"""`%%measure` in a real kernel, without a browser: exits, errors, bad input."""

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import xarray as xr

import labnb

LOAD = "%load_ext labnb\nimport asyncio, time, math\nfrom labnb.sim import register, demo_bench as simulated\nfrom labnb import demo_bench\nregister('lab', simulated(clock='skip'))\nbench = demo_bench('lab')\npsu, dmm = bench.psu, bench.dmm\nfrom labnb.sim import find_bench\nreal = find_bench('lab')"
BODY = """%%measure {name} {options}
await psu.channel(1).set(voltage=1, current_limit=0.1).on()
for x in sweep(range(100), "V"):
    {act}
    y: "A" = x + 0.5
"""
OUTPUT = "real['psu'].output(1)"


@pytest.fixture
def lab(tmp_path, kernel_in):
    kernel = kernel_in(tmp_path)
    content, _ = kernel.run(LOAD)
    assert content["status"] == "ok", content
    return kernel


def error_of(content):
    assert content["status"] == "error"
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content["traceback"]))


def stored(folder: Path, name: str):
    (path,) = folder.glob(f"labnb-data/*/*/*/*-{name}-*")
    return xr.open_zarr(path / "data.zarr").load()


def test_an_acquisition_that_raises_keeps_the_points_before_and_switches_the_output_off(lab, tmp_path):
    act = "assert x < 36 or not real['psu'].output(1), 'no contact'"
    content, _ = lab.run(BODY.format(name="bad", options="", act=act))
    text = error_of(content)
    assert "no contact" in text
    assert "at x=36 V (point 37 of 100); 36 points kept in run bad-" in text
    assert "assert x < 36" in text
    assert "labnb/session" not in text
    assert int(stored(tmp_path, "bad").y.notnull().sum()) == 36
    assert lab.value(OUTPUT) == "False"
    assert lab.value("bad.state.value, bad.points") == "('failed', 36)"


def test_the_output_is_on_while_it_measures_and_off_when_it_is_done(lab, tmp_path):
    content, _ = lab.run(BODY.format(name="good", options="", act="assert real['psu'].output(1)"))
    assert content["status"] == "ok", content
    assert lab.value(OUTPUT) == "False"
    assert lab.value("good.state.value, good.points") == "('done', 100)"
    assert stored(tmp_path, "good").y.values.tolist() == [x + 0.5 for x in range(100)]


@pytest.mark.parametrize("kind", ["stop", "cancel", "cancel twice"])
def test_a_background_run_that_is_ended_switches_the_output_off(lab, kind):
    content, _ = lab.run(BODY.format(name="bg", options="-b", act="await asyncio.sleep(0.02)"))
    assert content["status"] == "ok"
    lab.run("while bg.points < 10: await asyncio.sleep(0.01)")
    assert lab.value(OUTPUT) == "True"
    lab.run("; ".join(["bg.stop()" if kind == "stop" else "bg.cancel()"] * (2 if "twice" in kind else 1)))
    lab.run("while not bg.state.ended: await asyncio.sleep(0.01)")
    assert lab.value("bg.state.value") == ("'stopped'" if kind == "stop" else "'cancelled'")
    assert lab.value(OUTPUT) == "False"
    assert int(lab.value("bg.data.y.notnull().sum().item() - bg.points")) == 0
    assert int(lab.value("bg.points")) >= 10


def test_an_interrupt_keeps_the_points_and_switches_the_output_off(lab, tmp_path):
    request = lab.start(BODY.format(name="sig", options="", act="await asyncio.sleep(0.02)"))
    wait_for_points(tmp_path, "sig", 10)
    lab.manager.interrupt_kernel()
    reply = lab.client.get_shell_msg(timeout=10)
    while reply["parent_header"].get("msg_id") != request:
        reply = lab.client.get_shell_msg(timeout=10)
    assert reply["content"]["status"] == "error"
    assert reply["content"]["ename"] == "MeasureInterrupted"
    assert lab.value(OUTPUT) == "False"
    assert lab.value("sig.state.value") == "'cancelled'"
    assert int(stored(tmp_path, "sig").y.notnull().sum()) == int(lab.value("sig.points")) >= 10


def test_a_second_interrupt_breaks_a_blocking_call_of_an_awaiting_body(lab, tmp_path):
    act = "if x == 10: open('blocked', 'w').close(); time.sleep(30)"
    request = lab.start(BODY.format(name="hang", options="", act=act))
    wait_until((tmp_path / "blocked").exists)
    process = lab.manager.provisioner.process
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    wait_until(lambda: time.monotonic() - began > 0.3)
    process.send_signal(signal.SIGINT)
    reply = lab.client.get_shell_msg(timeout=10)
    while reply["parent_header"].get("msg_id") != request:
        reply = lab.client.get_shell_msg(timeout=10)
    assert reply["content"]["ename"] == "MeasureInterrupted"
    assert time.monotonic() - began < 5
    assert lab.value(OUTPUT) == "False"
    assert lab.value("1 + 1") == "2"


def wait_for_points(folder, name, count):
    def enough():
        paths = list(folder.glob(f"labnb-data/*/*/*/*-{name}-*/data.zarr"))
        return bool(paths) and "y" in (data := xr.open_zarr(paths[0])) and int(data.y.notnull().sum()) >= count

    wait_until(enough)


def wait_until(condition, timeout_s=20):
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_a_background_error_appears_in_the_output_of_its_own_cell(lab):
    request = lab.start(BODY.format(name="bgbad", options="-b", act="await asyncio.sleep(0.01); assert x < 5, 'gone'"))
    seen = []
    while not any(m["msg_type"] == "error" for m in seen):
        seen.append(lab.client.get_iopub_msg(timeout=10))
    error = next(m for m in seen if m["msg_type"] == "error")
    assert error["parent_header"]["msg_id"] == request
    text = "\n".join(error["content"]["traceback"])
    assert "gone" in text
    assert "5 points kept in run bgbad-" in text


def test_programmatic_use_gives_an_awaitable_run(lab):
    code = "run = await get_ipython().run_cell_magic('measure', 'prog', 'for x in sweep(range(3)):\\n    y: \"V\" = x')\nrun.points"
    assert lab.value(code) == "3"


def test_a_single_shot_and_an_array_are_recorded(lab, tmp_path):
    content, _ = lab.run(
        '%%measure shot\nimport numpy as np\nv: "V" = 1.5\nfor k in sweep(range(3)):\n    trace: "V" = np.arange(4.0) * k'
    )
    assert content["status"] == "ok", content
    data = stored(tmp_path, "shot")
    assert data.v.item() == 1.5
    assert data.trace.dims == ("k", "trace_0")
    assert data.trace.values[2].tolist() == [0, 2, 4, 6]
    assert data.trace.attrs["units"] == "V"


def test_two_runs_do_not_share_an_instrument(lab):
    lab.run(BODY.format(name="first", options="-b", act="await asyncio.sleep(0.02)"))
    content, _ = lab.run(BODY.format(name="second", options="", act="pass"))
    assert "in use by run first-" in error_of(content)
    lab.run("first.stop()\nawait first")
    content, _ = lab.run(BODY.format(name="second", options="", act="pass"))
    assert content["status"] == "ok"


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ('%%measure a\nfor x in sweep([]):\n    y: "V" = 1', "sweep is empty"),
        ('%%measure a\nfor x in sweep(0, float("nan"), 3):\n    y: "V" = 1', "stop is nan"),
        ('%%measure a\nfor x in sweep([1], 5):\n    y: "V" = 1', "unit must be a text"),
        ("%%measure a\nfor x in sweep([1]):\n    y: V = 1", "is no unit"),
        ("%%measure a\nfor x in sweep([1]):\n    y: 3 = 1", "is no unit"),
        (
            '%%measure a\nfor x in sweep([1]):\n    y: "V" = 1\nfor z in sweep([1]):\n    y: "V" = 1',
            "under other loops",
        ),
        ('%%measure a/b\nfor x in sweep([1]):\n    y: "V" = 1', "no '/'"),
        ('%%measure a\nfor x in sweep([1])\n    y: "V" = 1', "expected ':'"),
        ("%%measure a\nfor x in sweep([1]):\n    y = 1", "nothing would be recorded"),
        ('%%measure a --plot x,z\nfor x in sweep([1]):\n    y: "V" = 1', "nothing in this cell is called 'z'"),
        ('%%measure a --store /proc/nowhere\nfor x in sweep([1]):\n    y: "V" = 1', "/proc/nowhere"),
        ("labnb.connect('USB0::1::2::3::INSTR', visa_library='lab@labnb')", "USB0::0x2A8D"),
    ],
)
def test_bad_input_is_refused_before_anything_moves(lab, tmp_path, cell, words):
    lab.run("import labnb\nwritten = len(real['psu'].log)")
    content, _ = lab.run(cell)
    assert words in error_of(content)
    assert not list(tmp_path.glob("labnb-data/*/*/*/*"))
    assert lab.value("len(real['psu'].log) - written") == "0"


def test_a_value_that_changes_shape_keeps_the_points_before_it(lab, tmp_path):
    content, _ = lab.run(
        '%%measure shape\nimport numpy as np\nfor x in sweep(range(9)):\n    y: "V" = np.zeros(4 if x < 5 else 3)'
    )
    text = error_of(content)
    assert "(4,)" in text
    assert "(3,)" in text
    assert "'y'" in text
    assert "5 points kept" in text
    assert int(stored(tmp_path, "shape").y.notnull().all("y_0").sum()) == 5


def test_what_is_loaded_afterwards_tells_how_it_came_about(lab, tmp_path):
    lab.run(BODY.format(name="meta", options="--note 'first light'", act="pass"))
    (path,) = tmp_path.glob("labnb-data/*/*/*/*-meta-*")
    data = labnb.load(path)
    assert "for x in sweep(range(100)" in str(data.attrs["labnb"])
    assert "first light" in str(data.attrs["labnb"])
    assert "EDU36311A" in str(data.attrs["labnb"])


MARKED = """
from pathlib import Path
from labnb import Instrument

class Marked(Instrument):
    def __init__(self, name):
        self.name = name

    def snapshot(self):
        return {}

    async def make_safe(self):
        Path(self.name).write_text("safe by the run")

    def make_safe_now(self, timeout_s=5.0):
        if self.name == "first":
            raise OSError("unplugged")
        Path(self.name).write_text("safe at the end")

first, second = Marked("first"), Marked("second")
"""


def test_closing_the_kernel_makes_the_instruments_of_a_running_measurement_safe(lab, tmp_path):
    lab.run(MARKED)
    content, _ = lab.run(
        '%%measure bg -b\nfirst, second\nfor x in sweep(range(1000)):\n    await asyncio.sleep(0.01)\n    y: "V" = x'
    )
    assert content["status"] == "ok"
    wait_for_points(tmp_path, "bg", 5)
    process = lab.manager.provisioner.process
    lab.client.shutdown()
    process.wait(10)
    assert (tmp_path / "second").read_text() in ("safe at the end", "safe by the run")
    run = labnb.load(next(iter(tmp_path.glob("labnb-data/*/*/*/*-bg-*"))))
    assert int(run.y.notnull().sum()) >= 5
    assert '"state": "running"' not in str(run.attrs["labnb"])


def test_a_full_disk_stops_the_run_loudly_and_keeps_every_point(lab, mounted):
    disk = mounted("size=4m")
    cell = f"""%%measure full --store {disk}
psu.channel(1).set(voltage=1, current_limit=0.1).on()
for x in sweep(range(200_000), "V"):
    y: "A" = x + 0.5
"""
    content, _ = lab.run(cell)
    text = error_of(content)
    assert "RecordError" in text
    assert "no space left" in text.lower()
    assert "points kept in run full-" in text
    assert "at x=" in text
    kept = int(lab.value("full.points"))
    assert kept > 1000
    assert lab.value("full.state.value") == "'failed'"
    assert lab.value(OUTPUT) == "False"
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
    (path,) = disk.glob("*/*/*/*-full-*")
    found = labnb.load(path).load().y
    assert int(found.notnull().sum()) == kept
    assert found.values[:kept].tolist() == [x + 0.5 for x in range(kept)]
    content, _ = lab.run(cell.replace("200_000", "1000"))
    assert content["status"] == "ok", content


def test_a_read_only_folder_is_refused_before_anything_moves(lab, mounted):
    disk = mounted("ro")
    lab.run("written = len(real['psu'].log)")
    content, _ = lab.run(BODY.format(name="ro", options=f"--store {disk}", act="pass"))
    text = error_of(content)
    assert "RecordError" in text
    assert str(disk) in text
    assert "read-only" in text.lower()
    assert lab.value("len(real['psu'].log) - written") == "0"
