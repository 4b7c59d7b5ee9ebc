"""What is going on in this notebook: runs and background tasks, as a table; what `%tasks` shows and `%stop` ends."""

import html
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import final

from labnb.core import PlanError, State, nearest
from labnb.core.tables import html_table, text_table
from labnb.live import clock_text
from labnb.session import Run, StandingTask, under_way

_HEADS = ("name", "what", "state", "points", "elapsed", "")

Thing = Run | StandingTask


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what it is called, what it is, how it stands, how far, how long, and what there is to say about it."""

    name: str
    what: str
    state: str
    points: str = ""
    elapsed: str = ""
    remark: str = ""

    @property
    def texts(self) -> tuple[str, ...]:
        """The line, column by column."""
        return self.name, self.what, self.state, self.points, self.elapsed, self.remark


@final
class Going:
    """A table of what goes on, to be looked at."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(entries)

    def __repr__(self) -> str:
        if not self.entries:
            return _NOTHING
        return "\n".join(text_table([_HEADS, *(entry.texts for entry in self.entries)]))

    def _repr_html_(self) -> str:
        if not self.entries:
            return f"<p>{html.escape(_NOTHING)}</p>"
        return html_table(_HEADS, (entry.texts for entry in self.entries))


_NOTHING = "nothing is going on; a %%measure NAME -b cell begins a run, a %%task NAME cell makes a background task"


def things() -> dict[str, Thing]:
    """Return the runs and tasks that are under way, by their names; a name that two have, by their ids as well."""
    found = [thing for thing in under_way() if isinstance(thing, Run | StandingTask)]
    by_name = {thing.name: thing for thing in found}
    return by_name | {thing.run_id: thing for thing in found if by_name[thing.name] is not thing}


def to_stop(words: Collection[str]) -> list[Thing]:
    """Return what `%stop WORDS` means: names, ids, `all`, or nothing for all. Raises PlanError for an unknown one."""
    going = things()
    by_id = {thing.run_id: thing for thing in going.values()}
    if not words or "all" in words:
        return list(going.values())
    for word in words:
        if word not in going and word not in by_id:
            known = list(going)
            hint = f"{nearest(word, [*known, 'all'])}" if known else "nothing is going on"
            raise PlanError(f"%stop {word}: nothing called {word!r} is going on; {hint}")
    return list({id(thing): thing for thing in (going.get(word) or by_id[word] for word in words)}.values())


def table(tasks: Collection[str], standing: Mapping[str, StandingTask], names: Mapping[str, object]) -> Going:
    """Return what is going on, what has failed in the background, and which `tasks` are ready."""
    entries = [_entry(name, thing) for name, thing in things().items()]
    shown = {entry.name for entry in entries}
    failed = {run.run_id: run for run in tuple(names.values()) if isinstance(run, Run) and run.state is State.FAILED}
    entries += [_entry(name, run) for name, run in failed.items()]
    entries += [_entry(name, task) for name, task in standing.items() if name not in shown and task.error is not None]
    shown |= {entry.name for entry in entries}
    ready = [name for name in tasks if name not in shown]
    return Going([*entries, *(Entry(name, "task", "ready", remark=f"%%measure --with {name}") for name in ready)])


def _entry(name: str, thing: Thing) -> Entry:
    if isinstance(thing, StandingTask):
        return Entry(name, "task", "failed" if thing.error else "going", remark=_told(thing.error))
    shot = thing.snapshot()
    points = f"{shot.points}" if shot.total is None else f"{shot.points} of {shot.total}"
    remark = _told(thing.error) or (f"⚠ {shot.warnings[-1]}" if shot.warnings else shot.setpoint)
    return Entry(name, "run", str(shot.state), points, clock_text(shot.elapsed_s), remark)


def _told(error: BaseException | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {error}".splitlines()[0]
