"""The limits of an instrument, and how every way to its quantities is judged by them."""

import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from labnb.core import LimitError, unknown
from labnb.instruments.guard import Setting, moves_unseen, restores, selected_by
from labnb.instruments.limits import Bounds
from labnb.instruments.message import Unit, number_of, units_of
from labnb.instruments.ramp import Interlock, Pace
from labnb.instruments.validators import Bool

if TYPE_CHECKING:
    from labnb.instruments.parameter import Parameter
    from labnb.instruments.quantity import Quantity

_SWITCH = Bool()
_CHANNEL = re.compile(r"channel (\d+) (.+)")


class Guarded:
    """The part of an instrument that forbids. A subclass says which parameters there are."""

    settings: ClassVar[tuple[Setting, ...]] = ()
    """Commands beyond the declared parameters' own in which limits have to be recognised."""
    unseen: ClassVar[tuple[str, ...]] = ()
    """Words of commands that move a limited quantity so that nobody can see in them how far, as manuals write them."""
    limitable: ClassVar[Mapping[str, str]] = {}
    """What can be limited beyond the declared parameters, and its unit: `{"channel {} voltage": "V"}`."""
    channel_numbers: tuple[int, ...] = ()
    """The channels that `{}` stands for."""

    name: str

    def __init__(self) -> None:
        self.known: dict[str, tuple[Any, str]] = {}  # last set or read: name -> (value, unit); Any: the quantity's type
        self.safety: dict[str, Bounds] = {}  # limits that people have set, on top of the instrument's ranges
        self.interlocks: dict[str, list[Interlock]] = {}
        self.paces: dict[str, Pace] = {name: known.pace for name, known in self.declared().items() if known.pace}
        self.turns: dict[str, object] = {}  # which ramp of a quantity is the one that goes on
        self._recognised: tuple[Setting, ...] | None = None

    def declared(self) -> "Mapping[str, Parameter[Any]]":  # Any: of every kind
        """Return all that is declared, by name."""
        return {}

    def restrict(self, name: str, bounds: Bounds) -> None:
        """Put the safety limit of the quantity `name` in force; warn if the value last known lies outside."""
        self.safety[name] = bounds
        for value in self.reached(name):
            if not bounds.low <= value <= bounds.high:
                warnings.warn(
                    f"{self.name}: {name} is {value:g} {bounds.unit}".rstrip()
                    + f", outside of its new safety limit {bounds}; it stays there until it is set",
                    UserWarning,
                    stacklevel=3,
                )
                return

    def reached(self, name: str) -> Iterable[float]:
        """Return the values that the quantity `name` is known to have, or to run between, without asking."""
        value, _ = self.known.get(name, (None, ""))
        return (value,) if isinstance(value, int | float) else ()

    def interlock(self, name: str, allows: Callable[[Any], object], otherwise: str) -> None:
        """Refuse to set the quantity `name` unless `allows(value)`; `otherwise` says what to do: "close the lid".

        Raises LimitError if the instrument has no such quantity.
        """
        known = dict.fromkeys([*self.declared(), *self._all_limitable()])
        for setting in self.settings:
            known |= dict.fromkeys(setting.among(self.channel_numbers))
        if name not in known:
            raise LimitError(f"{self.name}: {unknown(name, known, 'quantity to lock')}")
        self.interlocks.setdefault(name, []).append(Interlock(allows, otherwise))

    def permit(self, name: str, number: float, what: str) -> None:
        """Raise LimitError unless the safety limit and the interlocks of the quantity `name` allow `number` now."""
        if (bounds := self.safety.get(name)) is not None:
            bounds.check(number, what)
        self.unlocked(name, number, what)

    def unlocked(self, name: str, value: object, what: str) -> None:
        """Raise LimitError unless the interlocks of the quantity `name` allow `value` now."""
        for interlock in self.interlocks.get(name, ()):
            interlock.check(value, what)

    def range_of(self, name: str) -> Bounds | None:
        """Return what the instrument takes for a quantity that is not a Parameter; None if it is not declared."""
        return None

    def weigh(self, name: str, value: object) -> None:
        """Raise LimitError if `value` of the quantity `name` comes to what limits forbid, with what else is set.

        It asks the instrument, in the lane, before a command that a person wrote is sent, and before the driver's own
        methods bring something into force. A driver says here what depends on what.
        """

    def unit_of(self, name: str) -> str | None:
        """Return the unit of what `limitable` declares, None if it does not."""
        found = _CHANNEL.fullmatch(name)
        if found is None:
            return self.limitable.get(name)
        return self.limitable.get(f"channel {{}} {found[2]}") if int(found[1]) in self.channel_numbers else None

    def _all_limitable(self) -> Iterator[str]:
        for name in self.limitable:
            yield from (name.format(number) for number in self.channel_numbers) if "{}" in name else (name,)

    def judge(self, message: str, *, by_hand: bool = False) -> list[tuple[str, object]]:
        """Raise LimitError if the command `message` would set something that limits forbid; return what to `weigh`.

        So does one that touches a limited quantity in a way that cannot be judged, and, `by_hand`, one that would
        jump where a ramp is declared.
        """
        limited = {**self.safety, **self.interlocks, **(self.paces if by_hand else {})}
        if not limited or (only_asks(message) and not (by_hand and self.unseen)):
            return []
        try:
            units = units_of(message)
        except ValueError as error:
            raise self._refusal(message, f"it cannot be read ({error})", limited) from None
        selected: int | None = None
        weighed: list[tuple[str, object]] = []
        for unit in units:
            selected = selected_by(unit, selected)
            recognised = False if unit.asks else self._judge_unit(unit, selected, limited, weighed)
            if restores(unit) and not unit.asks:
                raise self._refusal(unit.text, "what it brings back cannot be seen in it", limited)
            if by_hand and not recognised and moves_unseen(unit, self.unseen) and (self.safety or self.interlocks):
                raise self._refusal(unit.text, "what it comes to cannot be seen in it", limited)
        if len(weighed) > 1 and not all(value is True for _, value in weighed):
            raise self._refusal(
                message, "what its parts come to together cannot be seen; write them one by one", limited
            )
        return weighed

    def _judge_unit(
        self, unit: Unit, selected: int | None, limited: Mapping[str, object], weighed: list[tuple[str, object]]
    ) -> bool:
        """Judge what a command sets, note what is to be weighed; return whether it is one that can be judged."""
        found = [setting for setting in self._all_settings() if setting.matches(unit)]
        channels = {int(each[1]) for each in map(_CHANNEL.fullmatch, limited) if each}
        for setting in found:
            names = {*limited, *(setting.among(channels) if setting.weighed else ())}
            for name, text in setting.values(unit, selected, names):
                if isinstance(limited.get(name), Pace):
                    raise self._refusal(
                        unit.text, f"{name} moves in steps; use {self.name}.{name}.set(...)", {name: None}
                    )
                value = self._judge_value(unit, setting, name, text)
                if setting.weighed and value is not False:
                    weighed.append((name, value))
        return bool(found)

    def doubt_ramps(self, message: str) -> None:
        """Forget where ramped quantities are that `message` sets: their next ramp starts from what is read."""
        ramped = [name for name in self.known if name in self.paces]
        if not ramped or only_asks(message):
            return
        try:
            units = units_of(message)
        except ValueError:
            units = []
        settings = self._all_settings()
        for name in ramped:
            mine = [setting for setting in settings if name in setting.names]
            if not mine or not units or any(setting.matches(unit) for setting in mine for unit in units):
                self.known.pop(name, None)

    def _all_settings(self) -> tuple[Setting, ...]:
        if self._recognised is None:
            self._recognised = tuple(self._settings())
        return self._recognised

    def _judge_value(self, unit: Unit, setting: Setting, name: str, text: str) -> object:
        try:
            value = _SWITCH.read(text) if setting.switch else self._meant(name, text)
        except ValueError as error:
            raise self._refusal(unit.text, f"{text!r} sets {name}, and {error}", {name: None}) from None
        try:
            if not (setting.switch and not value):  # switching off is never forbidden
                self.permit(name, cast(float, value), f"{self.name} {name}")
        except LimitError as error:
            raise LimitError(f"{error} (in {unit.text!r})") from error
        return value

    def _meant(self, name: str, text: str) -> object:
        """Return what an argument sets. Raises ValueError if that is not sure."""
        if name in self.declared():
            return cast("Quantity[Any]", getattr(self, name)).meant_by(text)
        whole = self.range_of(name)
        end = {"MIN": "low", "MINIMUM": "low", "MAX": "high", "MAXIMUM": "high"}.get(text.upper())
        if end is None:
            number = number_of(text, whole.unit if whole else self.unit_of(name) or "")
        else:
            number = getattr(whole, end) if whole else None
        if number is None or math.isinf(number):
            raise ValueError("how much that is cannot be told")
        return number

    def _settings(self) -> Iterator[Setting]:
        yield from self.settings
        for declared in self.declared().values():
            setting = declared.setting()
            if setting is not None:
                yield setting

    def _refusal(self, text: str, why: str, limited: Mapping[str, object]) -> LimitError:
        names = ", ".join(limited)
        return LimitError(
            f"{self.name}: {text!r} is refused, because {names} has limits and {why}; use the instrument's own methods, "
            f"or write a plain number in the base unit, naming the channel; nothing was sent"
        )


def only_asks(message: str) -> bool:
    """Return whether `message` is one query: most are, and nothing in it needs to be judged."""
    header = message.split(None, 1)[0] if message.strip() else "?"
    return header.endswith("?") and not any(char in message for char in ";\n\r")
