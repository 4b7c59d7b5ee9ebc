"""The figure follows from what is measured, or from what is asked for."""

import pytest

from labnb.core import Axis, Group, OpenAxis, PlanError, Span, Variable
from labnb.live import Kind, Part, alternatives, choose

T = Axis("temperature", (280.0, 300.0), "K")
V = Axis("voltage", tuple(range(50)), "V")
W = Axis("gate", tuple(range(13)), "V")
TIME = OpenAxis("time", 0.25, "s")
CURRENT = Variable("current", "A")
STAGE = Variable("stage", "K")
TRACE = Variable("trace", "V", "<f8", (Span("sample", 100),))
EVENTS = Variable("events", "s", "<f8", (Span("event", 256, ragged=True),))
ROWS, COLUMNS = Axis("y", (0.0, 0.5, 1.0), "mm"), Span("x", 4)
FRAME = Variable("counts", "", "<u2", (ROWS, COLUMNS))


def _names(choice):
    return [[q.name for q in page] for page in choice.pages]


@pytest.mark.parametrize(
    ("axes", "variables", "kind", "x", "outer"),
    [
        ((), (CURRENT,), Kind.NONE, None, None),
        ((V,), (CURRENT,), Kind.LINES, V, None),
        ((T, V), (CURRENT,), Kind.FAMILY, V, T),
        ((W, V), (CURRENT,), Kind.MAP, V, W),
        ((T, W, V), (CURRENT,), Kind.MAP, V, W),
        ((W, T, V), (CURRENT,), Kind.FAMILY, V, T),
        ((TIME,), (CURRENT,), Kind.STRIP, TIME, None),
        ((TIME, V), (CURRENT,), Kind.LINES, V, None),
        ((), (TRACE,), Kind.TRACE, TRACE.dims[0], None),
        ((V,), (TRACE,), Kind.WATERFALL, TRACE.dims[0], V),
        ((TIME,), (TRACE,), Kind.WATERFALL, TRACE.dims[0], TIME),
        ((V,), (EVENTS,), Kind.TRACE, EVENTS.dims[0], None),
        ((V,), (TRACE, CURRENT), Kind.LINES, V, None),
        ((), (FRAME,), Kind.IMAGE, COLUMNS, ROWS),
        ((W, V), (FRAME,), Kind.IMAGE, COLUMNS, ROWS),
        ((TIME,), (FRAME,), Kind.IMAGE, COLUMNS, ROWS),
        ((V,), (FRAME, CURRENT), Kind.LINES, V, None),
    ],
)
def test_the_axes_decide(axes, variables, kind, x, outer):
    choice = choose([Group(0, axes, variables)])
    assert (choice.kind, choice.x, choice.outer) == (kind, x, outer)


def test_nothing_declared_draws_nothing():
    assert choose([]).kind is Kind.NONE


def test_the_innermost_group_is_shown():
    choice = choose([Group(0, (T,), (STAGE,)), Group(1, (T, V), (CURRENT,)), Group(2, (), (STAGE,))])
    assert choice.group == 1


def test_quantities_of_one_unit_share_a_page_and_others_turn_over():
    choice = choose([Group(0, (V,), (CURRENT, STAGE, Variable("leak", "A")))])
    assert _names(choice) == [["current", "leak"], ["stage"]]
    assert [q.name for q in choice.turned_to(1).ys] == ["stage"]
    with pytest.raises(ValueError, match="no page 2"):
        choice.turned_to(2)


def test_a_complex_value_has_a_magnitude_a_phase_and_its_parts():
    choice = choose([Group(0, (V,), (Variable("s21", "", "<c16"),))])
    assert _names(choice) == [["|s21|"], ["∠s21"], ["Re s21", "Im s21"]]
    assert choice.turned_to(1).ys[0].part is Part.PHASE
    assert choice.turned_to(1).ys[0].unit == "°"


def test_plot_asks_for_lines_over_any_axis_or_variable():
    group = Group(0, (W, V), (CURRENT, STAGE))
    assert choose([group], ("voltage", "current")).kind is Kind.LINES
    assert choose([group], ("stage", "current")).x == STAGE
    asked = choose([Group(0, (T, V), (CURRENT,))], ("voltage", "current"))
    assert (asked.kind, asked.outer) == (Kind.FAMILY, T)
    transposed = choose([Group(0, (W, T), (CURRENT,))], ("gate", "current"))
    assert (transposed.kind, transposed.x, transposed.outer) == (Kind.FAMILY, W, T)


def test_plot_of_one_asks_for_the_figure_that_suits_it():
    group = Group(0, (W, V), (CURRENT, STAGE, TRACE, FRAME))
    assert choose([group], ("counts",)).kind is Kind.IMAGE
    assert _names(choose([group], ("stage",))) == [["stage"]]
    assert choose([group], ("trace",)).kind is Kind.WATERFALL
    assert choose([group], ("x", "y", "counts")) == choose([group], ("counts",))


def test_arrays_of_other_dimensions_can_be_turned_to():
    other = Variable("spectrum", "V", "<f8", (Span("f", 7),))
    group = Group(0, (V,), (TRACE, FRAME, other))
    found = alternatives([group], choose([group]))
    assert [(one.kind, _names(one)[0][0]) for one in found] == [
        (Kind.WATERFALL, "trace"),
        (Kind.TRACE, "trace"),
        (Kind.IMAGE, "counts"),
        (Kind.WATERFALL, "spectrum"),
        (Kind.TRACE, "spectrum"),
    ]


def test_plot_of_three_asks_for_a_map():
    choice = choose([Group(0, (T, V), (CURRENT,))], ("temperature", "voltage", "current"))
    assert (choice.kind, choice.x, choice.outer) == (Kind.MAP, T, V)


@pytest.mark.parametrize(
    ("plot", "says"),
    [
        (("voltage", "curent"), "did you mean 'current'"),
        (("volts", "current"), "did you mean 'voltage'"),
        (("voltage",), "is not a recorded variable"),
        ((), "give one name"),
        (("voltage", "voltage", "current"), "two different axes"),
        (("voltage", "temperature"), "there are stage, current"),
    ],
)
def test_a_plot_that_cannot_be_says_what_can(plot, says):
    with pytest.raises(PlanError, match=says):
        choose([Group(0, (T, V), (STAGE, CURRENT))], plot)
