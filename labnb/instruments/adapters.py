"""What may become a channel: how each kind of driver says its name, its unit, and how it is read and set.

Nothing of those libraries is imported: a thing is known by what it has, never by its class.

| given | read and set by | unit | connection |
|---|---|---|---|
| QCoDeS parameter | `.get()`, `.set(v)` | `.unit` | VISA handle of the root instrument |
| `(instrument, "voltage")`: PyMeasure, InstrumentKit, own classes | the attribute | docstring ("in Volts"), quantity | `.adapter.connection`, ... |
| labnb quantity, or a method that returns an action | awaited | its own | its link |
| ophyd-async signal | `await .get_value()`, `await .set(v)` | `.describe()` | none |
| object with `get` and/or `set` | those | `.unit` | what it holds |
| `(get, set)`, function of no or one argument, `async def` | those | none | `__self__` of a method |
"""

import inspect
import re
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from labnb.core import PlanError
from labnb.instruments.calls import Direct, Function, InLane, OnLoop, Read, Write, call_of
from labnb.instruments.connections import connection_of
from labnb.instruments.devices import Device, device_of
from labnb.instruments.facet import Facet
from labnb.instruments.parameter import Quantity
from labnb.instruments.reading import Reading
from labnb.instruments.turns import Turns

ACCEPTED = (
    "a QCoDeS parameter (smu.volt), a pair of an instrument and an attribute's name ((smu, 'source_voltage')), a labnb "
    "quantity (oven.setpoint), an ophyd-async signal, an object with get() or set(), a pair of functions (get, set), "
    "a function without arguments (to read) or of one (to set)"
)


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """What a channel is made of. `key` tells whether two of them are the same; `guessed`: the unit may be overridden."""

    key: Hashable
    name: str
    read: Read | None = None
    write: Write | None = None
    unit: str = ""
    guessed: bool = False
    owner: object = None
    validate: Callable[[Any], Any] | None = None
    devices: tuple[Device, ...] = ()
    below: tuple[Any, ...] = ()  # the channels that it is made of, if it is made of channels
    held: object = None  # what `key` is made of: as long as it lives, nothing else has that key


def source_of(thing: object, unit: str | None = None) -> Source:
    """Return what a channel of `thing` is made of. Raises PlanError, naming what is accepted, if there is no way.

    `unit` is what the caller declares; only drivers with quantities of their own are converted to it.
    """
    found = _known(thing, unit)
    if found is None and callable(thing) and not isinstance(thing, type):
        found = _of_function(thing)
    if found is None:
        raise PlanError(f"{_shown(thing)} is no channel; a channel is {ACCEPTED}")
    return found


def is_channel_like(thing: object) -> bool:
    """Whether `thing` is more of a channel than a function of one's own is."""
    pair = isinstance(thing, tuple)
    return (
        not isinstance(thing, type | str) and not inspect.isroutine(thing) and (pair or _known(thing, None) is not None)
    )


def _known(thing: object, unit: str | None) -> Source | None:
    if isinstance(thing, type | str):
        return None
    if isinstance(thing, tuple):
        return _of_pair(cast(tuple[object, ...], thing), unit)
    if isinstance(thing, Quantity | Facet):
        return _of_quantity(thing)
    if _has(thing, "underlying_instrument", "full_name"):
        return _of_qcodes(thing)
    if _has(thing, "get_value", "name") and inspect.iscoroutinefunction(getattr(thing, "get_value", None)):
        return _of_signal(thing)
    return _of_gettable(thing) if _has(thing, "get") or _has(thing, "set") else None


# ---- one kind after another; what these things are made of is theirs: Any


def _of_quantity(quantity: Any) -> Source:
    return Source(
        id(quantity),
        str(quantity),
        Direct(quantity.get) if getattr(quantity, "readable", True) else None,
        Direct(quantity.set) if getattr(quantity, "writable", True) else None,
        quantity.unit,
        owner=quantity.owner,
        validate=quantity.check,
        devices=_devices(getattr(quantity, "_instrument", None)),
        held=quantity,
    )


def _of_qcodes(parameter: Any) -> Source:
    instrument = _delegated(parameter).underlying_instrument
    owner = parameter if instrument is None else connection_of(instrument)
    turns = Turns()
    return Source(
        id(parameter),
        str(parameter.full_name),
        InLane(parameter.get, owner, turns) if parameter.gettable else None,
        InLane(parameter.set, owner, turns) if parameter.settable else None,
        _text(getattr(parameter, "unit", "")),
        owner=owner,
        validate=parameter.validate,
        devices=_devices(instrument),
        held=parameter,
    )


def _delegated(parameter: Any) -> Any:
    """Return what a delegate parameter stands for in the end, wherever it is attached itself."""
    while _has(source := getattr(parameter, "source", None), "underlying_instrument"):
        parameter = source
    return parameter


