"""What has been measured: found by words, tags, state and date, looked at, opened, compared, marked and gone on with."""

import asyncio
import base64
import html
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from IPython.core.getipython import get_ipython

from labnb.core import PlanError, State, sweep
from labnb.notebook.panels import _look
from labnb.notebook.panels._card import Card
from labnb.notebook.panels._door import Panel
from labnb.notebook.panels._pictures import picture_of
from labnb.notebook.panels._watching import Watching
from labnb.notebook.prepare import prepare
from labnb.notebook.request import Request
from labnb.notebook.style import MARKS
from labnb.record import StoredRun, data_root, open_run, runs
from labnb.session import Run

_EVERY_S = 2.0
_MOST = 200
_STATES = ("any", State.RUNNING.value, *(state.value for state in State if state.ended))
_RESUMABLE = (State.STOPPED, State.FAILED, State.CANCELLED, State.INTERRUPTED)


class RunsPanel(Panel):
    """Search runs, look at them, open them, compare two or more, mark them, and go on with an unfinished one.

    `root` is the folder that holds them (default: where runs are recorded). Raises LifecycleError where no event loop
    runs.
    """

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        super().__init__("a panel of runs")
        self._root = data_root(None if root is None else os.fspath(root))
        self._shown, self._wanted = tuple[str, ...](), 0
        self._searching = asyncio.Lock()
        self._listed = dict[str, str]()  # folders by run id
        self._refused = False  # what stands in the fields of the search
        self._watching: Watching | None = None
        self._make_search()
        self._make_actions()
        self._build(*self._laid_out())
        self._post(self._search)
        self._begin(self._repeat(_EVERY_S, self._search))

    def _make_search(self) -> None:
        search = self._posting(self._search)
        self.text = _look.entry("Words", search, hint="name, note, instrument, source …", width="260px")
        self.tag = _look.entry("Tag", search, width="110px")
        self.state = _look.choice("State", _STATES, search, width="120px")
        self.since = _look.entry("Since", search, hint="2026-11-21", width="110px")
        self.list = _look.choice("Runs, newest first", (), self._posting(self._chosen), width="auto", several=8)
        self.list.add_class("labnb-mono")
        self._count = _look.text("labnb-soft")

    def _make_actions(self) -> None:
        self.open = _look.button(
            "Open", "Load the chosen run into a variable of the notebook", self._posting(self._open), "labnb-primary"
        )
        self.compare = _look.button("Compare", "Draw the chosen runs over each other", self._posting(self._draw))
        self.resume = _look.button("Resume", "Measure what the chosen run lacks", self._posting(self._resume))
        self.tags = _look.entry("Tags", lambda: None, hint="good, sample-7", width="190px")
        self.save_tags = _look.button(
            "Save tags", "Mark the chosen run with these tags", self._posting(self._save_tags)
        )
        self.note = _look.entry("Note", lambda: None, hint="what is to be remembered", width="260px")
        self.add_note = _look.button("Add note", "Write this about the chosen run", self._posting(self._add_note))
        self.code = _look.area("As code", 2, "labnb-mono")
        self.preview = _look.text("labnb-preview")
        self._about = _look.text("labnb-plan")
        self._place = widgets.VBox(layout={"overflow": "visible"})

    def _laid_out(self) -> Iterator[widgets.Widget]:
        yield _look.text("labnb-title", value=f"Runs<small>in {html.escape(_from_here(self._root))}</small>")
        yield _look.row([self.text, self.tag, self.state, self.since, self._count])
        yield self.list
        yield _look.row([self.open, self.compare, self.resume])
        yield _look.row([self.tags, self.save_tags, self.note, self.add_note])
        yield self._message
        yield self._about
        yield self.code
        yield self.preview
        yield self._place

    # ---- finding

    async def _search(self) -> None:
        """Show what is found, keeping what is chosen where it still is; one after the other, so that the newest stays."""
        async with self._searching:
            await self._search_now()

    async def _search_now(self) -> None:
        try:
            found = await asyncio.to_thread(self._found)
        except PlanError as error:
            self._refused = True
            self._failed(error)
            return
        if self._refused:
            self._refused = False
            self._say("")
        self._listed = {summary.run_id: str(found.root / summary.folder) for summary in found.summaries()}
        options = [(_line(summary), str(found.root / summary.folder)) for summary in found.summaries()]
        if self.closed or tuple(options) == tuple(self.list.options):
            self._allow()
            return
        chosen = [path for path in self.list.value if path in {path for _, path in options}]
        self.list.options = options
        self.list.value = chosen
        self._count.value = html.escape(f"{len(options)} found" if options else f"nothing found in {self._root}")
        self._allow()

    def _found(self) -> Any:  # Runs, which has no public type to import besides
        state, tag = self.state.value, self.tag.value.strip()
        return runs(
            self._root if self._root.is_dir() else None,
            text=self.text.value.strip() or None,
            tag=[word.strip() for word in tag.split(",") if word.strip()] or None,
            state=None if state == "any" else state,
            since=self.since.value.strip() or None,
            limit=_MOST,
        )

    # ---- looking

    @property
    def chosen(self) -> tuple[Path, ...]:
        """The folders of the chosen runs."""
        return tuple(map(Path, self.list.value))

    def _one(self) -> StoredRun:
        if len(self.chosen) != 1:
            raise PlanError(f"choose one run, got {len(self.chosen)}")
        return open_run(self.chosen[0])

    async def _chosen(self) -> None:
        self._allow()
        if self.list.value == self._shown:
            return  # the list was made anew, and what is chosen is the same
        self._shown = self.list.value
        if self.chosen:
            self._say("")
        self.preview.value, self._about.value, self.code.value = "", "", ""
        if len(self.chosen) == 1:
            run = await asyncio.to_thread(self._one)
            self.tags.value = ", ".join(run.tags)
            self.note.value = ""
            self._about.value = _about(run)
            self.code.value = _code([run], {})
            await self._draw()

    async def choose(self, *runs: str) -> "RunsPanel":
        """Choose runs by their ids, as a click does, and return the panel. Raises PlanError for what is not listed."""
        await self._search()
        listed = self._listed
        missing = [run for run in runs if run not in listed]
        if missing:
            raise PlanError(f"{', '.join(missing)} is not listed; there are {', '.join(listed) or 'no runs'}")
        self.list.value = [listed[run] for run in runs]
        await self._chosen()
        if len(runs) > 1:
            await self._draw()
        return self

    def _card(self) -> Card:
        chosen = set(self.list.value)
        lines = [f"{'▸' if path in chosen else ' '} {line}" for line, path in self.list.options]
        more = [self._message.value, self._about.value, self.code.value]
        below = [line for value in more if value for line in _look.words(value).split("\n")]
        figure = partial(_drawn, self.chosen) if chosen else None
        return Card(
            "Runs",
            f"in {_from_here(self._root)}",
            (*(lines or ["nothing found"]), *([""] if below else []), *below),
            figure,
        )

    async def _look_again(self) -> None:
        await self._search()

    def _allow(self) -> None:
        count = len(self.list.value)
        for control in (self.open, self.tags, self.save_tags, self.note, self.add_note):
            control.disabled = count != 1
        self.compare.disabled = count < 2
        self.resume.disabled = count != 1 or self._state_of_chosen() not in _RESUMABLE

    def _state_of_chosen(self) -> State | None:
        label = self.list.label[0] if len(self.list.value) == 1 else ""
        return next((state for state in State if f" {state.value} " in label), None)

    async def _draw(self) -> None:
        """Draw what is chosen; of several pictures that are asked for, the last one stays."""
        self._wanted += 1
        wanted, paths = self._wanted, self.chosen
        if len(paths) > 1:
            self.code.value = _code(await asyncio.to_thread(_opened, paths), {})
        picture = await asyncio.to_thread(_drawn, paths)
        if wanted == self._wanted and not self.closed:
            names = " and ".join(path.name for path in paths)
            data = base64.b64encode(picture).decode("ascii")
            self.preview.value = (
                f'<img alt="Figure of {html.escape(names)}" src="data:image/png;base64,{data}" width="820">'
            )

    # ---- doing

    async def _open(self) -> None:
        """Load the run into a variable that is free, and show the code that does it."""
        run = await asyncio.to_thread(self._one)
        data = await asyncio.to_thread(lambda: run.data)
        shell = get_ipython()
        name = _variable(run.name, {} if shell is None else shell.user_ns)
        self.code.value = f"{name} = labnb.load({_from_here(run.path)!r})"
        if shell is not None:
            shell.user_ns[name] = data
            self._say(_look.plain(f"{run.run_id} is in the variable {name}: {dict(data.sizes)}"))

    async def _save_tags(self) -> None:
        run = await asyncio.to_thread(self._one)
        wanted = {word.strip() for word in self.tags.value.split(",") if word.strip()}
        await asyncio.to_thread(_mark, run, wanted)
        self._about.value = _about(run)
        self._say(_look.plain(f"{run.run_id}: {', '.join(sorted(wanted)) or 'no tags'}"))
        await self._search()

    async def _add_note(self) -> None:
        run = await asyncio.to_thread(self._one)
        await asyncio.to_thread(run.note, self.note.value)
        self.note.value = ""
        self._about.value = _about(run)
        self._say(_look.plain(f"{run.run_id}: noted"))
        await self._search()

    async def _resume(self) -> None:
        """Measure what the run lacks, by the cell that began it, with the names that the notebook has now."""
        stored = await asyncio.to_thread(self._one)
        made = list[Watching]()
        run = _again(stored, made).start()
        before, self._watching = self._watching, made[0]
        self._place.children = (self._watching.panel.widget,)
        if before is not None:
            before.close()
        self._say(_look.plain(f"{run.run_id} goes on; it is in the variable {run.name}"))
        await self._search()
        await run
        self._say(_look.plain(f"{run.run_id} {run.state}: {run.points} points"))
        await self._search()
        if self.chosen:
            await self._draw()

    def close(self) -> None:
        """End what it has begun and free its widgets. A run that was resumed here is stopped; its points are kept."""
        if self._watching is not None:
            self._watching.stop()
            self._watching.close()
        super().close()


