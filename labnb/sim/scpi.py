r"""How SCPI messages are written: the language alone: no instrument, no transport, no time.

Text is latin-1 everywhere, so that one character is one byte and binary blocks pass unharmed.

    "SOUR:VOLT 5V,(@1,2);CURR?\n"
     ├─ program message ───────┤   ended by a newline or by the bus's END
     ├─ unit ───────────┤├ unit┤   the second header is read below `SOUR:`, where the first one ended
     ├─ header ┤├ arguments ┤

Sources: SCPI-99 volume 1, chapters 6 and 7; IEEE 488.2-1992, chapter 7.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar, final

from labnb.sim.status import ScpiError

OVERLOAD = 9.9e37
"""What an instrument answers for a value beyond its range, and for infinity."""

MAX_CHANNEL_LIST = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One unit as its handler sees it."""

    arguments: list[str]
    channels: tuple[int, ...] | None = None
    suffixes: tuple[int, ...] = ()
    block: bytes | None = None
    key: str = ""
    """Which of the alternatives of a `{}` in the pattern was spelled."""

    def require(self, least: int, most: int) -> None:
        """Refuse too few (-109) or too many (-108) arguments."""
        if len(self.arguments) < least:
            raise ScpiError(-109)
        if len(self.arguments) > most:
            raise ScpiError(-108, ",".join(self.arguments[most:]))


# --- cutting ---------------------------------------------------------------------------------------------------------

_ATOM = re.compile(r"""[;,\n]|"[^"\n]*"|'[^'\n]*'|\([^()\n]*\)|\#([1-9])""")
_SHELTERS = re.compile(r"""["'(#]""")


def _cuts(text: str, separator: str) -> Iterator[int]:
    """Yield where `separator` stands outside of quotes, brackets and blocks; -1 last when a block is not whole."""
    position = 0
    while found := _ATOM.search(text, position):
        position = found.end()
        if found[1]:
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
    if length and not _is_digits(length):
        return start + 1
    if len(length) < digits:
        return len(text) + 1
    return start + 2 + digits + int(length)


def _is_digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


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


def split_messages(text: str, *, end: bool) -> tuple[list[str], str]:
    """Cut what has arrived into whole messages and the beginning of the next one.

    `end`: the bus has marked the last character as the last of a message.
    """
    messages: list[str] = []
    start = 0
    for cut in _cuts(text, "\n"):
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
    """Cut arguments at their commas; return plain ones, the channel list and the block apart."""
    arguments: list[str] = []
    channels: tuple[int, ...] | None = None
    block: bytes | None = None
    for piece in _split(text, ",") if text else []:
        word = piece.strip()
        if word.startswith("(@"):
            channels = parse_channels(word)
        elif len(word) > 1 and word[0] == "#" and word[1] in "123456789":
            block = decode_block(piece.lstrip().encode("latin-1"))
        elif word:
            arguments.append(word)
        else:
            raise ScpiError(-103, text)
    return arguments, channels, block


# --- values ----------------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:\s*E\s*[+-]?\d+)?)\s*([A-Z%/]*)", re.IGNORECASE | re.ASCII)
_RADIX = re.compile(r"#(?:H([0-9A-F]+)|Q([0-7]+)|B([01]+))", re.IGNORECASE | re.ASCII)
_CHANNELS = re.compile(r"\(@\s*(\d{1,6}(?:\s*:\s*\d{1,6})?(?:\s*,\s*\d{1,6}(?:\s*:\s*\d{1,6})?)*)\s*\)", re.ASCII)
_PREFIXES = {
    "EX": 1e18, "PE": 1e15, "T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3, "": 1.0,
    "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12, "F": 1e-15, "A": 1e-18,
}  # fmt: skip


def parse_number(text: str, unit: str = "") -> float:
    """Return the value of `text` in `unit`: `5`, `+5.0E-1`, `500mV`, `#H1F`. Raises -104, -131, -138."""
    if found := _RADIX.fullmatch(text):
        return float(int(found[1] or found[2] or found[3], {1: 16, 2: 8, 3: 2}[found.lastindex or 1]))
    found = _NUMBER.fullmatch(text)
    if not found:
        raise ScpiError(-104, text)
    value = float(found[1].replace(" ", ""))
    if not found[2]:
        return value
    if not unit:
        raise ScpiError(-138, text)
    return value * _multiplier(found[2].upper(), unit.upper(), text)


def _multiplier(suffix: str, unit: str, text: str) -> float:
    prefix = suffix.removesuffix(unit)
    if prefix == suffix:
        raise ScpiError(-131, text)
    if prefix == "M" and unit in ("HZ", "OHM"):  # SCPI-99 volume 1, 7.3: MHZ and MOHM are mega
        return 1e6
    if prefix not in _PREFIXES:
        raise ScpiError(-131, text)
    return _PREFIXES[prefix]


