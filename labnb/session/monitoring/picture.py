"""A chart as a picture: a file that is kept up to date beside the data, or what a mail carries."""

import asyncio
import re
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from labnb.core import RecordError, present_clock
from labnb.live import decimate
from labnb.session.monitoring.chart import Chart, Floats

if TYPE_CHECKING:
    from labnb.session.monitoring.reading import Readings

_COLOURS = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a", "#66a61e", "#a6761d", "#666666")
_one_by_one = Lock()  # matplotlib's font cache is not thread-safe
_drawing = ThreadPoolExecutor(32, "labnb picture")
"""Where pictures are drawn: a loop that ends waits for its own threads, and a person who stops a session should not."""


def draw(chart: Chart, curves: Mapping[str, tuple[Floats, Floats]], units: Mapping[str, str], name: str) -> bytes:
    """Return a PNG of `chart`, light, whatever the user's style is. Touches no pyplot state: may run in a thread."""
    with _one_by_one:
        return _draw(chart, curves, units, name)


def load_drawing() -> None:
    """Import what drawing takes, and draw once, which fills its caches: 0.5 s that a loop would feel."""
    if "matplotlib.backends.backend_agg" not in sys.modules:
        draw(Chart(("a", "b")), {"a": (np.arange(2.0), np.arange(2.0))}, {}, "")


def _draw(chart: Chart, curves: Mapping[str, tuple[Floats, Floats]], units: Mapping[str, str], name: str) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(mpl.rcParamsDefault):
        figure = Figure(figsize=(8.0, 3.6), dpi=120, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes: Any = figure.add_subplot()  # matplotlib's stubs are partial
        for k, (label, curve) in enumerate(curves.items()):
            x, y = curve if chart.log else decimate(*curve)
            where: Any = x if chart.x else [_local(t) for t in x]
            axes.plot(
                where,
                y,
                label=label,
                color=_COLOURS[k % len(_COLOURS)],
                linewidth=1.4,
                marker="." if len(x) < 60 else "",
            )
        _label(axes, chart, units)
        if not curves:
            axes.text(0.5, 0.5, "nothing logged yet", transform=axes.transAxes, ha="center", color="#616161")
        axes.set_title(name, loc="left", fontsize=10)
        buffer = BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()


def _label(axes: Any, chart: Chart, units: Mapping[str, str]) -> None:
    axes.set_xlabel(_named(chart.x, units) if chart.x else "time")
    axes.set_ylabel(_named(chart.names[0], units) if len(chart.names) == 1 else "")
    if chart.log and any((line.get_ydata() > 0).any() for line in axes.lines):
        axes.set_yscale("log")
    if chart.y_span:
        axes.set_ylim(*chart.y_span)
    if chart.x_span:
        axes.set_xlim(*chart.x_span)
    axes.grid(visible=True, color="#e0e0e0", linewidth=0.8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if len(chart.names) > 1 and axes.lines:
        labels = {line.get_label(): line for line in axes.lines}
        axes.legend(labels.values(), [_named(label, units) for label in labels], frameon=False, fontsize=9)
    if not chart.x and axes.lines:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _local(timestamp: float) -> datetime:
    """Return local time, without its zone: with one, matplotlib would show UTC."""
    return datetime.fromtimestamp(timestamp).astimezone().replace(tzinfo=None)


def _named(name: str, units: Mapping[str, str]) -> str:
    return f"{name} ({units[name]})" if units.get(name) else name


async def picture_of(chart: Chart, session: "Readings") -> bytes:
    """Return a PNG of `chart` as it is now, drawn beside the loop."""
    curves, units = chart.curves(session), session.units()
    return await asyncio.to_thread(draw, chart, curves, units, session.name)


class PictureFile:
    """Shows a chart where there is no notebook: a PNG in the session's folder, written anew at most every 10 s.

    Drawing takes its time in a thread, for which nobody waits: neither a task nor whoever stops the session.
    """

    def __init__(self, chart: Chart, session: "Readings", folder: Path) -> None:
        self._chart, self._session = chart, session
        plain = re.sub(r"[^\w\-]+", "-", chart.title).strip("-")
        self.path = folder / "pictures" / f"{plain[:100]}.png"
        self._drawn: object = None
        self._due = 0.0
        self._cost_s = 0.0
        self._work: asyncio.Future[None] | None = None
        self._writing = Lock()

    async def update(self) -> None:
        """Write it if something is new and the last one is old enough. Raises RecordError if that failed before."""
        if self._work is not None:
            if not self._work.done():
                return
            work, self._work = self._work, None
            work.result()
        now = present_clock().monotonic()
        if now >= self._due:
            self._begin()
            self._due = now + max(10.0, 20 * self._cost_s)

    def _begin(self) -> None:
        newest = [self._session.latest(name, 1)[0].tolist() for name in self._chart.names]
        if newest != self._drawn:
            self._drawn = newest
            curves, units = self._chart.curves(self._session), self._session.units()
            self._work = asyncio.get_running_loop().run_in_executor(_drawing, self._write, curves, units)

    def _write(self, curves: Mapping[str, tuple[Floats, Floats]], units: Mapping[str, str]) -> None:
        start = present_clock().monotonic()
        try:
            with self._writing:
                data = draw(self._chart, curves, units, self._session.name)
                self.path.parent.mkdir(exist_ok=True)
                spare = self.path.with_suffix(".partial")
                spare.write_bytes(data)
                spare.replace(self.path)
        except OSError as error:
            raise RecordError(f"plot: the picture cannot be written to {self.path}: {error.strerror}") from error
        self._cost_s = present_clock().monotonic() - start

    async def end(self, patience_s: float) -> None:
        """Write it once more; it follows a little later, if it takes longer than `patience_s`."""
        self._begin()
        if self._work is not None:
            done, late = await asyncio.wait({self._work}, timeout=patience_s)
            for work in late:
                work.cancel()  # which has begun and goes on; but the loop may be closed when it is done
            for work in done:
                work.result()
