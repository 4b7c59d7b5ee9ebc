"""After a power cut a run has everything up to the last forced write of its journal, whatever else was lost.

The disk of these tests keeps, of every file and folder, what was last forced to it. At the cut every file has that
content, or what was written since, or a mix of both page by page, as a disk may leave it.
"""

import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labnb.core import ABSENT, Axis, Group, OpenAxis, RecordError, Span, State, Variable, infer_variable
from labnb.record import Recorder, load, opening, ragged
from labnb.record.journal import read_start

PAGE = 4096
KINDS = {
    "scalars": Group(0, (OpenAxis("n", 1.0),), (Variable("x"),)),
    "grid": Group(0, (Axis("a", tuple(range(20))), Axis("b", tuple(range(40)))), (Variable("x"),)),
    "texts": Group(0, (OpenAxis("n", 1.0),), (Variable("x"), Variable("label", "", "str"))),
    "ragged": Group(0, (OpenAxis("n", 1.0),), (Variable("x"), infer_variable("r", "", ragged([0.0] * 9)))),
    "again": Group(0, (Axis("a", tuple(range(800))),), (Variable("x"), Variable("y", "", "<f8", (Span("k", 700),)))),
    "late": Group(0, (OpenAxis("n", 1.0),), (Variable("x"), infer_variable("y", "", ABSENT))),
    "traces": Group(0, (Axis("a", tuple(range(800))),), (Variable("x"), Variable("y", "", "<f8", (Span("k", 700),)))),
}


def values(kind, place):
    trace = np.full(700, float(place))
    more = {
        "texts": (f"p{place}",),
        "traces": (trace,),
        "again": (trace,),
        "late": (trace if place >= LATE else ABSENT,),
    }
    more["ragged"] = (ragged(np.full(7 * place % 300, float(place))),)
    return (place * 0.5, *more.get(kind, ()))


LATE = 30


def put(recorder, kind, place):
    """Put what is measured at a place; of a late variable its declaration first, of a repeated one the first try."""
    row = values(kind, place)
    if kind == "late" and place == LATE:
        named = zip(KINDS[kind].variables, row, strict=True)
        recorder.declare(Group(0, KINDS[kind].axes, tuple(infer_variable(v.name, "", value) for v, value in named)))
    if kind == "again":
        recorder.put((0, place, (place * 0.5, np.full(700, -1.0)), place + 1))
        if place % 40 == 0:
            recorder.flush()
    recorder.put((0, place, row, place + 1))


class Disk:
    """What was forced to the disk: contents by inode, names by folder."""

    def __init__(self, root, cut_at):
        self.root, self.left = root, cut_at
        self.contents, self.names = {}, {}
        self.acknowledged = self.forced = 0
        self.image = None

    def sync(self, descriptor):
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if self.root not in path.parents or self.image is not None:
            return
        if self.left == 0:
            self.image = self.cut()
            return
        self.left -= 1
        inode = os.fstat(descriptor).st_ino
        if path.is_dir():
            self.names[path] = {p.name: p.stat().st_ino for p in path.iterdir()}
        else:
            self.contents[inode] = path.read_bytes()
        if path.name == "journal" or path.name.startswith(".journal"):
            self.forced = self.acknowledged

    def cut(self):
        """Return the files as the disk may have them now: bytes now, bytes forced (None: never)."""
        run = next(self.root.glob("*/*/*/*"))
        files = [p for p in run.rglob("*") if p.is_file()]
        return (
            run,
            [(p.relative_to(run), p.read_bytes(), self.contents.get(p.stat().st_ino)) for p in files],
            self.forced,
        )

    def restore(self, chance, target):
        _run, files, forced = self.image
        for path, now, before in files:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            data = self.mixed(path, now, before, chance)
            if data is not None:
                (target / path).write_bytes(data)
        return forced

    def mixed(self, path, now, before, chance):
        if before is None:
            # Names are forced with their folder only; what was never forced may be missing, short, or empty.
            whole = path.name in ("run.json", "journal") or path == Path("data.zarr/zarr.json")
            kept = chance.randrange(len(now) + 1)
            return (
                now
                if whole
                else chance.choice([now, None, now[:kept], bytes(len(now)), now[:kept] + bytes(len(now) - kept)])
            )
        if path.name == "journal":
            kept = chance.randrange(min(len(before), len(now)), len(now) + 1)
            start = chance.choice([now, before])[:PAGE]
            tail = chance.choice([b"", bytes(len(now) - kept)])
            return (start + now[len(start) : kept] + tail)[: max(len(before), len(now))]
        pages = range(0, max(len(now), len(before)), PAGE)
        return b"".join((now if chance.random() < 0.5 else before)[p : p + PAGE] for p in pages)


