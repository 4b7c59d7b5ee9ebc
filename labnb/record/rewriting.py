"""Replaces arrays that were acknowledged once by others: readers see the old ones or the new ones, whole, at any moment."""

import numpy as np

from labnb.record.chunks import ChunkFiles
from labnb.record.files import write_whole


class Rewriting:
    """What is to be replaced, chunk by chunk."""

    def __init__(self) -> None:
        self._due: dict[tuple[ChunkFiles, int], dict[int, bytes]] = {}

    def add(self, files: ChunkFiles, place: int, data: bytes) -> None:
        """Have the item at `place` replaced by `data`, which a journal has on the disk already."""
        chunks, items = files.tiling.locate(np.array([place], np.int64))
        self._due.setdefault((files, int(chunks[0])), {})[int(items[0])] = data

    def do(self) -> None:
        """Replace every chunk that is due by a copy with its new items; what failed stays due. Raises OSError."""
        for (files, chunk), items in list(self._due.items()):
            path = files.ready(chunk)
            content = bytearray(path.read_bytes())
            for item, data in items.items():
                content[item * files.item_bytes : (item + 1) * files.item_bytes] = data
            write_whole(path, bytes(content), spare=files.spare, durable=True)
            del self._due[files, chunk]
