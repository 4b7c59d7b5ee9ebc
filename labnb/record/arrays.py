"""How an axis, a variable, or the times of points become arrays of a zarr store: values only, nothing is written."""

import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from labnb.core import Axis, Group, Json, OpenAxis, SchemaError, Variable
from labnb.core.schema import TEXT
from labnb.record.chunks import CHUNK_BYTES, GROWING_ITEMS, Tiling, tile
from labnb.record.values import Storage, storage_of

NOT_A_TIME = -(2**63)
_TIME = Storage("<i8", "q", NOT_A_TIME)
COMPRESS_FROM = 256
RAGGED_CHUNK_BYTES = 256 << 10
BLOSC_LIMIT = 1 << 31
_BYTES: dict[str, Json] = {"name": "bytes", "configuration": {"endian": "little"}}
_TYPES = {
    "b1": "bool",
    "f2": "float16",
    "f4": "float32",
    "f8": "float64",
    "c8": "complex64",
    "c16": "complex128",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "i8": "int64",
    "u1": "uint8",
    "u2": "uint16",
    "u4": "uint32",
    "u8": "uint64",
}


@dataclass(frozen=True, slots=True, eq=False)
class Whole:
    """What an array becomes when nothing in it is left unmeasured."""

    data_type: str
    fill: Json
    attributes: Mapping[str, Json]


@dataclass(frozen=True, slots=True, eq=False)
class StoredArray:
    """One array of the store. `tiling` cuts the loops, `item` is the shape at one place of them."""

    name: str
    dims: tuple[str, ...]
    tiling: Tiling
    item: tuple[int, ...]
    data_type: str
    fill: Json
    fill_bytes: bytes
    attributes: Mapping[str, Json]
    content: bytes | None = None  # a coordinate's single chunk
    step: float | None = None  # a growing coordinate's distance
    whole: "Whole | None" = None
    is_packed: bool = False
    ragged: bool = False  # `item` is what lies together then, and its own dimensions grow too

    @property
    def own_dims(self) -> tuple[str, ...]:
        """Names of the dimensions that one item has."""
        return self.dims[len(self.tiling.shape) :]

    def shape(self, lengths: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape, growing dimensions taken from `lengths`."""
        loops = zip(self.dims, self.tiling.shape, strict=False)
        item = tuple(lengths.get(dim, 0) for dim in self.own_dims) if self.ragged else self.item
        return (*(lengths.get(dim, 0) if size is None else size for dim, size in loops), *item)

    @property
    def dtype(self) -> "np.dtype[Any]":
        """Numpy's type of the elements; of texts, that of their bytes."""
        return np.dtype(np.uint8) if self.data_type == "string" else np.dtype(self.data_type).newbyteorder("<")

    @property
    def chunk_bytes(self) -> int:
        """Size of a chunk of a growing store."""
        return self.tiling.items * math.prod(self.item) * self.dtype.itemsize

    @property
    def compressed(self) -> bool:
        """Whether packed chunks are compressed: not texts, nor what gains nothing, nor what blosc cannot hold."""
        return self.data_type != "string" and COMPRESS_FROM <= self.chunk_bytes < BLOSC_LIMIT

    def packed(self, *, whole: bool) -> "StoredArray":
        """Return this array as it is kept when the run has ended; `whole` if it is measured everywhere."""
        if whole and self.whole is not None:
            kept = self.whole
            return replace(self, data_type=kept.data_type, fill=kept.fill, attributes=kept.attributes, is_packed=True)
        return replace(self, is_packed=True)

    def _codecs(self) -> list[Json]:
        codecs: list[Json] = [{"name": "vlen-utf8", "configuration": {}} if self.data_type == "string" else _BYTES]
        if self.is_packed and self.compressed:
            settings: dict[str, Json] = {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "blocksize": 0}
            codecs.append({"name": "blosc", "configuration": {"typesize": self.dtype.itemsize, **settings}})
        if self.is_packed:
            codecs.append({"name": "crc32c"})
        return codecs

    def document(self, lengths: Mapping[str, int]) -> dict[str, Json]:
        """Return zarr's metadata of this array."""
        keys = "v2" if self.is_packed else "default"
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape(lengths)),
            "data_type": self.data_type,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [*self.tiling.tile, *self.item]}},
            "chunk_key_encoding": {"name": keys, "configuration": {"separator": "."}},
            "fill_value": self.fill,
            "codecs": self._codecs(),
            "attributes": dict(self.attributes),
            "dimension_names": list(self.dims),
            "storage_transformers": [],
        }


