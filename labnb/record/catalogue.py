"""Lists what has been measured: `runs(name="iv", tag="good", since="2026-11-01")`, newest first."""

import html
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, overload

from labnb.core import Json, PlanError, RecordError, State
from labnb.core.tables import html_table, text_table
from labnb.record.index import Query, search
from labnb.record.root import data_root
from labnb.record.runfile import RunFile
from labnb.record.stored import StoredRun
from labnb.record.summary import Summary, look

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from labnb.record.publishing import Publication

_SHOWN = 30
_HEADS = ("", "started", "name", "run", "state", "points", "measured", "over", "tags", "note")

Moment = str | date | datetime | timedelta


class Runs(Sequence[StoredRun]):
    """Runs that were found, newest first: a list to index, to slice, to loop over and to look at.

    `runs[0]` opens that run's document and nothing else; a run whose process died is completed when its data are used.
    """

    def __init__(self, root: Path, found: Sequence[str], troubles: Sequence[str] = ()) -> None:
        """`found` are dumped summaries; `troubles` say which folders could not be read, and why."""
        self.root = root
        self.troubles = tuple(troubles)
        self._found = found

    def __len__(self) -> int:
        return len(self._found)

    @overload
    def __getitem__(self, index: int) -> StoredRun: ...
    @overload
    def __getitem__(self, index: slice) -> "Runs": ...
    def __getitem__(self, index: int | slice) -> "StoredRun | Runs":
        if isinstance(index, slice):
            return Runs(self.root, self._found[index], self.troubles)
        return _open(self.root, Summary.parse(self._found[index]).folder)

    def summaries(self) -> Iterator[Summary]:
        """Yield what the catalogue knows of each, without opening any."""
        return map(Summary.parse, self._found)

    def to_dataframe(self) -> "pd.DataFrame":
        """Return a pandas table with a row for each run."""
        import pandas as pd

        columns = ("run_id", "name", "state", "points", "created", "ended", "tags", "note", "axes", "variables")
        rows = [[*(getattr(s, column) for column in columns), str(self.root / s.folder)] for s in self.summaries()]
        table = pd.DataFrame(rows, columns=[*columns, "path"])
        for column in ("created", "ended"):
            table[column] = pd.to_datetime(table[column], utc=True, format="ISO8601")
        return table

    def to_json(self) -> list[Json]:
        """Return them as plain JSON values."""
        return [_plain(self.root, s) for s in self.summaries()]

    def tree(self, *, chunks: object = None) -> "xr.DataTree":
        """Return all their data as one tree, see `labnb.load`."""
        from labnb.record.several import load_tree  # it is needed only here, and takes xarray

        return load_tree([self.root / s.folder for s in self.summaries()], chunks=chunks)

    def publish(
        self, url: str, *, progress: "Callable[[int, int], None] | None" = None, **options: object
    ) -> "list[Publication]":
        """Send them below `url` one after the other, see `labnb.record.publish`; again, only what is missing."""
        from labnb.record.publishing import publish  # it is needed only here

        return [publish(self.root / s.folder, url, progress=progress, **options) for s in self.summaries()]

    def __repr__(self) -> str:
        return self.to_text(_SHOWN)

    def to_text(self, most: int) -> str:
        """Return a table of the newest `most` of them, for a terminal."""
        if not self._found:
            return "\n".join([f"no runs in {self.root}", *_remarks(self, most)[1:]])
        return "\n".join([*text_table([_HEADS, *_rows(self, most)]), *_remarks(self, most)])

    def _repr_html_(self) -> str:
        if not self._found:
            return f"<p>{html.escape(repr(self))}</p>"
        remarks = "".join(f"<br>{html.escape(text)}" for text in _remarks(self, _SHOWN))
        return f"{html_table(_HEADS, _rows(self, _SHOWN))}<small>{remarks[4:]}</small>"