def parse_switch(text: str) -> bool:
    """Return what `ON`, `OFF` or a number says. Raises -104."""
    word = text.upper()
    return word == "ON" if word in ("ON", "OFF") else round(min(abs(parse_number(text)), 1e9)) != 0


def parse_channels(text: str) -> tuple[int, ...]:
    """Return the channels that `(@1,3:5)` names, in its order. Raises -104, -223."""
    found = _CHANNELS.fullmatch(text)
    if not found:
        raise ScpiError(-104, text)
    channels: list[int] = []
    for part in found[1].split(","):
        first, _, last = part.partition(":")
        start, stop = int(first), int(last or first)
        if abs(stop - start) + len(channels) >= MAX_CHANNEL_LIST:
            raise ScpiError(-223, text)
        channels += range(start, stop + 1) if start <= stop else range(start, stop - 1, -1)
    return tuple(channels)


def format_number(value: float) -> str:
    """Return `value` as an NR3 response: `+5.00000000E+00`."""
    return f"{value:+.8E}"


def encode_block(payload: bytes, digits: int = 0) -> bytes:
    """Return `payload` as a definite-length block; `digits` is the least width of its length field."""
    length = str(len(payload)).zfill(digits)
    if len(length) > 9:
        raise ValueError(f"{len(payload)} bytes do not fit a definite-length block: its length has at most 9 digits")
    return f"#{len(length)}{length}".encode("ascii") + payload


def decode_block(data: bytes) -> bytes:
    """Return the payload of the definite-length block that `data` is. Raises -161."""
    found = re.match(rb"#([1-9])", data)
    digits = int(found[1]) if found else 0
    length = data[2 : 2 + digits]
    if not digits or len(length) < digits or not length.isdigit() or len(data) < 2 + digits + int(length):
        raise ScpiError(-161)
    return data[2 + digits : 2 + digits + int(length)]


# --- headers ---------------------------------------------------------------------------------------------------------


def short_form(word: str) -> str:
    """Return the short form of a mnemonic as manuals write it: `VOLTage` -> `VOLT`."""
    return "".join(char for char in word if not char.islower())


def expand(pattern: str) -> list[str]:
    """Return every spelling of a pattern whose `[...]` nodes may be left out."""
    found = re.search(r"\[([^\[\]]*)\]", pattern)
    if not found:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return expand(before + found[1] + after) + expand(before + after)


@dataclass(slots=True)
class _Node(Generic[T]):
    children: "dict[str, _Node[T]]" = field(default_factory=dict)
    numbered: bool = False
    targets: dict[bool, T] = field(default_factory=dict)


@final
class Grammar(Generic[T]):
    """A tree of headers; `T` is what stands at its leaves, one for the command and one for the query."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        """Take patterns as manuals write them: `[SOURce#:]VOLTage[:LEVel]?`; `#` is a numeric suffix."""
        self._root: _Node[T] = _Node()
        self._found: dict[str, tuple[T, tuple[int, ...]]] = {}
        for pattern, target in entries:
            for spelling in expand(pattern.removesuffix("?")):
                self._insert(spelling, target, query=pattern.endswith("?"))

    def _insert(self, spelling: str, target: T, *, query: bool) -> None:
        node = self._root
        for word in filter(None, spelling.split(":")):
            mnemonic = word.removesuffix("#")
            long, short = mnemonic.upper(), short_form(mnemonic)
            child = node.children.get(long) or node.children.get(short) or _Node()
            child.numbered |= word.endswith("#")
            node.children[long] = node.children[short] = child
            node = child
        node.targets[query] = target

    def find(self, header: str) -> tuple[T, tuple[int, ...]]:
        """Return the target of `header` and its numeric suffixes. Raises -113."""
        known = self._found.get(header)
        if known is None:
            known = self._walk(header)
            if len(self._found) < 4096:
                self._found[header] = known
        return known

    def _walk(self, header: str) -> tuple[T, tuple[int, ...]]:
        query = header.endswith("?")
        node, suffixes = self._root, list[int]()
        for word in header.removesuffix("?").upper().split(":"):
            node, suffix = _descend(node, word, header)
            suffixes += suffix
        if query not in node.targets:
            raise ScpiError(-113, header)
        return node.targets[query], tuple(suffixes)


def _descend(node: _Node[T], word: str, header: str) -> tuple[_Node[T], list[int]]:
    child = node.children.get(word)
    if child is not None:
        return child, [1] if child.numbered else []
    mnemonic = word.rstrip("0123456789")
    child = node.children.get(mnemonic)
    if child is None or not child.numbered or len(word) - len(mnemonic) > 6:
        raise ScpiError(-113, header)
    return child, [int(word[len(mnemonic) :])]


_UNIT = re.compile(r"\s*(\S+)\s*(.*)", re.DOTALL)


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