def length_names(variable: Variable) -> tuple[str, ...]:
    """Return the names of the variables that say how long a ragged one is at every point, one for each dimension."""
    if not variable.ragged:
        return ()
    count = len(variable.dims)
    return tuple(f"{variable.name}_length" + (f"_{k}" if count > 1 else "") for k in range(count))


def _described(unit: str, notes: str) -> dict[str, Json]:
    described: dict[str, Json] = {"units": unit} if unit else {}
    if notes:
        described["long_name"] = notes
    return described


def coordinate(axis: Axis | OpenAxis) -> StoredArray:
    """Return the array of an axis's values."""
    attributes = _described(axis.unit, axis.notes)
    if isinstance(axis, OpenAxis):
        tiling = Tiling((None,), (GROWING_ITEMS,), 0)
        fill = np.array(np.nan).tobytes()
        return StoredArray(axis.name, (axis.name,), tiling, (), "float64", "NaN", fill, attributes, step=axis.step)
    data_type, fill_value, content = _encode(axis.values, axis.name)
    tiling = Tiling((axis.size,), (axis.size,), 0)
    return StoredArray(axis.name, (axis.name,), tiling, (), data_type, fill_value, b"\0", attributes, content)


def _encode(values: tuple[Any, ...], name: str) -> tuple[str, Json, bytes]:  # bool, int, float or str
    kinds = set(map(type, values))
    if kinds == {bool}:
        return "bool", False, np.array(values, "|b1").tobytes()
    if kinds == {str}:
        return "string", "", text_chunk([text_bytes(text) for text in values])
    if kinds == {float}:
        return "float64", "NaN", np.array(values, "<f8").tobytes()
    if kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63:
        return "int64", 0, np.array(values, "<i8").tobytes()
    try:
        return "float64", "NaN", np.array([float(value) for value in values], "<f8").tobytes()
    except OverflowError as error:
        raise SchemaError(f"axis {name!r}: a value is too large for a float64") from error


def time_array(name: str, group: Group, loops: tuple[int | None, ...]) -> StoredArray:
    """Return the array of the times of a group's points, in nanoseconds."""
    attributes: dict[str, Json] = {"units": "nanoseconds since 1970-01-01", "calendar": "proleptic_gregorian"}
    attributes |= {"standard_name": "time", "long_name": "time of the point"}
    attributes["comment"] = (
        "where it is missing nothing is measured yet; until the run has ended, only what has a time is whole"
    )
    return StoredArray(name, group.dims, tile(loops, 8), (), "int64", NOT_A_TIME, _TIME.fill_bytes, attributes)


def _attributes(variable: Variable, group: Group, time_name: str) -> dict[str, Json]:
    others = (other for axis in group.axes if isinstance(axis, Axis) for other in axis.names[1:])
    coordinates = " ".join((time_name, *(name for name in others if " " not in name)))  # CF's list has spaces between
    return _described(variable.unit, variable.notes) | {"coordinates": coordinates}


