"""The sweep panel: what it offers, what it says before anything moves, and that it is a cell put together by choosing."""

import asyncio
import json

import pytest
import xarray as xr

from labnb import Bench, Measurement, channel, demo_bench, sweep
from labnb.core import PlanError, State
from labnb.notebook.panels import SweepPanel
from labnb.notebook.prepare import prepare
from labnb.notebook.request import parse_line
from labnb.session import Run


@pytest.fixture
def bench():
    bench = demo_bench("fast")
    yield bench
    bench.psu.safety.clear()
    bench.psu.make_safe_now()
    bench.close()


@pytest.fixture
def things():
    """Return channels of no instrument: a gate that can be set, and a drain that follows it."""
    state = {"gate": 0.0, "back": 0.0}
    gate = channel((lambda: state["gate"], lambda v: state.update(gate=v)), name="gate", unit="V", limits=(-1, 2))
    back = channel((lambda: state["back"], lambda v: state.update(back=v)), name="back", unit="V")
    drain = channel(lambda: state["gate"] ** 2 + state["back"], name="drain", unit="A")
    return {"gate": gate, "back": back, "drain": drain}


def offer(panel, label):
    return next(each for each in panel.offers if each.label == label)


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def filled(bench, tmp_path, fast, reads, *, start="0", stop="1", points="5", **options):
    panel = SweepPanel(bench, store=tmp_path, **options)
    panel.fast.channel.value = offer(panel, fast)
    await settle()
    panel.fast.start.value, panel.fast.stop.value, panel.fast.points.value = start, stop, points
    panel.reads.value = tuple(offer(panel, each) for each in reads)
    await settle()
    return panel


async def finish(panel):
    panel.start.click()
    await settle()
    await panel.run
    await settle()


async def test_units_and_safety_limits_are_filled_in(things, tmp_path):
    panel = SweepPanel(things, store=tmp_path)
    panel.fast.channel.value = offer(panel, "gate")
    await settle()
    assert (panel.fast.start.value, panel.fast.stop.value) == ("-1", "2")
    assert panel.fast.start.description == "From (V)"
    panel.close()


async def test_the_plan_is_told_before_anything_moves(things, tmp_path):
    panel = await filled(things, tmp_path, "gate", ["drain"])
    assert "gate 5 = 5 points" in panel.plan.value
    assert not panel.start.disabled
    assert list(tmp_path.iterdir()) == []
    panel.close()


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("stop", "3", "setpoint 4 of 5"),
        ("stop", "a lot", "To: expected a number in V, got &#x27;a lot&#x27;"),
        ("points", "2.5", "expected a whole number"),
        ("step", "-1", "never leads from"),
    ],
)
async def test_what_cannot_be_is_told_and_cannot_be_started(things, tmp_path, field, value, told):
    panel = await filled(things, tmp_path, "gate", ["drain"])
    getattr(panel.fast, field).value = value
    await settle()
    assert told in panel._message.value
    assert panel.start.disabled
    panel.start.click()
    await settle()
    assert panel.run is None
    assert list(tmp_path.iterdir()) == []
    panel.close()


async def test_a_name_that_is_no_variable_is_refused(things, tmp_path):
    panel = await filled(things, tmp_path, "gate", ["drain"])
    panel.name.value = "my run"
    await settle()
    assert "becomes a variable" in panel._message.value
    assert panel.start.disabled
    panel.close()


async def test_points_and_step_say_the_same_thing_so_only_one_is_filled_in(things, tmp_path):
    panel = await filled(things, tmp_path, "gate", ["drain"])
    panel.fast.step.value = "0.25"
    await settle()
    assert panel.fast.points.value == ""
    assert "step=0.25" in panel.cell.value
    assert "5 points" in panel.plan.value
    panel.fast.points.value = "3"
    await settle()
    assert panel.fast.step.value == ""
    assert "0, 1, 3)" in panel.cell.value
    panel.close()


async def test_a_sweep_of_two_axes_is_measured_and_recorded(things, tmp_path):
    panel = await filled(things, tmp_path, "gate", ["drain"])
    panel.slow.channel.value = offer(panel, "back")
    await settle()
    panel.slow.start.value, panel.slow.stop.value, panel.slow.points.value = "1", "2", "2"
    await settle()
    await finish(panel)
    assert panel.run.state is State.DONE
    assert panel.run.data.drain.dims == ("back", "gate")
    assert panel.run.data.drain.sel(back=2, gate=0.5).item() == 2.25
    assert "10 points" in panel._message.value
    panel.close()


async def test_the_same_sweep_by_panel_cell_and_measurement_gives_identical_datasets(bench, tmp_path):
    panel = await filled(bench, tmp_path, "oven.setpoint", ["oven.temperature"], start="280", stop="300", name="scan")
    panel.reads.value = (*panel.reads.value, offer(panel, "psu.channel(1).voltage"))
    await settle()
    copied = panel.cell.value
    await finish(panel)
    by_panel = panel.run

    line, _, body = copied.removeprefix("%%measure ").partition("\n")
    prepared = prepare(parse_line(line), body, "<cell>", {"bench": bench, "sweep": sweep})
    by_cell = await Run(prepared.job, tmp_path).start()

    async with Measurement("scan", store=tmp_path) as session:
        session.parameter("setpoint", sweep(280, 300, 5), channel=bench.oven.setpoint)
        session.acquire(bench.oven.temperature, name="temperature")
        session.acquire(bench.psu.channel(1).voltage, name="voltage")
        by_session = await session.run()

    first, *others = (told(run.path) for run in (by_panel, by_cell, by_session))
    assert first["labnb"]["points"] == 5
    for other in others:
        assert other["data"].keys() == first["data"].keys()
        assert other == first
    panel.close()


