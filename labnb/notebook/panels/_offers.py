"""What a bench has to sweep, to read and to switch on, and how a cell writes each of them.

```
offers_of(bench, "bench")  ->  bench.psu.channel(1).voltage   bench.oven.heater   (things["dmm"], "voltage_dc")   ...
```
Nothing is asked of the instruments: names, units and limits are what drivers declare.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from labnb.core import LabnbError, PlanError
from labnb.instruments import Channel, Facet, Instrument, Meta, Quantity, Relay, channel, device_of, is_channel

_MEASURE = "measure_"
_PLAIN = (str, bytes, bool, int, float, complex, type(None))
_MOST = 400  # of one foreign driver; one that declares more is not for a list


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing of a bench. `code` is how a cell writes it, `label` how a person reads it; `thing` is what it is.

    `low` and `high` are its safety limit, None where there is none; `range_text` says what the instrument takes.
    `instrument`: the labnb instrument it belongs to, if it is one.
    """

    label: str
    code: str
    unit: str
    thing: object
    sweeps: bool = False
    reads: bool = False
    switches: bool = False
    low: float | None = None
    high: float | None = None
    range_text: str = ""
    instrument: Instrument | None = None

    @property
    def name(self) -> str:
        """A short word for it that may be a variable: `voltage` of `psu.channel(1).voltage`."""
        word = re.split(r"[.\s]", self.label)[-1].removeprefix(_MEASURE).removeprefix("get_")
        word = re.sub(r"\W+", "_", word).strip("_") or "value"
        return word if word.isidentifier() else f"v_{word}"

    @property
    def long_name(self) -> str:
        """The same with where it belongs: `psu_channel_1_voltage`."""
        word = re.sub(r"\W+", "_", self.label.replace(_MEASURE, "")).strip("_")
        return word if word.isidentifier() else f"v_{word}"

    @property
    def shown(self) -> str:
        """What a list shows: label and unit."""
        return f"{self.label} ({self.unit})" if self.unit else self.label


def name_of(thing: object, names: Mapping[str, object]) -> str:
    """Return what the notebook calls `thing`; "" if it has no name there."""
    return next((name for name, value in names.items() if value is thing and not name.startswith("_")), "")


def offers_of(bench: object, root: str, names: Mapping[str, object] | None = None) -> list[Offer]:
    """Return all that `bench` offers, which a cell calls `root`. Raises PlanError if it offers nothing.

    `bench` is a bench, an instrument of whatever driver, a channel, or a mapping or list of those. What has one of the
    notebook's `names` itself is called by that.
    """
    found = [
        offer
        for label, code, thing in _things(bench, root)
        for offer in _of_thing(thing, label, name_of(thing, names or {}) or code)
    ]
    found = found or list(_of_thing(bench, _label_of(bench, type(bench).__name__), root))
    if not found:
        raise PlanError(
            f"{bench!r} has nothing to sweep or to read; expected demo_bench(), Bench.open(file), or a mapping or list of "
            "instruments and channels"
        )
    return found


def _things(bench: object, root: str) -> Iterator[tuple[str, str, object]]:
    """Yield label, code and thing of what stands on the bench."""
    if is_channel(bench):
        yield root, root, bench
    elif _is_driver(bench):
        yield _label_of(bench, type(bench).__name__), root, bench
    elif isinstance(bench, Mapping):
        for key, thing in cast("Mapping[object, object]", bench).items():
            yield str(key), f"{root}[{key!r}]", thing
    elif isinstance(bench, Sequence) and not isinstance(bench, str):
        for place, thing in enumerate(cast("Sequence[object]", bench)):
            yield _label_of(thing, f"{root}[{place}]"), f"{root}[{place}]", thing
    else:
        yield from _attributes(bench, root)


def _is_driver(bench: object) -> bool:
    return (
        isinstance(bench, Instrument)
        or isinstance(getattr(bench, "parameters", None), Mapping)
        or device_of(bench) is not None
    )


def _attributes(bench: object, root: str) -> Iterator[tuple[str, str, object]]:
    """Yield what a bench holds by name: a `Bench`'s instruments, or the attributes of a bench of any other class."""
    held = getattr(bench, "instruments", None)
    parts = held if isinstance(held, Mapping) else getattr(bench, "__dict__", {})
    for name, thing in cast("Mapping[str, object]", parts).items():
        if not name.startswith("_") and not isinstance(thing, _PLAIN):
            yield name, f"{root}.{name}" if name.isidentifier() else f"{root}[{name!r}]", thing


