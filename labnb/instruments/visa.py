"""How a Link speaks through PyVISA; the one place that knows PyVISA's errors.

Strict: an answer is ASCII and ends as the instrument's answer to `*IDN?` did, or it is no answer. On streams (sockets,
serial lines) bytes that nobody has asked for are found before the next question, never read as its answer.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from labnb.core import InstrumentError, LabnbError, LinkError, LinkTimeout
from labnb.instruments.link import Unasked
from labnb.instruments.wire import Wire, shown, too_late

if TYPE_CHECKING:
    from pyvisa import ResourceManager


class VisaLink:
    """A message-based VISA resource. `name` is the instrument's, for errors; `again` opens it anew with a timeout in s.

    `terminator` ends commands and answers; None: commands end in a newline, answers as the one to `*IDN?` does, which
    is asked before the first question. After a failed exchange both sides are cleared before the next one.
    """

    def __init__(
        self,
        resource: Any,  # Any: pyvisa's resource classes are picked at run time
        *,
        name: str,
        again: Callable[[float], Any] | None = None,
        terminator: str | None = None,
    ) -> None:
        self.name = name
        self._again = again
        self._command_end = terminator or "\n"
        self._answer_end: bytes | None = terminator.encode("ascii") if terminator else None
        self._suspect = False
        self._ready = self._answer_end is not None
        self._wire = Wire(resource, self._command_end)
        self.address = self._wire.address
        self._failures = self._wire.failures
        self.poll = False

    @property
    def timeout_s(self) -> float:
        """How long an answer is waited for, in s."""
        return self._wire.timeout_s

    @timeout_s.setter
    def timeout_s(self, timeout_s: float) -> None:
        self._wire.timeout_s = timeout_s

    @property
    def poll(self) -> bool:
        """Whether the status byte is read before each question, to find an answer that nobody has read.

        Streams are read instead, always. A resource that cannot be polled is not.
        """
        return self._poll and self._wire.pollable

    @poll.setter
    def poll(self, wanted: bool) -> None:
        self._poll = wanted
        self._looks = wanted or self._wire.stream

    def write(self, command: str) -> None:
        """Send `command`."""
        try:
            if self._suspect:
                self.clear()
            self._wire.say(command)
        except LinkError:
            raise
        except self._failures as error:
            self._fail(command, error)

    def query(self, command: str) -> str:
        """Send `command`; return the answer without its terminator."""
        try:
            if not self._ready:
                self._prepare()
            if self._looks:
                self._expect_silence(command)
            self._wire.say(command)
            raw = self._wire.read()
            if not raw.endswith(self._answer_end):  # type: ignore[arg-type]  # known since _prepare
                raise ValueError(f"it does not end in {self._answer_end!r}: {shown(raw)}")
            return raw.decode("ascii").strip()
        except LinkError:
            raise
        except self._failures as error:
            self._fail(command, error)

    def query_block(self, command: str) -> bytes:
        """Send `command`; return the data of the definite-length block that answers it."""
        try:
            if not self._ready:
                self._prepare()
            if self._looks:
                self._expect_silence(command)
            self._wire.say(command)
            return self._read_block()
        except LinkError:
            raise
        except self._failures as error:
            self._fail(command, error)

    def clear(self) -> None:
        """Send a device clear; on streams, which have none, read until nothing more comes."""
        try:
            self._wire.clear()
        except self._failures as error:
            self._fail("device clear", error)
        self._suspect = False
        self._ready = self._answer_end is not None

    def reopen(self) -> None:
        """Close the resource, whatever is left of it, and open it anew. Raises LinkError if it is not there."""
        if self._again is None:
            raise LinkError(f"{self._where}: this link cannot be opened again; connect again")
        self.close()
        self._wire = Wire(self._again(self.timeout_s), self._command_end)
        self._suspect = False
        self._ready = self._answer_end is not None

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass; where the library is a simulated bench, of the bench's time."""
        self._wire.wait(seconds)

    def close(self) -> None:
        """Close the resource."""
        self._wire.close()

    # ---- one exchange

    def _read_block(self) -> bytes:
        raw, end = self._wire.read(), self._answer_end or b""
        start, stop = _block_bounds(raw)
        if (missing := stop + len(end) - len(raw)) > 0 and raw[stop:] != b"\n":
            raw += self._wire.read_exactly(missing)  # on streams a data byte may look like the terminator
        if raw[stop:] not in (end, b"\n"):
            raise ValueError(f"{len(raw)} bytes are no block of the length that it declares: {shown(raw)}")
        return raw[start:stop]

    def _expect_silence(self, command: str) -> None:
        """Raise Unasked, and send nothing, if something is there to be read."""
        unread = self._wire.unread()
        if unread:
            self._suspect, self._ready = True, False
            raise Unasked(
                f"{self._where}: {command!r} not sent: {unread} was there that nobody had asked for; "
                "clear the link and ask again"
            )

    def _prepare(self) -> None:
        """Be ready for a question: in a clean state, and knowing how answers end."""
        if self._suspect:
            self.clear()
        if self._answer_end is None:
            self._answer_end = self._learned_end()
        self._ready = True

    def _learned_end(self) -> bytes:
        """Return how `*IDN?` is answered. No newline: believed only if three answers in a row are the same."""
        answers: list[bytes] = []
        for _ in range(3):
            if self._wire.stream:
                self._expect_silence("*IDN?")
            self._wire.say("*IDN?")
            raw = self._wire.read()
            raw.decode("ascii")
            if raw.endswith(b"\n"):
                return b"\r\n" if raw.endswith(b"\r\n") else b"\n"
            answers.append(raw)
        if not answers[0] or len(set(answers)) > 1:
            raise ValueError(f"it ends without a newline: {shown(answers[-1])}")
        return b"\r" if answers[0].endswith(b"\r") else b""

    # ---- errors

    @property
    def _where(self) -> str:
        return f"{self.name} ({self.address})"

    def _fail(self, command: str, error: Exception) -> NoReturn:
        """Raise our error for theirs."""
        from pyvisa.errors import InvalidSession, VisaIOError

        where = self._where
        if isinstance(error, UnicodeEncodeError):
            raise InstrumentError(f"{where}: {command!r} not sent: it is not ASCII text; write it without") from error
        self._suspect, self._ready = True, False
        if isinstance(error, UnicodeDecodeError):
            raise LinkError(
                f"{where}: the answer to {command!r} is damaged: it is not ASCII text: {shown(error.object)}; ask again"
            ) from error
        if self._wire.closed or isinstance(error, InvalidSession):
            raise LinkError(f"{where}: {command!r} not sent: the connection is closed; connect again") from error
        if isinstance(error, VisaIOError):
            if too_late(error):
                raise LinkTimeout(
                    f"{where}: no answer to {command!r} within {self.timeout_s:g} s; "
                    "is it switched on and idle? connect with a larger timeout_s if it needs longer"
                ) from error
            raise LinkError(f"{where}: {command!r} failed: {error.description}; check cable and power") from error
        if isinstance(error, ValueError):
            raise LinkError(f"{where}: the answer to {command!r} is damaged: {error}; ask again") from error
        raise LinkError(f"{where}: {command!r} failed: {error}; check cable and power") from error


