"""The disk works on arrays while they are measured, so that little is left to wait for; nothing is lost if it cannot."""

import numpy as np
import pytest

from labnb.core import Axis, Group, Point, Span, State, Variable
from labnb.record import Recorder, files, load, writer
from labnb.record.writer import Touched

TRACES = Group(0, (Axis("n", tuple(range(40))),), (Variable("y", "V", "<f8", (Span("k", 100_000),)),))


def test_an_array_file_is_left_as_soon_as_another_one_of_its_variable_is_written(tmp_path):
    touched = Touched()
    for name in ("a/c.0", "a/c.0", "b/c.0", "a/c.1", "b/c.0", "a/c.1", "b/c.1"):
        touched.add(tmp_path / name)
    assert [touched.left.get_nowait() for _ in range(touched.left.qsize())] == [tmp_path / "a/c.0", tmp_path / "b/c.0"]
    assert touched.take() == {tmp_path / name for name in ("a/c.0", "a/c.1", "b/c.0", "b/c.1")}
    touched.add(tmp_path / "a/c.1")
    assert touched.left.empty()


def put_traces(recorder):
    recorder.declare(TRACES)
    for place in range(0, 40, 3):
        recorder.put(Point(0, place, (np.full(100_000, float(place)),), place + 1))
    recorder.close(State.STOPPED)
    found = load(recorder.path).y.values
    assert np.isnan(np.delete(found, range(0, 40, 3), axis=0)).all()
    np.testing.assert_array_equal(found[::3], np.repeat(np.arange(0.0, 40, 3)[:, None], 100_000, 1))


def test_the_thread_of_a_run_has_the_disk_begin_with_what_is_left(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(writer, "begin_writing", lambda path: (begun.append(path.name), files.begin_writing(path)))
    put_traces(Recorder.create(tmp_path, "iv", {}, period_s=3600.0))
    assert begun == ["c.0.0", "c.1.0", "c.2.0"]


@pytest.mark.parametrize("trouble", ["none there", "refused"])
def test_where_the_disk_cannot_be_told_arrays_are_written_all_the_same(tmp_path, monkeypatch, trouble):
    if trouble == "refused":
        monkeypatch.setattr(files.os, "posix_fadvise", lambda *_: (_ for _ in ()).throw(OSError(29, "Illegal seek")))
    else:
        monkeypatch.delattr(files.os, "posix_fadvise")
    put_traces(Recorder.create(tmp_path, "iv", {}, period_s=3600.0))
