"""The notebook in which somebody writes an instrument, a part and a bench: what it promises, it shows."""

import base64
import re
from pathlib import Path

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "03_own_simulated_instrument.ipynb"


def test_the_notebook_measures_what_its_part_was_given(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    asked = "(light.state.value, light.data.sizes['level'], round(-float(slope), 3), inside['lamp'].brightness(1e9))"
    notebook.cells.append(nbformat.v4.new_code_cell(asked))
    nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells[-1].outputs[0].data["text/plain"] == "('done', 31, 0.7, 0.0)"
    picture = base64.b64decode(cells[-2].outputs[-1].data["image/png"])
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 5_000
    slips = next(cell.outputs[0].text for cell in cells if "slips.yaml" in cell.source)
    assert re.findall(r"line (\d+)", slips) == ["4", "8", "12"]
    assert "did you mean 'keysight/EDU36311A'" in slips
    measured = next(cell.outputs for cell in cells if cell.source.startswith("%%measure"))
    assert [list(output.data) for output in measured] == [["text/plain", "image/png"]]  # a frozen picture, no widget


def test_instrument_and_part_fit_in_thirty_lines_each():
    sources = [cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells]
    for word in ("class SimulatedLamp", "class Photoresistor"):
        (source,) = [each for each in sources if each.startswith(word)]
        assert len(source.splitlines()) <= 30
