"""Which instruments gateways of this machine serve, and where: a file for each, as long as its process lives."""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labnb.sharing.finding import service_folder
from labnb.sharing.leases import process_start


@dataclass(frozen=True, slots=True)
class Outlet:
    """One instrument at a gateway: `resource` of the VISA `library` is served at `port` of this machine."""

    resource: str
    library: str
    port: int
    identity: str

    @property
    def address(self) -> str:
        """The VISA address at which any driver opens it."""
        return f"TCPIP0::127.0.0.1::{self.port}::SOCKET"

    def __str__(self) -> str:
        return f"{self.address} is {self.identity or 'an instrument'} at {self.resource}"


@contextmanager
def announced(outlet: Outlet) -> Generator[None]:
    """Tell others of this outlet while the block runs."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(folder)
    file, pid = folder / f"{outlet.port}.json", os.getpid()
    told = {"resource": outlet.resource, "library": outlet.library, "port": outlet.port, "identity": outlet.identity}
    new = file.with_suffix(f".{pid}")
    new.write_text(json.dumps(told | {"pid": pid, "started": process_start(pid)}), "utf-8")
    new.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def outlets() -> tuple[Outlet, ...]:
    """Return what the gateways serve that run on this machine, for this user's `service_folder`."""
    return tuple(found for file in sorted(_folder().glob("*.json")) if (found := _read(file)) is not None)


def origin(address: str, library: str = "") -> tuple[str, str]:
    """Return what stands behind an address: where a gateway serves it, the resource and library that it serves there."""
    wanted = address.upper()
    for outlet in outlets() if wanted.endswith("::SOCKET") else ():
        if outlet.address == wanted:
            return outlet.resource, outlet.library
    return address, library


def _sweep(folder: Path) -> None:
    """Take away what gateways that were killed have left."""
    for file in folder.iterdir():
        if file.suffix == ".json":
            left = _read(file) is None
        else:
            left = file.suffix[1:].isdecimal() and not process_start(int(file.suffix[1:]))
        if left:
            file.unlink(missing_ok=True)


def _read(file: Path) -> Outlet | None:
    try:
        told = json.loads(file.read_text("utf-8"))
        outlet = Outlet(str(told["resource"]), str(told["library"]), int(told["port"]), str(told["identity"]))
        pid, started = int(told["pid"]), str(told["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return outlet if process_start(pid) == started else None


def _folder() -> Path:
    return service_folder() / "gateways"
