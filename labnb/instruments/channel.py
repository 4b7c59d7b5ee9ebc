"""A channel: the one thing that a measurement sweeps and reads, whoever wrote the driver below.

```
gate = channel(smu.volt, safe=0.0)                   a QCoDeS parameter
probe = channel((dmm, "voltage_dc"))                 an attribute of a PyMeasure instrument
await gate.set(0.3)                                  in a coroutine: the loop goes on meanwhile
probe.get().result()                                 in a script: blocks; so does probe.get() itself
```
"""

from typing import Any, cast

from labnb.core import InstrumentError, LimitError, PlanError, check_unit
from labnb.instruments.action import Action
from labnb.instruments.adapters import Source, is_channel_like, source_of
from labnb.instruments.calls import followed
from labnb.instruments.devices import Device
from labnb.instruments.limits import Limit
from labnb.instruments.reading import Reading
from labnb.instruments.safeguard import Safeguard, safeguard_of
from labnb.instruments.touch import touch

# What a foreign channel holds is its driver's business: Any.


class Channel:
    """Something that can be read or set, or both. Make it by `channel(...)`.

    `get()` and `set()` act at once, may be awaited, and in a script return when it is done, as all labnb's
    instruments. A driver that blocks runs in the lane of its connection, which all channels there share.
    """

    def __init__(self, source: Source, name: str, unit: str) -> None:
        self.name, self.unit = name, unit
        self._source = source
        self._safeguard = safeguard_of(source, name)

    @property
    def readable(self) -> bool:
        """Whether it can be read."""
        return self._source.read is not None

    @property
    def writable(self) -> bool:
        """Whether it can be set."""
        return self._source.write is not None

    @property
    def owner(self) -> object:
        """The physical connection, which has one lane; None for coroutine functions."""
        return self._source.owner

    @property
    def devices(self) -> tuple[Device, ...]:
        """The instruments below it."""
        return self._source.devices

    @property
    def source(self) -> Source:
        """How it is read and set."""
        return self._source

    @property
    def safeguard(self) -> Safeguard:
        """Its limits and safe value, which all channels of the same thing share."""
        return self._safeguard

    @property
    def safeguards(self) -> tuple[Safeguard, ...]:
        """Its own limits and safe value, and those of the channels that it is made of."""
        return (self._safeguard, *(guard for part in self._source.below for guard in cast(Channel, part).safeguards))

    def get(self) -> Action[Any]:
        """Read it, in `unit`."""
        if self._source.read is None:
            raise InstrumentError(f"{self.name} can only be set")
        self._touch()
        return followed(self._source.read.begin, (), self._take, lambda: f"while reading {self.name}")

    def set(self, value: Any) -> Action[None]:
        """Set it, in `unit`. Raises LimitError before anything is sent."""
        if self._source.write is None:
            raise InstrumentError(f"{self.name} can only be read")
        value = self._safeguard.check(value)
        self._touch()
        self._safeguard.known = None  # unknown, should it fail

        def take(_: object) -> None:
            self._safeguard.known = value

        return followed(self._source.write.begin, (value,), take, lambda: f"while setting {self.name} to {value!r}")

    def check(self, value: Any) -> Any:
        """Return `value` if it may be set. Raises LimitError if not; nothing is sent either way."""
        if self._source.write is None:
            raise LimitError(f"{self.name} can only be read, so it cannot be set to {value!r}")
        return self._safeguard.check(value)

    def snapshot(self) -> dict[str, object]:
        """Return what is known of it without asking the instrument."""
        bounds = self._safeguard.bounds
        return {
            "name": self.name,
            "unit": self.unit,
            "value": self._safeguard.known,
            "limits": None if bounds is None else (bounds.low, bounds.high),
            "safe": self._safeguard.safe,
            "instruments": [device.name for device in self.devices],
        }

    def _touch(self) -> None:
        if self._safeguard.safe is not None:
            touch(self._safeguard)

    def _take(self, value: Any) -> Any:
        if type(value) is not float:
            value = self._plain(value)
        self._safeguard.known = value
        return value

    def _plain(self, value: Any) -> Any:
        """Return a reading, or a quantity with a unit of its own, as the number in this channel's unit."""
        if isinstance(value, Reading):
            if self.unit and value.unit and value.unit != self.unit:
                raise InstrumentError(f"{self.name} was read in {value.unit}, but is declared in {self.unit}")
            self.unit = self.unit or value.unit
            return value.values
        if not (hasattr(value, "magnitude") and hasattr(value, "units")):
            return value
        if not self.unit:
            self.unit = _unit_text(value)
            return _plain_number(value.magnitude)
        convert = value.to if hasattr(value, "to") else value.rescale
        try:
            return _plain_number(convert(self.unit).magnitude)
        except Exception as error:
            raise InstrumentError(
                f"{self.name} was read as {value}, which is nothing in {self.unit}: {error}"
            ) from error

    def __call__(self, *value: Any) -> Action[Any]:
        """Do as QCoDeS' parameters do: read without a value, set with one."""
        return self.set(*value) if value else self.get()

    def __repr__(self) -> str:
        ways = "read and set" if self.readable and self.writable else "read only" if self.readable else "set only"
        return f"<channel {self.name}{f' ({self.unit})' if self.unit else ''}: {ways}>"


