"""Imports a session of the reference package: an SQLite file, whose arrays are pickles.

A pickle runs whatever code it holds when it is loaded, so it is loaded only for a person who says that he trusts it.
"""

import contextlib
import math
import pickle
import sqlite3
import warnings
from collections.abc import Collection, Generator, Mapping
from pathlib import Path
from typing import Any

from labnb.core import RecordError, SchemaError, State
from labnb.record import open_run
from labnb.session.monitoring._parts import LivePart, StoredPart
from labnb.session.monitoring._values import array_of

_MAGIC = b"SQLite format 3\0"
_TABLES = {"log", "dataset", "parameters"}


def find_sqlite(path: Path, *, explicit: bool) -> Path | None:
    """Return the SQLite session that `path` means; None if there is none. Raises RecordError for a `.db` of another kind."""
    file = path if explicit else path.with_name(path.name + ".db")
    if not file.is_file():
        return None
    with file.open("rb") as opened:
        is_sqlite = opened.read(len(_MAGIC)) == _MAGIC
    if explicit and not is_sqlite:
        raise RecordError(
            f"{file} is no SQLite file; expected a session of the reference package, or a name without .db"
        )
    return file if is_sqlite else None


def import_sqlite(
    file: Path, root: Path, session: str, had: Collection[str], *, trust_pickle: bool
) -> list[StoredPart]:
    """Import what `had` does not name: numbers, parameters and texts as one part, trusted arrays as another.

    Raises RecordError if the file cannot be read; what was written of it until then belongs to no session.
    """
    parts = list[StoredPart]()
    with _reading(file) as database:
        if file.name not in had:
            parts.append(_import_numbers(database, file, root, session))
        arrays = database.execute("SELECT count(*) FROM dataset").fetchone()[0]
        label = f"{file.name} datasets"
        if arrays and trust_pickle and label not in had:
            parts.append(_import_arrays(database, root, session, label))
        elif arrays and label not in had:
            warnings.warn(
                f"{file}: its {arrays} datasets are pickles, which run code when they are loaded; they are left out. If you "
                "trust this file, open it once by AsyncSession(..., trust_pickle=True)",
                stacklevel=5,
            )
    return parts


@contextlib.contextmanager
def _reading(file: Path) -> Generator[sqlite3.Connection]:
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if missing := _TABLES - found:
                raise RecordError(f"{file} is no session: it has no table {', '.join(sorted(missing))}")
            yield database
    except sqlite3.Error as error:
        raise RecordError(f"{file} cannot be imported: {error}") from error


@contextlib.contextmanager
def _writing(root: Path, session: str, label: str) -> Generator[LivePart]:
    part = LivePart(root, session, {"kind": "monitoring"})
    try:
        yield part
        part.describe({"session": session, "imported": label})
    except BaseException:
        part.close(State.FAILED)
        raise
    part.close(State.DONE)


def _import_numbers(database: sqlite3.Connection, file: Path, root: Path, session: str) -> StoredPart:
    with _writing(root, session, file.name) as part:
        for time, name, value in database.execute("SELECT timestamp, name, value FROM log ORDER BY timestamp, rowid"):
            part.put({str(name): _number(value)}, round(time * 1e9), {})
        parameters = {str(n): _number(v) for n, v in database.execute("SELECT name, value FROM parameters")}
        part.describe({"parameters": parameters, "texts": _texts(database)})
    return StoredPart(open_run(part.path))


def _texts(database: sqlite3.Connection) -> Mapping[str, str]:
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if "metadata" not in tables:  # before version 4
        return {}
    return {str(name): str(value) for name, value in database.execute("SELECT name, value FROM metadata")}


def _import_arrays(database: sqlite3.Connection, root: Path, session: str, label: str) -> StoredPart:
    with _writing(root, session, label) as part:
        for time, name, data in database.execute("SELECT timestamp, name, data FROM dataset ORDER BY timestamp, rowid"):
            try:
                part.put_array(str(name), array_of(name, pickle.loads(data)), round(time * 1e9), "")  # noqa: S301  trusted by its owner
            except (SchemaError, pickle.UnpicklingError, EOFError, AttributeError, ImportError) as error:
                text = f"dataset {name!r} at {time} is left out: {error}"
                part.note("warning", text)
                warnings.warn(text, stacklevel=6)
    return StoredPart(open_run(part.path))


def _number(value: Any) -> float:  # whatever SQLite holds
    return math.nan if value is None else float(value)
