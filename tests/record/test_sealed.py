"""A run that has ended is packed: any reader notices damage, nobody reads half of a change, and it can be gone on with."""

import contextlib
import gc
import json
import os
import shutil
import time
import warnings

import numpy as np
import pytest
import xarray as xr

from labnb.core import Axis, Group, OpenAxis, Point, RecordError, RunLocked, Span, State, Variable
from labnb.record import Recorder, load, materialiser, open_run, recover
from labnb.record.runfile import Packing, RunFile
from labnb.record.sealing import Packer, pack_run, packer, retire_run


@pytest.fixture(autouse=True)
def _no_readers(monkeypatch):
    """Leave nobody time who has opened a store before."""
    monkeypatch.setattr("labnb.record.sealing.READERS_S", 0.0)


V = Axis("v", tuple(range(40)), "V")
VARIABLES = (
    Variable("x", "A"),
    Variable("n", dtype="|u1"),
    Variable("ok", dtype="|b1"),
    Variable("z", dtype="<c16"),
    Variable("trace", "V", "<f8", (Span("k", 300),)),
    Variable("image", "", "<u2", (Span("row", 20), Span("column", 30))),
)


def values(place):
    trace, image = np.full(300, place + 0.25), np.full((20, 30), place, "u2")
    return (place * 0.5, np.uint8(place), place % 2 == 0, place * 1j, trace, image)


def measured(record, count=40, axis=V, state=State.DONE):
    recorder = record()
    recorder.declare(Group(0, (axis,), VARIABLES))
    for place in range(count):
        recorder.put(Point(0, place, values(place), 10 + place))
    if state is not None:
        recorder.close(state)
    return recorder


def check(data, count):
    np.testing.assert_array_equal(data.x[:count], np.arange(count) * 0.5)
    np.testing.assert_array_equal(data.n[:count], np.arange(count))
    np.testing.assert_array_equal(data.z[:count], np.arange(count) * 1j)
    np.testing.assert_array_equal(data.trace[:count], np.arange(count)[:, None] + 0.25 * np.ones(300))
    np.testing.assert_array_equal(data.image[:count, 3, 7], np.arange(count))
    assert np.isnan(data.x[count:]).all()
    assert np.isnan(data.trace[count:]).all()


@pytest.fixture
def large(monkeypatch):
    """Have every run count as a large one, which is packed in the background."""
    monkeypatch.setattr(materialiser, "PACK_AT_ONCE_BYTES", 0)


def packed_chunks(path):
    return [p for p in (path / "data.zarr").glob("*/*") if p.name != "zarr.json" and not p.name.startswith("c")]


@pytest.mark.parametrize("axis", [V, OpenAxis("time", 0.5, "s")])
def test_a_packed_run_reads_the_same_for_everybody(record, axis):
    recorder = measured(record, axis=axis)
    assert len(packed_chunks(recorder.path)) >= len(VARIABLES) + 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = xr.open_zarr(recorder.data_path).load()
        alone = xr.open_zarr(recorder.data_path, consolidated=False).load()
    check(plain, 40)
    assert (plain.n.dtype, plain.ok.dtype, plain.image.dtype) == (np.uint8, np.bool, np.uint16)
    xr.testing.assert_identical(plain, load(recorder.path))
    xr.testing.assert_identical(plain, alone)


@pytest.mark.parametrize("name", ["x", "t", "v", "n", "ok", "trace", "image"])
@pytest.mark.parametrize("harm", ["flip", "cut", "empty"])
def test_damage_to_any_chunk_of_a_packed_run_is_noticed_by_labnb_and_by_plain_xarray(record, name, harm):
    recorder = measured(record)
    chunk = next(p for p in packed_chunks(recorder.path) if p.parent.name == name)
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 16
    chunk.write_bytes({"flip": bytes(data), "cut": bytes(data[:-9]), "empty": b""}[harm])
    named = "" if name in "tv" else f"'{name}'"  # those are read to open the store
    with pytest.raises(RecordError, match=rf"cannot be read: {named}.*checksum.*restore"):
        load(recorder.path)
    with pytest.raises(ValueError, match="checksum"):
        xr.open_zarr(recorder.data_path, decode_times=False).load()


def test_a_chunk_that_is_gone_is_noticed(record):
    recorder = measured(record)
    next(p for p in packed_chunks(recorder.path) if p.parent.name == "trace").unlink()
    with pytest.raises(RecordError, match=r"'trace' has 0 of its 1 files.*restore"):
        load(recorder.path)


