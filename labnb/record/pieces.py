"""How a ragged array lies on the disk: items are cut into pieces, and pieces of one number share chunk files.

```
dims (point, k)      k: 0 … 255   256 … 511   512 …        a chunk `c.<rows>.<piece>` is made when an item reaches it;
point 0              ──────────── ───                      where there is none, zarr reads the fill value
point 1              ────
point 2              ──────────── ─────────── ──
```
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnb.record.arrays import StoredArray
from labnb.record.chunks import ChunkFiles

Index = tuple[int, ...]


class Pieces:
    """The chunk files of a ragged array, for every piece of its items."""

    def __init__(self, data_path: Path, array: StoredArray) -> None:
        self._folder = data_path / array.name
        self._array = array
        self._files: dict[Index, ChunkFiles] = {}
        self._longest: Index = (0,) * len(array.item)

    def of(self, lengths: Index) -> list[ChunkFiles]:
        """Return the files of all pieces that items up to these lengths have."""
        return [self._at(index) for index in self._indices(lengths)]

    def cut(self, place: int, value: NDArray[Any], at_least: Index | None = None) -> Iterator[tuple[ChunkFiles, bytes]]:
        """Yield the pieces of one item, each padded, and blank ones where a longer one may have been.

        That was at most `at_least` long (None: the longest yet).
        """
        self._longest = tuple(map(max, self._longest, value.shape))
        blank = np.full(self._array.item, np.frombuffer(self._array.fill_bytes, self._array.dtype)[0])
        for index in self._indices(tuple(map(max, at_least or self._longest, value.shape))):
            starts = [k * size for k, size in zip(index, self._array.item, strict=True)]
            part = value[tuple(slice(a, a + size) for a, size in zip(starts, self._array.item, strict=True))]
            if not part.size and not self._is_there(index, place):
                continue
            piece = blank.copy()
            piece[tuple(map(slice, part.shape))] = part
            yield self._at(index), piece.tobytes()

    def drop_beyond(self, lengths: Index) -> None:
        """Remove files of pieces that no item has which counts. Raises OSError."""
        kept = {"".join(f".{k}" for k in index) for index in self._indices(lengths)}
        for path in self._folder.glob("c*"):
            tail = "".join(f".{part}" for part in path.name.split(".")[-len(lengths) :])
            if tail not in kept:
                path.unlink()

    def _indices(self, lengths: Index) -> Iterator[Index]:
        counts = (-(-length // size) for length, size in zip(lengths, self._array.item, strict=True))
        return itertools.product(*map(range, counts))

    def _is_there(self, index: Index, place: int) -> bool:
        files = self._at(index)
        return files.path(int(files.tiling.locate(np.array([place], np.int64))[0][0])).exists()

    def _at(self, index: Index) -> ChunkFiles:
        if index not in self._files:
            array = self._array
            self._files[index] = ChunkFiles(
                self._folder, array.tiling, array.item, array.fill_bytes, keep=True, piece=index
            )
        return self._files[index]
