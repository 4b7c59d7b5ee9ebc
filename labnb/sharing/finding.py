"""Where this user's service is on this machine, and how to start one that is not there yet."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from labnb.core import Flag, ReservationError, present_clock
from labnb.sharing.journal import is_written
from labnb.sharing.leases import process_start

FOLDER_VARIABLE = "LABNB_SHARING"
GREETING = "listening on "
_PUBLISHING_S = 5.0


def service_folder() -> Path:
    """Return where the service keeps its journal and its address: $LABNB_SHARING, else the user's runtime folder.

    Users who share one machine's instruments give all of them the same folder.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "labnb"
    owner = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"labnb-{owner}"


def find_service(folder: Path | None = None) -> str | None:
    """Return the address of the service that runs with this folder, None if none does."""
    try:
        told = json.loads(_address_file(folder or service_folder()).read_text("utf-8"))
        address, pid, started = str(told["address"]), int(told["pid"]), str(told["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return address if process_start(pid) == started else None


def start_service(folder: Path | None = None) -> str:
    """Return the address of the service of this folder, after starting it if it does not run; it outlives us.

    Raises ReservationError with what it says, if it does not start.
    """
    folder = folder or service_folder()
    found = find_service(folder)
    if found:
        return found
    with tempfile.TemporaryFile("w+") as complaints:
        first = _first_line([sys.executable, "-m", "labnb.cli", "serve", "--folder", str(folder)], complaints)
        if first.startswith(GREETING):
            return first.removeprefix(GREETING).strip()
        found = _found_soon(folder)  # another kernel was faster
        if found:
            return found
        complaints.seek(0)
        raise ReservationError(f"the reservation service did not start: {complaints.read().strip() or first.strip()}")


def _first_line(command: list[str], complaints: IO[str]) -> str:
    """Start a program that goes on without us; return the first line that it prints, "" if it ends before."""
    started = subprocess.Popen(  # noqa: S603  ourselves
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, text=True, start_new_session=True
    )
    with cast("IO[str]", started.stdout) as printed:
        first = printed.readline()
    if not first:
        started.wait()
    else:
        started.returncode = 0  # it is not ours to wait for
    return first


def _found_soon(folder: Path) -> str | None:
    clock = present_clock()
    until = clock.monotonic() + _PUBLISHING_S
    while clock.monotonic() < until and is_written(journal_of(folder)):
        found = find_service(folder)
        if found:
            return found
        Flag().wait(0.05)
    return None


def journal_of(folder: Path) -> Path:
    """Return the file in which a service of this folder keeps its reservations."""
    return folder / "reservations.jsonl"


@contextmanager
def published(folder: Path, port: int) -> Generator[str]:
    """Tell others, while the block runs, that this process serves at `port`; yield the address."""
    address, pid = f"127.0.0.1:{port}", os.getpid()
    file = _address_file(folder)
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"address": address, "pid": pid, "started": process_start(pid)}), "utf-8")
    new.replace(file)
    try:
        yield address
    finally:
        file.unlink(missing_ok=True)


def _address_file(folder: Path) -> Path:
    return folder / "address.json"