def _block_bounds(raw: bytes) -> tuple[int, int]:
    """Return where the data of a definite-length block begin and end (IEEE 488.2, 8.7.9). Raises ValueError."""
    digits = int(raw[1:2]) if raw[:1] == b"#" and raw[1:2].isdigit() else 0
    start = 2 + digits
    if digits == 0 or not raw[2:start].isdigit() or len(raw) < start:
        raise ValueError(f"it is no block of definite length: {shown(raw)}")
    return start, start + int(raw[2:start])


def open_visa(address: str, library: str, *, name: str, timeout_s: float, terminator: str | None = None) -> VisaLink:
    """Open `address` of the VISA library `library` ("" is PyVISA's default, "demo@labnb" the simulated bench).

    Raises LinkError, listing what the library sees, if nothing answers there.
    """
    manager = _manager(library)
    again = partial(_opened, manager, address, name)
    try:
        return VisaLink(again(timeout_s), name=name, again=again, terminator=terminator)
    except LinkError as error:
        raise LinkError(f"{error}; {_shown_library(library)} sees {_seen(manager)}") from error.__cause__


def _opened(manager: "ResourceManager", address: str, name: str, timeout_s: float) -> Any:
    timeout_ms = round(timeout_s * 1000)
    try:
        return manager.open_resource(address, open_timeout=timeout_ms, timeout=timeout_ms)
    except LabnbError:  # a simulated bench's own words are better than ours
        raise
    except Exception as error:  # pyvisa-py raises bare Exception where a connection is refused
        reason = getattr(error, "description", None) or str(error)
        raise LinkError(f"{name}: nothing can be opened at {address!r}: {reason.rstrip('.')}") from error


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
        with warnings.catch_warnings():  # pyvisa-py's, of the packages that it misses
            warnings.simplefilter("ignore")
            found = manager.list_resources("?*")
    except (Error, ValueError, OSError, NotImplementedError) as error:
        return f"nothing ({error})"
    return ", ".join(found) if found else "no instrument"
