"""`labnb docs`: the reference of every public name, and the pages beside it, to read without a network."""

import argparse
import importlib
import importlib.util
import sys
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from labnb.cli.examples import make_folder
from labnb.core import LabnbError

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name

ROOMS = ("core", "instruments", "sim", "record", "live", "session", "sharing", "remote")
"""The packages of labnb that have public names, from the values up to the notebook."""

_INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>labnb</title>
<meta http-equiv="refresh" content="0; url=./labnb/docs.html"></head>
<body><a href="./labnb/docs.html">labnb's documentation</a></body></html>
"""


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to the parser."""
    parser = commands.add_parser("docs", help="write the reference and the pages beside it as HTML, and open them")
    parser.add_argument(
        "--output", metavar="FOLDER", default="labnb-docs", help="folder for the pages (default: %(default)s)"
    )
    parser.add_argument("--no-open", action="store_true", help="only write them")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    index = write_docs(Path(chosen.output))
    print(f"The documentation is at {index.absolute()}")
    if not chosen.no_open:
        webbrowser.open(index.absolute().as_uri())
    return 0


def write_docs(folder: Path) -> Path:
    """Write the documentation as HTML below `folder`; return its first page.

    Names whose package is not installed are left out, and said. Raises LabnbError if the generator, pdoc, is missing.
    """
    if importlib.util.find_spec("pdoc") is None:
        raise LabnbError(f"the documentation is made by pdoc; run: {sys.executable} -m pip install 'labnb[docs]'")
    import pdoc
    import pdoc.render

    make_folder(folder)
    names = ["labnb", "labnb.docs", *(f"labnb.{room}" for room in ROOMS)]
    names = [name for name in names if _is_here(name)]
    pdoc.render.configure(docformat="google", footer_text="labnb", search=True, show_source=False)
    pdoc.pdoc(*names, output_directory=folder)
    index = folder / "index.html"
    index.write_text(_INDEX, encoding="utf-8")
    return index


def _is_here(name: str) -> bool:
    try:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            setattr(module, public, getattr(module, public))  # those that are loaded when they are used
    except ImportError as error:
        print(f"labnb docs: {name} is left out: {error}", file=sys.stderr)
        return False
    return True
