"""Maps, waterfalls and meshes: colours over x and y, their scale, and below them a cut along one row."""

import html
import math
from collections.abc import Callable
from contextlib import ExitStack

import ipywidgets as widgets
import numpy as np
from bqplot import marks as bq_marks

from labnb.live import Choice, Extent, Kind, LiveView, Picture, make_picture, round_ticks, si_text, tick_texts
from labnb.notebook.figures.chart import TOP, Chart, Ruler, close_all
from labnb.notebook.figures.lines import Overlays, entry, matching
from labnb.notebook.figures.stage import BUDGET_BYTES
from labnb.notebook.style import CUT_PX, FIGURE_PX, SCALE_PX, gradient, series_colour

_NOTHING = np.zeros(0, np.float32)
_BOTTOM = 24  # of a map over a cut, which has the label of x below it


class PicturePlot:
    """A picture with its colour scale. Its cut follows the newest row until a person picks one.

    `budget` limits the bytes of one update; None sends all that is new at once.
    """

    def __init__(
        self,
        view: LiveView,
        choice: Choice,
        on_wish: Callable[[], None],
        overlays: Overlays = (),
        budget: int | None = BUDGET_BYTES,
    ) -> None:
        self._picture = make_picture(view, choice)
        self._choice, self._budget = choice, budget
        self._x = Ruler(self._picture.x, "bottom", tick_texts(choice.x), grid_lines=False)
        self._y = Ruler(self._picture.y, "left", _upward(choice), grid_lines=False)
        self._cut = None if choice.kind is Kind.MESH else Cut(self._picture, self._x, on_wish)
        self._chart = Chart(
            [],
            self._x,
            self._y,
            on_wish,
            height=FIGURE_PX if self._cut is None else FIGURE_PX - CUT_PX // 2,
            css_class="labnb-map",
            label=f"{choice.kind} of {self._picture.name}",
            **({} if self._cut is None else {"bottom": _BOTTOM}),
        )
        self._overlaid = [
            (label, make_picture(other, its)) for label, other in overlays if (its := matching(other, choice))
        ]
        if self._cut is not None:
            self._cut.overlay(self._overlaid)
        self._scale = widgets.HTML(layout={"width": f"{SCALE_PX}px"})
        self._scale.add_class("labnb-scale")
        self._charts = widgets.VBox([self._chart.widget, *([] if self._cut is None else [self._cut.widget])])
        self._charts.add_class("labnb-charts")
        self.widget = widgets.HBox([self._charts, self._scale])
        self._chart.stage.prepare(self._picture)
        with ExitStack() as stack:
            self._x.update(stack)
            self._y.update(stack)

    @property
    def follows(self) -> bool | None:
        """Whether the cut follows the newest row; None if there is no cut, or no row is newer than the others."""
        return None if self._cut is None or self._choice.kind is Kind.IMAGE else self._cut.picked is None

    def follow(self) -> None:
        """Let the cut follow the newest row."""
        if self._cut is not None:
            self._cut.picked = None

    def update(self) -> bool:
        """Show what is new; return whether anything changed."""
        for wish in self._chart.fulfil():
            if self._cut is not None:
                self._cut.obey(wish)
        changed = self._picture.advance()
        for _, other in self._overlaid:
            changed |= other.advance()
        self._chart.stage.paint(self._picture, self._budget)
        if changed:
            self._scale.value = self._colour_bar()
            self._place_dots()
        if self._cut is not None:
            changed |= self._cut.update(changed)
            self._chart.stage.cut = self._cut.place
        with ExitStack() as stack:
            if self._x.update(stack) | self._y.update(stack):
                self._chart.name()
        return self._chart.stage.reply(self._read) or changed

    def _place_dots(self) -> None:
        dots = self._picture.dots
        if dots is not None:
            pairs = np.stack((self._picture.x.drawn(dots[0]), self._picture.y.drawn(dots[1])), axis=1)
            self._chart.stage.dots = np.ascontiguousarray(pairs[-5000:], "<f4").tobytes()

    def _read(self, x: float, y: float) -> str:
        found = self._picture.value_at(self._picture.x.raw(x), self._picture.y.raw(y))
        if found is None:
            return ""
        value = found[2]
        if math.isnan(value):
            return f"● {self._picture.name} not measured"
        return f"● {self._picture.name} {si_text(value, self._picture.unit)}"

    def _colour_bar(self) -> str:
        colours = self._picture.colours
        if not colours.known:
            return ""
        scaling = colours.scaling
        low, high = ((v - scaling.offset) / scaling.factor for v in (colours.low, colours.high))
        values, decimals = round_ticks(low, high, 4)
        height = self._chart.height - TOP - self._chart.bottom
        marks = "".join(
            f'<span style="bottom:{(value - low) / (high - low) * 100:.2f}%">{_number(value, decimals)}</span>'
            for value in values
        )
        ends = f"{_number(low, decimals + 1)} to {_number(high, decimals + 1)}"
        label = html.escape(self._picture.label)
        return (
            f'<div role="img" aria-label="colours of {label} from {ends}"><div class="labnb-quantity" '
            f'style="height:{TOP}px;line-height:{TOP}px">{label}</div><div class="labnb-ramp" style="height:{height}px;'
            f'background:linear-gradient(to top, {gradient(colours.signed)})"><div class="labnb-ends">{marks}</div></div>'
            "</div>"
        )

    @property
    def has_legend(self) -> bool:
        """Whether a line above the figure is needed."""
        return self._picture.at.is_part or self._cut is not None or bool(self._overlaid)

    @property
    def legend(self) -> str:
        """Return which slice is shown, and where the cut is, as markup."""
        text = self._picture.at.text
        parts = [f"<span>at {html.escape(text)}</span>"] if text else []
        if self._cut is not None and self._cut.text:
            parts.append(entry(series_colour(0), self._cut.text))
        parts += [entry(series_colour(k + 1), label, dashed=True) for k, (label, _) in enumerate(self._overlaid)]
        return "".join(parts)

    def reset(self) -> None:
        """Show all of it again."""
        self._chart.let_go()
        if self._cut is not None:
            self._cut.let_go()

    def close(self) -> None:
        """Free every widget."""
        if self._cut is not None:
            self._cut.close()
        self._chart.close()
        self._x.close()
        self._y.close()
        close_all([self._scale, self._charts, self.widget])