def _of_signal(signal: Any) -> Source:
    async def read() -> object:
        value = await signal.get_value()
        described = (await signal.describe()).get(signal.name, {}) if hasattr(signal, "describe") else {}
        return Reading(value, _text(described.get("units")), time.time())

    turns = Turns()
    setter = getattr(signal, "set", None)
    return Source(
        id(signal),
        str(signal.name) or type(signal).__name__,
        OnLoop(read, turns),
        None if setter is None else OnLoop(setter, turns),
        held=signal,
    )


def _of_gettable(thing: Any) -> Source | None:
    getter, setter = _function(thing, "get", 0), _function(thing, "set", 1)
    if getter is None and setter is None:
        return None
    owner, turns = connection_of(thing), Turns()
    return Source(
        id(thing),
        _text(getattr(thing, "name", "")) or type(thing).__name__,
        None if getter is None else call_of(getter, owner, turns),
        None if setter is None else call_of(setter, owner, turns),
        _text(getattr(thing, "unit", "")),
        owner=owner,
        validate=_function(thing, "check", 1) or _function(thing, "validate", 1),
        devices=_devices(thing),
        held=thing,
    )


def _of_function(function: Function) -> Source | None:
    count = _arguments(function)
    if count is None or count > 1:
        return None
    pair = (function, None) if count == 0 else (None, function)
    return _of_functions(*pair)


def _of_pair(pair: tuple[object, ...], unit: str | None) -> Source:
    if len(pair) == 2 and isinstance(pair[1], str) and not isinstance(pair[0], str):
        return _of_attribute(pair[0], pair[1], unit)
    if len(pair) == 2 and pair != (None, None) and all(part is None or callable(part) for part in pair):
        getter, setter = cast("tuple[Function | None, Function | None]", pair)
        for function, count, what in ((getter, 0, "reads"), (setter, 1, "sets")):
            if function is not None and _arguments(function) not in (count, None):
                given = "no argument" if count == 0 else "one argument"
                raise PlanError(f"{_shown(pair)} is (get, set): the function that {what} is called with {given}")
        return _of_functions(getter, setter)
    raise PlanError(f"{_shown(pair)} is no channel; a pair is (instrument, 'attribute') or (get, set)")


def _of_functions(getter: Function | None, setter: Function | None) -> Source:
    given = [function for function in (getter, setter) if function is not None]
    bound = next((owner for owner in map(_bound_to, given) if owner is not None), None)
    owner = given[0] if bound is None else connection_of(bound)
    turns = Turns()
    return Source(
        tuple(map(_identity, (getter, setter))),
        _name_of(given[0]),
        None if getter is None else call_of(getter, owner, turns),
        None if setter is None else call_of(setter, owner, turns),
        owner=owner,
        devices=() if bound is None else _devices(bound),
        held=(getter, setter),
    )


def _of_attribute(thing: Any, name: str, unit: str | None) -> Source:
    try:
        declared = inspect.getattr_static(thing, name)
    except AttributeError:
        if not hasattr(thing, name):
            raise PlanError(f"{_shown(thing)} has no attribute {name!r}") from None
        declared = None
    if isinstance(declared, property):
        return _of_property(thing, name, declared, unit)
    held = getattr(thing, name)
    if _known(held, unit) is not None or callable(held):
        return source_of(held, unit)
    return _of_plain_attribute(thing, name, read=True, write=True, unit=unit)


def _of_property(thing: Any, name: str, declared: property, unit: str | None) -> Source:
    """Adapt a property; PyMeasure's have getter and setter in any case, which raise where there is no command."""
    getter, setter = declared.fget, declared.fset
    source = _of_plain_attribute(
        thing,
        name,
        read=getter is not None and _default(getter, "get_command", "") is not None,
        write=setter is not None and _default(setter, "set_command", "") is not None,
        unit=unit,
    )
    validator = None if setter is None else _default(setter, "validator", None)
    return Source(
        source.key,
        name,
        source.read,
        source.write,
        _unit_in(declared.__doc__ or ""),
        guessed=True,
        owner=source.owner,
        validate=partial(_validate, thing, declared) if callable(validator) else None,
        devices=source.devices,
        held=thing,
    )


def _of_plain_attribute(thing: Any, name: str, *, read: bool, write: bool, unit: str | None) -> Source:
    owner, turns = connection_of(thing), Turns()
    attribute = _Attribute(thing, name, unit if hasattr(thing, "sendcmd") else None)
    return Source(
        (id(thing), name),
        name,
        InLane(attribute.get, owner, turns) if read else None,
        InLane(attribute.set, owner, turns) if write else None,
        guessed=True,
        owner=owner,
        devices=_devices(thing),
        held=thing,
    )


