"""How a point of a group becomes numbers for the journal and items for array files, or an error that says why not."""

import struct
from collections.abc import Mapping, Sequence

from labnb.core import ABSENT, Point, SchemaError, Variable
from labnb.record.chunks import ChunkFiles
from labnb.record.journal import RowCodec
from labnb.record.values import Storage, always_fits, fit_array, fit_scalar, misfit, storage_of

Item = tuple[ChunkFiles, bytes | memoryview]


class Row:
    """What is needed to store the points of one group; `admitted` are types of values that can be packed as they are."""

    __slots__ = (
        "admitted",
        "arrays",
        "codec",
        "columns",
        "group",
        "index",
        "length",
        "pack",
        "reserved",
        "size",
        "total",
    )

    def __init__(self, codec: RowCodec, arrays: Mapping[str, ChunkFiles]) -> None:
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

    def fit(self, point: Point, where: str) -> tuple[list[float | str], list[Item]]:
        """Return the numbers and texts of a row and the items of its arrays. Raises SchemaError if a value does not fit."""
        if len(point.values) != len(self.columns):
            raise SchemaError(f"{where}: expected {len(self.columns)} values, got {len(point.values)}")
        if all(value is ABSENT for value in point.values):
            raise SchemaError(f"{where}: it has no value at all")
        numbers: list[float | str] = []
        items: list[Item] = []
        for (variable, storage), value in zip(self.columns, point.values, strict=True):
            if variable.dims:
                items.append((self.arrays[variable.name], fit_array(variable, storage, value, where)))
            else:
                numbers.extend(packed(variable, storage, value, where))
        return numbers, items


def packed(variable: Variable, storage: Storage, value: object, where: str) -> tuple[float | str, ...]:
    """Return the numbers that struct packs for one scalar, or a text. Raises SchemaError if it is out of range."""
    if value is ABSENT:
        return storage.parts
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
