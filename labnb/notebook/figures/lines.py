"""Curves: one mark each, so that a family sends only the curve that grows."""

import html
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from bqplot import marks as bq_marks

from labnb.live import NOTHING, Choice, Curve, CurveSet, Kind, LiveView, alternatives, si_text, tick_texts
from labnb.notebook.figures.chart import Chart, Ruler, close_all
from labnb.notebook.style import FIGURE_PX, family_colour, series_colour

_NOTHING = np.zeros(0, np.float32)
_MOST_READ = 4
_DASHES = ("dashed", "dotted", "dash_dotted")

Overlays = Sequence[tuple[str, LiveView]]
"""Other runs in the same figure: what they are called, and their points."""


class LinePlot:
    """The curves of a choice, and the same ones of other runs (`overlays`), dashed."""

    def __init__(self, view: LiveView, choice: Choice, on_wish: Callable[[], None], overlays: Overlays = ()) -> None:
        self._choice = choice
        self._set = CurveSet(view, choice)
        self._overlaid = [
            (label, CurveSet(other, its)) for label, other in overlays if (its := matching(other, choice))
        ]
        self._x = Ruler(self._set.x, "bottom", tick_texts(choice.x))
        self._y = Ruler(self._set.y, "left")
        self._curves = [(curve, curve_colour(k, curve), "") for k, curve in enumerate(self._set.curves)]
        for number, (label, other) in enumerate(self._overlaid):
            self._curves += [
                (curve, _overlay_colour(number, k, curve, len(self._set.curves)), label)
                for k, curve in enumerate(other.curves)
            ]
        self._marks = [self._mark(curve, colour, label) for curve, colour, label in self._curves]
        self._sent = [-1] * len(self._marks)
        self.chart = Chart(self._marks, self._x, self._y, on_wish, height=FIGURE_PX)
        self.widget = self.chart.widget

    def _mark(self, curve: Curve, colour: str, label: str) -> bq_marks.Lines:
        scales = {"x": self._x.scale, "y": self._y.scale}
        look = {"marker": "circle", "marker_size": 14} if self._set.has_markers and not label else {}
        if label:
            look["line_style"] = _DASHES[[name for name, _ in self._overlaid].index(label) % len(_DASHES)]
        return bq_marks.Lines(x=_NOTHING, y=_NOTHING, scales=scales, colors=[colour], stroke_width=1.6, **look)

    def update(self) -> bool:
        """Show what is new; return whether anything was sent."""
        self.chart.fulfil()
        changed = self._set.advance()
        for _, other in self._overlaid:
            changed |= self._take(other)
        with ExitStack() as stack:
            rescaled = [ruler.update(stack) for ruler in (self._x, self._y)]
            for k, (curve, _, _) in enumerate(self._curves):
                if curve.version != self._sent[k] or any(rescaled):
                    self._send(k, curve, stack)
        if any(rescaled):
            self.chart.name()
        return self.chart.stage.reply(self._read) or changed

    def _take(self, other: CurveSet) -> bool:
        """Bring an overlay up to date, and make room for it."""
        if not other.advance():
            return False
        for own, its in ((self._set.x, other.x), (self._set.y, other.y)):
            if its.known:
                own.fit(its.low, its.high)
        return True

    def _send(self, index: int, curve: Curve, stack: ExitStack) -> None:
        mark = self._marks[index]
        stack.enter_context(mark.hold_sync())
        mark.x, mark.y = self._set.drawn(curve)
        self._sent[index] = curve.version

    def _read(self, x: float, y: float) -> str:
        """Return the measured values nearest to the cursor: of each curve at x, of a family the nearest curve only."""
        raw_x, raw_y = self._set.x.raw(x), self._set.y.raw(y)
        found = list[tuple[float, str]]()
        for curve, _, label in self._curves:
            xs, ys = curve.points()
            if not len(xs):
                continue
            near = int(np.abs(xs - raw_x).argmin())
            name = " ".join(filter(None, (label, curve.label)))
            text = f"● {name} {si_text(float(ys[near]), self._set.y.unit)} at {si_text(float(xs[near]), self._set.x.unit, 5)}"
            found.append((abs(float(ys[near]) - raw_y), text))
        if self._choice.kind is Kind.FAMILY or len(found) > _MOST_READ:
            found = [min(found)] if found else []
        return "   ".join(text for _, text in found)

    @property
    def has_legend(self) -> bool:
        """Whether a line above the figure is needed."""
        several = any(len(page) > 1 for page in self._choice.pages)
        return several or bool(self._overlaid) or self._choice.kind is Kind.FAMILY or self._set.slice.is_part

    @property
    def legend(self) -> str:
        """Return which curve is which, and what is shown, as markup."""
        parts = list[str]()
        if self._choice.kind is Kind.FAMILY and self._choice.outer is not None:
            parts.append(f"<span>{html.escape(self._choice.outer.name)}</span>")
        if len(self._set.curves) > 1:
            parts += [entry(curve_colour(k, curve), curve.label) for k, curve in enumerate(self._set.curves)]
        for number, (label, other) in enumerate(self._overlaid):
            colour = _overlay_colour(number, 0, other.curves[0], len(self._set.curves))
            parts.append(entry(colour, label, dashed=True))
        if self._set.slice.text:
            parts.append(f"<span>at {html.escape(self._set.slice.text)}</span>")
        return "".join(parts)

    def reset(self) -> None:
        """Follow the data again."""
        self.chart.let_go()

    def close(self) -> None:
        """Free every widget."""
        self.chart.close()
        close_all(self._marks)
        self._x.close()
        self._y.close()


def curve_colour(index: int, curve: Curve) -> str:
    """Return the colour of one curve: along the ramp in a family, else the next of the palette."""
    return series_colour(index) if curve.tone is None else family_colour(curve.tone)


def _overlay_colour(number: int, index: int, curve: Curve, own: int) -> str:
    """Return the colour of a curve of another run: in a family that of its tone, else one that nothing has yet."""
    return series_colour(own + number + index) if curve.tone is None else family_colour(curve.tone)


def entry(colour: str, label: str, *, dashed: bool = False) -> str:
    """Return one entry of a legend."""
    style = ";border-top-style:dashed" if dashed else ""
    return f'<span><i style="border-color:{colour}{style}"></i>{html.escape(label)}</span>'


def matching(view: LiveView, choice: Choice) -> Choice | None:
    """Return the choice that shows the same of another run; None if it has not measured that."""
    names = [q.name for q in choice.ys]
    for one in alternatives(view.groups, NOTHING):
        for page in range(len(one.pages)):
            turned = one.turned_to(page)
            same = turned.kind is choice.kind and _name(turned.x) == _name(choice.x)
            if same and _name(turned.outer) == _name(choice.outer) and [q.name for q in turned.ys] == names:
                return replace(turned, log_x=choice.log_x, log_y=choice.log_y, held=choice.held)
    return None


def _name(axis: object) -> str:
    return getattr(axis, "name", "")
