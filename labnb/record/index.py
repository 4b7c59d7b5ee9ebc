"""Finds runs among ten thousand: an sqlite file that is only a cache of what stands in the runs' folders.

A day's folder tells by its time that something in it has changed (`RunFile` touches it), so that a look at the days is
enough. What is being written is looked at anew every time. Deleting the cache loses nothing.
"""

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from labnb.core import RecordError
from labnb.record.root import cache_folder
from labnb.record.summary import Seen, look

_VERSION = 1
_WAIT_S = 10.0
_FRESH_NS = 2_000_000_000  # clocks of file systems tick this coarsely at worst: what is younger may still change unseen
_TABLES = """
CREATE TABLE days (day TEXT PRIMARY KEY, mtime INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE runs (
    folder TEXT PRIMARY KEY, day TEXT NOT NULL, sign TEXT NOT NULL, live INTEGER NOT NULL, created REAL NOT NULL,
    name TEXT NOT NULL, state TEXT NOT NULL, tags TEXT NOT NULL, summary TEXT NOT NULL);
CREATE INDEX runs_by_day ON runs (day);
CREATE INDEX runs_by_time ON runs (created DESC, folder DESC);
CREATE TABLE words (folder TEXT PRIMARY KEY, words TEXT NOT NULL);
CREATE TABLE troubles (folder TEXT PRIMARY KEY, day TEXT NOT NULL, sign TEXT NOT NULL, why TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Query:
    """Which runs are wanted; times are seconds since 1970, words must all be contained."""

    name: str | None = None
    states: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    tags: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The summaries found, as `Summary.dump` writes them, newest first; and the folders that cannot be read."""

    summaries: list[str]
    troubles: tuple[str, ...]


def search(root: Path, query: Query, *, rescan: bool = False) -> Answer:
    """Return the runs below `root`. With `rescan` every folder is looked at, whatever the cache says.

    Without a usable cache everything is read from the folders. Raises RecordError if `root` cannot be read.
    """
    path = cache_folder() / f"runs-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]}.sqlite"
    if rescan:
        _forget(path)
    for _ in range(2):  # a damaged cache is made anew, once
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return _ask(str(path), root, query)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT):
                break  # locked for long, read-only, disk full: not to be deleted
            _forget(path)
        except sqlite3.DatabaseError:
            _forget(path)
        except RecordError:
            raise
        except OSError:
            break
    return _ask(":memory:", root, query)


def _ask(path: str, root: Path, query: Query) -> Answer:
    with contextlib.closing(sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)) as connection:
        _prepare(connection)
        _refresh(connection, root)
        sql, values = _select(query)
        summaries = [row[0] for row in connection.execute(sql, values)]
        troubles = tuple(row[0] for row in connection.execute("SELECT why FROM troubles ORDER BY folder DESC"))
        return Answer(summaries, troubles)


def _forget(path: Path) -> None:
    for suffix in ("-journal", ""):
        with contextlib.suppress(OSError):
            path.with_name(path.name + suffix).unlink()


