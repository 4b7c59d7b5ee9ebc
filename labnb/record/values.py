"""Which values a variable takes, and how one of them lies on disk.

| declared       | on disk           | not measured        | also taken                                   |
|----------------|-------------------|---------------------|----------------------------------------------|
| `<f8`          | float64           | NaN                 | int, any numpy float or int up to 8 bytes    |
| `<f4`, `<f2`   | float32, float16  | NaN                 | numpy floats that are not wider              |
| `<i…`, `<u…`   | a wider int ¹     | its smallest ²      | int and numpy ints that fit                  |
| `<c16`, `<c8`  | the same          | NaN+NaNj            | numbers that fit without loss                |
| `|b1`          | int8, CF flags ¹  | -1                  | bool and numpy.bool only                     |
| `str`          | string            | ""                  | text, members of an `Enum` by their names    |
| flags          | a wider int ¹     | its smallest        | members of the same `Flag`, whole numbers    |
| ragged         | as a number, NaN-padded  | length -1    | arrays of as many dimensions, of any length  |

¹ What was not measured needs a value that no measurement can have (CF's `_FillValue`), and xarray reads such arrays as
floats with NaN. So numbers of 8, 16 and 32 bit are kept one size wider, and all of their values can be recorded. When
the run has ended and every place is measured, the variable gets the type that was measured, without a fill value: it
reads as uint8 or bool again. One with gaps stays as it is. `mask_and_scale=False` shows the ints at any time.
² Of 64 bit there is no wider type: the smallest int64 and the largest uint64 cannot be recorded. The same holds for the
elements of arrays of 32 and 64 bit. Arrays of 8 and 16 bit have no `_FillValue`: a saturated pixel is a value, `t` says
what was measured.

Refused rather than bent: True in a number, a float in an int, a Python float in a float32, arrays of one element,
masked arrays, None, a number in a text.
"""

from dataclasses import dataclass
from enum import Enum, Flag
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from labnb.core import ABSENT, Axis, Json, SchemaError, Variable, describe_value
from labnb.core.schema import TEXT, flags_of

_CODES = {
    "f2": "e",
    "f4": "f",
    "f8": "d",
    "c8": "ff",
    "c16": "dd",
    "b1": "b",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
}


@dataclass(frozen=True, slots=True)
class Storage:
    """How the elements of a variable are stored: `code` is struct's, `reserved` a value that cannot be recorded.

    `masked` says that the fill value marks what was not measured; `whole` is the dtype of what is measured everywhere.
    """

    dtype: str
    code: str
    fill: float | complex
    reserved: int | None = None
    masked: bool = False
    whole: str | None = None

    @property
    def fill_bytes(self) -> bytes:
        """Bytes of one element that was not measured."""
        return np.array(self.fill, self.dtype).tobytes()

    @property
    def fill_json(self) -> Json:
        """The fill value as zarr's metadata spell it."""
        if isinstance(self.fill, complex):
            return ["NaN", "NaN"]
        return "NaN" if isinstance(self.fill, float) else self.fill

    @property
    def parts(self) -> tuple[float, ...]:
        """The fill value as the numbers that `code` packs."""
        return (self.fill.real, self.fill.imag) if isinstance(self.fill, complex) else (self.fill,)


def storage_of(variable: Variable) -> Storage:
    """Return how `variable` is stored. Raises SchemaError for a dtype that has no portable form on disk."""
    if variable.dtype == TEXT:
        return Storage("<i4", "i", -1)  # the place of the text among those of the journal
    kind = variable.dtype[1:]
    if kind not in _CODES:
        raise SchemaError(
            f"variable {variable.name!r}: values of dtype {np.dtype(variable.dtype).name} cannot be stored; "
            "expected floats up to 64 bit, ints up to 64 bit, complex64, complex128, bool or text"
        )
    code = _CODES[kind]
    if kind == "b1":
        return Storage("|i1", code, -1, masked=True, whole="|b1")
    if kind[0] in "iu":
        return _whole_number(variable, kind)
    return Storage(np.dtype("<" + kind).str, code, complex(np.nan, np.nan) if kind[0] == "c" else float("nan"))


