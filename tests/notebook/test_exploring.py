"""A run on disk has the same figures as it had live."""

import numpy as np
import pytest

from labnb import Measurement, sweep
from labnb.core import Axis, Group, LabnbError, PlanError, Span, State, Variable
from labnb.live import Kind, choose
from labnb.notebook.exploring import Exploration
from labnb.notebook.stored_view import stored_view
from labnb.record import Recorder, open_run


@pytest.fixture
def stored(tmp_path):
    """A stored run of two loops with a number, a trace and an outer number, of which a part is measured."""
    outer, inner = Axis("gate", tuple(range(13)), "V"), Axis("bias", (0.0, 0.5, 1.0), "mV")
    recorder = Recorder.create(tmp_path, "map", {})
    recorder.declare(Group(0, (outer,), (Variable("stage", "K"),)))
    recorder.declare(
        Group(1, (outer, inner), (Variable("z", "A"), Variable("trace", "V", "<f8", (Span("sample", 4),))))
    )
    for place in range(20):
        recorder.put((1, place, (place * 1e-9, np.full(4, float(place))), 1_000_000 + place))
    recorder.put((0, 0, (300.0,), 1_000_000))
    recorder.close(State.STOPPED)
    return open_run(recorder.path)


def test_a_stored_run_is_shown_as_it_was_live(stored):
    view = stored_view(stored)
    choice = choose(view.groups)
    assert (choice.kind, choice.x.name, choice.outer.name) == (Kind.MAP, "bias", "gate")
    table = view.table(choice.group)
    assert table.places.tolist() == list(range(20))
    assert table.column("z").tolist() == pytest.approx([k * 1e-9 for k in range(20)])
    assert table.trace("trace").tolist() == [19.0] * 4
    assert len(view.groups) == 2


async def test_an_adaptive_run_of_a_session_is_a_mesh_as_it_was_live(tmp_path):
    async with Measurement("mesh", store=tmp_path) as session:
        session.parameter(("a", "b"), sweep.adaptive((0, 1), (-2, 2), ("V", "T"), most=30))
        session.acquire(name="z", unit="A")(lambda a, b: a * b)
        run = await session.run()
    choice = choose(stored_view(open_run(run.path)).groups)
    assert (choice.kind, choice.x.name, choice.outer.name) == (Kind.MESH, "a", "b")
    assert [q.name for q in choice.ys] == ["z"]


def test_exploring_says_what_cannot_be_drawn(stored):
    with pytest.raises(PlanError, match="did you mean 'bias'"):
        Exploration(stored, (), ("bia", "z"))


def test_outside_of_a_notebook_exploring_says_what_to_do(stored):
    with pytest.raises(LabnbError, match="load_ext labnb"):
        stored.explore()


def test_an_exploration_frees_every_widget(stored):
    from ipywidgets.widgets.widget import _instances

    before = set(_instances)
    shown = Exploration(stored, (stored,), None)
    shown.close()
    assert set(_instances) - before == set()
