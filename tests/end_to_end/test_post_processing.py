"""The notebook about what comes after a measurement: its numbers are those that the bench was given."""

from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "04_post_processing.ipynb"


def test_the_notebook_finds_what_the_bench_was_given(tmp_path, monkeypatch):
    pytest.importorskip("scipy")
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LABNB_DATA", raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    asked = (
        "(float(abs(diode.ideality / 1.752 - 1).max()), float(abs(diode.saturation / diode.truth - 1).max()), "
        "float(noise.sel(run='iv_quick') / noise.sel(run='iv_slow')), len(labnb.runs()), labnb.runs(tag='good')[0].name)"
    )
    notebook.cells.append(nbformat.v4.new_code_cell(asked))
    nbclient.NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}}).execute()
    told = notebook.cells[-1].outputs[0].data["text/plain"].strip("()").split(", ")
    ideality, saturation, noise = map(float, told[:3])
    assert ideality < 0.005
    assert saturation < 0.03
    assert 5 < noise < 25  # 50 times less time for a reading: sqrt(50) times the noise
    assert told[3:] == ["2", "'iv_slow'"]
    pictures = [o for cell in notebook.cells for o in cell.get("outputs", ()) if "image/png" in o.get("data", {})]
    assert len(pictures) == 7
    header = (tmp_path / "iv_slow.csv").read_text().splitlines()[0]
    assert header.startswith("temperature (K),voltage (V),stage (K),current (A),")
