"""Tilings and chunk files: every place has its own bytes, and zarr finds them there."""

import tempfile
from pathlib import Path

import numpy as np
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.record import chunks
from labnb.record.chunks import ChunkFiles, Tiling, tile

shapes = st.one_of(
    st.lists(st.integers(1, 7), max_size=4).map(tuple),
    st.lists(st.integers(1, 5), max_size=3).map(lambda rest: (None, *rest)),
)


def small_tile(shape, item_bytes, monkeypatch_bytes):
    before = chunks.CHUNK_BYTES, chunks.GROWING_ITEMS
    chunks.CHUNK_BYTES, chunks.GROWING_ITEMS = monkeypatch_bytes, monkeypatch_bytes // 8
    try:
        return tile(shape, item_bytes)
    finally:
        chunks.CHUNK_BYTES, chunks.GROWING_ITEMS = before


@given(shapes, st.integers(8, 600))
def test_every_place_lies_where_zarr_looks_for_it(shape, budget):
    tiling = small_tile(shape, 8, budget)
    full = tuple(size or 5 for size in shape)
    places = np.arange(int(np.prod(full)), dtype=np.int64)
    numbers, items = tiling.locate(places)
    for place, number, item in zip(places.tolist(), numbers.tolist(), items.tolist(), strict=True):
        index = np.unravel_index(place, full)
        assert tiling.key(number) == tuple(int(i) // part for i, part in zip(index, tiling.tile, strict=True))
        within = tuple(int(i) % part for i, part in zip(index, tiling.tile, strict=True))
        assert item == (np.ravel_multi_index(within, tiling.tile) if tiling.tile else 0)


@given(shapes, st.integers(8, 600))
def test_a_chunk_is_no_larger_than_its_budget(shape, budget):
    tiling = small_tile(shape, 8, budget)
    assert 8 <= tiling.items * 8 <= max(8, budget)


def test_a_grid_of_up_to_8_mib_is_one_chunk_and_a_growing_one_has_16384_rows():
    assert tile((1024, 1024), 8).tile == (1024, 1024)
    assert tile((1025, 1024), 8).tile == (1024, 1024)
    assert tile((4, 2048, 1024), 8).tile == (1, 1024, 1024)
    assert tile((None,), 8).tile == (16384,)
    assert tile((3, 5), 100 << 20).tile == (1, 1)
    assert tile((), 8) == Tiling((), (), 0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple), st.integers(8, 300), st.data())
def test_what_is_scattered_in_any_order_is_what_zarr_reads(tmp_path_factory, shape, budget, data):
    root = tmp_path_factory.mktemp("store")
    tiling = small_tile(shape, 8, budget)
    encoding = {"name": "default", "separator": "."}
    array = zarr.create_array(
        root / "x.zarr" / "v",
        shape=shape,
        chunks=tiling.tile,
        dtype="<f8",
        fill_value=np.nan,
        compressors=None,
        chunk_key_encoding=encoding,  # type: ignore[arg-type]
    )
    size = int(np.prod(shape))
    places = np.array(sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1))), np.int64)
    ChunkFiles(root / "x.zarr" / "v", tiling, (), np.array(np.nan).tobytes()).scatter(places, places * 0.5)
    expected = np.full(size, np.nan)
    expected[places] = places * 0.5
    np.testing.assert_array_equal(array[...], expected.reshape(shape))


def test_chunk_files_are_whole_and_never_sparse(tmp_path):
    (tmp_path / "x.zarr").mkdir()
    files = ChunkFiles(tmp_path / "x.zarr" / "v", tile((1000, 1000), 8), (), np.array(np.nan).tobytes())
    files.write(17, np.array(2.0).tobytes())
    path = tmp_path / "x.zarr" / "v" / "c.0.0"
    assert path.stat().st_size == 8_000_000
    assert path.stat().st_blocks * 512 >= 8_000_000
    assert np.flatnonzero(~np.isnan(np.fromfile(path))).tolist() == [17]
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["c.0.0", "v", "x.zarr"]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=25), st.integers(0, 25))
def test_items_that_are_filled_late_read_like_those_of_a_chunk_filled_at_once(places, up):
    with tempfile.TemporaryDirectory() as folder:
        files = ChunkFiles(Path(folder) / "data.zarr" / "x", Tiling((None,), (7,), 0), (3,), np.array(np.nan).tobytes())
        files.folder.parent.mkdir()
        files.late = True
        expected, highest = np.full((49, 3), np.nan), -1
        for number, place in enumerate(places):
            if number == up:
                files.fill_up()
            files.write(place, np.full(3, float(number)).tobytes())
            expected[place], highest = number, max(highest, place)
            for chunk, path in files.made.items():
                found = np.fromfile(path).reshape(7, 3)
                seen = max(0, min(7, highest + 1 - 7 * chunk))
                np.testing.assert_array_equal(found[:seen], expected[7 * chunk : 7 * chunk + seen])
