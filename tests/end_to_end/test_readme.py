"""What the README shows runs as printed.

Each block is fetched by a word that only it has: `python_block("word")`, `yaml_block("word")`. A block that no test fetches
fails the last test but three.
"""

import argparse
import ast
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

from labnb.cli import command_line, doctor

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
ELSEWHERE = (ROOT / "tests" / "drivers" / "test_readme.py",)  # what needs other people's packages


def run(code, folder):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def python_block(word):
    (block,) = [text for kind, text in BLOCKS if kind == "python" and word in text]
    return block


def yaml_block(word):
    (block,) = [text for kind, text in BLOCKS if kind == "yaml" and word in text]
    return block


def done(kernel, *cells):
    """Run cells; each must succeed."""
    for code in cells:
        content, _ = kernel.run(code, timeout=100)
        assert content["status"] == "ok", (code, content)


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
    check = "\nassert (Thermostat.setpoint.unit, stage.setpoint.get()) == ('K', 290)"
    run(python_block("class Thermostat") + check, tmp_path)


def test_the_simulated_bench_is_listed_by_pyvisa(tmp_path):
    assert "USB0::0x2A8D::0x8F01::CN6123::INSTR" in run(python_block('ResourceManager("demo@labnb")'), tmp_path)


def test_the_bench_of_ones_own_is_measured(tmp_path):
    (tmp_path / "my_bench.yaml").write_text(yaml_block("parts:"))
    printed = run(python_block("my_bench.yaml"), tmp_path)
    assert "('TCPIP0::192.0.2.4::INSTR', 'GPIB0::22::INSTR')" in printed
    volts = float(re.search(r"glows at ([\d.]+) V", printed)[1])
    assert 1.6 < volts < 1.8


def test_the_bench_file_is_opened_and_measured(tmp_path):
    (tmp_path / "diode.yaml").write_text(yaml_block("safety_limits"))
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
    done(
        kernel,
        python_block("bench = demo_bench()"),
        "await oven.heater.on()\nawait psu.channel(1).set(voltage=0, current_limit=0.1).on()",
        python_block("%%measure iv").replace("81", "9"),
    )
    assert kernel.value("iv.data.sizes['voltage'], iv.state.value") == "(9, 'done')"
    done(kernel, python_block("iv.data.current.sel"), python_block("labnb.runs()[0]"))
    assert kernel.value("iv.stored.tags") == "('good',)"
    assert (tmp_path / "iv.csv").read_text().startswith("temperature (K),voltage (V),stage (K),current (A),")
    (folder,) = tmp_path.glob("labnb-data/*/*/*/*-iv-*")
    done(kernel, python_block("xarray.open_zarr(").replace("labnb-data/…", str(folder)))
    done(kernel, python_block("run.publish(").replace("/tmp/labnb-published", str(tmp_path / "published")))
    assert kernel.value("type(data.current.data).__module__.split('.')[0]") == "'dask'"
    assert len(list((tmp_path / "published").iterdir())) == 1
    done(kernel, python_block("%%measure map\nfor limit").replace("41", "5").replace("10,", "3,"))
    assert kernel.value("map.data.current.dims, int(map.data.current.notnull().sum())") == (
        "(('limit', 'voltage'), 15)"
    )
    done(kernel, python_block("labnb.SweepPanel"))


