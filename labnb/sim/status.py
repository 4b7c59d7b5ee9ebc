"""What has happened to an instrument: error queue and status registers of IEEE 488.2 and SCPI-99."""

from collections import deque
from typing import final

ERROR_TEXTS = {
    0: "No error",
    -101: "Invalid character",
    -103: "Invalid separator",
    -104: "Data type error",
    -108: "Parameter not allowed",
    -109: "Missing parameter",
    -112: "Program mnemonic too long",
    -113: "Undefined header",
    -114: "Header suffix out of range",
    -121: "Invalid character in number",
    -123: "Exponent too large",
    -124: "Too many digits",
    -131: "Invalid suffix",
    -138: "Suffix not allowed",
    -141: "Invalid character data",
    -151: "Invalid string data",
    -161: "Invalid block data",
    -211: "Trigger ignored",
    -213: "Init ignored",
    -214: "Trigger deadlock",
    -221: "Settings conflict",
    -222: "Data out of range",
    -223: "Too much data",
    -224: "Illegal parameter value",
    -230: "Data corrupt or stale",
    -300: "Device-specific error",
    -350: "Queue overflow",
    -410: "Query INTERRUPTED",
    -420: "Query UNTERMINATED",
    803: "Not permitted with OUTPUT off",
}
"""Standard texts, SCPI-99 volume 2, chapter 21.8; positive ones are an instrument's own."""

OPERATION_COMPLETE, QUERY_ERROR, DEVICE_ERROR, EXECUTION_ERROR, COMMAND_ERROR, POWER_ON = 1, 4, 8, 16, 32, 128
ERROR_AVAILABLE, MESSAGE_AVAILABLE, EVENT_SUMMARY, SERVICE_REQUEST = 4, 16, 32, 64
QUEUE_LENGTH = 20


class ScpiError(Exception):
    """A program message that the instrument refuses; it becomes an entry of the error queue, never more."""

    def __init__(self, code: int, detail: str = "") -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail


@final
class Status:
    """Error queue, event status register and the masks over it."""

    def __init__(self) -> None:
        self.event_enable = 0
        self.service_enable = 0
        self._events = POWER_ON
        self._errors: deque[str] = deque()
        self._reasons = 0
        self.requesting = False
        """Service is requested and nobody has polled."""
        self.summaries = 0
        """Bits of the status byte that the instrument's own registers give."""

    def error(self, code: int, detail: str = "") -> None:
        """Queue error `code`; the last place of a full queue says -350."""
        self._events |= _event_bit(code)
        if len(self._errors) < QUEUE_LENGTH:
            text = ERROR_TEXTS[code] + (f";{_printable(detail)}" if detail else "")
            self._errors.append(f'{code},"{text}"')
        else:
            self._errors[-1] = f'-350,"{ERROR_TEXTS[-350]}"'

    def operation_complete(self) -> None:
        """Set bit 0 of the event register, which `*OPC` asked for."""
        self._events |= OPERATION_COMPLETE

    def next_error(self) -> str:
        """Take the oldest error from the queue; `0,"No error"` when it is empty."""
        return self._errors.popleft() if self._errors else f'0,"{ERROR_TEXTS[0]}"'

    def error_count(self) -> int:
        """Return how many errors wait."""
        return len(self._errors)

    def take_events(self) -> int:
        """Return the event status register and clear it, as `*ESR?` does."""
        events, self._events = self._events, 0
        return events

    def clear(self) -> None:
        """Forget errors and events, as `*CLS` does; the masks stay."""
        self._errors.clear()
        self._events = 0

    def power_on(self) -> None:
        """Forget everything, masks too, and remember that the power came on (IEEE 488.2, 11.5.1.2.1)."""
        self.clear()
        self.event_enable = self.service_enable = 0
        self._events = POWER_ON
        self._reasons, self.requesting = 0, False

    def byte(self, *, message_available: bool) -> int:
        """Return the status byte with the master summary in bit 6, as `*STB?` does."""
        byte = self._summary(message_available=message_available)
        return byte | (SERVICE_REQUEST if byte & self.service_enable else 0)

    def _summary(self, *, message_available: bool) -> int:
        byte = self.summaries | (ERROR_AVAILABLE if self._errors else 0)
        byte |= MESSAGE_AVAILABLE if message_available else 0
        return byte | (EVENT_SUMMARY if self._events & self.event_enable else 0)

    # --- requesting service, IEEE 488.2 chapter 11.3.3 ---

    def notice(self, *, message_available: bool) -> bool:
        """Look for a new reason to request service; return whether a request begins now.

        A reason that stays is told once; one that comes while a request stands is part of that request.
        """
        reasons = self._summary(message_available=message_available) & self.service_enable
        new = reasons & ~self._reasons
        self._reasons = reasons
        if not reasons:
            self.requesting = False
        if not new or self.requesting:
            return False
        self.requesting = True
        return True

    def poll(self, *, message_available: bool) -> int:
        """Return the status byte with the request in bit 6, and take the request back, as a serial poll does."""
        byte = self._summary(message_available=message_available)
        requesting, self.requesting = self.requesting, False
        return byte | (SERVICE_REQUEST if requesting else 0)


def _event_bit(code: int) -> int:
    if -200 < code <= -100:
        return COMMAND_ERROR
    if -300 < code <= -200:
        return EXECUTION_ERROR
    return QUERY_ERROR if -500 < code <= -400 else DEVICE_ERROR


def _printable(detail: str) -> str:
    return "".join(char if " " <= char <= "~" and char != '"' else "?" for char in detail[:80])
