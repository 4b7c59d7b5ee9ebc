"""What the catalogue knows of one run: a line of its table, and the words by which it is found."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from labnb.core import Json, RecordError, State
from labnb.record.counting import journal_points
from labnb.record.lock import is_locked
from labnb.record.runfile import RunFile


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the catalogue. `folder` is relative to the data root; times are ISO 8601 in UTC."""

    folder: str
    run_id: str
    name: str
    state: str
    points: int
    created: str
    ended: str | None
    tags: tuple[str, ...]
    note: str
    axes: tuple[str, ...]
    variables: tuple[str, ...]
    """Names with units, as `current (A)`; those of axes too."""

    @property
    def began(self) -> datetime:
        """When the run began, in local time."""
        return datetime.fromisoformat(self.created).astimezone()

    def dump(self) -> str:
        """Return it as one short text."""
        return json.dumps([getattr(self, field) for field in _FIELDS], ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> "Summary":
        """Return what `dump` gave."""
        return cls(*map(_field, json.loads(text)))


def _field(value: Any) -> Any:  # JSON's; of the fields' own types, but that JSON has no tuples
    return tuple(value) if isinstance(value, list) else value


_FIELDS = tuple(Summary.__slots__)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found in a run's folder. `live`: a process writes it, so it has to be looked at again."""

    summary: Summary
    words: str
    live: bool


def look(root: Path, folder: str) -> Seen:
    """Return what stands in a run's folder, without completing or changing anything. Raises RecordError."""
    path = root / folder
    run = RunFile.read(path / "run.json")
    try:
        return _seen(path, folder, run)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordError(f"{path / 'run.json'} is damaged: {type(error).__name__}: {error}") from error


def _seen(path: Path, folder: str, run: RunFile) -> Seen:
    state, points, live = run.state, run.points, False
    if not state.ended:
        live = is_locked(path / "lock")
        state = state if live else State.INTERRUPTED
        points = committed_points(path) if live else kept_points(path)
    axes, variables = _names(run)
    notes = [str(run.metadata.get("note") or ""), *(text for _, text in run.notes)]
    ended = run.ended.isoformat() if run.ended else None
    summary = Summary(
        folder,
        run.run_id,
        run.name,
        state.value,
        points,
        run.created.isoformat(),
        ended,
        run.tags,
        next((note for note in reversed(notes) if note), ""),
        axes,
        variables,
    )
    words = " ".join([path.name, *run.tags, *notes, *axes, *variables, *_texts(dict(run.metadata))])
    return Seen(summary, words.casefold(), live)


def _names(run: RunFile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    axes, variables = dict[str, None](), dict[str, None]()
    for group in cast("list[dict[str, list[dict[str, Json]]]]", run.groups):
        axes |= dict.fromkeys(_name(axis) for axis in _with_others(group["axes"]))
        variables |= dict.fromkeys(_name(variable) for variable in group["variables"])
    return tuple(axes), tuple(variables)


def _with_others(axes: Iterable[Mapping[str, Json]]) -> Iterator[Mapping[str, Json]]:
    for axis in axes:
        yield axis
        yield from cast("list[dict[str, Json]]", axis.get("others") or [])


def _name(entry: Mapping[str, Json]) -> str:
    return f"{entry['name']} ({entry['unit']})" if entry.get("unit") else str(entry["name"])


def _texts(value: Json) -> Iterator[str]:
    """Yield every key, text and number in a run's metadata."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None:
        yield str(value)


def committed_points(folder: Path) -> int:
    """Return how many points the store of a run shows to readers."""
    try:
        attributes = json.loads((folder / "data.zarr" / "zarr.json").read_bytes())["attributes"]
        return int(json.loads(attributes["labnb"])["points"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def kept_points(folder: Path) -> int:
    """Return how many points a run has whose process died: those that its journal will complete it to."""
    found = journal_points(folder)
    return committed_points(folder) if found is None else found
