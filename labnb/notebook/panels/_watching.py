"""The view of a run inside of a panel: state, values, figure and buttons, until the next run takes their place."""

from collections.abc import Callable
from functools import partial

from IPython.display import display

from labnb.live import Choice, Kind, LiveView, choose
from labnb.notebook.figures import make_figure
from labnb.notebook.panel import RunPanel
from labnb.notebook.picture import frozen_picture, kept_picture
from labnb.session import Run


class Watching:
    """Shows one run in the panel that started it. Implements `labnb.session.View`."""

    def __init__(self, run: Run) -> None:
        self._run, self._live = run, LiveView()
        self._choice = Choice(Kind.NONE)
        self._closed = False
        self._panel: RunPanel | None = None

    @property
    def sink(self) -> LiveView:
        """Where the points go."""
        return self._live

    @property
    def panel(self) -> RunPanel:
        """What shows it; made when it is asked for, once there is something to show."""
        run = self._run
        if self._panel is None:
            self._panel = RunPanel(run.snapshot, None, on_pause=run.pause, on_resume=run.resume, on_stop=run.stop)
        return self._panel

    @property
    def figure(self) -> Callable[[], bytes] | None:
        """What draws the run as a PNG, in a thread if need be; None as long as it measures."""
        if not self._run.state.ended:
            return None
        return partial(frozen_picture, self._live, self._choice, self._run.snapshot())

    def update(self) -> None:
        """Show the run as it is now."""
        self._live.drain()
        self._show()

    def show(self) -> None:
        """Show the run's own panel once more, where this is called; not after the panel that started it was closed."""
        if not self._closed:
            display(self.panel.widget)

    async def end(self) -> None:
        """Show the final state and all points; the figure stays until it is frozen, or the panel closed."""
        self._live.drain_all()
        self._show()

    def _show(self) -> None:
        if self._closed:
            return
        if self._choice.kind is Kind.NONE and self._declared():
            self._choice = choose(self._live.groups, None)
            if self._choice.kind is not Kind.NONE:
                self.panel.figure = make_figure(self._live, self._choice)
        self.panel.update()

    def _declared(self) -> bool:
        main = self._run.outline.main
        return main is not None and any(group.key == main.key for group in self._live.groups)

    async def freeze(self) -> dict[str, str]:
        """Replace the figure of a run that ended by nothing; return the picture of it that a notebook keeps."""
        self._live.drain_all()
        figure = self.panel.figure
        choice = self._choice if figure is None else figure.choice
        kept = await kept_picture(self._live, choice, self._run.snapshot())
        if not self._closed:
            self.panel.figure = None
        return kept

    def stop(self) -> None:
        """End the run, if it still measures; its points are kept."""
        if not self._run.state.ended:
            self._run.stop()

    def close(self) -> None:
        """Free its widgets. The run goes on."""
        if not self._closed:
            self._closed = True
            if self._panel is not None:
                self._panel.close()
