"""A run that ended too early goes on where it was: what it has stays, what it lacks is measured, and nothing else."""

import asyncio
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from labnb.core import PlanError, RecordError, RunLocked, State, sweep
from labnb.notebook.prepare import prepare
from labnb.notebook.request import Request
from labnb.record import load, open_run
from labnb.session import Measurement, Run

KINDS = {
    "straight": lambda s: s,
    "snake": lambda s: s.snake(),
    "shuffled": lambda s: s.shuffled(3),
    "there and back": lambda s: s.there_and_back(),
}


class Lab:
    """A session with a level variable, a trace, a complex number and a bool; it stops after `budget` points."""

    def __init__(self, root, kind="straight", budget=10**9, blocking=False):
        self.calls, self.budget = [], budget
        self.session = session = Measurement("grid", store=root)
        session.parameter("a", sweep([1.0, 2.0, 3.0, 4.0], "K"))
        session.parameter("b", KINDS[kind](sweep([10.0, 20.0, 30.0], "V")))

        @session.before("a")
        def set_a(a):
            self.calls.append(("set", a))

        @session.acquire(per="a", unit="K")
        def stage(a):
            self.calls.append(("stage", a))
            return a + 0.5

        def point(a, b):
            if self.budget <= 0:
                raise ValueError("broken")
            self.budget -= 1
            self.calls.append((a, b))
            return {"y": a * b, "z": complex(a, b), "up": a * b > 50, "trace": np.arange(4) * a * b}

        async def point_async(a, b):
            return point(a, b)

        session.acquire(point if blocking else point_async)


def same(left, right):
    """Assert that two datasets have the same variables, but for the times."""
    times = [name for name in left.variables if name.startswith("t_") or name == "t"]
    xr.testing.assert_equal(left.drop_vars(times), right.drop_vars(times))
    assert all(np.isfinite(left[name].astype("int64")).all() for name in times)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blocking", [False, True], ids=["async", "sync"])
async def test_a_resumed_run_is_what_an_uninterrupted_one_would_have_been(tmp_path, kind, blocking):
    whole = await Lab(tmp_path / "whole", kind).session.run()
    broken = Lab(tmp_path / "broken", kind, budget=7, blocking=blocking)
    with pytest.raises(ValueError, match="broken"):
        await broken.session.run()
    before = load(next((tmp_path / "broken").glob("*/*/*/*")))
    again = Lab(tmp_path / "broken", kind, blocking=blocking)
    run = await again.session.resume()
    assert run.state is State.DONE
    assert run.points == run.total == whole.points
    same(run.data, whole.data)
    np.testing.assert_array_equal(run.data.t.values[before.t.notnull()], before.t.values[before.t.notnull()])
    points = [call for call in broken.calls + again.calls if isinstance(call[0], float)]
    assert len(points) == len(set(points)) * (2 if kind == "there and back" else 1) == whole.points
    assert again.calls[:2] == [("set", again.calls[0][1]), ("stage", again.calls[0][1])]  # outer ones first
    assert open_run(run.path).metadata["resumed"]


async def test_a_stopped_run_can_be_resumed_and_stopped_as_often_as_one_likes(tmp_path):
    whole = await Lab(tmp_path / "whole").session.run()
    folder = None
    for _ in range(3):
        lab = Lab(tmp_path / "broken", budget=3)
        with pytest.raises(ValueError, match="broken"):
            await (lab.session.run() if folder is None else lab.session.resume(folder))
        folder = next((tmp_path / "broken").glob("*/*/*/*"))
    run = await Lab(tmp_path / "broken").session.resume()
    assert run.path == folder
    same(run.data, whole.data)


def script(root, points, action):
    return textwrap.dedent(f"""
        import asyncio, os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_resume import Lab

        class Victim(Lab):
            def __setattr__(self, name, value):
                super().__setattr__(name, value)
                if name == "budget" and value == 10**9 - {points}:
                    os.kill(os.getpid(), signal.SIGKILL)

        asyncio.run(Victim({str(root)!r}, "snake").session.{action}())
    """)


def test_a_killed_run_is_finished_by_another_process_even_if_that_is_killed_too(tmp_path):
    for points, action in ((5, "run"), (3, "resume")):
        died = subprocess.run([sys.executable, "-c", script(tmp_path / "broken", points, action)], check=False)
        assert died.returncode == -signal.SIGKILL
    lab = Lab(tmp_path / "broken", "snake")
    run = asyncio.run(lab.session.resume())
    whole = asyncio.run(Lab(tmp_path / "whole", "snake").session.run())
    same(run.data, whole.data)
    # The point at which it died was measured, but not yet kept.
    assert len([call for call in lab.calls if isinstance(call[0], float)]) == 12 - 4 - 2