class Cut:
    """The values along one row of a picture: the newest, or the one that a person picked."""

    def __init__(self, picture: Picture, x: Ruler, on_wish: Callable[[], None]) -> None:
        self._picture, self._x = picture, x
        self.picked: int | None = None
        self._shown: int | None = None
        self.extent = Extent(picture.name, picture.unit)
        self._y = Ruler(self.extent, "left", ticks=4)
        self._marks = [self._mark(0)]
        self._others = list[Picture]()
        self.chart = Chart(self._marks, x, self._y, on_wish, height=CUT_PX, label=f"cut through {picture.name}")
        self.widget = self.chart.widget

    def _mark(self, index: int) -> bq_marks.Lines:
        return bq_marks.Lines(
            x=_NOTHING,
            y=_NOTHING,
            scales={"x": self._x.scale, "y": self._y.scale},
            colors=[series_colour(index)],
            stroke_width=1.5,
            line_style="dashed" if index else "solid",
        )

    def overlay(self, others: list[tuple[str, Picture]]) -> None:
        """Show the same row of other runs too."""
        self._others = [picture for _, picture in others]
        self._marks += [self._mark(k + 1) for k in range(len(others))]
        self.chart.figure.marks = self._marks

    @property
    def row(self) -> int:
        """The row of cells that is shown."""
        return self._picture.cells.newest if self.picked is None else self.picked

    @property
    def place(self) -> list[float]:
        """Return where it is, in the units of the picture's ticks; nothing before the first point."""
        if not self.extent.known:
            return []
        return [float(self._picture.y.drawn(np.array([self._picture.row_coordinate(self.row)]))[0])]

    @property
    def text(self) -> str:
        """Return where it is, in words."""
        y = self._picture.y
        if not self.extent.known:
            return ""
        held = "" if self.picked is None else " (picked)"
        return f"{y.name} = {si_text(self._picture.row_coordinate(self.row), y.unit)}{held}"

    def obey(self, wish: dict[str, object]) -> None:
        """Take a row that was clicked, or go to the next one."""
        rows = self._picture.cells.values.shape[0]
        match wish:
            case {"pick": [float() | int(), (float() | int()) as y]}:
                found = self._picture.row_at(self._picture.y.raw(float(y)))
                self.picked = self.picked if found is None else found
            case {"step": int() as step}:
                self.picked = min(rows - 1, max(0, self.row + step))
            case _:
                pass

    def update(self, changed: bool) -> bool:
        """Show the row as it is now; return whether anything was sent."""
        self.chart.fulfil()
        self.chart.stage.reply(self._read)
        if not changed and self.row == self._shown:
            with ExitStack() as stack:
                self._y.update(stack)
            return False
        self._shown = self.row
        rows = [self._picture.row(self.row)]
        for other in self._others:
            row = other.row_at(self._picture.row_coordinate(self.row))
            rows.append((np.empty(0), np.empty(0)) if row is None else other.row(row))
        self._fit()
        with ExitStack() as stack:
            if self._y.update(stack):
                self.chart.name()
            for mark, (x, values) in zip(self._marks, rows, strict=True):
                stack.enter_context(mark.hold_sync())
                mark.x, mark.y = self._picture.x.drawn(x), self.extent.drawn(values)
        return True

    def _fit(self) -> None:
        """Make room for every row, so that the axis stands still when another one is shown."""
        for picture in (self._picture, *self._others):
            values = picture.cells.values
            if np.isfinite(values).any():
                self.extent.fit(float(np.nanmin(values)), float(np.nanmax(values)))

    def _read(self, x: float, _y: float) -> str:
        xs, values = self._picture.row(self.row)
        if not len(xs):
            return ""
        near = int(np.abs(xs - self._picture.x.raw(x)).argmin())
        where = si_text(float(xs[near]), self._picture.x.unit, 5)
        return f"● {self._picture.name} {si_text(float(values[near]), self._picture.unit)} at {where}"

    def let_go(self) -> None:
        """Follow the data again."""
        self.chart.let_go()

    def close(self) -> None:
        """Free every widget but those of x."""
        self.chart.close()
        close_all(self._marks)
        self._y.close()


def _upward(choice: Choice) -> dict[int, str] | None:
    return tick_texts(choice.outer) if choice.kind is not Kind.MESH else None


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".replace("-", "−")
