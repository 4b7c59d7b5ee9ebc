"""The notebook in which somebody writes a driver and brings others: what it promises, it shows."""

from pathlib import Path

import nbclient
import nbformat

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "05_your_own_driver.ipynb"
ASKED = """(
    transition.state.value,
    transition.data.charge.attrs["units"],
    len(transition.data.charge),
    int((abs(transition.data.charge.diff("detuning")) > 0.002).sum() > 8),
    gates.p1.get().result() == gates.p2.get().result() == 0.0,
)"""


def test_the_notebook_refuses_what_may_not_be_and_shows_electrons(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(ASKED))
    nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert cells[-1].outputs[0].data["text/plain"] == "('done', 'V', 201, 1, True)"
    refused = next(cell.outputs for cell in cells if "for attempt in" in cell.source)
    assert refused[0].text.count("nothing was sent") == 5
    assert refused[1].data["text/plain"] == "0.1"  # where it was before the attempts
    measured = next(cell.outputs for cell in cells if cell.source.startswith("%%measure"))
    assert [list(output.data) for output in measured] == [["text/plain", "image/png"]]  # a frozen picture, no widget
