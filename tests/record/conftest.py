"""Small disks, and recorders that are closed after each test."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labnb.core import RecordError, State
from labnb.record import Recorder


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Return a maker of recorders; the thread runs hourly, so that a test decides when a cycle happens."""
    made: list[Recorder] = []

    def make(root: Path = tmp_path, name: str = "iv", period_s: float = 3600.0, **metadata: object) -> Recorder:
        made.append(Recorder.create(root, name, metadata, period_s=period_s))
        return made[-1]

    yield make
    for recorder in made:
        with contextlib.suppress(RecordError):
            recorder.close(State.CANCELLED)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a tmpfs with the options given."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        if os.geteuid() != 0:
            pytest.skip("mounting a small disk needs root")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"this machine cannot mount a tmpfs: {done.stderr.strip()}")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)
