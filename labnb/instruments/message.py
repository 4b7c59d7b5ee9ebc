"""What a command that a person wrote says: SCPI program messages, cut into units and compared with headers.

Only as much of the language as judging needs, and always to the safe side: what may be meant counts as meant. Sources:
IEEE 488.2-1992, chapter 7; SCPI-99 volume 1, chapter 6.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_CHANNELS = re.compile(r"\(@([\d\s,:]*)\)")
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:\s*E\s*[+-]?\d+)?)\s*([A-Z%/]*)", re.IGNORECASE | re.ASCII)
_UNIT = re.compile(r"(\S+)\s*(.*)", re.DOTALL)
_PREFIXES = {
    "EX": 18, "PE": 15, "T": 12, "G": 9, "MA": 6, "K": 3, "": 0, "M": -3, "U": -6, "N": -9, "P": -12, "F": -15, "A": -18,
}  # fmt: skip
_FIRST = re.compile(r"(?:SOUR(?:CE)?|LIST)\d*")
_LAST = re.compile(r"LEV(?:EL)?|IMM(?:EDIATE)?|AMPL(?:ITUDE)?|TRIG(?:GERED)?")
_MOST_CHANNELS = 1000


@dataclass(frozen=True, slots=True)
class Unit:
    """One command of a message. `headers` are the ways to read its header: below the one before it, and at the root."""

    text: str
    headers: tuple[tuple[str, ...], ...]
    arguments: tuple[str, ...]
    channels: tuple[int, ...] | None
    """Which channels it names; None if it names none."""

    @property
    def asks(self) -> bool:
        """Whether it is a query: it sets nothing."""
        return self.headers[0][-1].endswith("?")


def units_of(message: str) -> list[Unit]:
    """Return the units of `message`, newlines and semicolons between. Raises ValueError if it is cut off somewhere."""
    units: list[Unit] = []
    path: tuple[str, ...] = ()
    for line in _split(message.replace("\r", "\n"), "\n"):  # a carriage return ends a message, too, on serial lines
        path = ()
        for text in _split(line, ";"):
            found = _UNIT.match(text.strip())
            if found is not None:
                unit = _unit(text.strip(), found[1].upper(), found[2], path)
                if not found[1].startswith("*"):
                    path = unit.headers[0][:-1]
                units.append(unit)
    return units


def _unit(text: str, header: str, arguments: str, path: tuple[str, ...]) -> Unit:
    words = tuple(word for word in header.split(":") if word) or (header,)
    below = () if header.startswith((":", "*")) else path
    pieces = [piece.strip() for piece in _split(arguments, ",") if piece.strip()]
    plain = tuple(piece for piece in pieces if not piece.startswith("(@"))
    lists = [piece for piece in pieces if piece.startswith("(@")]
    return Unit(text, (below + words, words) if below else (words,), plain, _channels(lists))


def _channels(lists: list[str]) -> tuple[int, ...] | None:
    if not lists:
        return None
    channels: list[int] = []
    for text in lists:
        found = _CHANNELS.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no list of channels")
        for part in found[1].split(","):
            first, _, last = part.partition(":")
            low, high = sorted((int(first), int(last or first)))
            if high - low > _MOST_CHANNELS:
                raise ValueError(f"{text!r} names too many channels")
            channels += range(low, high + 1)
    return tuple(channels)


def _split(text: str, separator: str) -> Iterator[str]:
    """Cut `text` at `separator` outside of quotes, brackets and blocks."""
    start = position = 0
    while position < len(text):
        char = text[position]
        if char == separator:
            yield text[start:position]
            start = position + 1
        elif char in "\"'(":
            position = _end_of_shelter(text, position, ")" if char == "(" else char)
        elif char == "#" and text[position + 1 : position + 2] in tuple("123456789"):
            position = _end_of_block(text, position)
        position += 1
    yield text[start:]


def _end_of_shelter(text: str, start: int, closing: str) -> int:
    end = text.find(closing, start + 1)
    if end < 0:
        raise ValueError(f"{text[start:]!r} does not end")
    return end


def _end_of_block(text: str, start: int) -> int:
    digits = int(text[start + 1])
    length = text[start + 2 : start + 2 + digits]
    if len(length) < digits or not length.isdecimal() or start + 2 + digits + int(length) > len(text):
        raise ValueError(f"{text[start : start + 12]!r} begins a block that does not end")
    return start + 1 + digits + int(length)


def plain_header(words: tuple[str, ...]) -> tuple[tuple[str, ...], int | None]:
    """Return a header without the nodes that SCPI lets out, and the numeric suffix of the first word that has one.

    `SOURCE2:VOLTAGE:LEVEL:IMMEDIATE` is `VOLTAGE` of channel 2. `LIST:` and `:TRIGgered` count as left out too: what
    they prepare is set later without a further word.
    """
    suffix: int | None = None
    kept: list[str] = []
    for place, word in enumerate(words):
        mnemonic = word.rstrip("0123456789")
        digits = word[len(mnemonic) :]
        if digits and suffix is None:
            suffix = int(digits)
        if place < len(words) - 1 and not kept and _FIRST.fullmatch(word.upper()):
            continue
        kept.append(mnemonic)
    while len(kept) > 1 and _LAST.fullmatch(kept[-1].upper()):
        kept.pop()
    return tuple(kept), suffix


def same_header(declared: tuple[str, ...], written: tuple[str, ...]) -> bool:
    """Return whether two plain headers may be the same: word by word one form is the beginning of the other."""
    return len(declared) == len(written) and all(map(_same_word, declared, written))


def _same_word(declared: str, written: str) -> bool:
    short = "".join(char for char in declared if not char.islower()) or declared
    full, written = declared.upper(), written.upper()
    return written in (short, full) or written.startswith(full) or (written.startswith(short) and len(short) >= 3)


def number_of(text: str, unit: str) -> float | None:
    """Return the number that `text` says in `unit`: `5`, `+5.0E-1`, `500mV`; None if it says none for certain."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    number, suffix, unit = float(found[1].replace(" ", "")), found[2].upper(), unit.upper()
    if not suffix or suffix == unit:
        return number
    prefix = suffix.removesuffix(unit) if unit else suffix
    if not unit or prefix == suffix or prefix not in _PREFIXES:
        return None
    exponent = 6 if prefix == "M" and unit in ("HZ", "OHM") else _PREFIXES[prefix]  # SCPI-99 volume 1, 7.3
    return number * 10**exponent if exponent >= 0 else number / 10**-exponent
