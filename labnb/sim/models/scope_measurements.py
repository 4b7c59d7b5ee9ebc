"""What an oscilloscope reads off a trace: levels, times, frequency, spectrum.

Top and base are the most frequent levels of either half, or the ends where none stands out (IEEE 181). Times are
between crossings of 10, 50 and 90 % of the way from base to top. What cannot be measured is 9.9E37.
"""

import cmath
import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence

from labnb.sim.models.scope_record import Trace, crossings
from labnb.sim.scpi import OVERLOAD

_STANDS_OUT = 0.05
"""A level that more than this part of all samples has is a top or a base."""
_FLAT_LSB = 1.5


def levels(trace: Trace) -> tuple[float, float]:
    """Return base and top."""
    middle = (max(trace.volts) + min(trace.volts)) / 2.0
    step = trace.lsb
    codes = Counter(round(volts / step) for volts in trace.volts)
    base = _outstanding(codes, step, len(trace.volts), lambda volts: volts < middle)
    top = _outstanding(codes, step, len(trace.volts), lambda volts: volts >= middle)
    return min(trace.volts) if base is None else base, max(trace.volts) if top is None else top


def _outstanding(codes: Counter[int], step: float, count: int, wanted: Callable[[float], bool]) -> float | None:
    there = {code: times for code, times in codes.items() if wanted(code * step)}
    best = max(there, key=lambda code: there[code], default=None)
    return best * step if best is not None and there[best] > _STANDS_OUT * count else None


def edges(trace: Trace, part: float, *, rising: bool) -> list[float]:
    """Return at which times it passes `part` of the way from base to top, in s from its first sample."""
    base, top = levels(trace)
    if top - base < _FLAT_LSB * trace.lsb:
        return []
    sign = 1.0 if rising else -1.0
    level = base + part * (top - base)
    found = crossings([sign * volts for volts in trace.volts], sign * level, 0.05 * (top - base))
    return [place * trace.interval_s for place in found]


def frequency(trace: Trace) -> float:
    """Return its frequency from all whole periods."""
    rises = edges(trace, 0.5, rising=True)
    return (len(rises) - 1) / (rises[-1] - rises[0]) if len(rises) > 1 else OVERLOAD


def _period(trace: Trace) -> float:
    hertz = frequency(trace)
    return 1.0 / hertz if hertz < OVERLOAD else OVERLOAD


