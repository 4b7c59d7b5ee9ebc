"""Which values may reach an instrument: checked before anything is queued or sent."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from labnb.core import LimitError, format_value
from labnb.instruments.units import in_unit

Limit = float | tuple[float | None, float | None] | Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """A closed interval. `name` says what it bounds; `kind` whose it is ("safety limit", "range")."""

    low: float
    high: float
    unit: str = ""
    kind: str = "safety limit"

    def __post_init__(self) -> None:
        if math.isnan(self.low) or math.isnan(self.high) or self.low > self.high:
            raise LimitError(
                f"{self.kind} ({self.low:g}, {self.high:g}) is no interval: expected (low, high) with low <= high, no NaN"
            )

    def check(self, value: object, what: str) -> float:
        """Return `value` as a number. Raises LimitError if it is not a finite number in the interval."""
        number = to_number(value, what, self.unit)
        if not self.low <= number <= self.high:
            raise LimitError(
                f"{what} = {format_value(number)} {self.unit}".rstrip()
                + f" is outside of its {self.kind} {self}; nothing was sent"
            )
        return number

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()


def to_number(value: object, what: str, unit: str = "") -> float:
    """Return `value` (Python or numpy number, or one with a unit that can be converted) in `unit`, as a float.

    Raises LimitError for anything else, NaN and infinities.
    """
    plain = in_unit(value, unit, what)
    is_number = not (isinstance(plain, bool | str | bytes) or getattr(plain, "shape", ()))
    try:
        number = float(cast(float, plain if is_number else None))
    except (TypeError, ValueError):
        hint = f" in {unit}" if unit else ""
        raise LimitError(
            f"{what} must be a number{hint}, got {value!r} ({type(value).__name__}); nothing was sent"
        ) from None
    if not math.isfinite(number):
        raise LimitError(f"{what} must be a finite number, got {number!r}; nothing was sent")
    return number


def exact_text(number: float) -> str:
    """Return the shortest text that reads as exactly `number`: rounding must not step over a limit."""
    return repr(float(number)).removesuffix(".0")


def to_bounds(limit: object, unit: str, what: str) -> Bounds:
    """Return the bounds that a person wrote: `(low, high)`, `{"min": ..., "max": ...}`, or a largest magnitude.

    None in place of an end leaves that end open. Raises LimitError for anything that bounds nothing.
    """
    if isinstance(limit, Mapping):
        ends = cast(Mapping[str, object], limit)
        if not ends or not ends.keys() <= {"min", "max"}:
            raise LimitError(f"limit of {what}: expected the keys 'min' and 'max', got {sorted(ends)}")
        low, high = ends.get("min"), ends.get("max")
    elif isinstance(limit, Sequence) and not isinstance(limit, str):
        pair = tuple(cast(Sequence[object], limit))
        if len(pair) != 2:
            raise LimitError(f"limit of {what}: expected (low, high), got {limit!r}")
        low, high = pair
    else:
        high = abs(_end(limit, math.nan, what))
        low = -high
    try:
        return Bounds(_end(low, -math.inf, what), _end(high, math.inf, what), unit)
    except LimitError as error:
        raise LimitError(f"limit of {what}: {error}") from None


def _end(value: object, absent: float, what: str) -> float:
    if value is None:
        return absent
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        raise LimitError(f"limit of {what}: expected a number or (low, high), got {value!r}")
    return float(cast(float, value))
