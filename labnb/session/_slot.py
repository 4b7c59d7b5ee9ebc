"""The row of one section while a run goes on, and what values mean before they are put."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

from labnb.core import ABSENT, Group, PlainPoint, SchemaError, Variable, infer_variable
from labnb.instruments import Action, Reading
from labnb.session.outline import Record, Section

Put = Callable[[PlainPoint], None]


class Slot:
    """One section at run time: its row, and where the row goes."""

    __slots__ = ("_kept", "_place", "blank", "count", "fast", "group", "key", "put", "records", "row", "section")

    def __init__(self, section: Section, put: Put) -> None:
        self.section = section
        self.key = section.key
        self.put = self.fast = put  # `fast` takes plain values only, until the first other one comes
        self.count = 0
        self._place = -1
        self.group: Group | None = None
        self.define(section.records)

    def define(self, records: Sequence[Record]) -> None:
        """Say what the row consists of. Only before the first point."""
        self.records = tuple(records)
        self.blank = [ABSENT] * len(self.records)
        self.row: list[object] = list(self.blank)
        self._kept: tuple[object, ...] = tuple(self.blank)

    def commit(self, place: int, time_ns: int) -> None:
        """Put the row as it stands. A conditional one is left out if blank, adds to what `place` has, and is blanked."""
        values = tuple(self.row)
        if not self.section.conditional:
            self.put((self.key, place, values, time_ns))
            self.count += 1
            return
        if all(value is ABSENT for value in values):
            return
        again = place == self._place
        if again:
            values = tuple(old if new is ABSENT else new for old, new in zip(self._kept, values, strict=True))
        self.row[:] = self.blank
        self.put((self.key, place, values, time_ns))
        self._kept, self._place = values, place
        self.count += not again

    @property
    def undecided(self) -> bool:
        """Whether a variable has not had a value yet."""
        return self.group is not None and any(variable.undecided for variable in self.group.variables)

    def decided(self, values: Sequence[object]) -> Group | None:
        """Return the group with what `values` say of variables that had none so far; None if that is nothing."""
        if self.group is None or not self.undecided:
            return None
        known = zip(self.records, self.group.variables, values, strict=True)
        variables = tuple(
            declared(record, value) if variable.undecided and value is not ABSENT else variable
            for record, variable, value in known
        )
        return None if variables == self.group.variables else replace(self.group, variables=variables)

    @property
    def shown(self) -> tuple[object, ...]:
        """The latest values, for people."""
        return self._kept if self.section.conditional else tuple(self.row)


def results(values: tuple[object, ...]) -> tuple[object, ...]:
    """Return the numbers behind readings, and behind actions that nobody awaited; other values as they are."""
    return tuple(result(value) for value in values)


def result(value: object) -> object:
    """Return the number behind a reading or an action, other values as they are."""
    if isinstance(value, Action):
        value = cast("Action[object]", value).result()
    return value.values if isinstance(value, Reading) else value


def declared(record: Record, value: object) -> Variable:
    """Return the variable that `value`, its first one, declares; ABSENT leaves its kind undecided.

    Raises SchemaError for what cannot be recorded.
    """
    if isinstance(value, list | tuple):
        raise SchemaError(
            f"variable {record.name!r}: cannot record a {type(cast(object, value)).__name__}; "
            "make it an array first: numpy.asarray(...)"
        )
    return infer_variable(record.name, record.unit, value, record.notes)
