"""`%runs`: which of the recorded runs are asked for."""

import shlex
from typing import Any, cast

from labnb.core import PlanError, nearest
from labnb.record import Runs, runs

USAGE = """%runs [WORD ...] [--name NAME] [--tag TAG] [--state STATE] [--since DATE] [--until DATE] [--limit N] [--store FOLDER]

Lists what was measured, newest first. `_[0]` is then the latest one, `_[0].data` its data; labnb.runs(...) does the same.

WORD            occurs in the name, tags, notes, variables, axes, the cell or the instruments
--name iv*      --tag good     --state failed     --since 2026-11-01     --limit 10
--store FOLDER  where the runs are (default: $LABNB_DATA or ./labnb-data)"""

OPTIONS = ("--name", "--tag", "--state", "--since", "--until", "--limit", "--store")


def search_runs(line: str) -> Runs:
    """Return the runs that `line` asks for. Raises PlanError with the usage if it cannot be understood."""
    wanted, words = dict[str, str](), list[str]()
    try:
        rest = shlex.split(line)
    except ValueError as error:
        raise PlanError(f"%runs {line}: {error}\n\n{USAGE}") from None
    while rest:
        word = rest.pop(0)
        option, _, value = word.partition("=")
        if not word.startswith("-"):
            words.append(word)
            continue
        if option not in OPTIONS:
            raise PlanError(f"%runs does not know {option}; {nearest(option, OPTIONS)}\n\n{USAGE}")
        if not value and not rest:
            raise PlanError(f"%runs: {option} needs a value\n\n{USAGE}")
        wanted[option[2:]] = value or rest.pop(0)
    arguments = cast("dict[str, Any]", wanted)  # Any: each argument of `runs` has a type of its own
    if "limit" in wanted:
        arguments["limit"] = _whole(wanted["limit"])
    return runs(wanted.pop("store", None), text=" ".join(words) or None, **arguments)


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise PlanError(f"%runs --limit {text}: expected a whole number of runs")
    return int(text)