def test_who_opened_the_store_before_its_end_reads_on(record):
    recorder = measured(record, state=None)
    recorder.flush()
    before = xr.open_zarr(recorder.data_path, chunks=None)
    recorder.close(State.DONE)
    check(before.load(), 40)


def test_a_reader_from_before_the_end_never_gets_not_measured_instead_of_data(record):
    recorder = measured(record, state=None)
    recorder.flush()
    before = xr.open_zarr(recorder.data_path, chunks=None)
    recorder.close(State.DONE)
    packer.withdraw(recorder.path)
    retire_run(recorder.path)
    for name in ("x", "trace", "image"):
        with pytest.raises(ValueError, match="reshape"):
            before[name].load()


def test_a_large_run_is_packed_in_the_background(record, large):
    recorder = measured(record)
    assert packed_chunks(recorder.path) == []
    check(xr.open_zarr(recorder.data_path).load(), 40)
    packer.withdraw(recorder.path)
    own = Packer()
    own.later(recorder.path, 0.0)
    while json.loads((recorder.path / "run.json").read_text()).get("packing") != "both":
        pass
    check(xr.open_zarr(recorder.data_path).load(), 40)
    own.withdraw(recorder.path)
    own.later(recorder.path, 0.0)
    own.join()
    assert json.loads((recorder.path / "run.json").read_text())["packing"] == "done"
    assert all(p.stat().st_size == 0 for p in (recorder.path / "data.zarr").glob("*/c*"))
    check(load(recorder.path), 40)


@pytest.mark.parametrize("chunks", [None, {}])
@pytest.mark.parametrize("when", ["live", "ended"])
def test_data_that_are_read_when_used_keep_what_they_were_opened_with(record, large, monkeypatch, chunks, when):
    monkeypatch.setattr("labnb.record.reading.SMALL_BYTES", 0)
    monkeypatch.setattr("labnb.record.sealing.READERS_S", 0.01)
    recorder = measured(record, state=None)
    recorder.flush()
    data = load(recorder.path, chunks=chunks) if when == "live" else None
    recorder.close(State.DONE)
    packer.withdraw(recorder.path)
    data = load(recorder.path, chunks=chunks) if data is None else data
    packer.withdraw(recorder.path)
    own, trace = Packer(), data.trace
    own.later(recorder.path, 0.0)
    while own.looked < 4:
        pass
    assert RunFile.read(recorder.path / "run.json").packing is Packing.BOTH
    check(data, 40)
    del data
    gc.collect()
    seen = own.looked
    while own.looked < seen + 3:
        pass
    np.testing.assert_array_equal(trace[:, 0], np.arange(40) + 0.25)
    del trace
    gc.collect()
    own.join()
    assert RunFile.read(recorder.path / "run.json").packing is Packing.DONE
    check(load(recorder.path), 40)


def test_packing_that_is_broken_off_anywhere_is_done_again(record, large):
    recorder = measured(record)
    packer.withdraw(recorder.path)
    for steps in range(9):
        left = iter(range(steps))
        pack_run(recorder.path, lambda left=left: next(left, None) is None)
        check(xr.open_zarr(recorder.data_path).load(), 40)
    pack_run(recorder.path)
    pack_run(recorder.path)
    retire_run(recorder.path)
    retire_run(recorder.path)
    check(load(recorder.path), 40)


def test_a_run_without_space_to_pack_it_stays_as_it_is_and_says_so(record, large, mounted):
    disk = mounted("size=8m")
    recorder = Recorder.create(disk, "iv", {}, period_s=3600.0)
    recorder.declare(Group(0, (V,), VARIABLES))
    for place in range(40):
        recorder.put(Point(0, place, values(place), 10 + place))
    recorder.note("warning", "x")  # a file with room for another note
    recorder.close(State.DONE)
    packer.withdraw(recorder.path)
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    own = Packer()
    own.later(recorder.path, 0.0)
    own.join()
    ballast.unlink()
    assert "not packed" in (recorder.path / "events.ndjson").read_text()
    check(load(recorder.path), 40)
    pack_run(recorder.path)
    check(load(recorder.path), 40)


