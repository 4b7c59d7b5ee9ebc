"""`labnb recover`: complete the runs whose process died."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from labnb.cli.progress import each
from labnb.cli.runs import add_store
from labnb.core import RecordError, RunLocked

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to the parser."""
    parser = commands.add_parser("recover", help="complete runs whose process died, from their journals")
    parser.add_argument(
        "path", metavar="FOLDER", nargs="*", help="folders of runs, or one that holds runs (default: that of --store)"
    )
    add_store(parser)
    parser.set_defaults(run=recover_runs)


def recover_runs(chosen: argparse.Namespace) -> int:
    """Complete what can be, say what was done; return the exit code: 1 if any run could not be completed."""
    from labnb.record import data_root

    places = [Path(path).absolute() for path in chosen.path] or [data_root(chosen.store)]
    done, failed = 0, 0
    for place in places:
        for folder in each(f"completing runs in {place.name}", list(_folders(place))):
            if _recover(folder):
                done += 1
            else:
                failed += 1
    if not done and not failed:
        print(
            f"nothing to complete in {', '.join(map(str, places))}: every run has come to its end or is being written"
        )
    return 1 if failed else 0


def _folders(place: Path) -> Iterator[Path]:
    """Yield the folder itself if it is a run's, else those below it that have a journal."""
    from labnb.record import runs

    if place.name == "data.zarr":
        place = place.parent
    if (place / "run.json").exists():
        yield place
        return
    found = runs(place)
    for why in found.troubles:
        print(f"labnb recover: not readable: {why}", file=sys.stderr)
    for summary in found.summaries():
        folder = place / summary.folder
        if (folder / "journal").exists():
            yield folder


def _recover(folder: Path) -> bool:
    """Complete one run; return whether nothing went wrong."""
    from labnb.record import recover

    broken = (folder / "journal").exists()
    try:
        run = recover(folder)
    except RunLocked as error:
        print(f"left alone: {error}")
        return True
    except RecordError as error:
        print(f"labnb recover: {error}", file=sys.stderr)
        return False
    what = "completed" if broken else "already complete"
    print(f"{what}: {run.run_id}, {run.state}, {run.points} points, {run.path}")
    return True
