"""The limits and the scale of an axis that do not jump with every point."""

import math

import numpy as np
from numpy.typing import NDArray

from labnb.live.si import Scaling, scaling

_MARGIN = 0.05  # of the span, free at each side when limits are set
_FILLED = 0.25  # of the span, that data fill at least
_NEAR_ZERO = 0.01  # of the span
_AHEAD = 0.25  # of the span, taken in advance where data leave the limits


class Extent:
    """Limits that hold all data and move in steps; and the one SI prefix that suits them.

    They shrink only where data fill less than a quarter: after a first point, around which nobody knows the breadth.
    `fix` shows a sweep's own axis whole from the first point on.
    """

    def __init__(self, name: str, unit: str) -> None:
        self._name = name
        self._unit = unit
        self.low, self.high = math.nan, math.nan
        self.scaling = Scaling(unit=unit)

    @property
    def label(self) -> str:
        """Return e.g. `current (mA)`."""
        return self.scaling.label(self._name)

    @property
    def known(self) -> bool:
        """Whether there is anything to show yet."""
        return not math.isnan(self.low)

    def fix(self, low: float, high: float) -> None:
        """Show this range, with a hair of room so that the ends are not on the frame."""
        pad = (high - low) * 0.01 or _breadth(low)
        self.show(low - pad, high + pad)

    def show(self, low: float, high: float) -> None:
        """Show just this range."""
        self._set(low, high)

    def fit(self, low: float, high: float) -> bool:
        """Make room for data from `low` to `high`; return whether the limits moved."""
        held = self.known and self.low <= low and high <= self.high
        lost = self.known and 0 < high - low < _FILLED * (self.high - self.low)
        if held and not lost:
            return False
        if lost or not self.known:
            pad = (high - low) * _MARGIN or _breadth(low)
            self._set(low - pad, high + pad)
            return True
        span = max(high, self.high) - min(low, self.low)
        below, above = (_room(edge, span) for edge in (low, high))
        self._set(low - below if low < self.low else self.low, high + above if high > self.high else self.high)
        return True

    def run_ahead(self, high: float) -> bool:
        """Make room upwards only, from zero, in steps of a third: for time."""
        if self.known and high <= self.high:
            return False
        self._set(0.0, max(high * 4 / 3, 1e-12))
        return True

    def _set(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.scaling = scaling(low, high, self._unit, self.scaling if self.known else None)

    def drawn(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return values as float32 in the units of the ticks."""
        return ((values - self.scaling.offset) / self.scaling.factor).astype(np.float32)

    @property
    def limits(self) -> tuple[float, float]:
        """Return the limits in the units of the ticks; (0, 1) before there is anything."""
        if not self.known:
            return 0.0, 1.0
        return (
            (self.low - self.scaling.offset) / self.scaling.factor,
            (self.high - self.scaling.offset) / self.scaling.factor,
        )


def _room(edge: float, span: float) -> float:
    """Return how much room to take beyond data that left the limits: noise about zero asks for less than a trend."""
    return (_MARGIN if abs(edge) < _NEAR_ZERO * span else _AHEAD) * span


def _breadth(value: float) -> float:
    """Return room around a single value: ten per cent of it, or one."""
    return abs(value) * 0.1 or 1.0
