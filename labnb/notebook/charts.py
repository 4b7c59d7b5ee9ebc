"""The live figure of a monitoring session's plot in the cell that awaits it, and the picture that it leaves."""

import asyncio
import base64
import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

import ipywidgets as widgets
from IPython.core.getipython import get_ipython
from IPython.display import display

from labnb.core import Group, OpenAxis, Variable
from labnb.live import Choice, Kind, LiveView, Quantity
from labnb.notebook.figures import LiveFigure, make_figure
from labnb.session.monitoring import Chart, Readings, column_of, picture_of


class NotebookChart:
    """Shows one chart; implements `labnb.session.monitoring.ChartView`.

    The figure follows rows of (time since its begin, values), one for each time at which something was logged. When
    twice as many came as the chart shows, it begins anew with those that count.
    """

    def __init__(self, chart: Chart, session: Readings) -> None:
        self._chart, self._session = chart, session
        self._box = widgets.VBox([])
        self._handle: Any = None  # IPython's DisplayHandle
        self._view, self._figure = LiveView(), cast("LiveFigure | None", None)
        self._rows = 0
        self._zero_s = 0.0
        names = (*chart.names, chart.x) if chart.x else chart.names
        self._seen: dict[str, float] = dict.fromkeys(names, -math.inf)
        self._freezing: asyncio.Task[None] | None = None

    async def update(self) -> None:
        """Show what was logged since."""
        if self._handle is None:
            self._handle = display(self._box, display_id=True)
        rows = list(self._new_rows())
        if not rows:
            return
        if self._figure is None or self._rows + len(rows) > 2 * self._chart.most:
            self._begin()
        else:
            self._feed(rows)
            self._figure.update()

    def _begin(self) -> None:
        """Begin a figure that holds the latest entries only."""
        before = self._figure
        starts = [times[0] for times, _ in self._latest().values() if len(times)]
        self._zero_s, self._rows, self._view = min(starts, default=0.0), 0, LiveView()
        self._seen = dict.fromkeys(self._seen, -math.inf)
        group, choice = _figure_of(self._chart, self._session.units())
        self._view.declare(group)
        self._feed(list(self._new_rows()))
        self._figure = make_figure(self._view, choice)
        self._box.children = (self._figure.widget,)
        if before is not None:
            before.close()

    def _feed(self, rows: list[tuple[float, ...]]) -> None:
        for row in rows:
            self._view.put((0, self._rows, row, 0))
            self._rows += 1
        self._view.drain_all()

    def _latest(self) -> dict[str, Any]:
        return {name: self._session.latest(name, self._chart.most) for name in self._seen}

    def _new_rows(self) -> Iterator[tuple[float, ...]]:
        """Yield what is new as rows: x, then a value for each name, NaN where it was not logged."""
        at = dict[float, dict[str, float]]()
        for name, (times, values) in self._latest().items():
            new = times > self._seen[name]
            for time, value in zip(times[new].tolist(), values[new].tolist(), strict=True):
                at.setdefault(time, {})[name] = value
            if new.any():
                self._seen[name] = float(times[-1])
        x = self._chart.x
        for time in sorted(at):
            row = at[time]
            where = time - self._zero_s if x is None else row.get(x, math.nan)
            yield (where, *(row.get(name, math.nan) for name in self._chart.names))

    async def end(self, patience_s: float) -> None:
        """Replace the figure by a picture, which follows if it takes longer than `patience_s`."""
        if self._handle is not None:
            self._freezing = asyncio.create_task(self._freeze())
            await asyncio.wait({self._freezing}, timeout=patience_s)

    async def _freeze(self) -> None:
        text = f"{self._session.name}: {self._chart.title}"
        kept = {"text/plain": text}
        try:
            picture = await picture_of(self._chart, self._session)
            kept["image/png"] = base64.b64encode(picture).decode("ascii")
        except Exception as error:  # noqa: BLE001  the data are safe; the person sees why there is no picture
            kept["text/plain"] += f"\n(no picture: {type(error).__name__}: {error})"
        self._handle.update(kept, raw=True)
        if self._figure is not None:
            self._figure.close()
        self._box.close()


def _figure_of(chart: Chart, units: Mapping[str, str]) -> tuple[Group, Choice]:
    """Return the group that feeds the figure of `chart`, and what it shows; names that differ in unit get a page each."""
    x = Variable("time", "s") if chart.x is None else Variable(column_of(chart.x, ()), units.get(chart.x, ""))
    used = [x.name, "entry"]
    ys = list[Variable]()
    for name in chart.names:
        ys.append(Variable(column_of(name, used), units.get(name, "")))
        used.append(ys[-1].name)
    pages = dict[str, list[Quantity]]()
    for y in ys:
        pages.setdefault(y.unit, []).append(Quantity(y))
    group = Group(0, (OpenAxis("entry", 1.0),), (x, *ys))
    return group, Choice(Kind.LINES, 0, x, None, tuple(map(tuple, pages.values())))


def session_chart(chart: Chart, session: Readings) -> NotebookChart | None:
    """Return the view of a session's chart, if this is a notebook."""
    shell = get_ipython()
    return NotebookChart(chart, session) if shell is not None and hasattr(shell, "kernel") else None
