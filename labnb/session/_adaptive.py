"""Where to measure next: the `adaptive` library, asked and told."""

import contextlib
import importlib.util
import math
from typing import Any, final

from labnb.core import AdaptiveAxis, PlanError, SchemaError, Value


def check_installed() -> None:
    """Raise PlanError if the library is missing; it is loaded later, when the run begins."""
    if importlib.util.find_spec("adaptive") is None:
        raise PlanError("an adaptive sweep needs the adaptive library: pip install 'labnb[adaptive]'")


def warm_up() -> None:
    """Load the library, if it is there: that takes a second, which a loop should not stand still for."""
    with contextlib.suppress(ImportError):  # told where it is needed
        import adaptive  # noqa: F401  # pyright: ignore[reportMissingImports, reportUnusedImport]  an extra


@final
class Learner:
    """The points of one adaptive sweep as they are chosen."""

    def __init__(self, axis: AdaptiveAxis) -> None:
        import adaptive  # pyright: ignore[reportMissingImports]  an extra

        bounds = axis.sweep.bounds
        library: Any = adaptive  # it has no types
        self._sweep = axis.sweep
        self._learner: Any = (
            library.Learner1D(None, bounds=bounds[0]) if len(bounds) == 1 else library.Learner2D(None, bounds=bounds)
        )
        self._count = 0

    def ask(self) -> Value | tuple[Value, ...] | None:
        """Return where to measure next; None when the goal, or the number of points, is reached."""
        least = 2 ** len(self._sweep.bounds)  # the corners: before those are known there is no loss
        if self._count >= self._sweep.most or (self._count > least and self._learner.loss() < self._sweep.goal):
            return None
        chosen = self._learner.ask(1)[0][0]
        return tuple(float(each) for each in chosen) if isinstance(chosen, tuple) else float(chosen)

    def tell(self, chosen: Value | tuple[Value, ...], measured: object, name: str) -> None:
        """Take note of what was measured there. Raises SchemaError if it is no finite number."""
        try:
            number = abs(measured) if isinstance(measured, complex) else float(measured)  # pyright: ignore[reportArgumentType]
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise SchemaError(f"the adaptive sweep needs a finite number for {name!r} at each point, got {measured!r}")
        self._learner.tell(chosen, number)
        self._count += 1
