r"""Where a program message ends in a stream of bytes, and whether it is answered. Pure: bytes in, messages out.

    VOLT 1\n  *IDN?\n  DISP:TEXT "why?"\n  DATA:ARB x,#211 a\nb"c;d?'e\n
    ────────  ───────  ──────────────────  ─────────────────────────────  four messages, of which one asks

A newline ends a message unless it stands in a block of definite length; a quotation mark shelters what looks like a
block or a question, never a newline: instruments on sockets do the same. Source: IEEE 488.2-1992, 7.5, 7.7.5, 7.7.6.
"""

import re
from dataclasses import dataclass
from enum import Enum

from labnb.core import LinkError

LONGEST = 256 * 1024**2
_NEWLINE, _HASH, _QUESTION = 0x0A, 0x23, 0x3F
_QUOTES = b"\"'"
_AFTER_QUESTION = b" \t\r\n;"
_OF_INTEREST = re.compile(rb"[\n#?\"']")


@dataclass(frozen=True, slots=True)
class Message:
    """One message, without the newline that ends it. `asks`: the instrument will answer it."""

    raw: bytes
    asks: bool


class _Where(Enum):
    PLAIN = "plain"
    QUOTED = "quoted"
    BLOCK = "block"


class Messages:
    """Cuts a stream of bytes into messages, however they arrive. Raises LinkError for one longer than `longest`."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._buffer = bytearray()
        self._begin_anew(0)

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun that has not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> list[Message]:
        """Take what has arrived; return the messages that are whole by now."""
        self._buffer += data
        found: list[Message] = []
        while (message := self._next()) is not None:
            found.append(message)
        if max(len(self._buffer), self._block_end) > self._longest:
            raise LinkError(f"a message of more than {self._longest} bytes; send it in parts")
        return found

    def _begin_anew(self, consumed: int) -> None:
        del self._buffer[:consumed]
        self._place = 0
        self._where = _Where.PLAIN
        self._quote = 0
        self._block_end = 0
        self._asks = False

    def _next(self) -> Message | None:
        """Look on from where the last look ended; None if the message is not whole."""
        buffer = self._buffer
        while True:
            if self._where is _Where.BLOCK:
                if len(buffer) < self._block_end:
                    return None
                self._place, self._where = self._block_end, _Where.PLAIN
            if (place := self._interesting()) is None:
                return None
            byte = buffer[place]
            if byte == _NEWLINE:
                message = Message(bytes(buffer[:place]).removesuffix(b"\r"), self._asks)
                self._begin_anew(place + 1)
                return message
            if not self._pass(byte, place):
                return None

    def _interesting(self) -> int | None:
        """Return where the next byte is that may mean something."""
        found = _OF_INTEREST.search(self._buffer, self._place)
        self._place = found.start() if found else len(self._buffer)
        return self._place if found else None

    def _pass(self, byte: int, place: int) -> bool:
        """Pass a quotation mark, a question mark or the head of a block; return False if more has to arrive first."""
        if self._where is _Where.QUOTED:
            if byte == self._quote:
                self._where = _Where.PLAIN
        elif byte in _QUOTES:
            self._where, self._quote = _Where.QUOTED, byte
        elif byte == _QUESTION:
            if place + 1 == len(self._buffer):
                return False
            self._asks = self._asks or self._buffer[place + 1] in _AFTER_QUESTION
        elif not self._enter_block(place):
            return False
        self._place = place + 1
        return True

    def _enter_block(self, place: int) -> bool:
        """Enter the block that a `#` begins, if it does; return False if that cannot be told yet."""
        head = bytes(self._buffer[place + 1 : place + 11])
        if not head:
            return False
        digits = head[0] - 0x30
        if not 1 <= digits <= 9:
            return True  # #H1F, #0 (which ends with the newline), or nothing of the sort
        count = head[1 : 1 + digits]
        if count and not count.isdigit():
            return True
        if len(count) < digits:
            return False
        self._where, self._block_end = _Where.BLOCK, place + 2 + digits + int(count)
        return True
