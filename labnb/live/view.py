"""The live view of a run: a sink that costs nothing to feed and is emptied in bulk, ten times a second."""

from enum import Enum
from typing import Protocol, cast

import numpy as np

from labnb.core import Group, PlainPoint, SchemaError, State, amended
from labnb.live.snapshot import Reading
from labnb.live.table import KEEP_ROWS, Table

CHUNK = 1 << 16
"""Points that one `drain` takes at most: some 15 ms of the loop's time."""


class _Put(Protocol):
    def __call__(self, point: PlainPoint) -> None: ...


class LiveView:
    """Implements `labnb.core.Sink`. `declare`, `put`, `close` may be called by one thread while another drains.

    `put` is the bound append of a list: 25 ns, and safe without a lock since an append and taking from the front are
    each one step of the interpreter. Values reach the tables only by `drain`.
    """

    put: _Put

    def __init__(self, keep_rows: int = KEEP_ROWS) -> None:
        self._pending: list[PlainPoint] = []
        self.put = cast(_Put, self._pending.append)
        self._tables: dict[int, Table] = {}
        self._amended: dict[int, Group] = {}
        self._keep_rows = keep_rows
        self._newest: tuple[int, int] | None = None
        self.state: State | None = None

    def declare(self, group: Group) -> None:
        """Announce a group, or what is known by now of one that had variables without a value. Raises SchemaError."""
        table = self._tables.get(group.key)
        if table is None:
            self._tables[group.key] = Table(group, self._keep_rows)
            return
        known = self._amended.get(group.key, table.group)
        changed = amended(known, group)
        if changed == known:
            raise SchemaError(f"group {group.key} over {group.dims} is declared twice; a run declares each group once")
        self._amended[group.key] = changed  # the table is that of the thread which drains

    def close(self, state: State) -> None:
        """Take note of how the run ended; what is pending is still drained."""
        self.state = state

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups, in the order in which they were declared."""
        return tuple(table.group for table in tuple(self._tables.values()))

    @property
    def points(self) -> int:
        """Rows of all groups that were drained so far."""
        return sum(table.total for table in tuple(self._tables.values()))

    def table(self, key: int) -> Table:
        """Return the rows of one group."""
        return self._tables[key]

    def drain(self, limit: int = CHUNK) -> int:
        """Move up to `limit` waiting points into the tables; return how many moved. On one thread only."""
        chunk = self._pending[:limit]
        if not chunk:
            return 0
        for key in tuple(self._amended):  # declared before the points that wait
            self._tables[key].amend(self._amended[key])
        del self._pending[: len(chunk)]
        self._newest = chunk[-1][0], chunk[-1][1]
        keys = {point[0] for point in chunk}
        if len(keys) == 1:
            self._take(keys.pop(), chunk)
            return len(chunk)
        for key in keys:
            self._take(key, [point for point in chunk if point[0] == key])
        return len(chunk)

    def drain_all(self) -> None:
        """Move every waiting point; for the end of a run, when nothing is added any more."""
        while self.drain():
            pass

    def _take(self, key: int, points: list[PlainPoint]) -> None:
        # No zip(*points): it makes an iterator a point, and those make the garbage collector visit all that wait.
        self._tables[key].append([point[1] for point in points], [point[2] for point in points])

    def latest(self) -> tuple[Reading, ...]:
        """Return the newest value of every variable, in the order of their declaration."""
        tables = tuple(self._tables.values())
        return tuple(
            Reading(v.name, _shown(table.latest(v.name)), v.unit) for table in tables for v in table.group.variables
        )

    def setpoint_text(self) -> str:
        """Return where the newest point is: `temperature=300 K, voltage=0.31 V`; nothing before the first."""
        if self._newest is None:
            return ""
        key, place = self._newest
        return self._tables[key].group.setpoint_text(place)


def _shown(value: object) -> float | complex | bool | str | None:
    if value is None:
        return None
    if isinstance(value, Enum):
        return value.name
    array = np.asarray(value)
    if array.ndim:
        return f"[{' × '.join(map(str, array.shape))}]"
    plain: object = array.item()
    return plain if isinstance(plain, float | complex | bool | str) else float(cast(float, plain))