@given(
    st.sampled_from(sorted(KINDS)), st.integers(2, 30), st.lists(st.integers(0, 200), min_size=1, max_size=4),
    st.integers(0, 2**32),
)  # fmt: skip
@settings(max_examples=28, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_power_cut_at_any_forced_write_loses_only_what_came_after_the_last_one(kind, cut_at, portions, seed):
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        disk = Disk(Path(folder) / "lab", cut_at)
        for name in ("fsync", "fdatasync"):
            real = getattr(os, name)
            patch.setattr(os, name, lambda fd, real=real: (disk.sync(fd), real(fd))[1])
        disk.root.mkdir()
        recorder = Recorder.create(disk.root, kind, {}, period_s=3600.0)
        recorder.declare(KINDS[kind])
        for portion in portions:
            for _ in range(min(portion, (KINDS[kind].size or 1 << 30) - disk.acknowledged)):
                put(recorder, kind, disk.acknowledged)
                disk.acknowledged += 1
            recorder.flush()
        recorder.close(State.DONE)
        disk.image = disk.image or disk.cut()
        target = Path(folder) / "after"
        forced = disk.restore(chance, target)
        patch.setattr(opening, "boot_id", lambda: "another boot")
        data = load(target)
        again = load(target)
    xr.testing.assert_identical(data, again)
    if forced or "x" in data:
        x = data.x.values.ravel()
        seen = ~np.isnan(x)
        found = int(seen.sum())
        assert forced <= found <= disk.acknowledged
        np.testing.assert_array_equal(x[:found], np.arange(found) * 0.5)
        check_more(kind, data, found)


def check_more(kind, data, found):
    if kind == "texts":
        assert data.label.values[:found].tolist() == [f"p{k}" for k in range(found)]
    if kind == "again":  # the last place may have its first try
        told = data.y.values[:found, 0]
        np.testing.assert_array_equal(told[:-1], np.arange(found - 1) if found else [])
        assert found == 0 or told[-1] in (found - 1, -1)
        assert (data.y.values[:found] == told[:, None]).all()
    if kind == "ragged":
        for place in range(found):
            length = int(data.r_length[place])
            assert length == 7 * place % 300
            assert (data.r.values[place, :length] == place).all()
            assert np.isnan(data.r.values[place, length:]).all()
    if kind == "late" and found > LATE:
        np.testing.assert_array_equal(data.y.values[LATE:found, 0], np.arange(LATE, found))
        assert np.isnan(data.y.values[:LATE]).all()
    if kind == "traces":
        np.testing.assert_array_equal(data.y.values[:found], np.arange(found)[:, None] * np.ones(700))
        assert np.isnan(data.y.values[found:]).all()


@pytest.fixture(scope="module", params=["grid", "texts", "traces", "ragged", "late", "again"])
def broken(request, tmp_path_factory):
    """Return a run whose process vanished after 120 points, 80 of them materialised."""
    root = tmp_path_factory.mktemp(request.param)
    recorder = Recorder.create(root, request.param, {}, period_s=3600.0)
    recorder.declare(KINDS[request.param])
    for place in range(120):
        put(recorder, request.param, place)
        if place == 79:
            recorder.flush()
    shutil.copytree(recorder.path, root / "copy")
    recorder.close(State.DONE)
    return request.param, root / "copy"


@given(st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_file_cut_at_any_byte_leaves_a_run_that_can_be_read(broken, data):
    kind, source = broken
    files = sorted(p.relative_to(source) for p in source.rglob("*") if p.is_file())
    path = data.draw(st.sampled_from(files))
    length = data.draw(st.integers(0, (source / path).stat().st_size))
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "run"
        shutil.copytree(source, copy)
        if path.name == "journal":
            length = max(length, read_start((copy / "journal").read_bytes()))
        os.truncate(copy / path, length)
        found = load(copy)
        x = found.x.values.ravel()
        count = int((~np.isnan(x)).sum())
        assert count == 120 or (path.name == "journal" and 80 <= count < 120)
        np.testing.assert_array_equal(x[:count], np.arange(count) * 0.5)
        if path.parent.name not in ("y", "r"):
            check_more(kind, found, count)
        xr.testing.assert_identical(found, load(copy))
        xr.open_zarr(copy / "data.zarr").load()


def test_copies_of_a_run_that_is_being_written_open_with_all_that_was_forced(record, tmp_path):
    recorder = record(period_s=0.01)
    recorder.declare(KINDS["texts"])
    place = 0
    for number in range(6):
        until = time.monotonic() + random.Random(number).uniform(0.005, 0.02)
        while time.monotonic() < until:
            recorder.put((0, place, values("texts", place), place + 1))
            place += 1
        copy = tmp_path / f"copy{number}"
        copy.mkdir()
        for name in ("data.zarr", "run.json", "lock", "journal"):  # the journal last: it never lags behind the store
            (shutil.copytree if name == "data.zarr" else shutil.copy)(recorder.path / name, copy / name)
        data = load(copy)
        assert len(data.x) == place
        np.testing.assert_array_equal(data.x, np.arange(place) * 0.5)
        check_more("texts", data, place)


def test_the_journal_is_forced_to_the_disk_at_most_once_in_a_period(record, monkeypatch):
    forced = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: (forced.append(time.monotonic()), real(fd))[1])
    recorder = record(period_s=0.05)
    recorder.declare(KINDS["scalars"])
    place, until = 0, time.monotonic() + 0.6
    while time.monotonic() < until:
        recorder.put((0, place, (place * 0.5,), place + 1))
        place += 1
    recorder.close(State.DONE)
    assert 2 <= len(forced) <= 0.6 / 0.05 + 3
    assert min(np.diff(forced[:-1])) >= 0.04


def test_points_are_forced_to_the_disk_every_quarter_of_a_second_unless_told_otherwise():
    assert Recorder.create.__func__.__kwdefaults__["period_s"] == 0.25


def test_a_journal_that_was_cut_to_nothing_says_what_can_be_opened(broken, tmp_path):
    _, source = broken
    shutil.copytree(source, tmp_path / "run")
    os.truncate(tmp_path / "run" / "journal", 3)
    with pytest.raises(RecordError, match=r"damaged at its start.*open_zarr"):
        load(tmp_path / "run")
    assert len(xr.open_zarr(tmp_path / "run" / "data.zarr").x)
