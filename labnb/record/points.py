"""How a point of a group becomes numbers for the journal and items for array files, or an error that says why not."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from labnb.core import ABSENT, Point, SchemaError, Variable
from labnb.record.chunks import ChunkFiles
from labnb.record.journal import RowCodec
from labnb.record.pieces import Pieces
from labnb.record.values import Storage, always_fits, fit_array, fit_ragged, fit_scalar, misfit, storage_of

Item = tuple[ChunkFiles, bytes | memoryview]
Array = tuple[int, "bytes | memoryview | NDArray[Any]"]
"""The number of a variable, and its array: bytes as they lie on the disk, or a ragged one."""


class Row:
    """What is needed to store the points of one group; `admitted` are types of values that can be packed as they are."""

    __slots__ = (
        "_begun",
        "admitted",
        "arrays",
        "codec",
        "columns",
        "group",
        "had",
        "index",
        "length",
        "pack",
        "reserved",
        "size",
        "total",
    )

    def __init__(
        self, codec: RowCodec, arrays: "Mapping[str, ChunkFiles | Pieces]", had: "Places | None" = None
    ) -> None:
        """`had` are the places that have a point already, whose arrays may not be overwritten."""
        group = codec.group
        self.codec = codec
        self.group = group
        self.arrays = arrays
        self.index, self.length, self.total, self.pack = codec.index, codec.length, codec.total, codec.pack
        self.size = 1 << 62 if group.size is None else group.size
        self.columns: list[tuple[Variable, Storage]] = [(v, storage_of(v)) for v in group.variables]
        self.reserved = [
            (k, s.reserved) for k, (v, s) in enumerate(self.columns) if not v.dims and s.reserved is not None
        ]
        self.admitted: set[tuple[type, ...]] = set()
        self.had = Places() if had is None else had
        self._begun = Places()

    @property
    def undecided(self) -> bool:
        """Whether there are variables that no value has come of yet."""
        return any(variable.undecided for variable, _ in self.columns)

    def admit(self, kinds: tuple[type, ...]) -> None:
        """Let values of these types go straight through from now on, if they can."""
        if all(
            not v.dims and len(s.code) == 1 and always_fits(v, s, kind)
            for (v, s), kind in zip(self.columns, kinds, strict=True)
        ):
            self.admitted.add(kinds)

    def where(self, point: Point) -> str:
        """Return the point's place and setpoint, for messages. Raises SchemaError if it lies outside of the grid."""
        place = point.place
        if isinstance(place, bool) or not hasattr(place, "__index__") or not 0 <= place < self.size:
            raise SchemaError(f"point {place!r} lies outside of the {self.size} places over {self.group.dims}")
        setpoint = self.group.setpoint_text(place)
        return f"point {place} ({setpoint})" if setpoint else f"point {place}"

    def fit(self, point: Point, where: str) -> tuple[list[float | str], list[Array]]:
        """Return the numbers and texts of a row, and its arrays. Raises SchemaError if a value does not fit."""
        if len(point.values) != len(self.columns):
            raise SchemaError(f"{where}: expected {len(self.columns)} values, got {len(point.values)}")
        if all(value is ABSENT for value in point.values):
            raise SchemaError(f"{where}: it has no value at all")
        numbers: list[float | str] = []
        arrays: list[Array] = []
        for k, ((variable, storage), value) in enumerate(zip(self.columns, point.values, strict=True)):
            if variable.ragged:
                array = fit_ragged(variable, storage, value, where)
                arrays.append((k, array))
                numbers.extend((-1,) * array.ndim if value is ABSENT else array.shape)
            elif variable.dims:
                arrays.append((k, fit_array(variable, storage, value, where)))
            else:
                numbers.extend(packed(variable, storage, value, where))
        return numbers, arrays

    def items(self, place: int, arrays: Iterable[Array]) -> Iterator[Item]:
        """Yield what has to be written for the arrays of a place that has no point yet."""
        again = place in self._begun  # an earlier try was not acknowledged, and may have been longer
        self._begun.add(place)
        for k, array in arrays:
            files = self.arrays[self.columns[k][0].name]
            if isinstance(files, Pieces):
                value = cast("NDArray[Any]", array)
                yield from files.cut(place, value, None if again else value.shape)
            else:
                yield files, cast(memoryview, array)


def whole_array(array: Array) -> tuple[int, bytes | memoryview]:
    """Return an array as bytes."""
    k, data = array
    return k, data.tobytes() if isinstance(data, np.ndarray) else data


class Places:
    """A growing set of places, a byte for each."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks = bytearray()

    def __contains__(self, place: int) -> bool:
        return place < len(self._marks) and bool(self._marks[place])

    def add(self, place: int) -> None:
        """Mark one more."""
        self.update(np.array([place]))

    def update(self, places: "NDArray[np.int64]") -> None:
        """Mark some more."""
        if len(places):
            self._marks.extend(bytes(max(0, int(places.max()) + 1 - len(self._marks))))
            np.frombuffer(self._marks, np.uint8)[places] = 1


def packed(variable: Variable, storage: Storage, value: object, where: str) -> tuple[float | str, ...]:
    """Return the numbers that struct packs for one scalar, or a text. Raises SchemaError if it is out of range."""
    if value is ABSENT:
        return storage.parts
    if variable.undecided:
        raise SchemaError(
            f"variable {variable.name!r}, {where}: its group has to be declared anew with its first value"
        )
    number = fit_scalar(variable, storage, value, where)
    if isinstance(number, str):
        return (number,)
    parts = (number.real, number.imag) if len(storage.code) == 2 else (number,)
    try:
        struct.pack("<" + storage.code, *parts)
    except (struct.error, OverflowError) as error:
        raise misfit(variable, value, where) from error
    return parts


def row_record(row: Row, point: Point, numbers: Sequence[float], where: str) -> bytes:
    """Return the journal record of a point. Raises SchemaError if its time is no whole number."""
    try:
        return row.codec.record(point.place, point.time_ns, *numbers)
    except (struct.error, OverflowError) as error:
        raise SchemaError(f"{where}: expected its time as whole nanoseconds, got {point.time_ns!r}") from error
