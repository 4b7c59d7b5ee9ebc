"""`labnb serve`: the service by which notebooks, kernels and test stations share instruments."""

import argparse
import contextlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

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
    parser.set_defaults(run=serve)


def serve(chosen: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT; what is reserved then stays so for the next start."""
    import asyncio

    from labnb.sharing import service_folder

    asyncio.run(_serve(chosen.port, chosen.folder or service_folder()))
    return 0


async def _serve(port: int, folder: Path) -> None:
    import asyncio

    from labnb.sharing import journal_of, published, serving

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: an interrupt arrives as an exception
            loop.add_signal_handler(number, ended.set)
    async with serving(port, journal_of(folder)) as at:
        with published(folder, at) as address:
            print(f"listening on {address}", flush=True)
            await ended.wait()


def port_number(text: str) -> int:
    """Return the port that an argument names; 0 is any."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; give a number from 1 to 65535, or 0 for any")
    return int(text)
