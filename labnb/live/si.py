"""How numbers with units are written for people: `1.204 mA`, and one prefix for a whole axis: `current (mA)`."""

import math
from dataclasses import dataclass

_PREFIXES = {
    -24: "y",
    -21: "z",
    -18: "a",
    -15: "f",
    -12: "p",
    -9: "n",
    -6: "µ",
    -3: "m",
    0: "",
    3: "k",
    6: "M",
    9: "G",
    12: "T",
    15: "P",
    18: "E",
}
_POWERS = {prefix: power for power, prefix in _PREFIXES.items() if prefix} | {"u": -6, "μ": -6}
# Units that people write with prefixes. Others (%, dB, °C, min, counts, V²) keep their numbers as they are.
_BASES = frozenset(
    "A V W Ω ohm Ohm F H Hz s m g J N Pa K C T Wb S eV Bq bar VA var Sa lx lm cd mol L l rad".split()  # noqa: SIM905 -- reads better than 30 quoted texts
)
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, slots=True)
class Scaling:
    """How raw values of an axis become the numbers at its ticks: `(raw - offset) / factor`, in `unit`."""

    factor: float = 1.0
    unit: str = ""
    offset: float = 0.0
    origin: str = ""

    def label(self, name: str) -> str:
        """Return e.g. `current (mA)`; with an offset `frequency − 9.192632 GHz (Hz)`."""
        shown = f"{name} − {self.origin}" if self.origin else name
        return f"{shown} ({self.unit})" if self.unit else shown


def _split(unit: str) -> tuple[int, str] | None:
    """Return the power of ten and the base of a unit that takes prefixes (`mV/s` -> -3, `V/s`), or None."""
    head, slash, rest = unit.partition("/")
    if head in _BASES:
        return 0, unit
    if len(head) > 1 and head[0] in _POWERS and head[1:] in _BASES:
        return _POWERS[head[0]], head[1:] + slash + rest
    return None


def _power_of(size: float) -> int:
    """Return the power (a multiple of 3 with a prefix) that brings `size` into 1 … 1000."""
    if size == 0 or not math.isfinite(size):
        return 0
    power = 3 * math.floor(math.log10(size) / 3 + 1e-12)
    return min(max(power, min(_PREFIXES)), max(_PREFIXES))


def _scaled(power: int, unit: str) -> Scaling:
    split = _split(unit)
    if split is not None:
        own, base = split
        return Scaling(10.0 ** (power - own), _PREFIXES[power] + base)
    if -3 < power < 6:
        return Scaling(1.0, unit)
    return Scaling(10.0**power, f"10{str(power).translate(_SUPERSCRIPT)} {unit}".rstrip())


def scaling(low: float, high: float, unit: str, before: Scaling | None = None) -> Scaling:
    """Return the one scaling of an axis that shows values from `low` to `high`.

    `before` is the scaling shown so far: it stays while it still reads well (0.5 … 2000), so that an axis does not
    flip between two prefixes. A range that is tiny beside its distance from zero gets an offset, since float32
    (what the browser draws) resolves only 1e-7 of a number.
    """
    size = max(abs(low), abs(high))
    span = high - low
    if 0 < span < 1e-4 * size:
        return _from_origin((low + high) / 2, span, unit)
    own = (_split(unit) or (0, unit))[0]
    if before is not None and not before.origin and size > 0:
        shown = size / before.factor
        if 0.5 <= shown < 2000:
            return before
    return _scaled(_power_of(size * 10.0**own), unit)


def _from_origin(middle: float, span: float, unit: str) -> Scaling:
    digits = max(1, math.ceil(math.log10(abs(middle) / span)) + 1)
    # The origin is what its own text says, so that ticks add up to true values.
    origin = float(f"{middle:.{digits}g}")
    own = (_split(unit) or (0, unit))[0]
    inner = _scaled(_power_of(span * 10.0**own), unit)
    return Scaling(inner.factor, inner.unit, origin, si_text(origin, unit, digits))


def si_text(value: float, unit: str, digits: int = 4) -> str:
    """Return `value` with `digits` significant digits and a prefix: `1.204 mA`, `300.0 K`; NaN is `–`."""
    if math.isnan(value):
        return f"– {unit}".rstrip()
    if math.isinf(value) or abs(value) >= OVERLOAD:
        return f"{'−' if value < 0 else ''}overload"
    split = _split(unit)
    if split is None:
        return f"{_plain(value, digits)} {unit}".rstrip()
    own, base = split
    # Rounded first: 999.96 with four digits is 1.000 k, not 1000.
    rounded = float(f"{value:.{digits - 1}e}")
    power = _power_of(abs(rounded) * 10.0**own)
    return f"{_fixed(rounded * 10.0 ** (own - power), digits)} {_PREFIXES[power]}{base}"


OVERLOAD = 9.9e37
"""What SCPI instruments answer when a reading is out of range (SCPI-99, 7.2.1.4); shown, never drawn."""


def _fixed(value: float, digits: int) -> str:
    whole = 1 if value == 0 else max(1, math.floor(math.log10(abs(value)) + 1e-12) + 1)
    return f"{value:.{max(0, digits - whole)}f}".replace("-", "−")


def _plain(value: float, digits: int) -> str:
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        leading = 1 if value == 0 else math.floor(math.log10(abs(value)) + 1e-12) + 1
        decimals = min(max(0, digits - leading), digits + 2)
        return f"{value:.{decimals}f}".replace("-", "−")
    return f"{value:.{digits - 1}e}".replace("-", "−")


def value_text(value: complex | bool | str | None, unit: str = "", digits: int = 4) -> str:
    """Return any reading as people write it; nothing measured yet is `–`."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return f"{value} {unit}".rstrip()
    if isinstance(value, complex):
        angle = math.degrees(math.atan2(value.imag, value.real))
        return f"{si_text(abs(value), unit, digits)} ∠ {angle:.1f}°".replace("-", "−")
    return si_text(float(value), unit, digits)
