"""What is going on: every run and every background task, with its state, and buttons that end or hold it."""

import html
from typing import Any, cast

import ipywidgets as widgets

from labnb.core import LifecycleError, State
from labnb.live import clock_text, fraction
from labnb.notebook.panels import _look
from labnb.notebook.panels._card import Card
from labnb.notebook.panels._door import Panel
from labnb.notebook.style import MARKS
from labnb.session import Run, StandingTask, under_way

_EVERY_S = 0.25
_KEPT = 5  # lines of what has ended, so that one sees how


def tasks() -> "TasksPanel":
    """Return the panel of what is going on: runs and background tasks, with Pause and Stop for each."""
    return TasksPanel()


class TasksPanel(Panel):
    """Shows what is going on, live. Made by `labnb.tasks()`."""

    def __init__(self) -> None:
        super().__init__("the panel of tasks")
        self._lines = dict[object, Entry]()
        self._empty = _look.text(
            "labnb-empty", value="nothing is going on; a %%measure -b cell or %%task --start begins something"
        )
        self._place = widgets.VBox(layout={"overflow": "visible"})
        self._all = _look.button("Stop all", "Stop every run and task; points are kept", self._posting(self._stop_all))
        title = _look.text("labnb-title", "labnb-grow", value="Going on<small>runs and background tasks</small>")
        self._build(_look.row([title, self._all], "labnb-columns"), self._place, self._message)
        self._refresh()
        self._begin(self._repeat(_EVERY_S, self._refresh))

    @property
    def entries(self) -> tuple["Entry", ...]:
        """The lines on show, in the order in which they began; what has ended stays for a while."""
        return tuple(self._lines.values())

    def _refresh(self) -> None:
        going = under_way()
        for each in going:
            if each not in self._lines and isinstance(each, Run | StandingTask):
                self._lines[each] = Entry(each, self)
        ended = [each for each in self._lines if each not in going]
        for each in ended[: max(0, len(ended) - _KEPT)]:
            self._lines.pop(each).close()
        children = tuple(entry.widget for entry in self._lines.values()) or (self._empty,)
        if children != self._place.children:
            self._place.children = children
        for entry in self.entries:
            entry.update()
        self._all.disabled = not going

    def _card(self) -> Card:
        lines = tuple(entry.words for entry in self.entries) or (_look.words(self._empty.value),)
        return Card("Going on", "runs and background tasks", lines)

    async def _look_again(self) -> None:
        self._refresh()

    def _stop_all(self) -> None:
        for entry in self.entries:
            entry.stop()

    def post(self, act: Any) -> None:  # any callable
        """Have `act` done on the loop, and show what came of it."""
        self._post(act)
        self._post(self._refresh)


class Entry:
    """One run or task."""

    def __init__(self, thing: Run | StandingTask, owner: TasksPanel) -> None:
        self.thing = thing
        self.name = thing.run_id
        self._state = _look.text("labnb-state", width="250px")
        self._rest = _look.text("labnb-grow")
        self.pause_button = _look.button(
            "Pause", f"Pause {self.name}", lambda: owner.post(self.pause_or_resume), "labnb-pause"
        )
        self.stop_button = _look.button("Stop", f"Stop {self.name}", lambda: owner.post(self.stop))
        self.pause_button.layout.visibility = "visible" if isinstance(thing, Run) else "hidden"
        self.widget = _look.row([self._state, self._rest, self.pause_button, self.stop_button], "labnb-line")
        self.update()

    @property
    def words(self) -> str:
        """The line as text."""
        return "   ".join(
            _look.words(each.value.replace("</span><span", "</span>  <span")) for each in (self._state, self._rest)
        )

    def update(self) -> None:
        """Show it as it is now."""
        state = self._state_now()
        mark = MARKS[state]
        word = "going" if isinstance(self.thing, StandingTask) and state is State.RUNNING else state.value
        self._state.value = (
            f'<span role="status" aria-live="polite"><span class="labnb-name">{html.escape(self.name)}</span>'
            f'<span class="labnb-{state}"><span class="labnb-mark" aria-hidden="true">{mark}</span> {word}</span></span>'
        )
        self._rest.value = self._progress() if isinstance(self.thing, Run) else self._trouble(self.thing.error)
        self._allow(state)

    def _allow(self, state: State) -> None:
        held = state is State.PAUSED
        self.pause_button.description = "Resume" if held else "Pause"
        self.pause_button.tooltip = f"{self.pause_button.description} {self.name}"
        self.pause_button.disabled = not (isinstance(self.thing, Run) and state in (State.RUNNING, State.PAUSED))
        self.stop_button.disabled = state not in (State.RUNNING, State.PAUSED)

    def _state_now(self) -> State:
        if isinstance(self.thing, Run):
            return self.thing.state
        if self.thing.going:
            return State.RUNNING
        return State.FAILED if self.thing.error is not None else State.STOPPED

    def _progress(self) -> str:
        shot = cast(Run, self.thing).snapshot()
        done = fraction(shot.points, shot.total)
        total = "" if shot.total is None else f" / {shot.total}"
        parts = [f"{shot.points}{total} points", clock_text(shot.elapsed_s), shot.setpoint]
        bar = "" if done is None else f'<span class="labnb-progress"><i style="width:{done * 100:.1f}%"></i></span>'
        texts = "".join(f"<span>{html.escape(part)}</span>" for part in parts if part)
        return f'<div class="labnb-flow">{bar}{texts}{self._trouble(cast(Run, self.thing).error)}</div>'

    def _trouble(self, error: BaseException | None) -> str:
        return (
            "" if error is None else f'<span class="labnb-bad">✗ {html.escape(str(error).partition(chr(10))[0])}</span>'
        )

    def pause_or_resume(self) -> None:
        """Hold the run, or let it go on."""
        if isinstance(self.thing, Run):
            (self.thing.resume if self.thing.state is State.PAUSED else self.thing.pause)()

    def stop(self) -> None:
        """End it; what has ended stays as it is."""
        if self._state_now() not in (State.RUNNING, State.PAUSED):
            return
        try:
            self.thing.stop()
        except LifecycleError:
            return  # it has ended since

    def close(self) -> None:
        """Free its widgets."""
        _look.free(self.widget)
