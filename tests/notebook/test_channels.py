"""Channels in a `%%measure` body: swept by a loop, read by an annotation."""

import asyncio
import json

import numpy as np
import pytest

from labnb.core import CellError, InstrumentError, LimitError, PlanError, sweep
from labnb.instruments import Meta, channel
from labnb.notebook.prepare import prepare
from labnb.notebook.request import parse_line
from labnb.session import Run


class Source:
    """A driver as people write them: it blocks."""

    def __init__(self, unit="V"):
        self.name, self.unit, self.volts, self.log = "source", unit, 0.0, []

    def get(self):
        return self.volts

    def set(self, volts):
        self.log.append(volts)
        self.volts = volts


class AsyncSource(Source):
    async def get(self):
        return self.volts

    async def set(self, volts):
        await asyncio.sleep(0)
        super().set(volts)


BODIES = {
    "thread": "for v in sweep(gate, 0, 1, 3):\n    i: meter\n    twice: 'V' = gate.volts * 2",
    "loop": "for v in sweep(gate, 0, 1, 3):\n    i: meter\n    await nothing()\n    twice: 'V' = gate.volts * 2",
}


async def nothing():
    await asyncio.sleep(0)


async def measured(tmp_path, body, **names):
    names = {"sweep": sweep, "nothing": nothing, **names}
    run = Run(prepare(parse_line("iv"), body, "<cell>", names).job, tmp_path)
    await run.foreground()
    return run


def metadata(run):
    return json.loads((run.path / "run.json").read_text())["metadata"]


@pytest.mark.parametrize("kind", [Source, AsyncSource])
@pytest.mark.parametrize("where", BODIES)
async def test_a_swept_channel_is_set_before_each_step_and_an_annotation_reads_one(tmp_path, kind, where):
    gate, meter = kind(), channel((lambda: gate.volts / 10, None), name="meter", unit="A")
    run = await measured(tmp_path, BODIES[where], gate=gate, meter=meter)
    assert gate.log == [0, 0.5, 1]
    assert run.data.i.dims == ("v",)
    assert run.data.i.values.tolist() == [0, 0.05, 0.1]
    assert run.data.twice.values.tolist() == [0, 1, 2]
    assert (run.data.i.attrs["units"], run.data.v.attrs["units"]) == ("A", "V")


@pytest.mark.parametrize("await_", ["", "    await nothing()\n"])
async def test_the_outer_one_of_two_swept_channels_is_set_once_per_pass(tmp_path, await_):
    slow, fast = Source(), Source()
    body = f"for a in sweep(slow, [1, 2]):\n  for b in sweep(fast, [3, 4, 5]):\n    x: '' = a * b\n{await_}"
    run = await measured(tmp_path, body, slow=slow, fast=fast)
    assert (slow.log, fast.log) == ([1, 2], [3, 4, 5, 3, 4, 5])
    assert run.data.x.values.tolist() == [[3, 4, 5], [6, 8, 10]]


async def test_a_sweep_that_the_body_makes_sets_its_channel_too(tmp_path):
    gate = Source()
    body = "for a in sweep([1, 2]):\n  stop = 4\n  for b in sweep(gate, 3, stop, 2):\n    x: '' = gate.volts"
    run = await measured(tmp_path, body, gate=gate)
    assert run.data.x.values.tolist() == [[3, 4], [3, 4]]
    assert run.data.b.attrs["units"] == "V"


async def test_no_setpoint_is_applied_if_one_of_them_is_forbidden(tmp_path):
    gate = Source()
    limited = channel(gate, limits=(0, 0.8))
    for swept in (gate, limited):  # a limit belongs to what is set, not to one name of it
        with pytest.raises(LimitError, match=r"axis 'v', setpoint 3 of 3: source = 1 V is outside .* 0 to 0.8 V"):
            await measured(tmp_path, BODIES["thread"], gate=swept, meter=lambda: 1)
    assert gate.log == []


async def test_an_annotation_with_a_value_takes_only_the_unit(tmp_path):
    asked = []
    meter = channel(lambda: asked.append(1), unit="A")
    run = await measured(tmp_path, "x: meter = 3", meter=meter)
    assert (run.data.x.item(), run.data.x.attrs["units"], asked) == (3, "A", [])


async def test_a_unit_that_only_the_reading_tells_is_stored(tmp_path):
    class Quantity:
        def __init__(self, magnitude, units):
            self.magnitude, self.units = magnitude, units

        def __format__(self, spec):
            return self.units

    run = await measured(tmp_path, "x: meter", meter=lambda: Quantity(2.5, "mA"))
    assert (run.data.x.item(), run.data.x.attrs["units"]) == (2.5, "mA")


@pytest.mark.parametrize("await_", ["", "\nawait nothing()"])
async def test_several_channels_as_one_are_recorded_as_an_array(tmp_path, await_):
    a, b = Source(), Source()
    a.volts, b.volts = 1.0, 2.0
    run = await measured(tmp_path, "x: gates.both" + await_, gates=Meta("gates", both=[a, b]))
    assert np.array_equal(run.data.x.values, [1, 2])
    assert run.data.x.attrs["units"] == "V"


