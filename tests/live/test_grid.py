"""Maps show what was measured, where it was measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import ABSENT, Axis, Group, Point, Variable
from labnb.live import ColourRange, Grid, LiveView, choose

CURRENT = Variable("current", "A")


def _grid(ys, xs, places=None, value=float):
    view = LiveView()
    view.declare(Group(0, (Axis("y", ys), Axis("x", xs)), (CURRENT,)))
    grid = Grid(view, choose(view.groups, ("x", "y", "current")))
    for place in range(len(ys) * len(xs)) if places is None else places:
        view.put(Point(0, place, (value(place),), 0))
    view.drain_all()
    grid.advance()
    return grid


def test_what_was_not_measured_is_transparent_and_the_top_row_is_the_highest():
    grid = _grid((0.0, 1.0), (0.0, 1.0, 2.0), places=range(4))
    assert grid.shades().tolist() == [[254, 255, 255], [0, 85, 169]]


@given(st.permutations(range(6)), st.permutations(range(4)))
def test_a_shuffled_sweep_shows_at_its_true_places(xs, ys):
    order = {(y, x): row * 6 + column for row, y in enumerate(ys) for column, x in enumerate(xs)}
    values = {place: y * 6 + x for (y, x), place in order.items()}
    grid = _grid(tuple(map(float, ys)), tuple(map(float, xs)), value=lambda place: float(values[place]))
    assert grid.cells.values.ravel().tolist() == list(range(24))


def test_uneven_steps_take_the_room_that_they_have():
    grid = _grid((0.0, 1.0), (1.0, 10.0, 100.0), value=lambda place: float(place % 3))
    row = grid.shades()[0]
    share = [np.mean(row == shade) for shade in (0, 127, 254)]
    assert share == pytest.approx([9 / 148.5, 49.5 / 148.5, 90 / 148.5], abs=0.01)


def test_large_maps_are_binned_to_the_screen():
    grid = _grid(tuple(map(float, range(3))), tuple(map(float, range(1500))), value=lambda place: float(place % 1500))
    assert grid.shades().shape == (3, 500)
    assert grid.cells.values[0, 0] == pytest.approx(1.0)


def test_absent_and_overloaded_values_leave_their_cell_open():
    grid = _grid((0.0, 1.0), (0.0, 1.0), value=lambda place: [1.0, ABSENT, 9.9e37, 2.0][place])
    assert np.isnan(grid.cells.values).tolist() == [[False, True], [True, False]]


def test_a_new_outer_setpoint_begins_a_new_map():
    view = LiveView()
    field, ys, xs = Axis("field", (0.0, 2.0), "T"), Axis("y", tuple(range(13))), Axis("x", (0.0, 1.0))
    view.declare(Group(0, (field, ys, xs), (CURRENT,)))
    grid = Grid(view, choose(view.groups))
    for place in range(27):
        view.put(Point(0, place, (1.0,), 0))
    view.drain()
    grid.advance()
    assert np.isfinite(grid.cells.values).sum() == 1
    assert grid.at.text == "field = 2 T"


def test_signed_data_get_a_map_that_is_symmetric_around_zero():
    colours = ColourRange("A")
    colours.fit(np.linspace(-1, 3, 30))
    assert (colours.signed, colours.low, colours.high) == (True, -3.0, 3.0)
    assert colours.shades(np.array([0.0]))[0] == 127


def test_a_few_outliers_do_not_take_all_colours():
    values = np.concatenate((np.linspace(1, 2, 1000), [1e3]))
    colours = ColourRange("A")
    colours.fit(values)
    assert colours.high < 3
    assert colours.shades(np.array([1e3, np.nan])).tolist() == [254, 255]


def test_colours_stand_still_while_the_range_hardly_moves():
    colours = ColourRange("A")
    colours.fit(np.linspace(0, 1, 100))
    colours.fit(np.linspace(0, 1.01, 100))
    assert colours.high == 1.0
