"""What may be logged, kept as a parameter, a text or an array: checked at the door, each error with the way to go."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, SupportsFloat, cast

import numpy as np
from numpy.typing import NDArray

from labnb.core import PlanError, SchemaError, describe_value

_LONGEST = 150  # bytes of a column's name


def merged(given: Sequence[object], named: Mapping[str, object], what: str) -> dict[str, object]:
    """Return mappings and keywords as one dict. Raises PlanError for what is neither, or a name that is no text."""
    found = dict[str, object]()
    for each in given:
        if not isinstance(each, Mapping):
            raise PlanError(f"{what}: expected dicts and keywords, name to value, got {describe_value(each)}")
        found.update(cast("Mapping[str, object]", each))
    found.update(named)
    for name in found:
        if not _is_name(name):
            raise PlanError(f"{what}: a name must be a text that is not empty, got {name!r}")
    return found


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(name.strip())


def number_of(name: str, value: object, what: str) -> float:
    """Return a scalar as the float that is logged. Raises SchemaError for what is none, or does not fit exactly."""
    if isinstance(value, str | bytes):
        raise SchemaError(f"{what}: {name!r} is the text {value!r}, expected a number; save_metadata() keeps texts")
    if isinstance(value, Sequence) or getattr(value, "shape", ()) or getattr(getattr(value, "values", 0), "shape", ()):
        raise SchemaError(
            f"{what}: {name!r} is {describe_value(value)}, expected one number; add_dataset() keeps arrays in time"
        )
    if isinstance(value, complex | np.complexfloating) or not isinstance(value, SupportsFloat):
        more = f"; log {name}_real and {name}_imag" if isinstance(value, complex | np.complexfloating) else ""
        raise SchemaError(f"{what}: {name!r} is {describe_value(value)}, expected a number{more}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise SchemaError(f"{what}: {name!r} is {describe_value(value)}, expected a number: {error}") from error
    if isinstance(value, int | np.integer) and int(value) != int(number):
        raise SchemaError(
            f"{what}: {name!r} is {value}, which a float64 cannot hold exactly (2**53 is the limit); subtract an offset"
        )
    return number


def units_of(given: Mapping[str, object], known: Mapping[str, str]) -> dict[str, str]:
    """Return the units that values bring along, of those that have none yet. Raises SchemaError for another than known."""
    found = dict[str, str]()
    for name, value in given.items():
        unit: object = getattr(value, "unit", None)
        if not isinstance(unit, str) or not unit:
            continue
        if known.get(name, unit) not in (unit, ""):
            raise SchemaError(
                f"add_entry: {name!r} comes in {unit}, but is logged in {known[name]}; convert it, or log it by another name"
            )
        found[name] = unit
    return found


def text_of(name: str, value: object) -> str:
    """Return a text. Raises SchemaError for anything else."""
    if not isinstance(value, str):
        raise SchemaError(
            f"save_metadata: {name!r} is {describe_value(value)}, expected a text; save_parameter() keeps numbers"
        )
    return value


def array_of(name: str, value: object) -> NDArray[Any]:
    """Return a dataset as a little-endian array of numbers. Raises SchemaError for what cannot be kept without pickle."""
    values: object = getattr(value, "values", value)  # of xarray and pandas
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise SchemaError(
            f"add_dataset: {name!r} is ragged: {error}; pad it with NaN, or log its rows apart"
        ) from error
    if array.dtype.kind not in "fiucb":
        raise SchemaError(
            f"add_dataset: {name!r} is {describe_value(value)} (dtype {array.dtype}), expected an array of numbers; "
            "objects are never pickled: give their arrays names of their own, texts go to save_metadata()"
        )
    if not array.shape:
        raise SchemaError(f"add_dataset: {name!r} is the scalar {value!r}, expected an array; add_entry() logs scalars")
    if 0 in array.shape:
        raise SchemaError(
            f"add_dataset: {name!r} is an empty array of shape {array.shape}; expected at least one value"
        )
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def column_of(name: str, used: Collection[str]) -> str:
    """Return what `name` is called on disk: itself if it can be, else something like it. `used` are dims too.

    >>> column_of("T (°C)", ["time_p", "p"])
    'T __C_'
    >>> column_of("p", ["p"])
    'p.2'
    """
    plain = re.sub(r"[^\w.\- ]", "_", name).strip()
    plain = plain if re.match(r"[^\W\d]", plain) else f"v{plain}" if plain[:1] == "_" else f"v_{plain}"
    while len(plain.encode()) > _LONGEST:
        plain = plain[:-1]
    plain = plain.rstrip(" ")
    candidate, k = plain, 1
    while candidate in used or dim_of(candidate) in used or candidate == "zarr.json":
        k += 1
        candidate = f"{plain}.{k}"
    return candidate


def dim_of(column: str) -> str:
    """Return the name of the times of a column."""
    return f"time_{column}"


def from_json(value: object) -> float:
    """Return a parameter as it was saved: JSON has no NaN and infinities of its own."""
    return float(cast(float, value)) if value is not None else math.nan
