"""Where measured points go: the protocol that the record, the live view and remote observers share."""

from typing import Protocol

from labnb.core.lifecycle import State
from labnb.core.schema import Group, PlainPoint


class Sink(Protocol):
    """Takes the points of one run, in order. No method may block for longer than a file write."""

    def declare(self, group: Group) -> None:
        """Announce a group before its first point, and once more with the first value of a variable that was undecided.

        Raises SchemaError if it contradicts an earlier one, or says nothing new.
        """
        ...

    def put(self, point: PlainPoint) -> None:
        """Take one point (a `Point`, or a plain tuple like one). What returned is kept; a point that cannot be kept raises and is absent."""
        ...

    def close(self, state: State) -> None:
        """Take note that no point follows and how the run ended. Called once, also after an error."""
        ...
