"""A chart of a session: which variables it shows, and who shows it where."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from labnb.core import PlanError

if TYPE_CHECKING:
    from labnb.session.monitoring.reading import Readings

Floats = NDArray[np.float64]
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Chart:
    """Variables over time, or `names[0]` over `x`. `most` is how many of the latest entries of each are shown."""

    names: tuple[str, ...]
    most: int = 1000
    x: str | None = None
    x_span: Span | None = None
    y_span: Span | None = None
    log: bool = False

    @property
    def title(self) -> str:
        """Return e.g. `pressure, flow` or `current over voltage`."""
        return ", ".join(self.names) + (f" over {self.x}" if self.x else "")

    def curves(self, session: "Readings") -> dict[str, tuple[Floats, Floats]]:
        """Return (x, y) of every variable that has entries. x is seconds since 1970, or the other variable."""
        found = {name: session.latest(name, self.most) for name in self.names}
        if self.x is not None:
            found = {name: _paired(session.latest(self.x, self.most), one) for name, one in found.items()}
        return {name: curve for name, curve in found.items() if len(curve[0])}


def _paired(x: tuple[Floats, Floats], y: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Return the values that were logged at the same times."""
    _, at_x, at_y = np.intersect1d(x[0], y[0], return_indices=True)
    return x[1][at_x], y[1][at_y]


def chart_of(
    names: str | Sequence[object] | None,
    most: object,
    yscale: object,
    x: str | None,
    y: str | None,
    spans: tuple[Span | None, Span | None],
) -> Chart:
    """Return the chart that `plot` was asked for. Raises PlanError if nobody could draw it."""
    if (x is None) is not (y is None) or (x is not None and names is not None):
        raise PlanError("plot: give the names to show over time, or both x and y to show one over the other")
    wanted = (y,) if y is not None else (names,) if isinstance(names, str) else tuple(names or ())
    if not wanted or not all(isinstance(name, str) for name in wanted):
        raise PlanError(f"plot: expected the names of logged variables, e.g. plot(['pressure', 'flow']), got {names!r}")
    if isinstance(most, bool) or not isinstance(most, int) or most < 2:
        raise PlanError(f"plot: maxvalues is how many entries are shown, at least 2, got {most!r}")
    limits = yscale if isinstance(yscale, tuple | list) else None
    if yscale not in (None, "log", "linear") and limits is None:
        raise PlanError(f"plot: yscale is (low, high), 'log' or 'linear', got {yscale!r}")
    y_span = _span("fixed_ylim", spans[1]) or (_span("yscale", limits) if limits else None)
    return Chart(cast("tuple[str, ...]", wanted), most, x, _span("fixed_xlim", spans[0]), y_span, yscale == "log")


def _span(what: str, span: object) -> Span | None:
    if span is None:
        return None
    try:
        low, high = map(float, span)  # pyright: ignore[reportArgumentType]  whatever it is, the error says so
    except (TypeError, ValueError) as error:
        raise PlanError(f"plot: {what} is (low, high), got {span!r}") from error
    if not low < high:
        raise PlanError(f"plot: {what} is (low, high) with low < high, got {span!r}")
    return low, high


class ChartView(Protocol):
    """Shows one chart while a monitor goes on."""

    async def update(self) -> None:
        """Show it as it is now."""
        ...

    async def end(self, patience_s: float) -> None:
        """Leave what shall stay; what takes longer than `patience_s` follows by itself."""
        ...


_makers: "list[Callable[[Chart, Readings], ChartView | None]]" = []


def register_chart(make: "Callable[[Chart, Readings], ChartView | None]") -> None:
    """Let `make` give each chart of a monitor its view, or None. The latest one registered is asked."""
    if make not in _makers:
        _makers.append(make)


def forget_chart(make: "Callable[[Chart, Readings], ChartView | None]") -> None:
    """Undo `register_chart`."""
    if make in _makers:
        _makers.remove(make)


def view_of(chart: Chart, session: "Readings") -> ChartView | None:
    """Return the view of `chart`, or None where nobody looks."""
    return _makers[-1](chart, session) if _makers else None
