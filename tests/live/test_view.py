"""The live view takes points for nothing and gives them back as columns."""

import sys
import threading

import numpy as np
import pytest

from labnb.core import ABSENT, Axis, Group, Point, SchemaError, Sink, State, Variable
from labnb.live import LiveView, Reading

V = Axis("voltage", tuple(k / 10 for k in range(100)), "V")
CURRENT = Variable("current", "A")


def _view(*variables, axes=(V,), **options):
    view = LiveView(**options)
    view.declare(Group(0, axes, variables or (CURRENT,)))
    return view


def test_the_view_is_a_sink():
    sink: Sink = _view()
    sink.put(Point(0, 0, (1.0,), 0))
    sink.close(State.DONE)
    assert sink.state is State.DONE


def test_points_appear_after_draining_and_not_before():
    view = _view()
    view.put(Point(0, 7, (1.5,), 0))
    assert view.points == 0
    assert view.latest() == (Reading("current", None, "A"),)
    assert view.drain() == 1
    assert view.table(0).places.tolist() == [7]
    assert view.table(0).column("current").tolist() == [1.5]
    assert view.latest() == (Reading("current", 1.5, "A"),)
    assert view.setpoint_text() == "voltage=0.7 V"
    assert view.drain() == 0


def test_a_backlog_is_drained_in_chunks():
    view = _view()
    for k in range(100):
        view.put(Point(0, k, (float(k),), 0))
    assert [view.drain(40), view.drain(40), view.drain(40)] == [40, 40, 20]
    assert view.table(0).column("current").tolist() == list(range(100))


def test_groups_that_alternate_keep_their_order():
    view = _view()
    view.declare(Group(1, (), (Variable("stage", "K"),)))
    for k in range(10):
        view.put(Point(k % 2, k // 2, (float(k),), 0))
    view.drain_all()
    assert view.table(0).column("current").tolist() == [0, 2, 4, 6, 8]
    assert view.table(1).column("stage").tolist() == [1, 3, 5, 7, 9]
    assert view.points == 10


def test_every_kind_of_value_survives():
    view = _view(CURRENT, Variable("s21", "", "<c16"), Variable("ok", "", "|b1"), Variable("count", "", "<i8"))
    view.put(Point(0, 0, (np.float32(0.5), 1 + 2j, True, np.int64(3)), 0))
    view.put(Point(0, 1, (ABSENT, ABSENT, ABSENT, ABSENT), 0))
    view.put(Point(0, 2, (2, 4.0, False, 5), 0))
    view.drain_all()
    table = view.table(0)
    np.testing.assert_array_equal(table.column("current"), [0.5, np.nan, 2])
    np.testing.assert_array_equal(table.column("s21"), [1 + 2j, complex(np.nan), 4])
    np.testing.assert_array_equal(table.column("ok"), [1, np.nan, 0])
    np.testing.assert_array_equal(table.column("count"), [3, np.nan, 5])
    assert [r.value for r in view.latest()] == [2.0, 4.0, False, 5.0]


def test_the_newest_recorded_value_is_shown_when_the_last_pass_recorded_none():
    view = _view()
    view.put(Point(0, 0, (1.0,), 0))
    view.put(Point(0, 1, (ABSENT,), 0))
    view.drain()
    assert view.latest()[0].value == 1.0


def test_of_arrays_the_newest_is_kept():
    view = _view(Variable("trace", "V", "<f8", (Axis("t", (0.0, 1.0, 2.0), "s"),)))
    for k in range(3):
        view.put(Point(0, k, (np.full(3, k),), 0))
    view.put(Point(0, 3, (ABSENT,), 0))
    view.drain()
    assert view.table(0).trace("trace").tolist() == [2, 2, 2]
    assert view.latest()[0].value == "[3]"


def test_an_array_that_its_owner_changes_later_stays_as_it_was_measured():
    view = _view(Variable("trace", "V", "<f8", (Axis("t", (0.0, 1.0), "s"),)))
    mine = np.ones(2)
    view.put(Point(0, 0, (mine,), 0))
    view.drain()
    mine[:] = 5
    assert view.table(0).trace("trace").tolist() == [1, 1]


def test_declaring_a_group_twice_is_refused():
    view = _view()
    with pytest.raises(SchemaError, match="group 0"):
        view.declare(Group(0, (), (CURRENT,)))


def test_the_memory_of_an_endless_run_is_bounded_and_its_peak_stays():
    view = _view(keep_rows=1000)
    for k in range(20_000):
        view.put(Point(0, k, (1e6 if k == 777 else np.sin(k),), 0))
        if k % 100 == 0:
            view.drain_all()
    view.drain_all()
    table = view.table(0)
    assert len(table) <= 1100
    assert table.total == 20_000
    assert table.column("current").max() == 1e6
    assert np.all(np.diff(table.places) > 0)


def test_a_reader_that_lost_its_place_gets_all_rows_again():
    view = _view(keep_rows=100)
    for k in range(150):
        view.put(Point(0, k, (float(k),), 0))
        view.drain()
    table = view.table(0)
    assert table.since(table.total) == slice(len(table), len(table))
    assert table.places[table.since(149)].tolist() == [149]
    assert table.since(3).start == 0


def test_no_point_is_lost_or_doubled_while_one_thread_puts_and_another_drains():
    view = _view()
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def produce():
        for k in range(50_000):
            view.put(Point(0, k, (float(k),), 0))

    producer = threading.Thread(target=produce)
    try:
        producer.start()
        while producer.is_alive():
            view.drain(1000)
        producer.join()
    finally:
        sys.setswitchinterval(before)
    view.drain_all()
    assert np.array_equal(view.table(0).places, np.arange(50_000))
