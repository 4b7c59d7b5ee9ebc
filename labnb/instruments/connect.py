"""How a key becomes a connected instrument; one instrument, and one lane, per connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, cast

from labnb.core import InstrumentError, LinkError, Mutex, WorkClock, present_clock, unknown
from labnb.instruments.beside import beside
from labnb.instruments.drivers import (
    ElectronicLoad,
    Generator,
    Multimeter,
    Oscilloscope,
    PowerSupply,
    SourceMeter,
    TemperatureController,
)
from labnb.instruments.finding import canonical, find_model, forget_models, models_at
from labnb.instruments.foreign import end, find_class, is_open, make, resource_of
from labnb.instruments.instrument import Identity, Instrument
from labnb.instruments.policy import LinkPolicy
from labnb.instruments.steady import SteadyLink, open_steady
from labnb.instruments.visa import check_library

DEMO_LIBRARY = "demo@labnb"

Key = str | type[Any]  # Any: other people's drivers have no class in common

_DRIVERS: tuple[tuple[str, type[Instrument]], ...] = (
    ("keysight", PowerSupply),
    ("keysight", Multimeter),
    ("keysight", ElectronicLoad),
    ("keysight", Oscilloscope),
    ("keysight", Generator),
    ("keithley", SourceMeter),
    ("labnb", TemperatureController),
)


@dataclass(frozen=True, slots=True)
class _Model:
    """What a key stands for: a driver, and what such an instrument calls itself."""

    driver: type[Instrument]
    model: str


_MODELS: dict[str, _Model] = {
    f"{maker}/{model.removeprefix('MODEL ')}": _Model(driver, model)
    for maker, driver in _DRIVERS
    for model in driver.models
}

_Where = tuple[WorkClock, str, str]  # in virtual time there are other instruments
_live: dict[_Where, Instrument] = {}
_foreign: dict[_Where, tuple[object, object | None]] = {}  # other people's, and the resource that each uses
_lock = Mutex()


def connect(
    key: "Key | object",
    /,
    *,
    simulate: bool | None = None,
    address: str | None = None,
    driver: Key | None = None,
    visa_library: str | None = None,
    name: str | None = None,
    limits: Mapping[Any, Any] | None = None,  # Any: each driver has its own keys, and checks them
    leave_on: bool = False,
    timeout_s: float = 5.0,
    policy: LinkPolicy | None = None,
    **options: Any,  # Any: other people's drivers have arguments of their own
) -> Any:  # Any: its class depends on the key
    """Return the instrument that `key` stands for. No output is changed.

    ```
    connect("keysight/EDU36311A", simulate=True)               a model: on the simulated bench, or at address=...
    connect("USB0::0x2A8D::...::INSTR")                        a VISA address: asked what it is
    connect(MyDriver, address="GPIB0::3::INSTR")               a driver class, also QCoDeS', PyMeasure's, anybody's
    connect("qcodes.instrument_drivers.Keithley:Keithley2400", address=...)     the same as text
    connect(ready)                                             a ready instrument is returned as it is
    ```
    `driver` says what drives an address. `visa_library` is PyVISA's ("@py", "fast@labnb", "my_bench.yaml@labnb"); `limits` and
    `leave_on` are those of `Instrument`; `policy` says how
    patiently faults of the connection are dealt with; further `options` go to a driver that is not ours. An instrument that is connected
    already is returned as it is, so that running a cell again does no harm; it keeps the `name` that it has, and `limits`
    are added to those it has.

    Raises LinkError if nothing, or something else, answers there; InstrumentError for a key that does not exist.
    """
    if not isinstance(key, str | type):
        given = {"address": address, "driver": driver, "visa_library": visa_library, "limits": limits,
                 "simulate": simulate, "leave_on": leave_on or None, "policy": policy} | options  # fmt: skip
        return _ready(key, [option for option, value in given.items() if value is not None], limits)
    if driver is not None and (isinstance(key, type) or _is_class(key)):
        raise InstrumentError(f"{key!r} is a driver already; give it, or driver=, not both")
    with _lock:
        place = _place(key, simulate, address, visa_library or (DEMO_LIBRARY if simulate else ""), driver)
        if place.driver is not None and not issubclass(place.driver, Instrument):
            return _connect_foreign(place, name, limits, timeout_s, options)
        if options:
            raise InstrumentError(f"connect: {unknown(next(iter(options)), _OPTIONS, 'option')}")
        for where in [where for where, instrument in _live.items() if instrument.closed]:
            del _live[where]
        known = _live.get(place.key)
        if known is None:
            instrument = _open(place, name or place.name, limits, leave_on, timeout_s, policy)
            _live[place.key] = instrument
            return instrument
    return _again(known, place, limits, leave_on)


_NO_INSTRUMENTS = (int, float, complex, bytes, list, tuple, dict, set)
_OPTIONS = ("simulate", "address", "driver", "visa_library", "name", "limits", "leave_on", "timeout_s", "policy")


async def connect_async(key: "Key | object", /, **options: Any) -> Any:  # Any: those of `connect`
    """Do the same without blocking the loop."""
    return await beside(partial(connect, key, **options))


def live_instruments() -> tuple[Instrument, ...]:
    """Return the instruments that `connect` has opened and nobody has closed."""
    with _lock:
        clock = present_clock()
        return tuple(instrument for key, instrument in _live.items() if key[0] is clock and not instrument.closed)


def live_devices() -> tuple[object, ...]:
    """Return the instruments of other people's drivers that `connect` has opened and nobody has closed."""
    with _lock:
        clock = present_clock()
        return tuple(made for key, (made, resource) in _foreign.items() if key[0] is clock and is_open(resource))


