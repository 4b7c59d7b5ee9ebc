"""Each notebook is executed once, by a real kernel in a folder of its own; the tests look at what came out.

`pytest tests/notebooks --write-notebooks` stores what came out as the notebook, with its pictures.
"""

import base64
import os
from dataclasses import dataclass
from pathlib import Path

import nbclient
import nbformat
import pytest

from labnb.testing.pictures import with_fewer_colours

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"

# What a test asks the kernel after the last cell.
ASKED = {
    "02_two_dimensional_map": "(count, honeycomb.data.signal.shape, sharp.points, float(gates.p1.get()))",
    "03_own_simulated_instrument": (
        "(light.state.value, light.data.sizes['level'], round(-float(slope), 3), inside['lamp'].brightness(1e9))"
    ),
    "04_post_processing": (
        "(float(abs(diode.ideality / 1.752 - 1).max()), float(abs(diode.saturation / diode.truth - 1).max()), "
        "float(noise.sel(run='iv_quick') / noise.sel(run='iv_slow')), len(labnb.runs()), labnb.runs(tag='good')[0].name)"
    ),
    "05_your_own_driver": (
        "(transition.state.value, transition.data.charge.attrs['units'], len(transition.data.charge), "
        "int((abs(transition.data.charge.diff('detuning')) > 0.002).sum() > 8), "
        "gates.p1.get().result() == gates.p2.get().result() == 0.0)"
    ),
    "06_background_tasks": "(len(data.time), float(data.rail.max()), float(resistance.median()), run.points)",
    "07_resume_after_a_crash": "(run.state.value, int(run.data.current.notnull().sum()), int(gap), curve.points)",
    "08_monitoring": (
        "(rang, float(temperature.max()), temperature.size, "
        "(await psu.channel(1).get_output_state(), await oven.heater.get()))"
    ),
    "09_panels_without_code": (
        "(dict(iv.data.current_dc.sizes), float(abs(iv.data.current_dc - iv_settled.data.current_dc).max()), "
        "len(found.chosen), sweeping.recipe.cell.rstrip())"
    ),
    "10_sharing_instruments": "(iv.state.value, iv.points, said.strip(), float(ours), lost, outlets(), gateway.returncode)",
    "11_big_data": "(film.points, float(centre.polyfit('delay', 1).polyfit_coefficients[0]), sorted(brightest.values()))",
}


@dataclass(frozen=True)
class Executed:
    """A notebook after its run: its cells with their outputs, its folder, and what the last question was answered."""

    notebook: nbformat.NotebookNode
    folder: Path
    told: tuple

    @property
    def code(self):
        """The code cells."""
        return [cell for cell in self.notebook.cells if cell.cell_type == "code"]

    def cell(self, word):
        """Return the first code cell whose source has `word`."""
        return next(cell for cell in self.code if word in cell.source)


def pytest_addoption(parser):
    parser.addoption("--write-notebooks", action="store_true", help="store the executed notebooks with their pictures")


@pytest.fixture(scope="session")
def executed(request, tmp_path_factory):
    """Return a function that runs a notebook, once in this session, and returns it as `Executed`."""
    done = {}

    def run(name):
        if name not in done:
            done[name] = _run(name, tmp_path_factory.mktemp(name))
            if request.config.getoption("--write-notebooks", default=False):
                _write(name, done[name])
        return done[name]

    return run


def _run(name, folder):
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(ASKED.get(name, "()")))
    client = nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(folder)}})
    env = {key: value for key, value in os.environ.items() if key != "LABNB_DATA"}
    client.execute(env=env | {"LABNB_CACHE": str(folder / "cache")})
    answer = notebook.cells.pop().outputs[-1].data["text/plain"]
    return Executed(notebook, folder, eval(answer, {"nan": float("nan")}))


def _write(name, executed):
    kept = nbformat.from_dict(executed.notebook)
    kept.metadata = {key: kept.metadata[key] for key in ("kernelspec", "language_info")}
    kept.metadata.language_info = {"name": "python"}
    for cell in kept.cells:
        cell.metadata.pop("execution", None)
        for data in (output.data for output in cell.get("outputs", ()) if "image/png" in output.get("data", {})):
            smaller = with_fewer_colours(base64.b64decode(data["image/png"]))
            data["image/png"] = base64.b64encode(smaller).decode("ascii")
    text = nbformat.writes(kept).replace(f"{executed.folder}/", "").replace(str(executed.folder), ".")
    (NOTEBOOKS / f"{name}.ipynb").write_text(text + "\n")
