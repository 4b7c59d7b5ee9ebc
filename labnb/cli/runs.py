"""`labnb runs`: what has been measured, newest first."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from labnb.cli.progress import reporting
from labnb.core import State

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name

_LIMIT = 30


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to the parser."""
    states = [state.value for state in State if state is State.RUNNING or state.ended]
    parser = commands.add_parser("runs", help="list what has been measured, newest first")
    add_store(parser)
    parser.add_argument("--name", help="of the measurement; * and ? stand for anything")
    parser.add_argument("--state", action="append", choices=states, help="may be given several times")
    parser.add_argument("--tag", action="append", help="all of these, if given several times")
    parser.add_argument("--since", metavar="TIME", help="2026-11-21 or '2026-11-21 14:30'")
    parser.add_argument("--until", metavar="TIME", help="as --since, included")
    parser.add_argument("--text", help="words in names, notes, variables, axes, metadata")
    parser.add_argument(
        "--limit", type=_count, metavar="N", default=_LIMIT, help="how many at most, 0 for all (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="as a JSON list, for programs")
    parser.add_argument("--rescan", action="store_true", help="look into every folder, whatever the index says")
    parser.set_defaults(run=list_runs)


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where runs are kept."""
    parser.add_argument("--store", metavar="FOLDER", help="where runs are kept (default: $LABNB_DATA or ./labnb-data)")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs; give one, or 0 for all")
    return int(text)


def list_runs(chosen: argparse.Namespace) -> int:
    """Print the runs that were asked for; return the exit code."""
    from labnb.record import runs

    with reporting("looking at runs"):
        found = runs(
            chosen.store,
            name=chosen.name,
            state=chosen.state,
            tag=chosen.tag,
            since=chosen.since,
            until=chosen.until,
            text=chosen.text,
            limit=chosen.limit or None,
            rescan=chosen.rescan,
        )
    if chosen.json:
        print(json.dumps(found.to_json(), indent=1, ensure_ascii=False))
        for why in found.troubles:
            print(f"labnb runs: not readable: {why}", file=sys.stderr)
        return 0
    print(found.to_text(len(found)))
    if not found:
        print("Runs are looked for below $LABNB_DATA or ./labnb-data, or where --store says.", file=sys.stderr)
    elif len(found) == chosen.limit:
        print(f"The newest {len(found)} are shown; --limit 0 shows all.", file=sys.stderr)
    return 0
