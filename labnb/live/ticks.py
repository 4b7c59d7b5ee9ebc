"""Where an axis has its ticks: at round numbers."""

import math

_SHORT = 2.0  # powers of ten: shorter logarithmic axes have ticks at 1, 2, 5
_MOST_DECADES = 8


def round_ticks(low: float, high: float, count: int) -> tuple[list[float], int]:
    """Return some `count` round numbers between two limits, and how many decimals they need."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return [], 0
    rough = (high - low) / count
    power = math.floor(math.log10(rough))
    step = next(s * 10.0**power for s in (1, 2, 5, 10) if s * 10.0**power >= rough * 0.999)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, decimals) for k in range(first, last + 1)], decimals


def decades(low: float, high: float) -> list[float]:
    """Return where a logarithmic axis has ticks: at powers of ten, not more than eight; at 1, 2, 5 if it is short."""
    if not 0 < low < high:
        return []
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if math.log10(high / low) < _SHORT else (1,)
    every = max(1, math.ceil((last - first) / _MOST_DECADES))
    found = [step * 10.0**power for power in range(first, last + 1) if power % every == 0 for step in steps]
    return [tick for tick in found if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
