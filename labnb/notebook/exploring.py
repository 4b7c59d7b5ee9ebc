"""`run.explore()`: an interactive figure of a run on disk, with others over it."""

import base64
from collections.abc import Sequence
from typing import Any, Protocol, cast

import ipywidgets as widgets
from IPython.core.getipython import get_ipython
from IPython.display import display

from labnb.core import PlanError
from labnb.live import NOTHING, Choice, Snapshot, choose
from labnb.notebook.figures import LiveFigure, close_all, make_figure
from labnb.notebook.picture import frozen_picture, summary_line
from labnb.notebook.stored_view import stored_view
from labnb.notebook.style import STYLE
from labnb.record import StoredRun, runs

_LISTED = 20


class _Handle(Protocol):
    """IPython's DisplayHandle, as far as it is used."""

    def update(self, obj: object, **kwargs: object) -> None: ...


def explore(run: StoredRun, others: Sequence[StoredRun] = (), plot: Sequence[str] | None = None) -> "Exploration":
    """Show `run` in the output of this cell, with `others` over it; return what is shown.

    Raises PlanError if there is nothing to draw or `plot` names something that was not measured, RecordError if a run
    cannot be read.
    """
    exploration = Exploration(run, others, plot)
    exploration.show()
    return exploration


class Exploration:
    """A stored run on show. `freeze` leaves a picture, which a notebook keeps without a kernel."""

    def __init__(self, run: StoredRun, others: Sequence[StoredRun], plot: Sequence[str] | None) -> None:
        self._run = run
        self._view = stored_view(run)
        self._others = {other.run_id: stored_view(other) for other in others}
        choice = choose(self._view.groups, plot)
        if choice == NOTHING:
            raise PlanError(
                f"run {run.run_id} has values only, and {run.points} points: nothing to draw; see its .data"
            )
        self.figure = self._make_figure(choice)
        self._handles = list[_Handle]()
        self._cell = 0  # the one that it was shown in last, as IPython counts them
        self._closed = False
        self._title = widgets.HTML(f"<b>{run.run_id}</b>")
        self._title.add_class("labnb-points")
        self._overlay = self._make_overlay()
        self._keep = widgets.Button(
            description="Keep picture", tooltip="Leave this figure as a picture in the notebook"
        )
        self._keep.add_class("labnb-keep")
        self._keep.on_click(self._on_keep)
        self._bar = widgets.HBox([self._title, self._overlay, self._keep])
        self._bar.add_class("labnb-bar")
        self._style = widgets.HTML(STYLE, layout={"display": "none"})
        self.widget = widgets.VBox([self._style, self._bar, self.figure.widget])
        self.widget.add_class("labnb-panel")
        self.widget.add_class("labnb-explore")

    def _make_figure(self, choice: Choice) -> LiveFigure:
        return make_figure(self._view, choice, tuple(self._others.items()), is_still=True)

    def _make_overlay(self) -> widgets.Dropdown:
        """Return a chooser of runs with the same name that lie in the same place, newest first."""
        root = self._run.path.parents[3]
        found = [one for one in runs(root, name=self._run.name, limit=_LISTED) if one.run_id != self._run.run_id]
        options = [("no other run", ""), *((f"{one.run_id} ({one.created:%Y-%m-%d %H:%M})", one) for one in found)]
        chooser = widgets.Dropdown(options=options, value="", description="overlay")
        chooser.tooltip = "Another run over this one"
        chooser.add_class("labnb-overlay")
        chooser.observe(self._lay_over, "value")
        self._given = tuple(self._others)
        return chooser

    def _lay_over(self, change: dict[str, Any]) -> None:  # traitlets' change: values of any trait
        other: StoredRun | str = change["new"]
        self._others = {name: view for name, view in self._others.items() if name in self._given}
        if not isinstance(other, str):
            self._others[other.run_id] = stored_view(other)
        self._replace(self.figure.choice)

    def _replace(self, choice: Choice) -> None:
        before, self.figure = self.figure, self._make_figure(choice)
        self.widget.children = (*self.widget.children[:-1], self.figure.widget)
        before.close()

    def show(self) -> None:
        """Show it, where this is called."""
        self._cell = _cell_now()
        self._handles.append(cast("_Handle", display(self.widget, display_id=True)))

    def _ipython_display_(self) -> None:
        """Show it as the value of a cell, but not twice below the cell that made it."""
        if self._closed:
            display({"text/plain": f"exploration of {self._run.run_id}: closed"}, raw=True)
        elif self._cell != _cell_now():
            self.show()

    def _on_keep(self, _button: widgets.Button) -> None:
        self.freeze()

    def freeze(self) -> None:
        """Replace it by a picture of what it shows, and one line of text."""
        snapshot = _snapshot(self._run)
        picture = frozen_picture(self._view, self.figure.choice, snapshot)
        kept = {"text/plain": summary_line(snapshot), "image/png": base64.b64encode(picture).decode("ascii")}
        for handle in self._handles:
            handle.update(kept, raw=True)
        self.close()

    def close(self) -> None:
        """Free every widget."""
        self._closed = True
        self.figure.close()
        close_all([self._title, self._overlay, self._keep, self._bar, self._style, self.widget])


def _cell_now() -> int:
    shell = get_ipython()
    return 0 if shell is None else shell.execution_count


def _snapshot(run: StoredRun) -> Snapshot:
    ended = run.ended
    elapsed_s = 0.0 if ended is None else (ended - run.created).total_seconds()
    started_ns = int(run.created.timestamp() * 1e9)
    return Snapshot(
        run.name, run.run_id, run.state, run.points, None, elapsed_s, path=str(run.path), started_ns=started_ns
    )
