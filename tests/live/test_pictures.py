"""Cells reach a page as patches; traces and freely chosen points are pictures too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import Axis, Group, OpenAxis, Point, Span, Variable, sweep
from labnb.live import Cells, Kind, LiveView, alternatives, choose, is_logarithmic, make_picture, unpack

V = Axis("voltage", tuple(k / 10 for k in range(30)), "V")
TRACE = Variable("trace", "V", "<f8", (Span("sample", 700),))


def _view(group):
    view = LiveView()
    view.declare(group)
    return view


@given(
    st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 8), st.floats(-1e6, 1e6) | st.just(float("nan"))), max_size=80
    ),
    st.integers(30, 200),
)
def test_a_page_that_takes_all_patches_has_every_cell(puts, budget):
    cells, page = Cells(7, 9), np.full((7, 9), np.nan)
    for k, (row, column, value) in enumerate(puts):
        cells.put(np.array([row]), np.array([column]), np.array([value]))
        if k % 7 == 0:
            unpack(cells.patches(budget), page)
    while cells.is_waiting:
        unpack(cells.patches(budget), page)
    assert (np.isnan(page) == np.isnan(cells.values)).all()
    # A patch is as exact as 1/254 of the range that its own row had when it was sent.
    put = [value for _, _, value in puts if value == value] or [0.0]
    good = np.isfinite(page)
    assert (np.abs(page[good] - cells.values[good]) <= (max(put) - min(put)) / 254 + 1e-9).all()


def test_the_row_that_is_measured_is_sent_first_and_the_others_take_turns():
    cells = Cells(10, 20)
    rows = np.repeat(np.arange(10), 20)
    cells.put(rows, np.tile(np.arange(20), 10), rows * 1.0)
    seen = np.full((10, 20), np.nan)
    unpack(cells.patches(42), seen)
    assert np.flatnonzero(np.isfinite(seen[:, 0])).tolist() == [9]
    for _ in range(9):
        unpack(cells.patches(42), seen)
    assert np.isfinite(seen).all()


def test_a_logarithmic_sweep_is_known_by_its_ratios():
    assert is_logarithmic(Axis("f", tuple(np.geomspace(10, 1e6, 31).tolist()), "Hz"))
    for axis in (
        V,
        Axis("f", (1.0, 2.0, 4.0, 8.0)),
        Axis("f", (1.0, 10.0, 50.0, 1e3, 1e4)),
        Axis("f", ("a", "b", "c", "d")),
    ):
        assert not is_logarithmic(axis)
    assert sweep(10, 1e6, 31, "Hz", log=True).values[0] == 10


def test_traces_are_rows_of_a_waterfall_binned_to_the_screen():
    view = _view(Group(0, (V,), (TRACE,)))
    picture = make_picture(view, choose(view.groups))
    for k in range(5):
        view.put(Point(0, k, (np.full(700, float(k)),), 0))
    view.drain()
    assert picture.advance()
    assert picture.cells.values.shape == (30, 500)
    assert picture.cells.values[:, 0][:6].tolist()[:5] == [0, 1, 2, 3, 4]
    assert np.isnan(picture.cells.values[5:]).all()
    assert picture.cells.newest == 4
    assert not picture.advance()


def test_a_waterfall_over_time_leaves_every_other_trace_out_when_it_is_full():
    short = Variable("trace", "V", "<f8", (Span("sample", 3),))
    view = _view(Group(0, (OpenAxis("time", 0.5, "s"),), (short,)))
    picture = make_picture(view, choose(view.groups))
    for k in range(600):
        view.put(Point(0, k, (np.full(3, float(k)),), 0))
        if k % 50 == 0:
            view.drain()
            picture.advance()
    view.drain()
    picture.advance()
    assert picture.y.high > 300
    row = picture.row_at(100.0)
    assert picture.cells.values[row, 0] == pytest.approx(200, abs=4)


def test_freely_chosen_points_make_a_mesh():
    axis = sweep.adaptive((0, 1), (0, 2), ("V", "T")).named("a", "b")
    view = _view(Group(0, (axis,), (Variable("a", "V"), Variable("b", "T"), Variable("z", "A"))))
    choice = choose(view.groups)
    assert (choice.kind, choice.x.name, choice.outer.name) == (Kind.MESH, "a", "b")
    picture = make_picture(view, choice)
    rng = np.random.default_rng(0)
    points = [(0, 0), (1, 0), (0, 2), (1, 2), *rng.uniform((0, 0), (1, 2), (40, 2)).tolist()]
    for k, (a, b) in enumerate(points):
        view.put(Point(0, k, (a, b, 3 * a - b), 0))
        view.drain()
        picture.advance()
    x, y, value = picture.value_at(0.4, 1.3)
    assert value == pytest.approx(3 * x - y, abs=1e-9)
    assert len(picture.dots[0]) == 44


def test_points_on_one_line_make_no_mesh():
    axis = sweep.adaptive((0, 1), (0, 1)).named("a", "b")
    view = _view(Group(0, (axis,), (Variable("a"), Variable("b"), Variable("z"))))
    picture = make_picture(view, choose(view.groups))
    for k in range(6):
        view.put(Point(0, k, (k / 10, k / 10, 1.0), 0))
    view.drain()
    picture.advance()
    assert np.isnan(picture.cells.values).all()


def test_a_slice_is_held_while_the_measurement_goes_on():
    field = Axis("field", (0.0, 1.0, 2.0), "T")
    view = _view(Group(0, (field, Axis("y", tuple(range(13))), Axis("x", (0.0, 1.0))), (Variable("z"),)))
    choice = choose(view.groups)
    for place in range(60):
        view.put(Point(0, place, (float(place),), 0))
    view.drain()
    from dataclasses import replace

    held = make_picture(view, replace(choice, held=(0,)))
    held.advance()
    assert held.at.text == "field = 0 T"
    assert held.cells.values.ravel().tolist() == list(range(26))
    newest = make_picture(view, replace(choice, held=(-1,)))
    newest.advance()
    assert newest.at.text == "field = 2 T"


def test_every_quantity_and_way_to_show_it_can_be_turned_to():
    group = Group(0, (Axis("t", (1.0, 2.0)), V), (Variable("z", "A"), TRACE))
    found = alternatives([group], choose([group]))
    assert [one.kind for one in found] == [Kind.FAMILY, Kind.MAP, Kind.WATERFALL, Kind.TRACE]
    outer = Group(1, (Axis("t", (1.0, 2.0)),), (Variable("stage", "K"),))
    assert alternatives([group, outer], found[0])[-1].group == 1


def _frames(rows, columns, dtype="<u2"):
    return Group(0, (V,), (Variable("counts", "", dtype, (rows, columns)),))


def test_the_newest_frame_of_a_camera_is_shown_with_its_own_axes():
    rows, columns = Axis("y", (3.0, 2.0, 1.0), "mm"), Span("x", 4)
    view = _view(_frames(rows, columns))
    image = make_picture(view, choose(view.groups))
    assert not image.advance()
    for k in range(5):
        view.put(Point(0, k, (np.arange(12, dtype=np.uint16).reshape(3, 4) * k,), 0))
    view.drain()
    assert image.advance()
    assert not image.advance()
    # The axis goes downwards: the first row of the array is the highest of the picture.
    assert image.cells.values.tolist() == (4 * np.arange(12).reshape(3, 4)[::-1]).tolist()
    assert image.up.centres.tolist() == [1.0, 2.0, 3.0]
    assert image.at.text == "voltage = 0.4 V"
    assert image.value_at(0.0, 3.0) == (0.0, 3.0, 0.0)


def test_a_frame_that_is_being_sent_is_sent_whole_before_the_next():
    view = _view(_frames(Span("y", 40), Span("x", 50)))
    image, page = make_picture(view, choose(view.groups)), np.full((40, 50), np.nan)
    for k in range(40):
        view.put(Point(0, k % 30, (np.full((40, 50), k, np.uint16),), 0))
        view.drain()
        image.advance()
        unpack(image.cells.patches(500), page)
        if not image.cells.is_waiting:
            assert len(np.unique(page)) == 1
    assert np.nanmax(page) > 20


@pytest.mark.parametrize("shape", [(2048, 1537), (7, 5), (600, 1), (2, 30, 40)])
def test_a_large_frame_is_binned_to_its_means_and_of_a_stack_the_last_is_shown(shape):
    dims = tuple(Span("zyx"[-len(shape) :][k], size) for k, size in enumerate(shape))
    view = _view(Group(0, (), (Variable("counts", "", "<c16", dims),)))
    image = make_picture(view, choose(view.groups))
    values = np.random.default_rng(1).normal(size=shape) + 5j
    view.put(Point(0, 0, (values,), 0))
    view.drain()
    assert image.advance()
    shown = np.abs(values).reshape(-1, *shape[-2:])[-1]
    assert image.cells.values.shape == tuple(min(500, size) for size in shape[-2:])
    rows, columns = image.up.cell_of == 0, image.across.cell_of == 0
    assert image.cells.values[0, 0] == pytest.approx(shown[rows][:, columns].mean(1).mean())
