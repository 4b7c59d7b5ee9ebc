"""How values are written in SCPI: numbers with units, switches, texts, channel lists and blocks.

Sources: SCPI-99 volume 1, chapter 7; IEEE 488.2-1992, chapters 7.7 and 8.7.
"""

import math
import re
from functools import lru_cache
from typing import NamedTuple

from labnb.sim.status import ScpiError

OVERLOAD = 9.9e37
"""What an instrument answers for a value beyond its range, and for infinity (SCPI-99 volume 1, 7.2.1.4)."""

NOT_A_NUMBER = 9.91e37
"""What it answers where there is no value (7.2.1.5)."""

MAX_CHANNEL_LIST = 1000
MAX_DIGITS = 255
MAX_EXPONENT = 32000


class Call(NamedTuple):  # one is made for each unit, and in a third of the time that a frozen dataclass takes
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


_NUMBER = re.compile(r"([+-]?(?:(?:\d+\.?\d*)|\.\d+))(?:\s*E\s*([+-]?\d+))?\s*([A-Z%/]*)", re.IGNORECASE | re.ASCII)
_RADIX = re.compile(r"#(?:H([0-9A-F]+)|Q([0-7]+)|B([01]+))", re.IGNORECASE | re.ASCII)
_CHANNELS = re.compile(r"\(@\s*(\d{1,6}(?:\s*:\s*\d{1,6})?(?:\s*,\s*\d{1,6}(?:\s*:\s*\d{1,6})?)*)\s*\)", re.ASCII)
_WORD = re.compile(r"[A-Z]\w*", re.IGNORECASE | re.ASCII)
_PREFIXES = {
    "EX": 1e18, "PE": 1e15, "T": 1e12, "G": 1e9, "MA": 1e6, "K": 1e3, "": 1.0,
    "M": 1e-3, "U": 1e-6, "N": 1e-9, "P": 1e-12, "F": 1e-15, "A": 1e-18,
}  # fmt: skip


def parse_number(text: str, unit: str = "") -> float:
    """Return the value of `text` in `unit`: `5`, `+5.0E-1`, `500mV`, `#H1F`.

    Raises -104 for something else, -121 for a digit that the radix does not have, -123 and -124 for what no
    instrument reads, -131 for another unit, -138 for a unit where there is none.
    """
    if text[:1] == "#":
        return _parse_radix(text)
    found = _NUMBER.fullmatch(text)
    if not found:
        raise ScpiError(-104, text)
    mantissa, exponent, suffix = found.groups()
    if len(mantissa) > MAX_DIGITS:
        raise ScpiError(-124, text)
    if exponent and (len(exponent) > 8 or abs(int(exponent)) > MAX_EXPONENT):
        raise ScpiError(-123, text)
    value = float(f"{mantissa}E{exponent}" if exponent else mantissa)
    if not suffix:
        return value
    if not unit:
        raise ScpiError(-138, text)
    return value * _multiplier(suffix.upper(), unit.upper(), text)


def _parse_radix(text: str) -> float:
    found = _RADIX.fullmatch(text)
    if not found:
        raise ScpiError(-121 if text[1:2].upper() in ("H", "Q", "B") else -104, text)
    if len(text) > MAX_DIGITS:
        raise ScpiError(-124, text)
    return float(int(found[1] or found[2] or found[3], {1: 16, 2: 8, 3: 2}[found.lastindex or 1]))


def _multiplier(suffix: str, unit: str, text: str) -> float:
    prefix = suffix.removesuffix(unit)
    if prefix == suffix:
        raise ScpiError(-131, text)
    if prefix == "M" and unit in ("HZ", "OHM"):  # SCPI-99 volume 1, 7.3: MHZ and MOHM are mega
        return 1e6
    if prefix not in _PREFIXES:
        raise ScpiError(-131, text)
    return _PREFIXES[prefix]


def is_word(text: str) -> bool:
    """Return whether `text` is character data: a letter, then letters, digits and underscores."""
    return _WORD.fullmatch(text) is not None


def parse_switch(text: str) -> bool:
    """Return what `ON`, `OFF` or a number, rounded, says. Raises -141 for another word, -104 for something else."""
    word = text.upper()
    if word in ("ON", "OFF"):
        return word == "ON"
    if is_word(text):
        raise ScpiError(-141, text)
    return abs(parse_number(text)) >= 0.5


def parse_text(text: str) -> str:
    """Return what stands in quotes of either kind; a doubled quote is one. Raises -104 without, -151 for half."""
    quote = text[:1]
    if quote not in ("'", '"'):
        raise ScpiError(-104, text)
    inner = text[1:-1].replace(2 * quote, "")
    if len(text) < 2 or text[-1] != quote or quote in inner:
        raise ScpiError(-151, text)
    return text[1:-1].replace(2 * quote, quote)


def format_text(text: str) -> str:
    """Return `text` in double quotes, its own ones doubled."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


@lru_cache(maxsize=1024)
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
    """Return `value` as an NR3 response: `+5.00000000E+00`; infinity and not-a-number as SCPI writes them."""
    if not math.isfinite(value):
        value = NOT_A_NUMBER if math.isnan(value) else math.copysign(OVERLOAD, value)
    return f"{value:+.8E}"


def encode_block(payload: bytes, digits: int = 0) -> bytes:
    """Return `payload` as a definite-length block; `digits` is the least width of its length field."""
    length = str(len(payload)).zfill(digits)
    if len(length) > 9:
        raise ValueError(f"{len(payload)} bytes do not fit a definite-length block: its length has at most 9 digits")
    return f"#{len(length)}{length}".encode("ascii") + payload


def decode_block(data: bytes) -> bytes:
    """Return the payload of the block that `data` is: `#15hello`, or `#0hello` up to its end but for a newline.

    Raises -161 when it is not whole, or when anything but white space comes after it.
    """
    if data.startswith(b"#0"):
        return data[2:].removesuffix(b"\n")
    found = re.match(rb"#([1-9])", data)
    digits = int(found[1]) if found else 0
    length = data[2 : 2 + digits]
    if not digits or len(length) < digits or not length.isdigit():
        raise ScpiError(-161)
    end = 2 + digits + int(length)
    if len(data) < end or data[end:].strip():
        raise ScpiError(-161)
    return data[2 + digits : end]
