"""How a quantity moves, and when it may not: steps and rates, and interlocks. Values and rules only."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from labnb.core import LimitError, format_value
from labnb.instruments.limits import to_number

_STEP_S = 0.1  # with a rate alone: often enough to be smooth, seldom enough to leave the lane to others


@dataclass(frozen=True, slots=True)
class Pace:
    """Move in steps of at most `max_step`, and by at most `max_rate` a second; None leaves that open."""

    max_step: float | None = None
    max_rate: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_step", "max_rate"):
            given: object = getattr(self, name)
            if given is not None and to_number(given, name) <= 0:
                raise LimitError(f"{name} must be more than 0, got {given!r}; leave it out to move at once")

    def __bool__(self) -> bool:
        return self.max_step is not None or self.max_rate is not None

    def next(self, present: float, target: float) -> float:
        """Return where the next step goes: never past `target`."""
        step = math.inf if self.max_step is None else self.max_step
        if self.max_rate is not None:
            step = min(step, self.max_rate * _STEP_S)
        if abs(target - present) <= step:
            return target
        moved = present + math.copysign(step, target - present)
        if moved == present:
            raise LimitError(f"steps of {step:g} are too small to move a value of {present:g}; allow larger ones")
        return moved

    def pause_s(self, moved: float) -> float:
        """Return how long the rate makes the next step wait after one of `moved`."""
        return 0.0 if self.max_rate is None else abs(moved) / self.max_rate

    def tightened(self, max_step: float | None, max_rate: float | None) -> "Pace":
        """Return this pace with what is given replaced."""
        return Pace(
            self.max_step if max_step is None else max_step,
            self.max_rate if max_rate is None else max_rate,
        )


@dataclass(frozen=True, slots=True)
class Interlock:
    """A condition under which values may be set: `allows(value)` is asked before anything is sent.

    `otherwise` says what a person has to do: "close the lid".
    """

    allows: Callable[[Any], object]  # Any: a value of the quantity that it guards
    otherwise: str

    def __post_init__(self) -> None:
        if not callable(self.allows) or inspect.iscoroutinefunction(self.allows):
            raise LimitError(f"interlock: expected a plain function of the value, got {self.allows!r}")
        if not self.otherwise:
            raise LimitError('interlock: say what has to be done, as in interlock(check, "close the lid")')

    def check(self, value: object, what: str) -> None:
        """Raise LimitError if `value` is not allowed now, or if that cannot be found out."""
        try:
            allowed = bool(self.allows(value))
        except Exception as error:  # whatever a person's condition fails with: in doubt nothing is sent
            raise LimitError(
                f"{what}: whether {format_value(value)} is allowed could not be found out "
                f"({type(error).__name__}: {error}): {self.otherwise}; nothing was sent"
            ) from error
        if not allowed:
            raise LimitError(f"{what} = {format_value(value)} is locked: {self.otherwise}; nothing was sent")
