"""A drift-free schedule as an axis: points at k * interval."""

import math

from labnb.core import Axis, OpenAxis, PlanError

_MOST = 10_000_000
_SHORTEST_S = 1e-6  # no point is ever measured faster; clocks count in ns


def time_axis(interval_s: float, duration_s: float | None = None) -> Axis | OpenAxis:
    """Return the axis `time` in s, with the points that begin within `duration_s` (None: until somebody stops).

    Raises PlanError unless both are finite and positive, and the interval is 1 us or longer.

    >>> time_axis(0.25, 1.0).values
    (0.0, 0.25, 0.5, 0.75)
    """
    interval_s = _seconds("interval", interval_s)
    if interval_s < _SHORTEST_S:
        raise PlanError(f"interval must be {_SHORTEST_S:g} s or longer, got {interval_s!r}")
    if duration_s is None:
        return OpenAxis("time", interval_s, "s")
    count = max(1, math.ceil(_seconds("duration", duration_s) / interval_s - 1e-9))
    if count > _MOST:
        raise PlanError(
            f"{count} points, every {interval_s:g} s for {duration_s:g} s, are more than one axis holds ({_MOST}); leave the "
            "duration out and stop the run when it is over"
        )
    return Axis("time", tuple(k * interval_s for k in range(count)), "s")


def _seconds(what: str, value: object) -> float:
    tolist: object = getattr(value, "tolist", None)  # numpy's numbers
    value = tolist() if callable(tolist) else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise PlanError(f"{what} must be a number of seconds greater than zero, got {value!r}")
    return float(value)
