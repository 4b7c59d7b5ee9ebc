"""A power cut for real: the image of a disk, copied while a process writes to it, is mounted again and read.

What the system had not handed to the disk is not in the copy, file system and all. Needs root and loop devices.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from labnb.record import load, open_run, opening, recover

WRITER = """
import itertools, sys, time
from pathlib import Path
from labnb.core import Group, OpenAxis, Point, Span, Variable
from labnb.record import Recorder
import numpy as np

recorder = Recorder.create(Path(sys.argv[1]), "night", {})
recorder.declare(Group(0, (OpenAxis("n", 1.0),), (Variable("x", "V"), Variable("word", "", "str"))))
recorder.declare(Group(1, (OpenAxis("m", 1.0),), (Variable("trace", "V", "<f8", (Span("sample", 100),)),)))
for k in itertools.count():
    recorder.put(Point(0, k, (0.5 * k, f"word {k % 7}"), time.time_ns()))
    if k % 100 == 0:
        recorder.put(Point(1, k // 100, (np.full(100, 1.0 * k),), time.time_ns()))
        print(k, time.monotonic_ns(), flush=True)
        time.sleep(0.002)
"""
CUTS = 12


def mount(image, place, *options):
    place.mkdir()
    done = subprocess.run(
        ["mount", "-o", ",".join(("loop", *options)), image, place], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"this machine cannot mount the image of a disk: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path):
    """Return the image of an ext4 disk and where it is mounted."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("mounting the image of a disk needs root and mkfs.ext4")
    image, place = tmp_path / "disk.img", tmp_path / "disk"
    with image.open("wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    mount(image, place)
    yield image, place
    subprocess.run(["umount", "-l", place], check=True)


def cut(writer, image, copy):
    """Copy the disk as it is at this moment, in which the writer stands still; return the moment, in ns."""
    os.kill(writer.pid, signal.SIGSTOP)
    now = time.monotonic_ns()
    subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    os.kill(writer.pid, signal.SIGCONT)
    return now


@pytest.mark.speed
def test_a_disk_that_lost_its_power_has_all_but_the_last_quarter_of_a_second(disk, tmp_path, capsys, monkeypatch):
    image, place = disk
    chance, moments = random.Random(11), []
    log = tmp_path / "acknowledged"
    with log.open("w") as told:
        writer = subprocess.Popen([sys.executable, "-c", WRITER, place], stdout=told)
        try:
            while log.stat().st_size < 1000:
                time.sleep(0.01)
                assert writer.poll() is None
            for number in range(CUTS):
                time.sleep(chance.uniform(0.05, 0.6))
                moments.append(cut(writer, image, tmp_path / f"{number}.img"))
        finally:
            writer.kill()
            writer.wait()
    monkeypatch.setattr(opening, "boot_id", lambda: "that of the computer when it is on again")
    acknowledged = np.array([[int(each) for each in line.split()] for line in log.read_text().splitlines()[:-1]])
    lost = [lost_s(tmp_path / f"{number}.img", now, acknowledged) for number, now in enumerate(moments)]
    with capsys.disabled():
        print(f"\n  power cut {CUTS} times: at most {max(lost):.3f} s of points lost")
    assert sorted(lost)[CUTS // 2] <= 0.25
    assert max(lost) <= 0.25 + 0.1  # forcing begins every 0.25 s, and takes as long as the disk takes


def lost_s(image, now, acknowledged):
    """Return for how long before `now` points are missing on a copy of the disk, in s; check those that are there."""
    place = image.with_suffix("")
    mount(image, place)
    try:
        (folder,) = [path.parent for path in place.glob("*/*/*/*/run.json")]
        data = recover(folder).data.load()
        kept = data.sizes["n"]
        assert (data.x == np.arange(kept) * 0.5).all()
        assert data.word.values.tolist() == [f"word {k % 7}" for k in range(kept)]
        traces = data.trace.values
        there = ~np.isnan(traces).all(axis=1)  # what was being written reads as not measured
        assert there[:-50].all()
        assert (traces[there] == (np.arange(len(traces))[:, None] * 100.0)[there]).all()
        assert (str(open_run(folder).state), load(folder).sizes["n"]) == ("interrupted", kept)
    finally:
        subprocess.run(["umount", "-l", place], check=True)
    missing = acknowledged[(acknowledged[:, 0] >= kept) & (acknowledged[:, 1] < now)]
    return (now - missing[0, 1]) / 1e9 if len(missing) else 0.0
