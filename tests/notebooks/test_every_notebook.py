"""Every notebook runs, and is kept with what it showed: a reader without a kernel sees the measurement."""

import base64
import getpass
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
MOST_BYTES = 400_000
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


def faults(notebook):
    """Return what a reader without a kernel would miss in `notebook`, a sentence each."""
    found = []
    for place, cell in enumerate(cell for cell in notebook.cells if cell.cell_type == "code"):
        at = f"code cell {place + 1}"
        if cell.execution_count != place + 1:
            found.append(f"{at} was not run in its turn")
        for output in cell.outputs:
            data = output.get("data", {})
            if output.output_type == "error" and "raises-exception" not in cell.metadata.get("tags", ()):
                found.append(f"{at} shows an error: {output.ename}: {output.evalue}")
            if any("widget" in kind for kind in data) and "image/png" not in data:
                found.append(f"{at} shows a widget without its picture")
        if cell.source.startswith("%%measure") and "--dry-run" not in cell.source and not pictures(cell):
            found.append(f"{at} measures and shows no picture")
    return found


def pictures(cell):
    """Return the sizes in bytes of the pictures below a code cell. Raises AssertionError for what is no PNG."""
    texts = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    raw = [base64.b64decode(text) for text in texts]
    assert all(each.startswith(b"\x89PNG") for each in raw)
    return [len(each) for each in raw]


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_shows_what_it_is_kept_with(name, executed):
    now = executed(name)
    assert faults(now.notebook) == []
    kept = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    seen = [len(pictures(cell)) for cell in now.code]
    assert seen == [len(pictures(cell)) for cell in kept.cells if cell.cell_type == "code"]
    assert all(size > 4_000 for cell in now.code for size in pictures(cell))


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_kept_with_its_pictures_and_without_errors(name):
    kept = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    nbformat.validate(kept)
    assert faults(kept) == []
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size < MOST_BYTES
    assert "widgets" not in kept.metadata  # the state of dead widgets is no record of anything
    texts = [str(output) for cell in kept.cells if cell.cell_type == "code" for output in cell.outputs]
    places = re.compile(rf"/tmp/|/home/|/root/|pytest-of|{re.escape(getpass.getuser())}@")
    assert [text[:200] for text in texts if places.search(text)] == []


def test_a_fault_in_a_kept_notebook_is_found():
    new = nbformat.v4
    widget = {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "VBox()"}
    cells = [
        new.new_code_cell("1 / 0", execution_count=1, outputs=[new.new_output("error", ename="E", evalue="v")]),
        new.new_code_cell("panel", execution_count=2, outputs=[new.new_output("display_data", widget)]),
        new.new_code_cell("%%measure x\n", execution_count=4),
    ]
    assert faults(new.new_notebook(cells=cells)) == [
        "code cell 1 shows an error: E: v",
        "code cell 2 shows a widget without its picture",
        "code cell 3 was not run in its turn",
        "code cell 3 measures and shows no picture",
    ]
