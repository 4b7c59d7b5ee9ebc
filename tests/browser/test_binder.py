"""What Binder would make of this repository: each notebook opens there and runs.

`LABNB_BINDER` is a folder with `repo`, a clone, and `venv`, an environment made from its binder/requirements.txt and
binder/postBuild. Without it there is nothing to test.
"""

import os
import subprocess
from pathlib import Path

import nbformat
import pytest

PLACE = Path(os.environ.get("LABNB_BINDER", ""))
NAMES = sorted(path.name for path in (Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.skipif(not os.environ.get("LABNB_BINDER"), reason="LABNB_BINDER names no emulated Binder")


@pytest.fixture(scope="session")
def lab(tmp_path_factory, start_lab):
    """Yield (url, folder) of the JupyterLab that binder/start starts."""
    repo = PLACE / "repo"
    command = [str(repo / "binder" / "start"), str(PLACE / "venv" / "bin" / "jupyter"), "lab"]
    with start_lab(command, tmp_path_factory.mktemp("private"), repo) as url:
        yield url, repo


DONE = """window.jupyterapp.shell.currentWidget.content.widgets
    .filter(each => each.model.type === 'code')
    .every(each => each.model.executionCount !== null && each.model.sharedModel.executionState === 'idle')"""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_opens_and_runs(name, open_notebook):
    notebook = open_notebook(name=f"notebooks/{name}")
    notebook.command("notebook:clear-all-cell-outputs")
    notebook.wait(DONE.replace("!== null", "=== null"))
    notebook.run_all()
    notebook.wait(DONE, timeout_s=120)
    cells = nbformat.read(PLACE / "repo" / "notebooks" / name, as_version=4).cells
    for number, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        kinds = [output["output_type"] for output in notebook.outputs(number)]
        assert ("error" in kinds) == ("raises-exception" in cell.metadata.get("tags", ())), notebook.text(number)
        if cell.source.startswith("%%measure"):
            assert any("image/png" in output.get("data", {}) for output in notebook.outputs(number))


def test_the_data_are_beside_the_notebooks_and_not_in_the_repository(lab):
    _, repo = lab
    assert list((repo / "notebooks" / "labnb-data").glob("*/*/*/*/run.json"))
    changed = subprocess.run(["git", "status", "--porcelain"], cwd=repo, capture_output=True, text=True, check=True)
    assert not [line for line in changed.stdout.splitlines() if "labnb-data" in line]