def _prepare(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
        return
    with _change(connection):
        if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:  # another process was faster
            return
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            connection.execute(f'DROP TABLE "{table}"')
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


@contextlib.contextmanager
def _change(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


# ---- what has changed


@dataclass(slots=True)
class _Changes:
    """What is to be written into the cache."""

    gone: list[str]
    """Folders of runs that are there no more."""
    seen: list[tuple[str, str, Seen]]
    """Sign, day and content of runs that are new or have changed."""
    troubles: list[tuple[str, str, str, str]]
    days: dict[str, int]
    days_gone: list[str]

    def __bool__(self) -> bool:
        return bool(self.gone or self.seen or self.troubles or self.days or self.days_gone)


def _refresh(connection: sqlite3.Connection, root: Path) -> None:
    now = time.time_ns()
    days = _days(root)
    known = dict[str, int](connection.execute("SELECT day, mtime FROM days").fetchall())
    changes = _Changes([], [], [], {}, [day for day in known if day not in days])
    stale = [day for day, mtime in days.items() if known.get(day) != mtime]
    for day in stale:
        _compare(connection, root, day, changes)
        if now - days[day] > _FRESH_NS:
            changes.days[day] = days[day]
    looked = {seen.summary.folder for _, _, seen in changes.seen} | set(changes.gone)
    for folder, day, sign, before in connection.execute(
        "SELECT folder, day, sign, summary FROM runs WHERE live"
    ).fetchall():
        if folder not in looked and day in days:
            _look_again(root, (folder, day, sign, before), changes)
    if changes:
        _write(connection, changes)


def _days(root: Path) -> dict[str, int]:
    """Return every day's folder, relative to the root, with the time of its last change."""
    try:
        years = _numbered(root, 4)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RecordError(
            f"{root} cannot be read: {error.strerror}; expected the folder that holds the runs"
        ) from error
    found: dict[str, int] = {}
    for year in years:
        for month in _inside(year.path):
            for day in _inside(month.path):
                found[f"{year.name}/{month.name}/{day.name}"] = day.stat().st_mtime_ns
    return found


def _inside(path: str) -> list["os.DirEntry[str]"]:
    try:
        return _numbered(Path(path), 2)
    except OSError:  # taken away in this moment, or somebody else's
        return []


def _numbered(path: Path, digits: int) -> list["os.DirEntry[str]"]:
    with os.scandir(path) as entries:
        return [e for e in entries if len(e.name) == digits and e.name.isdigit() and e.is_dir()]


def _compare(connection: sqlite3.Connection, root: Path, day: str, changes: _Changes) -> None:
    known = dict[str, str](connection.execute("SELECT folder, sign FROM runs WHERE day = ?", (day,)).fetchall())
    known |= connection.execute("SELECT folder, sign FROM troubles WHERE day = ?", (day,)).fetchall()
    present = dict(_signs(root, day))
    changes.gone += [folder for folder in known if folder not in present]
    for folder, sign in present.items():
        if known.get(folder) != sign:
            _look(root, folder, day, sign, changes)


def _signs(root: Path, day: str) -> Iterator[tuple[str, str]]:
    """Yield the folder of every run of a day, and what changes with its document."""
    try:
        with os.scandir(root / day) as entries:
            names = [entry.name for entry in entries]
    except OSError:  # taken away in this moment
        return
    for name in names:
        with contextlib.suppress(OSError):  # not a run, or not yet
            status = os.stat(f"{root}/{day}/{name}/run.json")  # noqa: PTH116  ten thousand times
            yield f"{day}/{name}", f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"


def _look(root: Path, folder: str, day: str, sign: str, changes: _Changes) -> None:
    try:
        changes.seen.append((sign, day, look(root, folder)))
    except RecordError as error:
        changes.troubles.append((folder, day, sign, str(error)))


def _look_again(root: Path, row: tuple[str, str, str, str], changes: _Changes) -> None:
    folder, day, sign, before = row
    try:
        seen = look(root, folder)
    except RecordError:  # its day's folder tells next time what has happened to it
        return
    if not seen.live or seen.summary.dump() != before:
        changes.seen.append((sign, day, seen))


def _write(connection: sqlite3.Connection, changes: _Changes) -> None:
    with _change(connection):
        for table in ("runs", "words", "troubles"):
            gone = [*changes.gone, *(seen.summary.folder for _, _, seen in changes.seen)]
            gone += [folder for folder, *_ in changes.troubles]
            connection.executemany(f"DELETE FROM {table} WHERE folder = ?", ((folder,) for folder in gone))  # noqa: S608
        connection.executemany("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?)", map(_row, changes.seen))
        connection.executemany(
            "INSERT INTO words VALUES (?,?)", ((seen.summary.folder, seen.words) for _, _, seen in changes.seen)
        )
        connection.executemany("INSERT INTO troubles VALUES (?,?,?,?)", changes.troubles)
        connection.executemany("INSERT OR REPLACE INTO days VALUES (?,?)", changes.days.items())
        _drop_days(connection, changes.days_gone)


def _drop_days(connection: sqlite3.Connection, days: Iterable[str]) -> None:
    for day in days:
        connection.execute("DELETE FROM words WHERE folder IN (SELECT folder FROM runs WHERE day = ?)", (day,))
        for table in ("runs", "troubles", "days"):
            connection.execute(f"DELETE FROM {table} WHERE day = ?", (day,))  # noqa: S608  our own three names


def _row(found: tuple[str, str, Seen]) -> tuple[object, ...]:
    sign, day, seen = found
    s = seen.summary
    tags = "".join(f"\n{tag}\n" for tag in s.tags)
    return (s.folder, day, sign, seen.live, s.began.timestamp(), s.name, s.state, tags, s.dump())


# ---- what is wanted


def _select(query: Query) -> tuple[str, list[object]]:
    terms, values = _terms(query)
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    joined = " JOIN words USING (folder)" if query.words else ""
    sql = f"SELECT summary FROM runs{joined}{where} ORDER BY created DESC, folder DESC LIMIT ?"  # noqa: S608  our own terms
    return sql, [*values, -1 if query.limit is None else query.limit]


def _terms(query: Query) -> tuple[list[str], list[object]]:
    terms: list[str] = []
    values: list[object] = []
    for term, given in (
        ("name GLOB ?", [query.name]),
        ("created >= ?", [query.since]),
        ("created < ?", [query.until]),
        ("instr(tags, ?)", [f"\n{tag}\n" for tag in query.tags]),
        ("instr(words, ?)", [word.casefold() for word in query.words]),
    ):
        wanted = [value for value in given if value is not None]
        terms += [term] * len(wanted)
        values += wanted
    if query.states:
        terms.append(f"state IN ({','.join('?' * len(query.states))})")
        values += query.states
    return terms, values
