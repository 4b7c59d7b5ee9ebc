"""How far a run is: rate, time that is left, and how both are written."""

import math
from bisect import bisect_right

_WINDOW_S = 5.0
_LEAST_POINTS = 5
_MARKS = 256


def clock_text(seconds: float | None) -> str:
    """Return `00:31`, `1:02:03` or `2 d 03:04`; `–:––` when nobody knows."""
    if seconds is None or not math.isfinite(seconds):
        return "–:––"
    whole = max(0, int(seconds))
    minutes, secs = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes:02}:{secs:02}"


def rate_text(per_s: float | None) -> str:
    """Return `3.6 /s`, `12 /min` or `410 k/s`."""
    if per_s is None or not math.isfinite(per_s) or per_s <= 0:
        return "– /s"
    if per_s < 0.5:
        return f"{per_s * 60:.3g} /min" if per_s * 60 >= 0.5 else f"{per_s * 3600:.3g} /h"
    if per_s >= 999.5:
        return f"{per_s / 1e6:.3g} M/s" if per_s >= 999.5e3 else f"{per_s / 1e3:.3g} k/s"
    return f"{per_s:.0f} /s" if per_s >= 99.95 else f"{per_s:.1f} /s"


def fraction(points: int, total: int | None) -> float | None:
    """Return how much is done, 0 … 1; None if the total is unknown."""
    if total is None:
        return None
    return 1.0 if total <= 0 else min(1.0, points / total)


class Pace:
    """Points per second of late (some five seconds, more if points are rare), from moments as they come.

    Time in which the run was held (paused) does not count: the rate and what is left stand still.
    """

    def __init__(self) -> None:
        self._times: list[float] = []
        self._points: list[int] = []
        self._now_s, self._count = 0.0, 0
        self._elapsed_s, self._held_s = 0.0, 0.0

    def update(self, elapsed_s: float, points: int, *, held: bool = False) -> None:
        """Take note of a moment. Moments closer than a tenth of a second to the last marked one are not marked."""
        if held:
            self._held_s += elapsed_s - self._elapsed_s
        self._elapsed_s = elapsed_s
        self._now_s, self._count = elapsed_s - self._held_s, points
        if not self._times or self._now_s - self._times[-1] >= 0.1:
            self._mark()

    def _mark(self) -> None:
        self._times.append(self._now_s)
        self._points.append(self._count)
        if len(self._times) > _MARKS:
            # Every other of the older half goes: the memory is bounded, the far past gets coarse.
            half = _MARKS // 2
            self._times[:half] = self._times[:half:2]
            self._points[:half] = self._points[:half:2]

    @property
    def per_s(self) -> float | None:
        """The rate at the last moment; None before the first point."""
        if self._count <= 0 or self._now_s <= 0:
            return None
        early = bisect_right(self._times, self._now_s - _WINDOW_S) - 1
        rare = bisect_right(self._points, self._count - _LEAST_POINTS) - 1
        place = min(early, rare)
        if place < 0:
            return self._count / self._now_s
        return (self._count - self._points[place]) / (self._now_s - self._times[place])

    def left_s(self, total: int | None) -> float | None:
        """Return how long the rest takes at this rate; None if the total or the rate is unknown."""
        rate = self.per_s
        if total is None or not rate:
            return None
        return max(0, total - self._count) / rate
