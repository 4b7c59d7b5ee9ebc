"""A sweep whose next point is chosen by what was measured so far, as a value: where, for what, and until when."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from labnb.core.axes import OpenAxis
from labnb.core.errors import PlanError
from labnb.core.values import check_name, check_unit, format_value

POINT = "point"
"""The dimension of an adaptive sweep: its points in the order in which they were chosen."""


@dataclass(frozen=True, slots=True)
class AdaptiveSweep:
    """Where points may be chosen (`bounds`, one pair for each name), so that `on` is known everywhere equally well.

    It ends when the loss of the `adaptive` library falls below `goal`, or after `most` points.
    """

    bounds: tuple[tuple[float, float], ...]
    units: tuple[str, ...]
    on: str | None = None
    goal: float = 0.01
    most: int = 1000

    def named(self, *names: str) -> "AdaptiveAxis":
        """Return its axis. Raises PlanError unless there is a name for each pair of bounds."""
        if len(names) != len(self.bounds):
            raise PlanError(
                f"this adaptive sweep chooses {len(self.bounds)} value{'s' if len(self.bounds) > 1 else ''} at each point; "
                f"got the names {', '.join(names)}"
            )
        for name in names:
            check_name(name, "axis")
            if names.count(name) > 1 or name == POINT:
                raise PlanError(f"the adaptive sweep cannot choose {name!r}: {_why_not(name)}; choose another name")
        return AdaptiveAxis(POINT, 1.0, "", "in the order in which they were chosen", self, names)

    def __repr__(self) -> str:
        ranges = ", ".join(
            f"{format_value(low)} … {format_value(high)} {unit}".rstrip()
            for (low, high), unit in zip(self.bounds, self.units, strict=True)
        )
        return f"sweep.adaptive({ranges}, goal={self.goal:g}, most={self.most})"


@dataclass(frozen=True, slots=True)
class AdaptiveAxis(OpenAxis):
    """The dimension `point` of an adaptive sweep; `chosen` are the names of what is chosen, recorded along it."""

    sweep: AdaptiveSweep = AdaptiveSweep(((0.0, 1.0),), ("",))
    chosen: tuple[str, ...] = ()

    def values_text(self) -> str:
        """Return e.g. `chosen within 0 … 0.8 V, at most 1000 points`."""
        return repr(self.sweep)


def adaptive(
    start: object,
    stop: object,
    unit: str | Sequence[str] = "",
    *,
    on: str | None = None,
    goal: float = 0.01,
    most: int = 1000,
) -> AdaptiveSweep:
    """Return a sweep from `start` to `stop` whose points are chosen where `on` (a recorded number) changes most.

    `sweep.adaptive(0, 1, "V", on="current")` chooses one value; `for x, y in sweep.adaptive((0, 1), (-2, 2), ("V", "T"))`
    chooses two, each pair being the range of one of them. `on` may be left out if only one number is recorded in the
    loop. Raises PlanError for ranges that are empty or not finite.
    """
    if isinstance(start, Sequence) and isinstance(stop, Sequence):
        bounds = (_pair(cast(Sequence[object], start)), _pair(cast(Sequence[object], stop)))
    else:
        bounds = (_pair((start, stop)),)
    units = (unit,) * len(bounds) if isinstance(unit, str) else tuple(unit)
    if len(units) != len(bounds):
        raise PlanError(f"sweep.adaptive: {len(bounds)} ranges and {len(units)} units; give one unit for each")
    if not (isinstance(goal, int | float) and 0 < goal < math.inf):  # pyright: ignore[reportUnnecessaryIsInstance]  people pass anything
        raise PlanError(f"sweep.adaptive: goal must be a number greater than zero, got {goal!r}")
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PlanError(f"sweep.adaptive: most must be a whole number of points, 1 or more, got {most!r}")
    return AdaptiveSweep(bounds, tuple(check_unit(each, "sweep.adaptive") for each in units), on, float(goal), most)


def _why_not(name: str) -> str:
    return "that is its dimension" if name == POINT else "each value needs a name of its own"


def _pair(ends: Sequence[object]) -> tuple[float, float]:
    if len(ends) != 2 or not all(
        isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in ends
    ):
        raise PlanError(f"sweep.adaptive: a range is two finite numbers, got {tuple(ends)!r}")
    low, high = sorted(float(cast(float, end)) for end in ends)
    if low == high:
        raise PlanError(f"sweep.adaptive: the range from {low:g} to {high:g} is empty")
    return low, high