def _whole_number(variable: Variable, kind: str) -> Storage:
    given = np.dtype("<" + kind)
    if (not variable.dims or variable.ragged) and given.itemsize < 8:  # what pads a ragged array is no measured value
        wide = np.dtype(f"<i{2 * given.itemsize}")
        return Storage(wide.str, _CODES[wide.str[1:]], int(np.iinfo(wide).min), masked=True, whole=given.str)
    limit = int(np.iinfo(given).min if kind[0] == "i" else np.iinfo(given).max)
    if given.itemsize < 4:
        return Storage(given.str, _CODES[kind], limit)
    return Storage(given.str, _CODES[kind], limit, limit, masked=True, whole=given.str)


def takes(variable: Variable, kind: type) -> bool:
    """Whether a scalar of this type can be packed as it is, without losing anything but by its range."""
    if variable.dtype == TEXT or variable.undecided or (issubclass(kind, Flag) and flags_of(kind) != variable.flags):
        return False
    if issubclass(kind, bool | np.bool | np.timedelta64):
        return kind is bool and variable.dtype == "|b1"
    wanted = variable.dtype[1]
    if issubclass(kind, int | np.integer):
        return wanted in "iu" or variable.dtype in ("<f8", "<c16")
    if issubclass(kind, float | np.floating):
        return wanted in "fc" and _width(kind) <= _part_width(variable)
    return (
        issubclass(kind, complex | np.complexfloating) and wanted == "c" and _width(kind) <= 2 * _part_width(variable)
    )


def _width(kind: type) -> int:
    return np.dtype(cast(Any, kind)).itemsize if issubclass(kind, np.generic) else 16 if kind is complex else 8


def _part_width(variable: Variable) -> int:
    size = np.dtype(variable.dtype).itemsize
    return size // 2 if variable.dtype[1] == "c" else size


def fit_scalar(variable: Variable, storage: Storage, value: object, where: str) -> Any:  # a number of any type
    """Return `value` (or the fill value for ABSENT) as a number that struct packs. Raises SchemaError."""
    if value is ABSENT:
        return storage.fill
    if variable.dtype == TEXT:
        return _text(variable, value, where)
    number = _plain(variable, value)
    if variable.dtype == "|b1" and isinstance(number, bool | np.bool):
        return bool(number)
    if not takes(variable, type(number)):
        raise misfit(variable, value, where)
    if variable.dtype[1] in "iu" and not _in_range(variable, cast(int, number)):
        raise misfit(variable, value, where)
    if storage.reserved is not None and number == storage.reserved:
        raise reserved(variable, storage, where)
    return number


def _plain(variable: Variable, value: object) -> object:
    """Return the number in an array without dimensions, or behind a member of the variable's own flags."""
    if getattr(value, "shape", None) == () and hasattr(value, "dtype") and not _masked(value):
        return np.asarray(value)[()]
    if isinstance(value, Flag) and variable.flags and flags_of(type(value)) == variable.flags:
        return int(value.value)
    return value


def _text(variable: Variable, value: object, where: str) -> str:
    text = value.name if isinstance(value, Enum) and not isinstance(value, Flag) else value
    if not isinstance(text, str):
        raise misfit(variable, value, where)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise misfit(variable, value, where) from error
    return str(text)


def _in_range(variable: Variable, number: int) -> bool:
    limits = np.iinfo(variable.dtype)
    return int(limits.min) <= int(number) <= int(limits.max)


def always_fits(variable: Variable, storage: Storage, kind: type) -> bool:
    """Whether every value of this type can be packed without a look at it; `struct` finds out about 64 bit itself."""
    if not takes(variable, kind):
        return False
    if storage.whole is None or variable.dtype[1] not in "iu" or storage.whole == storage.dtype:
        return True
    return issubclass(kind, np.integer) and np.can_cast(kind, variable.dtype, "safe")


def fit_array(variable: Variable, storage: Storage, value: object, where: str) -> bytes | memoryview:
    """Return the bytes of one array as they lie on disk (C order, little endian). Raises SchemaError."""
    if value is ABSENT:
        return storage.fill_bytes * int(np.prod(variable.shape))
    if getattr(value, "shape", None) != variable.shape:
        raise misfit(variable, value, where)
    _check_labels(variable, value, where)
    return _stored(variable, storage, value, where).reshape(-1).view(np.uint8).data


