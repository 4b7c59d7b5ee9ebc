"""Where the points of one run go: to its record first, then to what shows them."""

from collections.abc import Callable
from typing import final

from labnb.core import Group, PlainPoint, Sink, State
from labnb.record import Recorder


@final
class Sinks:
    """The record of a run and its view, if it has one. Nothing that the view does keeps the record from being sealed."""

    def __init__(self, record: Recorder, view: Sink | None) -> None:
        self._record = record
        self._view = view

    @property
    def has_to_show(self) -> bool:
        """Whether there are points of before, which the view does not know: the run was resumed."""
        return self._view is not None and bool(self._record.kept)

    def declare(self, group: Group) -> None:
        """Announce the variables of `group`; of what was kept the view knows already, see `show_kept`."""
        kept = self._record.kept.get(group.key)
        self._record.declare(group)
        if self._view is not None and (kept is None or self._record.kept[group.key] is not kept):
            self._view.declare(group)

    def show_kept(self) -> None:
        """Give the view the points that were there before the run was resumed."""
        if self._view is None:
            return
        for key, kept in self._record.kept.items():
            self._view.declare(kept.group)
            for row, (place, time_ns) in enumerate(zip(kept.rows["place"], kept.rows["time"], strict=True)):
                self._view.put((key, int(place), kept.values(row), int(time_ns)))

    def route(self) -> Callable[[PlainPoint], None]:
        """Return the one function that hands a point to both."""
        record = self._record.put
        if self._view is None:
            return record
        show = self._view.put

        def put(point: PlainPoint) -> None:
            record(point)
            show(point)

        return put

    def close(self, final: State) -> None:
        """Close both."""
        self._record.close(final)
        if self._view is not None:
            self._view.close(final)
