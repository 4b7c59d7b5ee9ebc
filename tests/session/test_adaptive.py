"""Sweeps whose points are chosen by what was measured: dense where it changes, along the dimension `point`."""

import subprocess
import sys

import numpy as np
import pytest

from labnb.core import PlanError, SchemaError, State, sweep
from labnb.live import Kind, LiveView, choose
from labnb.notebook.prepare import prepare
from labnb.notebook.request import Request
from labnb.session import Measurement, Run

pytest.importorskip("adaptive")


def edge(x):
    return 1 / (1 + np.exp(-(x - 0.3) / 0.002))


@pytest.mark.parametrize("blocking", [False, True], ids=["async", "sync"])
async def test_points_are_dense_where_the_signal_changes(tmp_path, blocking):
    session = Measurement("edge", store=tmp_path)
    session.parameter("gate", sweep.adaptive(0, 1, "V", on="current", goal=0.02, most=200))
    if blocking:

        @session.acquire
        def measure(gate):
            return {"current": float(edge(gate)), "twice": gate * 2}
    else:

        @session.acquire
        async def measure(gate):
            return {"current": float(edge(gate)), "twice": gate * 2}

    run = await session.run()
    assert run.state is State.DONE
    data = run.data
    assert data.current.dims == data.gate.dims == ("point",)
    assert data.gate.attrs["units"] == "V"
    assert 20 < run.points < 200  # the goal is reached long before
    np.testing.assert_allclose(data.twice, data.gate * 2)
    gate = np.sort(data.gate.values)
    assert gate[0] == 0
    assert gate[-1] == 1
    near = np.mean(np.abs(gate - 0.3) < 0.02)
    assert near > 0.4  # 4 % of the range


async def test_two_values_are_chosen_in_a_cell(tmp_path):
    source = """
for x, y in sweep.adaptive((-1, 1), (0, 2), ("V", "T"), on="z", most=40):
    w: "" = x + y
    z: "A" = 1.0 if x * x + (y - 1) ** 2 < 0.3 else 0.0
"""
    run = await Run(prepare(Request("map"), source, "<cell>", {"sweep": sweep}).job, tmp_path).start()
    assert run.data.sizes == {"point": 40}
    assert run.data.x.attrs["units"] == "V"
    assert run.data.y.attrs["units"] == "T"
    assert run.data.z.attrs["units"] == "A"
    np.testing.assert_allclose(run.data.w, run.data.x + run.data.y)
    assert len(set(zip(run.data.x.values, run.data.y.values, strict=True))) == 40


async def test_a_sweep_inside_is_measured_at_each_chosen_point(tmp_path):
    source = """
for x in sweep.adaptive(0, 1, most=5):
    level: "V" = x * 2
    for k in sweep(range(3)):
        y: "A" = x + k
"""
    run = await Run(prepare(Request("nested"), source, "<cell>", {"sweep": sweep}).job, tmp_path).start()
    assert run.data.y.sizes == {"point": 5, "k": 3}
    np.testing.assert_allclose(run.data.y, (run.data.x + run.data.k).transpose("point", "k"))


async def test_the_live_figure_goes_from_left_to_right(tmp_path):
    from labnb.live import CurveSet

    class Watching:
        def __init__(self):
            self.sink = LiveView()

        def update(self):
            self.sink.drain()

        async def end(self):
            self.sink.drain_all()

    view = Watching()
    source = 'for x in sweep.adaptive(0, 1, "V", most=30):\n    y: "A" = (x - 0.3) ** 2\n'
    await Run(prepare(Request("fig"), source, "<cell>", {"sweep": sweep}).job, tmp_path, lambda run: view).start()
    choice = choose(view.sink.groups)
    assert choice.kind is Kind.LINES
    assert choice.x.name == "x"
    curves = CurveSet(view.sink, choice)
    curves.advance()
    x, y = curves.curves[0].points()
    assert np.all(np.diff(x) > 0)
    np.testing.assert_allclose(y, (x - 0.3) ** 2)


async def test_the_live_figure_of_a_shuffled_sweep_goes_from_left_to_right(tmp_path):
    from labnb.core import Group, Variable
    from labnb.live import CurveSet

    view = LiveView()
    axis = sweep(range(50)).shuffled(1).named("x")
    group = Group(0, (axis,), (Variable("y"),))
    view.declare(group)
    for place in axis.visit.places(50, 0):
        view.put((0, place, (place * 2.0,), 0))
    view.drain_all()
    curves = CurveSet(view, choose([group]))
    curves.advance()
    x, y = curves.curves[0].points()
    np.testing.assert_array_equal(x, np.arange(50))
    np.testing.assert_array_equal(y, 2 * x)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sweep.adaptive(1, 1), "the range from 1 to 1 is empty"),
        (lambda: sweep.adaptive(0, float("inf")), "two finite numbers"),
        (lambda: sweep.adaptive((0, 1), (0, 1), ("V",)), "2 ranges and 1 units"),
        (lambda: sweep.adaptive(0, 1, goal=0), "goal must be"),
        (lambda: sweep.adaptive(0, 1, most=0), "most must be"),
        (lambda: sweep.adaptive(0, 1).named("x", "y"), "chooses 1 value at each point; got the names x, y"),
    ],
)
def test_what_cannot_be_chosen_is_refused(make, words):
    with pytest.raises(PlanError, match=words):
        make()


@pytest.mark.parametrize(
    ("result", "error", "words"),
    [
        ({"y": 1.0, "z": 2.0}, PlanError, "is steered by|say which by on="),
        ({"y": float("nan")}, SchemaError, "needs a finite number for 'y'"),
    ],
)
async def test_what_cannot_steer_is_refused(tmp_path, result, error, words):
    session = Measurement("bad", store=tmp_path)
    session.parameter("x", sweep.adaptive(0, 1, on=None if "z" in result else "y"))
    session.acquire(name="m")(lambda x: result)
    with pytest.raises(error, match=words):
        await session.run()


async def test_what_is_to_steer_and_is_not_recorded_is_said(tmp_path):
    job = prepare(
        Request("bad"), 'for x in sweep.adaptive(0, 1, on="q"):\n    y: "" = x\n', "<cell>", {"sweep": sweep}
    ).job
    with pytest.raises(PlanError, match="over x records y: there is no 'q'"):
        await Run(job, tmp_path).start()


async def test_one_number_steers_without_being_named(tmp_path):
    session = Measurement("one", store=tmp_path)
    session.parameter("x", sweep.adaptive(0, 1, most=6))
    session.acquire(name="y")(lambda x: x * x)
    assert (await session.run()).points == 6


PROGRAM = """
import asyncio, sys, threading
from labnb import Measurement, sweep

loaded_in = []
sys.addaudithook(lambda event, told: event == "import" and told[0] == "adaptive" and loaded_in.append(
    threading.current_thread().name))

async def main():
    async with Measurement("chosen", store=sys.argv[1]) as session:
        session.parameter("x", sweep.adaptive(0, 1, most=4))

        @session.acquire
        async def y(x):
            return x

        await session.run()

asyncio.run(main())
print(loaded_in[0])
"""


def test_the_library_which_takes_a_second_is_loaded_beside_the_loop(tmp_path):
    done = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("labnb lane")
