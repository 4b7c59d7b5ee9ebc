"""The live figure sends little, and only what changed."""

import numpy as np
import pytest
from bqplot.marks import Lines
from ipywidgets import Widget

from labnb.core import Axis, Group, Point, Variable
from labnb.live import NOTHING, LiveView, choose, unpack
from labnb.notebook.figures import make_figure
from labnb.notebook.figures.stage import BUDGET_BYTES, Stage

T = Axis("temperature", (280.0, 300.0, 320.0), "K")
V = Axis("voltage", tuple(k / 100 for k in range(100)), "V")
CURRENT = Variable("current", "A")


@pytest.fixture
def sent(monkeypatch):
    """Every message that widgets send from here on: (widget, its keys, bytes of its buffers)."""
    messages = []

    def record(widget, msg, buffers=None):
        messages.append((widget, set(msg["state"]), sum(len(b) for b in buffers or [])))

    monkeypatch.setattr(Widget, "_send", record)
    return messages


def _view(axes, variables=(CURRENT,)):
    view = LiveView()
    view.declare(Group(0, axes, variables))
    return view


def _feed(view, start, stop, value=lambda k: 1e-3 * np.sin(k)):
    for k in range(start, stop):
        view.put(Point(0, k, (value(k),), 0))
    view.drain_all()


def _marks(figure, kind=Lines):
    found, todo = [], [figure.widget]
    while todo:
        widget = todo.pop(0)
        todo += list(getattr(widget, "children", ())) + list(getattr(widget, "marks", ()))
        found += [widget] if isinstance(widget, kind) else []
    return found


def _control(figure, css_class):
    return next(w for w in figure._controls if css_class in w._dom_classes)


def test_nothing_is_sent_when_nothing_changed(sent):
    view = _view((V,))
    figure = make_figure(view, choose(view.groups))
    _feed(view, 0, 50)
    assert figure.update()
    sent.clear()
    assert not figure.update()
    assert sent == []


def test_a_million_points_make_one_small_float32_message(sent):
    view = _view((Axis("time_step", tuple(range(300_000))),))
    figure = make_figure(view, choose(view.groups))
    _feed(view, 0, 300_000)
    sent.clear()
    figure.update()
    [(mark, keys, size)] = [m for m in sent if isinstance(m[0], Lines)]
    assert {"x", "y"} <= keys
    assert mark.x.dtype == mark.y.dtype == np.float32
    assert size <= 2 * 2000 * 4


def test_a_family_sends_only_the_curve_that_grows(sent):
    view = _view((T, V))
    figure = make_figure(view, choose(view.groups))
    _feed(view, 0, 120)
    figure.update()
    sent.clear()
    _feed(view, 120, 130)
    figure.update()
    assert [m[0] for m in sent if isinstance(m[0], Lines)] == [_marks(figure)[1]]


def test_curves_are_scaled_to_the_unit_at_the_axis():
    view = _view((V,))
    figure = make_figure(view, choose(view.groups))
    _feed(view, 0, 100)
    figure.update()
    [mark] = _marks(figure)
    assert np.abs(mark.y).max() == pytest.approx(1.0, rel=1e-3)


def _map(side):
    axes = [Axis(name, tuple(k / side for k in range(side)), "V") for name in ("gate", "bias")]
    view = _view(tuple(axes))
    figure = make_figure(view, choose(view.groups))
    stage = next(stage for stage in _marks(figure, Stage) if stage.shape)
    return view, figure, stage


@pytest.fixture
def patches(monkeypatch):
    """What maps send from here on: (clear, bytes)."""
    sent = []
    monkeypatch.setattr(
        Stage, "send", lambda self, content, buffers=None: sent.append((content["clear"], bytes(buffers[0])))
    )
    return sent


def test_a_map_sends_the_rows_that_changed_and_no_others(patches):
    view, figure, _stage = _map(100)
    patches.clear()
    _feed(view, 0, 250)
    figure.update()
    seen = np.full((100, 100), np.nan)
    assert [len(data) for _, data in patches] == [250 + 3 * 22]
    for _, data in patches:
        unpack(data, seen)
    expected = 1e-3 * np.sin(np.arange(250))
    assert np.isnan(seen.ravel()[250:]).all()
    assert seen.ravel()[:250] == pytest.approx(expected, abs=2e-3 / 254)
    patches.clear()
    figure.update()
    assert patches == []


def test_a_map_that_changes_everywhere_sends_it_in_turns(patches):
    view, figure, _stage = _map(500)
    patches.clear()
    rng = np.random.default_rng(1)
    _feed(view, 0, 250_000, lambda k: rng.normal())
    seen = np.full((500, 500), np.nan)
    for _ in range(18):
        figure.update()
    for _, data in patches:
        unpack(data, seen)
    assert np.isfinite(seen).all()
    assert max(len(data) for _, data in patches) < BUDGET_BYTES + 600


def test_a_page_that_is_opened_anew_gets_the_whole_map(patches):
    view, figure, stage = _map(100)
    _feed(view, 0, 10_000)
    figure.update()
    patches.clear()
    stage._handle_msg({"content": {"data": {"method": "custom", "content": {"hello": True}}}, "buffers": []})
    figure.update()
    figure.update()
    assert sum(len(data) for _, data in patches) == 100 * (100 + 22)


def test_another_quantity_is_shown_at_the_next_update():
    view = _view((V,), (CURRENT, Variable("stage", "K")))
    figure = make_figure(view, choose(view.groups))
    for k in range(5):
        view.put(Point(0, k, (k * 1e-3, 300.0 + k), 0))
    view.drain()
    figure.update()
    _control(figure, "labnb-show").value = 1
    assert figure.choice.page == 0
    assert figure.update()
    assert figure.choice.page == 1
    assert _marks(figure)[0].y.tolist() == [300, 301, 302, 303, 304]


def test_closing_frees_every_widget():
    from ipywidgets.widgets.widget import _instances

    view = _view((T, V), (CURRENT, Variable("stage", "K")))
    before = set(_instances)
    figure = make_figure(view, choose(view.groups))
    assert set(_instances) > before
    figure.close()
    assert set(_instances) - before == set()


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="values only"):
        make_figure(LiveView(), NOTHING)


def test_names_are_texts_and_never_markup():
    view = _view((Axis("t", ("<i>a", "b")), V))
    figure = make_figure(view, choose(view.groups))
    assert "<i>a" not in figure._legend.value
    assert "&lt;i&gt;a" in figure._legend.value
