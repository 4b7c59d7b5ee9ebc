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
    `fix` shows a sweep's own axis whole from the first point on. On a logarithmic axis (`log`) distances are ratios,
    the prefixes stand at the ticks, and only values above zero have a place.
    """

    def __init__(self, name: str, unit: str, *, log: bool = False) -> None:
        self._name = name
        self._unit = unit
        self.log = log
        self.low, self.high = math.nan, math.nan
        self.scaling = Scaling(unit=unit)

    @property
    def label(self) -> str:
        """Return e.g. `current (mA)`."""
        return self.scaling.label(self._name)

    @property
    def name(self) -> str:
        """Return what is measured along it."""
        return self._name

    @property
    def unit(self) -> str:
        """Return the unit of its raw values."""
        return self._unit

    @property
    def known(self) -> bool:
        """Whether there is anything to show yet."""
        return not math.isnan(self.low)

    def fix(self, low: float, high: float) -> None:
        """Show this range, with a hair of room so that the ends are not on the frame."""
        first, last = self._place(low), self._place(high)
        pad = (last - first) * 0.01 or self._breadth(first)
        self._set(first - pad, last + pad)

    def show(self, low: float, high: float) -> None:
        """Show just this range."""
        self._set(self._place(low), self._place(high))

    def fit(self, low: float, high: float) -> bool:
        """Make room for data from `low` to `high`; return whether the limits moved."""
        if self.log and not 0 < low <= high < math.inf:
            return False
        first, last = self._place(low), self._place(high)
        if not self.known:
            return self._open(first, last)
        begin, end = self._place(self.low), self._place(self.high)
        if 0 < last - first < _FILLED * (end - begin):
            return self._open(first, last)
        if begin <= first and last <= end:
            return False
        span = max(last, end) - min(first, begin)
        below, above = (_room(edge, span) for edge in (first, last))
        self._set(first - below if first < begin else begin, last + above if last > end else end)
        return True

    def run_ahead(self, high: float) -> bool:
        """Make room upwards only, from zero, in steps of a third: for time."""
        if self.known and high <= self.high:
            return False
        self._set(0.0, max(high * 4 / 3, 1e-12))
        return True

    def _open(self, first: float, last: float) -> bool:
        pad = (last - first) * _MARGIN or self._breadth(first)
        self._set(first - pad, last + pad)
        return True

    def _place(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def _breadth(self, place: float) -> float:
        """Return room around a single value: ten per cent of it, or one; half a decade."""
        return 0.5 if self.log else abs(place) * 0.1 or 1.0

    def _set(self, first: float, last: float) -> None:
        if self.log:
            self.low, self.high = 10.0**first, 10.0**last
            return
        self.low, self.high = first, last
        self.scaling = scaling(first, last, self._unit, self.scaling if self.known else None)

    def drawn(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return values as float32 in the units of the ticks."""
        return ((values - self.scaling.offset) / self.scaling.factor).astype(np.float32)

    def raw(self, ticks: float) -> float:
        """Return the raw value of a number at the ticks."""
        return ticks * self.scaling.factor + self.scaling.offset

    def at_ticks(self, low: float, high: float) -> tuple[float, float]:
        """Return a raw range in the units of the ticks."""
        return (low - self.scaling.offset) / self.scaling.factor, (high - self.scaling.offset) / self.scaling.factor

    @property
    def limits(self) -> tuple[float, float]:
        """Return the limits in the units of the ticks; (0, 1) before there is anything."""
        if not self.known:
            return (1.0, 10.0) if self.log else (0.0, 1.0)
        return self.at_ticks(self.low, self.high)


def _room(edge: float, span: float) -> float:
    """Return how much room to take beyond data that left the limits: noise about zero asks for less than a trend."""
    return (_MARGIN if abs(edge) < _NEAR_ZERO * span else _AHEAD) * span
