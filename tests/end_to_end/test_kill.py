"""kill -9 of a kernel in the middle of a sweep at full speed: every acknowledged point is there afterwards."""

import mmap
import random
import struct
import threading
import time
import warnings

import numpy as np
import pytest
import xarray as xr

import labnb

CELL = """%%measure fast
for outer in sweep(range(40), "K"):
    level: "K" = outer + 0.5
    for inner in sweep(range(50_000), "V"):
        done[0] = outer * 50_000 + inner
        y: "A" = outer * 50_000 + inner + 0.25
"""
SETUP = """%load_ext labnb
import mmap
file = open("side", "r+b")
done = memoryview(mmap.mmap(file.fileno(), 8)).cast("q")
"""
KILLS = 20


class Reader(threading.Thread):
    """Opens the newest store in a loop, as a plain reader does, with warnings as errors."""

    def __init__(self, folder):
        super().__init__()
        self.folder, self.ending, self.opened, self.failure = folder, threading.Event(), 0, None

    def run(self):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                while not self.ending.is_set():
                    for store in sorted(self.folder.glob("labnb-data/*/*/*/*/data.zarr")):
                        xr.open_zarr(store).load()
                        self.opened += 1
                    self.ending.wait(0.01)
        except BaseException as failure:
            self.failure = failure


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_acknowledged_point_is_lost_and_no_reader_fails_at_kill_9(tmp_path, kernel_in):
    chance = random.Random(20261121)
    opened = kept = 0
    for number in range(KILLS):
        folder = tmp_path / f"{number:02d}"
        folder.mkdir()
        side = folder / "side"
        side.write_bytes(struct.pack("<q", 0))
        kernel = kernel_in(folder)
        content, _ = kernel.run(SETUP)
        assert content["status"] == "ok"
        reader = Reader(folder)
        reader.start()
        kernel.start(CELL)
        with side.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
            deadline = time.monotonic() + 20
            while struct.unpack("<q", shared)[0] == 0 and time.monotonic() < deadline:
                reader.ending.wait(0.005)
            reader.ending.wait(chance.uniform(0.0, 1.0))
            kernel.kill()
            acknowledged = struct.unpack("<q", shared)[0]
        reader.ending.set()
        reader.join(20)
        assert reader.failure is None, reader.failure
        opened += reader.opened
        (path,) = folder.glob("labnb-data/*/*/*/*")
        data = labnb.load(path).load()
        y = data["y"].values.ravel()
        found = np.flatnonzero(~np.isnan(y))
        assert acknowledged > 0
        assert len(found) >= acknowledged
        assert np.array_equal(found, np.arange(len(found)))
        assert np.array_equal(y[found], found + 0.25)
        levels = data["level"].values
        outer = (acknowledged - 1) // 50_000
        assert np.array_equal(levels[: outer + 1], np.arange(outer + 1) + 0.5)
        kept += len(found)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            plain = xr.open_zarr(path / "data.zarr").load()
        assert plain["y"].equals(data["y"])
    print(f"{KILLS} kills: {kept} points kept, {opened} reader openings without an error")
