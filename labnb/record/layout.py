"""Which zarr arrays a run's groups become: values only, nothing is written.

Every axis becomes a coordinate, every variable an array over its loops and its own dimensions, every group an int64
array of the times of its points: `t` for the deepest one, `t_<loops>` for the others, other names if those are taken.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from labnb.core import Axis, Group, LogAxis, OpenAxis, SchemaError, Span, amended
from labnb.record.arrays import StoredArray, arrays_of, coordinate, length_names, time_array
from labnb.record.values import storage_of

_NAME_BYTES = 200


@dataclass(slots=True)
class Layout:
    """What the store of a run consists of, given the groups declared so far."""

    groups: list[Group] = field(default_factory=list[Group])
    _sizes: dict[str, int | None] = field(default_factory=dict[str, int | None])
    _axes: dict[str, Axis | OpenAxis] = field(default_factory=dict[str, Axis | OpenAxis])
    _variables: set[str] = field(default_factory=set[str])
    _others: dict[str, tuple[str, Axis]] = field(default_factory=dict[str, tuple[str, Axis]])
    _coordinates: dict[str, StoredArray] = field(default_factory=dict[str, StoredArray])

    def with_group(self, group: Group) -> "Layout":
        """Return the layout with one more group, or with one amended. Raises SchemaError if it contradicts an earlier one."""
        known = next((each for each in self.groups if each.key == group.key), None)
        if known is None:
            return self._with_new(group)
        changed = amended(known, group)
        if changed == known:
            raise SchemaError(f"group {group.key} is declared twice")
        layout = Layout()
        for each in self.groups:
            layout = layout._with_new(changed if each is known else each)
        return layout

    def group(self, key: int) -> Group:
        """Return the group of this key as it is known by now."""
        return next(group for group in self.groups if group.key == key)

    def _with_new(self, group: Group) -> "Layout":
        if not group.variables:
            raise SchemaError(f"group {group.key} over {group.dims} has no variable to record")
        layout = Layout(
            list(self.groups),
            dict(self._sizes),
            dict(self._axes),
            set(self._variables),
            dict(self._others),
            dict(self._coordinates),
        )
        layout._take(group, {*self.time_names().values(), *self._loop_time_names().values()})
        return layout

    def _take(self, group: Group, times: set[str]) -> None:
        for axis in group.axes:
            self._take_axis(axis, times)
        for variable in group.variables:
            storage_of(variable)
            for dim in variable.dims:
                self._take_dim(dim, times)
            for name in (variable.name, *length_names(variable)):
                self._take_name(name, times)
        self.groups.append(group)

    def _take_name(self, name: str, times: set[str]) -> None:
        self._check_new(name, times)
        if name in self._variables or name in self._sizes or name in self._others:
            other = "variable" if name in self._variables else "dimension"
            raise SchemaError(f"variable {name!r} has the name of another {other}; rename one of them")
        self._variables.add(name)

    def _take_dim(self, dim: Axis | Span, times: set[str]) -> None:
        if isinstance(dim, Axis):
            self._take_axis(dim, times)
            return
        size = _RAGGED if dim.ragged else dim.size
        if self._sizes.setdefault(dim.name, size) != size:
            raise SchemaError(
                f"dimension {dim.name!r} has {_length_text(self._sizes[dim.name])} elsewhere, here {_length_text(size)}; "
                "rename one"
            )
        self._check_dim(dim.name, times)

    def _take_axis(self, axis: Axis | OpenAxis, times: set[str]) -> None:
        if axis.name not in self._axes and not isinstance(axis, LogAxis):
            self._coordinates[axis.name] = coordinate(axis)
        known = self._axes.setdefault(axis.name, axis)
        if known is not axis and _meaning(known) != _meaning(axis):
            raise SchemaError(
                f"axis {axis.name!r} is declared twice with other values: {_outline(known)} and {_outline(axis)}; "
                "an axis has the same values everywhere in a run, so rename one"
            )
        if self._sizes.setdefault(axis.name, axis.size) != axis.size:
            raise SchemaError(
                f"axis {axis.name!r} has {axis.size} values, but a dimension of that name has another length"
            )
        self._check_dim(axis.name, times)
        if isinstance(axis, Axis):
            self._take_others(axis, times)

    def _take_others(self, axis: Axis, times: set[str]) -> None:
        """Take what is swept in lock-step with `axis`: more coordinates along it."""
        for other in axis.others:
            self._take_other(axis, other, times)

    def _take_other(self, axis: Axis, other: Axis, times: set[str]) -> None:
        self._check_new(other.name, times)
        if other.name not in self._others:
            self._coordinates[other.name] = replace(coordinate(other), dims=(axis.name,))
        known = self._others.setdefault(other.name, (axis.name, other))
        if known != (axis.name, other) or other.name in self._sizes or other.name in self._variables:
            raise SchemaError(
                f"{other.name!r}, swept in lock-step with {axis.name!r}, has the name of something else; rename one"
            )

    def _check_dim(self, name: str, times: set[str]) -> None:
        self._check_new(name, times)
        if name in self._variables or name in self._others:
            raise SchemaError(f"dimension {name!r} has the name of a variable; rename one of them")

    def _check_new(self, name: str, times: set[str]) -> None:
        if name in times:
            raise SchemaError(
                f"{name!r} already names the times of points recorded before; rename this variable or axis"
            )
        if name == "zarr.json" or len(name.encode()) > _NAME_BYTES:
            raise SchemaError(
                f"{name[:60]!r} cannot be used as a name in a zarr store; choose another, shorter than 200 bytes"
            )

    @property
    def main(self) -> Group | None:
        """The group whose points are counted: of those inside of the most loops the first."""
        return max(sorted(self.groups, key=lambda g: g.key), key=_depth, default=None)

    def time_names(self) -> dict[int, str]:
        """Return the name of the array of times of every group, by its key."""
        names = self._loop_time_names()
        deepest = max(self.groups, key=_depth, default=None)
        if deepest is None or _is_log(deepest):
            return names
        names[deepest.key] = _free(
            "t", "time_of_point", self._variables | set(self._sizes) | set(self._others) | set(names.values())
        )
        return names

    def _loop_time_names(self) -> dict[int, str]:
        """Return the names that hold whichever group is deepest, so that a deeper one later renames only one array."""
        names: dict[int, str] = {}
        for group in self.groups:
            if _is_log(group):
                names[group.key] = group.dims[0]
                continue
            loops = re.sub(r"\W+", "_", "_".join(group.dims)) or "once"
            taken = self._variables | set(self._sizes) | set(self._others) | set(names.values())
            names[group.key] = _free(f"t_{loops}", f"time_of_point_{loops}", taken)
        return names

    def arrays(self, *, all_of_them: bool = False) -> list[StoredArray]:
        """Return every array of the store: coordinates, then times and variables group by group.

        Variables of which no value has come yet are not among them before the run has ended (`all_of_them`).
        """
        stored = [self._coordinates[name] for name in (*self._axes, *self._others) if name in self._coordinates]
        names = self.time_names()
        for group in self.groups:
            loops = tuple(axis.size for axis in group.axes)
            name = names[group.key]
            stored.append(time_array(name, group, loops))
            for variable in group.variables:
                if all_of_them or not variable.undecided:
                    stored.extend(arrays_of(variable, group, loops, name))
        return stored


_RAGGED = 0


def _length_text(size: int | None) -> str:
    return "a length that differs from point to point" if size == _RAGGED else f"length {size}"


def _is_log(group: Group) -> bool:
    """Whether the times of a group are the coordinate of its axis."""
    return len(group.axes) == 1 and isinstance(group.axes[0], LogAxis)


def _depth(group: Group) -> int:
    """How many loops a group is inside of; a log is behind all others, since it names its times itself."""
    return -1 if _is_log(group) else len(group.axes)


def _meaning(axis: Axis | OpenAxis) -> tuple[object, ...]:
    return (axis.values if isinstance(axis, Axis) else axis.step, axis.unit)


def _outline(axis: Axis | OpenAxis) -> str:
    text = (
        f"steps of {axis.step:g}"
        if isinstance(axis, OpenAxis)
        else f"{axis.values[0]} … {axis.values[-1]}, {len(axis)} values"
    )
    return f"{text} {axis.unit}".rstrip()


def _free(name: str, other: str, taken: Iterable[str]) -> str:
    used = set(taken)
    candidates = [name, other, *(f"{other}_{k}" for k in range(2, len(used) + 3))]
    return next(candidate for candidate in candidates if candidate not in used)