def _label_of(thing: object, otherwise: str) -> str:
    name = getattr(thing, "full_name", None) or getattr(thing, "name", None)
    return name if isinstance(name, str) and name else otherwise


def _of_thing(thing: object, label: str, code: str) -> Iterator[Offer]:
    if isinstance(thing, Instrument):
        yield from _of_instrument(thing, label, code)
    elif is_channel(thing) or isinstance(thing, tuple):
        yield from _of_channel(thing, label, code, None)
    elif isinstance(getattr(thing, "parameters", None), Mapping):
        yield from _of_qcodes(thing, label, code)
    else:
        yield from _of_properties(thing, label, code)


def _of_instrument(instrument: Instrument, label: str, code: str) -> Iterator[Offer]:
    parts: dict[str, object] = {**instrument.parameters, **instrument.facets}
    if isinstance(instrument, Meta):
        parts |= instrument.groups
    for name, thing in parts.items():
        yield from _of_channel(thing, f"{label}.{name}", f"{code}.{name}", instrument)
    for name, method in measuring(instrument).items():
        yield from _of_channel(method, f"{label}.{name}", f"{code}.{name}", instrument)


def measuring(instrument: Instrument) -> dict[str, Callable[[], Any]]:  # Any: an action of whatever is measured
    """Return the driver's methods that measure one thing without being told how, by name."""
    names = [name for name in dir(type(instrument)) if name.startswith(_MEASURE)]
    methods = {name: getattr(instrument, name) for name in names}
    return {name: method for name, method in methods.items() if callable(method) and not _wants_arguments(method)}


def _wants_arguments(method: Callable[..., object]) -> bool:
    return any(p.default is p.empty for p in inspect.signature(method).parameters.values())


def _of_channel(thing: object, label: str, code: str, instrument: Instrument | None) -> Iterator[Offer]:
    try:
        made = channel(thing)
    except LabnbError:
        return
    low, high = _limits(thing, made)
    switch = isinstance(thing, Relay) or (isinstance(thing, Facet) and thing.switch)
    yield Offer(
        label,
        code,
        made.unit,
        thing,
        sweeps=made.writable and not switch and _is_number(thing),
        reads=made.readable,
        switches=switch,
        low=low,
        high=high,
        range_text=_range_text(thing),
        instrument=instrument,
    )


def _is_number(thing: object) -> bool:
    """Whether it may be set to numbers, as far as can be known."""
    if isinstance(thing, Quantity):
        return cast("Quantity[Any]", thing).expected.startswith(("a number", "a whole number", "a value"))
    values = getattr(thing, "vals", None)
    return values is None or getattr(values, "is_numeric", True) is not False


def _limits(thing: object, made: Channel) -> tuple[float | None, float | None]:
    bounds = made.safeguard.bounds or getattr(thing, "bounds", None)
    if bounds is None:
        return None, None
    return tuple(end if abs(end) < float("inf") else None for end in (bounds.low, bounds.high))  # pyright: ignore[reportReturnType]  two of two


def _range_text(thing: object) -> str:
    if isinstance(thing, Quantity | Facet):
        expected = cast("Quantity[Any] | Facet", thing).expected
        return expected.removeprefix("a number").removeprefix("a whole number").removeprefix(" from").strip()
    return ""


def _of_qcodes(thing: object, label: str, code: str) -> Iterator[Offer]:
    """Yield what a driver with `parameters` has, and its submodules."""
    parameters = cast("Mapping[str, object]", getattr(thing, "parameters", {}))
    for name, parameter in list(parameters.items())[:_MOST]:
        if name == "IDN":
            continue  # who it is, no quantity
        yield from _of_channel(parameter, f"{label}.{name}", f"{code}.{name}", None)
    modules = getattr(thing, "submodules", None)
    if isinstance(modules, Mapping):
        for name, module in cast("Mapping[str, object]", modules).items():
            if isinstance(getattr(module, "parameters", None), Mapping):
                yield from _of_qcodes(module, f"{label}.{name}", f"{code}.{name}")


def _of_properties(thing: object, label: str, code: str) -> Iterator[Offer]:
    """Yield the properties of a driver of any other kind that say a unit: PyMeasure's, InstrumentKit's."""
    names = [name for name in dir(type(thing)) if not name.startswith("_")]
    for name in [n for n in names if isinstance(inspect.getattr_static(type(thing), n), property)][:_MOST]:
        for offer in _of_channel((thing, name), f"{label}.{name}", f'({code}, "{name}")', None):
            if offer.unit:
                yield offer
