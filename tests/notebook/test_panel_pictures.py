"""What a panel leaves for readers without a kernel: its words while it lives, and its picture when it is frozen."""

import asyncio
import base64
from io import BytesIO

import pytest
from PIL import Image

from labnb import RunsPanel, SweepPanel, demo_bench, panel, tasks
from labnb.core import PlanError, State
from labnb.notebook.panels import _door
from labnb.notebook.panels._card import Card, card_picture

VIEW = "application/vnd.jupyter.widget-view+json"
EMPTY = {"text/plain": ""}


@pytest.fixture
def bench():
    bench = demo_bench("fast")
    yield bench
    bench.psu.make_safe_now()
    bench.close()


class Cell:
    """What IPython's `display` does with a cell's output, as far as panels use it."""

    def __init__(self):
        self.outputs = []

    def display(self, data, *, raw, display_id=False):
        assert raw
        self.outputs.append(data)
        return Shown(self, len(self.outputs) - 1)


class Shown:
    """One output, which can be replaced."""

    def __init__(self, cell, place):
        self._cell, self._place = cell, place

    def update(self, data, *, raw):
        assert raw
        self._cell.outputs[self._place] = data


@pytest.fixture
def cell(monkeypatch):
    cell = Cell()
    monkeypatch.setattr(_door, "display", cell.display)
    return cell


def picture(output):
    return Image.open(BytesIO(base64.b64decode(output["image/png"])))


def chosen(bench, tmp_path, points=11):
    return SweepPanel(bench, store=tmp_path).choose(
        fast=("psu.channel(1).voltage", 0, 0.8, points),
        slow=("oven.setpoint", 280, 320, 3),
        read=["dmm.measure_current_dc"],
        on=["psu.channel(1).output"],
    )


async def test_a_sweep_panel_leaves_its_plan_its_cell_and_its_figure(bench, tmp_path, cell):
    made = chosen(bench, tmp_path)
    run = await made.measure()
    made._ipython_display_()
    shown, place = cell.outputs
    assert VIEW in shown  # alive
    assert place == EMPTY
    assert "for voltage in sweep(" in shown["text/plain"]
    await made.freeze()
    kept, place = cell.outputs
    assert set(kept) == {"text/plain", "image/png"}  # nothing that needs a kernel
    assert place == EMPTY  # the figure is in the picture
    assert "setpoint 3 × voltage 11 = 33 points" in kept["text/plain"]
    assert "oven.setpoint (K)   from 280 to 320, 3 points" in kept["text/plain"]
    assert (run.state, run.points) == (State.DONE, 33)
    assert picture(kept).width > 1700
    assert picture(kept).height > 1000  # words and figure
    assert made.closed


async def test_a_run_that_still_measures_is_stopped_and_drawn_when_its_panel_is_frozen(tmp_path, cell):
    bench = demo_bench()
    made = chosen(bench, tmp_path, points=2000)
    made._ipython_display_()
    measuring = asyncio.create_task(made.measure())
    while made.run is None or made.run.points < 2:
        await asyncio.sleep(0.01)
    await made.freeze()
    run = await measuring
    assert run.state is State.STOPPED
    assert picture(cell.outputs[0]).height > 1000
    assert not (await bench.psu.channel(1).get_output_state())
    bench.close()


async def test_an_instrument_is_read_once_more_before_its_panel_is_frozen(bench, cell):
    made = panel(bench.psu)
    bench.psu.channel(2).voltage.set(1.25)
    made._ipython_display_()
    await made.freeze()
    words = cell.outputs[0]["text/plain"]
    assert "Keysight Technologies EDU36311A" in words
    assert "channel 2\n  voltage                      1.2500 V" in words
    assert picture(cell.outputs[0]).height > 300


async def test_runs_and_tasks_leave_their_lists(bench, tmp_path, cell, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = chosen(bench, tmp_path / "labnb-data")
    run = await made.measure()
    listed = await RunsPanel("labnb-data").choose(run.run_id)
    with pytest.raises(PlanError, match=f"iv-0000 is not listed; there are {run.run_id}"):
        await listed.choose("iv-0000")
    going = tasks()
    for each in (listed, going):
        each._ipython_display_()
        await each.freeze()
    made.close()
    runs, nothing = cell.outputs
    assert f"{run.run_id}" in runs["text/plain"]
    assert runs["text/plain"].startswith("Runs · in labnb-data\n▸ ")  # where it is, seen from the notebook
    assert str(tmp_path) not in runs["text/plain"]
    assert picture(runs).height > 700
    assert "nothing is going on" in nothing["text/plain"]


async def test_a_panel_that_is_closed_leaves_its_words(bench, tmp_path, cell):
    made = chosen(bench, tmp_path)
    made._ipython_display_()
    made._ipython_display_()  # it may be on show twice
    await asyncio.sleep(0.01)
    made.close()
    made.close()
    await made.freeze()
    assert [set(output) for output in cell.outputs] == [{"text/plain"}] * 4  # each with a place for a picture
    assert "33 points" in cell.outputs[2]["text/plain"]
    made._ipython_display_()
    assert "closed" in cell.outputs[4]["text/plain"]


async def test_what_a_bench_does_not_offer_cannot_be_chosen(bench, tmp_path):
    made = SweepPanel(bench, store=tmp_path)
    with pytest.raises(PlanError, match=r"no 'psu.volts' that can be swept; there are psu\.channel\(1\)\.voltage, "):
        made.choose(fast=("psu.volts", 0, 1, 3))
    with pytest.raises(PlanError, match=r"no 'oven\.heater' that can be swept"):
        made.choose(fast=("oven.heater", 0, 1, 3))
    with pytest.raises(PlanError, match="choose what to sweep"):
        await made.measure()
    made.choose(fast=("psu.channel(1).voltage", 0, 99, 3), read=["dmm.measure_current_dc"])
    with pytest.raises(
        PlanError, match=r"^axis .voltage., setpoint 2 of 3: .* 49\.5 V is outside of its range 0 to 6\.18"
    ):
        await made.measure()
    assert made.run is None
    made.close()


def test_words_are_drawn_as_they_are_and_long_lines_go_on():
    lines = ("a $ that is no formula $x_{$", "path/" * 60)
    tall = Image.open(BytesIO(card_picture(Card("T", "n", lines))))
    short = Image.open(BytesIO(card_picture(Card("T", "n", lines[:1]))))
    assert tall.height > short.height + 60
