"""`labnb lab`: JupyterLab on a copy of the example notebooks."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from labnb.cli.examples import FIRST, examples, make_folder
from labnb.core import LabnbError


def copy_examples(folder: Path) -> None:
    """Copy the example notebooks to `folder`; those that are there already are a person's own and stay."""
    make_folder(folder)
    for notebook in sorted(examples().glob("*.ipynb")):
        target = folder / notebook.name
        if not target.exists():
            shutil.copyfile(notebook, target)


def open_lab(folder: str, options: Sequence[str]) -> int:
    """Start JupyterLab on the examples; return its exit code. Raises LabnbError if it is not installed."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise LabnbError(f"JupyterLab is not installed; run: {sys.executable} -m pip install 'jupyterlab>=4.6,<5'")
    copy_examples(Path(folder))
    print(f"The notebooks are in {Path(folder).absolute()}; begin with {FIRST}.")
    command = [sys.executable, "-m", "jupyterlab", str(Path(folder) / FIRST), *options]
    return subprocess.run(command, check=False).returncode  # noqa: S603  our own command line
