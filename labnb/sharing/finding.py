"""Where this user's service is on this machine, and how to start one that is not there yet."""

import json
import os
import stat
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
_ATTEMPTS = 3
_children: set[int] = set()
QUIET_S = 600
"""How long a service that was started on demand stays when nobody needs it any more."""


def service_folder() -> Path:
    """Return where the service keeps its journal and its address: $LABNB_SHARING, else the user's runtime folder.

    Users who share one machine's instruments give all of them the same folder. Raises ReservationError if the place for
    those without a runtime folder is another user's.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and Path(runtime).is_dir():
        return Path(runtime) / "labnb"
    owner = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return _own(Path(tempfile.gettempdir()) / f"labnb-{owner}", owner)


def _own(folder: Path, owner: int | str) -> Path:
    """Return a folder in a place where everybody may write, if it is nobody else's."""
    try:
        found = folder.lstat()
    except OSError:
        return folder
    if isinstance(owner, int) and (found.st_uid != owner or not stat.S_ISDIR(found.st_mode)):
        raise ReservationError(
            f"{folder} is not a folder of yours: another user could send you to a service of theirs; "
            f"set ${FOLDER_VARIABLE} to a folder of your own"
        )
    return folder


def find_service(folder: Path | None = None) -> str | None:
    """Return the address of the service that runs with this folder, None if none does."""
    try:
        told = json.loads(_address_file(folder or service_folder()).read_text("utf-8"))
        address, pid, started = str(told["address"]), int(told["pid"]), str(told["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return address if process_start(pid) == started else None


def start_service(folder: Path | None = None) -> str:
    """Return the address of the service of this folder, after starting it if it does not run.

    It outlives us, and ends when nobody has needed it for QUIET_S. Raises ReservationError with what it says, if it
    does not start.
    """
    folder = (folder or service_folder()).absolute()
    _forget_the_ended()
    why = ""
    for _ in range(_ATTEMPTS):  # one that is about to end is in the way for a moment
        found = find_service(folder)
        if found:
            return found
        found, why = _started(folder)
        if not found and is_written(journal_of(folder)):  # another kernel was faster
            found = _found_soon(folder)
        if found:
            return found
        if "another service keeps" not in why:
            break
    raise ReservationError(f"the reservation service did not start: {why}")


def _started(folder: Path) -> tuple[str, str]:
    """Start a service; return its address, or "" and why it has none."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", "labnb.cli", "serve", "--folder", str(folder), "--until-quiet", str(QUIET_S)]
    with tempfile.TemporaryFile("w+") as complaints:
        first = _first_line(command, folder, complaints)
        if first.startswith(GREETING):
            return first.removeprefix(GREETING).strip(), ""
        complaints.seek(0)
        return "", complaints.read().strip() or first.strip()


def _first_line(command: list[str], folder: Path, complaints: IO[str]) -> str:
    """Start a program that goes on without us; return the first line that it prints, "" if it ends before.

    It works in `folder`: a notebook's own folder would be kept busy, and its files are no modules of ours (`-P`).
    """
    started = subprocess.Popen(  # noqa: S603  ourselves
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, text=True,
        start_new_session=True,
    )  # fmt: skip
    with cast("IO[str]", started.stdout) as printed:
        first = printed.readline()
    if not first:
        started.wait()
    else:
        started.returncode = 0  # nobody waits for its end
        _children.add(started.pid)
    return first


def _forget_the_ended() -> None:
    """Have the system forget services that we started and that ended: it keeps a line for each until we do."""
    for pid in [*_children] if hasattr(os, "WNOHANG") else ():
        try:
            ended = bool(os.waitpid(pid, os.WNOHANG)[0])
        except ChildProcessError:
            ended = True
        if ended:
            _children.discard(pid)


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
