"""Rates and times that a person can rely on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.live import Pace, clock_text, fraction, rate_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00"), (31.9, "00:31"), (3723, "1:02:03"), (183840, "2 d 03:04"), (None, "–:––"), (float("inf"), "–:––")],
)
def test_times_read_like_a_clock(seconds, text):
    assert clock_text(seconds) == text


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (None, "– /s"),
        (3.62, "3.6 /s"),
        (0.2, "12 /min"),
        (0.001, "3.6 /h"),
        (410e3, "410 k/s"),
        (2e6, "2 M/s"),
        (250, "250 /s"),
    ],
)
def test_rates_are_written_in_the_unit_that_suits(rate, text):
    assert rate_text(rate) == text


def test_the_fraction_never_exceeds_one_and_is_unknown_without_a_total():
    assert [fraction(3, None), fraction(0, 0), fraction(5, 4), fraction(1, 4)] == [None, 1.0, 1.0, 0.25]


@given(st.floats(0.01, 1e5))
def test_a_steady_run_is_told_its_rate_and_what_is_left(rate):
    pace = Pace()
    for k in range(1, 600):
        pace.update(k * 0.1, int(k * 0.1 * rate) + 1)
    assert pace.per_s == pytest.approx(rate, rel=0.25, abs=0.2)
    assert pace.left_s(int(59.9 * rate) + 1) == 0


def test_a_change_of_pace_shows_within_seconds():
    pace, points = Pace(), 0
    for k in range(1, 400):
        points += 100 if k <= 200 else 10
        pace.update(k * 0.1, points)
    assert pace.per_s == pytest.approx(100, rel=0.05)


def test_rare_points_are_averaged_over_a_longer_time():
    pace = Pace()
    for k in range(1, 3000):
        pace.update(k * 0.1, k // 100)
    assert pace.per_s == pytest.approx(0.1, rel=0.25)


def test_a_pause_changes_neither_rate_nor_what_is_left():
    pace = Pace()
    for k in range(1, 101):
        pace.update(k * 0.1, k)
    before = pace.per_s, pace.left_s(200)
    for k in range(101, 600):
        pace.update(k * 0.1, 100, held=True)
    assert (pace.per_s, pace.left_s(200)) == pytest.approx(before)


def test_before_the_first_point_nothing_is_promised():
    pace = Pace()
    pace.update(3.0, 0)
    assert pace.per_s is None
    assert pace.left_s(100) is None


def test_a_week_of_moments_takes_little_memory():
    pace = Pace()
    for k in range(50_000):
        pace.update(float(k), k)
    assert len(pace._times) <= 257
    assert pace.per_s == pytest.approx(1.0)
