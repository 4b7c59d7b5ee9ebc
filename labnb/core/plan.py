"""What is going to be measured: axes, and the grid that they span, as frozen values.

```
Axis("temperature", (280.0, 300.0), "K")  ×  Axis("voltage", (0.0, 0.1, 0.2), "V")

    index  0 1 2 | 3 4 5        first axis outermost, last axis fastest (C order)
```
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from labnb.core.axes import Axis, dimensions
from labnb.core.errors import PlanError
from labnb.core.values import Value, format_value


@dataclass(frozen=True, slots=True)
class Setpoint:
    """One place of the plan: which values every axis has there."""

    index: int
    names: tuple[str, ...]
    values: tuple[Value, ...]
    units: tuple[str, ...]

    def __str__(self) -> str:
        """Return e.g. `temperature=300 K, voltage=0.31 V`."""
        return ", ".join(
            f"{n}={format_value(v)} {u}".rstrip() for n, v, u in zip(self.names, self.values, self.units, strict=True)
        )

    def as_dict(self) -> dict[str, Value]:
        """Return the values by axis name."""
        return dict(zip(self.names, self.values, strict=True))


@dataclass(frozen=True, slots=True)
class Plan:
    """The grid of a measurement: the product of its axes, first axis outermost. No axis: a single point."""

    axes: tuple[Axis, ...] = ()

    def __post_init__(self) -> None:
        names = [name for axis in self.dimensions for name in axis.names]
        for name in names:
            if names.count(name) > 1:
                raise PlanError(f"axis {name!r} is used {names.count(name)} times; every axis needs a name of its own")

    @property
    def dimensions(self) -> tuple[Axis, ...]:
        """Its dimensions, outermost first: an axis that is swept there and back has two."""
        return cast(tuple[Axis, ...], dimensions(self.axes))

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions, outermost first."""
        return tuple(axis.name for axis in self.dimensions)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of setpoints along every dimension."""
        return tuple(axis.size for axis in self.dimensions)

    @property
    def size(self) -> int:
        """Number of points of the whole grid."""
        return math.prod(self.shape)

    def setpoint(self, index: int) -> Setpoint:
        """Return the setpoint of the C-order `index`. Raises IndexError outside of 0 … size-1."""
        if not 0 <= index < self.size:
            raise IndexError(f"point {index} is outside of this plan of {self.size} points")
        rest, found = index, list[tuple[str, Value, str]]()
        for axis in reversed(self.dimensions):
            rest, place = divmod(rest, axis.size)
            found[:0] = [(each.name, each.values[place], each.unit) for each in (axis, *axis.others)]
        names, values, units = zip(*found, strict=True) if found else ((), (), ())
        return Setpoint(index, names, values, units)

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Setpoint]:
        """Yield the setpoints in the order in which they are visited."""
        return map(self.setpoint, self._visited(0, 0, [0] * len(self.axes)))

    def _visited(self, level: int, base: int, turns: list[int]) -> Iterator[int]:
        if level == len(self.axes):
            yield base
            return
        axis = self.axes[level]
        turn, turns[level] = turns[level], turns[level] + 1
        for place in axis.visit.places(axis.size, turn):
            yield from self._visited(level + 1, base * axis.size * axis.turns + place, turns)

    def __str__(self) -> str:
        """Return e.g. `temperature 3 × voltage 81 = 243 points`."""
        if not self.axes:
            return "1 point"
        return " × ".join(f"{a.name} {a.size}" for a in self.dimensions) + f" = {self.size} points"
