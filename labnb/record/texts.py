"""Chunks of texts: zarr lays texts of any length one behind the other, so a chunk is written as a whole again.

What a chunk holds is kept here as numbers of texts; the journal has all of it too.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnb.record.arrays import text_bytes, text_chunk
from labnb.record.chunks import ChunkFiles


class TextChunks:
    """The chunks of one array of texts, of which every place is a text's number, or -1."""

    def __init__(self, files: ChunkFiles) -> None:
        self._files = files
        self._numbers: dict[int, NDArray[np.int32]] = {}
        self._changed: set[int] = set()

    def scatter(self, places: NDArray[np.int64], numbers: NDArray[Any]) -> None:
        """Take the numbers of texts at these places in; `write` shows them."""
        chunks, items = self._files.tiling.locate(places)
        for chunk in np.unique(chunks).tolist():
            if chunk not in self._numbers:
                self._numbers[chunk] = np.full(self._files.tiling.items, -1, np.int32)
            inside = chunks == chunk
            self._numbers[chunk][items[inside]] = numbers[inside]
            self._changed.add(chunk)

    def write(self, texts: Sequence[str]) -> None:
        """Write every chunk that has changed; each file is replaced in one step. Raises OSError."""
        if not self._changed:
            return
        elements = [*map(text_bytes, texts), text_bytes("")]  # -1 is the last one
        for chunk in sorted(self._changed):
            data = text_chunk([elements[number] for number in self._numbers[chunk].tolist()])
            self._files.put_whole(chunk, data)
            self._changed.discard(chunk)
