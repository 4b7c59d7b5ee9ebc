"""Where the example notebooks are: in the installed package, or beside it in a checkout."""

from pathlib import Path

from labnb.core import RecordError

FIRST = "01_first_sweep.ipynb"


def examples() -> Path:
    """Return the folder of the example notebooks. Raises RecordError if the installation lacks them."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_notebooks", package.parent / "notebooks"):
        if (folder / FIRST).is_file():
            return folder
    raise RecordError(f"the example notebooks are not installed (looked for {FIRST} beside {package}); reinstall labnb")