def _rows(found: Runs, most: int) -> list[tuple[str, ...]]:
    shown = found[:most].summaries()
    return [
        (
            str(k),
            f"{s.began:%Y-%m-%d %H:%M:%S}",
            s.name,
            s.run_id,
            s.state,
            str(s.points),
            _short(", ".join(s.variables)),
            _short(", ".join(s.axes)),
            _short(", ".join(s.tags)),
            _short(s.note),
        )
        for k, s in enumerate(shown)
    ]


def _remarks(found: Runs, most: int) -> list[str]:
    more = len(found) - most
    remarks = [f"… and {more} older ones"] if more > 0 else []
    return [*remarks, f"in {found.root}", *(f"not readable: {why}" for why in found.troubles)]


def _short(text: str, length: int = 40) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def _plain(root: Path, summary: Summary) -> Json:
    fields = ("run_id", "name", "state", "points", "created", "ended", "note")
    lists: dict[str, Json] = {key: [*getattr(summary, key)] for key in ("tags", "axes", "variables")}
    return {key: getattr(summary, key) for key in fields} | lists | {"path": str(root / summary.folder)}


def _open(root: Path, folder: str) -> StoredRun:
    """Return a run as it stands now, without completing it. Raises RecordError if it is there no more."""
    path = root / folder
    seen = look(root, folder).summary
    return StoredRun(
        path, seen.run_id, seen.name, State(seen.state), RunFile.read(path / "run.json").metadata, seen.points
    )


def runs(
    root: str | os.PathLike[str] | None = None,
    *,
    name: str | None = None,
    state: str | Iterable[str] | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
    tag: str | Iterable[str] | None = None,
    text: str | None = None,
    limit: int | None = None,
    rescan: bool = False,
) -> Runs:
    """Return the runs below `root` (default: where runs are recorded), newest first.

    `name` may have `*` and `?`. `state`: one or some of running, done, stopped, failed, cancelled, interrupted. `since`
    and `until` (both included): a datetime, a date, their ISO text, or a timedelta before now; local time if no zone is
    given. `tag`: all of these. `text`: words that all occur in names, tags, notes, variables, axes or metadata (the
    cell's source, instruments). An index in the user's cache folder makes it quick; `rescan` makes it anew.
    Raises PlanError for what cannot be understood, RecordError if `root` cannot be read.
    """
    folder = data_root(None if root is None else os.fspath(root))
    if root is not None and not folder.is_dir():
        raise RecordError(f"{folder} is not a folder; expected the one that holds the runs, e.g. labnb-data")
    if limit is not None and limit < 0:
        raise PlanError(f"limit={limit}: expected a number of runs, or None for all")
    query = Query(
        name,
        _states(state),
        None if since is None else _moment(since, "since", end=False),
        None if until is None else _moment(until, "until", end=True),
        _several(tag),
        tuple(text.split()) if text else (),
        limit,
    )
    answer = search(folder, query, rescan=rescan)
    return Runs(folder, answer.summaries, answer.troubles)


def _several(given: str | Iterable[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return (given,) if isinstance(given, str) else tuple(given)


def _states(given: str | Iterable[str] | None) -> tuple[str, ...]:
    try:
        return tuple(State(state).value for state in _several(given))
    except ValueError as error:
        names = ", ".join(state.value for state in State if state is State.RUNNING or state.ended)
        raise PlanError(f"state={given!r}: expected one or some of {names}") from error


def _moment(given: Moment, what: str, *, end: bool) -> float:
    """Return seconds since 1970; `end` asks for the moment after it."""
    wrong = PlanError(f"{what}={given!r}: expected a date or time such as '2026-11-21' or '2026-11-21 14:30'")
    if isinstance(given, timedelta):
        return (datetime.now(UTC) - given).timestamp()
    if isinstance(given, str):
        try:
            given = date.fromisoformat(given) if len(given) == 10 else datetime.fromisoformat(given)
        except ValueError as error:
            raise wrong from error
    if isinstance(given, datetime):
        return given.astimezone().timestamp() + (1e-6 if end else 0)
    if not isinstance(given, date):  # pyright: ignore[reportUnnecessaryIsInstance]  what people pass
        raise wrong
    day = given + timedelta(days=1) if end else given
    return datetime.combine(day, time()).astimezone().timestamp()
