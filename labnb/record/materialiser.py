"""Turns journal rows into the zarr store, and shows them to readers by one rename of the root metadata."""

import json
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from labnb.core import Group, Json, OpenAxis, Variable
from labnb.core.schema import TEXT
from labnb.record.arrays import StoredArray, growing_content, length_names, root_text
from labnb.record.chunks import GROWING_ITEMS, ChunkFiles
from labnb.record.files import sync_path, sync_tree, write_whole
from labnb.record.journal import Batch, Rows
from labnb.record.layout import Layout
from labnb.record.packing import count_files, pack_array, retire, unpack_array
from labnb.record.pieces import Pieces
from labnb.record.rewriting import Rewriting
from labnb.record.texts import TextChunks

PACK_AT_ONCE_BYTES = 64 << 20


class Materialiser:
    """The store of one run as its only writer sees it. Used by one thread at a time. Every step can be repeated."""

    def __init__(self, data_path: Path, *, keep_arrays: bool = False, keep_all: bool = False) -> None:
        """`keep_arrays` trusts the files of array variables that lie there: after a crash the journal has no copy.

        All others are made anew then, aside, and appear at the end. `keep_all` trusts all: a run that had been sealed.
        """
        self.data_path = data_path
        self.layout = Layout()
        self.lengths: dict[str, int] = {}
        self.files: dict[str, ChunkFiles] = {}
        self.texts: Sequence[str] = ()
        """The texts that rows speak of by number; whoever reads the journal sets this."""
        self.writing = threading.Lock()
        """Held by who writes files of arrays: while one is replaced nobody else may write to it."""
        self._rewriting = Rewriting()
        self._pieces: dict[str, Pieces] = {}
        self._seen: dict[int, NDArray[np.bool_]] = {}
        self._counts: dict[int, int] = {}
        self._text_chunks: dict[str, TextChunks] = {}
        self._keep_arrays, self._keep_all = keep_arrays or keep_all, keep_all
        self._spare = data_path.parent / ".zarr.json.partial"
        self.arrays: dict[str, StoredArray] = {}
        self._times: dict[int, str] = {}
        self._made: set[str] = set()
        self._texts: dict[str, tuple[tuple[int, ...], str]] = {}

    def declare(self, group: Group) -> bool:
        """Take a group in; return whether times got another name, so that all rows must be applied once more."""
        before = self._times
        self.layout = self.layout.with_group(group)
        self._times = self.layout.time_names()
        self.arrays = {array.name: array for array in self.layout.arrays()}
        for axis in group.axes:
            if isinstance(axis, OpenAxis):
                self.lengths.setdefault(axis.name, 0)
        renamed = any(self._times[key] != name for key, name in before.items())
        if renamed:
            self.files = {name: files for name, files in self.files.items() if name not in before.values()}
            self._made -= set(before.values())
            self._texts.clear()
        return renamed

    def apply(self, batch: Batch) -> None:
        """Write the scalars and times of some rows into their chunk files. Raises OSError."""
        rows = _last_of_each_place(batch.rows)
        if not len(rows):
            return
        group = batch.codec.group
        places: NDArray[np.int64] = np.ascontiguousarray(rows["place"])
        for k, variable in enumerate(group.variables):
            if not variable.undecided and variable.name in self.arrays:  # else it is declared later
                self._apply_variable(variable, places, rows, k)
        for k, data in batch.arrays:
            self._replace_array(group.variables[k], rows[0], k, data)
        self._files_of(self._times[group.key]).scatter(places, rows["time"])
        self._grow(group, int(places[-1]))
        self._count_in(group.key, places)

    def _apply_variable(self, variable: Variable, places: NDArray[np.int64], rows: Rows, k: int) -> None:
        if variable.dtype == TEXT:
            self._texts_in(variable.name).scatter(places, rows[f"v{k}"])
        elif not variable.dims:
            self._files_of(variable.name).scatter(places, rows[f"v{k}"])
        for d, name in enumerate(length_names(variable)):
            lengths: NDArray[np.int64] = rows[f"v{k}"][:, d]
            dim = variable.dims[d].name
            self.lengths[dim] = max(self.lengths.get(dim, 0), int(lengths.max()))
            self._files_of(name).scatter(places, lengths)

    def _replace_array(self, variable: Variable, row: Any, k: int, data: bytes) -> None:  # a row of numpy's
        """Have the next commit replace the array of a place."""
        place = int(row["place"])
        if not variable.ragged:
            self._rewriting.add(self._files_of(variable.name), place, data)
            return
        shape = tuple(max(0, int(length)) for length in row[f"v{k}"])
        value = np.frombuffer(data, self.arrays[variable.name].dtype).reshape(shape)
        for files, piece in self._pieces_of(variable.name).cut(place, value, self._own_lengths(variable.name)):
            self._rewriting.add(files, place, piece)

    def _count_in(self, key: int, places: NDArray[np.int64]) -> None:
        seen = self._seen.get(key, np.zeros(0, np.bool_))
        if places[-1] >= len(seen):
            seen = np.concatenate((seen, np.zeros(max(int(places[-1]) + 1 - len(seen), len(seen)), np.bool_)))
            self._seen[key] = seen
        self._counts[key] = self._counts.get(key, 0) + int((~seen[places]).sum())
        seen[places] = True

    @property
    def points(self) -> int:
        """How many places of the main grid (that of the innermost loop) were applied."""
        main = self.layout.main
        return 0 if main is None else self._counts.get(main.key, 0)

    def _grow(self, group: Group, last: int) -> None:
        if group.axes and isinstance(group.axes[0], OpenAxis):
            name = group.axes[0].name
            inner = math.prod(axis.size or 1 for axis in group.axes[1:])
            self.lengths[name] = max(self.lengths[name], last // inner + 1)

    def commit(self, attributes: Mapping[str, Json], *, durable: bool = False) -> None:
        """Show everything that was applied to readers, with these attributes of the root. Raises OSError."""
        for array in self.arrays.values():
            self._make(array)
        self._write_texts()
        self._rewrite()
        texts = {name: self._text(array) for name, array in self.arrays.items()}
        self._replace(self.data_path / "zarr.json", root_text(attributes, texts), durable=durable)

    def seal(self, attributes: Mapping[str, Json]) -> dict[str, int] | None:
        """Commit, force everything to the disk, and remove chunk files that no longer count. Raises OSError.

        A small store is packed at once; return the number of its files then, as `pack` does.
        """
        self._show_undecided()
        for array in self.arrays.values():
            self._make(array)
            self._refresh(array)
        self._write_texts()
        self._rewrite()
        for files in self.files.values():
            files.settle()
        self._sweep()
        if self.size_bytes <= PACK_AT_ONCE_BYTES:
            return self.pack(attributes)
        sync_tree(self.data_path)
        self.commit(attributes, durable=True)
        sync_path(self.data_path.parent)
        return None

    @property
    def size_bytes(self) -> int:
        """How much all arrays together may hold."""
        return sum(array.dtype.itemsize * math.prod(array.shape(self.lengths)) for array in self.arrays.values())

    def pack(self, attributes: Mapping[str, Json], stop: Callable[[], bool] = lambda: False) -> dict[str, int] | None:
        """Write every chunk compressed and with its checksum, and have readers use those; None if told to stop.

        Return how many files every array has. The chunk files of the growing store stay: see `retire`. Raises OSError.
        """
        self._show_undecided()
        packed: dict[str, StoredArray] = {}
        for name, array in self.arrays.items():
            parts = self._parts_of(name)
            packed[name] = array.packed(whole=False)
            for files in parts:
                done = pack_array(array, array.shape(self.lengths), files, stop)
                if done is None:
                    return None
                packed[name] = done
        for array in packed.values():
            self._refresh(array, durable=True)
        texts = {name: json.dumps(array.document(self.lengths), allow_nan=False) for name, array in packed.items()}
        self._replace(self.data_path / "zarr.json", root_text(attributes, texts), durable=True)
        sync_path(self.data_path.parent)
        return count_files(self.data_path, packed)

    def unpack(self, packed: Mapping[str, StoredArray]) -> None:
        """Write the chunks of array variables as those of a growing store again. Raises RecordError, OSError."""
        for name, array in self.arrays.items():
            for files in self._parts_of(name) if array.item else ():
                unpack_array(packed[name], array, array.shape(self.lengths), files)

    def retire(self) -> None:
        """Empty the chunk files of the growing store. Only when it is packed; raises OSError."""
        for name, array in self.arrays.items():
            for files in self._parts_of(name):
                retire(files, next(iter(array.shape(self.lengths)), 0))

    def clear_unacknowledged(self, key: int, places: NDArray[np.int64]) -> list[int]:
        """Blank the array items that no journal row stands for; return the places whose files were lost."""
        lost: list[NDArray[np.int64]] = []
        group = self.layout.group(key)
        for variable in (v for v in group.variables if v.dims):
            if variable.ragged:
                self._pieces_of(variable.name).drop_beyond(self._own_lengths(variable.name))
            for files in self._parts_of(variable.name):
                chunks, _ = files.tiling.locate(places)
                if not variable.ragged:
                    for chunk in np.unique(chunks):
                        files.ready(int(chunk))
                files.clear_except(places, self._count(group))
                lost.append(places[np.isin(chunks, files.remade)])
        return np.unique(np.concatenate(lost)).tolist() if lost else []

    def take_lengths(self, metadata: Mapping[str, Any]) -> None:
        """Take growing lengths from the metadata of the arrays of a store, zarr's JSON."""
        for name, array in self.arrays.items():
            if name in metadata:
                for dim, size in zip(array.dims, cast("list[int]", metadata[name]["shape"]), strict=True):
                    self.lengths[dim] = max(self.lengths.get(dim, 0), size)

    def _show_undecided(self) -> None:
        self.arrays = {array.name: array for array in self.layout.arrays(all_of_them=True)}

    def _rewrite(self) -> None:
        with self.writing:
            self._rewriting.do()

    def _count(self, group: Group) -> int:
        """Return how many places a group has, those of started chunks of a growing axis included."""
        if group.size is not None:
            return group.size
        inner = math.prod(axis.size or 1 for axis in group.axes[1:])
        length = self.lengths[group.axes[0].name]
        return (length + GROWING_ITEMS) * inner

    def _files_of(self, name: str) -> ChunkFiles:
        files = self.files.get(name)
        if files is None:
            array = self.arrays[name]
            files = self.files[name] = open_chunks(
                self.data_path,
                array,
                keep=self._keep_all or bool(array.item),
                aside=self._keep_arrays and not self._keep_all and not array.item,
            )
        return files

    def _pieces_of(self, name: str) -> Pieces:
        if name not in self._pieces:
            self._pieces[name] = Pieces(self.data_path, self.arrays[name])
        return self._pieces[name]

    def _parts_of(self, name: str) -> list[ChunkFiles]:
        """Return the files of an array: one lot, or one for each piece of a ragged one."""
        if not self.arrays[name].ragged:
            return [self._files_of(name)]
        return self._pieces_of(name).of(self._own_lengths(name))

    def _own_lengths(self, name: str) -> tuple[int, ...]:
        return tuple(self.lengths.get(dim, 0) for dim in self.arrays[name].own_dims)

    def _texts_in(self, name: str) -> TextChunks:
        if name not in self._text_chunks:
            self._text_chunks[name] = TextChunks(self._files_of(name))
        return self._text_chunks[name]

    def _write_texts(self) -> None:
        for chunks in self._text_chunks.values():
            chunks.write(self.texts)

    def _make(self, array: StoredArray) -> None:
        """Write what an array needs besides its measured chunks, once."""
        if array.step is not None:
            files = self._files_of(array.name)
            for chunk in range(len(files.made), -(-self.lengths[array.name] // GROWING_ITEMS)):
                files.put_whole(chunk, growing_content(array, chunk))
        if array.name in self._made:
            return
        (self.data_path / array.name).mkdir(exist_ok=True)
        if array.content is not None:
            self._files_of(array.name).put_whole(0, array.content)
        self._refresh(array)
        self._made.add(array.name)

    def _text(self, array: StoredArray) -> str:
        """Return the array's metadata; its own file follows at every new chunk (what readers use is the root's copy)."""
        shape = array.shape(self.lengths)
        known = self._texts.get(array.name)
        if known is None or known[0] != shape:
            if known is not None and _started(known[0]) != _started(shape):
                self._refresh(array)
            known = (shape, json.dumps(array.document(self.lengths), allow_nan=False))
            self._texts[array.name] = known
        return known[1]

    def _refresh(self, array: StoredArray, *, durable: bool = False) -> None:
        text = json.dumps(array.document(self.lengths), allow_nan=False)
        self._replace(self.data_path / array.name / "zarr.json", text, durable=durable)

    def _replace(self, path: Path, text: str, *, durable: bool) -> None:
        write_whole(path, text.encode(), spare=self._spare, durable=durable)

    def _sweep(self) -> None:
        for name, array in self.arrays.items():
            if array.item:
                continue
            counted = {path.name for path in self._files_of(name).made.values()}
            for path in (self.data_path / name).iterdir():
                if path.name.startswith("c") and path.name not in counted:
                    path.unlink()


def open_chunks(data_path: Path, array: StoredArray, *, keep: bool = False, aside: bool = False) -> ChunkFiles:
    """Return the chunk files of `array` in the store at `data_path`."""
    return ChunkFiles(data_path / array.name, array.tiling, array.item, array.fill_bytes, keep=keep, aside=aside)


def open_array(data_path: Path, array: StoredArray) -> ChunkFiles | Pieces:
    """Return the files of an array variable, those that are there already kept."""
    return Pieces(data_path, array) if array.ragged else open_chunks(data_path, array, keep=True)


def _started(shape: Iterable[int]) -> int:
    """Return how many chunks the first dimension of a growing array has begun."""
    return -(-next(iter(shape), 0) // GROWING_ITEMS)


def _last_of_each_place(rows: Rows) -> Rows:
    places = rows["place"]
    if len(rows) < 2 or (np.diff(places) > 0).all():
        return rows
    _, back = np.unique(places[::-1], return_index=True)
    return rows[len(rows) - 1 - back]
