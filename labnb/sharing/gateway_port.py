"""One VISA resource behind a gateway: whole exchanges, and how it is brought in step again after one that failed.

Everything blocks, and is called by one thread. Whoever asked may be gone by the time the answer comes: it is read
nevertheless, so that the next answer belongs to the next question.
"""

import random
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from labnb.core import LabnbError, LinkError, LinkTimeout
from labnb.sharing.gateway_messages import Message, Messages

_QUIET_MS = 50  # a stream that has been silent for this long has no more to say
_MOST_READS = 10_000
_PROOFS = 3
_PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.6)
_PROOF_TIMEOUT_MS = 1000
_MASK = re.compile(rb"\*ESE\s+\+?([^\s;]+)", re.IGNORECASE)
_TOO_LATE = -0x4000FFEB  # VI_ERROR_TMO (VPP-4.3.2); PyVISA, which names it, is loaded when something is opened


class VisaPort:
    """The resource at `address` of a VISA `library` ("" is PyVISA's default). Raises LinkError if it cannot be opened.

    `identity` is its answer to `*IDN?`, "" if it has none. Opening changes no output.
    """

    def __init__(self, address: str, library: str = "", *, timeout_s: float = 10.0) -> None:
        self.address, self.library = address, library
        self.identity = ""
        self._timeout_ms = round(timeout_s * 1000)
        self._stream = address.upper().startswith("ASRL") or address.upper().endswith("::SOCKET")
        self._suspect = False
        self._mask: int | None = None  # what `*ESE` is; None: not known, or not an instrument of IEEE 488.2
        self._resource = self._opened()
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def exchange(self, message: Message) -> bytes:
        """Send `message`; return its answer with the newline that ends it, b"" if it asks nothing.

        Raises LinkTimeout if the answer does not come, LinkError if the connection failed.
        """
        if self._suspect:
            self._recover()
        try:
            answer = self._exchanged(message)
        except self._failures as error:
            self._suspect = True
            self._fail(message.raw, error)
        finally:
            self._note(message.raw)
        return answer

    def send(self, commands: Sequence[str]) -> None:
        """Send commands one after the other. Raises LinkError."""
        for command in commands:
            self.exchange(Message(command.encode("ascii"), asks=False))

    def close(self) -> None:
        """End the connection; outputs stay as they are."""
        with suppress(*self._failures):  # it may be gone already
            self._resource.close()

    # ---- one exchange

    def _exchanged(self, message: Message) -> bytes:
        self._resource.write_raw(message.raw + b"\n")
        return self._answer() if message.asks else b""

    def _answer(self) -> bytes:
        """Return one answer: up to END; on streams, up to a newline that is not inside of a block."""
        if not self._stream:
            return _ended(self._resource.read_raw())
        parts, messages = bytearray(), Messages()
        while True:
            part = self._resource.read_raw()
            parts += part
            if messages.feed(part):
                return bytes(parts)

    def _ask(self, text: str) -> str:
        return self._exchanged(Message(text.encode("ascii"), asks=True)).decode("ascii").strip()

    # ---- in step again

    def _greet(self) -> None:
        """Learn who it is, and whether `*ESE` can prove that answers belong to their questions."""
        self._clear()
        self._resource.timeout = min(self._timeout_ms, 2 * _PROOF_TIMEOUT_MS)
        try:
            self.identity = self._ask("*IDN?")
            mask = re.fullmatch(r"\+?(\d{1,3})", self._ask("*ESE?"))
            self._mask = int(mask[1]) if mask else None
        except self._failures as error:
            if not _too_late(error):
                self._fail(b"*IDN?", error)
            self._clear()  # it speaks another language: it is passed on all the same
        finally:
            self._resource.timeout = self._timeout_ms

    def _recover(self) -> None:
        """Have it answer what nobody asked before; where it does not, open it anew. Raises LinkError."""
        failure: Exception | None = None
        if self._in_step():
            self._suspect = False
            return
        for pause_s in _PAUSES_S:
            time.sleep(pause_s)
            try:
                self._reopen()
            except LinkError as error:
                failure = error
            else:
                self._suspect = False
                raise LinkError(
                    f"{self.address}: its connection was lost and is open again; whoever used it has to connect again, "
                    "and to set it up again if it was switched off"
                )
        raise LinkError(f"{self.address}: the connection is lost; check cable and power") from failure

    def _reopen(self) -> None:
        identity = self.identity
        self.close()
        self._resource = self._opened()
        self._greet()
        if _who(self.identity) != _who(identity):
            found, self.identity = self.identity, identity
            raise LinkError(f"{self.address}: another instrument answers there now: {found!r}; it was {identity!r}")
        if not self._in_step():
            raise LinkError(f"{self.address}: its answers do not belong to the questions; switch it off and on")

    def _in_step(self) -> bool:
        """Return whether the next answer will be that of the next question; the mask of `*ESE` stays as it was."""
        self._resource_timeout(min(self._timeout_ms, _PROOF_TIMEOUT_MS))
        try:
            return any(self._proved() for _ in range(_PROOFS))
        finally:
            self._resource_timeout(self._timeout_ms)

    def _proved(self) -> bool:
        try:
            self._clear()
            if self._mask is None:
                return self._ask("*IDN?") == self.identity if self.identity else True
            first, second = random.randrange(1, 255), random.randrange(1, 255)  # noqa: S311  to tell answers apart
            answer = self._ask(f"*ESE {first};*ESE?;*ESE {second};*ESE?;*ESE {self._mask}")
            return [int(number) for number in answer.split(";")] == [first, second]
        except self._failures:
            return False

    def _note(self, raw: bytes) -> None:
        """Look at what clients set `*ESE` to: a proof puts it back."""
        if self._mask is not None and (found := _MASK.findall(raw)):
            self._mask = int(found[-1]) & 255 if found[-1].isdigit() else None

    def _clear(self) -> None:
        """Throw away what either side has not read: by a device clear; on streams by reading until nothing comes."""
        try:
            if self._stream:
                self._drain()
            else:
                self._resource.clear()
        except NotImplementedError:
            self._drain()

    def _drain(self) -> None:
        before, self._resource.timeout = self._resource.timeout, _QUIET_MS
        try:
            for _ in range(_MOST_READS):
                self._resource.read_raw()
        except self._failures as error:
            if not _too_late(error):
                raise
        finally:
            self._resource_timeout(before)

    # ---- PyVISA

    def _opened(self) -> Any:  # Any: pyvisa's resource classes are picked at run time
        import pyvisa

        self._failures = (pyvisa.errors.Error, OSError, ValueError, NotImplementedError, LinkError)
        try:
            resource: Any = pyvisa.ResourceManager(self.library).open_resource(self.address, timeout=self._timeout_ms)
        except LabnbError:  # a simulated bench's own words are better than ours
            raise
        except Exception as error:  # pyvisa-py raises bare Exception where a connection is refused
            where = f"{self.library!r}" if self.library else "the default VISA library"
            raise LinkError(f"nothing can be opened at {self.address!r} of {where}: {error}") from error
        if self._stream:
            resource.read_termination = "\n"
        return resource

    def _resource_timeout(self, timeout_ms: float) -> None:
        with suppress(*self._failures):  # it may be gone
            self._resource.timeout = timeout_ms

    def _fail(self, raw: bytes, error: Exception) -> NoReturn:
        shown = repr(raw if len(raw) <= 60 else raw[:57] + b"...")
        if _too_late(error):
            raise LinkTimeout(
                f"{self.address}: no answer to {shown} within {self._timeout_ms / 1000:g} s; start the gateway with a "
                "larger --timeout if it needs longer"
            ) from error
        raise LinkError(f"{self.address}: {shown} failed: {getattr(error, 'description', error)}") from error


def _ended(answer: bytes) -> bytes:
    """Return an answer so that its end is seen on a stream."""
    messages = Messages()
    whole = messages.feed(answer)
    return answer if whole and not messages.unfinished else answer + b"\n"


def _too_late(error: Exception) -> bool:
    return getattr(error, "error_code", None) == _TOO_LATE


def _who(identity: str) -> list[str]:
    """Return maker, model and serial number; the firmware may change."""
    return [field.strip() for field in identity.split(",")][:3]
