"""What the README shows runs as printed."""

import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_block(word):
    (block,) = [text for kind, text in BLOCKS if kind == "python" and word in text]
    return block


def test_the_script_measures_a_diode(tmp_path):
    printed = run(python_block("asyncio.run(main())"), tmp_path)
    assert "<xarray.Dataset>" in printed
    assert "(voltage: 3)" in printed
    assert "current" in printed


def test_an_hour_in_virtual_time_is_measured_at_once(tmp_path):
    begun = time.monotonic()
    printed = run(python_block("run_virtual(main())") + "\nprint(data.sizes['minute'], data.t.values[-1])", tmp_path)
    assert printed.startswith("60 2000-01-01T01:00:0")
    assert time.monotonic() - begun < 60


def test_the_instrument_of_ones_own_is_a_class_that_works(tmp_path):
    run(python_block("class Thermostat") + "\nassert Thermostat.setpoint.unit == 'K'", tmp_path)


def test_the_bench_of_ones_own_is_measured(tmp_path):
    (bench,) = [text for kind, text in BLOCKS if kind == "yaml" and "parts:" in text]
    (tmp_path / "my_bench.yaml").write_text(bench)
    printed = run(python_block("my_bench.yaml"), tmp_path)
    assert "('TCPIP0::192.0.2.4::INSTR', 'GPIB0::22::INSTR')" in printed
    volts = float(re.search(r"glows at ([\d.]+) V", printed)[1])
    assert 1.6 < volts < 1.8


def test_the_bench_file_is_opened_and_measured(tmp_path):
    (bench,) = [text for kind, text in BLOCKS if kind == "yaml" and "safety_limits" in text]
    (tmp_path / "diode.yaml").write_text(bench)
    printed = run(python_block("Bench.open("), tmp_path)
    assert "<xarray.DataArray 'current' (voltage: 3)>" in printed


def test_the_task_goes_with_its_measurement_and_a_killed_map_is_resumed(tmp_path, kernel_in):
    kernel = kernel_in(tmp_path)
    for code in (
        "import asyncio\n" + python_block("bench = demo_bench()"),
        "await psu.channel(2).set(voltage=0, current_limit=0.1).on()",
        python_block("%%task ramp"),
        python_block("--with ramp").replace("5s", "1s"),
    ):
        content, _ = kernel.run(code)
        assert content["status"] == "ok", content
    assert kernel.value("ripple.data.sizes['time'], bool(ripple.data.supply.max() > 0.5)") == "(4, True)"
    kernel.run("%%measure map\nfor x in sweep(range(4)):\n    y: '' = x / (3 - x)")
    (folder,) = tmp_path.glob("labnb-data/*/*/*/*-map-*")
    kernel.run("%%measure map --resume\nfor x in sweep(range(4)):\n    y: '' = x + 0.5")
    assert kernel.value("map.points, map.path.name") == f"(4, {folder.name!r})"
    kernel.run("%%measure map\nfor x in sweep(range(4)):\n    y: '' = x / z")
    last = max(tmp_path.glob("labnb-data/*/*/*/*-map-*"), key=lambda path: (path / "run.json").stat().st_mtime_ns)
    resume = python_block("labnb.resume").replace("labnb-data/2026/11/21/20261121-231502-map-7f3a", str(last))
    content, _ = kernel.run("z = 2\n" + resume)
    assert content["status"] == "ok", content
    assert kernel.value("map.data.y.values.tolist()") == "[0.0, 0.5, 1.0, 1.5]"


def test_the_cells_run_in_a_kernel(tmp_path, kernel_in):
    kernel = kernel_in(tmp_path)
    content, _ = kernel.run(python_block("bench = demo_bench()"))
    assert content["status"] == "ok", content
    cell = python_block("%%measure iv").replace("81", "9")
    content, _ = kernel.run("await oven.heater.on()\nawait psu.channel(1).set(voltage=0, current_limit=0.1).on()")
    assert content["status"] == "ok", content
    content, _ = kernel.run(cell, timeout=100)
    assert content["status"] == "ok", content
    assert kernel.value("iv.data.sizes['voltage'], iv.state.value") == "(9, 'done')"
    content, _ = kernel.run(python_block("iv.data.current.sel"))
    assert content["status"] == "ok", content
    content, _ = kernel.run(python_block("labnb.runs()"), timeout=100)
    assert content["status"] == "ok", content
    assert kernel.value("iv.stored.tags") == "('good',)"
    assert (tmp_path / "iv.csv").read_text().startswith("temperature (K),voltage (V),stage (K),current (A),")


def test_the_two_commands_are_those_that_are_tested():
    commands = [text.strip() for kind, text in BLOCKS if kind == "bash"]
    script = (ROOT / ".ci" / "run").read_text()
    assert commands[0] == "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/labnb demo"
    for command in commands:
        assert command.replace("pip install", "pip install --quiet") in script


def test_the_extras_that_the_readme_names_exist():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = set(re.findall(r"'\.\[(\w+)\]'", TEXT))
    assert named
    assert named <= set(extras)