def _opened(paths: Sequence[Path]) -> list[StoredRun]:
    return [open_run(path) for path in paths]


def _drawn(paths: Sequence[Path]) -> bytes:
    return picture_of(_opened(paths))


def _code(found: Sequence[StoredRun], taken: Mapping[str, object]) -> str:
    """Return what loads these runs into variables that are free."""
    lines, names = list[str](), dict(taken)
    for run in found:
        name = _variable(run.name, names)
        names[name] = run
        lines.append(f"{name} = labnb.load({_from_here(run.path)!r})")
    return "\n".join(lines)


def _from_here(path: Path) -> str:
    """Return a path as a notebook beside the data would write it, so that both can move."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _mark(run: StoredRun, wanted: set[str]) -> None:
    has = set(run.tags)
    if wanted - has:
        run.tag(*sorted(wanted - has))
    if has - wanted:
        run.untag(*sorted(has - wanted))


def _again(stored: StoredRun, made: list[Watching]) -> Run:
    """Return a run that goes on with `stored`. Raises PlanError if no cell began it, or its name is taken by a run."""
    source = stored.metadata.get("source")
    if not isinstance(source, str):
        raise PlanError(
            f"run {stored.run_id} was begun by a session: await labnb.resume({str(stored.path)!r}, session)"
        )
    if stored.metadata.get("with"):
        raise PlanError(f"run {stored.run_id} has background tasks: await labnb.resume({str(stored.path)!r}) in a cell")
    shell = get_ipython()
    names: dict[str, Any] = {} if shell is None else shell.user_ns  # the notebook's names may hold anything
    held = names.get(stored.name)
    if isinstance(held, Run) and not held.state.ended:
        raise PlanError(f"{stored.name} still measures (run {held.run_id}): wait for it or stop it first")
    prepared = prepare(Request(stored.name), source, f"<run {stored.run_id}>", {**names, "sweep": sweep})
    run = Run(prepared.job, data_root(None), lambda run: made.append(Watching(run)) or made[0], again=stored.path)
    names[stored.name] = run
    return run


def _variable(name: str, taken: Mapping[str, object]) -> str:
    """Return a name for a variable that is free: `iv`, or `iv_2`."""
    word = "".join(char if char.isalnum() else "_" for char in name)
    word = word if word.isidentifier() else f"run_{word}"
    place, free = 2, word
    while free in taken:
        free, place = f"{word}_{place}", place + 1
    return free


def _line(summary: Any) -> str:  # the catalogue's Summary
    mark = MARKS[State(summary.state)]
    tags = f"  [{', '.join(summary.tags)}]" if summary.tags else ""
    note = f"  {' '.join(summary.note.split())[:50]}" if summary.note else ""
    return (
        f"{summary.began:%Y-%m-%d %H:%M:%S}  {summary.run_id:<14.14} {mark[0]} {summary.state:<11} "
        f"{summary.points:>6}  {', '.join(summary.variables)[:22]:<22}{tags}{note}"
    ).rstrip()


def _about(run: StoredRun) -> str:
    notes = [f"{when.astimezone():%Y-%m-%d %H:%M}: {text}" for when, text in run.notes]
    head = f"{run.run_id} {run.state}, {run.points} points"
    return html.escape("\n".join([f"{head}, {', '.join(run.tags)}" if run.tags else head, *notes]))
