"""How people write values with units in a bench file: `4.7 kohm`, `100 nF`, `300 K`, or a plain number.

The unit belongs to the name of the value, as everywhere in labnb: `ohms`, `farads`, `photo_a`, `time_constant_s`.
"""

import math
import re
from decimal import Decimal

_PREFIXES = {"T": 12, "G": 9, "M": 6, "k": 3, "": 0, "m": -3, "u": -6, "µ": -6, "μ": -6, "n": -9, "p": -12, "f": -15}
_UNITS = {
    "ohm": "ohm", "ohms": "ohm", "farads": "F", "henries": "H", "hz": "Hz",
    "a": "A", "amps": "A", "v": "V", "volts": "V", "w": "W", "watts": "W", "ev": "eV", "mev": "meV",
    "s": "s", "seconds": "s", "k": "K", "kelvin": "K", "temperature": "K", "ambient": "K",
}  # fmt: skip
_SPELLINGS = {"ohm": ("ohm", "ohms", "Ohm", "Ohms", "\u03a9", "\u2126")}
_BARE_PREFIX = ("ohm", "F", "H")
"""A component's value may be written without its unit: 4.7k, 100n."""
_EXAMPLES = {"ohm": "4.7 kohm", "F": "100 nF", "H": "10 mH", "A": "2.5 nA", "V": "5 mV", "K": "300 K", "s": "20 ms"}
_NUMBER = re.compile(r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*(\S*)", re.ASCII)


def unit_of(name: str) -> str:
    """Return the unit of the values called `name`, "" if they have none or a compound one.

    >>> unit_of("ohms_at_25"), unit_of("photo_a"), unit_of("watts_per_kelvin")
    ('ohm', 'A', '')
    """
    words = name.lower().split("_")
    if "per" in words:
        return ""
    first = _UNITS.get(words[0], "") if len(words[0]) > 2 else ""
    return _UNITS.get(words[-1]) or first


def parse_quantity(value: object, unit: str = "") -> float:
    """Return `value`, a number or a text with or without `unit`, as a number in `unit`.

    >>> parse_quantity("4.7 kohm", "ohm"), parse_quantity("100n", "F"), parse_quantity("2 meV", "meV")
    (4700.0, 1e-07, 2.0)

    Raises ValueError, which says how it can be written.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value):
        return float(value)
    match = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    exponent = None if match is None else _exponent(match[2], unit)
    if match is None or exponent is None:
        raise ValueError(f"expected {_expected(unit)}, got {value!r}")
    return float(Decimal(match[1]).scaleb(exponent))


def _exponent(suffix: str, unit: str) -> int | None:
    """Return the power of ten that `suffix` says in terms of `unit`; None if it says something else."""
    base, own = ("eV", -3) if unit == "meV" else (unit, 0)
    if not suffix:
        return 0
    if base in _BARE_PREFIX and suffix in _PREFIXES:
        return _PREFIXES[suffix]
    for spelling in _SPELLINGS.get(base, (base,)):
        prefix = suffix.removesuffix(spelling)
        if prefix != suffix and prefix in _PREFIXES:
            return _PREFIXES[prefix] - own
    return None


def _expected(unit: str) -> str:
    return f"a number in {unit}, as in {_EXAMPLES.get(unit, f'2 {unit}')!r}" if unit else "a number"
