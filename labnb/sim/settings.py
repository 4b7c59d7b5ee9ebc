"""What can be set on an instrument and asked back.

A setting is declared once, as a class attribute, and speaks SCPI from then on:

    class PowerSupply(Instrument):
        voltage = Number("[SOURce:]VOLTage", unit="V", low=0.0, high=(6.18, 30.9, 30.9), default=0.0, keys=(1, 2, 3))

    supply.voltage(1)      # what it is set to, in Python

A setting has one value for each of its `keys`: channel numbers, or spellings of the `{}` in its headers.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar, cast, overload

from labnb.sim.headers import expand, short_form
from labnb.sim.scpi import (
    Call,
    format_number,
    format_text,
    is_word,
    parse_number,
    parse_switch,
    parse_text,
)
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.instrument import Instrument

Key = int | str
T = TypeVar("T")
_UNSET = object()


class Setting(Generic[T]):
    """One setting; a subclass says how its values are written."""

    def __init__(self, *headers: str, default: T | tuple[T, ...], keys: Sequence[Key] = ("",)) -> None:
        self.headers = headers
        self.patterns: tuple[Key, ...] = tuple(keys)
        self.keys: tuple[Key, ...] = tuple(key_name(key) for key in keys)
        self.name = ""
        self._default = default
        self._defaults: dict[Key, T] = {}  # what `default` has said, for it is asked a million times

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instrument: None, owner: type) -> "Setting[T]": ...
    @overload
    def __get__(self, instrument: "Instrument", owner: type) -> "Callable[..., T]": ...
    def __get__(self, instrument: "Instrument | None", owner: type) -> "Setting[T] | Callable[..., T]":
        """On an instrument: a function of the key that returns the value."""
        return self if instrument is None else partial(self.read, instrument)

    def read(self, instrument: "Instrument", key: Key | None = None) -> T:
        """Return the value for `key`, by default the first."""
        if key is None:
            key = self.keys[0]
        stored = instrument.values.get((self.name, key), _UNSET)
        if stored is not _UNSET:
            return cast(T, stored)  # only `parse` stores under this name
        found = self._defaults.get(key, _UNSET)
        if found is _UNSET:
            found = self._defaults[key] = self.default(key)
        return cast(T, found)

    def default(self, key: Key) -> T:
        """Return the value for `key` after `*RST`."""
        return self._of(self._default, key)

    def _of(self, value: object, key: Key) -> T:
        """Return what a declaration gives for `key`: one value for all keys, or a tuple with one for each."""
        return cast(T, value[self.keys.index(key)] if isinstance(value, tuple) else value)

    def write(self, instrument: "Instrument", key: Key, text: str) -> None:
        """Set what `text` says. Raises ScpiError if it says nothing possible; the value then stays."""
        value = self.parse(text, key)
        instrument.values[self.name, key] = value
        instrument.changed(self.name, key)

    def command(self, instrument: "Instrument", call: Call) -> None:
        """Execute `HEADER value`."""
        self._plain(call).require(1, 1)
        for key in instrument.keys_of(self.keys, call):
            self.parse(call.arguments[0], key)  # all channels or none
        for key in instrument.keys_of(self.keys, call):
            self.write(instrument, key, call.arguments[0])

    def query(self, instrument: "Instrument", call: Call) -> str:
        """Answer `HEADER?`, for several channels separated by commas."""
        self._plain(call).require(0, 1)
        return ",".join([self.answer(instrument, key, call.arguments) for key in instrument.keys_of(self.keys, call)])

    def _plain(self, call: Call) -> Call:
        if call.block is not None:
            raise ScpiError(-104, "block")
        return call

    def answer(self, instrument: "Instrument", key: Key, arguments: list[str]) -> str:
        """Return the value for `key` as the instrument writes it."""
        if arguments:
            raise ScpiError(-108, arguments[0])
        return self.format(self.read(instrument, key))

    def parse(self, text: str, key: Key) -> T:
        """Return the value that `text` says. Raises ScpiError."""
        raise NotImplementedError

    def format(self, value: T) -> str:
        """Return how the instrument writes `value`."""
        return str(value)


class Number(Setting[float]):
    """A number within limits; `MIN`, `MAX` and `DEF` are understood, asked and set."""

    def __init__(
        self,
        *headers: str,
        default: float | tuple[float, ...],
        low: float | tuple[float, ...],
        high: float | tuple[float, ...],
        unit: str = "",
        keys: Sequence[Key] = ("",),
    ) -> None:
        super().__init__(*headers, default=default, keys=keys)
        self._low, self._high, self._unit = low, high, unit

    def parse(self, text: str, key: Key) -> float:
        """Raise -222 beyond the limits."""
        special = self._special(text, key)
        if special is not None:
            return special
        value = parse_number(text, self._unit)
        low, high = self._of(self._low, key), self._of(self._high, key)
        if low <= value <= high:
            return value
        slack = 1e-9 * max(abs(low), abs(high))  # a limit that went through text and units is still that limit
        if not low - slack <= value <= high + slack:
            raise ScpiError(-222, text)
        return min(max(value, low), high)

    def _special(self, text: str, key: Key) -> float | None:
        if not text[:1].isalpha():
            return None
        word = text.upper()
        if word in ("MIN", "MINIMUM"):
            return self._of(self._low, key)
        if word in ("MAX", "MAXIMUM"):
            return self._of(self._high, key)
        return self.default(key) if word in ("DEF", "DEFAULT") else None

    def answer(self, instrument: "Instrument", key: Key, arguments: list[str]) -> str:
        """Answer the value, or the limit that `MIN`, `MAX` or `DEF` asks for."""
        if not arguments:
            return self.format(self.read(instrument, key))
        special = self._special(arguments[0], key)
        if special is None:
            raise ScpiError(-224, arguments[0])
        return self.format(special)

    def format(self, value: float) -> str:
        """Write NR3."""
        return format_number(value)


class Whole(Number):
    """A whole number within limits, written as NR1."""

    def parse(self, text: str, key: Key) -> float:
        """Round to the next whole number."""
        return float(round(super().parse(text, key)))

    def format(self, value: float) -> str:
        """Write NR1."""
        return f"{value:.0f}"


class Switch(Setting[bool]):
    """ON or OFF, written 1 or 0."""

    def parse(self, text: str, key: Key) -> bool:
        """Understand ON, OFF and numbers."""
        return parse_switch(text)

    def format(self, value: bool) -> str:
        """Write 1 or 0."""
        return "1" if value else "0"


class Choice(Setting[str]):
    """One of several words, kept and written in its short form."""

    def __init__(self, *headers: str, choices: Sequence[str], default: str, keys: Sequence[Key] = ("",)) -> None:
        super().__init__(*headers, default=default, keys=keys)
        self._choices = {
            spelling: short_form(word) for word in choices for spelling in (word.upper(), short_form(word))
        }

    def parse(self, text: str, key: Key) -> str:
        """Raise -224 for another word, -104 for something else."""
        try:
            return self._choices[text.upper()]
        except KeyError:
            raise ScpiError(-224 if is_word(text) else -104, text) from None


class Text(Setting[str]):
    """A quoted text."""

    def parse(self, text: str, key: Key) -> str:
        """Raise -104 without quotes, -151 for half of them."""
        return parse_text(text)

    def format(self, value: str) -> str:
        """Write in double quotes."""
        return format_text(value)


def spellings(header: str, keys: Sequence[Key]) -> list[tuple[str, Key]]:
    """Return `header` for each key that a `{}` in it stands for, or itself with the first key."""
    if "{}" not in header:
        return [(header, "")]
    return [(header.replace("{}", str(key)), key_name(key)) for key in keys]


def key_name(key: Key) -> Key:
    """Return the short name of a key that is a header's node: `VOLTage[:DC]` -> `VOLT`."""
    return short_form(expand(key)[-1]) if isinstance(key, str) else key
