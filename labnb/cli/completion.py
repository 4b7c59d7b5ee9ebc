"""`labnb completion`: what a shell needs to complete commands, options, files and runs with Tab.

The script is printed once and stored, so that Tab starts no Python; only the ids of runs are asked for, from `labnb runs`.
"""

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from labnb.core import LabnbError

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name

SHELLS = ("bash", "zsh")
"""The shells that are tested."""

_HOW = """\
bash:  labnb completion bash > ~/.local/share/bash-completion/completions/labnb
zsh:   labnb completion zsh > ~/.zfunc/_labnb     (`fpath+=~/.zfunc` stands before `compinit` in ~/.zshrc)

It works from the next shell on. In the present bash: eval "$(labnb completion bash)"
"""

_IDS = r"""labnb runs --limit 100 --json 2>/dev/null | sed -n 's/.*"run_id": "\([^"]*\)".*/\1/p'"""
_PREAMBLE = {
    "bash": f'_labnb_run_ids() {{ compgen -W "$({_IDS})" -- "$1"; compgen -d -- "$1"; }}\n',
    "zsh": f"_labnb_run_ids() {{ compadd -- $({_IDS}); _files -/ }}\n",
}
_RUNS = {"bash": "_labnb_run_ids", "zsh": "_labnb_run_ids"}


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="print what lets a shell complete commands, options and runs with Tab",
        epilog=_HOW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, help="the shell that shall complete them")
    parser.set_defaults(run=print_completion)


def print_completion(chosen: argparse.Namespace) -> int:
    """Print the script; return the exit code. Raises LabnbError if its generator, shtab, is missing."""
    if importlib.util.find_spec("shtab") is None:
        raise LabnbError(f"completion is made by shtab; run: {sys.executable} -m pip install shtab")
    import shtab

    from labnb.cli import command_line

    parser = command_line()
    values = {"RUN": _RUNS, "ADDRESS|RUN": _RUNS, "FILE": shtab.FILE, "FOLDER": shtab.DIRECTORY}
    for action in _actions(parser):
        if action.metavar in values:
            setattr(action, "complete", values[str(action.metavar)])  # noqa: B010  shtab's own; argparse has no such name
    print(shtab.complete(parser, shell=chosen.shell, preamble=_PREAMBLE[chosen.shell]))
    return 0


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield all arguments, those of the subcommands too."""
    for action in parser._actions:  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  argparse shows them in no other way
        yield action
        if isinstance(action.choices, dict):
            for inner in action.choices.values():
                yield from _actions(inner)
