"""Sweeps that are not straight, in a session and in a cell: the same data whatever the order of the visit."""

import numpy as np
import pytest
import xarray as xr

from labnb.core import CellError, PlanError, sweep
from labnb.notebook.prepare import prepare
from labnb.notebook.request import Request
from labnb.session import Measurement, Run

KINDS = {
    "straight": lambda s: s,
    "snake": lambda s: s.snake(),
    "shuffled": lambda s: s.shuffled(3),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("blocking", [False, True], ids=["async", "sync"])
async def test_the_order_of_the_visit_does_not_show_in_the_data(tmp_path, kind, blocking):
    session = Measurement("order", store=tmp_path)
    session.parameter("a", KINDS[kind](sweep(0, 1, 3, "V")))
    session.parameter("b", KINDS[kind](sweep([10, 20, 30, 40], "K")))
    visited = []
    if blocking:

        @session.acquire
        def measure(a, b):
            visited.append((a, b))
            return {"y": a * b}
    else:

        @session.acquire
        async def measure(a, b):
            visited.append((a, b))
            return {"y": a * b}

    run = await session.run()
    assert run.data.y.dims == ("a", "b")
    xr.testing.assert_equal(run.data.y.drop_vars("t"), (run.data.a * run.data.b).rename("y"))
    assert visited == [(s.as_dict()["a"], s.as_dict()["b"]) for s in session.plan]
    assert (visited == sorted(visited)) is (kind == "straight")


async def test_there_and_back_shows_hysteresis(tmp_path):
    session = Measurement("loop", store=tmp_path)
    session.parameter("T", [1, 2])
    session.parameter("field", sweep(-1, 1, 3, "T").there_and_back())
    last = [0.0]

    @session.acquire
    def measure(field):
        last[0] = 0.5 * last[0] + field
        return {"m": last[0]}

    run = await session.run()
    assert run.data.m.dims == ("T", "direction", "field")
    assert run.total == run.points == 12
    np.testing.assert_allclose(run.data.m.sel(T=1, direction="forward"), [-1, -0.5, 0.75])
    np.testing.assert_allclose(run.data.m.sel(T=1, direction="backward"), [-0.65625, 0.6875, 1.375])


async def test_two_parameters_in_lock_step_are_coordinates_of_one_dimension(tmp_path):
    session = Measurement("zip", store=tmp_path)
    session.parameter(("x", "y"), sweep.zip(sweep(0, 1, 3, "V"), sweep([7, 8, 9], "K")))

    @session.acquire
    def measure(x, y, ctx):
        return {"z": x * y + ctx["y"]}

    run = await session.run()
    data = run.data
    assert data.z.dims == ("x",)
    assert data.y.dims == ("x",)
    assert "y" in data.z.coords
    assert data.y.attrs["units"] == "K"
    np.testing.assert_allclose(data.z, [7, 12, 18])
    reopened = xr.open_zarr(run.path / "data.zarr")
    assert "y" in reopened.coords


CELL = """
for a in sweep([1, 2]).shuffled(1):
    for x, y in sweep.zip(sweep(0, 1, 3, "V"), [7, 8, 9]).snake():
        z: "A" = a * x + y
"""


async def test_a_cell_sweeps_the_same_way(tmp_path):
    job = prepare(Request("cell"), CELL, "<cell>", {"sweep": sweep}).job
    run = await Run(job, tmp_path).start()
    assert run.data.z.dims == ("a", "x")
    expected = run.data.a * run.data.x + run.data.y
    np.testing.assert_allclose(run.data.z, expected)
    assert run.data.z.attrs["units"] == "A"


async def test_a_cell_goes_there_and_back(tmp_path):
    source = 'for b in sweep([1, 2, 3], "T").there_and_back():\n    m: "" = b * 2.0\n'
    run = await Run(prepare(Request("cell"), source, "<cell>", {"sweep": sweep}).job, tmp_path).start()
    assert run.data.m.dims == ("direction", "b")
    assert run.data.m.values.tolist() == [[2, 4, 6], [2, 4, 6]]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('for x, x in sweep.zip([1], [2]):\n    y: "" = x\n', "axis 'x' is used twice"),
        ('for x in sweep([1]):\n    for y, x in sweep.zip([1], [2]):\n        z: "" = x\n', "axis 'x' is used twice"),
        ('for x, *y in sweep.zip([1], [2]):\n    z: "" = x\n', "has one name"),
        ('for x in sweep.zip([1], [2]):\n    z: "" = x\n', "2 sweeps in lock-step for the names x"),
        ('for x, y in sweep.zip([1], [2]):\n    y: "" = x\n', "'y' is an axis"),
    ],
)
def test_a_cell_refuses_names_that_do_not_fit(source, words):
    with pytest.raises((CellError, PlanError), match=words):
        prepare(Request("cell"), source, "<cell>", {"sweep": sweep})
