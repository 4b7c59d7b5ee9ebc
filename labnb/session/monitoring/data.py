"""What a monitoring session writes, and its life between opening and closing."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from labnb.core import LifecycleError, PlanError, State, check_name, check_unit, present_clock
from labnb.record import data_root
from labnb.session.monitoring._parts import LivePart, Part, StoredPart, check_not_written, find_parts
from labnb.session.monitoring._sqlite import find_sqlite, import_sqlite
from labnb.session.monitoring._succession import Succession
from labnb.session.monitoring._values import array_of, from_json, merged, number_of, text_of, units_of
from labnb.session.monitoring.reading import Readings

_UNNAMED = "session"


class SessionData(Readings):
    """A session's store: what was logged before, and what is logged now. See `AsyncSession`."""

    def __init__(
        self,
        session_name: str | Path | None = None,
        verbose: bool = True,
        delay_save: bool = False,
        exist_ok: bool = True,
        readonly: bool = False,
        *,
        store: str | Path | None = None,
        trust_pickle: bool = False,
    ) -> None:
        """Open the session called `session_name` if it exists, else begin one.

        `session_name` may have a folder before it, in which its runs are kept then (`store` says the same); without
        one they are kept where all runs are. None: a session of its own that is kept too, and says where. A reference
        SQLite session (`.db`) is imported once; its pickled datasets are refused unless `trust_pickle`.
        With `exist_ok=False` a session that exists is an error, with `readonly` one that does not.
        `delay_save` is taken for the sake of older scripts: every entry is kept at once, since that costs nothing.

        Raises PlanError for a name that cannot be used and RecordError for a session that cannot be opened.
        """
        path = None if session_name is None else Path(session_name)
        name = _UNNAMED if path is None else path.stem if path.suffix == ".db" else path.name
        super().__init__(check_name(name, "session"))
        self.verbose, self.readonly, self._named, self._closed = verbose, readonly, path is not None, False
        self.delay_save = delay_save
        folder = None if path is None or path.parent == Path() else path.parent
        self._root = data_root(store if store is not None else folder)
        self._parts = Succession(
            self._described, lambda described: LivePart(self._root, self.name, described), self._warn
        )
        if path is not None:
            self._past = list(find_parts(self._root, self.name))
            self._import(find_sqlite(path, explicit=path.suffix == ".db"), trust_pickle)
        self._check_exists(exist_ok)
        self._take_over()

    def _import(self, source: Path | None, trust_pickle: bool) -> None:
        if source is None or (self.readonly and self._past):
            return
        had = {str(part.metadata.get("imported")) for part in self._past}
        new = import_sqlite(source, self._root, self.name, had, trust_pickle=trust_pickle)
        self._past[:0] = new
        for part in new:
            self._say(f"imported {source} into {part.path}")

    def _check_exists(self, exist_ok: bool) -> None:
        if self._past and not exist_ok:
            raise PlanError(
                f"session {self.name!r} exists already ({self._past[0].path}); use another name, or exist_ok=True to append"
            )
        if self.readonly and not self._past:
            raise PlanError(f"there is no session {self.name!r} to read below {self._root}")

    def _take_over(self) -> None:
        """Go on with what the parts before have saved; the latest has the last word."""
        for part in self._past:
            self._units |= part.units()
            self._parameters |= {name: from_json(value) for name, value in _saved(part, "parameters").items()}
            self._texts |= _saved(part, "texts")
            self._units |= _saved(part, "units")

    # ---- its life

    def __enter__(self) -> Self:
        self._closed = False
        entries = sum(len(part.numbers) for part in self._past)
        if entries:
            self._say(f"session {self.name}: goes on with {entries} variables of {len(self._past)} earlier parts")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(State.DONE if error is None else State.FAILED)

    def close(self) -> None:
        """Force everything to the disk and let go of it; entering the session again opens it again. Raises RecordError."""
        self._close(State.DONE)

    def _close(self, state: State) -> None:
        self._closed = True
        ended = self._parts.end(state)
        if ended is not None:
            self._say(f"session {self.name}: kept in {ended.path}")

    @property
    def _past(self) -> list[StoredPart]:
        return self._parts.past

    @_past.setter
    def _past(self, parts: list[StoredPart]) -> None:
        self._parts.past = parts

    @property
    def _live(self) -> LivePart | None:
        return self._parts.live

    def _all_parts(self) -> Sequence[Part]:
        if self._live is None and any(part.was_followed for part in self._past):
            self._past = list(find_parts(self._root, self.name))
            self._take_over()
        return self._parts.parts()

    def _warn(self, text: str) -> None:
        """Keep a warning with the data, and show it."""
        if self._live is not None:
            self._live.note("warning", text)
        self._say(text)

    def _show(self) -> None:
        with self._parts.lock:
            if self._live is not None:
                self._live.flush()

    def _part(self) -> LivePart:
        """Return the part to write to; the first write begins it. Raises LifecycleError, RecordError."""
        with self._parts.lock:
            return self._live or self._begin()

    def _begin(self) -> LivePart:
        if self.readonly:
            raise LifecycleError(f"session {self.name!r} was opened readonly; nothing can be added")
        if self._closed:
            raise LifecycleError(f"session {self.name!r} is closed; open it again to add to it")
        if self._named:
            self._past = list(find_parts(self._root, self.name)) if any(p.alive for p in self._past) else self._past
            check_not_written(self._past, self.name)
        live = self._parts.begin()
        if not self._named:
            self._say(f"session without a name: kept in {live.path}")
        return live

    def _described(self) -> dict[str, object]:
        session = {"session": self.name} if self._named else {}
        return {
            **session,
            "kind": "monitoring",
            "parameters": dict(self._parameters),
            "texts": dict(self._texts),
            "units": dict(self._units),
        }

    def _say(self, text: str) -> None:
        if self.verbose:
            sys.stdout.write(text + "\n")

    @property
    def path(self) -> Path:
        """Folder of the part that is written, or of the latest one; the first use of a new session makes it."""
        return self._past[-1].path if self._live is None and self._past and self.readonly else self._part().path

    # ---- what is logged and saved

    def add_entry(self, *args: Mapping[str, object], **kwargs: object) -> None:
        """Log numbers, all with the present time: `sesn.add_entry(pressure=1e-3)` or `sesn.add_entry({"pressure": 1e-3})`.

        What returned survives the death of this process. Raises SchemaError for what is no number (nothing is logged
        then) and RecordError if it cannot be written.
        """
        given = merged(args, kwargs, "add_entry")
        numbers = {name: number_of(name, value, "add_entry") for name, value in given.items()}
        units = units_of(given, self._units)
        with self._parts.lock:
            self._units |= units
            self._part().put(numbers, present_clock().time_ns(), self._units)
            self._parts.look()

    def add_dataset(self, *args: Mapping[str, object], **kwargs: object) -> None:
        """Keep arrays (traces, frames), all with the present time. Their shape may change; objects are never pickled.

        Raises SchemaError for what is no array of numbers (nothing is kept then) and RecordError.
        """
        arrays = {name: array_of(name, value) for name, value in merged(args, kwargs, "add_dataset").items()}
        with self._parts.lock:
            part, now = self._part(), present_clock().time_ns()
            for name, value in arrays.items():
                part.put_array(name, value, now, self._units.get(name, ""))
            self._parts.look()

    def save_parameter(self, *args: Mapping[str, object], **kwargs: object) -> None:
        """Save numbers that hold for the whole session; one of the same name is replaced. Raises SchemaError, RecordError."""
        given = merged(args, kwargs, "save_parameter")
        self._save("parameters", self._parameters, {n: number_of(n, v, "save_parameter") for n, v in given.items()})

    add_parameter = save_parameter

    def save_metadata(self, *args: Mapping[str, object], **kwargs: object) -> None:
        """Save texts that describe the session; one of the same name is replaced. Raises SchemaError, RecordError."""
        self._save("texts", self._texts, {n: text_of(n, v) for n, v in merged(args, kwargs, "save_metadata").items()})

    def save_units(self, *args: Mapping[str, object], **kwargs: object) -> None:
        """Say in which units variables are logged, best before their first entry: `sesn.save_units(pressure="mbar")`.

        Raises PlanError for a unit that is no text, or another than entries are logged in already, RecordError.
        """
        given = merged(args, kwargs, "save_units")
        units = {name: check_unit(unit, f"variable {name!r}") for name, unit in given.items()}
        for name, unit in units.items():
            before = self._units.get(name)
            if before and unit != before and self.logged_count(name):
                raise PlanError(
                    f"save_units: {name!r} has {self.logged_count(name)} entries in {before} already, which would become "
                    f"{unit or 'numbers without a unit'}; log what comes in another unit by another name"
                )
        self._save("units", self._units, units)

    def _save(self, what: str, into: dict[str, Any], new: Mapping[str, object]) -> None:
        with self._parts.lock:
            self._part().describe({what: {**into, **new}})
            into.update(new)


def _saved(part: StoredPart, what: str) -> dict[str, Any]:  # JSON
    return cast("dict[str, Any]", part.metadata.get(what) or {})
