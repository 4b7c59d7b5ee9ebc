r"""Where SCPI messages, their units and their arguments begin and end.

Text is latin-1 everywhere, so that one character is one byte and binary blocks pass unharmed.

    "SOUR:VOLT 5V,(@1,2);CURR?\n"
     ├─ program message ───────┤   ended by a newline or by the bus's END
     ├─ unit ───────────┤├ unit┤   the second header is read below `SOUR:`, where the first one ended
     ├─ header ┤├ arguments ┤

Nothing separates inside of quotes (a doubled quote is one of the text), channel lists and blocks.

Sources: SCPI-99 volume 1, chapters 6 and 7; IEEE 488.2-1992, chapter 7.
"""

import re
from collections.abc import Iterator
from typing import TypeVar

from labnb.sim.scpi import decode_block, parse_channels
from labnb.sim.status import ScpiError

T = TypeVar("T")

_ATOM = re.compile(r"""[;,\n]|"[^"\n]*"|'[^'\n]*'|\([^()\n]*\)|\#([0-9])""")
_SHELTERS = re.compile(r"""["'(#]""")
_UNIT = re.compile(r"\s*(\S+)\s*(.*)", re.DOTALL)


def _cuts(text: str, separator: str, *, indefinite: bool = True) -> Iterator[int]:
    """Yield where `separator` stands outside of quotes, brackets and blocks; -1 last when a block is not whole.

    `indefinite`: a block `#0` takes everything that follows.
    """
    position = 0
    while found := _ATOM.search(text, position):
        position = found.end()
        if found[1] == "0":
            if indefinite:
                return
        elif found[1]:
            position = _block_end(text, found.start())
            if position > len(text):
                yield -1
                return
        elif found[0] == separator:
            yield found.start()


def _block_end(text: str, start: int) -> int:
    """Return where the block that begins at `start` with `#n` ends; the next character when it is no block."""
    digits = int(text[start + 1])
    length = text[start + 2 : start + 2 + digits]
    if length and not (length.isascii() and length.isdigit()):
        return start + 1
    if len(length) < digits:
        return len(text) + 1
    return start + 2 + digits + int(length)


def _split(text: str, separator: str) -> list[str]:
    if not _SHELTERS.search(text):
        return text.split(separator)
    pieces: list[str] = []
    start = 0
    for cut in _cuts(text, separator):
        if cut < 0:
            raise ScpiError(-161)
        pieces.append(text[start:cut])
        start = cut + 1
    pieces.append(text[start:])
    return pieces


def split_messages(text: str, *, end: bool, stream: bool = False) -> tuple[list[str], str]:
    """Cut what has arrived into whole messages and the beginning of the next one.

    `end`: the bus has marked the last character as the last of a message. A `stream` has no such mark: a block of
    indefinite length then ends with its line, elsewhere with the mark alone (IEEE 488.2, 7.7.6).
    """
    messages: list[str] = []
    start = 0
    for cut in _cuts(text, "\n", indefinite=not stream):
        if cut < 0:
            break
        messages.append(text[start:cut])
        start = cut + 1
    rest = text[start:]
    if end and rest:
        return [*messages, rest], ""
    return messages, rest


def split_units(message: str) -> list[str]:
    """Cut a message at its semicolons; empty units are left out. Raises -161 for half a block."""
    return [unit for unit in _split(message, ";") if unit and not unit.isspace()]


def split_arguments(text: str) -> tuple[list[str], tuple[int, ...] | None, bytes | None]:
    """Cut arguments at their commas; return plain ones, the channel list and the block apart.

    Raises -103 for an empty one, -108 for a second list or block, -161 for half a block.
    """
    arguments: list[str] = []
    channels: tuple[int, ...] | None = None
    block: bytes | None = None
    for piece in _split(text, ",") if text else []:
        word = piece.strip()
        if word.startswith("(@"):
            channels = _only(channels, parse_channels(word))
        elif len(word) > 1 and word[0] == "#" and word[1].isdigit():
            block = _only(block, decode_block(piece.lstrip().encode("latin-1")))
        elif word:
            arguments.append(word)
        else:
            raise ScpiError(-103, text)
    return arguments, channels, block


def _only(known: T | None, new: T) -> T:
    if known is not None:
        raise ScpiError(-108)
    return new


def resolve_header(unit: str, path: str) -> tuple[str, str, str]:
    """Return the full header of `unit`, the text of its arguments, and the path for the unit after it.

    A header that begins with `:` starts at the root; `*IDN?` and its like neither use nor move the path.
    """
    found = _UNIT.match(unit)
    header, arguments = found.groups() if found else ("", "")
    if header.startswith("*"):
        return header, arguments, path
    full = header[1:] if header.startswith(":") else path + header
    return full, arguments, full[: full.rfind(":") + 1]


def asks(message: str) -> bool:
    """Return whether a message holds a query; half a block makes it none."""
    if "?" not in message:
        return False
    try:
        return any(resolve_header(unit, "")[0].endswith("?") for unit in split_units(message))
    except ScpiError:
        return False
