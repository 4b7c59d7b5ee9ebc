"""The live figure sends little, and only what changed."""

from itertools import pairwise

import numpy as np
import pytest
from bqplot.marks import Image, Lines
from ipywidgets import Widget
from PIL import Image as Picture

from labnb.core import Axis, Group, Point, Variable
from labnb.live import NOTHING, LiveView, choose
from labnb.notebook.figures import encode_map, make_figure

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


def test_a_map_alternates_two_images_since_one_is_not_redrawn():
    gate = Axis("gate", tuple(range(13)), "V")
    view = _view((gate, V))
    figure = make_figure(view, choose(view.groups))
    [mark] = _marks(figure, Image)
    seen = [mark.image]
    for k in range(4):
        _feed(view, 100 * k, 100 * k + 100)
        figure.update()
        seen.append(mark.image)
    assert all(a is not b for a, b in pairwise(seen))
    assert len(set(map(id, seen))) == 2


def test_another_quantity_is_shown_at_the_next_update():
    view = _view((V,), (CURRENT, Variable("stage", "K")))
    figure = make_figure(view, choose(view.groups))
    for k in range(5):
        view.put(Point(0, k, (k * 1e-3, 300.0 + k), 0))
    view.drain()
    figure.update()
    figure._pages.value = 1
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


def test_a_map_is_a_palette_picture_with_holes():
    from io import BytesIO

    data = encode_map(np.array([[0, 255], [254, 127]], np.uint8), signed=False)
    pixels = np.asarray(Picture.open(BytesIO(data)).convert("RGBA"))
    assert pixels[0, 1, 3] == 0
    assert pixels[0, 0].tolist() == [68, 1, 84, 255]
    assert pixels[1, 0].tolist() == [253, 231, 37, 255]
