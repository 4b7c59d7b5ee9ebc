"""What a run records: variables, in groups that are measured together, and one point of a group.

A group is a set of variables that are recorded at one place of the loops and stored as one whole row:

```
for temperature in sweep(...):
    stage: "K" = ...                     group 0, axes (temperature,)
    for voltage in sweep(...):
        current: "A" = ...               group 1, axes (temperature, voltage)
```
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, Flag
from typing import Any, NamedTuple, cast

from labnb.core.axes import Axis, LoopAxis, OpenAxis, Span
from labnb.core.errors import PlanError, SchemaError
from labnb.core.values import check_name, check_unit

Dim = Axis | Span


@dataclass(frozen=True, slots=True)
class Variable:
    """One recorded quantity: `dtype` is numpy's little-endian text (`<f8`), `dims` are the value's own dimensions.

    Texts have the dtype `str`. `flags` are the names and bits of an `enum.Flag`. `undecided`: no value has come yet, so
    that its kind is a guess; the group is declared once more with the first one, see `amended`.
    """

    name: str
    unit: str = ""
    dtype: str = "<f8"
    dims: tuple[Dim, ...] = ()
    notes: str = ""
    flags: tuple[tuple[str, int], ...] = ()
    undecided: bool = False

    def __post_init__(self) -> None:
        check_name(self.name, "variable")
        object.__setattr__(self, "unit", check_unit(self.unit, f"variable {self.name!r}"))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one value; () for a number. Of a ragged one, what lies together on the disk."""
        return tuple(dim.size for dim in self.dims)

    @property
    def ragged(self) -> bool:
        """Whether the shape of its values differs from point to point."""
        return any(isinstance(dim, Span) and dim.ragged for dim in self.dims)

    def describe(self) -> str:
        """Return the kind of value this variable takes, in words."""
        if self.flags:
            return f"flags {' | '.join(name for name, _ in self.flags)}"
        kind = "text" if self.dtype == TEXT else _KINDS.get(self.dtype[1:2], self.dtype)
        if self.ragged:
            return f"ragged array of {len(self.dims)} dimension{'s' * (len(self.dims) > 1)} of {self.dtype}"
        return kind if not self.dims else f"array of shape {self.shape} of {self.dtype}"


TEXT = "str"
_KINDS = {"f": "number", "i": "whole number", "u": "whole number", "c": "complex number", "b": "bool"}


def describe_value(value: object) -> str:
    """Return what `value` is, in words, for an error message."""
    shape: object = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"array of shape {cast(object, shape)} of {getattr(value, 'dtype', '?')}"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def infer_variable(name: str, unit: str, value: object, notes: str = "") -> Variable:
    """Return the variable that `value`, its first one, declares.

    Texts and members of an `Enum` become text, those of a `Flag` whole numbers. Python numbers become float64, so that a
    whole number that later turns into a fraction keeps it; numpy scalars and arrays keep their dtype; a labelled (xarray)
    array brings the names of its dimensions. What `ragged` has marked may have another length at every point. ABSENT
    leaves the kind undecided. Raises SchemaError if such a value cannot be recorded.
    """
    plain = _plain_variable(name, unit, value, notes)
    if plain is not None:
        return plain
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is None or not isinstance(shape, tuple):
        raise SchemaError(
            f"variable {name!r}: cannot record {describe_value(value)}; expected a number, a bool, a complex number, "
            "an array of them, or a text"
        )
    # numpy.dtype: core does not import numpy, so it is spoken to by its names only.
    text = cast(str, dtype.newbyteorder("<").str)
    if text[1] not in "fiucb":
        raise SchemaError(f"variable {name!r}: cannot record values of dtype {dtype}; expected numbers")
    sizes = cast(tuple[int, ...], shape)
    return Variable(name, unit, text, _own_dims(name, value, sizes), notes)


def _plain_variable(name: str, unit: str, value: object, notes: str) -> Variable | None:
    """Return the variable of a value that is none of numpy's; None for all others."""
    if value is ABSENT:
        return Variable(name, unit, notes=notes, undecided=True)
    if isinstance(value, Flag):
        return _flag_variable(name, unit, value, notes)
    if isinstance(value, str | Enum):
        return Variable(name, unit, TEXT, (), notes)
    if hasattr(value, "dtype"):
        return None
    for kind, dtype in ((bool, "|b1"), (int, "<f8"), (float, "<f8"), (complex, "<c16")):
        if isinstance(value, kind):
            return Variable(name, unit, dtype, (), notes)
    return None


def flags_of(kind: type) -> tuple[tuple[str, int], ...]:
    """Return the names and bits of an `enum.Flag`; nothing for any other type."""
    if not issubclass(kind, Flag):
        return ()
    return tuple((str(member.name), int(member.value)) for member in kind)


def _flag_variable(name: str, unit: str, value: Flag, notes: str) -> Variable:
    flags = flags_of(type(value))
    bits = max((mask.bit_length() for _, mask in flags), default=0)
    if bits > _MOST_BITS:
        raise SchemaError(
            f"variable {name!r}: {type(value).__name__} has {bits} bits; at most {_MOST_BITS} can be recorded"
        )
    return Variable(name, unit, "<i4" if bits < _FEW_BITS else "<i8", (), notes, flags)


_FEW_BITS, _MOST_BITS = 32, 63

RAGGED_MARK = "labnb_ragged"
"""Attribute of arrays whose length may differ from point to point."""

_LEAST_TOGETHER, _MOST_TOGETHER = 256, 1 << 16


