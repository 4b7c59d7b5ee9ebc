"""The temperature controller against the equation of a first-order lag, solved by small steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.sim import Bench, Thermostat
from labnb.sim.models.meter_sensors import rtd_kelvin, rtd_ohms


@pytest.fixture
def stand(talk):
    bench = Bench(clock="skip", seed=2)
    oven = Thermostat(bench, "oven", "GPIB0::12::INSTR")
    return talk(bench, "oven"), bench, oven


@pytest.mark.parametrize(("goal", "rate", "heater"), [(320.0, 600.0, 3), (320.0, 60.0, 1), (250.0, 1000.0, 2)])
def test_a_ramp_is_followed_as_a_lag_does(stand, goal, rate, heater):
    ask, bench, oven = stand
    ask(f"RANG {heater};:RAMP:RATE {rate};:RAMP ON;:SETP {goal};:OUTP ON")
    began, kelvin, step, tau = oven._start[0], 300.0, 1e-4, 0.13 * 2 ** (3 - heater)
    arrives = abs(goal - 300.0) / (rate / 60)
    for k in range(1, int((arrives + 1.0) / step)):
        way = min(k * step / arrives, 1.0)
        kelvin += step / tau * (300.0 + (goal - 300.0) * way - kelvin)
        if k % 4000 == 0:
            assert oven.temperature(began + k * step) == pytest.approx(kelvin, abs=0.02)
    bench.wait(0.5 * arrives)
    assert ask("RAMPST?") == "1"
    assert ask("STAB?") == "0"
    bench.wait(arrives + 10 * tau)
    assert ask("RAMPST?;:STAB?") == "0;1"


def test_without_a_ramp_it_goes_at_once(stand):
    ask, bench, oven = stand
    ask("SETP 320;OUTP ON")
    assert ask("RAMPST?") == "0"
    bench.wait(2.0)
    assert oven.temperature(bench.now) == pytest.approx(320.0, abs=1e-3)


def test_before_it_was_set_the_stage_was_where_it_was_then(stand):
    ask, bench, oven = stand
    bench.wait(5.0)
    ask("SETP 320;OUTP ON")
    assert oven.temperature(0.0) == 300.0


def test_three_readings_say_the_same(stand):
    ask, bench, _ = stand
    ask("SETP 373.15;OUTP ON")
    bench.wait(10.0)
    assert float(ask("KRDG?")) == pytest.approx(373.15, abs=0.03)
    assert float(ask("CRDG? A")) == pytest.approx(100.0, abs=0.03)
    assert float(ask("SRDG?")) == pytest.approx(138.5055, abs=0.02)


@given(st.floats(75.0, 900.0))
def test_a_platinum_resistor_goes_both_ways(kelvin):
    assert rtd_kelvin(rtd_ohms(kelvin, 1000.0), 1000.0) == pytest.approx(kelvin, abs=1e-6)
