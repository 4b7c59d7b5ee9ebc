"""The picture that stays is right, labelled, and made without touching anybody's matplotlib."""

import threading
from io import BytesIO

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from labnb.core import Axis, Group, OpenAxis, Point, State, Variable
from labnb.live import NOTHING, LiveView, Reading, Snapshot, choose
from labnb.notebook.picture import frozen_picture, summary_line

T = Axis("temperature", (280.0, 300.0), "K")
V = Axis("voltage", tuple(k / 50 for k in range(50)), "V")
SAMPLE = Axis("sample", ("A", "B", "C"))
GATE = Axis("gate", tuple(range(20)), "V")
CURRENT = Variable("current", "A")
SHOT = Snapshot(
    "iv", "iv-7f3a", State.DONE, 100, 100, 31.0, path="labnb-data/iv-7f3a", started_ns=1_700_000_000 * 10**9
)


def _view(axes, variables=(CURRENT,), count=100, value=lambda k: 1e-3 * np.sin(k / 10)):
    view = LiveView()
    view.declare(Group(0, axes, variables))
    for k in range(count):
        view.put(Point(0, k, tuple(value(k) for _ in variables), 0))
    view.drain_all()
    return view


def _pixels(png):
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize(
    "view",
    [
        _view((V,), count=50),
        _view((T, V)),
        _view((GATE, V), count=600),
        _view((OpenAxis("time", 0.1, "s"),)),
        _view((SAMPLE,), count=3),
        _view((SAMPLE, V), count=120),
        _view((T, GATE, V), count=1500),
        _view((V,), (Variable("s21", "", "<c16"), CURRENT), count=50),
        _view((V,), count=0),
        _view((GATE, V), count=0),
        _view((V,), count=1),
        _view((V,), count=50, value=lambda k: np.nan),
        _view((V,), (Variable("trace", "V", "<f8", (Axis("t", (0.0, 1.0, 2.0), "s"),)),), 3, lambda k: np.arange(3.0)),
    ],
    ids=lambda view: " ".join(a.name for a in view.groups[0].axes) + f" {view.points}",
)
def test_every_kind_of_run_has_a_picture_of_twice_the_resolution(view):
    pixels = _pixels(frozen_picture(view, choose(view.groups), SHOT))
    assert pixels.shape == (740, 1800, 3)
    assert tuple(pixels[0, 0]) == (255, 255, 255)
    assert (pixels < 128).all(axis=2).sum() > 500


def test_a_run_of_single_values_shows_them():
    shot = Snapshot("one", "one-1", State.DONE, 1, 1, 0.1, latest=(Reading("current", 1e-3, "A"),))
    assert _pixels(frozen_picture(LiveView(), NOTHING, shot)).shape[1] == 1800


def test_the_map_shows_its_cells_in_their_colours():
    view = _view((GATE, V), count=1000, value=lambda k: float(k // 500))
    pixels = _pixels(frozen_picture(view, choose(view.groups), SHOT))
    assert tuple(pixels[200, 900]) == (253, 231, 37)
    assert tuple(pixels[500, 900]) == (68, 1, 84)


def test_the_users_style_changes_nothing():
    view = _view((T, V))
    plain = frozen_picture(view, choose(view.groups), SHOT)
    with mpl.rc_context({"axes.facecolor": "black", "text.color": "red", "savefig.dpi": 30, "font.size": 30}):
        assert (_pixels(frozen_picture(view, choose(view.groups), SHOT)) == _pixels(plain)).all()


def test_pictures_can_be_made_in_threads_side_by_side():
    view = _view((T, V))
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(frozen_picture(view, choose(view.groups), SHOT))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3
    assert len(set(made)) == 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "iv ✓ done · 100 points · 00:31 · labnb-data/iv-7f3a"),
        ({"state": State.STOPPED, "points": 7}, "iv ■ stopped · 7 of 100 points · 00:31 · labnb-data/iv-7f3a"),
        ({"total": None, "points": 1, "path": ""}, "iv ✓ done · 1 point · 00:31"),
        (
            {"state": State.FAILED, "points": 3, "error": "no answer\nmore", "warnings": ("w",)},
            "iv ✗ failed · 3 of 100 points · 00:31 · 1 warning · no answer · labnb-data/iv-7f3a",
        ),
    ],
)
def test_the_summary_says_it_in_one_line(changes, line):
    from dataclasses import replace

    assert summary_line(replace(SHOT, **changes)) == line


def test_the_newest_frame_of_a_camera_is_kept():
    view = LiveView()
    view.declare(Group(0, (V,), (Variable("counts", "", "<u2", (Axis("y", (0.0, 1.0)), Axis("x", (0.0, 1.0)))),)))
    view.put(Point(0, 0, (np.array([[9, 9], [9, 9]], np.uint16),), 0))
    view.put(Point(0, 1, (np.array([[0, 0], [7, 7]], np.uint16),), 0))
    view.drain_all()
    pixels = _pixels(frozen_picture(view, choose(view.groups), SHOT))
    assert tuple(pixels[200, 900]) == (253, 231, 37)
    assert tuple(pixels[500, 900]) == (68, 1, 84)