def test_the_supply_is_reserved_and_the_oven_is_watched(tmp_path, kernel_in):
    kernel = kernel_in(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    watch = python_block("AsyncSession(").replace(
        'host="0.0.0.0", token="a secret of the lab\'s"', f"server_port={port}"
    )
    folder = tmp_path / "sharing"
    done(
        kernel,
        f"import labnb, os, asyncio\nos.environ['LABNB_SHARING'] = {str(folder)!r}",
        python_block("bench = demo_bench()"),
    )
    try:
        done(kernel, python_block("labnb.reserve("))
    finally:
        service = re.search(r'"pid": (\d+)', (folder / "address.json").read_text())
        os.kill(int(service[1]), signal.SIGTERM)
    assert kernel.value("psu.channel(1).voltage.get()") == "0.7"
    ending = "asyncio.get_running_loop().call_later(1.5, lambda: session.ask_exit())\n"
    done(kernel, ending + watch)
    assert kernel.value("len(session.logged_variable('temperature')[0]), list(session.data['temperature'].dims)") == (
        "(1, ['time'])"
    )


def test_labnb_lab_opens_the_notebooks(tmp_path):
    assert ".venv/bin/labnb lab\n" in TEXT
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ["--no-browser", "--allow-root", f"--port={port}", "--IdentityProvider.token="]
    command = [sys.executable, "-m", "labnb.cli", "lab", *options]
    private = {name: str(tmp_path / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    with (tmp_path / "log").open("w") as log:
        lab = subprocess.Popen(
            command, cwd=tmp_path, env={**os.environ, **private}, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _answers(f"http://127.0.0.1:{port}/api/contents/labnb-notebooks/01_first_sweep.ipynb?content=0", lab)
        except AssertionError:
            _answers(f"http://127.0.0.1:{port}/api/contents/01_first_sweep.ipynb?content=0", lab)
        finally:
            os.killpg(lab.pid, signal.SIGTERM)
            lab.wait(30)


def _answers(url, process, timeout_s=60):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            raise AssertionError(url) from error
        except OSError:
            assert process.poll() is None
            time.sleep(0.2)
    raise AssertionError(f"{url} did not answer")


def test_every_block_is_run_by_a_test():
    fetched = {"python": set(), "yaml": set()}
    for path in (Path(__file__), *ELSEWHERE):
        for call in (each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Call)):
            name = getattr(call.func, "id", "")
            if name in ("python_block", "yaml_block"):
                fetched[name.removesuffix("_block")].add(call.args[0].value)
    for kind, text in BLOCKS:
        assert kind == "bash" or any(word in text for word in fetched[kind]), f"no test runs this:\n{text}"
    assert TEXT.count("```") == 2 * len(BLOCKS), "a block without its language would not be seen"


def test_the_pictures_and_pages_that_the_readme_names_are_there():
    links = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", TEXT)
    named = [path for pair in links for path in pair if path]
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []
    for path in named:
        assert not path.endswith(".png") or (ROOT / path).stat().st_size < 200_000
    binder = "https://mybinder.org/v2/gh/labnb/labnb/HEAD?urlpath=lab/tree/notebooks/01_first_sweep.ipynb"
    assert f"[![Binder](https://mybinder.org/badge_logo.svg)]({binder})" in TEXT


def test_the_table_of_commands_is_complete():
    (commands,) = [a for a in command_line()._actions if isinstance(a, argparse._SubParsersAction)]
    table = TEXT[TEXT.index("## The command") : TEXT.index("## Extras")]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(commands.choices)


def test_the_commands_are_those_that_are_tested():
    commands = [line for kind, text in BLOCKS if kind == "bash" for line in text.splitlines()]
    script = (ROOT / ".ci" / "run").read_text()
    assert commands[0] == "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/labnb demo"
    here = {".venv/bin/pip install '.[lab]'", ".venv/bin/labnb lab"}  # with jupyterlab in the extra "test": see above
    assert here < set(commands)
    for command in set(commands) - here:
        assert command.replace("pip install", "pip install --quiet") in script


def test_the_extras_that_the_readme_names_exist_and_all_are_told():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {name for names in re.findall(r"'\.\[([\w,]+)\]'", TEXT) for name in names.split(",")}
    assert named
    assert named <= set(extras) == set(doctor._EXTRAS)
    table = TEXT[TEXT.index("## Extras") : TEXT.index("## Documentation")]
    told = re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE)
    assert {name for line in told for name in re.findall(r"`(\w+)`", line)} == set(extras)
