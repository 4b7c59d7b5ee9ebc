"""Front panels: live readbacks that never compete with a run, settings under the same limits, SAFE."""

import asyncio

import pytest

from labnb import Instrument, Meta, demo_bench, sweep
from labnb.core import PlanError
from labnb.instruments import Enum, Numbers
from labnb.notebook.panels import panel
from labnb.notebook.prepare import prepare
from labnb.notebook.request import parse_line
from labnb.session import Run


@pytest.fixture
def bench():
    bench = demo_bench("fast")
    yield bench
    bench.psu.safety.clear()
    bench.psu.make_safe_now()
    bench.oven.make_safe_now()
    bench.close()


@pytest.fixture
async def opened():
    """Return a function that makes a panel as if it were on show, and closes it at the end."""
    made = []

    def open_it(instrument, **options):
        made.append(panel(instrument, **options))
        made[-1].widget._view_count = 1
        return made[-1]

    yield open_it
    for each in made:
        each.close()
    await until(lambda: not any(each._tasks for each in made))


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_readbacks_come_by_themselves_in_si_units(bench, opened):
    shown = opened(bench.oven)
    await until(lambda: "K" in shown.line("temperature")._value.value)
    assert shown.line("heater")._value.value == "off"


async def test_nothing_is_asked_while_nobody_looks(bench):
    hidden = panel(bench.oven, every_s=0.2)
    hidden.widget._view_count = 0
    await asyncio.sleep(0.3)
    assert hidden.line("temperature")._value.value == "–"
    hidden.close()


async def test_a_setting_reaches_the_instrument(bench, opened):
    line = opened(bench.oven).line("setpoint")
    line.field.value = "281.5"
    line.apply_button.click()
    await until(lambda: "281.5" in line._value.value)
    assert await bench.oven.setpoint.get() == 281.5


async def test_a_switch_and_the_safe_button_reach_the_instrument(bench, opened):
    shown = opened(bench.psu)
    line = shown.line("channel(1).output")
    line.on.click()
    await until(lambda: line._value.value == "on")
    assert await bench.psu.channel(1).get_output_state()
    assert "labnb-on" in line.on._dom_classes
    shown._safe.click()
    await until(lambda: "safe state" in shown._message.value)
    assert not await bench.psu.channel(1).get_output_state()
    line.on.click()
    await until(lambda: line._value.value == "on")
    line.off.click()
    await until(lambda: line._value.value == "off")
    assert not await bench.psu.channel(1).get_output_state()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("9", "psu channel 1 voltage = 9 V is outside of its safety limit 0 to 2 V; nothing was sent"),
        ("a lot", "psu channel 1 voltage must be a number in V, got &#x27;a lot&#x27;"),
        ("5 A", "the units do not match"),
        ("", "write a value first, a number from 0 to 6.18 in V"),
    ],
)
async def test_what_is_refused_is_told_under_its_control_with_what_was_expected(bench, opened, text, told):
    bench.psu.channel(1).limit(voltage=(0, 2))
    await bench.psu.channel(1).voltage.set(0.5)
    line = opened(bench.psu).line("channel(1).voltage")
    assert line.field.placeholder == "0 to 2"
    line.field.value = text
    line.apply_button.click()
    await until(lambda: told in line._error.value)
    assert "expected" in line._error.value or "number" in line._error.value or "limit 0 to 2 V" in line._error.value
    assert await bench.psu.channel(1).voltage.get() == 0.5
    line.field.value = "1500 mV"
    line.apply_button.click()
    await until(lambda: "1.5" in line._value.value)
    assert line._error.value == ""
    assert await bench.psu.channel(1).voltage.get() == 1.5


async def test_measurements_that_switch_something_over_are_made_on_request_only(bench, opened):
    line = opened(bench.dmm, every_s=0.2).line("measure_voltage_dc")
    await asyncio.sleep(0.3)
    assert line._value.value == "–"
    line.read_button.click()
    await until(lambda: "V" in line._value.value)


async def test_a_ramp_goes_in_steps_and_can_be_held(opened):
    tower = Instrument("tower")
    tower.add_parameter("volts", vals=Numbers(0, 10), unit="V", max_rate=2.0)
    tower.add_parameter("shape", vals=Enum("sine", "square"))
    state = {"volts": 0.0}
    tower.add_parameter(
        "ramped", lambda: state["volts"], lambda v: state.update(volts=v), vals=Numbers(0, 10), unit="V", max_rate=2.0
    )
    shown = opened(tower)
    line = shown.line("ramped")
    line.field.value = "10"
    assert line.halt.disabled
    line.apply_button.click()
    await until(lambda: state["volts"] > 0)
    assert not line.halt.disabled
    line.halt.click()
    await until(lambda: line._moving is None and line.halt.disabled)
    await until(lambda: "V" in line._value.value)
    held = state["volts"]
    assert 0 < held < 10
    await asyncio.sleep(0.25)
    assert state["volts"] == held
    words = shown.line("shape")
    words.field.value = "square"
    words.apply_button.click()
    await until(lambda: words._value.value == "square")
    tower.close()


