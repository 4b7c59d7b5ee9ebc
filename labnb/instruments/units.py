"""Which number stands for a value that brings its own unit.

`"5 mV"`, a pint or astropy quantity, a `Reading` or a labelled array are converted where only an SI prefix differs (and
by pint itself where it knows more); everything else is refused, because guessing a unit is how a device dies.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, cast

from labnb.core import LimitError

_EXPONENTS = {
    "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "": 0, "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12, "f": -15, "a": -18,
}  # fmt: skip
_SPELLINGS = {"ohm": "Ohm", "ohms": "Ohm", "\u03a9": "Ohm", "\u2126": "Ohm"}
_TEXT = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([^\s\d.+-].*?)\s*")


def in_unit(value: object, unit: str, what: str) -> object:
    """Return what `value` is in `unit`; a value without a unit of its own is returned as it is.

    Raises LimitError if the units do not match.
    """
    if type(value) in (float, int):
        return value
    if isinstance(value, str):
        found = _TEXT.fullmatch(value)
        return _converted(float(found[1]), found[2], unit, what, value) if found else value
    magnitude: object = getattr(value, "magnitude", None)
    if magnitude is not None:
        return _of_pint(value, magnitude, unit, what)
    own = _unit_of(value)
    return value if own is None else _converted(_bare(value, what), own, unit, what, value)


def shifted(number: Any, given: str, wanted: str) -> Any:  # Any: a number, or an array of any library
    """Return `number` in `wanted`, given in `given`; None if they differ by more than an SI prefix."""
    exponent = _exponent(_spelled(given), _spelled(wanted))
    if exponent is None:
        return None
    return number * 10**exponent if exponent >= 0 else number / 10**-exponent  # dividing is exact for 3300 mV


def _exponent(given: str, wanted: str) -> int | None:
    if given == wanted:
        return 0
    for prefix, exponent in _EXPONENTS.items():
        if prefix and given == prefix + wanted:
            return exponent
        base = wanted.removeprefix(prefix)
        if prefix and base and base != wanted:
            for other, shift in _EXPONENTS.items():
                if given == other + base:
                    return shift - exponent
    return None


def _bare(value: object, what: str) -> object:
    """Return the number or the array that carries a unit."""
    if getattr(value, "shape", ()):
        return value
    try:
        return float(cast(float, value))
    except (TypeError, ValueError):
        raise LimitError(f"{what} must be a number, got {value!r} ({type(value).__name__}); nothing was sent") from None


def _spelled(unit: str) -> str:
    for known, ours in _SPELLINGS.items():
        if unit.endswith(known):
            return unit.removesuffix(known) + ours
    return unit


def _converted(number: object, given: str, wanted: str, what: str, value: object) -> object:
    converted = shifted(number, given, wanted)
    if converted is None:
        raise _mismatch(what, wanted, given, value)
    return converted


def _of_pint(value: object, magnitude: object, unit: str, what: str) -> object:
    own = f"{getattr(value, 'units', '')!s:s}"
    short = _short_pint(value)
    if (converted := shifted(magnitude, short, unit)) is not None:
        return converted
    to = cast(Callable[[str], object] | None, getattr(value, "to", None))
    try:
        if to is not None:
            return cast(object, getattr(to(_spelled_for_pint(unit)), "magnitude"))  # noqa: B009  a foreign class
    except (TypeError, ValueError, AttributeError) as error:  # what pint's errors derive from
        raise _mismatch(what, unit, own, value) from error
    raise _mismatch(what, unit, own, value)


def _short_pint(value: object) -> str:
    units: object = getattr(value, "units", "")
    try:
        return format(units, "~")
    except (TypeError, ValueError):
        return str(units)


def _spelled_for_pint(unit: str) -> str:
    return unit.replace("Ohm", "ohm") or "dimensionless"


def _unit_of(value: object) -> str | None:
    """Return the unit that `value` carries as an attribute; None if it carries none."""
    for name in ("unit", "units"):
        own: object = getattr(value, name, None)
        if own is not None and not callable(own):
            return str(own)
    attributes: object = getattr(value, "attrs", None)
    if isinstance(attributes, Mapping):
        known = cast(Mapping[str, object], attributes)
        own = known.get("units", known.get("unit"))
        return None if own is None else str(own)
    return None


def _mismatch(what: str, wanted: str, given: str, value: object) -> LimitError:
    ours = f"is in {wanted}" if wanted else "has no unit"
    return LimitError(
        f"{what} {ours}, got {value!s} (in {given or 'no unit'}): the units do not match; "
        f"give a plain number{f' in {wanted}' if wanted else ''}; nothing was sent"
    )
