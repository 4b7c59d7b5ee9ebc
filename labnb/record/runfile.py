"""`run.json`: what a run is and how it ended, in a file that people and the catalogue read."""

import contextlib
import json
import os
import platform
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from labnb.core import Group, Json, RecordError, State, to_jsonable
from labnb.record.files import write_json
from labnb.record.journal import group_document
from labnb.record.lock import hold_folder

FORMAT = 1
_PEOPLES = ("tags", "notes")  # what people change, also while the run is measured


class Packing(StrEnum):
    """Which chunk files a run that has ended consists of; see `labnb.record.sealing`."""

    OPEN = "open"
    BOTH = "both"
    DONE = "done"


@cache
def versions() -> dict[str, str]:
    """Return the versions of what writes the data."""
    found = {"python": platform.python_version()}
    for package in ("labnb", "numpy", "xarray", "zarr"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def stamp(time_ns: int) -> str:
    """Return nanoseconds since 1970 as ISO 8601 text in UTC, to the microsecond."""
    return datetime.fromtimestamp(time_ns // 1000 / 1e6, UTC).isoformat()


class RunFile:
    """The document of one run. Every change is on the disk when the call returns."""

    def __init__(self, path: Path, document: Mapping[str, Json]) -> None:
        self._path = path
        self._document = dict(document)
        self._lock = threading.Lock()

    @classmethod
    def new(cls, path: Path, run_id: str, name: str, time_ns: int, metadata: Mapping[str, object]) -> "RunFile":
        """Return the document of a run that begins; nothing is written yet."""
        return cls(
            path,
            {
                "format": FORMAT,
                "run": run_id,
                "name": name,
                "state": State.RUNNING.value,
                "points": 0,
                "created": stamp(time_ns),
                "ended": None,
                "versions": cast(Json, versions()),
                "metadata": to_jsonable(metadata),
                "groups": [],
            },
        )

    @classmethod
    def read(cls, path: Path) -> "RunFile":
        """Return the document at `path`; a damaged one is made up from what the store says of the run.

        Raises RecordError if there is none, or one of another kind.
        """
        try:
            document: object = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise RecordError(f"{path.parent} is not a labnb run: expected a {path.name} in it") from error
        except ValueError as error:
            document = _from_store(path.parent)
            if document is None:
                raise RecordError(f"{path} cannot be read: {error}") from error
        except OSError as error:
            raise RecordError(f"{path} cannot be read: {error}") from error
        found = cast(dict[str, Json], document) if isinstance(document, dict) else {}
        if found.get("format") != FORMAT:
            raise RecordError(f"{path} has format {found.get('format')!r}; this version of labnb reads format {FORMAT}")
        return cls(path, found)

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return str(self._document["run"])

    @property
    def name(self) -> str:
        """Name of the measurement."""
        return str(self._document["name"])

    @property
    def state(self) -> State:
        """How the run stands, as far as this file knows."""
        return State(str(self._document["state"]))

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._path.parent

    @property
    def points(self) -> int:
        """Number of points, known when the run has ended."""
        return int(cast(int, self._document["points"]))

    @property
    def rebuilt(self) -> bool:
        """Whether the file was damaged and is made up from the store: then a run that has ended lacks its groups."""
        return bool(self._document.get("rebuilt"))

    @property
    def packing(self) -> Packing:
        """Which chunk files there are."""
        return Packing(str(self._document.get("packing", Packing.OPEN.value)))

    @property
    def files(self) -> Mapping[str, int]:
        """How many chunk files every array of a packed run has."""
        return cast(Mapping[str, int], self._document.get("files") or {})

    @property
    def metadata(self) -> Mapping[str, Json]:
        """What was given to describe the run."""
        return cast(Mapping[str, Json], self._document["metadata"])

    @property
    def groups(self) -> list[Json]:
        """The groups that were declared, as JSON."""
        return cast(list[Json], self._document["groups"])

    @property
    def tags(self) -> tuple[str, ...]:
        """What people have marked the run with."""
        return tuple(map(str, cast("list[Json]", self._document.get("tags") or [])))

    @property
    def notes(self) -> tuple[tuple[datetime, str], ...]:
        """What people have written about the run, and when."""
        notes = cast("list[dict[str, str]]", self._document.get("notes") or [])
        return tuple((datetime.fromisoformat(note["time"]), note["text"]) for note in notes)

    @property
    def created(self) -> datetime:
        """When the run began, in UTC."""
        return datetime.fromisoformat(str(self._document["created"]))

    @property
    def ended(self) -> datetime | None:
        """When the run ended, in UTC; None if it goes on or its process died."""
        text = self._document.get("ended")
        return None if text is None else datetime.fromisoformat(str(text))

    def write(self, **changes: Json) -> None:
        """Change these entries and write the file. Raises OSError, and then nothing has changed.

        Tags and notes that somebody has added to the file in the meantime stay.
        """
        with self._lock, hold_folder(self._path.parent):
            document = self._document | self._peoples() | changes
            write_json(self._path, document)
            self._document = document
        _tell(self._path)

    def _peoples(self) -> dict[str, Json]:
        try:
            found = RunFile.read(self._path)._document  # noqa: SLF001  the same class
        except RecordError:  # the first time there is no file
            return {}
        return {key: found[key] for key in _PEOPLES if key in found}

    @classmethod
    def edit(cls, path: Path, change: "Callable[[RunFile], Mapping[str, Json]]") -> None:
        """Change what people may change in the file at `path`; `change` returns the new entries. Raises OSError."""
        with hold_folder(path.parent):
            run = cls.read(path)
            changes = change(run)
            if unknown := set(changes) - set(_PEOPLES):
                raise ValueError(f"{sorted(unknown)} cannot be changed; expected {_PEOPLES}")
            write_json(path, run._document | dict(changes))  # noqa: SLF001  the same class
        _tell(path)

    def add_metadata(self, extra: Mapping[str, object]) -> None:
        """Add to the metadata and write the file. Raises OSError, and then nothing has changed."""
        merged = {**self.metadata, **cast(dict[str, Json], to_jsonable(extra))}
        self.write(metadata=merged)

    def root_attributes(self, state: State, points: int, last_time_ns: int | None) -> dict[str, Json]:
        """Return the attributes of the store's root: `labnb` is JSON text, which netCDF can hold as well."""
        kept = ("format", "run", "name", "created", "versions", "metadata")
        described: dict[str, Json] = {key: self._document[key] for key in kept}
        described |= {"state": state.value, "points": points}
        described["last_point"] = None if last_time_ns is None else stamp(last_time_ns)
        return {"Conventions": "CF-1.11", "labnb": json.dumps(described, ensure_ascii=False, allow_nan=False)}


def _tell(path: Path) -> None:
    """Show a change of `path` in the time of the day's folder: that is all that a catalogue has to look at."""
    day = path.parent.parent
    if len(day.name) == 2 and day.name.isdigit():
        with contextlib.suppress(OSError):  # a folder of somebody else's
            os.utime(day)


def _from_store(folder: Path) -> Json:
    """Return what the store's root says of the run; None if it says nothing. The groups are not among it."""
    try:
        attributes = json.loads((folder / "data.zarr" / "zarr.json").read_bytes())["attributes"]
        described = cast(dict[str, Json], json.loads(attributes["labnb"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ended = described.pop("last_point", None)
    return {**described, "ended": ended, "groups": [], "rebuilt": True}


def packing_json(files: Mapping[str, int] | None) -> dict[str, Json]:
    """Return what run.json says of a store that has just been sealed, given what `Materialiser.seal` returned."""
    packing = Packing.OPEN if files is None else Packing.BOTH
    return {"packing": packing.value, "files": None if files is None else dict(files)}


def groups_json(groups: list[Group]) -> list[Json]:
    """Return groups as they stand in run.json."""
    return [group_document(group) for group in groups]
