"""Decimated curves keep what an eye looks for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from labnb.live import Trail, decimate

finite = st.floats(-1e30, 1e30)
curve = st.integers(1, 600).flatmap(
    lambda n: st.tuples(hnp.arrays(np.float64, n, elements=finite), hnp.arrays(np.float64, n, elements=finite))
)


def _is_subsequence(short, long):
    rest = iter(long)
    return all(any(item == other for other in rest) for item in short)


@given(curve, st.integers(8, 64), st.lists(st.integers(1, 80), max_size=12))
def test_extremes_and_both_ends_survive_in_order_however_the_points_come(xy, limit, cuts):
    x, y = xy
    trail, start = Trail(limit), 0
    for cut in [*cuts, len(x)]:
        trail.extend(x[start : start + cut], y[start : start + cut])
        start += cut
    trail.extend(x[start:], y[start:])
    got_x, got_y = trail.points()
    assert len(got_x) == len(got_y) <= limit
    assert (got_y.min(), got_y.max()) == (y.min(), y.max()) == (trail.low, trail.high)
    assert (got_x[0], got_y[0]) == (x[0], y[0])
    assert (got_x[-1], got_y[-1]) == (x[-1], y[-1])
    assert _is_subsequence(list(zip(got_x, got_y, strict=True)), list(zip(x, y, strict=True)))
    assert trail.count == len(x)


@given(st.integers(1, 30))
def test_a_short_curve_is_kept_whole(count):
    x = np.arange(count, dtype=float)
    y = np.sin(x)
    got_x, got_y = decimate(x, y, 200)
    assert got_x.tolist() == x.tolist()
    assert got_y.tolist() == y.tolist()


def test_a_long_curve_uses_at_least_half_of_its_room():
    x = np.linspace(0, 1, 1_000_000)
    got, _ = decimate(x, np.sin(50 * x))
    assert 1000 <= len(got) <= 2000


def test_what_was_not_measured_or_overloaded_is_left_out():
    x = np.arange(6.0)
    got_x, got_y = decimate(x, np.array([np.nan, 1.0, 9.9e37, np.inf, -9.91e37, 2.0]))
    assert got_x.tolist() == [1.0, 5.0]
    assert got_y.tolist() == [1.0, 2.0]


def test_nothing_drawable_gives_no_points():
    got_x, got_y = decimate(np.zeros(3), np.full(3, np.nan))
    assert len(got_x) == len(got_y) == 0


def test_a_limit_too_small_for_a_curve_is_refused():
    with pytest.raises(ValueError, match="at least 8"):
        Trail(4)


def test_a_cleared_trail_begins_anew():
    trail = Trail(8)
    trail.extend(np.arange(100.0), np.arange(100.0))
    trail.clear()
    trail.extend(np.array([3.0]), np.array([4.0]))
    assert [v.tolist() for v in trail.points()] == [[3.0], [4.0]]
    assert (trail.low, trail.high) == (4.0, 4.0)
