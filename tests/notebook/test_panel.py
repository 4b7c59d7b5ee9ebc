"""The panel shows a snapshot, posts intentions, and holds no truth."""

from dataclasses import replace

import pytest
from ipywidgets import Widget

from labnb.core import State
from labnb.live import Reading, Snapshot
from labnb.notebook.panel import RunPanel

SHOT = Snapshot(
    name="iv",
    run_id="iv-7f3a",
    state=State.RUNNING,
    points=112,
    total=243,
    elapsed_s=31.0,
    setpoint="temperature=300 K",
    latest=(Reading("current", 1.204e-3, "A"),),
    path="labnb-data/iv-7f3a",
)


class _Desk:
    """A run as far as a panel knows it."""

    def __init__(self, shot=SHOT):
        self.shot = shot
        self.asked = []
        self.panel = RunPanel(
            lambda: self.shot,
            None,
            on_pause=lambda: self.asked.append("pause"),
            on_resume=lambda: self.asked.append("resume"),
            on_stop=lambda: self.asked.append("stop"),
        )

    def now(self, **changes):
        self.shot = replace(self.shot, **changes)
        self.panel.update()
        return self.panel

    def text(self):
        panel = self.panel
        return " ".join(w.value for w in (panel._state, panel._points, panel._values, panel._small))


def test_it_says_state_progress_values_and_path():
    text = _Desk().text()
    for part in (
        "iv",
        "● ".strip(),
        "running",
        "112 / 243",
        "46 %",
        "00:31",
        "left",
        "1.2040 mA",
        "labnb-data/iv-7f3a",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("state", "mark"), [(State.PAUSED, "❚❚"), (State.STOPPED, "■"), (State.DONE, "✓"), (State.FAILED, "✗")]
)
def test_every_state_has_a_word_and_a_shape(state, mark):
    desk = _Desk()
    desk.now(state=state)
    assert mark in desk.panel._state.value
    assert str(state) in desk.panel._state.value


def test_an_unknown_total_shows_a_count_and_no_bar():
    desk = _Desk(replace(SHOT, total=None))
    assert "112 points" in desk.text()
    assert "progressbar" not in desk.text()
    assert "left" not in desk.text()


def test_the_buttons_post_what_a_person_wants_and_change_nothing_themselves():
    desk = _Desk()
    desk.panel._pause.click()
    assert desk.asked == ["pause"]
    assert desk.panel._pause.description == "Pause"
    panel = desk.now(state=State.PAUSED)
    assert panel._pause.description == "Resume"
    panel._pause.click()
    panel._stop.click()
    assert desk.asked == ["pause", "resume", "stop"]


@pytest.mark.parametrize("state", [s for s in State if s not in (State.RUNNING, State.PAUSED)])
def test_controls_are_off_where_they_would_do_nothing(state):
    panel = _Desk().now(state=state)
    assert panel._pause.disabled
    assert panel._stop.disabled


def test_controls_have_names_for_everybody():
    panel = _Desk().panel
    assert (panel._pause.description, panel._stop.description) == ("Pause", "Stop")
    assert "Stop iv" in panel._stop.tooltip
    assert {"labnb-stop", "labnb-pause", "labnb-state", "labnb-points"} <= {
        name for w in panel._bar.children for name in w._dom_classes
    }


def test_nothing_is_sent_for_what_did_not_change(monkeypatch):
    desk = _Desk()
    sent = []
    monkeypatch.setattr(Widget, "_send", lambda widget, msg, buffers=None: sent.append(set(msg["state"])))
    desk.panel.update()
    assert sent == []
    desk.now(points=113)
    assert sent == [{"value"}]


def test_values_never_move_their_neighbours():
    desk = _Desk()
    desk.now(setpoint="temperature=300 K, voltage=0.31 V")
    desk.now(setpoint="short")
    assert "min-width:33ch" in desk.panel._values.value


def test_warnings_and_errors_are_shown_as_text():
    desk = _Desk()
    desk.now(warnings=("a < b", *(f"w{k}" for k in range(4))), error="<script>")
    assert "⚠ w3" in desk.text()
    assert "and 2 earlier warnings" in desk.text()
    assert "<script>" not in desk.text()


def test_before_the_first_point_it_says_what_it_waits_for():
    desk = _Desk(replace(SHOT, points=0, latest=(), setpoint=""))
    assert "waiting for the first point" in desk.text()


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError, match="colour"):
        RunPanel(lambda: SHOT, None, print, print, print, colour="red")
