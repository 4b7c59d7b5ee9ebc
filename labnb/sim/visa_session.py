"""What one opened instrument remembers on the computer's side, and how VISA's attributes shape its transfers."""

import math
from collections.abc import Callable
from typing import Any, final

from pyvisa import constants, rname
from pyvisa.constants import InterfaceType, IOProtocol, ResourceAttribute, SerialTermination

from labnb.sim.interface import Reason
from labnb.sim.port import Port
from labnb.sim.visa_attributes import Attribute, default_of, fixed_attributes, kind_of
from labnb.sim.visa_events import Events, Handler

_LOCK_STATES = {
    "none": constants.AccessModes.no_lock,
    "exclusive": constants.AccessModes.exclusive_lock,
    "shared": constants.AccessModes.shared_lock,
}
_DEFAULT_TIMEOUT_MS = 2000
_NEWLINE = 10


def seconds(timeout_ms: int) -> float:
    """Return a VISA timeout in s."""
    return math.inf if timeout_ms == constants.VI_TMO_INFINITE else timeout_ms / 1000


@final
class Session:
    """One opened instrument."""

    def __init__(
        self, name: rname.ResourceName, port: Port, connection: int, manager: int, call: Callable[[Handler], object]
    ) -> None:
        """Open `name` at `port` over `connection` for a resource manager; `call` calls the session's handlers."""
        self.port = port
        self.manager = manager
        self.kind = kind_of(name)
        self.events = Events(port, call)
        self._connection = connection
        self._fixed = fixed_attributes(name, port) | {constants.VI_ATTR_RM_SESSION: manager}
        self._local: dict[int, Any] = {}  # Any: an attribute may be anything
        self._shape()

    # --- attributes ---

    def get(self, known: Attribute) -> Any:  # Any: an attribute may be anything
        """Return the value of an attribute; `NotAvailable` if it has none."""
        number = known.attribute_id
        if number == constants.VI_ATTR_RSRC_LOCK_STATE:
            return _LOCK_STATES[self.port.locks.state]
        if number == constants.VI_ATTR_ASRL_AVAIL_NUM:
            return self.port.arrived()
        values = self._local if known.local else self.port.shared
        return values.get(number, default_of(known, self._fixed))

    def set(self, known: Attribute, value: Any) -> None:
        """Set an attribute, for all sessions if it is a global one."""
        (self._local if known.local else self.port.shared)[known.attribute_id] = value
        if known.attribute_id == constants.VI_ATTR_MAX_QUEUE_LENGTH:
            self.events.longest = value
        self._shape()

    def _shape(self) -> None:
        """Work out once what the attributes mean for transfers."""
        get = self._local.get
        stream, serial = not self.port.interface.messages, self.kind[0] == InterfaceType.asrl
        character = bytes([get(ResourceAttribute.termchar, _NEWLINE)])
        by_line, by_character = SerialTermination.termination_char, get(ResourceAttribute.termchar_enabled)
        if serial and get(ResourceAttribute.asrl_end_in, by_line) == by_line:
            by_character = True
        self._timeout_s = seconds(get(ResourceAttribute.timeout_value, _DEFAULT_TIMEOUT_MS))
        self._termination = character if by_character else None
        self._appended = character if serial and get(ResourceAttribute.asrl_end_out) == by_line else b""
        self._marks_end = not stream and bool(get(ResourceAttribute.send_end_enabled, True))

    # --- transfers ---

    def send(self, data: bytes) -> Reason:
        """Send bytes; END marks the last one where there is such a mark, unless it is switched off."""
        data = data + self._appended if self._appended else data
        return self.port.send(data, end=self._marks_end, timeout_s=self._timeout_s, connection=self._connection)

    def receive(self, count: int) -> tuple[bytes, Reason]:
        """Receive at most `count` bytes, by default up to the character that ends a read, if one does."""
        return self._receive(count, self._termination)

    def _receive(self, count: int, termination: bytes | None) -> tuple[bytes, Reason]:
        return self.port.receive(count, timeout_s=self._timeout_s, termination=termination, connection=self._connection)

    def clear(self) -> Reason:
        """Clear the instrument; on a stream, throw away what has come (as PyVISA-py does; NI-VISA refuses)."""
        return self.port.clear(connection=self._connection)

    def poll(self) -> tuple[int, Reason]:
        """Read the status byte: by the bus, or on a stream by asking for it.

        Raises LookupError on a stream that has not been told to speak IEEE 488.2.
        """
        if self.port.interface.messages:
            return self.port.poll(timeout_s=self._timeout_s, connection=self._connection)
        reason = self._speak(b"*STB?\n")
        if reason != "end":
            return 0, reason
        answer, reason = self._receive(80, b"\n")
        return int(answer) if reason == "termination" and answer.strip().isdigit() else 0, reason

    def trigger(self) -> Reason:
        """Send a trigger: by the bus, or on a stream as a message. Raises LookupError as `poll` does."""
        if self.port.interface.messages:
            return self.port.trigger(connection=self._connection)
        return self._speak(b"*TRG\n")

    def _speak(self, message: bytes) -> Reason:
        if self._local.get(ResourceAttribute.io_prot) != IOProtocol.protocol4882_strs:
            raise LookupError("VI_ATTR_IO_PROT is not VI_PROT_4882_STRS")
        return self.port.send(message, end=False, timeout_s=self._timeout_s, connection=self._connection)

    def close(self) -> None:
        """Give back locks and events."""
        self.events.close()
        with self.port.timeline.changed:
            self.port.locks.drop(self)
            self.port.timeline.changed.notify_all()
