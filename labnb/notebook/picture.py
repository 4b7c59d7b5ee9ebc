"""The picture that stays in the notebook when a run has ended: the look of its live figure, readable for ever."""

import base64
from datetime import UTC, datetime
from io import BytesIO
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from labnb.core import Axis, State
from labnb.instruments import beside
from labnb.live import (
    Choice,
    CurveSet,
    Extent,
    Kind,
    LiveView,
    Picture,
    Snapshot,
    clock_text,
    make_picture,
    tick_texts,
    value_text,
)
from labnb.notebook.figures import curve_colour
from labnb.notebook.style import MARKS, colour_table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _DPI = 9.0, 3.7, 100
_RESOLUTION = 2
_TEXT, _SOFT, _LINE = "#212121", "#616161", "#bdbdbd"
_UNMEASURED = "#e9e9e9"  # not white: that is zero in a signed map

# Matplotlib's font cache is not thread-safe; pictures of several runs are made one after the other.
_one_by_one = Lock()


def summary_line(snapshot: Snapshot) -> str:
    """Return the run in one line of text: `iv ✓ done · 243 of 243 points · 00:31 · labnb-data/…`."""
    parts = [
        f"{snapshot.name} {MARKS[snapshot.state]} {snapshot.state}",
        _points_text(snapshot),
        clock_text(snapshot.elapsed_s),
    ]
    if snapshot.warnings:
        parts.append(f"{len(snapshot.warnings)} warning{'s' if len(snapshot.warnings) > 1 else ''}")
    if snapshot.error:
        parts.append(snapshot.error.splitlines()[0])
    return " · ".join([*parts, snapshot.path] if snapshot.path else parts)


def _points_text(snapshot: Snapshot) -> str:
    if snapshot.total is None or (snapshot.points == snapshot.total and snapshot.state is State.DONE):
        return f"{snapshot.points} point{'' if snapshot.points == 1 else 's'}"
    return f"{snapshot.points} of {snapshot.total} points"


def frozen_picture(view: LiveView, choice: Choice, snapshot: Snapshot) -> bytes:
    """Return a PNG (2x resolution, light background) of all that `view` has drained.

    Touches no pyplot state and no widget, so that it may be made in a thread, beside other work, once nothing is
    added to the view any more. A choice of nothing gives a picture of the latest values.
    """
    with _one_by_one:
        return _render(view, choice, snapshot)


async def kept_picture(view: LiveView, choice: Choice, snapshot: Snapshot) -> dict[str, str]:
    """Return what a notebook keeps of a run without a kernel, by MIME type: its picture, and one line of text.

    The picture is drawn in a thread. Not text/html: converters would prefer it to the picture.
    """
    kept = {"text/plain": summary_line(snapshot)}
    try:
        picture = await beside(frozen_picture, view, choice, snapshot)
        kept["image/png"] = base64.b64encode(picture).decode("ascii")
    except Exception as error:  # noqa: BLE001  the data are safe; the person sees why there is no picture
        kept["text/plain"] += f"\n(no picture: {type(error).__name__}: {error})"
    return kept


def _render(view: LiveView, choice: Choice, snapshot: Snapshot) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Every size and colour is given here: the user's rcParams (a dark style, say) must not change a record.
    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI * _RESOLUTION, facecolor="white")
    FigureCanvasAgg(figure)
    _title(figure, snapshot)
    if choice.kind is Kind.NONE:
        _draw_values(figure, snapshot)
    else:
        _draw(figure, view, choice)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI * _RESOLUTION, facecolor="white", metadata=_metadata(snapshot))
    return buffer.getvalue()


def _metadata(snapshot: Snapshot) -> dict[str, str]:
    return {"Software": "labnb", "Title": snapshot.run_id}


