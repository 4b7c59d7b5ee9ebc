"""How a driver that is not ours is found and opened: QCoDeS', PyMeasure's, or anybody's that takes an address."""

import importlib
import inspect
from typing import Any

from labnb.core import InstrumentError, LabnbError, LinkError, unknown
from labnb.instruments.connections import connection_of

_ADDRESSES = ("address", "resource_name", "adapter", "resource", "visa_address", "port")
_LIBRARIES = ("visa_library", "visalib", "backend")


def find_class(text: str) -> type[Any]:  # Any: other people's drivers have no class in common
    """Return the class that `module.path:Class` names. Raises InstrumentError if there is none."""
    module_name, _, name = text.partition(":")
    if not module_name or not name:
        raise InstrumentError(f"{text!r} names no driver: expected 'module.path:Class'")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module may fail in any way; a person is told which one was wanted
        raise InstrumentError(
            f"the driver {text!r} cannot be imported: {type(error).__name__}: {error}; is its package installed, and its path right?"
        ) from error
    found = getattr(module, name, None)
    if not isinstance(found, type):
        classes = [each for each, value in vars(module).items() if isinstance(value, type)]
        raise InstrumentError(f"{unknown(name, classes, f'class of {module_name}')}")
    return found


def make(
    driver: type[Any], address: str, library: str, name: str, timeout_s: float, options: dict[str, Any]
) -> object:  # Any: see above
    """Return `driver` opened at `address` of the VISA library. Raises LinkError if it cannot be opened."""
    families = {base.__module__.partition(".")[0] for base in driver.__mro__}
    if "qcodes" in families:
        arguments = {
            "name": name,
            "address": address,
            "timeout": timeout_s,
            **({"visalib": library} if library else {}),
        }
    elif "pymeasure" in families:
        visa = {"visa_library": library} if library else {}
        arguments = {"adapter": address, "timeout": round(timeout_s * 1000), **visa}
    else:
        arguments = _arguments(driver, address, library)
    try:
        return driver(**{**arguments, **options})
    except LabnbError:
        raise
    except Exception as error:  # whatever their driver raises, a person is told which driver and where
        raise LinkError(
            f"{driver.__module__}:{driver.__name__} could not be opened at {address!r}"
            f"{f' of {library!r}' if library else ''}: {type(error).__name__}: {error}"
        ) from error


def _arguments(driver: type[Any], address: str, library: str) -> dict[str, str]:
    """Return address and library under the names that the driver's arguments have."""
    try:
        known = list(inspect.signature(driver).parameters)
    except (TypeError, ValueError):
        known = []
    place = next((word for word in _ADDRESSES if word in known), None)
    visa = next((word for word in _LIBRARIES if word in known), None)
    if place is None or (library and visa is None):
        why = f"its arguments are {', '.join(known)}" if place is None else f"it cannot be told to use {library!r}"
        raise InstrumentError(
            f"labnb does not know how to open a {driver.__name__} ({why}); open it yourself and give the object"
        )
    return {place: address, **({visa: library} if visa and library else {})}


def resource_of(instrument: object) -> object | None:
    """Return the PyVISA resource that a driver uses; None if it has none that we know of."""
    found = connection_of(instrument)
    return found if hasattr(type(found), "session") else None


def end(instrument: Any) -> None:  # Any: see above
    """End its connection as its driver does: by `shutdown()` and `close()`. Raises InstrumentError if one fails."""
    ends = [(instrument, "shutdown"), (instrument, "close")]
    if not hasattr(type(instrument), "close"):
        ends.append((getattr(instrument, "adapter", None), "close"))  # PyMeasure
    for thing, name in ends:
        call = getattr(thing, name, None)
        if callable(call) and not inspect.iscoroutinefunction(call):
            try:
                call()
            except Exception as error:  # whatever their driver raises, a person is told which driver
                kind = type(instrument).__name__
                raise InstrumentError(f"{kind}.{name}() failed: {error}; see that the instrument is off") from error


def is_open(resource: object | None) -> bool:
    """Say whether a PyVISA resource is open; True if there is none to ask."""
    if resource is None:
        return True
    try:
        return getattr(resource, "session", None) is not None
    except Exception:  # noqa: BLE001  PyVISA raises InvalidSession, which this room must not import before it is used
        return False
