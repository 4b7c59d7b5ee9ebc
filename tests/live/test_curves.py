"""Curves follow the rows: all of them, in the right curve, of the right slice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import ABSENT, Axis, Group, OpenAxis, Point, Variable
from labnb.live import CurveSet, Extent, LiveView, choose

V = Axis("voltage", (0.0, 0.1, 0.2, 0.3), "V")
T = Axis("temperature", (280.0, 300.0, 320.0), "K")
FIELD = Axis("field", (0.5, 1.0), "T")
CURRENT = Variable("current", "A")


def _set(axes, variables=(CURRENT,), plot=None):
    view = LiveView()
    view.declare(Group(0, axes, variables))
    return view, CurveSet(view, choose(view.groups, plot))


def _feed(view, curves, places, value=float):
    for place in places:
        view.put(Point(0, place, (value(place),), 0))
    view.drain_all()
    return curves.advance()


def _points(curve):
    return [v.tolist() for v in curve.trail.points()]


def test_lines_lie_at_the_setpoints():
    view, curves = _set((V,))
    assert _feed(view, curves, [0, 1, 3])
    assert _points(curves.curves[0]) == [[0.0, 0.1, 0.3], [0.0, 1.0, 3.0]]
    assert not curves.advance()


@given(st.lists(st.integers(1, 5), max_size=12))
def test_a_family_has_every_row_in_the_curve_of_its_outer_value(cuts):
    view, curves = _set((T, V))
    place = 0
    for cut in [*cuts, 12]:
        rows = range(place, min(12, place + cut))
        place = rows.stop
        _feed(view, curves, rows)
    assert [_points(c)[1] for c in curves.curves] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert [c.label for c in curves.curves] == ["280 K", "300 K", "320 K"]
    assert [c.tone for c in curves.curves] == [0.0, 0.5, 1.0]


def test_only_the_curve_that_grew_changes_its_version():
    view, curves = _set((T, V))
    _feed(view, curves, range(5))
    before = [c.version for c in curves.curves]
    _feed(view, curves, [5, 6])
    assert [c.version - b for c, b in zip(curves.curves, before, strict=True)] == [0, 1, 0]


def test_more_axes_show_the_current_slice_only():
    view, curves = _set((FIELD, T, V))
    _feed(view, curves, range(12))
    assert curves.slice.text == "field = 0.5 T"
    _feed(view, curves, range(12, 14))
    assert curves.slice.text == "field = 1 T"
    assert [_points(c)[1] for c in curves.curves] == [[12, 13], [], []]


def test_a_strip_chart_has_seconds_and_its_time_axis_moves_in_steps():
    view, curves = _set((OpenAxis("time", 0.5, "s"),))
    ends = set()
    for k in range(200):
        _feed(view, curves, [k])
        ends.add(curves.x.high)
    assert _points(curves.curves[0])[0][-1] == 99.5
    assert len(ends) < 15
    assert curves.x.label == "time (s)"


def test_the_newest_trace_is_drawn_over_its_own_axis():
    trace = Variable("trace", "V", "<f8", (Axis("t", (0.0, 1e-3, 2e-3), "s"),))
    view, curves = _set((V,), (trace,), ("t", "trace"))
    view.put(Point(0, 0, (np.array([1.0, 2, 3]),), 0))
    view.put(Point(0, 1, (np.array([4.0, 5, 6]),), 0))
    view.drain()
    assert curves.advance()
    assert _points(curves.curves[0]) == [[0.0, 1e-3, 2e-3], [4, 5, 6]]
    assert curves.slice.text == "voltage = 0.1 V"
    assert not curves.advance()


def test_a_complex_value_is_drawn_as_magnitude_or_phase():
    view = LiveView()
    view.declare(Group(0, (V,), (Variable("s21", "", "<c16"),)))
    choice = choose(view.groups)
    magnitude, phase = CurveSet(view, choice), CurveSet(view, choice.turned_to(1))
    view.put(Point(0, 0, (3j,), 0))
    view.drain()
    magnitude.advance()
    phase.advance()
    assert _points(magnitude.curves[0])[1] == [3.0]
    assert _points(phase.curves[0])[1] == [90.0]


def test_one_variable_can_be_drawn_over_another():
    bias = Variable("bias", "V")
    view, curves = _set((V,), (bias, CURRENT), ("bias", "current"))
    for k in range(3):
        view.put(Point(0, k, (k * 2.0, ABSENT if k == 1 else k * 10.0), 0))
    view.drain()
    curves.advance()
    assert _points(curves.curves[0]) == [[0.0, 4.0], [0.0, 20.0]]


def test_texts_stand_side_by_side():
    view, curves = _set((Axis("sample", ("A", "B", "C")),))
    _feed(view, curves, [0, 2])
    assert _points(curves.curves[0])[0] == [0.0, 2.0]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_an_extent_holds_all_data_and_uses_float32(values):
    extent = Extent("current", "A")
    low, high = np.inf, -np.inf
    for value in values:
        low, high = min(low, value), max(high, value)
        extent.fit(low, high)
    assert extent.low <= low <= high <= extent.high
    assert extent.drawn(np.array(values)).dtype == np.float32
    bottom, top = extent.limits
    assert bottom < top


def test_limits_move_rarely_while_a_curve_grows():
    extent = Extent("current", "A")
    moves = sum(extent.fit(0.0, value) for value in np.linspace(0, 1, 1000)[1:])
    assert moves < 30


def test_a_breadth_guessed_from_one_point_is_corrected():
    extent = Extent("voltage", "V")
    extent.fit(5.0, 5.0)
    extent.fit(4.999999, 5.000001)
    assert extent.high - extent.low < 3e-6


def test_a_fixed_axis_shows_its_whole_range_from_the_start():
    _, curves = _set((V,))
    assert curves.x.low <= 0.0
    assert curves.x.high >= 0.3
    assert curves.x.limits == pytest.approx((-3, 303))
    assert curves.x.label == "voltage (mV)"


def test_noise_about_zero_takes_little_room_below_a_curve():
    extent = Extent("current", "A")
    extent.fit(-1e-12, 1e-9)
    extent.fit(-1e-12, 0.02)
    extent.fit(-3e-12, 0.02)
    extent.fit(-9e-10, 0.02)
    assert -0.0015 < extent.low < 0
