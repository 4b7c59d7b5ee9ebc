"""Quantities and switches that an instrument class declares."""

import inspect
from collections.abc import Callable
from string import Formatter
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar, cast, overload

from labnb.core import InstrumentError
from labnb.instruments.arrays import Arrays
from labnb.instruments.guard import Setting
from labnb.instruments.message import units_of
from labnb.instruments.quantity import Quantity, Relay
from labnb.instruments.ramp import Pace
from labnb.instruments.validators import Anything, Bool, Numbers, Strings, Validator

if TYPE_CHECKING:
    from labnb.instruments.instrument import Instrument

T = TypeVar("T")

Setter = str | Callable[[Any], object]  # Any: a function of whatever the quantity's values are
Getter = str | Callable[[], object]


class Parameter(Generic[T]):
    """Something that an instrument holds or measures, declared in its class.

    `set` is the command with a place for the value (`"SETP {:.3f}"`), `get` the query (`"SETP?"`); leave out what
    does not exist. `vals` says what it takes (Numbers, Ints, Enum, Bool, Strings, Arrays; numbers if left out), and
    `within=(low, high)` is short for `vals=Numbers(low, high)`. What goes over the wire is the value times `scale`.
    With `max_step` and `max_rate` (in `unit` a second) it moves in steps. Use it as `await oven.setpoint.set(300)` and
    `await oven.temperature.get()`.

    Raises InstrumentError if the declaration contradicts itself.
    """

    @overload
    def __init__(
        self: "Parameter[float]",
        set: Setter | None = None,
        get: Getter | None = None,
        *,
        unit: str = "",
        within: tuple[float, float] | None = None,
        vals: None = None,
        scale: float = 1.0,
        max_step: float | None = None,
        max_rate: float | None = None,
        parse: Callable[[Any], object] | None = None,  # Any: a text, or what the function that gets it returns
        doc: str = "",
    ) -> None: ...
    @overload
    def __init__(
        self,
        set: Setter | None = None,
        get: Getter | None = None,
        *,
        unit: str = "",
        within: None = None,
        vals: Validator[T],
        scale: float = 1.0,
        max_step: float | None = None,
        max_rate: float | None = None,
        parse: Callable[[Any], object] | None = None,
        doc: str = "",
    ) -> None: ...
    def __init__(
        self,
        set: Setter | None = None,  # noqa: A002  reads as in the manual: Parameter(set=..., get=...)
        get: Getter | None = None,
        *,
        unit: str = "",
        within: tuple[float, float] | None = None,
        vals: Validator[Any] | None = None,
        scale: float = 1.0,
        max_step: float | None = None,
        max_rate: float | None = None,
        parse: Callable[[Any], object] | None = None,
        doc: str = "",
    ) -> None:
        self.setter, self.getter, self.unit, self.doc = set, get, unit, doc
        self.__doc__ = f"{doc} ({unit})" if unit else doc
        self.name = ""
        self.scale, self.parse = scale, parse
        self.pace = Pace(max_step, max_rate)
        self.vals = cast(Validator[T], self._kind(vals, within))
        self._check()

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instrument: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instrument: "Instrument", owner: type) -> "Quantity[T]": ...
    def __get__(self, instrument: "Instrument | None", owner: type) -> "Self | Quantity[T]":
        return self if instrument is None else instrument.bound(self.name, lambda: self.of(instrument))

    def __set__(self, instrument: "Instrument", value: object) -> NoReturn:
        raise AttributeError(f"use {instrument.name}.{self.name}.set({value!r}); assigning would not wait or check")

    def of(self, instrument: "Instrument") -> "Quantity[T]":
        """Return the quantity of one instrument."""
        return Quantity(instrument, self)

    def command(self, wire: object) -> str:
        """Return the command that sets what `wire` stands for."""
        try:
            return str(self.setter).format(wire)
        except ValueError as error:
            raise InstrumentError(
                f"parameter {self.name!r}: {wire!r} cannot be written into {self.setter!r} ({error}); "
                "has it the right vals=? {:d} wants Ints(), {:.3f} numbers"
            ) from error

    def written(self, wire: object) -> str:
        """Return the digits that stand for `wire` in the command."""
        (form,) = (form or "" for _, place, form, _ in Formatter().parse(str(self.setter)) if place is not None)
        return format(wire, form)

    def setting(self) -> Setting | None:
        """Return what its command sets, for recognising it in other texts; None if it cannot be told."""
        return Setting.of(self.setter, self.name) if isinstance(self.setter, str) else None

    @property
    def help(self) -> str:
        """What `help(oven.setpoint)` shows."""
        unit = f", in {self.unit}" if self.unit else ""
        lines = [self.__doc__ or self.name, "", f"Takes {self.vals.expected}{unit}." if self.setter else "Read only."]
        lines += [f"Set by {self.setter!r}."] if isinstance(self.setter, str) else []
        lines += [f"Asked by {self.getter!r}."] if isinstance(self.getter, str) else []
        return "\n".join(lines)

    def _kind(self, vals: Validator[Any] | None, within: tuple[float, float] | None) -> Validator[Any]:
        if vals is not None and within is not None:
            raise self._wrong("give vals= or within=, not both")
        if vals is not None and not isinstance(cast(object, vals), Validator):
            raise self._wrong(f"vals= is Numbers(0, 10), Enum('A', 'B') and the like, got {vals!r}")
        if within is not None:
            return Numbers(*within)
        functions = callable(self.getter) or callable(self.setter)
        return vals or (Anything() if functions else Numbers())

    def _check(self) -> None:
        for given, what in ((self.setter, "set"), (self.getter, "get")):
            if given is not None and not isinstance(given, str) and not callable(cast(object, given)):
                raise self._wrong(f"{what} is a command or a function, got {given!r}")
            if inspect.iscoroutinefunction(given):
                raise self._wrong(f"{what} must be a plain function: it runs in the instrument's lane")
        if isinstance(self.setter, str) and _places(self.setter) != 1:
            raise self._wrong(f"{self.setter!r} needs exactly one place for the value, such as 'VOLT {{}}'")
        if isinstance(self.vals, Strings) and self.vals.quoted and isinstance(self.setter, str) and '"{' in self.setter:
            raise self._wrong(f"{self.setter!r} quotes a text that Strings quotes too; leave the quotes out")
        if self.scale != 1.0 and (not self.vals.continuous or not 0 < abs(self.scale) < float("inf")):
            raise self._wrong(f"scale={self.scale!r} has no meaning for {self.vals.expected}")
        if self.pace:
            self.check_pace()

    def check_pace(self) -> None:
        """Raise InstrumentError if the quantity cannot move in steps."""
        if not self.vals.continuous or isinstance(self.vals, Arrays):
            raise self._wrong(f"max_step and max_rate have no meaning for {self.vals.expected}")
        if self.setter is None or self.getter is None:
            raise self._wrong("max_step and max_rate need set= and get=: a ramp starts from what the instrument has")

    def _wrong(self, problem: str) -> InstrumentError:
        told = self.setter or self.getter
        return InstrumentError(f"parameter {self.name or getattr(told, '__name__', told)!r}: {problem}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {self.vals.expected}>"


class Switch(Parameter[bool]):
    """Something that is on or off, declared in an instrument's class by its two commands and its query.

    In the class body `heater.off` is the command, which is what `safe_state` wants; on an instrument
    `await oven.heater.off()` does it.
    """

    def __init__(self, on: str, off: str, get: str, *, doc: str = "") -> None:
        self.on, self.off = on, off
        super().__init__(None, get, vals=Bool(), doc=doc)
        self.setter = on  # it has two commands; see `command`

    @overload
    def __get__(self, instrument: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instrument: "Instrument", owner: type) -> Relay: ...
    def __get__(self, instrument: "Instrument | None", owner: type) -> "Self | Relay":
        return self if instrument is None else instrument.bound(self.name, lambda: self.of(instrument))

    def __set__(self, instrument: "Instrument", value: object) -> NoReturn:
        raise AttributeError(f"use {instrument.name}.{self.name}.on() or .off()")

    def of(self, instrument: "Instrument") -> Relay:
        """Return the relay of one instrument."""
        return Relay(instrument, self)

    def command(self, wire: object) -> str:
        """Return one of the two commands."""
        return self.on if wire in (True, "ON") else self.off

    def setting(self) -> Setting | None:
        """Return the command whose last argument says on or off; None if there is none."""
        try:
            units = units_of(self.on)
        except ValueError:
            return None
        if len(units) != 1 or not units[0].arguments:
            return None
        *fixed, _ = units[0].arguments
        names = (*(None for _ in fixed), self.name)
        header = ":".join(units[0].headers[0])
        return Setting(header, *names, fixed=dict(enumerate(fixed)), channel=units[0].channels, switch=True)


def _places(template: str) -> int:
    try:
        return sum(place is not None for _, place, _, _ in Formatter().parse(template))
    except ValueError as error:
        raise InstrumentError(
            f"parameter {template!r}: braces are for the value; write {{{{ for one ({error})"
        ) from None
