"""How the chunks of a run that has ended are packed: compressed, and with a checksum that every zarr reader compares.

Packed chunks have other names (`0.1`) than those of a growing store (`c.0.1`) and lie beside them, so that the rename
of the root that makes them count is one atomic step: a reader has all of the old store or all of the new one. The old
chunk files are emptied a while later and not removed: whoever opened the store before gets an error from an empty
file, but "not measured" from a missing one.
"""

import math
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from labnb.core import RecordError
from labnb.record.arrays import StoredArray
from labnb.record.chunks import ChunkFiles
from labnb.record.files import sync_path, write_whole

CHECK_BYTES = 4


def pack_array(
    array: StoredArray, shape: tuple[int, ...], files: ChunkFiles, stop: Callable[[], bool]
) -> StoredArray | None:
    """Write the packed chunks of `array` beside the others; return it as it is read then, None if told to stop.

    An array of whole numbers or bools that is measured everywhere gets the type that was measured, and no fill value.
    Raises OSError.
    """
    chunks = range(files.count(next(iter(shape), 0)))
    packed = array.packed(whole=array.whole is not None and _measured(array, files, shape) == math.prod(shape))
    for chunk in chunks:
        if stop():
            return None
        data = _content(array, files, chunk)
        if data is not None:
            coded = encode(_cast(data, array, packed), packed)
            write_whole(files.packed_path(chunk), coded, spare=files.spare, durable=False)
            sync_path(files.packed_path(chunk))
    sync_path(files.folder)
    return packed


def unpack_array(packed: StoredArray, array: StoredArray, shape: tuple[int, ...], files: ChunkFiles) -> None:
    """Write the chunks of a packed array as those of a growing store, durably.

    Raises RecordError for a damaged one, and OSError.
    """
    for chunk in range(files.count(next(iter(shape), 0))):
        path = files.packed_path(chunk)
        if path.exists():
            data = _cast(decode(path.read_bytes(), packed, path), packed, array)
            if len(data) != files.chunk_bytes:
                raise RecordError(f"{path} holds {len(data)} bytes, expected {files.chunk_bytes}")
            files.put_whole(chunk, data)
            sync_path(files.path(chunk))
    sync_path(files.folder)


def retire(files: ChunkFiles, length: int) -> None:
    """Empty the chunk files of a growing store that packed ones stand for. Raises OSError."""
    for chunk in range(files.count(length)):
        path = files.path(chunk)
        if path.exists() and files.packed_path(chunk).exists():
            write_whole(path, b"", spare=files.spare, durable=False)


def count_files(data_path: Path, names: Iterable[str]) -> dict[str, int]:
    """Return how many packed chunk files every array has: a reader takes a missing one for "not measured"."""
    return {
        name: sum(not entry.name.startswith(("c", "zarr")) for entry in os.scandir(data_path / name)) for name in names
    }


def _content(array: StoredArray, files: ChunkFiles, chunk: int) -> bytes | None:
    """Return the bytes of a chunk of a growing store; None if nothing was measured in it."""
    if array.content is not None:
        return array.content
    try:
        data = files.path(chunk).read_bytes()
    except FileNotFoundError:
        return None
    return data if len(data) == files.chunk_bytes or (data and array.data_type == "string") else None


def _measured(array: StoredArray, files: ChunkFiles, shape: tuple[int, ...]) -> int:
    fill = np.frombuffer(array.fill_bytes, array.dtype)[0]
    count, left = 0, math.prod(shape)
    for chunk in range(files.count(next(iter(shape), 0))):
        data = _content(array, files, chunk)
        if data is not None:
            # What is behind the end of the only axis of a log was never filled.
            within = np.frombuffer(data, array.dtype)[: left if array.tiling.shape == (None,) else None]
            count, left = count + int((within != fill).sum()), left - len(within)
    return count


def _cast(data: bytes, given: StoredArray, wanted: StoredArray) -> bytes:
    """Return elements in another type; those beyond the array's edge may change, nobody reads them."""
    if given.data_type == wanted.data_type:
        return data
    return np.frombuffer(data, given.dtype).astype(wanted.dtype).tobytes()


def encode(data: bytes, packed: StoredArray) -> bytes:
    """Return a chunk as it is packed: compressed if that is worth it, and its CRC-32C."""
    if packed.compressed:
        import numcodecs  # only a run that ends needs it

        blosc = numcodecs.Blosc(cname="lz4", clevel=5, shuffle=numcodecs.Blosc.SHUFFLE)
        data = bytes(blosc.encode(np.frombuffer(data, packed.dtype)))
    return data + _check(data)


def decode(data: bytes, packed: StoredArray, path: Path) -> bytes:
    """Return the bytes that were packed. Raises RecordError if they are damaged."""
    body = data[:-CHECK_BYTES]
    if not is_intact(data):
        raise RecordError(f"{path} is damaged: its checksum does not match; restore this file from a copy of the run")
    if not packed.compressed:
        return body
    import numcodecs

    return bytes(numcodecs.Blosc().decode(body))


def is_intact(data: bytes) -> bool:
    """Whether a packed chunk ends with the checksum of what is before."""
    return len(data) >= CHECK_BYTES and data[-CHECK_BYTES:] == _check(data[:-CHECK_BYTES])


def _check(data: bytes) -> bytes:
    """Return the CRC-32C of `data` as the bytes that zarr's codec `crc32c` writes."""
    import google_crc32c

    return int(google_crc32c.value(data)).to_bytes(CHECK_BYTES, "little")
