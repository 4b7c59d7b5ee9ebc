"""The figure in an output cell: widgets that get small messages, and only when something changed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import ipywidgets as widgets

from labnb.core import Axis
from labnb.live import (
    Choice,
    Kind,
    LiveView,
    Slice,
    alternatives,
    can_be_logarithmic,
    setpoint_text,
)
from labnb.notebook.figures.chart import close_all
from labnb.notebook.figures.lines import LinePlot, Overlays
from labnb.notebook.figures.pictures import PicturePlot
from labnb.notebook.figures.stage import BUDGET_BYTES
from labnb.notebook.style import STYLE

_NEWEST = -1


class _Plot(Protocol):
    """One drawing: a widget, and how it is brought up to date."""

    @property
    def widget(self) -> widgets.Widget: ...
    @property
    def has_legend(self) -> bool: ...
    @property
    def legend(self) -> str: ...
    def update(self) -> bool: ...
    def reset(self) -> None: ...
    def close(self) -> None: ...


class LiveFigure:
    """A figure that follows a view. Made by `make_figure`; `widget` goes into a cell or a panel.

    `update` is called on the loop, after `view.drain()`, ten times a second at most. What a person chooses in the
    figure only leaves a wish, which the next update fulfils: callbacks may come on any thread. With `is_still` nobody
    calls `update`: wishes are fulfilled as they come.
    """

    def __init__(self, view: LiveView, choice: Choice, overlays: Overlays = (), *, is_still: bool = False) -> None:
        self._view, self._overlays, self._is_still = view, overlays, is_still
        self.choice = choice
        self._wanted = choice
        self._wants_reset = self._wants_newest = False
        self._all = alternatives(view.groups, choice)
        self._groups = view.groups
        self._plot = self._make_plot(choice)
        self._legend = widgets.HTML()
        self._legend.add_class("labnb-legend")
        self._controls = list[widgets.Widget]()
        self._head = widgets.HBox()
        self._head.add_class("labnb-head")
        self._style = widgets.HTML(STYLE, layout={"display": "none"})
        self.widget = widgets.VBox([self._style, self._head, self._plot.widget])
        self.widget.add_class("labnb-figure")
        self._make_controls()
        self.update()

    def _make_plot(self, choice: Choice) -> _Plot:
        if choice.kind.is_picture:
            budget = None if self._is_still else BUDGET_BYTES
            return PicturePlot(self._view, choice, self._wished, self._overlays, budget)
        return LinePlot(self._view, choice, self._wished, self._overlays)

    def _wished(self) -> None:
        if self._is_still:
            self.update()

    # ---- controls

    def _make_controls(self) -> None:
        before = self._controls
        self._controls = [*self._make_quantities(), *self._make_slices(), *self._make_scales(), *self._make_buttons()]
        self._head.children = [self._legend, *self._controls]
        close_all(before)

    def _make_quantities(self) -> list[widgets.Widget]:
        options = [choice.turned_to(page) for choice in self._all for page in range(len(choice.pages))]
        if len(options) < 2:
            return []
        texts = _distinct([(_page_text(one), one.kind) for one in options])
        now = next(k for k, one in enumerate(options) if _same_figure(one, self.choice))
        pages = widgets.Dropdown(options=[(text, k) for k, text in enumerate(texts)], value=now, description="show")
        pages.tooltip = "What the figure shows"
        pages.add_class("labnb-show")

        def turn(change: dict[str, Any]) -> None:  # traitlets' change: values of any trait
            self._want(options[change["new"]])

        pages.observe(turn, "value")
        return [pages]

    def _make_slices(self) -> list[widgets.Widget]:
        """Return a chooser for each axis that the figure does not show, where all of it is kept."""
        if self.choice.kind in {Kind.TRACE, Kind.STRIP, Kind.IMAGE}:
            return []
        axes = _hidden_axes(self._view, self.choice)
        held = self.choice.held or (_NEWEST,) * len(axes)
        found = list[widgets.Widget]()
        for k, axis in enumerate(axes):
            if not isinstance(axis, Axis):
                continue
            options = [("newest", _NEWEST), *((setpoint_text(axis, index), index) for index in range(axis.size))]
            chooser = widgets.Dropdown(options=options, value=held[k], description=axis.name)
            chooser.tooltip = f"At which {axis.name} the figure is"
            chooser.add_class("labnb-slice")
            chooser.observe(partial(self._hold, k, len(axes)), "value")
            found.append(chooser)
        return found

    def _hold(self, place: int, count: int, change: dict[str, Any]) -> None:  # as above
        held = list(self._wanted.held or (_NEWEST,) * count)
        held[place] = int(change["new"])
        self._want(replace(self._wanted, held=None if set(held) == {_NEWEST} else tuple(held)))

    def _make_scales(self) -> list[widgets.Widget]:
        found = list[widgets.Widget]()
        if can_be_logarithmic(self.choice.x):
            found.append(self._toggle("log x", "log_x", self.choice.log_x))
        is_map = self.choice.kind.is_picture
        if can_be_logarithmic(self.choice.outer) if is_map else not self._has_phase():
            found.append(self._toggle("log y", "log_y", self.choice.log_y))
        return found

    def _has_phase(self) -> bool:
        return any(quantity.unit == "°" for quantity in self.choice.ys)

    def _toggle(self, word: str, field: str, value: bool) -> widgets.ToggleButton:
        toggle = widgets.ToggleButton(value=value, description=word, tooltip=f"Logarithmic {word[-1]} axis")
        toggle.add_class(f"labnb-{field.replace('_', '-')}")

        def set_scale(change: dict[str, Any]) -> None:  # as above
            self._want(replace(self._wanted, **{field: bool(change["new"])}))

        toggle.observe(set_scale, "value")
        return toggle

    def _make_buttons(self) -> list[widgets.Widget]:
        found = [_button("Reset", "labnb-reset", "Show all data again (0)", self._reset)]
        if isinstance(self._plot, PicturePlot) and self._plot.follows is not None:
            found.append(_button("Newest row", "labnb-newest", "Let the cut follow the newest row", self._newest))
        return list[widgets.Widget](found)

    # ---- wishes

    def _want(self, choice: Choice) -> None:
        self._wanted = choice
        self._wished()

    def _reset(self) -> None:
        self._wants_reset = True
        self._wished()

    def _newest(self) -> None:
        self._wants_newest = True
        self._wished()

    def update(self) -> bool:
        """Show what was drained since; return whether anything was sent."""
        if self._groups != self._view.groups:
            self._groups = self._view.groups
            self._all = alternatives(self._view.groups, self._all[0])
            self._make_controls()
        if self._wanted != self.choice:
            self._show(self._wanted)
            return True
        if self._wants_reset:
            self._wants_reset = False
            self._plot.reset()
        if self._wants_newest and isinstance(self._plot, PicturePlot):
            self._wants_newest = False
            self._plot.follow()
        changed = self._plot.update()
        self._legend.value = self._plot.legend
        return changed

    def _show(self, choice: Choice) -> None:
        is_same_figure = _same_figure(choice, self.choice)
        before, self.choice = self._plot, choice
        self._plot = self._make_plot(choice)
        self._plot.update()
        self._legend.value = self._plot.legend
        self.widget.children = (*self.widget.children[:-1], self._plot.widget)
        before.close()
        if not is_same_figure:
            self._make_controls()

    def close(self) -> None:
        """Free every widget, here and in the browser."""
        self._plot.close()
        close_all([*self._controls, self._legend, self._head, self._style, self.widget])


def make_figure(view: LiveView, choice: Choice, overlays: Overlays = (), *, is_still: bool = False) -> LiveFigure:
    """Return the figure of `choice`, with the same of other runs. Raises ValueError for a choice of nothing."""
    if choice.kind is Kind.NONE:
        raise ValueError("nothing is chosen to be drawn: this run has values only, show them without a figure")
    return LiveFigure(view, choice, overlays, is_still=is_still)


def _same_figure(one: Choice, other: Choice) -> bool:
    return (one.kind, one.group, one.pages, one.page) == (other.kind, other.group, other.pages, other.page)


def _hidden_axes(view: LiveView, choice: Choice) -> tuple[object, ...]:
    group = view.table(choice.group).group
    shown = (choice.x, choice.outer)
    if not any(axis in shown for axis in group.axes):
        shown = (*shown, group.axes[-1])
    return Slice(group, shown).axes


def _page_text(choice: Choice) -> str:
    unit = choice.ys[0].unit
    return " · ".join(q.name for q in choice.ys) + (f" ({unit})" if unit else "")


def _distinct(options: list[tuple[str, Kind]]) -> list[str]:
    """Return the texts of options; where two are the same, with the kind of figure."""
    texts = [text for text, _ in options]
    return [f"{text}, {kind}" if texts.count(text) > 1 else text for text, kind in options]


def _button(word: str, css_class: str, tooltip: str, act: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=word, tooltip=tooltip)
    button.add_class(css_class)

    def click(_button: widgets.Button) -> None:
        act()

    button.on_click(click)
    return button
