"""`labnb demo` as a new user runs it, and what anybody can do with its data afterwards."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labnb.cli.demo import run_demo
from labnb.core import LabnbError

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

# What a colleague has: xarray and zarr, no labnb. The closed form is written out here, independent of labnb's own.
READER = """
import sys
import numpy as np
import xarray as xr

data = xr.open_zarr(sys.argv[1]).load()
assert "labnb" not in sys.modules
assert data.sizes == {"temperature": 3, "voltage": 81}, data.sizes
assert data.current.dims == ("temperature", "voltage")
assert data.stage.dims == ("temperature",)
assert data.temperature.values.tolist() == [280, 300, 320]
assert np.allclose(data.voltage, np.linspace(0, 0.8, 81), rtol=0, atol=1e-12)
units = {name: data[name].attrs.get("units") for name in ("temperature", "voltage", "stage", "current")}
assert units == {"temperature": "K", "voltage": "V", "stage": "K", "current": "A"}, units
assert set(data.coords) == {"temperature", "voltage", "t", "t_temperature"}, set(data.coords)
assert data.t.dtype == "datetime64[ns]" and bool(data.t.notnull().all())
assert bool((data.t.stack(p=data.current.dims).diff("p") > np.timedelta64(0, "ns")).all())
assert np.allclose(data.stage, data.temperature, rtol=0, atol=0.1)
assert bool(data.current.notnull().all())

K = 8.617333262e-5                                      # Boltzmann's constant, V/K
IS0, N, EG, XTI, T0, RS = 2.52e-9, 1.752, 1.11, 3.0, 300.0, 4.8
RANGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def closed_form(volt, kelvin):
    vt = N * K * kelvin
    saturation = IS0 * (kelvin / T0) ** (XTI / N) * np.exp(EG / (N * K) * (1 / T0 - 1 / kelvin))
    low, high = 0.0, volt                               # the diode's own voltage, by bisection
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if middle + RS * saturation * np.expm1(middle / vt) < volt else (low, middle)
    return saturation * np.expm1(low / vt)


deviations = []
for row in data.current:
    kelvin = float(row.temperature)
    for volt, measured in zip(row.voltage.values, row.values):
        expected = closed_form(volt, kelvin)
        noise = 2e-7 * next(r for r in RANGES if expected <= 1.2 * r)     # of one line cycle
        # While the stage still creeps into its tolerance the current follows it; later there is only noise.
        creep = abs(closed_form(volt, kelvin + 0.03) - expected) if volt < 0.4 else 0.0
        deviations.append(max(0.0, abs(measured - expected) - creep) / noise)
assert max(deviations) < 5, max(deviations)
late = [d for d, v in zip(deviations, np.tile(data.voltage.values, 3)) if v >= 0.4]
assert 0.8 < np.sqrt(np.mean(np.square(late))) < 1.2, np.sqrt(np.mean(np.square(late)))
print("worst", round(max(deviations), 2), "sigma; rms", round(float(np.sqrt(np.mean(np.square(late)))), 3))
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Run `labnb demo` in a folder of its own; return the folder and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    env = {name: value for name, value in os.environ.items() if name != "LABNB_DATA"}
    done = subprocess.run(
        [sys.executable, "-m", "labnb.cli", "demo"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return folder, done.stdout


def store_of(folder):
    (store,) = folder.glob("labnb-demo/labnb-data/*/*/*/*/data.zarr")
    return store


def test_the_demo_says_where_its_data_are_and_what_they_look_like(demo):
    folder, printed = demo
    assert f"Data:     {store_of(folder)}" in printed
    assert "243 of 243 points" in printed
    assert "0.80 V" in printed
    assert "labnb lab" in printed
    assert printed.count("/ 243 points") >= 3


def test_the_demo_writes_the_executed_notebook_with_its_figures(demo):
    folder, _ = demo
    cells = json.loads((folder / "labnb-demo" / "01_first_sweep.ipynb").read_text())["cells"]
    measured = next(c for c in cells if "".join(c["source"]).startswith("%%measure"))
    (output,) = measured["outputs"]
    assert len(output["data"]["image/png"]) > 10_000
    assert "text/html" not in output["data"]
    assert "done" in "".join(output["data"]["text/plain"])
    assert not [o for c in cells for o in c.get("outputs", ()) if o["output_type"] == "error"]
    assert "False" in str(next(c for c in cells if "get_output_state" in str(c["source"]))["outputs"])


@pytest.mark.timeout(240)
def test_the_data_open_where_there_is_only_xarray_and_zarr_and_agree_with_the_closed_form(demo, tmp_path):
    folder, _ = demo
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "xarray", "zarr"]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    if installed.returncode and not os.environ.get("LABNB_REQUIRE_BROWSER"):
        pytest.skip(f"xarray and zarr could not be installed into a new environment: {installed.stderr[-200:]}")
    assert installed.returncode == 0, installed.stderr
    read = subprocess.run(
        [python, "-W", "error", "-c", READER, str(store_of(folder))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert read.returncode == 0, read.stderr
    print(read.stdout)


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((LabnbError, OSError), match="file"):
        run_demo(str(tmp_path / "file" / "inside"))
