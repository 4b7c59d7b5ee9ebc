"""Which part of a measurement a figure shows: the newest, or the one that a person chose."""

import numpy as np
from numpy.typing import NDArray

from labnb.core import Axis, Group, OpenAxis, format_value


class Slice:
    """Which rows belong to the picture: those at one setpoint of the axes that it does not show."""

    def __init__(self, group: Group, shown: tuple[object, ...], held: tuple[int, ...] | None = None) -> None:
        self._group = group
        self._sizes = [axis.size or 0 for axis in group.axes]  # 0: open, only ever the first
        self._others = [k for k, axis in enumerate(group.axes) if axis not in shown]
        self._current: tuple[int, ...] | None = None
        self._held = held

    def indices(self, places: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the index along every axis of the group."""
        found = list[NDArray[np.int64]]()
        rest = places
        for size in reversed(self._sizes):
            rest, index = (rest, rest) if not size else (rest // size, rest % size)
            found.append(index)
        return found[::-1]

    def select(self, indices: list[NDArray[np.int64]]) -> tuple[NDArray[np.bool_] | None, bool]:
        """Return which rows are in the slice (None: all of them), and whether another slice has begun."""
        if not self._others or not len(indices[0]):
            return None, False
        wanted = self._held or tuple(int(indices[k][-1]) for k in self._others)
        begun = wanted != self._current
        self._current = wanted
        inside = np.ones(len(indices[0]), np.bool_)
        for k, value in zip(self._others, wanted, strict=True):
            inside &= indices[k] == value
        return inside, begun

    @property
    def is_part(self) -> bool:
        """Whether the picture shows some setpoints only."""
        return bool(self._others)

    @property
    def axes(self) -> tuple[Axis | OpenAxis, ...]:
        """The axes that the picture does not show."""
        return tuple(self._group.axes[k] for k in self._others)

    @property
    def text(self) -> str:
        """Return where the slice is, e.g. `field = 0.5 T`; nothing if the picture shows all axes."""
        if self._current is None:
            return ""
        return ", ".join(
            f"{axis.name} = {setpoint_text(axis, index)}" for axis, index in zip(self.axes, self._current, strict=True)
        )


def setpoint_text(axis: Axis | OpenAxis, index: int) -> str:
    """Return one setpoint with its unit: `0.5 T`."""
    value = index * axis.step if isinstance(axis, OpenAxis) else axis.values[index]
    return f"{format_value(value)} {axis.unit}".rstrip()