def locate(
    thing: Any,  # Any: other people's drivers have no class in common
    /,
    *,
    simulate: bool | None = None,
    address: str | None = None,
    driver: Key | None = None,
    visa_library: str | None = None,
    **_options: object,
) -> tuple[str, str]:
    """Return the VISA address, in its one spelling, and the library of what `connect` would connect, or has connected.

    "" for what has no address. Raises InstrumentError for a key that does not exist.
    """
    if isinstance(thing, str | type):
        place = _place(thing, simulate, address, visa_library or (DEMO_LIBRARY if simulate else ""), driver)
        return canonical(place.address), place.library
    with _lock:
        owned = {id(made): where for where, made in _live.items()}
        owned |= {id(made): where for where, (made, _) in _foreign.items()}
    if id(thing) in owned:
        where = owned[id(thing)]
        return where[2], where[1]
    found = str(getattr(thing, "address", "") or getattr(resource_of(thing), "resource_name", "") or "")
    return (canonical(found) if found else ""), ""


def disconnect(instrument: Any) -> None:  # Any: other people's drivers have no class in common
    """End the connection of what `connect` has returned, of whatever driver; labnb's leave their outputs as they are.

    Raises InstrumentError if that fails.
    """
    if isinstance(instrument, Instrument):
        instrument.close()
        return
    with _lock:
        for key in [key for key, (made, _) in _foreign.items() if made is instrument]:
            del _foreign[key]
    end(instrument)


class DemoBench:
    """The instruments of a simulated bench. Those of the first measurement are connected, the others when used."""

    def __init__(self, library: str) -> None:
        self._library = library
        self.psu: PowerSupply = self._connect("keysight/EDU36311A", "psu")
        self.dmm: Multimeter = self._connect("keysight/34470A", "dmm")
        self.oven: TemperatureController = self._connect("labnb/TC100", "oven")

    @cached_property
    def load(self) -> ElectronicLoad:
        """The electronic load at output 2 of the supply."""
        return self._connect("keysight/EL33133A", "load")

    @cached_property
    def scope(self) -> Oscilloscope:
        """The oscilloscope."""
        return self._connect("keysight/DSOX1204G", "scope")

    @cached_property
    def awg(self) -> Generator:
        """The waveform generator, whose output 1 feeds an RC filter."""
        return self._connect("keysight/EDU33212A", "awg")

    @cached_property
    def smu(self) -> SourceMeter:
        """The source-measure unit at a solar cell."""
        return self._connect("keithley/2400", "smu")

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """All of them by name; those that were not used before are connected now."""
        others = [name for name, made in vars(type(self)).items() if isinstance(made, cached_property)]
        return {name: getattr(self, name) for name in ("psu", "dmm", "oven", *others)}

    def close(self) -> None:
        """Close those that are connected; outputs stay as they are."""
        for part in vars(self).values():
            if isinstance(part, Instrument):
                part.close()

    def _connect(self, key: str, name: str) -> Any:  # Any: see `connect`
        return connect(key, simulate=True, visa_library=self._library, name=name)


def demo(bench: str = "demo") -> DemoBench:
    """Return the instruments of the simulated bench `bench`; twice the same live instruments."""
    return DemoBench(f"{bench}@labnb")


# ---- where it is, and what drives it


@dataclass(frozen=True, slots=True)
class _Place:
    address: str
    library: str
    driver: type[Any] | None  # Any: see Key
    name: str

    @property
    def key(self) -> _Where:
        return present_clock(), self.library, canonical(self.address)


def _is_class(key: str) -> bool:
    """Say whether it is `module.path:Class`."""
    return ":" in key and "::" not in key


