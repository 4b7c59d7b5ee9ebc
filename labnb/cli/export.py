"""`labnb export`: a run for other programs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from labnb.cli.progress import reporting
from labnb.cli.runs import add_store
from labnb.core import PlanError, RecordError

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name

_FORMATS = ("netcdf", "csv", "parquet")


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to the parser."""
    parser = commands.add_parser("export", help="write a run as netCDF, CSV or parquet")
    parser.add_argument("run_", metavar="RUN", help="its folder, its data.zarr, or its id as `labnb runs` shows it")
    parser.add_argument("--to", choices=_FORMATS, help="format; without it, the end of --output's name says it")
    parser.add_argument("--output", metavar="FILE", help="default: the run's id, in this folder")
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")
    add_store(parser)
    parser.set_defaults(run=export_run)


def export_run(chosen: argparse.Namespace) -> int:
    """Write the files and print their names; return the exit code. Raises PlanError, RecordError."""
    from labnb.record import export, open_run
    from labnb.record.exporting import suffix_of

    if chosen.to is None and chosen.output is None:
        raise PlanError(f"which format? give --to {', --to '.join(_FORMATS)}, or --output with a name that ends in it")
    run = open_run(find_run(chosen.run_, chosen.store))
    output: str = chosen.output or run.run_id + suffix_of(str(chosen.to))
    with reporting(f"writing {output}"):
        written = export(run, output, to=chosen.to, overwrite=chosen.overwrite)
    for path in written:
        print(path)
    return 0


def find_run(given: str, store: str | None) -> Path:
    """Return the folder of a run, given it or an id. Raises RecordError if there is none."""
    from labnb.record import data_root, runs

    if Path(given).exists():
        return Path(given)
    root = data_root(store)
    for summary in runs(store).summaries():
        if given in (summary.run_id, Path(summary.folder).name):
            return root / summary.folder
    raise RecordError(f"{given} is neither a folder nor the id of a run in {root}; `labnb runs` lists them")