def told(path):
    """Return all that a dataset is, but for times, identity and source; what is measured with noise, by its shape."""
    data = xr.open_zarr(path / "data.zarr")
    attributes = dict(data.attrs)
    own = json.loads(attributes.pop("labnb"))
    for key in ("run", "created", "last_point"):
        del own[key]
    for key in ("source", "source_options"):
        del own["metadata"][key]
    for each in (*own["metadata"]["channels"], own["metadata"]["instruments"]["oven"]):
        for key in ("value", "values"):  # what was last read
            each.pop(key, None)
    described = {
        str(name): (
            v.dims,
            v.shape,
            v.dtype.str,
            v.attrs,
            None if v.dtype.kind == "M" or name == "temperature" else v.values.tolist(),
        )
        for name, v in data.variables.items()
    }
    return {"attributes": attributes, "labnb": own, "data": described}


async def test_the_copied_cell_run_again_gives_the_same_plan(bench, tmp_path):
    bench.psu.channel(1).limit(voltage=(0, 1))
    panel = await filled(bench, tmp_path, "psu.channel(1).voltage", ["dmm.measure_current_dc"])
    panel.switches.value = (offer(panel, "psu.channel(1).output"),)
    panel.dwell.value = "0.001"
    await settle()
    line, _, body = panel.cell.value.removeprefix("%%measure ").partition("\n")
    again = prepare(parse_line(line), body, "<cell>", {"bench": bench, "sweep": sweep}).job
    await finish(panel)
    mine = panel._prepared.job
    assert again.outline == mine.outline
    assert again.axes == mine.axes
    assert [t[0].name for t in again.targets.values()] == [t[0].name for t in mine.targets.values()]
    assert again.name == mine.name == panel.run.name
    assert str(again.metadata["source"]).partition("\n")[2] == mine.metadata["source"], "but for what to call the bench"
    assert panel.run.data.current_dc[-1] > 1e-3, "the output was switched on first"
    assert not await bench.psu.channel(1).get_output_state(), "and made safe at the end"
    panel.close()


async def test_a_second_start_while_it_measures_changes_nothing_and_closing_stops_the_run(things, tmp_path):
    panel = await filled(things, tmp_path, "gate", ["drain"])
    panel.dwell.value = "10"
    await settle()
    panel.start.click()
    await settle()
    run = panel.run
    assert panel.start.disabled
    panel.start.click()
    await settle()
    assert panel.run is run
    panel.close()
    await run
    assert run.state is State.STOPPED
    await settle()
    assert not panel._tasks


async def test_two_panels_measure_with_one_bench_as_long_as_their_instruments_differ(bench, tmp_path):
    panel = await filled(bench, tmp_path, "oven.setpoint", ["oven.temperature"], start="280", stop="300")
    panel.dwell.value = "10"
    await settle()
    panel.start.click()
    await settle()
    other = await filled(bench, tmp_path, "psu.channel(2).voltage", ["psu.channel(2).voltage"], name="other")
    await finish(other)
    assert other.run.state is State.DONE
    assert set(other.run.stored.metadata["instruments"]) == {"psu"}
    panel.run.stop()
    await panel.run
    for each in (panel, other):
        each.close()


async def test_every_instrument_of_the_demo_bench_is_offered_also_those_that_were_not_used(bench, tmp_path):
    panel = SweepPanel(bench, store=tmp_path)
    owners = {each.label.partition(".")[0] for each in panel.offers}
    assert owners == {"psu", "dmm", "oven", "load", "awg", "smu"}, "an oscilloscope has traces, no single values"
    panel.close()


async def test_an_instrument_that_another_run_uses_is_told_not_taken(bench, tmp_path):
    panel = await filled(bench, tmp_path, "oven.setpoint", ["oven.temperature"], start="280", stop="300")
    panel.dwell.value = "10"
    await settle()
    other = await filled(bench, tmp_path, "oven.setpoint", ["oven.temperature"], start="280", stop="300", name="other")
    panel.start.click()
    await settle()
    other.start.click()
    await settle()
    assert "in use by run scan-" in other._message.value
    assert other.run is None
    panel.run.stop()
    await panel.run
    for each in (panel, other):
        each.close()


def test_a_panel_without_a_loop_says_what_it_needs(things):
    with pytest.raises(Exception, match="needs a running event loop"):
        SweepPanel(things)


async def test_a_bench_without_anything_is_refused(tmp_path):
    with pytest.raises(PlanError, match="nothing to sweep or to read; expected demo_bench"):
        SweepPanel({}, store=tmp_path)
    with pytest.raises(TypeError):
        SweepPanel({}, colour="red")


FILE = """\
simulate: true
instruments:
  psu:
    profile: keysight/EDU36311A
    address: "USB0::0x2A8D::0x8F01::CN6123::INSTR"
    safety_limits: {channels: {1: {voltage: {max: 3.3}}}}
parts:
  dut: {part: resistor, ohms: 100 ohm}
wiring:
  - {from: psu.1, to: dut.1}
  - {from: dut.2, to: gnd}
"""


async def test_a_bench_file_gives_what_it_describes_with_its_limits(tmp_path):
    (tmp_path / "bench.yaml").write_text(FILE)
    async with await Bench.open(tmp_path / "bench.yaml") as bench:
        panel = await filled(
            bench, tmp_path, "psu.channel(1).voltage", ["psu.channel(1).current_out"], start="1", stop="2", points="2"
        )
        assert offer(panel, "psu.channel(1).voltage").high == 3.3
        panel.switches.value = (offer(panel, "psu.channel(1).output"),)
        await settle()
        await finish(panel)
        assert panel.run.data.current_out.values == pytest.approx([0.01, 0.02], rel=0.1)
        panel.close()
