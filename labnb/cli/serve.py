"""`labnb serve`: the service by which notebooks, kernels and test stations share instruments."""

import argparse
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from labnb.cli.examples import make_folder

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to the parser."""
    parser = commands.add_parser("serve", help="keep reservations of instruments, for all kernels of this machine")
    parser.add_argument("--port", type=port_number, default=0, help="of 127.0.0.1 (default: any that is free)")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="FOLDER",
        help="journal and address are kept there (default: $LABNB_SHARING or the runtime folder)",
    )
    parser.add_argument(
        "--until-quiet",
        type=seconds,
        metavar="SECONDS",
        help="end when for so long nothing was reserved and nobody asked (default: never; a kernel that finds no service starts one with %(metavar)s 600)",
    )
    parser.set_defaults(run=serve)


def serve(chosen: argparse.Namespace) -> int:
    """Serve until SIGTERM, SIGINT or quiet; what is reserved then stays so for the next start."""
    import asyncio

    from labnb.sharing import service_folder

    folder = chosen.folder or service_folder()
    make_folder(folder)
    asyncio.run(_serve(chosen.port, folder, chosen.until_quiet))
    return 0


async def _serve(port: int, folder: Path, until_quiet_s: float | None) -> None:
    import asyncio

    from labnb.sharing import Quiet, journal_of, published, serving

    ended = asyncio.Event()
    quiet = Quiet(until_quiet_s, ended.set) if until_quiet_s is not None else None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: an interrupt arrives as an exception
            loop.add_signal_handler(number, ended.set)
    async with serving(port, journal_of(folder), quiet) as at:
        with published(folder, at) as address:
            print(f"listening on {address}", flush=True)
            await ended.wait()


def port_number(text: str) -> int:
    """Return the port that an argument names; 0 is any."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 1 to 65535, or 0 for any")
    return int(text)


def seconds(text: str) -> float:
    """Return the time that an argument names."""
    try:
        time_s = float(text)
    except ValueError:
        time_s = 0.0
    if not 0 < time_s < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give seconds, above 0")
    return time_s