def _title(figure: "Figure", snapshot: Snapshot) -> None:
    figure.text(0.012, 0.955, snapshot.name, size=12, weight="bold", color=_TEXT, va="center")
    started = snapshot.started_ns / 1e9
    date = datetime.fromtimestamp(started, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z") if started else ""
    state = f"{MARKS[snapshot.state]} {snapshot.state}"
    small = [snapshot.run_id, date, state, _points_text(snapshot), clock_text(snapshot.elapsed_s)]
    figure.text(0.99, 0.955, "   ".join(filter(None, small)), size=7.5, color=_SOFT, va="center", ha="right")


def _draw_values(figure: "Figure", snapshot: Snapshot) -> None:
    lines = [f"{r.name}   {value_text(r.value, r.unit, 5)}" for r in snapshot.latest] or ["no point was measured"]
    figure.text(0.012, 0.86, "\n".join(lines), size=11, color=_TEXT, va="top", linespacing=1.6)


def _draw(figure: "Figure", view: LiveView, choice: Choice) -> None:
    if choice.kind.is_picture:
        _draw_map(figure, view, choice)
    else:
        _draw_curves(figure, view, choice)


def _axes(figure: "Figure", right: float, top: float) -> "Axes":
    axes = figure.add_axes((0.085, 0.145, right - 0.085, top - 0.145), facecolor="white")
    axes.tick_params(labelsize=8, colors=_SOFT, length=3, width=0.6)
    for spine in axes.spines.values():
        spine.set(color=_LINE, linewidth=0.8)
    return axes


def _label(axes: "Axes", x: Extent, y: Extent) -> None:
    for extent, set_scale, set_limits in ((x, axes.set_xscale, axes.set_xlim), (y, axes.set_yscale, axes.set_ylim)):
        if extent.log:
            set_scale("log")
        set_limits(*extent.limits)
    axes.set_xlabel(x.label, size=9, color=_TEXT)
    axes.set_ylabel(y.label, size=9, color=_TEXT)


def _draw_curves(figure: "Figure", view: LiveView, choice: Choice) -> None:
    curves = CurveSet(view, choice)
    curves.advance()
    has_legend = len(curves.curves) > 1
    axes = _axes(figure, 0.985, 0.82 if has_legend or curves.slice.text else 0.9)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.set_axisbelow(True)
    marker = "o" if curves.has_markers else ""
    for index, curve in enumerate(curves.curves):
        x, y = curves.drawn(curve)
        (line,) = axes.plot(x, y, color=curve_colour(index, curve), label=curve.label)
        line.set(linewidth=1.3, marker=marker, markersize=2.6)
    _label(axes, curves.x, curves.y)
    _ordinal_ticks(axes, choice)
    _where(figure, choice, curves)


def _where(figure: "Figure", choice: Choice, curves: CurveSet) -> None:
    """Say in a line above the data which curve is which, and which slice this is."""
    if curves.slice.text:
        figure.text(0.99, 0.865, f"at {curves.slice.text}", size=8, color=_TEXT, va="center", ha="right")
    if len(curves.curves) < 2:
        return
    outer = choice.outer.name if choice.outer else ""
    if outer:
        figure.text(0.085, 0.865, outer, size=8, color=_TEXT, va="center")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    per_row = min(len(labels), 12)
    size = 8 if len("".join(labels)) < 70 else 6.5
    legend = figure.legend(
        handles,
        labels,
        loc="center left",
        bbox_to_anchor=(0.085 + 0.0088 * (len(outer) + 1), 0.865),
        ncols=per_row,
        fontsize=size,
        frameon=False,
        handlelength=1.4,
        columnspacing=1.2,
        handletextpad=0.5,
        borderpad=0,
        labelcolor=_TEXT,
    )
    legend.set_in_layout(False)


def _draw_map(figure: "Figure", view: LiveView, choice: Choice) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    grid = make_picture(view, choice)
    grid.advance()
    axes = _axes(figure, 0.885, 0.9)
    axes.set_facecolor(_UNMEASURED)
    table = np.vstack((colour_table(grid.colours.signed), [[0, 0, 0]])).astype(np.uint8)
    shades = grid.shades()
    pixels = np.dstack((table[shades], np.where(shades == 255, 0, 255).astype(np.uint8)))
    _paint(axes, grid, pixels)
    _label(axes, grid.x, grid.y)
    _dot(axes, grid)
    _ordinal_ticks(axes, choice)
    if grid.at.text:
        axes.set_title(f"at {grid.at.text}", size=8, color=_TEXT, loc="left", pad=3)
    if not grid.colours.known:
        return
    scaling = grid.colours.scaling
    low, high = ((v - scaling.offset) / scaling.factor for v in (grid.colours.low, grid.colours.high))
    shades = ListedColormap(table[:-1] / 255)
    bar = figure.colorbar(
        ScalarMappable(Normalize(low, high), shades), cax=figure.add_axes((0.905, 0.145, 0.014, 0.755))
    )
    bar.ax.tick_params(labelsize=8, colors=_SOFT, length=3, width=0.6)
    bar.outline.set(edgecolor=_LINE, linewidth=0.8)
    bar.set_label(grid.label, size=9, color=_TEXT)


def _paint(axes: "Axes", picture: Picture, pixels: NDArray[np.uint8]) -> None:
    """Paint pixels, top row first: of a logarithmic axis they are equal in its logarithm, so edges are told."""
    rows, columns = pixels.shape[:2]
    x, y = _edges(picture.x, columns), _edges(picture.y, rows)
    if not (picture.x.log or picture.y.log):
        limits = (x[0], x[-1], y[0], y[-1])
        axes.imshow(pixels, extent=limits, aspect="auto", interpolation="nearest", origin="upper")
        return
    axes.pcolormesh(x, y, pixels[::-1], rasterized=True)


def _edges(extent: Extent, count: int) -> NDArray[np.float64]:
    return (np.geomspace if extent.log else np.linspace)(*extent.limits, count + 1)


def _dot(axes: "Axes", picture: Picture) -> None:
    if picture.dots is not None:
        x, y = picture.dots
        axes.plot(picture.x.drawn(x), picture.y.drawn(y), ".", color="black", markersize=2, markeredgewidth=0)


def _ordinal_ticks(axes: "Axes", choice: Choice) -> None:
    for texts, set_ticks in ((tick_texts(choice.x), axes.set_xticks), (_upward(choice), axes.set_yticks)):
        if texts is not None:
            every = max(1, len(texts) // 12)
            shown = {k: text for k, text in texts.items() if k % every == 0}
            set_ticks(list(shown), list(shown.values()))


def _upward(choice: Choice) -> dict[int, str] | None:
    return tick_texts(choice.outer) if choice.kind.is_picture and isinstance(choice.outer, Axis) else None
