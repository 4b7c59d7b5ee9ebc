"""How an address or a model's key becomes a connected instrument; one instrument, and one lane, per connection."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from labnb.core import InstrumentError, LinkError
from labnb.instruments.drivers import Multimeter, PowerSupply, TemperatureController
from labnb.instruments.finding import find_model
from labnb.instruments.instrument import Identity, Instrument
from labnb.instruments.limits import unknown
from labnb.instruments.policy import LinkPolicy
from labnb.instruments.steady import SteadyLink, open_steady
from labnb.instruments.visa import check_library

DEMO_LIBRARY = "demo@labnb"


@dataclass(frozen=True, slots=True)
class _Model:
    """A driver, and where the demo bench has such an instrument ("" if it has none)."""

    driver: type[Instrument]
    demo_address: str = ""


_MODELS: dict[str, _Model] = {
    "keysight/EDU36311A": _Model(PowerSupply, "USB0::0x2A8D::0x8F01::CN6123::INSTR"),
    "keysight/34470A": _Model(Multimeter, "TCPIP0::192.0.2.21::inst0::INSTR"),
    "labnb/TC100": _Model(TemperatureController, "GPIB0::12::INSTR"),
    **{f"keysight/{model}": _Model(PowerSupply) for model in PowerSupply.models if model != "EDU36311A"},
    **{f"keysight/{model}": _Model(Multimeter) for model in Multimeter.models if model != "34470A"},
}

_live: dict[tuple[str, str], Instrument] = {}
_lock = threading.RLock()


def connect(
    key_or_address: str,
    /,
    *,
    simulate: bool | None = None,
    address: str | None = None,
    driver: type[Instrument] | None = None,
    visa_library: str | None = None,
    name: str | None = None,
    limits: Mapping[Any, Any] | None = None,  # Any: each driver has its own keys, and checks them
    leave_on: bool = False,
    timeout_s: float = 5.0,
    policy: LinkPolicy | None = None,
) -> Any:  # Any: its class depends on the key
    """Return the instrument at a VISA address, or of a model: `"keysight/EDU36311A"` with `address=` or `simulate=True`.

    An address alone asks the instrument what it is; `driver` says it. `visa_library` is PyVISA's ("@py",
    "demo@labnb", "my_bench.yaml@labnb"); `limits` and `leave_on` are those of `Instrument`; `policy` says how patiently
    faults of the connection are dealt with. An instrument that is connected already is returned as it is, so that
    running a cell again does no harm. No output is changed.

    Raises LinkError if nothing, or something else, answers there; InstrumentError for a key that does not exist.
    """
    with _lock:
        place = _place(key_or_address, simulate, address, visa_library, driver)
        known = _live.get(place.key)
        if known is None or known.closed:
            instrument = _open(place, name or place.name, limits, leave_on, timeout_s, policy)
            _live[place.key] = instrument
            return instrument
    return _again(known, place, limits, leave_on)


async def connect_async(key_or_address: str, /, **options: Any) -> Any:  # Any: those of `connect`
    """Do the same without blocking the loop."""
    return await asyncio.to_thread(partial(connect, key_or_address, **options))


def live_instruments() -> tuple[Instrument, ...]:
    """Return the instruments that `connect` has opened and nobody has closed."""
    with _lock:
        return tuple(instrument for instrument in _live.values() if not instrument.closed)


@dataclass(frozen=True)
class DemoBench:
    """The connected instruments of a simulated bench."""

    psu: PowerSupply
    dmm: Multimeter
    oven: TemperatureController


def demo(bench: str = "demo") -> DemoBench:
    """Return supply, multimeter and oven of the simulated bench `bench`; twice the same live instruments."""
    opened = [
        connect(model, simulate=True, visa_library=f"{bench}@labnb", name=name)
        for model, name in (("keysight/EDU36311A", "psu"), ("keysight/34470A", "dmm"), ("labnb/TC100", "oven"))
    ]
    return DemoBench(*opened)


@dataclass(frozen=True, slots=True)
class _Place:
    address: str
    library: str
    driver: type[Instrument] | None
    name: str

    @property
    def key(self) -> tuple[str, str]:
        return self.library, self.address.upper()


def _place(
    wanted: str, simulate: bool | None, address: str | None, library: str | None, driver: type[Instrument] | None
) -> _Place:
    if "::" in wanted:
        return _Place(wanted, library or (DEMO_LIBRARY if simulate else ""), driver, wanted)
    model = _MODELS.get(wanted)
    if model is None:
        raise InstrumentError(f"{unknown(wanted, sorted(_MODELS), 'instrument')}; or give a VISA address")
    if simulate and library and not address:
        known = {
            each.address.upper(): each for (where, _), each in _live.items() if where == library and not each.closed
        }
        address = find_model(wanted.partition("/")[2], library, known, usual=model.demo_address)
    if simulate:
        if not (address or model.demo_address):
            simulated = ", ".join(repr(key) for key, known in _MODELS.items() if known.demo_address)
            raise InstrumentError(f"the simulated bench has no {wanted!r}; it has {simulated}")
        return _Place(address or model.demo_address, library or DEMO_LIBRARY, driver or model.driver, wanted)
    if not address:
        raise InstrumentError(f"{wanted!r}: where is it? give address='USB0::...::INSTR', or simulate=True")
    return _Place(address, library or "", driver or model.driver, wanted)


def _open(
    place: _Place,
    name: str,
    limits: Mapping[Any, Any] | None,
    leave_on: bool,
    timeout_s: float,
    policy: LinkPolicy | None,
) -> Instrument:
    link = open_steady(place.address, place.library, name=name, timeout_s=timeout_s, policy=policy)
    driver = place.driver or _driver_of(link)
    return driver(link, name=name, address=place.address, limits=limits, leave_on=leave_on)


def _driver_of(link: SteadyLink) -> type[Instrument]:
    """Return the class that drives what answers to `*IDN?`; the plain Instrument if none of ours does."""
    try:
        link.clear()
        model = Identity.parse(link.query("*IDN?")).model
    except LinkError:
        link.close()
        raise
    drivers = {known: entry.driver for entry in _MODELS.values() for known in entry.driver.models}
    return drivers.get(model, Instrument)


def _again(known: Instrument, place: _Place, limits: Mapping[Any, Any] | None, leave_on: bool) -> Instrument:
    if place.driver is not None and not isinstance(known, place.driver):
        raise LinkError(
            f"{place.address} is connected as {known.name!r} ({type(known).__name__}), not as {place.driver.__name__}; "
            f"close it first: {known.name}.close()"
        )
    check_library(place.library)  # raises if the file of a simulated bench says something else by now
    if limits:
        known.set_limits(limits)
    known.leave_on = leave_on
    return known
