"""What stands in the output cell of a run: the live panel while it measures, a picture for ever after."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, cast

from IPython.core.getipython import get_ipython
from IPython.display import display

from labnb.core import State, have_threads
from labnb.live import Choice, Kind, LiveView, Snapshot, choose
from labnb.notebook.figures import make_figure
from labnb.notebook.panel import RunPanel
from labnb.notebook.picture import frozen_picture, kept_picture
from labnb.session import Run

_PATIENCE_S = 0.05
_HASTY = (State.STOPPED, State.CANCELLED)

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class _Handle(Protocol):
    """IPython's DisplayHandle, as far as it is used."""

    def update(self, obj: object, **kwargs: object) -> None: ...


class Output:
    """The view of one run in the cell that started it. Implements `labnb.session.View`.

    `plot` are the names to show (default: what the axes suggest). `show_error` is called at the end of a run that
    failed while nobody awaited it.
    """

    def __init__(
        self, run: Run, *, plot: tuple[str, ...] = (), show_error: Callable[[ErrorInfo], object] | None = None
    ) -> None:
        self._run = run
        self._plot = plot or None
        self._show_error = show_error
        self._live = LiveView()
        self._choice = Choice(Kind.NONE)
        self._undecided = True
        self._panel: RunPanel | None = None
        self._handles = list[_Handle]()
        self._kept: dict[str, str] | None = None
        self._warming: asyncio.Future[None] | None = None
        self._freezing: asyncio.Task[None] | None = None

    @property
    def sink(self) -> LiveView:
        """Where the points go."""
        return self._live

    def update(self) -> None:
        """Show the run as it is now; called on its loop, at most ten times a second."""
        panel = self._panel or self._open()
        self._live.drain()
        if self._undecided and self._declared():
            self._choose(panel)
        panel.update()

    def _choose(self, panel: RunPanel) -> None:
        """Choose the figure; again, as long as there are variables that have had no value."""
        groups = self._live.groups
        chosen = choose(groups, self._plot)
        self._undecided = chosen.kind is Kind.NONE or any(v.undecided for group in groups for v in group.variables)
        if chosen != self._choice:
            self._choice = chosen
            panel.figure = make_figure(self._live, chosen)

    def _open(self) -> RunPanel:
        run = self._run
        self._panel = RunPanel(run.snapshot, None, on_pause=run.pause, on_resume=run.resume, on_stop=run.stop)
        self.show()
        if have_threads():
            self._warming = asyncio.get_running_loop().run_in_executor(None, _warm_up)
        return self._panel

    def show(self) -> None:
        """Show the panel once more, where this is called; of a run that ended, what is kept of it."""
        if self._kept is not None:
            display(self._kept, raw=True)
        elif self._panel is not None:
            self._handles.append(cast("_Handle", display(self._panel.widget, display_id=True)))
        else:
            self._open()

    def _declared(self) -> bool:
        """Whether the innermost variables are known: an outer one alone would give a figure that changes at once."""
        main = self._run.outline.main
        return main is not None and any(group.key == main.key for group in self._live.groups)

    async def end(self) -> None:
        """Replace the panel by what a notebook keeps without a kernel: a picture, and one line of text.

        A person who pressed Stop does not wait for the picture: it follows when it is drawn.
        """
        if self._panel is not None:
            self._live.drain()
            self._panel.update()
        self._freezing = asyncio.create_task(self._freeze())
        await asyncio.wait({self._freezing}, timeout=_PATIENCE_S if self._run.state in _HASTY else None)
        error = self._run.error
        if error is not None and self._show_error is not None:
            self._show_error((type(error), error, error.__traceback__))

    async def _freeze(self) -> None:
        self._live.drain_all()
        kept = self._kept = await kept_picture(self._live, self._choice, self._run.snapshot())
        if not self._handles:
            display(kept, raw=True)
        for handle in self._handles:
            handle.update(kept, raw=True)
        if self._panel is not None:
            self._panel.close()


def _warm_up() -> None:
    """Load what draws the picture while the measurement goes on, so that its end need not wait for it."""
    frozen_picture(LiveView(), Choice(Kind.NONE), Snapshot("", "", State.DONE, 0, 0, 0.0))


def session_output(run: Run) -> Output | None:
    """Return the view of a session's run, if this is a notebook."""
    shell = get_ipython()
    return Output(run) if shell is not None and hasattr(shell, "kernel") else None
