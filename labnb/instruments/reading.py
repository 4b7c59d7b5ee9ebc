"""What a measurement returns."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from labnb.core import LinkError
from labnb.instruments.action import Action

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_INFINITY = 9.9e37  # SCPI's "more than the range can show" (SCPI-99 volume 1, 7.2.1.4)
_NOT_A_NUMBER = 9.905e37  # and 9.91E37 is "no number" (7.2.1.5)


@dataclass(frozen=True, slots=True, eq=False)
class Reading(Action["Reading"]):
    """Measured `values` in `unit`, the last one taken at `timestamp` (seconds since 1970-01-01 UTC).

    `values` is a float, or for a burst a 1-D array of them. An overload is an infinity, what could not be measured NaN.
    """

    values: "float | NDArray[np.float64]"
    unit: str
    timestamp: float

    def result(self) -> "Reading":
        """Return the reading itself: it is there."""
        return self

    def __float__(self) -> float:
        return float(self.values)

    def __array__(self, dtype: "np.dtype[np.float64] | None" = None, copy: bool | None = None) -> "NDArray[np.float64]":
        import numpy as np

        return np.array(self.values, dtype, copy=True) if copy else np.asarray(self.values, dtype)

    def __repr__(self) -> str:
        return f"<Reading: {self}>"

    def __str__(self) -> str:
        if isinstance(self.values, float | int):
            return f"{self.values:.7g} {self.unit}"
        return f"{len(self.values)} readings, mean {self.values.mean():.7g} {self.unit}"


def to_numbers(answer: str, count: int, what: str) -> list[float]:
    """Return the `count` numbers with commas between that `answer` is; overloads as infinities, no numbers as NaN.

    Raises LinkError, naming `what` was asked, if it is anything else.
    """
    try:
        numbers = [_valid(float(word)) for word in answer.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count:
        shown = answer if len(answer) < 60 else answer[:57] + "..."
        raise LinkError(f"{what} was answered by {shown!r}: expected {count} number{'s' * (count != 1)}; ask again")
    return numbers


def _valid(number: float) -> float:
    if abs(number) < _INFINITY:
        return number
    return math.copysign(math.inf, number) if abs(number) < _NOT_A_NUMBER else math.nan
