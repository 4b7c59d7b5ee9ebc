"""The panel of a run in its output cell: it shows a snapshot and posts intentions, and holds no truth itself."""

import html
import re
from collections.abc import Callable
from functools import partial

import ipywidgets as widgets

from labnb.core import State
from labnb.live import Pace, Reading, Snapshot, clock_text, fraction, rate_text, value_text
from labnb.notebook.figures import LiveFigure, close_all
from labnb.notebook.style import MARKS, STYLE

_SHOWN_WARNINGS = 3
_MINUS = re.compile(r"(?<!\w)-(?=[\d.])")  # of a number; not the hyphen of a word


class RunPanel:
    """State, progress, buttons, values, figure, path and warnings of one run.

    `update` is called on the loop, after the view was drained; it sends a message only for what changed. The three
    callbacks may be called on another thread: they must do no more than post.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        figure: LiveFigure | None,
        on_pause: Callable[[], None],
        on_resume: Callable[[], None],
        on_stop: Callable[[], None],
    ) -> None:
        self._snapshot = snapshot
        self._figure = figure
        self._on_pause, self._on_resume, self._on_stop = on_pause, on_resume, on_stop
        self._pace = Pace()
        self._widths: dict[str, int] = {}
        self._style = widgets.HTML(STYLE, layout={"display": "none"})
        self._state, self._points = _text("labnb-state"), _text("labnb-points")
        self._pause = _button("Pause", "labnb-pause", self._pause_or_resume)
        self._stop = _button("Stop", "labnb-stop", on_stop)
        self._bar = widgets.HBox([self._state, self._points, self._pause, self._stop])
        self._bar.add_class("labnb-bar")
        self._values, self._small = _text("labnb-values"), _text("labnb-small")
        self._place = widgets.VBox(self._figures())
        self.widget = widgets.VBox([self._style, self._bar, self._values, self._place, self._small])
        self.widget.add_class("labnb-panel")
        self.update()

    @property
    def figure(self) -> LiveFigure | None:
        """The figure on show; assigning another one shows that and closes the one before."""
        return self._figure

    @figure.setter
    def figure(self, figure: LiveFigure | None) -> None:
        before, self._figure = self._figure, figure
        self._place.children = self._figures()
        if before is not None and before is not figure:
            before.close()

    def _figures(self) -> tuple[widgets.Widget, ...]:
        return () if self._figure is None else (self._figure.widget,)

    def _pause_or_resume(self) -> None:
        if self._snapshot().state is State.PAUSED:
            self._on_resume()
        else:
            self._on_pause()

    def update(self) -> None:
        """Show the run as it is now."""
        shot = self._snapshot()
        self._pace.update(shot.elapsed_s, shot.points, held=shot.state is State.PAUSED)
        self._state.value = state_html(shot)
        self._points.value = progress_html(shot, self._pace)
        self._values.value = self._values_html(shot)
        self._small.value = _small_html(shot)
        self._pause.description = "Resume" if shot.state is State.PAUSED else "Pause"
        self._pause.tooltip = f"{self._pause.description} {shot.name}"
        self._stop.tooltip = f"Stop {shot.name}; its points are kept"
        self._pause.disabled = shot.state not in (State.RUNNING, State.PAUSED)
        self._stop.disabled = shot.state not in (State.RUNNING, State.PAUSED)
        if self._figure is not None:
            self._figure.update()

    def _values_html(self, shot: Snapshot) -> str:
        if not shot.latest and not shot.setpoint:
            return "" if shot.state.ended else '<span class="labnb-soft">waiting for the first point</span>'
        parts = [self._fixed("setpoint", _MINUS.sub("−", shot.setpoint))] if shot.setpoint else []
        if shot.setpoint and shot.latest:
            parts.append('<span class="labnb-soft">→</span>')
        return "".join(parts + [self._reading(reading) for reading in shot.latest])

    def _reading(self, reading: Reading) -> str:
        text = value_text(reading.value, reading.unit, 5)
        name = f'<span class="labnb-soft">{html.escape(reading.name)}</span>'
        return f"<span>{name} {self._fixed(reading.name, text, 'b')}</span>"

    def _fixed(self, key: str, text: str, tag: str = "span") -> str:
        """Return text in a box as wide as the widest text that it ever held, so that its neighbours stand still."""
        width = self._widths[key] = max(self._widths.get(key, 0), len(text))
        return f'<{tag} style="display:inline-block;min-width:{width}ch">{html.escape(text)}</{tag}>'

    def close(self) -> None:
        """Free every widget, here and in the browser."""
        if self._figure is not None:
            self._figure.close()
        own = [self._style, self._state, self._points, self._pause, self._stop, self._bar]
        close_all([*own, self._values, self._small, self._place, self.widget])


def state_html(shot: Snapshot) -> str:
    """Return name, shape and word of the state."""
    return (
        f'<span role="status" aria-live="polite"><span class="labnb-name">{html.escape(shot.name)}</span>'
        f'<span class="labnb-{shot.state}"><span class="labnb-mark" aria-hidden="true">{MARKS[shot.state]}</span> '
        f'<span class="labnb-word">{shot.state}</span></span></span>'
    )


def progress_html(shot: Snapshot, pace: Pace) -> str:
    """Return bar, points, share, times and rate; of an unknown total only count, time and rate."""
    done = fraction(shot.points, shot.total)
    rate = rate_text(pace.per_s)
    if done is None or shot.total is None:
        count = _number(f"{_grouped(shot.points)} points", 12)
        return f"{count}{_number(clock_text(shot.elapsed_s), 6)}{_number(rate, 9)}"
    width = len(_grouped(shot.total))
    left = clock_text(0 if shot.state.ended else pace.left_s(shot.total))
    bar = (
        f'<span class="labnb-progress" role="progressbar" aria-label="points measured" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{int(done * 100)}"><i style="width:{done * 100:.1f}%"></i></span>'
    )
    points = _number(f"{_grouped(shot.points)} / {_grouped(shot.total)}", 2 * width + 3)
    times = _number(clock_text(shot.elapsed_s), 6)
    rest = "" if shot.state.ended else _number(f"left {left}", 10, "labnb-soft")
    return f"{bar}{points}{_number(f'{int(done * 100)} %', 5)}{times}{rest}{_number(rate, 8, 'labnb-soft')}"


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _number(text: str, width: int, also: str = "") -> str:
    return f'<span class="labnb-number {also}" style="min-width:{width}ch">{text}</span>'


def _small_html(shot: Snapshot) -> str:
    parts = [f"<span>{html.escape(shot.path)}</span>"] if shot.path else []
    if shot.error:
        parts.append(f'<span class="labnb-error">✗ {html.escape(shot.error)}</span>')
    hidden = len(shot.warnings) - _SHOWN_WARNINGS
    parts += [f'<span class="labnb-warning">⚠ {html.escape(w)}</span>' for w in shot.warnings[-_SHOWN_WARNINGS:]]
    if hidden > 0:
        parts.append(f"<span>and {hidden} earlier warning{'s' if hidden > 1 else ''}</span>")
    return "".join(parts)


def _text(css_class: str) -> widgets.HTML:
    text = widgets.HTML()
    text.add_class(css_class)
    return text


def _button(word: str, css_class: str, act: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=word, tooltip=word)
    button.add_class(css_class)
    button.on_click(partial(_click, act))
    return button


def _click(act: Callable[[], None], _button: widgets.Button) -> None:
    act()
