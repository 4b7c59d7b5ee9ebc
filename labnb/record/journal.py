"""How points and groups become journal records and back: a pure codec, no file.

```
"labnbj01" | synced offset u64, crc32 u32, 0 u32                          start of the file
length u32 | crc32 u32 | kind u32, payload                                a record; crc over kind and payload,
                         ├─ group index u32, place i64, time i64, scalars  seeded by the length
                         ├─ RUN    JSON: what the journal belongs to
                         ├─ GROUP  JSON: a declared group; the n-th one gets index n, one of a known key amends it
                         ├─ AGAIN  a row as above, then the arrays of a point whose place had others before
                         └─ TEXT   a text, UTF-8; rows speak of the n-th one by n
```
Rows of one group all have the same length, so that numpy reads thousands of them at once. Replay is idempotent.
"""

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from labnb.core import Axis, Group, LabnbError, LogAxis, OpenAxis, RecordError, Span, Variable
from labnb.core.axes import LoopAxis
from labnb.core.schema import Dim
from labnb.core.values import Value
from labnb.record.values import storage_of

MAGIC = b"labnbj01"
START = len(MAGIC) + 16
RUN, GROUP, TEXT, AGAIN = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFC
HEAD = struct.Struct("<II")
_PEEK = struct.Struct("<III")
_KIND = struct.Struct("<I")
_SLOT = struct.Struct("<QII")
_ARRAY = struct.Struct("<IQ")
_ROW = "<Iqq"
_MANY = 1000  # values of an axis, from which on they are packed

Rows = NDArray[Any]  # structured: length, crc, group, place, time, then v<k> per scalar variable k


def frame(payload: bytes) -> bytes:
    """Return `payload` as one record."""
    return HEAD.pack(len(payload), crc32(payload, len(payload))) + payload


def slot(offset: int) -> bytes:
    """Return the mark that everything before `offset` is on the disk; it lies behind the magic."""
    return _SLOT.pack(offset, crc32(offset.to_bytes(8, "little")), 0)


def read_start(data: bytes) -> int:
    """Return the synced offset of a journal's start. Raises RecordError if it is not a journal."""
    if len(data) < START or data[: len(MAGIC)] != MAGIC:
        raise RecordError(f"expected a journal that begins with {MAGIC!r}, got {data[: len(MAGIC)]!r}")
    offset, check, _ = _SLOT.unpack_from(data, len(MAGIC))
    return offset if check == crc32(cast(int, offset).to_bytes(8, "little")) else START


def pending_bytes(head: bytes) -> int:
    """Return how long the record with this beginning is if it is no row: a process may die in the middle of a long one."""
    if len(head) < _PEEK.size or _PEEK.unpack(head)[2] < AGAIN:
        return 0
    return HEAD.size + _PEEK.unpack(head)[0]


def run_record(facts: Mapping[str, str]) -> bytes:
    """Return the first record of a journal: run id and the boot of the computer that writes it."""
    return frame(_KIND.pack(RUN) + json.dumps(dict(facts)).encode())


def group_record(group: Group) -> bytes:
    """Return the record that declares `group`."""
    return frame(_KIND.pack(GROUP) + json.dumps(group_document(group)).encode())


def text_record(text: str) -> bytes:
    """Return the record that gives the next number to `text`."""
    return frame(_KIND.pack(TEXT) + text.encode())


def again_record(row: bytes, arrays: Iterable[tuple[int, bytes | memoryview]]) -> bytes:
    """Return the record of a point that replaces one with arrays: `row` as `RowCodec.record` gave it, arrays by variable.

    It is one record, so that a point is replaced as a whole or not at all.
    """
    parts = [row[HEAD.size :], *(part for k, data in arrays for part in (_ARRAY.pack(k, len(data)), data))]
    return frame(_PEEK_ROW.pack(AGAIN, len(parts[0])) + b"".join(parts))


_PEEK_ROW = struct.Struct("<II")


