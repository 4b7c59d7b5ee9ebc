"""Recorders that are closed after each test."""

import contextlib
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
