"""One bqplot figure with its two axes and the stage over its data."""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, Literal

import ipywidgets as widgets
import numpy as np
from bqplot import axes as bq_axes
from bqplot import figure as bq_figure
from bqplot.scales import LinearScale, LogScale

from labnb.live import Extent, decades, round_ticks
from labnb.notebook.figures.stage import Stage

TOP, RIGHT, BOTTOM, LEFT = 22, 18, 44, 66
"""Room around the data, in pixels; the readout of the cursor stands in the one above."""


class Ruler:
    """A scale and the axes that show it, kept in step with an extent, or where a person zoomed to."""

    def __init__(
        self,
        extent: Extent,
        side: Literal["bottom", "left"],
        texts: dict[int, str] | None = None,
        *,
        grid_lines: bool = True,
        ticks: int = 8,
    ) -> None:
        self.extent = extent
        self._side, self._texts, self._ticks = side, texts, ticks
        self._held: tuple[float, float] | None = None
        self._is_told = True
        self._scaling = extent.scaling
        low, high = extent.limits
        self.scale = LogScale(min=low, max=high) if extent.log else LinearScale(min=low, max=high, allow_padding=False)
        self._look: dict[str, Any] = {} if texts is None else _ordinal_ticks(texts)  # bqplot's own options
        self._look["grid_lines"] = "solid" if grid_lines else "none"
        self.axes = list[bq_axes.Axis]()
        self.axis(extent.label)

    def axis(self, label: str) -> bq_axes.Axis:
        """Return one more axis that shows this scale."""
        offset = "34px" if self._side == "bottom" else "50px"
        made = bq_axes.Axis(scale=self.scale, side=self._side, label=label, label_offset=offset, **self._look)
        self.axes.append(made)
        return made

    @property
    def is_held(self) -> bool:
        """Whether a person zoomed, so that it does not follow the data."""
        return self._held is not None

    def hold(self, low: float, high: float) -> None:
        """Stay at this range, in the units of the ticks."""
        if low < high and math.isfinite(low) and math.isfinite(high):
            self._held = self.extent.raw(low), self.extent.raw(high)

    def let_go(self) -> None:
        """Follow the data again. The page zoomed by itself, so it is told even what is as before here."""
        self._held = None
        self._is_told = False

    def update(self, stack: ExitStack) -> bool:
        """Send limits and label if they moved; return whether the numbers at the ticks mean something else now."""
        low, high = self.extent.limits if self._held is None else self.extent.at_ticks(*self._held)
        if (low, high) != (self.scale.min, self.scale.max):
            stack.enter_context(self.scale.hold_sync())
            self.scale.min, self.scale.max = low, high
        if not self._is_told:
            self.scale.send_state(["min", "max"])
            self._is_told = True
        if not self._texts:
            self._set_ticks(low, high)
        for axis in self.axes:
            if axis.label:
                axis.label = self.extent.label
        rescaled, self._scaling = self._scaling != self.extent.scaling, self.extent.scaling
        return rescaled

    def _set_ticks(self, low: float, high: float) -> None:
        """Put ticks at round numbers; bqplot would put them at the limits and evenly in between."""
        found, decimals = (decades(low, high), 0) if self.extent.log else round_ticks(low, high, self._ticks)
        values = np.array(found, np.float64)
        for axis in self.axes:
            if axis.tick_values is None or not np.array_equal(axis.tick_values, values):
                # The format first: new values are written a moment later, in the format that they came with.
                axis.tick_format = "~s" if self.extent.log else f".{decimals}f"
                axis.tick_values = values

    @property
    def name(self) -> list[str]:
        """Return name and unit of the numbers at the ticks."""
        scaling = self.extent.scaling
        return [f"{self.extent.name} − {scaling.origin}" if scaling.origin else self.extent.name, scaling.unit]

    def close(self) -> None:
        """Free its widgets."""
        close_all([*self.axes, self.scale])


def _ordinal_ticks(texts: dict[int, str]) -> dict[str, Any]:  # bqplot's own options
    every = max(1, len(texts) // 12)
    shown = {k: text for k, text in texts.items() if k % every == 0}
    return {
        "tick_values": np.array(list(shown), np.float32),
        "tick_labels": {str(k): text for k, text in shown.items()},
    }


class Chart:
    """Marks in a frame with two rulers; a person may zoom it, and ask what is under the cursor."""

    def __init__(
        self,
        marks: Sequence[Any],  # marks of bqplot have no common typed base
        x: Ruler,
        y: Ruler,
        on_wish: Callable[[], None],
        *,
        height: int,
        bottom: int = BOTTOM,
        css_class: str = "",
        label: str = "",
    ) -> None:
        self.x, self.y = x, y
        self.height, self.bottom = height, bottom
        self._label = label
        shown = x.axes[0] if bottom == BOTTOM else x.axis("")
        self.figure = bq_figure.Figure(
            marks=list(marks),
            axes=[shown, y.axes[0]],
            fig_margin={"top": TOP, "bottom": bottom, "left": LEFT, "right": RIGHT},
            animation_duration=0,
            padding_y=0.0,
            layout={"width": "100%", "height": f"{height}px", "min_width": "0px"},
        )
        if css_class:
            self.figure.add_class(css_class)
        self.stage = Stage(on_wish, x_scale=x.scale, y_scale=y.scale, margin=[TOP, RIGHT, bottom, LEFT])
        self.widget = widgets.Box([self.figure, self.stage])
        self.widget.add_class("labnb-chart")
        self.name()

    def name(self) -> None:
        """Tell the page what the axes are."""
        self.stage.log = [self.x.extent.log, self.y.extent.log]
        self.stage.names = [self.x.name, self.y.name]
        what = self._label or f"{self.y.extent.label} over {self.x.extent.label}"
        self.stage.label = f"{what}; drag or + and − zoom, arrow keys move, 0 resets"

    def fulfil(self) -> list[dict[str, Any]]:  # wishes of a page: JSON
        """Zoom as wished; return the other wishes."""
        rest = list[dict[str, Any]]()
        while self.stage.wishes:
            wish = self.stage.wishes.popleft()
            if "view" not in wish:
                rest.append(wish)
            elif wish["view"] is None:
                self.x.let_go()
                self.y.let_go()
            else:
                x0, x1, y0, y1 = map(float, wish["view"])
                self.x.hold(x0, x1)
                self.y.hold(y0, y1)
        return rest

    def let_go(self) -> None:
        """Follow the data again, in both directions; what was wished before is done with."""
        kept = [wish for wish in self.stage.wishes if "view" not in wish]
        self.stage.wishes.clear()
        self.stage.wishes.extend(kept)
        self.x.let_go()
        self.y.let_go()

    def close(self) -> None:
        """Free its widgets, but for marks and rulers."""
        close_all([self.figure, self.stage, self.widget])


def close_all(items: Sequence[Any]) -> None:  # widgets of two untyped libraries
    """Close widgets and those that they made for themselves."""
    for item in items:
        for own in ("layout", "style", "scale_x", "scale_y"):
            if item.has_trait(own):
                getattr(item, own).close()
        item.close()