async def test_what_does_not_fit_the_run_is_refused_before_anything_moves(tmp_path):
    with pytest.raises(ValueError, match="broken"):
        await Lab(tmp_path, budget=5).session.run()
    folder = next(tmp_path.glob("*/*/*/*"))
    for change, words in (
        (lambda s: s.parameter("b", [10.0, 20.0], unit="V"), r"axis 'b' \(2 values in 'V'\) is not the one"),
        (lambda s: s.parameter("b", [10.0, 20.0, 30.0], unit="A"), r"axis 'b' \(3 values in 'A'\)"),
        (lambda s: s.repeat(2), "measured over 2 axes, now it is over 3"),
    ):
        lab = Lab(tmp_path)
        change(lab.session)
        with pytest.raises(PlanError, match=words):
            await lab.session.resume()
        assert lab.calls == []
        assert open_run(folder).state is State.FAILED
    run = await Lab(tmp_path).session.resume()
    assert run.points == 12


async def test_results_of_another_kind_are_refused_with_all_points_kept(tmp_path):
    with pytest.raises(ValueError, match="broken"):
        await Lab(tmp_path, budget=5).session.run()
    lab = Lab(tmp_path)
    lab.session._contents.acquires.pop("point_async")

    @lab.session.acquire
    async def point(a, b):
        return {"y": 1j}

    with pytest.raises(Exception, match="cannot be resumed by this measurement"):
        await lab.session.resume()
    assert (await Lab(tmp_path).session.resume()).points == 12


async def test_a_run_that_is_done_or_under_way_is_not_resumed(tmp_path):
    run = await Lab(tmp_path).session.run()
    with pytest.raises(RecordError, match=r"is unfinished: the latest is done, or there is none; run\(\) starts"):
        await Lab(tmp_path).session.resume()
    with pytest.raises(RecordError, match=r"is done, all of its .* points are there"):
        await Lab(tmp_path).session.resume(run.path)
    other = Measurement("other", store=tmp_path)
    other.parameter("x", range(1000))
    reached = asyncio.Event()

    @other.acquire
    async def slow(x):
        reached.set()
        await asyncio.sleep(60)

    going = other.start()
    await reached.wait()
    with pytest.raises(RunLocked):
        await other.resume(going.path)
    going.stop()
    await going
    with pytest.raises(RecordError, match="not a labnb run"):
        await other.resume(tmp_path / "nowhere")


CELL = """
for a in sweep([1.0, 2.0, 3.0, 4.0], "K"):
    stage: "K" = a + 0.5
    for b in sweep([10.0, 20.0, 30.0], "V"):
        if a * b == 40.0:
            odd: "" = 1.0
        spend()
        y: "A" = a * b
    drift: "K" = a / 2
"""


def cell_job(spend):
    return prepare(Request("cell"), CELL, "<cell>", {"sweep": sweep, "spend": spend}).job


async def test_a_cell_is_resumed_too(tmp_path):
    budget, calls = [7], []

    def spend():
        calls.append(1)
        budget[0] -= 1
        if budget[0] < 0:
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await Run(cell_job(spend), tmp_path).start()
    budget[0] = 10**9
    folder = next(tmp_path.glob("*/*/*/*"))
    run = await Run(cell_job(spend), tmp_path, again=folder).start()
    assert run.points == 12
    assert run.data.y.values.tolist() == [[10, 20, 30], [20, 40, 60], [30, 60, 90], [40, 80, 120]]
    assert run.data.stage.values.tolist() == [1.5, 2.5, 3.5, 4.5]
    assert run.data.drift.values.tolist() == [0.5, 1.0, 1.5, 2.0]
    assert float(run.data.odd.sel(a=2, b=20)) == float(run.data.odd.sel(a=4, b=10)) == 1
    assert len(calls) == 13


async def test_a_view_gets_the_points_that_were_there(tmp_path):
    from labnb.live import LiveView

    class Watching:
        def __init__(self):
            self.sink = LiveView()

        def update(self):
            self.sink.drain()

        async def end(self):
            self.sink.drain()

    with pytest.raises(ValueError, match="broken"):
        await Run(cell_job(raising_after(7)), tmp_path).start()
    view = Watching()
    folder = next(tmp_path.glob("*/*/*/*"))
    await Run(cell_job(lambda: None), tmp_path, lambda run: view, again=folder).start()
    group = next(g for g in view.sink.groups if len(g.axes) == 2 and g.variables[-1].name == "y")
    assert view.sink.table(group.key).total == 12


def raising_after(count):
    left = [count]

    def spend():
        left[0] -= 1
        if left[0] < 0:
            raise ValueError("broken")

    return spend


async def test_a_refused_resume_changes_nothing_of_the_run(tmp_path):
    broken = Lab(tmp_path, budget=7)
    with pytest.raises(ValueError, match="broken"):
        await broken.session.run()
    (folder,) = tmp_path.glob("*/*/*/*")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    other = Measurement("grid", store=tmp_path)
    other.parameter("a", [1.0, 2.0])
    other.acquire(name="y")(lambda a: a)
    with pytest.raises(PlanError, match="a run can only be resumed by the measurement that began it"):
        await other.resume()
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert open_run(folder).state is State.FAILED
