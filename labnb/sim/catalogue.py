"""Which words of a bench file stand for which instruments and parts.

Yours are known by where they are, `model: my_module:MyInstrument` (a module beside the bench file, or one that can be
imported; `__main__:MyInstrument` in a notebook), or by a word of their own after `register_instrument`.
"""

import sys
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module, invalidate_caches
from pathlib import Path
from typing import TypeVar, cast

from labnb.core import unknown
from labnb.sim import models
from labnb.sim.instrument import Instrument
from labnb.sim.parts import CurrentSource, Diode, Part, Resistor
from labnb.sim.quantum_dots import ChargeSensor, QuantumDot
from labnb.sim.reactive import Capacitor, Inductor, Thermistor
from labnb.sim.semiconductors import BipolarTransistor, Led, Mosfet, SolarCell
from labnb.sim.sources import Switch

C = TypeVar("C")

_lock = threading.Lock()
_instruments: dict[str, type[Instrument]] = {
    "keysight/EDU36311A": models.PowerSupply,
    "keysight/E36312A": models.PowerSupplyE36312A,
    "keysight/E36313A": models.PowerSupplyE36313A,
    "keysight/34470A": models.Multimeter,
    "keysight/34465A": models.Multimeter34465A,
    "keysight/34410A": models.Multimeter34410A,
    "keysight/34401A": models.Multimeter34401A,
    "keysight/DSOX1204G": models.Oscilloscope,
    "keysight/EL33133A": models.ElectronicLoad,
    "keysight/EDU33212A": models.Generator,
    "keysight/33512B": models.Generator33512B,
    "keithley/2400": models.SourceMeter,
    "labnb/TC100": models.Thermostat,
    "labnb/VS4": models.GateSource,
}
_parts: dict[str, type[Part]] = {
    "resistor": Resistor,
    "capacitor": Capacitor,
    "inductor": Inductor,
    "diode": Diode,
    "led": Led,
    "bjt": BipolarTransistor,
    "mosfet": Mosfet,
    "solar cell": SolarCell,
    "thermistor": Thermistor,
    "switch": Switch,
    "current source": CurrentSource,
    "quantum dot": QuantumDot,
    "double dot": ChargeSensor,
}


def register_instrument(key: str, model: type[Instrument]) -> None:
    """Let `model: KEY` in a bench file stand for your class; doing it again with a new class replaces it."""
    _register(_instruments, key, model, Instrument)


def register_part(word: str, part: type[Part]) -> None:
    """Let `part: WORD` in a bench file stand for your class; doing it again with a new class replaces it."""
    _register(_parts, word, part, Part)


def _register(known: dict[str, type[C]], word: str, made: type[C], base: type[C]) -> None:
    if not word or ":" in word:
        raise ValueError(f"{word!r} cannot be registered: expected a word without ':', which stands for module:Class")
    if not _is_class(made, base):
        raise TypeError(f"{word!r}: expected a subclass of labnb.sim.{base.__name__}, got {made!r}")
    with _lock:
        known[word] = made


def instrument_keys() -> tuple[str, ...]:
    """Return what `model:` in a bench file may be, besides module:Class."""
    with _lock:
        return tuple(_instruments)


def part_words() -> tuple[str, ...]:
    """Return what `part:` in a bench file may be, besides module:Class."""
    with _lock:
        return tuple(_parts)


def find_instrument(word: str, folder: Path) -> type[Instrument]:
    """Return the class that `model: WORD` stands for; a module may lie in `folder`. Raises ValueError."""
    return _find(_instruments, word, folder, Instrument, "model")


def find_part(word: str, folder: Path) -> type[Part]:
    """Return the class that `part: WORD` stands for; a module may lie in `folder`. Raises ValueError."""
    return _find(_parts, word, folder, Part, "part")


def _find(known: Mapping[str, type[C]], word: str, folder: Path, base: type[C], kind: str) -> type[C]:
    if ":" in word:
        return _imported(word, folder, base)
    with _lock:
        found = known.get(word)
        words = tuple(known)
    if found is None:
        raise ValueError(f"{unknown(word, words, kind)} (one of your own is written my_module:MyClass)")
    return found


def _imported(word: str, folder: Path, base: type[C]) -> type[C]:
    module_name, _, name = word.partition(":")
    parts = module_name.split(".")
    if not all(part.isidentifier() for part in (*parts, name)):
        raise ValueError(f"{word!r}: expected module:Class, as in my_module:MyClass")
    module = sys.modules.get(module_name) or _module(module_name, folder)
    _check_place(module, parts, folder)
    found = getattr(module, name, None)
    if not _is_class(found, base):
        classes = [key for key, value in vars(module).items() if _is_class(value, base) and value is not base]
        known = unknown(name, classes, "class") if found is None else f"{name} is no subclass of {base.__name__}"
        raise ValueError(f"{word!r}: {known}, in {getattr(module, '__file__', None) or module_name}")
    return cast("type[C]", found)


def _check_place(module: object, parts: Sequence[str], folder: Path) -> None:
    """Refuse a module from elsewhere when there is one of the same name beside the bench file."""
    used = getattr(module, "__file__", None)
    beside = folder.joinpath(*parts)
    for file in (beside.with_suffix(".py"), beside / "__init__.py"):
        if file.is_file() and (used is None or not file.samefile(used)):
            raise ValueError(f"{file} is meant, but {used or parts[0]} has the same name and came first; rename one")


def _module(name: str, folder: Path) -> object:
    invalidate_caches()  # the file may have been written a moment ago
    sys.path.append(str(folder))  # last, so that nothing else is hidden by what lies beside the bench file
    try:
        return import_module(name)
    except Exception as error:  # a module may fail in any way; who wrote the bench file must see where it was wanted
        raise ValueError(
            f"the module {name!r} cannot be imported: {type(error).__name__}: {error}; put {name}.py beside the bench "
            f"file ({folder}), or on PYTHONPATH"
        ) from error
    finally:
        sys.path.remove(str(folder))


def _is_class(found: object, base: type[C]) -> bool:
    return isinstance(found, type) and issubclass(found, base)
