"""Panels of other people's instruments: shown, read and set as their drivers do."""

import asyncio
from importlib.util import find_spec

import pytest

if find_spec("qcodes") is None:
    pytest.skip("QCoDeS is not installed: pip install 'labnb[drivers]'", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture
def smu():
    from qcodes.instrument import Instrument
    from qcodes.validators import Numbers

    state = {"volt": 0.0}
    made = Instrument("smu_shown")
    made.add_parameter(
        "volt", unit="V", get_cmd=lambda: state["volt"], set_cmd=lambda v: state.update(volt=v), vals=Numbers(0, 5)
    )
    made.add_parameter("curr", unit="A", get_cmd=lambda: state["volt"] ** 2)
    yield made
    made.close()


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_front_panel_reads_on_request_and_sets_under_the_drivers_rules(smu):
    from labnb.notebook.panels import panel

    shown = panel(smu)
    shown.widget._view_count = 1
    line = shown.line("volt")
    line.field.value = "2.5"
    line.apply_button.click()
    await until(lambda: line._value.value == "2.5000 V")
    assert smu.volt() == 2.5
    line.field.value = "9"
    line.apply_button.click()
    await until(lambda: "must be between 0 and 5" in line._error.value)
    assert smu.volt() == 2.5
    current = shown.line("curr")
    assert current._value.value == "–", "nobody has asked for it"
    current.read_button.click()
    await until(lambda: current._value.value == "6.2500 A")
    assert shown._safe.disabled, "labnb does not know what is safe for it"
    shown.close()
    await until(lambda: not shown._tasks)


async def test_a_sweep_panel_sweeps_and_reads_its_parameters(smu, tmp_path):
    from labnb.notebook.panels import SweepPanel

    panel = SweepPanel([smu.volt, smu.curr], store=tmp_path)
    swept, read = panel.offers
    panel.fast.channel.value = swept
    await asyncio.sleep(0)
    panel.fast.start.value, panel.fast.stop.value, panel.fast.points.value = "0", "2", "3"
    panel.reads.value = (read,)
    await until(lambda: not panel.start.disabled)
    panel.start.click()
    await until(lambda: panel.run is not None)
    await panel.run
    data = panel.run.data
    assert data["smu_shown_curr"].values.tolist() == [0.0, 1.0, 4.0]
    assert data["smu_shown_curr"].attrs["units"] == "A"
    panel.close()
    await until(lambda: not panel._tasks)
