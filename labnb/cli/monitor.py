"""`labnb monitor`: follow a session or a run from a terminal, or open a session's page."""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from labnb.core import Json, PlanError, RecordError, RemoteError, State

if TYPE_CHECKING:
    from argparse import _SubParsersAction  # pyright: ignore[reportPrivateUsage]  argparse gives its type no other name

    from rich.table import Table

    from labnb.record import StoredRun
    from labnb.remote.address import Address

_EVERY_S = 1.0
_WIDE = 50
"""Columns of a terminal that has room for times too."""
_BORDERS, _TIME_WIDTH = 7, 18
"""Columns that a table takes beside names and values: without times, with times."""
_SHORTEST = 8
_FRAME_LINES = 6
_WELL = ("ended", State.DONE.value, State.STOPPED.value)


@dataclass(frozen=True, slots=True)
class Row:
    """The newest value of one variable; `ts` in s since 1970, None where a run keeps none."""

    value: float
    unit: str
    ts: float | None = None

    @property
    def time(self) -> str:
        """The time of day, in local time."""
        return f"{datetime.fromtimestamp(self.ts).astimezone():%H:%M:%S}" if self.ts is not None else ""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen at one moment."""

    name: str
    state: str
    rows: Mapping[str, Row]
    note: str = ""
    alarms: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


def add_command(commands: "_SubParsersAction[argparse.ArgumentParser]") -> None:
    """Describe the command to the parser."""
    from labnb.cli.runs import add_store

    parser = commands.add_parser("monitor", help="follow a session or a run from here, or open its page")
    parser.add_argument(
        "what",
        nargs="?",
        default="127.0.0.1:6913",
        metavar="ADDRESS|RUN",
        help="http://host:6913/?token=..., host or host:port of a session; or a run's folder or id (default: %(default)s)",
    )
    parser.add_argument("--token", help="that the session printed, if the address does not have it")
    parser.add_argument("--open", action="store_true", help="open the session's page in a browser, and leave")
    parser.add_argument("--once", action="store_true", help="show what there is, and leave")
    parser.add_argument("--json", action="store_true", help="a line of JSON for every look, for programs")
    add_store(parser)
    parser.set_defaults(run=monitor)


def monitor(chosen: argparse.Namespace) -> int:
    """Show what was asked for until it ends; return 0 if it ended well, 1 if not. Raises PlanError, RemoteError."""
    folder = _folder(chosen.what, chosen.store)
    if folder is not None and chosen.open:
        raise PlanError(f"{chosen.what} is a run on disk, and only a session that is being monitored has a page")
    if folder is not None:
        sights = _run(folder)
    else:
        from labnb.remote.address import parse_address

        address = parse_address(chosen.what, token=chosen.token)
        if chosen.open:
            return _open(address)
        sights = _session(address)
    if chosen.once:
        sights = itertools.islice(sights, 1)
    try:
        last = _show_json(sights) if chosen.json else _show(sights)
    except RemoteError as error:
        if folder is None and _may_be_a_run(chosen.what):
            raise RemoteError(f"{error}; nor is a run known by that name here (`labnb runs` lists them)") from error
        raise
    return 0 if chosen.once or (last is not None and last.state in _WELL) else 1


def _folder(what: str, store: str | None) -> Path | None:
    """Return the folder of the run that is meant, or None if it is the address of a session."""
    if "://" in what or Path(what).exists():
        return None if "://" in what else Path(what)
    from labnb.record import data_root, runs

    try:
        found = [each for each in runs(store).summaries() if what in (each.run_id, Path(each.folder).name)]
    except RecordError:
        return None
    return data_root(store) / found[0].folder if found else None


def _may_be_a_run(what: str) -> bool:
    return not any(mark in what for mark in ":.") and what != "localhost"


def _open(address: "Address") -> int:
    import webbrowser

    from labnb.remote.asking import ask

    ask(address, "/api/server_current_ts")
    if webbrowser.open(f"{address.url}/?token={address.token}" if address.token else address.url):
        print(address.url)
        return 0
    raise RemoteError(f"no browser could be started here; open {address.url} in one yourself")


def _session(address: "Address") -> Iterator[Sight]:
    """Yield what a session shows, whenever that changes. Raises RemoteError if it is lost before its end."""
    from labnb.remote.asking import events

    seen = Sight("", "", {})
    units: Mapping[str, Json] = {}
    for kind, data in events(address, "/api/stream?window=1"):
        if kind == "end":
            yield replace(seen, state="ended")
            return
        if not isinstance(data, dict):
            continue
        units = cast("Mapping[str, Json]", data.get("units", units))
        seen = Sight(
            str(data.get("name", seen.name)),
            str(data.get("state", seen.state)),
            {**seen.rows, **_newest(data.get("variables"), units)},
            alarms=cast("Mapping[str, Sequence[str]]", data.get("alarms", seen.alarms)),
        )
        yield seen
    raise RemoteError(f"{address.url} has hung up in the middle of the session")


def _newest(variables: Json, units: Mapping[str, Json]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for each in cast("list[dict[str, Json]]", variables or []):
        times, values = cast("list[float]", each["t"]), cast("list[float | None]", each["v"])
        name, value = str(each["name"]), values[-1]
        rows[name] = Row(float("nan") if value is None else value, str(units.get(name, "")), times[-1])
    return rows


def _run(folder: Path) -> Iterator[Sight]:
    """Yield what a run on disk holds, every second until it has ended. Raises RecordError."""
    from labnb.record import open_run

    while True:
        run = open_run(folder)
        yield Sight(run.run_id, run.state.value, _last_values(run), f"{run.points} points")
        if run.state.ended:
            return
        time.sleep(_EVERY_S)


def _last_values(run: "StoredRun") -> dict[str, Row]:
    """Return the last number of each variable, in the order of its loops."""
    import numpy as np

    rows: dict[str, Row] = {}
    for name, array in run.data.data_vars.items():
        if array.dtype.kind not in "fiub" or not array.size:
            continue
        values = np.asarray(array.values, np.float64).ravel()
        measured = np.flatnonzero(np.isfinite(values))
        last = values[measured[-1]] if len(measured) else np.nan
        rows[str(name)] = Row(float(last), str(array.attrs.get("units", "")))
    return rows


def _show_json(sights: Iterator[Sight]) -> Sight | None:
    from labnb.remote.wire import json_text

    sight = None
    for sight in sights:
        values = {name: {"value": row.value, "unit": row.unit, "t": row.ts} for name, row in sight.rows.items()}
        alarms = {name: list(texts) for name, texts in sight.alarms.items()}
        print(json_text({"name": sight.name, "state": sight.state, "values": values, "alarms": alarms}), flush=True)
    return sight


def _show(sights: Iterator[Sight]) -> Sight | None:
    try:
        from rich.live import Live
    except ImportError:
        return _show_lines(sights)
    if not sys.stdout.isatty():
        return _show_lines(sights)
    sight = None
    with Live(refresh_per_second=4) as live:
        for sight in sights:
            live.update(_table(sight, live.console.width, live.console.height))
    return sight


def _table(sight: Sight, width: int = 80, height: int = 1000) -> "Table":
    """Return the newest values as a table that fits: what is beyond a limit first, no number cut off."""
    from rich.markup import escape
    from rich.table import Table

    from labnb.live.si import si_text

    names = sorted(sight.rows, key=lambda name: (name not in sight.alarms, name))
    alarms = _alarms(sight)[: height // 4]
    shown = names[: max(1, height - _FRAME_LINES - len(alarms))]
    table = Table(title=_title(sight, alarms), title_justify="left", caption_justify="left")
    if len(shown) < len(names):
        table.caption = f"… and {len(names) - len(shown)} more"
    values = [si_text(sight.rows[name].value, sight.rows[name].unit, 5) for name in shown]
    wide = width >= _WIDE
    room = width - max(map(len, ("value", *values))) - (_TIME_WIDTH if wide else _BORDERS)
    for heading in ("variable", "value", "at")[: 3 if wide else 2]:
        table.add_column(heading, justify="left" if heading == "variable" else "right", no_wrap=True)
    for name, value in zip(shown, values, strict=True):
        told = (escape(_short(name, room)), escape(value), sight.rows[name].time)
        table.add_row(*told[: len(table.columns)], style="bold red" if name in sight.alarms else "")
    return table


def _short(name: str, room: int) -> str:
    """Return a name that fits; ends of long names tell more apart than middles."""
    room = max(_SHORTEST, room)
    return name if len(name) <= room else f"{name[: room - room // 2 - 1]}…{name[-(room // 2) :]}"


def _title(sight: Sight, alarms: Sequence[str]) -> str:
    from rich.markup import escape

    first = escape(f"{sight.name}  {sight.state}  {sight.note}".rstrip())
    return "\n".join([first, *(f"[bold red]{escape(text)}[/]" for text in alarms)])


def _alarms(sight: Sight) -> list[str]:
    return sorted(f"ALARM {text}" for texts in sight.alarms.values() for text in texts)


def _show_lines(sights: Iterator[Sight]) -> Sight | None:
    """Print a line a second at most, and the last one."""
    sight, shown, due = None, None, 0.0
    for sight in sights:
        if time.monotonic() >= due:
            print(_line(sight), flush=True)
            shown, due = sight, time.monotonic() + _EVERY_S
    if sight is not None and sight != shown:
        print(_line(sight), flush=True)
    return sight


def _line(sight: Sight) -> str:
    from labnb.live.si import si_text

    values = "  ".join(f"{name} {si_text(row.value, row.unit, 5)}" for name, row in sorted(sight.rows.items()))
    return "  ".join(part for part in (sight.name, sight.state, sight.note, *_alarms(sight), values) if part)
