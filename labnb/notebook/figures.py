"""The live figure in an output cell: bqplot widgets that get small messages, and only when something changed."""

import html
import math
from collections.abc import Sequence
from contextlib import ExitStack
from io import BytesIO
from typing import Any, Protocol

import ipywidgets as widgets
import numpy as np
from bqplot import axes as bq_axes
from bqplot import figure as bq_figure
from bqplot import marks as bq_marks
from bqplot.scales import LinearScale
from numpy.typing import NDArray

from labnb.live import Choice, Curve, CurveSet, Extent, Grid, Kind, LiveView, tick_texts
from labnb.notebook.style import FIGURE_HEIGHT, STYLE, colour_table, family_colour, gradient, series_colour

_MARGIN = {"top": 8, "bottom": 44, "left": 66, "right": 18}
_NOTHING = np.zeros(0, np.float32)


class _Plot(Protocol):
    """One drawing: a widget, and how it is brought up to date."""

    @property
    def widget(self) -> widgets.Widget: ...
    @property
    def has_legend(self) -> bool: ...
    @property
    def legend(self) -> str: ...
    def update(self) -> bool: ...
    def close(self) -> None: ...


class LiveFigure:
    """A figure that follows a view. Made by `make_figure`; `widget` goes into a cell or a panel.

    `update` is called on the loop, after `view.drain()`, ten times a second at most. What a person chooses in the
    figure only leaves a wish, which the next update fulfils: callbacks may come on any thread.
    """

    def __init__(self, view: LiveView, choice: Choice) -> None:
        self._view = view
        self.choice = choice
        self._wanted_page = choice.page
        self._plot = _make_plot(view, choice)
        self._legend = widgets.HTML(self._plot.legend)
        self._legend.add_class("labnb-legend")
        self._pages = self._make_pages()
        head = [*([self._legend] if self._plot.has_legend else []), *([self._pages] if self._pages else [])]
        self._head = widgets.HBox(head)
        self._head.add_class("labnb-head")
        self._style = widgets.HTML(STYLE, layout={"display": "none"})
        self.widget = widgets.VBox([self._style, *([self._head] if head else []), self._plot.widget])
        self.widget.add_class("labnb-figure")
        self.update()

    def _make_pages(self) -> widgets.Dropdown | None:
        if len(self.choice.pages) < 2:
            return None
        options = [(_page_text(self.choice.turned_to(k)), k) for k in range(len(self.choice.pages))]
        pages = widgets.Dropdown(options=options, value=self.choice.page, layout={"width": "170px", "margin": "0"})
        pages.tooltip = "What the figure shows"
        pages.observe(self._turn, "value")
        return pages

    def _turn(self, change: dict[str, Any]) -> None:  # traitlets' change: values of any trait
        self._wanted_page = int(change["new"])

    def update(self) -> bool:
        """Show what was drained since; return whether anything was sent."""
        if self._wanted_page != self.choice.page:
            self._show(self.choice.turned_to(self._wanted_page))
            return True
        changed = self._plot.update()
        if changed:
            self._legend.value = self._plot.legend
        return changed

    def _show(self, choice: Choice) -> None:
        before, self.choice = self._plot, choice
        self._plot = _make_plot(self._view, choice)
        self._plot.update()
        self._legend.value = self._plot.legend
        self.widget.children = (*self.widget.children[:-1], self._plot.widget)
        before.close()

    def close(self) -> None:
        """Free every widget, here and in the browser."""
        self._plot.close()
        own = [self._legend, self._head, self._style, self.widget]
        close_all([*own, *([] if self._pages is None else [self._pages])])


def make_figure(view: LiveView, choice: Choice) -> LiveFigure:
    """Return the live figure of `choice`. Raises ValueError for a choice of nothing (Kind.NONE)."""
    if choice.kind is Kind.NONE:
        raise ValueError("nothing is chosen to be drawn: this run has values only, show them without a figure")
    return LiveFigure(view, choice)


def _make_plot(view: LiveView, choice: Choice) -> _Plot:
    return _MapPlot(view, choice) if choice.kind is Kind.MAP else _LinePlot(view, choice)


def _page_text(choice: Choice) -> str:
    unit = choice.ys[0].unit
    return " · ".join(q.name for q in choice.ys) + (f" ({unit})" if unit else "")


