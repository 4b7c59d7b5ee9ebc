"""`labnb lab`: JupyterLab on a copy of the example notebooks."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from labnb.cli.examples import FIRST, examples, make_folder
from labnb.core import LabnbError

_KINDS = (".ipynb", ".png")


def copy_examples(folder: Path) -> None:
    """Copy the example notebooks and their pictures to `folder`; what is there already is a person's own and stays."""
    make_folder(folder)
    for source in sorted(path for path in examples().iterdir() if path.suffix in _KINDS):
        target = folder / source.name
        if not target.exists():
            shutil.copyfile(source, target)


def open_lab(folder: str, options: Sequence[str]) -> int:
    """Start JupyterLab on the examples; return 0 when it has ended well. Raises LabnbError if it is not installed."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise LabnbError(f"JupyterLab is not installed; run: {sys.executable} -m pip install 'jupyterlab>=4.6,<5'")
    copy_examples(Path(folder))
    print(f"The notebooks are in {Path(folder).absolute()}; begin with {FIRST}.")
    command = [sys.executable, "-m", "jupyterlab", str(Path(folder) / FIRST), *options]
    return 1 if subprocess.run(command, check=False).returncode else 0  # noqa: S603  our own command line