async def test_readbacks_rest_while_a_run_uses_the_instrument_and_show_what_it_knows(bench, opened, tmp_path):
    source = "import asyncio\nfor k in sweep(range(1000)):\n    await asyncio.sleep(0.01)\n    stage: bench.oven.temperature\n"
    job = prepare(parse_line("scan"), source, "<cell>", {"bench": bench, "sweep": sweep}).job
    run = Run(job, tmp_path).start()
    shown = opened(bench.oven, every_s=0.2)
    asked = []
    bench.oven.setpoint.read_now, kept = (lambda: asked.append(1)), bench.oven.setpoint.read_now
    await until(lambda: run.run_id in shown._note.value)
    await until(lambda: "K" in shown.line("temperature")._value.value)
    await asyncio.sleep(0.3)
    assert asked == []
    bench.oven.setpoint.read_now = kept
    run.stop()
    await run
    await until(lambda: shown._note.value == "")
    await until(lambda: "K" in shown.line("setpoint")._value.value)


async def test_what_a_run_sweeps_is_set_by_the_run_only_but_off_and_safe_always_work(bench, opened, tmp_path):
    source = "import asyncio\nfor u in sweep(bench.psu.channel(1).voltage, 1, 1.5, 1000):\n    await asyncio.sleep(0.01)\n    k: '' = 1\n"
    await bench.psu.channel(1).set(voltage=1.5, current_limit=0.1).on()
    job = prepare(parse_line("scan"), source, "<cell>", {"bench": bench, "sweep": sweep}).job
    run = Run(job, tmp_path).start()
    shown = opened(bench.psu, every_s=0.2)
    await until(lambda: run.points > 2)
    level, output = shown.line("channel(1).voltage"), shown.line("channel(1).output")
    level.field.value = "3"
    level.apply_button.click()
    await until(lambda: f"was not set: {run.run_id} sweeps it" in level._error.value)
    assert "wait for it or stop it first" in level._error.value
    output.off.click()
    while await bench.psu.channel(1).get_output_state():
        await asyncio.sleep(0.005)
    assert output._error.value == ""
    assert "psu channel(1).output was set to off by hand" in run.warnings[-1]
    assert await bench.psu.channel(1).get_voltage() <= 1.5
    shown._safe.click()
    await until(lambda: "safe" in shown._message.value)
    run.stop()
    await run
    level.apply_button.click()
    await until(lambda: level._error.value == "" and "3.0000" in level._value.value)


async def test_an_instrument_that_fails_says_so_under_its_control(opened):
    broken = Instrument("broken")

    def fails():
        raise OSError("no contact")

    broken.add_parameter("volts", fails, unit="V")
    line = opened(broken).line("volts")
    await until(lambda: "no contact" in line._error.value)
    broken.close()


async def test_an_instrument_that_was_closed_says_so_and_the_panel_goes_on(bench, opened):
    tower = Instrument("tower")
    tower.add_parameter("volts", lambda: 1.0, unit="V")
    shown = opened(tower, every_s=0.2)
    await until(lambda: "V" in shown.line("volts")._value.value)
    tower.close()
    await until(lambda: "closed" in shown.line("volts")._error.value)
    assert len(shown._tasks) == 1


async def test_a_meta_instrument_is_shown_by_its_groups(bench, opened):
    gates = Meta("gates", both=[bench.psu.channel(2).voltage, bench.psu.channel(3).voltage])
    shown = opened(gates)
    line = shown.line("both")
    line.field.value = "0.25"
    line.apply_button.click()
    await until(lambda: line._value.value == "250.00 mV, 250.00 mV")
    assert await bench.psu.channel(3).voltage.get() == 0.25


async def test_closing_ends_everything_and_frees_the_widgets(bench, opened):
    shown = opened(bench.oven)
    await until(lambda: "K" in shown.line("temperature")._value.value)
    shown.close()
    await asyncio.sleep(0.01)
    assert not shown._tasks
    assert shown.widget.comm is None
    shown.line("setpoint").apply_button.click()


async def test_what_cannot_be_a_panel_is_refused(bench):
    with pytest.raises(PlanError, match="nothing to sweep or to read"):
        panel(object())
    with pytest.raises(PlanError, match=r"expected 0\.2 s or more"):
        panel(bench.oven, every_s=0)
    with pytest.raises(TypeError):
        panel(bench.oven, colour="red")


async def test_a_callback_on_another_thread_does_the_same(bench, opened):
    line = opened(bench.oven).line("setpoint")
    line.field.value = "295"
    await asyncio.to_thread(line.apply_button.click)
    await until(lambda: "295" in line._value.value)
    assert await bench.oven.setpoint.get() == 295


async def test_enter_sets_also_what_comes_after_it(bench, opened):
    line = opened(bench.oven).line("setpoint")
    line._on_message(line.field, {"event": "submit"}, [])
    await asyncio.sleep(0)
    line.field.value = "299"
    await until(lambda: "299" in line._value.value)
    assert await bench.oven.setpoint.get() == 299


async def test_a_bench_that_is_measuring_stays_usable(bench, opened, tmp_path):
    source = "import asyncio\nfor k in sweep(range(1000)):\n    await asyncio.sleep(0.01)\n    stage: bench.oven.temperature\n"
    job = prepare(parse_line("scan"), source, "<cell>", {"bench": bench, "sweep": sweep}).job
    run = Run(job, tmp_path).start()
    shown = opened(bench.oven, every_s=0.2)
    line = shown.line("setpoint")
    line.field.value = "303"
    line.apply_button.click()
    await until(lambda: "303" in line._value.value)
    assert await bench.oven.setpoint.get() == 303
    run.stop()
    await run


async def test_an_instrument_without_single_values_can_still_be_made_safe_and_what_is_none_is_refused():
    bench = demo_bench("fast")
    made = panel(bench.scope)
    assert made.lines == []
    assert "measure with its methods" in made._card().text
    assert not made._safe.disabled
    made.close()
    bench.close()
    with pytest.raises(PlanError, match="nothing to sweep or to read"):
        panel(object())
