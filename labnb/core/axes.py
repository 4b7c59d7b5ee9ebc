"""The dimensions of a measurement: with setpoints, open, or only with a length."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labnb.core.errors import PlanError
from labnb.core.traversal import AS_GIVEN, Traversal, Visit
from labnb.core.values import Value, check_name, check_unit, format_value, plain_values, values_text


@dataclass(frozen=True, slots=True)
class Axis:
    """A named dimension with its setpoints.

    `others` are in lock-step with it: they become further coordinates of the same dimension.
    """

    name: str
    values: tuple[Value, ...]
    unit: str = ""
    notes: str = ""
    visit: Visit = AS_GIVEN
    others: "tuple[Axis, ...]" = ()

    def __post_init__(self) -> None:
        check_name(self.name, "axis")
        object.__setattr__(self, "values", plain_values(self.values, f"axis {self.name!r}"))
        object.__setattr__(self, "unit", check_unit(self.unit, f"axis {self.name!r}"))
        for other in self.others:
            if other.size != self.size:
                raise PlanError(
                    f"{self.name!r} has {self.size} values and {other.name!r} {other.size}: what is swept in lock-step "
                    "has one value of each at each point"
                )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def size(self) -> int:
        """Number of setpoints."""
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Its name and those of what is in lock-step with it."""
        return (self.name, *(other.name for other in self.others))

    @property
    def turns(self) -> int:
        """How often one pass of its loop goes through all values: 2 there and back, else 1."""
        return 2 if self.visit.traversal is Traversal.THERE_AND_BACK else 1

    def yielded(self, turn: int) -> "Iterator[tuple[int, Value | tuple[Value, ...]]]":
        """Yield the places of pass number `turn` of its loop, each with what the body gets there.

        That is a value, or one of each that are in lock-step. There and back, a second half of places has the same.
        """
        places, size, values = self.visit.places(self.size, turn), self.size, self.values
        if self.others:
            columns = [values, *(other.values for other in self.others)]
            return ((place, tuple([column[place % size] for column in columns])) for place in places)
        if self.visit.traversal is Traversal.STRAIGHT:
            return enumerate(values)
        return ((place, values[place % size]) for place in places)

    def values_text(self) -> str:
        """Return e.g. `0 … 0.8, 81 values V`."""
        return values_text(self.values, self.unit)

    def setpoint_text(self, place: int) -> str:
        """Return e.g. `voltage=0.31 V`, with what is in lock-step: `x=1 mm, y=2 mm`."""
        return ", ".join(
            f"{axis.name}={format_value(axis.values[place])} {axis.unit}".rstrip() for axis in (self, *self.others)
        )


@dataclass(frozen=True, slots=True)
class OpenAxis:
    """A named dimension whose length is known only at the end; its k-th coordinate is `k * step`."""

    name: str
    step: float
    unit: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "axis")
        if not (math.isfinite(self.step) and self.step > 0):
            raise PlanError(f"axis {self.name!r}: the step must be a positive number, got {self.step!r}")
        object.__setattr__(self, "unit", check_unit(self.unit, f"axis {self.name!r}"))

    @property
    def size(self) -> None:
        """Unknown until the end."""
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, as of an Axis."""
        return (self.name,)

    @property
    def turns(self) -> int:
        """How often its loop goes through it, as of an Axis."""
        return 1

    def values_text(self) -> str:
        """Return e.g. `every 0.25 s`."""
        return f"every {format_value(self.step)} {self.unit}".rstrip()

    def setpoint_text(self, place: int) -> str:
        """Return e.g. `time=0.25 s`."""
        return f"{self.name}={format_value(place * self.step)} {self.unit}".rstrip()


@dataclass(frozen=True, slots=True)
class LogAxis(OpenAxis):
    """The open axis of a log: entries come when they come, and the coordinate of each is its time.

    It belongs to one group, whose times are stored under the name of the axis.
    """

    step: float = 1.0  # from one entry to the next: it only counts them

    def values_text(self) -> str:
        """Say that there is no schedule."""
        return "whenever logged"

    def setpoint_text(self, place: int) -> str:
        """Return e.g. `entry 12`."""
        return f"entry {place}"


LoopAxis = Axis | OpenAxis
"""An axis of a loop: a grid's, or one that grows."""

DIRECTION = ("forward", "backward")


def dimensions(axes: Iterable[LoopAxis]) -> tuple[LoopAxis, ...]:
    """Return the dimensions that loops over `axes` (outermost first) have: those there and back have two.

    >>> there_and_back = Axis("field", (1, 2), visit=Visit(Traversal.THERE_AND_BACK))
    >>> [axis.name for axis in dimensions([there_and_back])]
    ['direction', 'field']
    """
    found = list[LoopAxis]()
    for axis in axes:
        if axis.turns == 2:
            taken = any(other.name == "direction" for other in found)
            found.append(Axis(f"{axis.name}_direction" if taken else "direction", DIRECTION))
        found.append(axis)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Span:
    """A dimension of a recorded array that has a length but no coordinate.

    `ragged`: the length differs from point to point; `size` elements lie together on the disk then.
    """

    name: str
    size: int
    ragged: bool = False

    def __post_init__(self) -> None:
        check_name(self.name, "dimension")
        if self.size < 1:
            raise PlanError(f"dimension {self.name!r} has length {self.size}; an empty array cannot be recorded")
