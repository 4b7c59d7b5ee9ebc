"""Sessions and cells record arrays of any length, and variables that are there only sometimes."""

import enum

import numpy as np
import pytest

from labnb import ragged
from labnb.core import SchemaError, sweep
from labnb.live import LiveView
from labnb.session import Measurement
from labnb.session.outline import Loop, Outline, Record, Section
from labnb.session.steps import Steps
from labnb.testing.sinks import ListSink


class Status(enum.Flag):
    READY = 1
    HOT = 2


def counting(tmp_path, limit=None):
    session = Measurement("counts", store=tmp_path)
    session.parameter("a", [0, 3, 1, 7])

    @session.acquire
    def read(a):
        if limit is not None and a == limit:
            raise ValueError("broken")
        return {"hits": ragged(np.arange(float(a))), "state": Status.HOT, "mean": 0.5 * a}

    return session


async def test_a_measurement_function_returns_arrays_of_any_length_and_is_resumed(tmp_path):
    with pytest.raises(ValueError, match="broken"):
        await counting(tmp_path, limit=7).run()
    run = await counting(tmp_path).resume()
    assert run.data.hits_length.values.tolist() == [0, 3, 1, 7]
    assert run.data.hits.values[1, :3].tolist() == [0, 1, 2]
    assert np.isnan(run.data.hits.values[1, 3:]).all()
    assert run.data.state.attrs["flag_meanings"] == "READY HOT"
    assert run.to_dataframe("mean").shape == (4, 3)


async def test_an_array_that_changes_its_shape_unasked_is_an_error_and_the_points_before_stay(tmp_path):
    session = Measurement("trace", store=tmp_path)
    session.parameter("a", [3, 3, 4])

    @session.acquire
    def read(a):
        return {"y": np.arange(float(a))}

    with pytest.raises(
        SchemaError, match=r"variable 'y', point 2 .*expected array of shape \(3,\).*got array of shape \(4,\).*ragged"
    ):
        await session.run()


OUTLINE = Outline(
    (Loop(0, "a", None, None, 0),),
    (Section(0, 0, (Record("x"), Record("late", "V"), Record("word")), conditional=True),),
)


def walk(sink, body, places=6):
    steps = Steps(OUTLINE, {}, awaiting=False, declare=sink.declare, put=sink.put)
    for place in steps.loop(0, sweep(range(places))):
        steps.rows[0][0] = 0.5 * place
        body(steps.rows[0], place)
    steps.finish()


class Keeping(ListSink):
    """Keeps every declaration of a group, the last one counts."""

    def declare(self, group):
        self.groups.append(group)


def test_what_a_pass_lacks_is_undecided_until_its_first_value():
    sink = Keeping()

    def body(row, place):
        if place == 2:
            row[1] = np.zeros(4)
        if place == 4:
            row[2] = "text"

    walk(sink, body)
    assert [[v.undecided for v in group.variables] for group in sink.groups] == [
        [False, True, True],
        [False, False, True],
        [False, False, False],
    ]
    assert sink.groups[-1].variables[1].shape == (4,)
    assert [v.unit for v in sink.groups[-1].variables] == ["", "V", ""]
    assert len(sink.points) == 6


@pytest.mark.parametrize("late", [1.5, 1j, np.arange(3.0), "text", ragged([1.0]), Status.HOT])
def test_a_view_takes_what_comes_late_while_points_wait(late):
    view = LiveView()
    walk(view, lambda row, place: row.__setitem__(1, late) if place == 3 else None)
    assert view.drain(4) == 4
    view.drain_all()
    assert view.points == 6
    assert len(view.table(0).column("x")) == 6
    assert view.groups[0].variables[2].undecided
    assert not view.groups[0].variables[1].undecided