@pytest.mark.parametrize("retired", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_a_packed_run_is_gone_on_with_and_packed_again(record, retired, killed, tmp_path):
    path = measured(record, 15, state=State.STOPPED).path
    packer.withdraw(path)
    if retired:
        retire_run(path)
    recorder = Recorder.resume(path, {}, period_s=3600.0)
    check(xr.open_zarr(path / "data.zarr").load(), 15)
    assert recorder.kept[0].values(3)[:3] == (1.5, 3, False)
    recorder.declare(Group(0, (V,), VARIABLES))
    for place in range(15, 40):
        recorder.put(Point(0, place, values(place), 10 + place))
    if killed:
        copy = tmp_path / "copy" / path.name
        shutil.copytree(path, copy)
        assert recover(copy).points == 40
        check(load(copy), 40)
    recorder.close(State.DONE)
    check(load(path), 40)
    assert load(path).n.dtype == np.uint8
    assert open_run(path).points == 40


def test_a_damaged_run_is_not_resumed(record):
    path = measured(record, 15, state=State.STOPPED).path
    packer.withdraw(path)
    retire_run(path)
    chunk = next(p for p in packed_chunks(path) if p.parent.name == "trace")
    chunk.write_bytes(chunk.read_bytes()[:-1])
    with pytest.raises(RecordError, match="checksum"):
        Recorder.resume(path, {})
    assert open_run(path).state is State.STOPPED


def test_a_crash_between_the_packed_root_and_the_end_of_the_journal_loses_nothing(record, tmp_path, monkeypatch):
    recorder = measured(record, state=None)
    recorder.flush()
    monkeypatch.setattr(
        type(recorder._run), "write", lambda *_, **__: (_ for _ in ()).throw(OSError(5, "Input/output"))
    )
    with pytest.raises(RecordError, match="all 40 points are kept"):
        recorder.close(State.DONE)
    monkeypatch.undo()
    check(xr.open_zarr(recorder.data_path).load(), 40)
    assert recover(recorder.path).points == 40
    assert recover(recorder.path).points == 40
    check(load(recorder.path), 40)


def test_a_run_that_is_being_packed_says_so(record, large, tmp_path):
    path = measured(record, 15, state=State.STOPPED).path
    packer.withdraw(path)
    seen = []

    def look():
        with pytest.raises(RunLocked, match=f"being packed by process {os.getpid()} .*try again"):
            Recorder.resume(path, {})
        seen.append(1)
        return True

    pack_run(path, look)
    assert seen


def test_a_run_that_was_deleted_meanwhile_is_nobodys_trouble(record, large):
    path = measured(record).path
    packer.withdraw(path)
    shutil.rmtree(path)
    own = Packer()
    own.later(path, 0.0)
    own.join()
    assert not path.exists()


def test_a_run_whose_document_is_damaged_still_reads_but_is_not_gone_on_with(record):
    path = measured(record, 15, state=State.STOPPED).path
    packer.withdraw(path)
    (path / "run.json").write_text('{"format"')
    run = open_run(path)
    assert (run.state, run.points, run.name) == (State.STOPPED, 15, "iv")
    check(load(path), 15)
    with pytest.raises(RecordError, match=r"cannot be resumed: its run\.json .* is damaged"):
        Recorder.resume(path, {})


def test_who_opened_a_run_before_it_was_packed_reads_on(record, monkeypatch):
    monkeypatch.setattr("labnb.record.sealing.READERS_S", 600.0)
    monkeypatch.setattr("labnb.record.materialiser.PACK_AT_ONCE_BYTES", 1000)
    recorder = record()
    recorder.declare(Group(0, (Axis("v", tuple(range(10))),), (Variable("trace", "", "<f8", (Span("k", 1000),)),)))
    for k in range(10):
        recorder.put(Point(0, k, (np.full(1000, float(k)),), k + 1))
    recorder.close(State.DONE)
    packer.withdraw(recorder.path)
    before = xr.open_zarr(recorder.data_path, chunks=None)
    mine = Packer()
    mine.later(recorder.path, 0.0)
    with mine._change:
        mine._change.wait_for(
            lambda: mine._busy is None and mine._due and min(mine._due.values()) > time.monotonic() + 60
        )
    assert RunFile.read(recorder.path / "run.json").packing is Packing.BOTH
    np.testing.assert_array_equal(before.trace.values[:, 7], np.arange(10.0))
    mine.withdraw(recorder.path)
    long_ago = time.time() - 3600
    os.utime(recorder.data_path / "zarr.json", (long_ago, long_ago))
    mine.later(recorder.path, 0.0)
    mine.join()
    assert RunFile.read(recorder.path / "run.json").packing is Packing.DONE