class RowCodec:
    """Packs the rows of one group. Array variables have no place in a row, but for the lengths of ragged ones."""

    __slots__ = ("dtype", "group", "index", "length", "pack", "total")

    def __init__(self, index: int, group: Group) -> None:
        kept = [(k, v) for k, v in enumerate(group.variables) if v.ragged or not v.dims]
        codes = ("q" * len(v.dims) if v.ragged else storage_of(v).code for _, v in kept)
        packer = struct.Struct(_ROW + "".join(codes))
        self.index = index
        self.group = group
        self.pack = packer.pack
        self.length = packer.size
        self.total = HEAD.size + packer.size
        fields: list[Any] = [("length", "<u4"), ("crc", "<u4"), ("group", "<u4"), ("place", "<i8"), ("time", "<i8")]
        fields += [(f"v{k}", "<i8", (len(v.dims),)) if v.ragged else (f"v{k}", storage_of(v).dtype) for k, v in kept]
        self.dtype: np.dtype[Any] = np.dtype(fields)  # numpy's own notation

    def record(self, place: int, time_ns: int, *scalars: float) -> bytes:
        """Return one row as a record; complex numbers are given as two. Raises struct.error if one does not fit."""
        return frame(self.pack(self.index, place, time_ns, *scalars))


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive rows of one group; `offset` is where they begin in what was fed so far.

    `arrays` are those of its only row, by variable, if they replace others that its place had.
    """

    codec: RowCodec
    rows: Rows
    offset: int
    arrays: tuple[tuple[int, bytes], ...] = ()


def gathered(batches: Sequence[Batch]) -> list[Batch]:
    """Return the same rows as one batch for each group, the one with the latest row last.

    Groups that take turns, as the variables of a log do, come in batches of one row each. Their offsets are lost.
    Where arrays replace others, all stays in its order.
    """
    if len(batches) < 2 or any(batch.arrays for batch in batches):
        return list(batches)
    by_group: dict[int, list[Batch]] = {}
    for batch in batches:
        same = by_group.pop(batch.codec.index, [])  # put back behind all others
        same.append(batch)
        by_group[batch.codec.index] = same
    return [
        each[0] if len(each) == 1 else Batch(each[0].codec, np.concatenate([b.rows for b in each]), each[0].offset)
        for each in by_group.values()
    ]


class Scanner:
    """Reads records in the order in which they were written, however the file is cut into pieces.

    A record that is incomplete, or whose checksum is wrong, is not read, nor is anything behind it.
    """

    def __init__(self, *, verify: bool) -> None:
        """`verify` checks every row; a writer that follows its own journal checks only the last of each batch."""
        self._verify = verify
        self.codecs: list[RowCodec] = []
        self.texts: list[str] = []
        self.facts: Mapping[str, str] = {}
        self.offset = START

    def feed(self, data: bytes) -> list[Batch | Group]:
        """Return what `data`, the bytes from `offset` on, holds; `offset` moves behind it."""
        found: list[Batch | Group] = []
        at = 0
        while (size := self._next(data, at, found)) > 0:
            at += size
            self.offset += size
        return found

    def _next(self, data: bytes, at: int, found: list[Batch | Group]) -> int:
        if len(data) - at < _PEEK.size:
            return 0
        length, check, kind = _PEEK.unpack_from(data, at)
        if length < _KIND.size or at + HEAD.size + length > len(data):
            return 0
        if kind < len(self.codecs):
            return self._rows(data, at, self.codecs[kind], length, found)
        payload = data[at + HEAD.size : at + HEAD.size + length]
        if check != crc32(payload, length):
            return 0
        return HEAD.size + length if self._control(kind, payload[_KIND.size :], found) else 0

    def _control(self, kind: int, payload: bytes, found: list[Batch | Group]) -> bool:
        if kind == RUN:
            self.facts = cast(dict[str, str], json.loads(payload))
        elif kind == TEXT:
            self.texts.append(payload.decode())
        elif kind == GROUP:
            group = group_from(json.loads(payload))
            self.codecs.append(RowCodec(len(self.codecs), group))
            found.append(group)
        elif kind == AGAIN:
            found.append(self._again(payload))
        else:
            return False
        return True

    def _again(self, payload: bytes) -> Batch:
        (length,) = _KIND.unpack_from(payload)
        row, at = payload[_KIND.size : _KIND.size + length], _KIND.size + length
        codec = self.codecs[_KIND.unpack_from(row)[0]]
        arrays = list[tuple[int, bytes]]()
        while at < len(payload):
            k, size = _ARRAY.unpack_from(payload, at)
            at += _ARRAY.size + size
            arrays.append((k, payload[at - size : at]))
        return Batch(codec, np.frombuffer(frame(row), codec.dtype), self.offset, tuple(arrays))

    def _rows(self, data: bytes, at: int, codec: RowCodec, length: int, found: list[Batch | Group]) -> int:
        if length != codec.length:
            return 0
        count = self._intact(data, at, codec, _same_heads(data, at, codec))
        if count:
            found.append(Batch(codec, np.frombuffer(data, codec.dtype, count, at), self.offset))
        return count * codec.total

    def _intact(self, data: bytes, at: int, codec: RowCodec, count: int) -> int:
        places = range(at, at + count * codec.total, codec.total)
        if not self._verify:
            # A torn record that was taken back could only be mixed with its successor at the very end.
            return count if _whole(data, places[-1], codec.length) else count - 1
        for k, place in enumerate(places):
            if not _whole(data, place, codec.length):
                return k
        return count


def _whole(data: bytes, at: int, length: int) -> bool:
    body = data[at + HEAD.size : at + HEAD.size + length]
    return HEAD.unpack_from(data, at)[1] == crc32(body, length)


def _same_heads(data: bytes, at: int, codec: RowCodec) -> int:
    """Return how many records from `at` on are rows of this codec, at least 1; looks at growing windows only."""
    most = (len(data) - at) // codec.total
    count, window = 1, 16
    while count < most:
        rows = np.frombuffer(data, codec.dtype, min(window, most - count), at + count * codec.total)
        same = (rows["length"] == codec.length) & (rows["group"] == codec.index)
        if not same.all():
            return count + int(same.argmin())
        count += len(rows)
        window *= 8
    return count


def group_document(group: Group) -> dict[str, Any]:  # JSON
    """Return `group` as JSON values."""
    return {
        "key": group.key,
        "axes": [_axis_document(axis) for axis in group.axes],
        "variables": [
            {
                "name": v.name,
                "unit": v.unit,
                "dtype": v.dtype,
                "notes": v.notes,
                "dims": [_axis_document(dim) for dim in v.dims],
                **({"flags": [list(flag) for flag in v.flags]} if v.flags else {}),
                **({"undecided": True} if v.undecided else {}),
            }
            for v in group.variables
        ],
    }


def _axis_document(axis: LoopAxis | Span) -> dict[str, Any]:  # JSON
    if isinstance(axis, Span):
        return {"name": axis.name, "size": axis.size} | ({"ragged": True} if axis.ragged else {})
    common = {"name": axis.name, "unit": axis.unit, "notes": axis.notes}
    if isinstance(axis, LogAxis):
        return common | {"log": True}
    if isinstance(axis, OpenAxis):
        return common | {"step": axis.step}
    others = [_axis_document(other) for other in axis.others]
    return common | _values_document(axis.values) | ({"others": others} if others else {})


def _values_document(values: tuple[Value, ...]) -> dict[str, Any]:  # JSON
    """Return values as they are, or many numbers packed: json would take half a second for a million, and hold all up."""
    kinds = set(map(type, values)) if len(values) > _MANY else set[type]()
    if kinds == {float} or (kinds == {int} and min(values) >= -(2**63) and max(values) < 2**63):  # pyright: ignore[reportArgumentType, reportOperatorIssue]  all are int
        kind = "<f8" if kinds == {float} else "<i8"
        return {"type": kind, "packed": b64encode(np.array(values, kind).tobytes()).decode()}
    return {"values": list(values)}


def _values_from(document: Mapping[str, Any]) -> tuple[Value, ...]:  # JSON
    if "packed" not in document:
        return tuple(document["values"])
    return tuple(np.frombuffer(b64decode(document["packed"], validate=True), document["type"]).tolist())


def group_from(document: Mapping[str, Any]) -> Group:  # JSON
    """Return the group that `group_document` gave. Raises RecordError for a document of another form."""
    try:
        axes = tuple(_axis_from(axis) for axis in document["axes"])
        variables = tuple(map(_variable_from, document["variables"]))
        return Group(document["key"], cast(tuple[LoopAxis, ...], axes), variables)
    except (KeyError, TypeError, ValueError, LabnbError) as error:
        raise RecordError(f"the journal declares a group that this version cannot read: {error}") from error


def _variable_from(v: Mapping[str, Any]) -> Variable:  # JSON
    dims = cast(tuple[Dim, ...], _axes_from(v["dims"]))
    flags = tuple((name, mask) for name, mask in v.get("flags", ()))
    return Variable(v["name"], v["unit"], v["dtype"], dims, v["notes"], flags, v.get("undecided", False))


def _axes_from(documents: Sequence[Mapping[str, Any]]) -> tuple[LoopAxis | Span, ...]:
    return tuple(_axis_from(document) for document in documents)


def _axis_from(document: Mapping[str, Any]) -> LoopAxis | Span:  # JSON
    if "size" in document:
        return Span(document["name"], document["size"], document.get("ragged", False))
    if "log" in document:
        return LogAxis(document["name"], unit=document["unit"], notes=document["notes"])
    if "step" in document:
        return OpenAxis(document["name"], document["step"], document["unit"], document["notes"])
    others = cast(tuple[Axis, ...], _axes_from(document.get("others", ())))
    return Axis(document["name"], _values_from(document), document["unit"], document["notes"], others=others)
