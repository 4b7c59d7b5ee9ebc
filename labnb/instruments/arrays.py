"""How arrays of numbers travel: a list of numbers, or a block of bytes as the driver says."""

import math
from typing import TYPE_CHECKING, Any, cast

from labnb.core import LimitError
from labnb.instruments.limits import Bounds
from labnb.instruments.units import in_unit
from labnb.instruments.validators import Validator, texts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
else:
    Floats = Any

_MOST_DIMENSIONS = 8


class Arrays(Validator["Floats"]):
    """Arrays of finite numbers from `low` to `high`, of a `shape` in which None stands for any length.

    `wire` says how a query answers: "ascii" is a list with commas between, anything else the numpy type of the numbers
    in a definite-length block (">f4", "<i2", "u1"). Commands always carry a list.
    """

    numeric = continuous = True

    def __init__(
        self,
        shape: int | tuple[int | None, ...] | None = None,
        low: float = -math.inf,
        high: float = math.inf,
        *,
        wire: str = "ascii",
    ) -> None:
        Bounds(low, high, kind="range")
        self.shape = (shape,) if isinstance(shape, int) or shape is None else tuple(shape)
        if not 0 < len(self.shape) <= _MOST_DIMENSIONS or self.shape[1:].count(None) + (self.shape[0] is None) > 1:
            raise LimitError(
                f"Arrays: expected a shape with at most one None, such as (None,) or (2, 100), got {shape!r}"
            )
        self.low, self.high, self.wire = low, high, wire

    @property
    def block(self) -> bool:
        """Whether a query is answered by a block."""
        return self.wire != "ascii"

    @property
    def expected(self) -> str:
        """`an array of shape (any, 3)`."""
        return f"an array of shape {self._shape_text}"

    @property
    def _shape_text(self) -> str:
        lengths = ", ".join("any" if length is None else str(length) for length in self.shape)
        return f"({lengths})"

    def check(self, value: object, what: str, unit: str = "") -> "Floats":
        """Return a copy of `value` as float64, in `unit`."""
        import numpy as np

        plain = in_unit(value, unit, what)
        try:
            array = np.array(cast(Any, plain))  # Any: numpy takes whatever looks like an array
        except (TypeError, ValueError) as error:
            raise LimitError(f"{what} must be {self.expected} of numbers: {error}; nothing was sent") from error
        if array.dtype.kind not in "iuf":
            raise LimitError(f"{what} must be {self.expected} of numbers, got {array.dtype}; nothing was sent")
        floats: Floats = array.astype(np.float64)
        self._check_shape(floats.shape, what)
        if not np.isfinite(floats).all():
            raise LimitError(f"{what} must have finite numbers only; nothing was sent")
        bounds = Bounds(self.low, self.high, unit, "range")
        for number in self.extremes(floats):
            bounds.check(number, what)
        return floats

    def _check_shape(self, shape: tuple[int, ...], what: str) -> None:
        fits = len(shape) == len(self.shape) and all(
            wanted in (None, given) for wanted, given in zip(self.shape, shape, strict=True)
        )
        if not fits or 0 in shape:
            raise LimitError(f"{what} must be {self.expected}, got one of shape {shape}; nothing was sent")

    def read(self, answer: object) -> "Floats":
        """Return the numbers of a list, of a block (bytes), or of what a function returned."""
        import numpy as np

        try:
            if isinstance(answer, str):
                flat = np.array([float(text) for text in answer.split(",")], dtype=np.float64)
            elif isinstance(answer, bytes):
                flat = np.frombuffer(answer, dtype=self.wire).astype(np.float64)
            else:
                flat = np.array(cast(Any, answer), dtype=np.float64).ravel()  # Any: see check
            return flat.reshape([-1 if length is None else length for length in self.shape])
        except (TypeError, ValueError) as error:
            raise ValueError(f"not {self.expected}: {error}") from None

    def write(self, value: "Floats") -> str:
        """Return the list."""
        return texts(value.ravel().tolist())

    def extremes(self, value: "Floats") -> tuple[float, ...]:
        """Return the smallest and the largest number."""
        return (float(value.min()), float(value.max())) if value.size else ()
