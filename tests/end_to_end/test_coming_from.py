"""The page "coming from ...": each piece of code on it runs, ours and theirs."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from labnb.testing.pages import pieces_of

PAGE = Path(__file__).parents[2] / "labnb" / "docs" / "coming_from.md"
PIECES = pieces_of(PAGE)
HERE = ("pymeasure", "qcodes")
ELSEWHERE = ("bluesky", "pymanip", "pytestlab")
CHECKS = {
    "bluesky": "assert len(events) == 54 and len(table) == 54",
    "pymanip": "assert list(stage) == [300.0] * 5",
    "pymeasure": "assert len(table) == 21\nassert abs(stage.temperature - 300) < 15",
    "pytestlab": "assert len(table) == 3 and len(ripple.data) >= 4",
    "qcodes": "assert data.smu_curr.dims == ('smu_volt',) and data.smu_volt.size == 21\nassert stage.setpoint() == 290",
}


def test_every_piece_is_somebodys_and_runs_somewhere():
    assert {piece.owner for piece in PIECES} == {"labnb", *HERE, *ELSEWHERE}
    assert {piece.language for piece in PIECES} == {"python"}
    assert PAGE.read_text().count("```") == 2 * len(PIECES)


def test_each_package_is_told_in_each_section():
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:-1]
    assert len(sections) == 5
    for section in sections:
        assert re.findall(r"^### (\w+)", section, re.MULTILINE) == [
            "QCoDeS", "PyMeasure", "pytestlab", "pymanip", "bluesky"
        ]  # fmt: skip


def test_ours_run_in_a_notebook(tmp_path, kernel_in):
    kernel = kernel_in(tmp_path)
    kernel.run("import asyncio")
    for piece in PIECES:
        if piece.owner == "labnb":
            content, outputs = kernel.run(piece.code, timeout=100)
            assert content["status"] == "ok", (piece.code, content)
            assert not [each for each in outputs if each.get("name") == "stderr"], outputs
    assert kernel.value("map.data.current.shape, int(map.data.current.notnull().sum())") == "((5, 21), 105)"
    assert kernel.value("drift.data.sizes['time'], experiment.data.supply.values.round(2).tolist()") == (
        "(10, [0.5, 0.6, 0.7])"
    )
    assert kernel.value("len(sesn.logged_variable('stage')[0]), data.sizes['voltage'], stage.setpoint.get()") == (
        "(5, 3, 290.0)"
    )


@pytest.mark.parametrize("package", [*HERE, *ELSEWHERE])
def test_theirs_run_as_printed(tmp_path, package):
    """The drivers' environment has two of them; the others are run where LABNB_COMING_PYTHON is a Python that has them."""
    python = sys.executable if package in HERE and find_spec(package) else os.environ.get("LABNB_COMING_PYTHON")
    if python is None or (package in HERE and not find_spec(package)):
        pytest.skip(f"{package} is not installed; the drivers' environment, or LABNB_COMING_PYTHON, runs this")
    code = "\n\n".join(piece.code for piece in PIECES if piece.owner == package)
    (tmp_path / "theirs.py").write_text(f"{code}\n\n{CHECKS[package]}\nprint('whole')\n")
    done = subprocess.run(
        [python, "theirs.py"],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "agg", "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("whole\n")
