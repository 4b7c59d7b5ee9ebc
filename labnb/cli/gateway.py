"""`labnb gateway`: hold instruments for the drivers of all kernels, at sockets of this machine."""

import argparse
import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labnb.cli.serve import port_number, seconds
from labnb.core import LabnbError

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name

_BENCH_FILES = (".yaml", ".yml")


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to the parser."""
    parser = commands.add_parser(
        "gateway", help="hold instruments and serve them to the drivers of all kernels, at sockets of this machine"
    )
    parser.add_argument(
        "resources", nargs="*", metavar="RESOURCE", help="a VISA address, or a bench file: all of its instruments"
    )
    parser.add_argument(
        "--visa-library",
        default="",
        metavar="NAME",
        help='PyVISA\'s; "demo@labnb" is the simulated bench, with all that stands on it',
    )
    parser.add_argument("--port", type=port_number, default=0, help="of the first one (default: any that is free)")
    parser.add_argument("--timeout", type=seconds, default=10.0, help="for an answer, in s (default: %(default)s)")
    parser.add_argument("--leave-on", action="store_true", help="do not make the instruments safe at the end")
    parser.set_defaults(run=serve_instruments)


def serve_instruments(chosen: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT, then make safe what labnb knows how to, and close."""
    logging.basicConfig(format="%(asctime)s %(message)s", stream=sys.stderr)
    places = [place for text in chosen.resources for place in _places(text, chosen.visa_library)]
    if not chosen.resources:
        places = _all_of(chosen.visa_library)
    asyncio.run(_serve(places, chosen))
    return 0


async def _serve(places: Iterable[tuple[str, str]], chosen: argparse.Namespace) -> None:
    from labnb.sharing import gateway

    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: an interrupt arrives as an exception
            loop.add_signal_handler(number, ended.set)
    safe_state = None if chosen.leave_on else _safe_state
    async with gateway(places, port=chosen.port, timeout_s=chosen.timeout, safe_state=safe_state) as outlets:
        for outlet in outlets:
            print(outlet, flush=True)
        print("serving until Ctrl-C", flush=True)
        await ended.wait()


def _places(text: str, library: str) -> list[tuple[str, str]]:
    """Return the addresses, each with its VISA library, that an argument means."""
    if not text.lower().endswith(_BENCH_FILES):
        return [(text, library)]
    from labnb.session import Bench

    return list(Bench.places(Path(text)).values())


def _all_of(library: str) -> list[tuple[str, str]]:
    if not library.endswith("@labnb"):
        raise LabnbError("say which: give VISA addresses, a bench file, or --visa-library demo@labnb for a whole bench")
    import pyvisa

    return [(address, library) for address in pyvisa.ResourceManager(library).list_resources("?*")]


def _safe_state(identity: str) -> Sequence[str]:
    """Return the commands that bring an instrument of a model that labnb knows into its safe state."""
    from labnb import instruments

    model = instruments.Identity.parse(identity).model if identity else ""
    known = (getattr(instruments, name) for name in instruments.__all__)
    drivers = (each for each in known if isinstance(each, type) and issubclass(each, instruments.Instrument))
    return next((each.safe_state for each in drivers if model and model in each.models), ())
