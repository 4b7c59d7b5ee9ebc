"""Reads what a run under way has stored, straight from the chunk files of its growing store."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnb.record.arrays import StoredArray
from labnb.record.materialiser import open_chunks


def read_growing(data_path: Path, array: StoredArray, start: int, stop: int) -> NDArray[Any]:
    """Return the items `start` … `stop` along the open axis of `array`, as they lie on disk. Raises OSError.

    They must have been written; nobody checks that here.
    """
    files = open_chunks(data_path, array, keep=True)
    in_chunk = files.tiling.items
    parts = [np.empty(0, array.dtype)]
    for chunk in range(start // in_chunk, -(-stop // in_chunk)):
        first, last = max(start - chunk * in_chunk, 0), min(stop - chunk * in_chunk, in_chunk)
        count = (last - first) * files.item_bytes // array.dtype.itemsize
        parts.append(np.fromfile(files.path(chunk), array.dtype, count, offset=first * files.item_bytes))
    return np.concatenate(parts).reshape(-1, *array.item)