def _ragged_dims(name: str, value: object, shape: tuple[int, ...]) -> tuple[Dim, ...]:
    names: object = getattr(value, "dims", None)
    most = max(1, int(_MOST_TOGETHER ** (1 / len(shape))))
    least = max(1, int(_LEAST_TOGETHER ** (1 / len(shape))))
    sizes = [min(most, max(least, 1 << (size - 1).bit_length() if size else 0)) for size in shape]
    own = names if isinstance(names, tuple) else tuple(f"{name}_{k}" for k in range(len(shape)))
    return tuple(
        Span(str(dim), size, ragged=True) for dim, size in zip(cast(Iterable[object], own), sizes, strict=True)
    )


def _own_dims(name: str, value: object, shape: tuple[int, ...]) -> tuple[Dim, ...]:
    if shape and getattr(value, RAGGED_MARK, False):
        return _ragged_dims(name, value, shape)
    if 0 in shape:
        raise SchemaError(
            f"variable {name!r}: an empty array of shape {shape} cannot be recorded; if its length differs from point to "
            "point, record ragged(values)"
        )
    names: object = getattr(value, "dims", None)
    if not isinstance(names, tuple):
        return tuple(Span(f"{name}_{k}", size) for k, size in enumerate(shape))
    # xarray.DataArray, by duck typing: `coords[dim]` is 1-D with `.values` and `.attrs`.
    coords = cast(Any, value).coords
    return tuple(_labelled(str(d), size, coords) for d, size in zip(cast(Iterable[object], names), shape, strict=True))


def _labelled(dim: str, size: int, coords: Any) -> Dim:  # xarray's coordinates have no type that core may import
    if dim not in coords:
        return Span(dim, size)
    coord = coords[dim]
    return Axis(dim, coord.values, str(coord.attrs.get("units", "")))


@dataclass(frozen=True, slots=True)
class Group:
    """Variables that are recorded together, inside of the loops `axes` (outermost first). `key` is unique in a run."""

    key: int
    axes: tuple[LoopAxis, ...]
    variables: tuple[Variable, ...]

    def __post_init__(self) -> None:
        for axis in self.axes[1:]:
            if isinstance(axis, OpenAxis):
                raise PlanError(f"axis {axis.name!r} has no known length; only the outermost axis may be open")
        loops = {name for axis in self.axes for name in axis.names}
        for variable in self.variables:
            if variable.name in loops:
                raise PlanError(f"variable {variable.name!r} has the name of the axis it is measured over; rename one")
            for dim in variable.dims:
                if dim.name in loops:
                    raise PlanError(
                        f"variable {variable.name!r} has a dimension {dim.name!r} of its own inside of a sweep over "
                        f"{dim.name!r}; rename one"
                    )

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the loops around, outermost first."""
        return tuple(axis.name for axis in self.axes)

    @property
    def size(self) -> int | None:
        """Number of points that a complete run has here; None if its outermost axis is open."""
        sizes = [axis.size for axis in self.axes]
        return None if None in sizes else math.prod(cast(list[int], sizes))

    def setpoint_text(self, index: int) -> str:
        """Return e.g. `temperature=300 K, voltage=0.31 V` for a C-order index."""
        rest, parts = index, list[str]()
        for axis in reversed(self.axes):
            rest, place = (0, rest) if axis.size is None else divmod(rest, axis.size)
            parts.append(axis.setpoint_text(place))
        return ", ".join(reversed(parts))


def amended(known: Group, group: Group) -> Group:
    """Return `known` with what `group`, declared later by the same key, says of variables that were undecided.

    Raises SchemaError if they differ in anything else.
    """
    same = [(a.name, b.name) for a, b in zip(known.variables, group.variables, strict=False)]
    if known.dims != group.dims or len(known.variables) != len(group.variables) or any(a != b for a, b in same):
        raise SchemaError(f"group {group.key} is declared twice: {_listed(known)}, now {_listed(group)}")
    pairs = zip(known.variables, group.variables, strict=True)
    return replace(known, variables=tuple(_decided(*pair) for pair in pairs))


def _decided(known: Variable, given: Variable) -> Variable:
    if given.undecided:
        return known
    if known.undecided:
        return given
    sized = tuple(
        replace(dim, size=was.size)
        if isinstance(dim, Span) and isinstance(was, Span) and dim.ragged and was.ragged
        else dim
        for dim, was in zip(given.dims, known.dims, strict=False)
    )
    if (given.unit, given.dtype, given.flags) != (known.unit, known.dtype, known.flags) or (
        len(given.dims) != len(known.dims) or not all(map(_same_dim, sized, known.dims))
    ):
        raise SchemaError(
            f"variable {known.name!r}: expected {known.describe()} in {known.unit!r}, got {given.describe()} in {given.unit!r}"
        )
    return known


def _same_dim(one: Dim, other: Dim) -> bool:
    if isinstance(one, Axis) and isinstance(other, Axis):
        return (one.name, one.values, one.unit) == (other.name, other.values, other.unit)
    return one == other


def _listed(group: Group) -> str:
    names = ", ".join(variable.name for variable in group.variables)
    return f"{names} over {', '.join(group.dims) or 'nothing'}"


class Point(NamedTuple):
    """One measured row of a group: whole or absent. `place` is the C-order index in the group's grid."""

    group: int
    place: int
    values: tuple[object, ...]
    time_ns: int


PlainPoint = tuple[int, int, tuple[object, ...], int]
"""A Point as the hot path hands it on. Plain tuples of numbers are left alone by the garbage collector; a NamedTuple
of the same content costs another microsecond per point in full collections of a large process."""


class _Absent:
    """Mark a variable that its pass of the loop did not record."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()
"""What stands for a value that a point does not have."""
