"""Quantities and switches that an instrument class declares."""

from typing import TYPE_CHECKING, NoReturn, Self, overload

from labnb.instruments.action import Action
from labnb.instruments.lane import Lane
from labnb.instruments.limits import Bounds, Limit, to_bounds, to_number

if TYPE_CHECKING:
    from labnb.instruments.instrument import Instrument


class Parameter:
    """A number that an instrument holds or measures, declared in its class.

    `set` is the command with a place for the value (`"SETP {:.3f}"`), `get` the query (`"SETP?"`); leave out what
    does not exist. `within=(low, high)` is what the instrument takes. Use it as `await oven.setpoint.set(300)` and
    `await oven.temperature.get()`.
    """

    def __init__(
        self,
        set: str | None = None,  # noqa: A002  reads as in the manual: Parameter(set=..., get=...)
        get: str | None = None,
        *,
        unit: str = "",
        within: tuple[float, float] | None = None,
        doc: str = "",
    ) -> None:
        self.set_text, self.get_text, self.unit, self.doc = set, get, unit, doc
        self.__doc__ = f"{doc} ({unit})" if unit else doc
        self.within = Bounds(*within, unit, "range") if within else None
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instrument: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instrument: "Instrument", owner: type) -> "Quantity": ...
    def __get__(self, instrument: "Instrument | None", owner: type) -> "Self | Quantity":
        return self if instrument is None else instrument.bound(self.name, lambda: Quantity(instrument, self))

    def __set__(self, instrument: "Instrument", value: object) -> NoReturn:
        raise AttributeError(f"use {instrument.name}.{self.name}.set({value!r}); assigning would not wait or check")


class Quantity:
    """One parameter of one connected instrument."""

    def __init__(self, instrument: "Instrument", declared: Parameter) -> None:
        self.name, self.unit, self.__doc__ = declared.name, declared.unit, declared.__doc__
        self._instrument = instrument
        self._declared = declared

    @property
    def owner(self) -> Lane:
        """The lane of its connection."""
        return self._instrument.lane

    @property
    def cached(self) -> float | None:
        """The value last set or read, in `unit`; None if there is none."""
        return self._instrument.known.get(self.name, (None, ""))[0]

    def get(self) -> Action[float]:
        """Ask the instrument for the value, in `unit`."""
        if self._declared.get_text is None:
            raise AttributeError(f"{self} can only be set")
        return self._instrument.act(self._get, self._declared.get_text)

    def set(self, value: float) -> Action[None]:
        """Set the value, in `unit`. Raises LimitError before anything is sent, CommandError if it is refused."""
        if self._declared.set_text is None:
            raise AttributeError(f"{self} can only be read")
        number = self.check(value)
        return self._instrument.act(self._set, self._declared.set_text.format(number), number)

    def check(self, value: object) -> float:
        """Return `value` as a number if it may be set. Raises LimitError if not; nothing is sent either way."""
        number = to_number(value, str(self))
        for bounds in (self._instrument.safety.get(self.name), self._declared.within):
            if bounds is not None:
                bounds.check(number, str(self))
        return number

    def limit(self, limit: Limit) -> Self:
        """Forbid values outside of `limit`, (low, high) or a largest magnitude, on top of the instrument's own range."""
        self._instrument.safety[self.name] = to_bounds(limit, self.unit, str(self))
        return self

    def _get(self, command: str) -> float:
        number = self._instrument.ask_number(command)
        self._instrument.known[self.name] = (number, self.unit)
        return number

    def _set(self, command: str, number: float) -> None:
        self._instrument.known.pop(self.name, None)  # unknown, should the command fail
        self._instrument.send(command)
        self._instrument.known[self.name] = (number, self.unit)

    def __str__(self) -> str:
        return f"{self._instrument.name}.{self.name}"

    def __repr__(self) -> str:
        value = "not read yet" if self.cached is None else f"{self.cached:g} {self.unit}".rstrip()
        return f"<{self}: {value}>"


class Switch:
    """Something that is on or off, declared in an instrument's class by its two commands and its query.

    In the class body `heater.off` is the command, which is what `safe_state` wants; on an instrument
    `await oven.heater.off()` does it.
    """

    def __init__(self, on: str, off: str, get: str, *, doc: str = "") -> None:
        self.on, self.off, self.query = on, off, get
        self.__doc__ = doc
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instrument: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instrument: "Instrument", owner: type) -> "Relay": ...
    def __get__(self, instrument: "Instrument | None", owner: type) -> "Self | Relay":
        return self if instrument is None else instrument.bound(self.name, lambda: Relay(instrument, self))

    def __set__(self, instrument: "Instrument", value: object) -> NoReturn:
        raise AttributeError(f"use {instrument.name}.{self.name}.on() or .off()")


class Relay:
    """One switch of one connected instrument."""

    def __init__(self, instrument: "Instrument", declared: Switch) -> None:
        self.name, self.__doc__ = declared.name, declared.__doc__
        self._instrument = instrument
        self._declared = declared

    def on(self) -> Action[None]:
        """Switch on."""
        return self._instrument.act(self._instrument.send, self._declared.on)

    def off(self) -> Action[None]:
        """Switch off."""
        return self._instrument.act(self._instrument.send, self._declared.off)

    def get(self) -> Action[bool]:
        """Ask the instrument whether it is on."""
        return self._instrument.act(self._instrument.ask_bool, self._declared.query)

    def __repr__(self) -> str:
        return f"<{self._instrument.name}.{self.name}: .on(), .off(), .get()>"