class _LinePlot:
    """Curves: one mark each, so that a family sends only the curve that grows."""

    def __init__(self, view: LiveView, choice: Choice) -> None:
        self._set = CurveSet(view, choice)
        self._x = _AxisPair(self._set.x, "bottom", tick_texts(choice.x))
        self._y = _AxisPair(self._set.y, "left", None)
        self._choice = choice
        self._marks = [self._mark(k, curve) for k, curve in enumerate(self._set.curves)]
        self._sent = [-1] * len(self._marks)
        self.widget = _figure(self._marks, self._x, self._y)

    def _mark(self, index: int, curve: Curve) -> bq_marks.Lines:
        scales = {"x": self._x.scale, "y": self._y.scale}
        look = {"marker": "circle", "marker_size": 14} if self._set.has_markers else {}
        return bq_marks.Lines(
            x=_NOTHING, y=_NOTHING, scales=scales, colors=[curve_colour(index, curve)], stroke_width=1.6, **look
        )

    def update(self) -> bool:
        if not self._set.advance():
            return False
        with ExitStack() as stack:
            rescaled = [pair.update(stack) for pair in (self._x, self._y)]
            for k, curve in enumerate(self._set.curves):
                if curve.version != self._sent[k] or any(rescaled):
                    self._send(k, curve, stack)
        return True

    def _send(self, index: int, curve: Curve, stack: ExitStack) -> None:
        mark = self._marks[index]
        stack.enter_context(mark.hold_sync())
        x, y = curve.points()
        mark.x, mark.y = self._set.x.drawn(x), self._set.y.drawn(y)
        self._sent[index] = curve.version

    @property
    def has_legend(self) -> bool:
        several = any(len(page) > 1 for page in self._choice.pages)
        return several or self._choice.kind is Kind.FAMILY or self._set.slice.is_part

    @property
    def legend(self) -> str:
        parts = list[str]()
        if self._choice.kind is Kind.FAMILY and self._choice.outer is not None:
            parts.append(f"<span>{html.escape(self._choice.outer.name)}</span>")
        if len(self._set.curves) > 1:
            parts += [_entry(curve_colour(k, curve), curve.label) for k, curve in enumerate(self._set.curves)]
        if self._set.slice.text:
            parts.append(f"<span>at {html.escape(self._set.slice.text)}</span>")
        return "".join(parts)

    def close(self) -> None:
        close_all([*self._marks, *self._x.widgets, *self._y.widgets, self.widget])


def curve_colour(index: int, curve: Curve) -> str:
    """Return the colour of one curve: along the ramp in a family, else the next of the palette."""
    return series_colour(index) if curve.tone is None else family_colour(curve.tone)


def _entry(colour: str, label: str) -> str:
    return f'<span><i style="border-color:{colour}"></i>{html.escape(label)}</span>'


class _MapPlot:
    """A map: one small PNG, shown by two image widgets in turn, since bqplot redraws only when it gets another one."""

    def __init__(self, view: LiveView, choice: Choice) -> None:
        self._grid = Grid(view, choice)
        self._x = _AxisPair(self._grid.x, "bottom", tick_texts(choice.x), grid_lines=False)
        self._y = _AxisPair(self._grid.y, "left", tick_texts(choice.outer), grid_lines=False)
        blank = encode_map(np.full((1, 1), 255, np.uint8), signed=False)
        self._images = [widgets.Image(value=blank, format="png") for _ in range(2)]
        self._turn = 0
        scales = {"x": self._x.scale, "y": self._y.scale}
        x, y = (np.array(extent.limits, np.float32) for extent in (self._grid.x, self._grid.y))
        self._mark = bq_marks.Image(image=self._images[0], scales=scales, x=x, y=y, pixelated=True)
        self._scale = widgets.HTML(layout={"width": "92px", "height": FIGURE_HEIGHT})
        self._scale.add_class("labnb-scale")
        self._figure = _figure([self._mark], self._x, self._y)
        self._figure.add_class("labnb-map")
        self.widget = widgets.HBox([self._figure, self._scale])
        with ExitStack() as stack:
            self._x.update(stack)
            self._y.update(stack)

    def update(self) -> bool:
        if not self._grid.advance():
            return False
        colours = self._grid.colours
        self._turn = 1 - self._turn
        image = self._images[self._turn]
        image.value = encode_map(self._grid.picture(), signed=colours.signed)
        self._mark.image = image
        self._scale.value = self._colour_bar()
        return True

    def _colour_bar(self) -> str:
        colours = self._grid.colours
        if not colours.known:
            return ""
        scaling = colours.scaling
        span = (colours.high - colours.low) / scaling.factor or 1.0
        top = (colours.high - scaling.offset) / scaling.factor
        ends = "".join(f"<span>{_tick(top - k / 4 * span, span)}</span>" for k in range(5))
        return (
            f'<div style="padding-top:6px"><div style="height:18px;white-space:nowrap">'
            f"{html.escape(self._grid.label)}</div>"
            f'<div style="display:flex;gap:5px"><div class="labnb-ramp" style="background:linear-gradient(to top, '
            f'{gradient(colours.signed)})"></div><div class="labnb-ends">{ends}</div></div></div>'
        )

    @property
    def has_legend(self) -> bool:
        return self._grid.slice.is_part

    @property
    def legend(self) -> str:
        text = self._grid.slice.text
        return f"<span>at {html.escape(text)}</span>" if text else ""

    def close(self) -> None:
        own = [self._mark, *self._images, *self._x.widgets, *self._y.widgets]
        close_all([*own, self._figure, self._scale, self.widget])


