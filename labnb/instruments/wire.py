"""How bytes go to and from one PyVISA resource, on interfaces with messages and on streams. Errors are PyVISA's.

A stream (a socket, a serial line) has no END and no device clear: a terminator ends an answer, and reading until
nothing more comes clears it.
"""

import contextlib
import math
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from labnb.core import InstrumentError

CHUNK = 20 * 1024
_QUIET_MS = 50  # a stream that has been silent for this long has no more to say
_MOST_READS = 10_000  # an instrument that never falls silent must not hang us
_MESSAGE_AVAILABLE = 16  # in the status byte (IEEE 488.2, 11.2.1.2)

# VI_TMO_IMMEDIATE, VI_ATTR_TMO_VALUE, VI_SUCCESS_MAX_CNT, VI_ERROR_TMO, VI_ERROR_NSUP_OPER (VPP-4.3.2): PyVISA, which
# names them, is loaded when something is connected
_IMMEDIATE, _TIMEOUT, _MORE = 0, 0x3FFF001A, 0x3FFF0006
_TOO_LATE, _NOT_SUPPORTED = -0x4000FFEB, -0x4000FF99


class Wire:
    """A message-based resource. `end` ends commands; its last character ends what a stream says."""

    def __init__(self, resource: Any, end: str) -> None:  # Any: pyvisa's resource classes are picked at run time
        from pyvisa.constants import StatusCode
        from pyvisa.errors import Error

        self.address = str(resource.resource_name)
        self.stream = self.address.endswith("::SOCKET") or self.address.startswith("ASRL")
        self.failures = (Error, OSError, ValueError, NotImplementedError)
        self.closed = False
        self.pollable = not self.stream
        self._end = end
        self._resource, self._library, self._session = resource, resource.visalib, resource.session
        self._is_silent = _glance(self._library, self._session)
        self._timeout_ms = resource.timeout
        if not math.isfinite(self._timeout_ms):
            raise InstrumentError(
                f"{self.address}: its timeout is infinite, so a lost answer would never be noticed; set one"
            )
        if self.stream:
            resource.read_termination = end[-1]
        self._quietened = contextlib.ExitStack()  # long answers come in pieces; PyVISA would warn at each
        self._quietened.enter_context(resource.ignore_warning(StatusCode.success_max_count_read))

    @property
    def timeout_s(self) -> float:
        """How long an answer is waited for, in s."""
        return self._timeout_ms / 1000

    @timeout_s.setter
    def timeout_s(self, timeout_s: float) -> None:
        self._timeout_ms = round(timeout_s * 1000)
        with contextlib.suppress(*self.failures):  # it may be closed
            self._resource.timeout = self._timeout_ms

    def say(self, command: str) -> None:
        """Send `command` and its end."""
        self._library.write(self._session, (command + self._end).encode("ascii"))

    def read(self) -> bytes:
        """Return one answer: up to END, on streams up to the last character of the terminator."""
        data, status = self._library.read(self._session, CHUNK)
        while status == _MORE:
            more, status = self._library.read(self._session, CHUNK)
            data += more
        return bytes(data)

    def read_exactly(self, count: int) -> bytes:
        """Return the next `count` bytes, whatever they are."""
        data = bytearray()
        while len(data) < count:
            piece, _ = self._library.read(self._session, min(count - len(data), CHUNK))
            data += piece
        return bytes(data)

    def unread(self) -> str:
        """Say what is there to be read, "" if nothing. On streams it is gone then; elsewhere `pollable` may turn False."""
        if self.stream:
            return self._unread_bytes()
        if not self.pollable:
            return ""
        try:
            status, _ = self._library.read_stb(self._session)
        except self.failures as error:
            if not _unsupported(error):
                raise
            self.pollable = False
            return ""
        return "an answer" if status & _MESSAGE_AVAILABLE else ""

    def _unread_bytes(self) -> str:
        if self._is_silent is not None and self._is_silent():
            return ""
        session, set_attribute = self._session, self._library.set_attribute
        set_attribute(session, _TIMEOUT, _IMMEDIATE)
        try:
            data, _ = self._library.read(session, CHUNK)
        except self.failures as error:
            if too_late(error):
                return ""
            raise
        finally:
            set_attribute(session, _TIMEOUT, self._timeout_ms)
        return shown(bytes(data))

    def clear(self) -> None:
        """Send a device clear; where there is none, read until nothing more comes. Raises OSError if that has no end."""
        if self.stream:
            self._drain()
            return
        try:
            self._library.clear(self._session)
        except self.failures as error:
            if not _unsupported(error):
                raise
            self._drain()

    def _drain(self) -> None:
        self._library.set_attribute(self._session, _TIMEOUT, _QUIET_MS)
        try:
            for _ in range(_MOST_READS):
                self._library.read(self._session, CHUNK)
        except self.failures as error:
            if too_late(error):
                return
            raise
        finally:
            self._library.set_attribute(self._session, _TIMEOUT, self._timeout_ms)
        raise OSError("it does not stop talking; switch its continuous output off")

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass; where the library is a simulated bench, of the bench's time."""
        bench = getattr(self._library, "bench", None)
        (time.sleep if bench is None else bench.wait)(seconds)

    def close(self) -> None:
        """Close the resource."""
        self.closed = True
        self._quietened.close()
        with contextlib.suppress(*self.failures):  # it may be gone already; then there is nothing to close
            self._resource.close()


def _glance(library: Any, session: Any) -> Callable[[], bool] | None:
    """Return what tells at once that nothing has come, where the library shows its socket; None elsewhere.

    pyvisa-py does; its shortest read takes a millisecond. It keeps what came behind a terminator in a buffer.
    """
    buffer = "_pending_buffer"
    found = getattr(library, "sessions", {}).get(session)
    peer = getattr(found, "interface", None)
    if not isinstance(peer, socket.socket) or not isinstance(getattr(found, buffer, None), bytearray):
        return None
    return lambda: not getattr(found, buffer) and not select.select([peer], [], [], 0)[0]


def too_late(error: Exception) -> bool:
    """Return whether `error` is PyVISA's timeout."""
    return _code(error) == _TOO_LATE


def _unsupported(error: Exception) -> bool:
    return isinstance(error, NotImplementedError) or _code(error) == _NOT_SUPPORTED


def _code(error: Exception) -> int | None:
    return getattr(error, "error_code", None)


def shown(raw: bytes) -> str:
    """Return bytes as errors show them: the first 40."""
    return repr(raw if len(raw) <= 40 else raw[:37] + b"...")
