"""How places of a grid map to chunk files, and how those are made and written in place.

A chunk file is uncompressed, holds a contiguous piece of the grid in C order, and appears whole: allocated, filled
with the fill value and only then renamed to its name. Afterwards only `pwrite` touches it. Never a memory map: a
full disk under one ends the kernel with SIGBUS where `pwrite` raises.
"""

import math
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnb.record.files import write_all
from labnb.record.system import reserve

CHUNK_BYTES = 8 << 20
GROWING_ITEMS = 16384
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Tiling:
    """Cuts a grid (`None`: grows) into tiles (1, …, 1, rows, all, all), each a contiguous run of places."""

    shape: tuple[int | None, ...]
    tile: tuple[int, ...]
    split: int

    @property
    def items(self) -> int:
        """Number of places in one tile, those beyond the grid's edge included."""
        return math.prod(self.tile)

    def key(self, chunk: int) -> tuple[int, ...]:
        """Return the tile's index along every dimension of the grid."""
        if not self.shape:
            return ()
        counts = [1 if size is None else -(-size // part) for size, part in zip(self.shape, self.tile, strict=True)]
        parts = list[int]()
        for count in reversed(counts[1:]):
            chunk, part = divmod(chunk, count)
            parts.append(part)
        return (chunk, *reversed(parts))

    def locate(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the chunk number of every place, and its item within that chunk."""
        if not self.shape:
            return places, places * 0
        rows, rest = self.tile[self.split], math.prod(self.tile[self.split + 1 :])
        line, inner = np.divmod(places, rest)
        size = self.shape[self.split]
        outer, row = (line * 0, line) if size is None else np.divmod(line, size)
        number, within = np.divmod(row, rows)
        return outer * (0 if size is None else -(-size // rows)) + number, within * rest + inner


def tile(shape: tuple[int | None, ...], item_bytes: int) -> Tiling:
    """Return the tiling of a grid whose items have `item_bytes`: one chunk if it is small, else pieces of 8 MiB."""
    if not shape:
        return Tiling((), (), 0)
    budget = max(1, CHUNK_BYTES // item_bytes)
    inner = [size or 1 for size in shape[1:]]
    split = next(k for k in range(len(shape)) if math.prod(inner[k:]) <= budget)
    rest = math.prod(inner[split:])
    size = shape[split]
    rows = max(1, min(budget, GROWING_ITEMS) // rest) if size is None else min(size, budget // rest)
    return Tiling(shape, (*(1,) * split, rows, *inner[split:]), split)


class ChunkFiles:
    """The chunk files of one array. `item` elements, `fill` each, lie at every place of the grid."""

    def __init__(
        self,
        folder: Path,
        tiling: Tiling,
        item: tuple[int, ...],
        fill: bytes,
        *,
        keep: bool = False,
        aside: bool = False,
        piece: tuple[int, ...] | None = None,
    ) -> None:
        """`keep` trusts chunk files of the right size that lie there; otherwise each is made anew when touched.

        `aside` leaves those that lie there to readers, until `settle`. `piece` is which one of longer items it has: see
        `labnb.record.pieces`.
        """
        self.folder = folder
        self.tiling = tiling
        self.item_bytes = len(fill) * math.prod(item)
        self.made: dict[int, Path] = {}
        self.remade: list[int] = []
        self.spare = folder.parent.parent / f".{folder.name}.chunk.partial"
        self._tail = "".join(f".{k}" for k in piece or (0,) * len(item))
        self._fill = fill
        self._keep = keep
        self._aside: dict[int, Path] | None = {} if aside else None
        self.late = False
        """Fill items only when one behind them is written: for a growing array whose readers never see further."""
        self._filled: tuple[int, int] | None = None  # the last chunk, and how many of its items are written or filled

    @property
    def chunk_bytes(self) -> int:
        """Size of every chunk file."""
        return self.tiling.items * self.item_bytes

    def path(self, chunk: int) -> Path:
        """Return the file of a chunk number, whether it exists or not."""
        return self.folder / ("c" + "".join(f".{part}" for part in self.tiling.key(chunk)) + self._tail)

    def packed_path(self, chunk: int) -> Path:
        """Return the file of a chunk number in a run that has ended; see `labnb.record.packing`."""
        return self.folder / (self.path(chunk).name[2:] or "0")

    def count(self, length: int) -> int:
        """Return how many chunks the grid has when its growing dimension has this length."""
        sizes = (length if size is None else size for size in self.tiling.shape)
        return math.prod(-(-size // part) for size, part in zip(sizes, self.tiling.tile, strict=True))

    def write(self, place: int, data: bytes | memoryview) -> Path:
        """Write one item; return its file, which the caller syncs before the journal. Raises OSError."""
        chunks, items = self.tiling.locate(np.array([place], np.int64))
        chunk = int(chunks[0])
        if self.tiling.items == 1 and chunk not in self.made:
            self.put_whole(chunk, data)
            return self.made[chunk]
        item = int(items[0])
        path = self._ready_late(chunk, item) if self.late else self.ready(chunk)
        self._write_at(path, [(item * self.item_bytes, data)])
        if self._filled is not None and self._filled[0] == chunk:
            self._filled = (chunk, max(self._filled[1], item + 1))
        return path

    def fill_up(self) -> None:
        """Fill what is left of the last chunk, and every chunk from now on when it is made. Raises OSError."""
        self._fill_to(self.tiling.items)
        self.late, self._filled = False, None

    def _ready_late(self, chunk: int, item: int) -> Path:
        last = -1 if self._filled is None else self._filled[0]
        if chunk < last:
            return self.ready(chunk)
        if chunk > last:
            if chunk in self.made:
                return self.made[chunk]
            self._fill_to(self.tiling.items)
            self._make(self.path(chunk), fill=False)
            self.made[chunk] = self.path(chunk)
            self._filled = (chunk, 0)
        self._fill_to(item)
        return self.made[chunk]

    def _fill_to(self, item: int) -> None:
        chunk, filled = self._filled or (-1, item)
        if filled < item:
            blank = self._fill * (self.item_bytes // len(self._fill))
            self._write_at(self.made[chunk], [(k * self.item_bytes, blank) for k in range(filled, item)])
            self._filled = (chunk, item)

    def scatter(self, places: NDArray[np.int64], values: NDArray[Any]) -> None:
        """Write one scalar at every place; the places rise. Raises OSError."""
        chunks, items = self.tiling.locate(places)
        edges = np.flatnonzero(np.diff(chunks)) + 1
        for first, last in _spans(edges, len(places)):
            self._scatter_in(self.ready(int(chunks[first])), items[first:last], values[first:last])

    def clear_except(self, places: NDArray[np.int64], count: int) -> None:
        """Write the fill value at those of the first `count` places that are not named, where chunk files exist."""
        missing = np.setdiff1d(np.arange(count, dtype=np.int64), places)
        chunks, items = self.tiling.locate(missing)
        blank = self._fill * (self.item_bytes // len(self._fill))
        for chunk in np.unique(chunks):
            path = self.path(int(chunk))
            if path.exists():
                inside = items[chunks == chunk]
                self._write_at(path, [(int(item) * self.item_bytes, blank) for item in inside])

    def ready(self, chunk: int) -> Path:
        """Return the chunk's file, made if need be. Raises OSError."""
        path = self.made.get(chunk)
        if path is None:
            path = self.path(chunk)
            if not (self._keep and _size(path) == self.chunk_bytes):
                if self._aside is not None:
                    path = self._aside[chunk] = self.spare.with_name(f".{self.folder.name}.{chunk}.aside.partial")
                self._make(path)
                self.remade.append(chunk)
            self.made[chunk] = path
        return path

    def settle(self) -> None:
        """Put the chunks that were made aside in their places, each in one step. Raises OSError."""
        for chunk, path in (self._aside or {}).items():
            self.made[chunk] = path.replace(self.path(chunk))
        self._aside = None

    def put_whole(self, chunk: int, data: bytes | memoryview) -> None:
        """Make a chunk that begins with `data`. Raises OSError."""
        path = self.path(chunk)
        self._make(path, data)
        self.made[chunk] = path

    def _make(self, path: Path, data: bytes | memoryview = b"", *, fill: bool = True) -> None:
        self.folder.mkdir(exist_ok=True)
        descriptor = os.open(self.spare, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        try:
            try:
                reserve(descriptor, max(self.chunk_bytes, len(data)))
                if not fill:
                    os.ftruncate(descriptor, self.chunk_bytes)  # where nothing could be reserved
                write_all(descriptor, data)
                self._pad(descriptor, self.chunk_bytes - len(data) if fill else 0)
            finally:
                os.close(descriptor)
            self.spare.replace(path)
        except BaseException:
            self.spare.unlink(missing_ok=True)
            raise

    def _pad(self, descriptor: int, missing: int) -> None:
        block = self._fill * min(_BLOCK_BYTES // len(self._fill), max(0, missing) // len(self._fill))
        while missing > 0:
            part = block[:missing]
            write_all(descriptor, part)
            missing -= len(part)

    def _scatter_in(self, path: Path, items: NDArray[np.int64], values: NDArray[Any]) -> None:
        data = np.ascontiguousarray(values).view(np.uint8).data
        size, edges = self.item_bytes, np.flatnonzero(np.diff(items) != 1) + 1
        spans = _spans(edges, len(items))
        self._write_at(path, [(int(items[a]) * size, data[a * size : b * size]) for a, b in spans])

    @staticmethod
    def _write_at(path: Path, pieces: list[tuple[int, bytes | memoryview]]) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for offset, data in pieces:
                _write_piece(descriptor, offset, memoryview(data))
        finally:
            os.close(descriptor)


def _write_piece(descriptor: int, offset: int, rest: memoryview) -> None:
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written


def _spans(edges: NDArray[np.intp], count: int) -> list[tuple[int, int]]:
    bounds = [0, *edges.tolist(), count]
    return [(a, b) for a, b in pairwise(bounds) if a < b]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