def _tick(value: float, span: float) -> str:
    decimals = max(0, 2 - math.floor(math.log10(span)))
    return f"{value:.{decimals}f}".replace("-", "−")


def encode_map(shades: NDArray[np.uint8], *, signed: bool) -> bytes:
    """Return a palette PNG of colour indices, top row first; 255 is transparent."""
    from PIL import Image

    height, width = shades.shape
    picture = Image.frombytes("P", (width, height), np.ascontiguousarray(shades).tobytes())
    picture.putpalette([*colour_table(signed).ravel().tolist(), 0, 0, 0])
    buffer = BytesIO()
    picture.save(buffer, "PNG", transparency=255, compress_level=1)
    return buffer.getvalue()


class _AxisPair:
    """A scale and the axis that shows it, kept in step with an extent."""

    def __init__(self, extent: Extent, side: str, texts: dict[int, str] | None, *, grid_lines: bool = True) -> None:
        self._extent = extent
        low, high = extent.limits
        self.scale = LinearScale(min=low, max=high, allow_padding=False)
        look: dict[str, Any] = {} if texts is None else _ordinal_ticks(texts)  # bqplot's own options
        offset = "34px" if side == "bottom" else "48px"
        self.axis = bq_axes.Axis(
            scale=self.scale,
            side=side,
            label=extent.label,
            label_offset=offset,
            grid_lines="solid" if grid_lines else "none",
            **look,
        )
        self._scaling = extent.scaling

    @property
    def widgets(self) -> list[widgets.Widget]:
        return [self.scale, self.axis]

    def update(self, stack: ExitStack) -> bool:
        """Send limits and label if they moved; return whether the numbers at the ticks mean something else now."""
        low, high = self._extent.limits
        if (low, high) != (self.scale.min, self.scale.max):
            stack.enter_context(self.scale.hold_sync())
            self.scale.min, self.scale.max = low, high
        self.axis.label = self._extent.label
        rescaled, self._scaling = self._scaling != self._extent.scaling, self._extent.scaling
        return rescaled


def _ordinal_ticks(texts: dict[int, str]) -> dict[str, Any]:  # bqplot's own options
    every = max(1, len(texts) // 12)
    shown = {k: text for k, text in texts.items() if k % every == 0}
    return {
        "tick_values": np.array(list(shown), np.float32),
        "tick_labels": {str(k): text for k, text in shown.items()},
    }


def _figure(
    marks: list[Any], x: _AxisPair, y: _AxisPair
) -> bq_figure.Figure:  # marks of bqplot have no common typed base
    return bq_figure.Figure(
        marks=marks,
        axes=[x.axis, y.axis],
        fig_margin=_MARGIN,
        animation_duration=0,
        padding_y=0.0,
        layout={"width": "100%", "height": FIGURE_HEIGHT, "min_width": "0px"},
    )


def close_all(items: Sequence[Any]) -> None:  # widgets of two untyped libraries
    """Close widgets and those that they made for themselves."""
    for item in items:
        for own in ("layout", "style", "scale_x", "scale_y"):
            if item.has_trait(own):
                getattr(item, own).close()
        item.close()
