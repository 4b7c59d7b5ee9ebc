"""Where the example notebooks are: in the installed package, or beside it in a checkout."""

import os
from pathlib import Path

from labnb.core import RecordError

FIRST = "01_first_sweep.ipynb"


def make_folder(folder: Path) -> None:
    """Make a folder that can be written to, if it is not there yet. Raises RecordError if that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RecordError(f"{folder} cannot be made: {error.strerror}; name another folder") from error
    if not os.access(folder, os.W_OK):
        raise RecordError(f"{folder} cannot be written to; name another folder")


def examples() -> Path:
    """Return the folder of the example notebooks. Raises RecordError if the installation lacks them."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_notebooks", package.parent / "notebooks"):
        if (folder / FIRST).is_file():
            return folder
    raise RecordError(f"the example notebooks are not installed (looked for {FIRST} beside {package}); reinstall labnb")
