"""The electronic load: what it is told is what the simulated load does."""

import math

import pytest

from labnb.core import LimitError
from labnb.instruments import DemoBench, connect
from labnb.sim import Bench


@pytest.fixture(autouse=True)
def supplied(lab: DemoBench):
    """The load hangs at output 2 of the supply: 5 V, at most 1 A."""
    lab.psu.channel(2).set(voltage=5, current_limit=1).on()


async def test_the_load_of_the_reference_pulses(lab: DemoBench, bench: Bench):
    await lab.load.set_mode("CC")
    await lab.load.enable_input(True)
    await lab.load.set_load(0.5)
    assert (await lab.load.measure_current()).values == pytest.approx(0.5, abs=2e-3)
    await lab.load.set_load(0.1)
    assert (await lab.load.measure_current()).values == pytest.approx(0.1, abs=2e-3)
    await lab.load.enable_input(False)
    assert not bench["load"].input()


@pytest.mark.parametrize(
    ("mode", "level", "volts", "amps"),
    [("CC", 0.5, 5.0, 0.5), ("CV", 3.0, 3.0, 1.0), ("CP", 2.0, 5.0, 0.4), ("CR", 10.0, 5.0, 0.5)],
)
def test_each_mode_holds_its_quantity(lab: DemoBench, mode, level, volts, amps):
    lab.load.set_mode(mode)
    lab.load.set_load(level)
    lab.load.enable_input()
    assert lab.load.get_mode() == mode
    assert lab.load.measure_voltage().values == pytest.approx(volts, abs=1e-2)
    assert lab.load.measure_current().values == pytest.approx(amps, abs=2e-3)
    assert lab.load.measure_power().values == pytest.approx(volts * amps, abs=2e-2)
    assert [lab.load.measure_voltage().unit, lab.load.measure_current().unit, lab.load.measure_power().unit] == [
        "V",
        "A",
        "W",
    ]


@pytest.mark.parametrize(
    ("mode", "level"), [("CC", 41), ("CV", 154), ("CP", 256), ("CR", 0.05), ("CC", -1), ("CC", math.nan), ("CC", "1")]
)
def test_a_level_beyond_the_data_sheet_is_not_sent(lab: DemoBench, bench: Bench, mode, level):
    lab.load.set_mode(mode)
    before = len(bench["load"].log)
    with pytest.raises(LimitError, match=r"load.*nothing was sent"):
        lab.load.set_load(level)
    assert all(message.endswith("?") for message in bench["load"].log[before:])


def test_a_mode_that_does_not_exist_names_those_that_do(lab: DemoBench):
    with pytest.raises(LimitError, match=r"'CI'.*there are CC, CV, CP, CR"):
        lab.load.set_mode("CI")


def test_limits_hold_for_levels_that_are_set_or_brought_into_force(lab: DemoBench, bench: Bench):
    lab.load.set_mode("CC")
    lab.load.set_load(2.0)
    with pytest.warns(UserWarning, match=r"load: current is 2 A, outside of its new safety limit"):
        lab.load.set_limits({"current": 1, "resistance": (5, None)})
    with pytest.raises(LimitError, match=r"load current = 1.5 A.*safety limit"):
        lab.load.set_load(1.5)
    with pytest.raises(LimitError, match=r"current, as set in the load, = 2 A"):
        lab.load.enable_input()
    assert not bench["load"].input()
    lab.load.set_mode("CR")
    lab.load.set_load(10)
    lab.load.enable_input()
    with pytest.raises(LimitError, match=r"current, as set in the load"):
        lab.load.set_mode("CC")
    assert bench["load"].function() == "RES"
    with pytest.raises(LimitError, match=r"'amps'.*there are current"):
        lab.load.set_limits({"amps": 1})


def test_ranges_and_slews_reach_the_load(lab: DemoBench, bench: Bench):
    lab.load.set_mode("CC")
    lab.load.set_range(3)
    assert bench["load"].range("CURR") == 4.08
    lab.load.set_slew(100)
    assert (bench["load"].slew("CURR"), bench["load"].slew_down("CURR")) == (100, 100)
    lab.load.set_slew(None)
    assert bench["load"].slew("CURR") == 9.9e37


def test_its_safe_state_is_the_input_off(bench: Bench, bench_name: str):
    with connect("keysight/EL33133A", simulate=True, visa_library=f"{bench_name}@labnb") as load:
        load.enable_input()
        assert bench["load"].input()
        assert load.get_input_state().result() is True
    assert not bench["load"].input()


def test_a_snapshot_tells_the_level(lab: DemoBench):
    lab.load.set_mode("CR")
    lab.load.set_load(100)
    assert lab.load.snapshot()["values"] == {"resistance": {"value": 100.0, "unit": "Ohm"}}