def _place(wanted: Key, simulate: bool | None, address: str | None, library: str, driver: Key | None) -> _Place:
    chosen = find_class(driver) if isinstance(driver, str) else driver
    if isinstance(wanted, str) and "::" in wanted:
        return _Place(wanted, library, chosen, wanted)
    if isinstance(wanted, type) or _is_class(wanted):
        chosen = find_class(wanted) if isinstance(wanted, str) else wanted
        name, models = chosen.__name__, tuple(getattr(chosen, "models", ()))
    else:
        model = _MODELS.get(wanted)
        if model is None:
            raise InstrumentError(
                f"{unknown(wanted, sorted(_MODELS), 'instrument')}; or give a VISA address, or a driver class"
            )
        name, models, chosen = wanted, (model.model,), chosen or model.driver
    return _Place(address or _found(name, models, simulate, library), library, chosen, name)


def _found(name: str, models: tuple[str, ...], simulate: bool | None, library: str) -> str:
    """Return where the simulated bench has one of `models`."""
    if not simulate:
        raise InstrumentError(f"{name!r}: where is it? give address='USB0::...::INSTR', or simulate=True")
    if not models:
        there = ", ".join(f"{model} at {where}" for where, model in models_at(library, _used(library)).items())
        raise InstrumentError(f"{name!r} does not say which models it drives: give address=; the bench has {there}")
    return find_model(models, library, _used(library))


def _used(library: str) -> dict[str, str]:
    """Return the models of what is connected already, by address; "" of other people's."""
    here = (present_clock(), library)
    ours = {
        where[2]: instrument.identity.model
        for where, instrument in _live.items()
        if where[:2] == here and not instrument.closed
    }
    theirs = {where[2]: "" for where, (_, resource) in _foreign.items() if where[:2] == here and is_open(resource)}
    return ours | theirs


def _open(
    place: _Place,
    name: str,
    limits: Mapping[Any, Any] | None,
    leave_on: bool,
    timeout_s: float,
    policy: LinkPolicy | None,
) -> Instrument:
    try:
        link = open_steady(place.address, place.library, name=name, timeout_s=timeout_s, policy=policy)
        driver = cast("type[Instrument]", place.driver) or _driver_of(link)
        return driver(link, name=name, address=place.address, limits=limits, leave_on=leave_on)
    except LinkError:
        forget_models(place.library)  # another bench may stand there by now
        raise


def _driver_of(link: SteadyLink) -> type[Instrument]:
    """Return the class that drives what answers to `*IDN?`; the plain Instrument if none of ours does."""
    try:
        link.clear()
        model = Identity.parse(link.query("*IDN?")).model
    except LinkError:
        link.close()
        raise
    return next((entry.driver for entry in _MODELS.values() if entry.model == model), Instrument)


def _ready(instrument: object, given: list[str], limits: Mapping[Any, Any] | None) -> object:
    """Return it; its limits may be set, all else is settled."""
    if instrument is None or isinstance(instrument, _NO_INSTRUMENTS):
        raise InstrumentError(
            f"{instrument!r} is no instrument: expected a model, a VISA address, a driver or its object"
        )
    if isinstance(instrument, Instrument) and limits is not None and given == ["limits"]:
        instrument.set_limits(limits)
    elif given:
        raise InstrumentError(f"{instrument!r} is connected already: {given[0]}= would have no effect; leave it out")
    return instrument


def _again(known: Instrument, place: _Place, limits: Mapping[Any, Any] | None, leave_on: bool) -> Instrument:
    if place.driver is not None and not isinstance(known, place.driver):
        raise _taken(place, known.name, type(known).__name__, f"{known.name}.close()")
    check_library(place.library)  # raises if the file of a simulated bench says something else by now
    if limits:
        known.set_limits(limits)
    known.leave_on = leave_on
    return known


def _taken(place: _Place, name: str, kind: str, close: str) -> LinkError:
    wanted = place.driver.__name__ if place.driver else "Instrument"
    return LinkError(f"{place.address} is connected as {name!r} ({kind}), not as {wanted}; close it first: {close}")


def _connect_foreign(
    place: _Place, name: str | None, limits: Mapping[Any, Any] | None, timeout_s: float, options: dict[str, Any]
) -> object:
    """Return an instrument of other people's class, the same one as long as it is open."""
    driver = cast("type[Any]", place.driver)
    if limits:
        raise InstrumentError(
            f"{driver.__name__} knows no limits: give them to labnb.channel(...), or connect with a driver of labnb"
        )
    ours, (theirs, resource) = _live.get(place.key), _foreign.get(place.key, (None, None))
    if ours is not None and not ours.closed:
        raise _taken(place, ours.name, type(ours).__name__, f"{ours.name}.close()")
    if theirs is not None and is_open(resource):
        if not isinstance(theirs, driver):
            raise _taken(place, place.address, type(theirs).__name__, "its own close()")
        return theirs
    made = make(driver, place.address, place.library, name or driver.__name__.lower(), timeout_s, options)
    _foreign[place.key] = (made, resource_of(made))
    return made
