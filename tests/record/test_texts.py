"""Texts and members of an Enum are variables like any other."""

import enum
import shutil
import warnings

import numpy as np
import pytest
import xarray as xr

from labnb.core import ABSENT, Axis, Group, OpenAxis, Point, RecordError, SchemaError, State, Variable, infer_variable
from labnb.record import Recorder, load, recover

V = Axis("v", tuple(range(6)), "V")
LABELS = Group(0, (V,), (Variable("x"), Variable("label", "", "str", (), "what the operator saw")))
TEXTS = ["", "left", "rechts ä", "left", "長い" * 500]


class Mode(enum.Enum):
    REST = 1
    HOLD = 2


class Range(enum.StrEnum):
    LOW = "LO"


def put(recorder, first=0):
    recorder.declare(LABELS)
    for place, text in list(enumerate(TEXTS))[first:]:
        recorder.put(Point(0, place, (place * 0.5, text), place + 1))


def check(data):
    assert data.label.values.tolist() == [*TEXTS, ""]
    assert data.label.attrs == {"long_name": "what the operator saw"}
    np.testing.assert_array_equal(data.x, [0.0, 0.5, 1.0, 1.5, 2.0, np.nan])


def test_texts_are_seen_by_a_plain_reader_during_the_run_and_after_it(record):
    recorder = record()
    put(recorder)
    recorder.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check(xr.open_zarr(recorder.data_path).load())
        recorder.close(State.DONE)
        check(xr.open_zarr(recorder.data_path).load())
    check(load(recorder.path))


def test_texts_of_a_killed_run_are_there(record, tmp_path):
    recorder = record()
    put(recorder)
    shutil.copytree(recorder.path, tmp_path / "copy")
    check(load(tmp_path / "copy"))
    assert recover(tmp_path / "copy").points == 5


def test_texts_of_a_run_that_is_gone_on_with_are_kept(record):
    recorder = record()
    recorder.declare(LABELS)
    for place in (0, 1, 2):
        recorder.put(Point(0, place, (place * 0.5, TEXTS[place]), place + 1))
    recorder.close(State.STOPPED)
    again = Recorder.resume(recorder.path, {}, period_s=3600.0)
    assert [again.kept[0].values(row)[1] for row in range(3)] == [ABSENT, *TEXTS[1:3]]
    put(again, 3)
    again.close(State.DONE)
    check(load(recorder.path))


def test_an_enum_is_recorded_by_its_members_names(record):
    for members in (Mode.REST, Mode.HOLD), (Range.LOW, "HIGH"):
        variable = infer_variable("mode", "", members[0])
        recorder = record()
        recorder.declare(Group(0, (V,), (variable,)))
        for place, member in enumerate(members):
            recorder.put(Point(0, place, (member,), place))
        recorder.close(State.DONE)
        names = [getattr(member, "name", member) for member in members]
        assert load(recorder.path).mode.values.tolist() == [*names, "", "", "", ""]


def test_texts_over_an_open_axis_grow_across_chunks(record):
    recorder = record()
    recorder.declare(Group(0, (OpenAxis("n", 1.0),), (Variable("label", "", "str"),)))
    for place in range(16384 + 5):
        recorder.put((0, place, (f"p{place % 7}",), place))
    recorder.put((0, 16384 + 7, ("last",), 1))
    recorder.flush()
    seen = xr.open_zarr(recorder.data_path).label.values
    recorder.close(State.DONE)
    whole = load(recorder.path).label.values
    assert seen.tolist() == whole.tolist() == [f"p{k % 7}" for k in range(16384 + 5)] + ["", "", "last"]


@pytest.mark.parametrize("value", [1, None, b"x", np.array("x"), "\ud800", True, np.array(["a", "b"])])
def test_what_is_no_text_is_refused_and_leaves_nothing(record, value):
    recorder = record()
    recorder.declare(LABELS)
    size = (recorder.path / "journal").stat().st_size
    with pytest.raises(SchemaError, match=r"variable 'label', point 0 \(v=0 V\): expected text"):
        recorder.put(Point(0, 0, (1.0, value), 1))
    assert (recorder.path / "journal").stat().st_size == size


def test_a_text_in_a_number_is_refused(record):
    recorder = record()
    recorder.declare(LABELS)
    with pytest.raises(SchemaError, match=r"variable 'x', point 0 \(v=0 V\): expected a number"):
        recorder.put(Point(0, 0, ("1.0", "a"), 1))


def test_a_damaged_chunk_of_texts_is_noticed(record):
    recorder = record()
    put(recorder)
    recorder.close(State.DONE)
    chunk = recorder.data_path / "label" / "0"
    chunk.write_bytes(chunk.read_bytes().replace(b"left", b"lift"))
    with pytest.raises(RecordError, match=r"'label'.*checksum"):
        load(recorder.path)
