"""What a name, a unit and a list of setpoints may be."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import cast

from labnb.core.errors import PlanError

Value = bool | int | float | str
"""A scalar as people write it."""

_NAME = re.compile(r"[^\W\d][\w.\- ]*")


def check_name(name: object, what: str) -> str:
    """Return `name` if it can name a dimension or variable on disk; raise PlanError if not."""
    if isinstance(name, str) and _NAME.fullmatch(name) and name == name.strip():
        return name
    raise PlanError(
        f"{what} name {name!r} cannot be used: expected a text that begins with a letter and goes on with letters, "
        f"digits, '_', '-', '.' or spaces (it becomes a folder of the zarr store, so no '/')"
    )


def check_unit(unit: object, what: str) -> str:
    """Return `unit` as text (None is dimensionless, ""); raise PlanError for anything but text, and for a kind of date."""
    if unit is None:
        return ""
    if isinstance(unit, str):
        if "since" in unit:  # xarray would read the numbers as dates, or could not open the data at all
            raise PlanError(
                f'{what}: unit {unit!r} would be read as a date because of its "since"; expected a unit such as "s", and '
                "since when in the notes or the name"
            )
        return unit
    raise PlanError(f'{what}: unit must be a text such as "V" (or "" for none), got {unit!r} ({type(unit).__name__})')


def listed(value: object) -> object:
    """Return numpy's and xarray's values as Python's own, others as they are."""
    tolist: object = getattr(value, "tolist", None)
    return tolist() if callable(tolist) else value


def plain_values(values: object, what: str) -> tuple[Value, ...]:
    """Return `values` (any iterable, numpy arrays too) as a tuple of plain Python values of one kind."""
    found = listed(values)
    if isinstance(found, str | bytes) or not isinstance(found, Iterable):
        raise PlanError(f"{what}: expected values to sweep (a list, an array, a range), got {values!r}")
    plain = tuple(cast(Iterable[object], found))
    kinds = set(map(type, plain))
    if not kinds <= _KINDS:
        plain = tuple(listed(value) for value in plain)
        kinds = set(map(type, plain))
    if not plain:
        raise PlanError(f"{what} is empty: there is nothing to measure; give it at least one value")
    if not kinds <= _KINDS:
        _refuse(plain, what)
    if float in kinds and not all(map(math.isfinite, cast(tuple[float, ...], plain))):
        _refuse(plain, what)
    if len(kinds - {int}) > 1 or (int in kinds and kinds - {int, float}):
        names = sorted({"number" if kind in (int, float) else kind.__name__ for kind in kinds})
        raise PlanError(f"{what} mixes {' and '.join(names)} values; use one kind")
    return cast(tuple[Value, ...], plain)


_KINDS: frozenset[type] = frozenset({bool, int, float, str})


def _refuse(plain: tuple[object, ...], what: str) -> None:
    """Raise PlanError for the first value that is no finite number and no text."""
    for position, value in enumerate(plain):
        if type(value) not in _KINDS:
            raise PlanError(
                f"{what}: value {position} is {value!r} ({type(value).__name__}); expected numbers or texts in one "
                "dimension"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise PlanError(f"{what}: value {position} is {value!r}; a setpoint must be a finite number")


def values_text(values: Sequence[Value], unit: str) -> str:
    """Return e.g. `0 … 0.8, 81 values V`; a few are all named."""
    shown = (
        ", ".join(format_value(v) for v in values)
        if len(values) <= 4
        else (f"{format_value(values[0])} … {format_value(values[-1])}, {len(values)} values")
    )
    return f"{shown} {unit}".rstrip()


def format_value(value: object) -> str:
    """Return `value` as people write a setpoint: six significant digits, texts as they are."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