def _between(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the mean time from each of `first` to the next of `second`."""
    spans = [after - before for before in first if (after := min((t for t in second if t > before), default=None))]
    return statistics.fmean(spans) if spans else OVERLOAD


def _rise(trace: Trace) -> float:
    return _between(edges(trace, 0.1, rising=True), edges(trace, 0.9, rising=True))


def _fall(trace: Trace) -> float:
    return _between(edges(trace, 0.9, rising=False), edges(trace, 0.1, rising=False))


def _high_time(trace: Trace) -> float:
    return _between(edges(trace, 0.5, rising=True), edges(trace, 0.5, rising=False))


def _low_time(trace: Trace) -> float:
    return _between(edges(trace, 0.5, rising=False), edges(trace, 0.5, rising=True))


def _share(part: float, period: float) -> float:
    return 100.0 * part / period if part < OVERLOAD and period < OVERLOAD else OVERLOAD


def _whole_cycles(trace: Trace) -> Sequence[float]:
    """Return the samples of whole periods, or all."""
    rises = edges(trace, 0.5, rising=True)
    if len(rises) < 2:
        return trace.volts
    return trace.volts[math.ceil(rises[0] / trace.interval_s) : math.ceil(rises[-1] / trace.interval_s)]


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(statistics.fmean([value**2 for value in values]))


def _overshoot(trace: Trace) -> float:
    base, top = levels(trace)
    return 100.0 * (max(trace.volts) - top) / (top - base) if top > base else OVERLOAD


MEASUREMENTS: dict[str, Callable[[Trace], float]] = {
    "VPP": lambda trace: max(trace.volts) - min(trace.volts),
    "VMAX": lambda trace: max(trace.volts),
    "VMIN": lambda trace: min(trace.volts),
    "VTOP": lambda trace: levels(trace)[1],
    "VBAS": lambda trace: levels(trace)[0],
    "VAMP": lambda trace: levels(trace)[1] - levels(trace)[0],
    "VAV": lambda trace: statistics.fmean(_whole_cycles(trace)),
    "VRMS": lambda trace: _rms(_whole_cycles(trace)),
    "OVER": _overshoot,
    "FREQ": frequency,
    "PER": _period,
    "RIS": _rise,
    "FALL": _fall,
    "PWID": _high_time,
    "NWID": _low_time,
    "DUTY": lambda trace: _share(_high_time(trace), _period(trace)),
    "NDUT": lambda trace: _share(_low_time(trace), _period(trace)),
}
"""By their short names."""
HEADERS = (
    "VPP", "VMAX", "VMIN", "VTOP", "VBASe", "VAMPlitude", "VAVerage", "VRMS", "OVERshoot", "FREQuency", "PERiod",
    "RISetime", "FALLtime", "PWIDth", "NWIDth", "DUTYcycle", "NDUTy",
)  # fmt: skip


def delay(first: Trace, second: Trace) -> float:
    """Return the time from the first rising edge of one trace to the next one of the other, in s."""
    here, there = edges(first, 0.5, rising=True), edges(second, 0.5, rising=True)
    if not here or not there:
        return OVERLOAD
    return min((after - here[0] for after in there), key=abs)


def phase(first: Trace, second: Trace) -> float:
    """Return by how many degrees of its own period the second trace lags the first, from -180 to 180."""
    period, seconds = _period(first), delay(first, second)
    if period >= OVERLOAD or seconds >= OVERLOAD:
        return OVERLOAD
    return (seconds / period * 360.0 + 180.0) % 360.0 - 180.0


def spectrum(trace: Trace, window: str) -> Trace:
    """Return its spectrum in dBV (0 dB is 1 V RMS) over frequency, from 0 to half of the sampling rate."""
    count = 1 << (len(trace.volts).bit_length() - 1)
    weights = [_WINDOWS[window](k / count) for k in range(count)]
    gain = sum(weights)
    bins = _fft([complex(volts * weight) for volts, weight in zip(trace.volts, weights, strict=False)])
    rms = [abs(each) * math.sqrt(2.0) / gain for each in bins[: count // 2]]
    rms[0] /= math.sqrt(2.0)
    decibels = tuple(20.0 * math.log10(max(each, 1e-6)) for each in rms)
    return fitted(decibels, 0.0, 1.0 / (count * trace.interval_s))


def fitted(values: Sequence[float], start: float, interval_s: float) -> Trace:
    """Return a computed trace whose scale fits its values into eight divisions."""
    low, high = min(values), max(values)
    return Trace(tuple(values), start, interval_s, max((high - low) / 200.0, 1e-9), (high + low) / 2.0)


OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "ADD": lambda a, b: a + b,
    "SUBT": lambda a, b: a - b,
    "MULT": lambda a, b: a * b,
    "DIV": lambda a, b: a / b if abs(b) > 1e-9 else 0.0,
}


def combined(operation: str, first: Trace, second: Trace) -> Trace:
    """Return what `operation` makes of two traces, sample by sample."""
    compute = OPERATIONS[operation]
    volts = [compute(a, b) for a, b in zip(first.volts, second.volts, strict=True)]
    return fitted(volts, first.start, first.interval_s)


_WINDOWS: dict[str, Callable[[float], float]] = {
    "RECT": lambda _: 1.0,
    "HANN": lambda x: 0.5 - 0.5 * math.cos(math.tau * x),
    "FLAT": lambda x: (
        0.21557895 - 0.41663158 * math.cos(math.tau * x) + 0.277263158 * math.cos(2 * math.tau * x)
        - 0.083578947 * math.cos(3 * math.tau * x) + 0.006947368 * math.cos(4 * math.tau * x)
    ),
    "BHAR": lambda x: (
        0.35875 - 0.48829 * math.cos(math.tau * x) + 0.14128 * math.cos(2 * math.tau * x)
        - 0.01168 * math.cos(3 * math.tau * x)
    ),
}  # fmt: skip
"""Hann, flat top and Blackman-Harris (F. J. Harris, Proc. IEEE 66 (1978) 51)."""


def _fft(values: list[complex]) -> list[complex]:
    """Return the discrete Fourier transform of a power of two of values (Cooley and Tukey 1965)."""
    count = len(values)
    if count == 1:
        return values
    even, odd = _fft(values[::2]), _fft(values[1::2])
    turned = [cmath.exp(-2j * math.pi * k / count) * each for k, each in enumerate(odd)]
    return [a + b for a, b in zip(even, turned, strict=True)] + [a - b for a, b in zip(even, turned, strict=True)]