def fit_ragged(variable: Variable, storage: Storage, value: object, where: str) -> NDArray[Any]:
    """Return one ragged array as it lies on disk; ABSENT is an empty one. Raises SchemaError."""
    if value is ABSENT:
        return np.empty((0,) * len(variable.dims), storage.dtype)
    shape: object = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or len(cast("tuple[int, ...]", shape)) != len(variable.dims):
        raise misfit(variable, value, where)
    _check_labels(variable, value, where)
    return _stored(variable, storage, value, where)


def _stored(variable: Variable, storage: Storage, value: object, where: str) -> NDArray[Any]:
    """Return an array in the type that is stored, if nothing is lost by that."""
    dtype = getattr(value, "dtype", None)
    if not isinstance(dtype, np.dtype) or _masked(value):
        raise misfit(variable, value, where)
    given, wanted = cast("np.dtype[Any]", dtype), np.dtype(variable.dtype)
    if given.newbyteorder("<") != wanted and (
        "b" in (given.kind, wanted.kind) or not np.can_cast(given, wanted, "safe")
    ):
        raise misfit(variable, value, where)
    array: NDArray[Any] = np.ascontiguousarray(value, wanted).astype(storage.dtype, copy=False)
    if storage.reserved is not None and (array == storage.reserved).any():
        raise reserved(variable, storage, where)
    return array


def _check_labels(variable: Variable, value: object, where: str) -> None:
    """Refuse a labelled (xarray) array whose dimensions or coordinates are not those of the first one."""
    names: object = getattr(value, "dims", None)
    if not isinstance(names, tuple):
        return
    wanted = tuple(dim.name for dim in variable.dims)
    if names != wanted:
        raise SchemaError(
            f"variable {variable.name!r}, {where}: expected dimensions {wanted}, got {cast(object, names)}"
        )
    coords = cast(Any, value).coords  # xarray is not imported to record
    for dim in variable.dims:
        if isinstance(dim, Axis) and dim.name in coords and not np.array_equal(coords[dim.name].values, dim.values):
            raise SchemaError(
                f"variable {variable.name!r}, {where}: the coordinate {dim.name!r} differs from that of the first array; "
                "record it as a variable of its own if it changes from point to point"
            )


def _masked(value: object) -> bool:
    return isinstance(value, np.ma.MaskedArray)


def misfit(variable: Variable, value: object, where: str) -> SchemaError:
    """Return the error for a value of another kind, shape or dtype than its variable's."""
    hint = "; fill it first, e.g. by .filled(numpy.nan)" if _masked(value) else _length_hint(variable, value)
    return SchemaError(
        f"variable {variable.name!r}, {where}: expected {_expected(variable)}, got {_got(value)}{hint}; "
        "this point is not stored, those before it are kept"
    )


def _length_hint(variable: Variable, value: object) -> str:
    shape: object = getattr(value, "shape", None)
    if not isinstance(shape, tuple) or variable.ragged or len(cast("tuple[int, ...]", shape)) != len(variable.dims):
        return ""
    return "; record ragged(values) if its length differs from point to point" if variable.dims else ""


def reserved(variable: Variable, storage: Storage, where: str) -> SchemaError:
    """Return the error for a measured value that would read as not measured."""
    return SchemaError(
        f"variable {variable.name!r}, {where}: {storage.reserved} marks 'not measured' in {np.dtype(storage.dtype).name} "
        "and cannot be recorded as a value; record it in a wider type, e.g. float(value)"
    )


def _expected(variable: Variable) -> str:
    return (
        variable.describe()
        if variable.dims or variable.dtype == TEXT or variable.flags
        else f"a {variable.describe()} ({np.dtype(variable.dtype).name})"
    )


def _got(value: object) -> str:
    dtype = getattr(value, "dtype", None)
    return describe_value(value) + (f" of {dtype}" if getattr(value, "shape", None) == () and dtype is not None else "")