@pytest.mark.parametrize("await_", ["", "    await nothing()\n"])
@pytest.mark.parametrize("kind", [Source, AsyncSource])
async def test_a_safe_value_is_set_at_the_end_also_after_an_error(tmp_path, kind, await_):
    gate = kind()
    safe = channel(gate, safe=-0.25)
    run = await measured(tmp_path, f"for v in sweep(gate, [1, 2]):\n    x: '' = v\n{await_}", gate=safe)
    assert gate.log == [1, 2, -0.25]
    assert run.state.value == "done"
    with pytest.raises(ZeroDivisionError, match="division") as failed:
        await measured(tmp_path, f"for v in sweep(gate, [3, 0]):\n    x: '' = 1 / v\n{await_}", gate=gate)
    assert gate.log[3:] == [3, 0, -0.25]
    assert "at v=0 V (point 2 of 2)" in failed.value.__notes__[-1]


async def test_a_safe_value_that_cannot_be_set_is_an_error_that_says_so(tmp_path):
    def refuse(volts):
        if volts == 0:
            raise OSError("no answer")

    gate = channel((None, refuse), name="gate", safe=0.0)
    with pytest.raises(InstrumentError, match="gate may still be ON: making it safe failed: OSError: no answer"):
        await measured(tmp_path, "for v in sweep(gate, [1]):\n    x: '' = v", gate=gate)


async def test_a_setting_that_fails_names_the_channel_and_keeps_the_points_before(tmp_path):
    def setter(volts):
        if volts > 1:
            raise OSError("no answer")

    with pytest.raises(OSError, match="no answer") as failed:
        await measured(
            tmp_path, "for v in sweep(gate, [1, 2]):\n    x: '' = v", gate=channel((None, setter), name="gate")
        )
    assert "while setting gate to 2" in failed.value.__notes__
    assert failed.value.__notes__[-1].startswith("at v=2 (point 2 of 2); 1 point kept")


async def test_the_metadata_have_channels_and_what_foreign_drivers_know(tmp_path):
    class Driver:
        def __init__(self):
            self.name, self.resource, self.volts = "mine", object(), 1.0

        def snapshot(self):
            return {"volts": self.volts, "shape": np.arange(2)}

    driver = Driver()
    run = await measured(tmp_path, "for v in sweep((driver, 'volts'), [1]):\n    x: '' = driver.volts", driver=driver)
    told = metadata(run)
    assert told["instruments"]["mine"]["volts"] == 1.0
    assert told["instruments"]["mine"]["shape"] == [0, 1]
    assert told["channels"][0]["name"] == "volts"


async def test_a_second_run_over_the_same_connection_is_refused_while_the_first_goes_on(tmp_path):
    gate, other = Source(), Source()
    names = {"sweep": sweep, "gate": gate, "other": other, "asyncio": asyncio}
    body = "for v in sweep(gate, [1]):\n    await asyncio.sleep(60)\n    x: '' = v"
    first = Run(prepare(parse_line("a"), body, "<cell>", names).job, tmp_path).start()
    with pytest.raises(PlanError, match="source is in use by run a-"):
        Run(prepare(parse_line("b"), "x: gate", "<cell>", names).job, tmp_path)
    await Run(prepare(parse_line("b"), "x: other", "<cell>", names).job, tmp_path).start()
    first.stop()
    await first


async def test_stop_during_a_long_setting_ends_the_run_and_makes_safe_behind_it(tmp_path):
    entered, go_on, log = asyncio.Event(), asyncio.Event(), []

    async def setter(volts):
        entered.set()
        if volts:
            await go_on.wait()
        log.append(volts)

    names = {"sweep": sweep, "gate": channel((None, setter), name="gate", safe=0.0), "nothing": nothing}
    body = "for v in sweep(gate, [1, 2]):\n    x: '' = v\n    await nothing()"
    run = Run(prepare(parse_line("a"), body, "<cell>", names).job, tmp_path).start()
    await entered.wait()
    run.stop()
    asyncio.get_running_loop().call_later(0.2, go_on.set)  # the run has given up its point by then
    await run
    assert (run.state.value, run.points, log) == ("stopped", 0, [1, 0.0])


@pytest.mark.parametrize(
    ("body", "line", "words"),
    [
        ("x: float = 3", 2, "float is no unit and no channel"),
        ("pass\nx: gate.nothing", 3, None),
        ("x: kind", 2, "kind is no unit and no channel"),
        ("x: number", 2, "number is no unit and no channel"),
        ("x: setter", 2, "setter can only be set"),
        ("g = gate\nx: g", 3, "'g' is assigned in this cell"),
        ("x: unheard", 2, "unheard is no unit and no channel"),
        ("def f():\n    y: gate\nx: gate", 3, "belongs to no loop"),
        ("if 1:\n  x: gate\nelse:\n  x: 'V' = 3", 5, "has the unit gate in line 3 already, not 'V'"),
    ],
)
def test_an_annotation_that_is_no_channel_is_refused_at_its_line(body, line, words):
    names = {"sweep": sweep, "gate": Source(), "kind": Source, "number": 3, "setter": channel((None, lambda v: None))}
    with pytest.raises(CellError if words else AttributeError, match=words) as refused:
        prepare(parse_line("iv"), body, "<cell>", names)
    if words:
        assert refused.value.lineno == line


def test_a_sweep_of_a_channel_in_another_unit_is_refused():
    names = {"sweep": sweep, "gate": Source()}
    with pytest.raises(PlanError, match=r"axis 'v' is in 'mV', but sets source in 'V'"):
        prepare(parse_line("iv"), "for v in sweep(gate, 0, 1, 2, 'mV'):\n  x: '' = v", "<cell>", names)


def test_outside_of_a_measurement_such_a_sweep_is_refused_and_its_values_are_at_hand():
    swept = sweep(Source(), 0, 1, 3)
    with pytest.raises(PlanError, match="which only a measurement does"):
        list(swept)
    assert swept.values == (0, 0.5, 1)
    assert len(swept) == 3
