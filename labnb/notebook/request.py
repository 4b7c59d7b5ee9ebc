"""What the line after `%%measure` asks for: a pure parser."""

import re
import shlex
from dataclasses import dataclass
from typing import Any, cast

from labnb.core import PlanError, check_name, nearest
from labnb.record import check_tag

USAGE = """%%measure [NAME] [-b] [--every INTERVAL [--for DURATION]] [--thread] [--with TASK,...] [--plot X,Y]
          [--note TEXT] [--tag TAG,...] [--store FOLDER | --no-save] [--resume] [--dry-run]

NAME            what the run is called, and the variable that holds it afterwards (default: run)
-b, --background   return at once; later cells run while the measurement goes on
--every 250ms   without a sweep around everything: measure the body again and again, on a drift-free schedule
--for 5s        how long (with --every)
--thread        a body with `await` runs on a loop of its own in a thread: other cells that compute do not hold it up
                (a body without `await` always does); what it awaits must not belong to the notebook's loop
--plot X,Y      which variables the live figure shows: Y alone, Y over X, or X,Y,COLOUR for a map
--note TEXT     kept with the data
--tag TAG       marks the run: labnb.runs(tag="good") finds it
--store FOLDER  where runs are kept (default: $LABNB_DATA or ./labnb-data)
--no-save       only to try: the data are gone when the kernel ends
--with TASK     background tasks (%%task cells) that go on beside it
--dry-run       print what would be measured, and measure nothing
--resume        go on with the latest run of this name if it was killed, stopped or failed; otherwise begin a new one"""

_UNITS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zµ]*)")


@dataclass(frozen=True, slots=True)
class Request:
    """The options of one `%%measure` cell; times in seconds."""

    name: str = "run"
    background: bool = False
    every_s: float | None = None
    for_s: float | None = None
    plot: tuple[str, ...] = ()
    note: str = ""
    store: str | None = None
    resume: bool = False
    dry_run: bool = False
    tasks: tuple[str, ...] = ()
    thread: bool = False
    tags: tuple[str, ...] = ()
    save: bool = True


def parse_duration(text: str, what: str) -> float:
    """Return seconds for `250ms`, `1.5`, `2min`. Raises PlanError otherwise.

    >>> parse_duration("250ms", "--every")
    0.25
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None or match[2] not in _UNITS:
        raise PlanError(f"{what} {text!r} is not a time; write for example 250ms, 1.5s, 2min or 1h")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds <= 0:
        raise PlanError(f"{what} must be longer than zero, got {text!r}")
    return seconds


_FLAGS = {
    "-b": "background",
    "--background": "background",
    "--resume": "resume",
    "--dry-run": "dry_run",
    "--thread": "thread",
    "--no-save": "save",
}
_WITH_VALUE = {
    "--every": "every_s",
    "--for": "for_s",
    "--plot": "plot",
    "--note": "note",
    "--store": "store",
    "--with": "tasks",
    "--tag": "tags",
}
_LISTS = ("--plot", "--with", "--tag")
OPTIONS = (*_FLAGS, *_WITH_VALUE)
"""All options, as they are written."""

VALUED = tuple(_WITH_VALUE)
"""Those that are followed by a value."""


def parse_line(line: str) -> Request:
    """Return what `line` asks for. Raises PlanError with the usage if it cannot be understood."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise PlanError(f"%%measure {line}: {error}\n\n{USAGE}") from None
    found = dict[str, object]()
    position = 0
    while position < len(words):
        position = _take(words, position, found)
    request = Request(**found)  # pyright: ignore[reportArgumentType]  _take made each value of its field's type
    _check_together(request)
    return request


def _check_together(request: Request) -> None:
    if request.for_s is not None and request.every_s is None:
        raise PlanError("--for needs --every: how often to measure, e.g. --every 250ms --for 5s")
    if request.resume and request.every_s is not None:
        raise PlanError("--resume and --every: a run that follows the clock cannot be resumed; begin a new one")
    if not request.save and (request.resume or request.store is not None):
        other = "--resume" if request.resume else "--store"
        raise PlanError(
            f"--no-save and {other}: nothing is kept that could be {'resumed' if request.resume else 'put there'}"
        )


def _take(words: list[str], position: int, found: dict[str, object]) -> int:
    word, _, inline = words[position].partition("=") if words[position].startswith("--") else (words[position], "", "")
    if word in _FLAGS:
        if inline:
            raise PlanError(f"{word} takes no value, got {inline!r}\n\n{USAGE}")
        found[_FLAGS[word]] = word != "--no-save"
        return position + 1
    if word not in _WITH_VALUE:
        _take_name(word, found)
        return position + 1
    if inline:
        text, after = inline, position + 1
    elif position + 1 < len(words):
        text, after = words[position + 1], position + 2
    else:
        raise PlanError(f"{word} needs a value\n\n{USAGE}")
    if word != "--note" and text.startswith("--") and not inline:
        raise PlanError(f"{word} needs a value, and {text} is an option\n\n{USAGE}")
    value = _value(word, text)
    field = _WITH_VALUE[word]
    found[field] = (*cast("tuple[str, ...]", found.get(field, ())), *value) if word in ("--with", "--tag") else value
    return after


def _value(option: str, text: str) -> Any:  # what the option's field holds
    if option in ("--every", "--for"):
        return parse_duration(text, option)
    if option in _LISTS:
        parts = tuple(part.strip() for part in text.split(",") if part.strip())
        return tuple(map(check_tag, parts)) if option == "--tag" else parts
    return text


def _take_name(word: str, found: dict[str, object]) -> None:
    if word.startswith("-"):
        raise PlanError(f"%%measure does not know {word}; {nearest(word, [*_WITH_VALUE, *_FLAGS])}\n\n{USAGE}")
    if "name" in found:
        raise PlanError(f"%%measure: two names, {found['name']!r} and {word!r}; one run has one name\n\n{USAGE}")
    check_name(word, "run")
    if not word.isidentifier():
        raise PlanError(
            f"run name {word!r}: it becomes a variable of the notebook, so use letters, digits and '_' only"
        )
    found["name"] = word