def _text_array(variable: Variable, group: Group, loops: tuple[int | None, ...], time_name: str) -> StoredArray:
    tiling = tile(loops, CHUNK_BYTES // GROWING_ITEMS)  # a chunk of texts is written as a whole again and again
    attributes = _attributes(variable, group, time_name)
    return StoredArray(variable.name, group.dims, tiling, (), "string", "", b"\0", attributes)


def arrays_of(variable: Variable, group: Group, loops: tuple[int | None, ...], time_name: str) -> Iterable[StoredArray]:
    """Yield the array of a variable, and of a ragged one those of its lengths."""
    yield _variable_array(variable, group, loops, time_name)
    for name, dim in zip(length_names(variable), variable.dims, strict=False):
        attributes = _attributes(Variable(name), group, time_name) | {"_FillValue": -1}
        attributes["long_name"] = f"length of {variable.name} along {dim.name}"
        plain = {key: value for key, value in attributes.items() if key != "_FillValue"}
        fill = np.array(-1, "<i8").tobytes()
        whole = Whole("int64", 0, plain)
        yield StoredArray(name, group.dims, tile(loops, 8), (), "int64", -1, fill, attributes, whole=whole)


def _variable_array(variable: Variable, group: Group, loops: tuple[int | None, ...], time_name: str) -> StoredArray:
    if variable.dtype == TEXT:
        return _text_array(variable, group, loops, time_name)
    storage = storage_of(variable)
    plain = _attributes(variable, group, time_name)
    plain |= _kind_attributes(variable)
    attributes = dict(plain)
    if storage.masked:
        attributes["_FillValue"] = cast(int, storage.fill)
    if variable.dtype == "|b1":
        attributes |= {"flag_values": [0, 1], "flag_meanings": "false true"}
    dims = (*group.dims, *(dim.name for dim in variable.dims))
    fill = storage.fill_bytes
    item_bytes = len(fill) * int(np.prod(variable.shape))
    # What is longer than others has chunks of its own, each with a piece of it: they are small.
    tiling = tile(loops, item_bytes * (CHUNK_BYTES // RAGGED_CHUNK_BYTES) if variable.ragged else item_bytes)
    data_type = _TYPES[storage.dtype[1:]]
    whole = None
    if storage.whole is not None:
        whole = Whole(_TYPES[storage.whole[1:]], False if storage.whole == "|b1" else 0, plain)
    ragged = variable.ragged
    item, fill_json = variable.shape, storage.fill_json
    return StoredArray(
        variable.name, dims, tiling, item, data_type, fill_json, fill, attributes, whole=whole, ragged=ragged
    )


def _kind_attributes(variable: Variable) -> dict[str, Json]:
    """Return what CF says of flags and of arrays that are padded."""
    if variable.flags:
        names, masks = zip(*variable.flags, strict=True)
        return {"flag_masks": list(masks), "flag_meanings": " ".join(names)}
    if variable.ragged:
        lengths = length_names(variable)
        text = f"padded: at each point only as many values were measured as {' and '.join(lengths)} says"
        return {"ancillary_variables": " ".join(lengths), "comment": text}
    return {}


def text_bytes(text: str) -> bytes:
    """Return one element of a chunk of texts."""
    data = text.encode()
    return struct.pack("<I", len(data)) + data


def text_chunk(elements: Sequence[bytes]) -> bytes:
    """Return a chunk of texts, given its elements, as zarr's codec `vlen-utf8` lays it out."""
    return struct.pack("<I", len(elements)) + b"".join(elements)


def growing_content(array: StoredArray, chunk: int) -> bytes:
    """Return the bytes of one chunk of a growing coordinate: place times step."""
    first = chunk * GROWING_ITEMS
    return (np.arange(first, first + GROWING_ITEMS) * cast(float, array.step)).astype("<f8").tobytes()


def root_text(attributes: Mapping[str, Json], arrays: Mapping[str, str]) -> str:
    """Return the store's root metadata with those of all arrays, given as JSON text, inline."""
    inline = ",".join(f"{json.dumps(name)}:{text}" for name, text in arrays.items())
    return (
        f'{{"zarr_format":3,"node_type":"group","attributes":{json.dumps(attributes, allow_nan=False)},'
        '"consolidated_metadata":{"kind":"inline","must_understand":false,"metadata":{' + inline + "}}}"
    )
