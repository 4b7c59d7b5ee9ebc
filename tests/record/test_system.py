"""Recording does without what only Linux has."""

import os
import shutil

import numpy as np
import pytest

from labnb.core import Axis, Group, OpenAxis, Span, State, Variable
from labnb.record import load, recover

LINUX_ONLY = ("fdatasync", "posix_fallocate", "posix_fadvise")


@pytest.mark.parametrize("axis", [OpenAxis("n", 1.0), Axis("n", tuple(range(12)))])
def test_a_run_is_recorded_and_completed_where_a_system_lacks_what_linux_has(record, tmp_path, monkeypatch, axis):
    for name in LINUX_ONLY:
        monkeypatch.delattr(os, name)
    recorder = record()
    recorder.declare(Group(0, (axis,), (Variable("x"), Variable("trace", "", "<f8", (Span("k", 50),)))))
    for place in range(12):
        recorder.put((0, place, (place * 0.5, np.full(50, float(place))), place + 1))
        recorder.flush() if place == 6 else None
    shutil.copytree(recorder.path, tmp_path / "copy")
    recorder.close(State.DONE)
    assert recover(tmp_path / "copy").points == 12
    for path in (recorder.path, tmp_path / "copy"):
        np.testing.assert_array_equal(load(path).x, np.arange(12) * 0.5)
        np.testing.assert_array_equal(load(path).trace[:, 7], np.arange(12.0))
