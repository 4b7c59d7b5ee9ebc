"""What multimeters can measure: functions with their ranges, resolutions and noise, model by model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from labnb.sim.headers import expand, short_form
from labnb.sim.scpi import parse_number
from labnb.sim.status import ScpiError

OVERRANGE = 1.2


@dataclass(frozen=True, slots=True)
class Function:
    """What can be measured: its header, and its ranges in its unit."""

    header: str
    ranges: tuple[float, ...]
    default: float
    unit: str
    test_currents: tuple[float, ...] = ()
    """For a resistance: the current in each range, in A."""
    alternating: bool = False
    """The root of the mean square of what remains without the mean."""

    def named(self, word: str) -> float | None:
        """Return the range that MIN, MAX or DEF names."""
        if word not in ("MIN", "MINIMUM", "MAX", "MAXIMUM", "DEF", "DEFAULT"):
            return None
        return {"MIN": self.ranges[0], "MAX": self.ranges[-1], "DEF": self.default}[word[:3]]

    def range_for(self, word: str) -> float:
        """Return the smallest range that holds what `word` says. Raises ScpiError -222 beyond the largest."""
        value = self.named(word.upper())
        value = abs(parse_number(word, self.unit)) if value is None else value
        if value > OVERRANGE * self.ranges[-1]:
            raise ScpiError(-222, word)
        return next(each for each in self.ranges if value <= OVERRANGE * each)

    def wanted_range(self, value: float, present: float) -> float:
        """Return the range that autoranging takes for `value`: up at 120 %, down at 10 %."""
        if 0.1 * present <= abs(value) <= OVERRANGE * present:
            return present
        return next((each for each in self.ranges if abs(value) <= OVERRANGE * each), self.ranges[-1])


Functions = Mapping[str, Function]

_OHMS = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
_OHM_AMPS = (1e-3, 1e-3, 1e-4, 1e-5, 5e-6, 5e-7, 5e-8, 5e-9)
_FARADS = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)
TRUEVOLT: Functions = {
    "VOLT": Function("VOLTage[:DC]", (0.1, 1.0, 10.0, 100.0, 1000.0), 10.0, "V"),
    "CURR": Function("CURRent[:DC]", (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 3.0, 10.0), 0.1, "A"),
    "RES": Function("RESistance", _OHMS, 1e3, "OHM", _OHM_AMPS),
    "FRES": Function("FRESistance", _OHMS, 1e3, "OHM", _OHM_AMPS),
    "VOLT:AC": Function("VOLTage:AC", (0.1, 1.0, 10.0, 100.0, 750.0), 10.0, "V", alternating=True),
    "CURR:AC": Function("CURRent:AC", (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 3.0, 10.0), 0.1, "A", alternating=True),
    "CAP": Function("CAPacitance", _FARADS, 1e-6, "F", tuple(10.0 * farads for farads in _FARADS)),
    "FREQ": Function("FREQuency", (0.1, 1.0, 10.0, 100.0, 750.0), 10.0, "V"),
    "PER": Function("PERiod", (0.1, 1.0, 10.0, 100.0, 750.0), 10.0, "V"),
    "DIOD": Function("DIODe", (5.0,), 5.0, "V", (1e-3,)),
    "CONT": Function("CONTinuity", (1e3,), 1e3, "OHM", (1e-3,)),
    "TEMP": Function("TEMPerature", _OHMS[:7], 1e4, "OHM", _OHM_AMPS[:7]),
    "VOLT:RAT": Function("VOLTage[:DC]:RATio", (0.1, 1.0, 10.0, 100.0, 1000.0), 10.0, "V"),
}
"""34465A and 34470A (Truevolt Operating and Service Guide, 34460-90901)."""
LATER = ("CAP", "TEMP")
"""What the 34401A does not measure."""


def _less(amps: tuple[float, ...], alternating_amps: tuple[float, ...], ohms: int) -> Functions:
    """Return the functions of a meter with fewer ranges."""
    kept: dict[str, tuple[float, ...]] = {
        "CURR": amps, "CURR:AC": alternating_amps, "RES": _OHMS[:ohms], "FRES": _OHMS[:ohms], "DIOD": (1.0,),
    }  # fmt: skip
    less = {name: replace(known, ranges=kept.get(name, known.ranges)) for name, known in TRUEVOLT.items()}
    return {name: replace(each, default=min(each.default, each.ranges[-1])) for name, each in less.items()}


AGILENT_34410A = _less((1e-4, 1e-3, 1e-2, 1e-1, 1.0, 3.0), (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 3.0), 8)
HP_34401A = _less((1e-2, 1e-1, 1.0, 3.0), (1.0, 3.0), 7)

EACH = tuple(function.header for function in TRUEVOLT.values())
"""All that is measured."""
RANGED = EACH[:7]
"""Those with a range of their own."""
DIRECT = (*EACH[:4], "TEMPerature")
"""Those that integrate over line cycles."""
ZEROING = (*EACH[:3], "TEMPerature")
ALTERNATING = EACH[4:6]
COUNTED = ("FREQuency", "PERiod")
FIXED_CYCLES = {"CAP": 10.0, "DIOD": 1.0, "CONT": 0.2}
NAMES: dict[str, str] = {
    spelling: name
    for name, function in TRUEVOLT.items()
    for long in expand(function.header)
    for spelling in (long.upper(), short_form(long))
}
"""Every way to write a function, and its name."""

Resolutions = tuple[tuple[float, float], ...]
"""(line cycles, resolution in parts of the range), from short to long."""

RESOLUTIONS_34470A: Resolutions = (
    (0.001, 3e-5), (0.002, 1e-5), (0.006, 3e-6), (0.02, 1e-6), (0.06, 5e-7), (0.2, 3e-7), (1, 1e-7), (10, 3e-8),
    (100, 1e-8),
)  # fmt: skip
RESOLUTIONS_34465A: Resolutions = (
    (0.001, 3e-5), (0.002, 1.5e-5), (0.006, 6e-6), (0.02, 3e-6), (0.06, 1.5e-6), (0.2, 7e-7), (1, 3e-7), (10, 1e-7),
    (100, 3e-8),
)  # fmt: skip
RESOLUTIONS_34410A: Resolutions = (
    (0.006, 6e-6), (0.02, 3e-6), (0.06, 1.5e-6), (0.2, 7e-7), (1, 3e-7), (2, 2e-7), (10, 1e-7), (100, 3e-8),
)  # fmt: skip
RESOLUTIONS_34401A: Resolutions = ((0.02, 1e-4), (0.2, 1e-5), (1, 3e-6), (10, 1e-6), (100, 3e-7))


def resolution(table: Resolutions, nplc: float) -> float:
    """Return the resolution in parts of the range that `nplc` line cycles give."""
    return next((parts for cycles, parts in reversed(table) if cycles <= nplc * (1 + 1e-9)), table[0][1])


def cycles_for(table: Resolutions, parts: float) -> float:
    """Return the fewest line cycles that resolve `parts` of the range. Raises ScpiError -222 for too fine a one."""
    for cycles, reached in table:
        if reached <= parts * 1.06:  # a driver writes two digits of it
            return cycles
    raise ScpiError(-222, f"{parts:g} of range")


def noise_sigma(range_: float, nplc: float) -> float:
    """Return the standard deviation of one reading in `range_`, in its unit, integrated over `nplc` line cycles.

    0.2 ppm of range at one cycle, falling with the root of the time; below one cycle the line is not rejected, which
    adds 3 ppm of range. This is the 34470A; other models have a multiple of it (`Multimeter.noise`).
    """
    return range_ * (2e-7 / math.sqrt(nplc) + (3e-6 if nplc < 1 else 0.0))
