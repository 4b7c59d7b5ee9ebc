"""How any value of a run's metadata becomes JSON that every reader accepts."""

import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from enum import Enum
from pathlib import PurePath
from typing import cast

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What JSON can say."""

_DEPTH = 32


def to_jsonable(value: object, *, depth: int = _DEPTH) -> Json:
    """Return `value` as plain JSON types.

    NaN and infinities become the texts "NaN", "Infinity", "-Infinity" (bare ones are not JSON), complex numbers
    {"real", "imag"}, dates ISO 8601, durations seconds, paths text, dataclasses and mappings objects, numpy values
    lists and numbers. What has no JSON form becomes its `repr`, so that saving metadata never fails.
    """
    if value is None or (isinstance(value, bool | str) and not isinstance(value, Enum)):
        return value
    if depth <= 0:
        return repr(value)
    if isinstance(value, Enum):
        return to_jsonable(value.value, depth=depth - 1)
    if isinstance(value, int | float | complex):
        return _number(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    return _container(value, depth - 1)


def _number(value: complex) -> Json:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return {"real": _number(value.real), "imag": _number(value.imag)}


def _container(value: object, depth: int) -> Json:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_jsonable(getattr(value, f.name), depth=depth) for f in fields(value)}
    if isinstance(value, Mapping):
        items = cast(Mapping[object, object], value).items()
        return {str(key): to_jsonable(item, depth=depth) for key, item in items}
    if isinstance(value, list | tuple):
        return [to_jsonable(item, depth=depth) for item in cast(Iterable[object], value)]
    if isinstance(value, AbstractSet):
        return sorted((to_jsonable(item, depth=depth) for item in cast(Iterable[object], value)), key=str)
    tolist: object = getattr(value, "tolist", None)
    if callable(tolist) and not isinstance(value, type):
        return to_jsonable(tolist(), depth=depth)
    return repr(value)