def channel(
    x: object,
    /,
    *,
    name: str | None = None,
    unit: str | None = None,
    limits: Limit = None,
    safe: Any = None,
) -> Channel:
    """Return what can be swept and read for `x`, of whatever driver.

    `x` is a QCoDeS parameter, `(instrument, "attribute")` of PyMeasure, InstrumentKit or a class of your own, a labnb
    quantity or method, an ophyd-async signal, an object with `get` or `set`, `(get, set)`, a function of no or one
    argument, or a coroutine function. `limits` are (low, high) or a largest magnitude; `safe` is what it is set to at
    the end of each run that uses it, also after an error. Both hold for every channel of the same thing from now on.

    Raises PlanError for anything else, and for a `unit` that is not the driver's; LimitError for a `safe` that may not
    be set.

    >>> state = {"volts": 0.5}
    >>> gate = channel((lambda: state["volts"], lambda v: state.update(volts=v)), name="gate", unit="V", limits=1.0)
    >>> gate.set(0.25), gate.get()
    (None, 0.25)
    """
    made = _again(x, name, unit) if isinstance(x, Channel) else _new(x, name, unit)
    if limits is not None:
        made.safeguard.limit(limits, made.unit)
    if safe is not None:
        made.safeguard.keep_safe(safe)
    return made


def is_channel(x: object) -> bool:
    """Whether `x` is a channel or an instrument's quantity, rather than a function of one's own."""
    return isinstance(x, Channel) or is_channel_like(x)


def _new(x: object, name: str | None, unit: str | None) -> Channel:
    source = source_of(x, unit)
    return Channel(source, name or source.name, _unit(unit, source.unit, source.guessed, source.name))


def _again(known: Channel, name: str | None, unit: str | None) -> Channel:
    """Return the same channel, or another one of the same source by another name."""
    if (name or known.name, unit or known.unit) == (known.name, known.unit):
        return known
    return Channel(known.source, name or known.name, _unit(unit, known.unit, False, known.name))


def _unit_text(quantity: Any) -> str:
    """Return a quantity's unit, as short as its library writes it: pint's, or that of the library quantities."""
    short: object = getattr(getattr(quantity, "dimensionality", None), "string", None)
    if isinstance(short, str):
        return short
    try:
        return f"{quantity.units:~}"
    except (TypeError, ValueError):
        return str(quantity.units)


def _plain_number(magnitude: Any) -> Any:
    """Return a magnitude as a number; arrays as they are."""
    return magnitude.item() if getattr(magnitude, "shape", None) == () else magnitude


def _unit(given: str | None, own: str, guessed: bool, what: str) -> str:
    unit = check_unit(given, what)
    if given and own and given != own and not guessed:
        raise PlanError(f"{what} is in {own}; unit={given!r} would not convert it. Leave it out, or use scaled(...)")
    return unit or own
