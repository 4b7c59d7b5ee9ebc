"""`labnb docs`: the reference of every public name, and the pages beside it, to read without a network."""

import argparse
import importlib
import importlib.util
import re
import sys
import warnings
import webbrowser
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from labnb.cli.examples import make_folder
from labnb.core import LabnbError

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name

    import pdoc.doc

ROOMS = ("core", "instruments", "instruments.drivers", "sim", "record", "live", "session", "sharing", "remote")
"""The packages of labnb that have public names, from the values up to the network."""
PAGES = ("docs", "docs.coming_from", "docs.promises", "docs.troubleshooting", "docs.jupyterlite")
"""What there is to read beside the reference."""

_INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>labnb</title>
<meta http-equiv="refresh" content="0; url=./labnb/docs.html"></head>
<body><a href="./labnb/docs.html">labnb's documentation</a></body></html>
"""
_DARK = """:root { --pdoc-background: #15191e; color-scheme: dark; }
.pdoc { --text: #dfe3e8; --muted: #9aa4ae; --link: #8ab4f8; --link-hover: #aecbfa; --code: #1e242b; --active: #5b4a00;
  --accent: #262d35; --accent2: #4a545e; --nav-hover: rgba(255, 255, 255, 0.08);
  --name: #79c0ff; --def: #7ee787; --annotation: #7ee787; }
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
    import pdoc.doc
    import pdoc.render

    make_folder(folder)
    names = ["labnb", *(f"labnb.{each}" for each in (*PAGES, *ROOMS))]
    loaded = [module for name in names if (module := _loaded(name)) is not None]
    loaded += [value for module in loaded for value in _public(module).values() if isinstance(value, ModuleType)]
    modules = {module.__name__: pdoc.doc.Module(module) for module in loaded}
    _tell_values(modules.values())
    _show_members_of_hidden_bases(modules.values())
    pdoc.render.configure(docformat="google", footer_text="labnb", search=True, show_source=False)
    for name, module in modules.items():
        page = folder / f"{name.replace('.', '/')}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_finished(pdoc.render.html_module(module, modules)), encoding="utf-8")
    (folder / "search.js").write_text(pdoc.render.search_index(modules), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_INDEX, encoding="utf-8")
    return index


def _loaded(name: str) -> ModuleType | None:
    """Return a module with all its public names in it, also those that are loaded when they are used."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the widget packages' own, when they are imported
            module = importlib.import_module(name)
            for public, value in _public(module).items():
                setattr(module, public, value)
    except ImportError as error:
        print(f"labnb docs: {name} is left out: {error}", file=sys.stderr)
        return None
    return module


def _public(module: ModuleType) -> dict[str, object]:
    return {name: getattr(module, name) for name in getattr(module, "__all__", ())}


def _tell_values(modules: "Iterable[pdoc.doc.Module]") -> None:
    """Give constants and names of types their docstrings: pdoc looks for them only in the file of the room itself."""
    from pdoc.doc_ast import walk_tree

    inner = [module for name, module in sorted(sys.modules.items()) if name.startswith("labnb.")]
    for module in modules:
        for variable in (each for each in module.variables if not each.docstring):
            value = getattr(module.obj, variable.name)
            for maker in (each for each in inner if vars(each).get(variable.name) is value):
                variable.docstring = walk_tree(maker).var_docstrings.get(variable.name, "") or variable.docstring


def _show_members_of_hidden_bases(modules: "Iterable[pdoc.doc.Module]") -> None:
    """Tell what a class has from a base of labnb's that has no page: for a reader it is the class's own."""
    classes = [each for module in modules for each in module.classes]
    told = {each.taken_from for each in classes}
    for each in classes:
        own = {member.name for member in each.own_members}
        for origin, members in each.inherited_members.items():
            if origin[0].startswith("labnb.") and origin not in told:
                each.own_members.extend(member for member in members if member.name not in own)


def _finished(page: str) -> str:
    """Return a page as the reader's system wants it, light or dark, with neither dead links nor empty lists."""
    from pygments.formatters.html import HtmlFormatter

    code = str(HtmlFormatter(style="github-dark").get_style_defs(".pdoc-code"))
    look = f"@media (prefers-color-scheme: dark) {{ {_DARK}{code} }}"
    page = page.replace("/*! custom.css */", look, 1)
    return _without_dead_links(re.sub(r"<h2>Submodules</h2>\s*<ul>\s*</ul>", "", page))


def _without_dead_links(page: str) -> str:
    """Return a page without links to names that it does not have (members of Python's own classes, for one)."""
    anchors = set(re.findall(r'id="([^"]+)"', page))
    return re.sub(r'<a href="#([^"]+)">(.*?)</a>', lambda link: link[0] if link[1] in anchors else link[2], page)
