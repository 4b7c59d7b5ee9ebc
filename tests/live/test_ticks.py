"""Axes have ticks at round numbers, and logarithmic limits that move in ratios."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.live import Extent, decades, round_ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_are_inside_and_a_few(low, span):
    high = low + span
    if not low < high:
        return
    ticks, _ = round_ticks(low, high, 6)
    assert len(ticks) <= 8
    assert all(low - span * 0.01 - 1e-6 <= tick <= high + span * 0.01 + 1e-6 for tick in ticks)


def test_ticks_are_round_and_say_how_many_decimals_they_need():
    assert round_ticks(-0.008, 0.808, 6) == ([0.0, 0.2, 0.4, 0.6, 0.8], 1)
    assert round_ticks(0, 1000, 5) == ([0, 200, 400, 600, 800, 1000], 0)
    assert round_ticks(1, 1, 5) == ([], 0)


def test_decades_are_thinned_or_refined():
    assert decades(10, 1e6) == pytest.approx([10, 100, 1e3, 1e4, 1e5, 1e6])
    assert decades(1, 20) == pytest.approx([1, 2, 5, 10, 20])
    assert len(decades(1e-12, 1e6)) <= 9
    assert decades(-1, 5) == []


def test_a_logarithmic_extent_holds_what_is_above_zero():
    extent = Extent("gain", "V", log=True)
    assert not extent.fit(-1, 5)
    extent.fit(1e-3, 10)
    assert 1e-4 < extent.low < 1e-3
    assert 10 < extent.high < 100
    assert extent.scaling.factor == 1
    assert extent.drawn(np.array([0.5])).tolist() == [0.5]
