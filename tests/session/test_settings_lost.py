"""A run whose instrument was switched off and on in the middle fails loudly, keeps its points, and leaves nothing on."""

import pytest

from labnb.core import Axis, SettingsLost, State
from labnb.instruments import DemoBench, demo
from labnb.session import Job, Loop, Outline, Record, Run, Section
from labnb.sim import Bench, demo_bench, register
from labnb.sim.status import POWER_ON

ONE = Outline((Loop(0, "x", None, None, 0),), (Section(0, 0, (Record("y", "V"),)),))


@pytest.fixture
def bench(request: pytest.FixtureRequest):
    """Return (connected instruments, the simulated bench behind them)."""
    name = f"lost-{id(request)}"
    made = demo_bench(clock="skip")
    register(name, made)
    instruments = demo(name)
    yield instruments, made
    for instrument in (instruments.psu, instruments.dmm, instruments.oven):
        instrument.close()


def reboot(bench: Bench, name: str) -> None:
    """Pull the plug before the next message; the power is back, and nothing as it was, soon after."""
    instrument = bench[name]

    def back() -> None:
        instrument.reset()
        instrument.status.clear()
        instrument.status._events = POWER_ON
        bench.reconnect(name)

    bench.fault(name, "disconnect")
    with bench.timeline.changed:
        bench.timeline.at(bench.now + 0.5, back)


@pytest.mark.parametrize("who", ["psu", "dmm"])
async def test_a_reboot_in_a_run_fails_it_loudly_and_leaves_no_output_on(bench, tmp_path, who: str):
    instruments, simulated = bench
    lab: DemoBench = instruments

    async def body(steps):
        await lab.psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
        for x in steps.loop(0):
            if x == 7:
                reboot(simulated, who)
            await lab.psu.channel(1).set(voltage=0.5 + x / 100)
            steps.rows[0][0] = (await lab.dmm.measure_voltage_dc(range=10, nplc=1)).values

    run = Run(Job("lost", ONE, body, True, {0: Axis("x", tuple(range(20)), "V")}, (lab.psu, lab.dmm)), tmp_path)
    expected = SettingsLost if who == "dmm" else Exception  # the supply: a setting that may not have arrived
    with pytest.raises(expected, match=rf"{who} \(.*(set it up again|read the setting back)"):
        await run.foreground()
    assert run.state is State.FAILED
    assert run.points == 7
    assert not simulated["psu"].output(1)
    assert lab.psu.known == {}


async def test_an_instrument_that_was_rebooted_is_configured_anew(bench):
    lab, simulated = bench
    assert (await lab.dmm.measure_voltage_dc(range=10, nplc=10)).unit == "V"
    reboot(simulated, "dmm")
    with pytest.raises(SettingsLost):
        await lab.dmm.measure_voltage_dc(range=10, nplc=10)
    await lab.dmm.measure_voltage_dc(range=10, nplc=10)
    assert [m for m in simulated["dmm"].log if m.startswith("CONF")] == ["CONF:VOLT:DC 10"] * 2
