"""How a Link speaks through PyVISA; the one place that knows PyVISA's errors."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from labnb.core import LabnbError, LinkError, LinkTimeout

if TYPE_CHECKING:
    from pyvisa import ResourceManager

T = TypeVar("T")

TERMINATOR = "\n"


class VisaLink:
    """A message-based VISA resource. `name` is the instrument's, for errors.

    Strict: an answer ends in a newline and is ASCII, or it is no answer. After a failed exchange both sides are
    cleared before the next one, so that a late answer is never taken for another question's.
    """

    def __init__(self, resource: Any, *, name: str) -> None:  # Any: pyvisa's resource classes are picked at run time
        self._resource = resource
        self._suspect = False
        self.name = name
        self.address = str(resource.resource_name)
        resource.write_termination = TERMINATOR
        if self.address.endswith("::SOCKET") or self.address.startswith("ASRL"):
            resource.read_termination = TERMINATOR  # streams have no END message

    def write(self, command: str) -> None:
        """Send `command`."""
        self._exchange(command, lambda: self._resource.write(command))

    def query(self, command: str) -> str:
        """Send `command`; return the answer without its terminator."""
        return self._exchange(command, lambda: self._ask(command))

    def query_block(self, command: str) -> bytes:
        """Send `command`; return the data of the definite-length block that answers it."""
        return self._exchange(command, lambda: self._ask_block(command))

    def clear(self) -> None:
        """Send a device clear."""
        self._suspect = False
        self._exchange("device clear", self._resource.clear)

    def close(self) -> None:
        """Close the resource."""
        with contextlib.suppress(LinkError):  # it may be gone already; then there is nothing to close
            self._guarded("close", self._resource.close)

    def _ask(self, command: str) -> str:
        self._resource.write(command)
        raw = bytes(self._resource.read_raw())
        if not raw.endswith(TERMINATOR.encode()):
            raise ValueError(f"it ends without a newline: {_shown(raw)}")
        try:
            return raw.decode("ascii").strip()
        except UnicodeDecodeError:
            raise ValueError(f"it is not ASCII text: {_shown(raw)}") from None

    def _ask_block(self, command: str) -> bytes:
        from pyvisa.util import parse_ieee_block_header

        self._resource.write(command)
        raw = bytes(self._resource.read_raw())
        offset, length = parse_ieee_block_header(raw)
        missing = offset + length + len(TERMINATOR) - len(raw)
        if missing > 0:  # on streams a data byte may look like the terminator
            raw += bytes(self._resource.read_bytes(missing))
        if length < 0 or raw[offset + length :] != TERMINATOR.encode():
            raise ValueError(f"{len(raw)} bytes are no block of the length that it declares: {_shown(raw)}")
        return raw[offset : offset + length]

    def _exchange(self, command: str, speak: Callable[[], T]) -> T:
        if self._suspect:
            self._suspect = False
            self._guarded("device clear", self._resource.clear)
        try:
            return self._guarded(command, speak)
        except LinkError:
            self._suspect = True
            raise

    def _guarded(self, command: str, speak: Callable[[], T]) -> T:
        from pyvisa.constants import StatusCode
        from pyvisa.errors import Error, InvalidSession, VisaIOError

        where = f"{self.name} ({self.address})"
        try:
            return speak()
        except ValueError as error:
            raise LinkError(f"{where}: the answer to {command!r} is damaged: {error}; ask again") from error
        except InvalidSession as error:
            raise LinkError(f"{where}: {command!r} not sent: the connection is closed; connect again") from error
        except VisaIOError as error:
            if error.error_code == StatusCode.error_timeout:
                raise LinkTimeout(
                    f"{where}: no answer to {command!r} within {self._resource.timeout / 1000:g} s; "
                    "is it switched on and idle? connect with a larger timeout_s if it needs longer"
                ) from error
            raise LinkError(f"{where}: {command!r} failed: {error.description}; check cable and power") from error
        except (Error, OSError) as error:
            raise LinkError(f"{where}: {command!r} failed: {error}; check cable and power") from error


def _shown(raw: bytes) -> str:
    return repr(raw if len(raw) <= 40 else raw[:37] + b"...")


def open_visa(address: str, library: str, *, name: str, timeout_s: float) -> VisaLink:
    """Open `address` of the VISA library `library` ("" is PyVISA's default, "demo@labnb" the simulated bench).

    Raises LinkError, listing what the library sees, if nothing answers there.
    """
    from pyvisa.errors import Error

    manager = _manager(library)
    try:
        resource = manager.open_resource(address, timeout=round(timeout_s * 1000))
    except (Error, ValueError, OSError) as error:
        reason = getattr(error, "description", None) or str(error)
        raise LinkError(
            f"{name}: nothing can be opened at {address!r}: {reason.rstrip('.')}; {_shown_library(library)} sees "
            f"{_seen(manager)}"
        ) from error
    return VisaLink(resource, name=name)


def _manager(library: str) -> "ResourceManager":
    import pyvisa

    try:
        return pyvisa.ResourceManager(library)
    except LabnbError:  # a simulated bench's own words are better than ours
        raise
    except (pyvisa.errors.Error, ValueError, OSError, ImportError) as error:
        raise LinkError(
            f"the VISA library {_shown_library(library)} cannot be loaded: {error}; install one (pip install "
            "'labnb[hardware]' for \"@py\"), or use simulate=True"
        ) from error


def check_library(library: str) -> None:
    """Raise LinkError if the VISA library `library` is not there, or is not what it was. Touches no instrument."""
    _manager(library)


def seen_addresses(library: str) -> tuple[str, ...]:
    """Return the addresses of what the VISA library `library` sees. Raises LinkError if it cannot be asked."""
    from pyvisa.errors import Error

    manager = _manager(library)
    try:
        return tuple(manager.list_resources("?*"))
    except (Error, ValueError) as error:
        raise LinkError(f"{_shown_library(library)} cannot say which instruments it sees: {error}") from error


def _shown_library(library: str) -> str:
    return repr(library) if library else "the default VISA library"


def _seen(manager: "ResourceManager") -> str:
    from pyvisa.errors import Error

    try:
        found = manager.list_resources("?*")
    except (Error, ValueError, OSError) as error:
        return f"nothing ({error})"
    return ", ".join(found) if found else "no instrument"
