"""Which quantities a command sets that a person wrote, so that limits hold there too.

A driver's own commands tell most of it (`Parameter("SETP {:.3f}")`); `Setting` says the rest, as in a manual:

```python
settings = (Setting("VOLTage", "channel {} voltage"), Setting("APPLy", "channel {} voltage", "channel {} current"))
```
The names are those that limits are kept under; `{}` stands for the channel. What else moves a quantity, so that nobody
can see in it how far, is refused by hand while there are limits: `unseen` names the words of such commands.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from string import Formatter

from labnb.instruments.message import Unit, plain_header, same_header, units_of

_CHANNEL_WORD = re.compile(r"(?:CH|OUT|OUTP|OUTPUT)(\d+)", re.IGNORECASE)
_RESTORING = (("*RCL",), ("*DMC",), ("*DDT",), ("SYSTem", "SET"), ("MEMory", "STATe", "RECall"))


@dataclass(frozen=True, slots=True)
class Setting:
    """A command that sets the quantities `names`, one with each argument; `fixed` arguments only tell what it sets.

    `weighed`: what it comes to depends on what else is set, which the instrument is asked for before it is sent.
    """

    header: str
    names: tuple[str | None, ...]
    fixed: Mapping[int, str] = field(default_factory=dict[int, str])
    channel: tuple[int, ...] | None = None
    switch: bool = False
    weighed: bool = False

    def __init__(
        self,
        header: str,
        *names: str | None,
        fixed: Mapping[int, str] | None = None,
        channel: tuple[int, ...] | None = None,
        switch: bool = False,
        weighed: bool = False,
    ) -> None:
        """Say which quantity each argument sets (None: no one's), and for which channels; `switch`: on or off."""
        object.__setattr__(self, "header", header)
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "fixed", dict(fixed or {}))
        object.__setattr__(self, "channel", channel)
        object.__setattr__(self, "switch", switch)
        object.__setattr__(self, "weighed", weighed or switch)

    def among(self, channels: Collection[int]) -> Iterator[str]:
        """Yield the names of what it sets, for each of `channels`."""
        for name in filter(None, self.names):
            yield from (name.format(number) for number in channels) if "{}" in name else (name,)

    @classmethod
    def of(cls, template: str, name: str) -> "Setting | None":
        """Return what `template`, a command with one place for a value, sets; None if it cannot be told."""
        text = "".join(
            literal + ("" if place is None else "\0") for literal, place, _, _ in Formatter().parse(template)
        )
        try:
            units = units_of(text)
        except ValueError:
            return None
        holding = [unit for unit in units if any("\0" in argument for argument in unit.arguments)]
        if len(holding) != 1:
            return None
        unit = holding[0]
        names = tuple(name if "\0" in argument else None for argument in unit.arguments)
        fixed = {place: text for place, text in enumerate(unit.arguments) if "\0" not in text}
        return cls(":".join(unit.headers[0]), *names, fixed=fixed, channel=unit.channels)

    def matches(self, unit: Unit) -> bool:
        """Return whether `unit` may be this command."""
        if not any(self._matches_header(words) for words in unit.headers):
            return False
        if self.channel is not None and unit.channels is not None and not set(self.channel) & set(unit.channels):
            return False
        return not any(
            place < len(unit.arguments) and _differ(text, unit.arguments[place]) for place, text in self.fixed.items()
        )

    def _matches_header(self, words: tuple[str, ...]) -> bool:
        declared, suffix = _plain_declared(self.header)
        written, other = plain_header(words)
        if self.switch:
            declared, written = _without_state(declared), _without_state(written)
        if suffix is not None and suffix != (1 if other is None else other):  # SCPI-99 volume 1, 6.2.5.2: none is 1
            return False
        return same_header(declared, written)

    def values(self, unit: Unit, selected: int | None, limited: Collection[str]) -> Iterator[tuple[str, str]]:
        """Yield which of the `limited` quantities `unit` sets, and the text of each value."""
        arguments, channels = unit.arguments, unit.channels
        if self.channel is not None and channels is None and selected is not None and selected not in self.channel:
            return
        if arguments and (found := _CHANNEL_WORD.fullmatch(arguments[0])):
            arguments, channels = arguments[1:], (int(found[1]),)
        if channels is None and arguments:
            suffix = next((plain_header(words)[1] for words in unit.headers if plain_header(words)[1]), None)
            named = suffix if suffix is not None else selected
            channels = None if named is None else (named,)
        arguments = arguments or ("",) * len(self.names)  # `VOLT+5`: a value that hides in the header
        names = self.names if len(self.names) > 1 else self.names * len(arguments)
        for name, text in zip(names, arguments, strict=False):
            for meant in _meant(name, channels, limited):
                yield meant, text
        if len(names) < len(arguments):
            for meant in limited:
                yield meant, ",".join(arguments)  # more than the command takes: nothing that can be judged


@cache
def _plain_declared(header: str) -> tuple[tuple[str, ...], int | None]:
    return plain_header(tuple(header.split(":")))


def _without_state(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a switch's header without the node that SCPI lets out: `OUTPut:STATe`."""
    return words[:-1] if len(words) > 1 and words[-1].upper() in ("STAT", "STATE") else words


def _meant(name: str | None, channels: tuple[int, ...] | None, limited: Collection[str]) -> list[str]:
    if name is None:
        return []
    if "{}" not in name:
        return [name] if name in limited else []
    if channels is not None:
        return [name.format(channel) for channel in channels if name.format(channel) in limited]
    before, after = name.split("{}")
    return [known for known in limited if known.startswith(before) and known.endswith(after)]


def _differ(one: str, other: str) -> bool:
    try:
        return float(one) != float(other)
    except ValueError:
        return one.upper() != other.upper()


def selected_by(unit: Unit, before: int | None) -> int | None:
    """Return the channel that commands without one are for after `unit` (`INST:NSEL 2`, `INST CH2`)."""
    for words in unit.headers:
        plain, _ = plain_header(words)
        if not unit.asks and any(
            same_header(declared, plain)
            for declared in (("INSTrument",), ("INSTrument", "SELect"), ("INSTrument", "NSELect"))
        ):
            digits = re.search(r"(\d+)$", unit.arguments[0]) if unit.arguments else None
            return int(digits[1]) if digits else None
    return before


def moves_unseen(unit: Unit, words: Collection[str]) -> bool:
    """Return whether one of `words` (`"FUNCtion"`, `"MEASure?"`) stands in `unit`, which does more than switch off."""
    if unit.arguments and all(text.upper() == "OFF" for text in unit.arguments):
        return False
    end = "?" if unit.asks else ""
    asked = tuple(word.removesuffix("?") for word in words if word.endswith("?") == unit.asks)
    written = [word.removesuffix(end) for header in unit.headers for word in header]
    return any(same_header((declared,), (word.rstrip("0123456789"),)) for declared in asked for word in written)


def restores(unit: Unit) -> bool:
    """Return whether `unit` brings back settings that nobody can see in it (`*RCL 1`)."""
    return any(same_header(declared, words) for words in unit.headers for declared in _RESTORING)