class _Attribute:
    """An attribute of an object. With a `unit`, it is set to quantities in it (InstrumentKit takes numbers in its own)."""

    def __init__(self, thing: Any, name: str, unit: str | None) -> None:
        self._thing, self._name, self._unit = thing, name, unit
        self._quantity: Callable[[Any, str], Any] | None = None

    def get(self) -> Any:
        value = getattr(self._thing, self._name)
        if self._unit is not None and hasattr(value, "magnitude"):
            self._quantity = type(value)
        return value

    def set(self, value: Any) -> None:
        if self._unit is not None and self._quantity is None:
            self.get()  # only a quantity of the driver's own can make another one
        setattr(
            self._thing, self._name, value if self._quantity is None else self._quantity(value, cast(str, self._unit))
        )


def _validate(thing: Any, declared: Any, value: Any) -> None:
    """Ask PyMeasure's validator of a property, with the instance's own range if it has one."""
    signature = inspect.signature(declared.fset).parameters

    def of(what: str) -> Any:
        own = f"{getattr(declared, 'prefix', '')}{getattr(declared, 'name', '')}_{what}"
        return getattr(thing, own, signature[what].default)

    taken = of("validator")(value, of("values"))
    if isinstance(taken, int | float) and isinstance(value, int | float) and taken != value and not of("map_values"):
        raise ValueError(f"the driver would take {taken!r} instead")


# ---- questions about things


_UNITS = {
    "volt": "V", "amp": "A", "ampere": "A", "ohm": "Ohm", "hertz": "Hz", "watt": "W", "second": "s", "kelvin": "K",
    "tesla": "T", "gauss": "G", "farad": "F", "henry": "H", "coulomb": "C", "celsius": "°C", "percent": "%",
    "meter": "m", "degree": "deg", "milliamp": "mA", "millivolt": "mV",
}  # fmt: skip
_SYMBOLS = {
    "V",
    "mV",
    "A",
    "mA",
    "Hz",
    "kHz",
    "MHz",
    "GHz",
    "W",
    "mW",
    "s",
    "ms",
    "K",
    "mK",
    "T",
    "dBm",
    "dB",
    "Ohm",
    "°C",
}
_IN_UNIT = re.compile(r"\bin (?:units of )?(?:degrees )?([A-Za-z°]+)")


def _unit_in(text: str) -> str:
    """Return the unit that a property's docstring names ("Control the voltage in Volts"); "" if none, or several."""
    first = re.split(r"\n\s*\n", text.strip(), maxsplit=1)[0]
    found = {unit for unit in map(_unit_word, _IN_UNIT.findall(first)) if unit}
    return found.pop() if len(found) == 1 else ""


def _unit_word(word: str) -> str:
    if word in _SYMBOLS:
        return word
    lower = word.lower()
    return _UNITS.get(lower) or _UNITS.get(lower.removesuffix("s")) or ""


def _has(thing: object, *names: str) -> bool:
    """Whether `thing` declares all of these; something that answers to every name declares none."""
    for name in names:
        try:
            inspect.getattr_static(thing, name)
        except AttributeError:
            return False
    return True


def _function(thing: Any, name: str, count: int) -> Function | None:
    """Return the method `name` if it can be called with `count` values."""
    if not _has(thing, name):
        return None
    method = getattr(thing, name, None)
    return method if callable(method) and _arguments(method) in (count, None) else None


def _arguments(function: Function) -> int | None:
    """Return how many arguments `function` has to be called with; None if it does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    places = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return len(parameters) + 2  # it wants names; nobody can guess them
    return sum(p.kind in places and p.default is p.empty for p in parameters)


def _default(function: Function, argument: str, absent: object) -> object:
    try:
        declared = inspect.signature(function).parameters.get(argument)
    except (TypeError, ValueError):
        return absent
    return absent if declared is None else declared.default


def _bound_to(function: Function) -> object:
    while isinstance(function, partial):
        function = cast("partial[Any]", function).func
    owner = getattr(function, "__self__", None)
    return None if inspect.ismodule(owner) else owner


def _identity(function: Function | None) -> Hashable:
    """Return what tells functions apart: methods are made anew at each access."""
    bound = getattr(function, "__self__", None)
    return id(function) if bound is None else (id(bound), getattr(function, "__name__", ""))


def _name_of(function: Any) -> str:
    while isinstance(function, partial):
        function = cast("partial[Any]", function).func
    name = _text(getattr(function, "__name__", ""))
    return name if name and name != "<lambda>" else "value"


def _devices(thing: object) -> tuple[Device, ...]:
    found = None if thing is None else device_of(thing)
    return () if found is None else (found,)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _shown(thing: object) -> str:
    text = repr(thing)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(thing).__name__})"
