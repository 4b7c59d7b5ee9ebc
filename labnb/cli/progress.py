"""How far long work is: a bar for a person at a terminal, and nothing where the output goes elsewhere.

It is drawn on stderr, so that what a command prints can be piped, and is gone at the end. `NO_COLOR` and `TERM=dumb` are
respected.
"""

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

Report = Callable[[float, float], None]
"""Takes what is done, and how much there is in all."""

_T = TypeVar("_T")


def is_watched() -> bool:
    """Return whether a person sees what is written to stderr."""
    return sys.stderr.isatty()


@contextmanager
def reporting(what: str, unit: str = "", scale: float = 1.0) -> Generator[Report]:
    """Show a bar as long as the block lasts, and give what moves it; until that is called it says that work goes on.

    Numbers are shown divided by `scale`, in `unit`: bytes as 1e6 and "MB".
    """
    if not is_watched():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(30),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    # What is printed meanwhile goes above the bar, but never from a pipe into the terminal.
    console, together = Console(stderr=True), sys.stdout.isatty()
    with Progress(*columns, console=console, transient=True, redirect_stdout=together) as bar:
        task = bar.add_task(what, total=None, count="")

        def report(done: float, total: float) -> None:
            count = f"{_number(done / scale)} / {_number(total / scale)} {unit}".rstrip()
            bar.update(task, completed=done, total=total, count=count)

        yield report


def each(what: str, things: Sequence[_T]) -> Iterator[_T]:
    """Yield `things`, with a bar that follows."""
    with reporting(what) as report:
        for place, thing in enumerate(things):
            report(place, len(things))
            yield thing


def _number(value: float) -> str:
    return f"{value:.0f}" if float(value).is_integer() else f"{value:.1f}"
