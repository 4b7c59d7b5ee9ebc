"""The circuit against closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import InstrumentError
from labnb.sim import (
    Capacitor,
    Circuit,
    CurrentSource,
    Diode,
    Resistor,
    Source,
    diode_current,
    saturation_current,
)


def supply(volts: float, limit_a: float = 10.0, node: str = "in") -> Source:
    source = Source(node)
    source.volts, source.limit_a, source.mode = volts, limit_a, "cv"
    return source


@given(st.floats(1.0, 1e6), st.floats(1.0, 1e6), st.floats(-30.0, 30.0))
def test_a_divider_divides(upper, lower, volts):
    circuit = Circuit()
    circuit.add(supply(volts, math.inf), Resistor("in", "mid", ohms=upper), Resistor("mid", ohms=lower))
    circuit.advance(0.0)
    # every node leaks 1 pS to ground, which is what is left of exactness
    assert circuit.voltage("mid") == pytest.approx(volts * lower / (upper + lower), rel=2e-6, abs=1e-12)


@pytest.mark.parametrize("kelvin", [280.0, 300.0, 320.0])
def test_a_diode_behind_a_resistor_follows_the_closed_form(kelvin):
    circuit, source = Circuit(), supply(0.0)
    circuit.add(source, Resistor("in", "anode", ohms=4.8), Diode("anode", temperature=kelvin))
    for millivolts in range(-200, 801, 5):
        if millivolts == 0:
            continue
        with circuit.edit(0.0, source):
            source.volts = millivolts / 1000
        circuit.advance(0.0)
        assert source.supplied == pytest.approx(diode_current(source.volts, kelvin), rel=1e-3)


@given(st.floats(-5.0, 5.0), st.floats(250.0, 400.0), st.floats(0.1, 1e4))
def test_the_closed_form_solves_the_diodes_equation(volts, kelvin, ohms):
    amps = diode_current(volts, kelvin, series_resistance=ohms)
    scale = 1.752 * 8.617333262e-5 * kelvin
    saturation = saturation_current(kelvin)
    assert amps == pytest.approx(
        saturation * math.expm1((volts - amps * ohms) / scale), rel=1e-7, abs=1e-9 * saturation
    )


def test_a_hotter_diode_has_more_saturation_current_by_the_law_of_spice():
    ratio = saturation_current(320.0) / saturation_current(300.0)
    energy = 1.11 / (1.752 * 8.617333262e-5) * (1 / 300 - 1 / 320)
    assert ratio == pytest.approx((320 / 300) ** (3 / 1.752) * math.exp(energy))


def test_the_closed_form_without_a_resistor_is_shockleys_law():
    assert diode_current(0.5, 300.0, series_resistance=0) == pytest.approx(
        diode_current(0.5, 300.0, series_resistance=1e-9), rel=1e-6
    )


def test_the_curves_of_the_demo_run_from_nanoamperes_to_tens_of_milliamperes():
    assert 1e-9 < diode_current(0.1, 280.0) < diode_current(0.1, 320.0) < 1e-6
    assert 1e-2 < diode_current(0.8, 280.0) < diode_current(0.8, 320.0) < 5e-2


@pytest.mark.parametrize("looks", [1, 7, 400])
def test_a_capacitor_settles_as_the_exponential_however_often_one_looks(looks):
    circuit, tau = Circuit(), 1e-3
    circuit.add(supply(1.0), Resistor("in", "out", ohms=1e3), Capacitor("out", farads=1e-6))
    for look in range(1, looks + 1):
        now = 5 * tau * look / looks
        circuit.advance(now)
        assert abs(circuit.voltage("out") - (1 - math.exp(-now / tau))) < 1e-3


def test_a_capacitor_does_not_jump_when_the_source_does():
    circuit, source = Circuit(), supply(1.0)
    circuit.add(source, Resistor("in", "out", ohms=1e3), Capacitor("out", farads=1e-6))
    circuit.advance(0.02)
    with circuit.edit(0.02, source):
        source.volts = -1.0
    circuit.advance(0.02)
    assert circuit.voltage("out") == pytest.approx(1.0, abs=1e-4)
    circuit.advance(0.021)
    assert circuit.voltage("out") == pytest.approx(-1 + 2 * math.exp(-1), abs=1e-3)


def test_a_limited_supply_charges_a_capacitor_in_a_straight_line_and_then_holds_it():
    circuit, source, capacitor = Circuit(), supply(5.0, limit_a=0.1), Capacitor("in", farads=1e-3)
    circuit.add(source, capacitor)
    for step in range(1, 50):
        circuit.advance(step * 1e-3)
        assert circuit.voltage("in") == pytest.approx(0.1 / 1e-3 * step * 1e-3, rel=1e-3)
    for now in (0.051, 0.06, 10.0):
        circuit.advance(now)
        assert (source.mode, circuit.voltage("in")) == ("cv", pytest.approx(5.0))
        assert capacitor.current == pytest.approx(0.0, abs=1e-6)


def test_a_capacitor_across_a_supply_follows_its_jumps_without_ringing():
    circuit, source, capacitor = Circuit(), supply(1.0, limit_a=math.inf), Capacitor("in", farads=1e-6)
    circuit.add(source, capacitor, Resistor("in", ohms=100.0))
    for now, volts in ((0.0, 1.0), (0.1, -2.0), (0.2, 3.0)):
        with circuit.edit(now, source):
            source.volts = volts
        for later in (1e-6, 1e-3, 0.05):
            circuit.advance(now + later)
            assert source.supplied == pytest.approx(volts / 100, rel=1e-6)


@given(st.floats(0.1, 100.0))
def test_a_supply_crosses_from_constant_voltage_to_constant_current_where_ohm_says(ohms):
    circuit, source = Circuit(), supply(5.0, limit_a=1.0)
    circuit.add(source, Resistor("in", ohms=ohms))
    circuit.advance(0.0)
    assert source.supplied == pytest.approx(min(5.0 / ohms, 1.0), rel=1e-6)
    assert source.voltage == pytest.approx(min(5.0, ohms), rel=1e-6)
    assert source.mode == ("cc" if ohms < 5.0 else "cv")


def test_a_supply_returns_to_constant_voltage_when_its_limit_rises():
    circuit, source = Circuit(), supply(5.0, limit_a=0.1)
    circuit.add(source, Resistor("in", ohms=10.0))
    circuit.advance(0.0)
    assert source.mode == "cc"
    with circuit.edit(0.0, source):
        source.limit_a = 1.0
    circuit.advance(0.0)
    assert (source.mode, source.supplied) == ("cv", pytest.approx(0.5))


def test_a_current_source_makes_ohms_law():
    circuit = Circuit()
    circuit.add(CurrentSource("a", amps=1e-3), Resistor("a", ohms=1e3))
    circuit.advance(0.0)
    assert circuit.voltage("a") == pytest.approx(1.0, rel=1e-6)


def test_two_sources_in_parallel_are_refused_with_a_reason():
    circuit = Circuit()
    circuit.add(supply(1.0), supply(2.0))
    with pytest.raises(InstrumentError, match="two ideal sources in parallel"):
        circuit.advance(0.0)


def test_an_unknown_node_is_named_with_the_known_ones():
    circuit = Circuit()
    circuit.add(Resistor("a", "b", ohms=1.0))
    with pytest.raises(InstrumentError, match="no node 'c'; it has a, b"):
        circuit.voltage("c")


def test_a_diode_follows_its_temperature_when_nothing_else_changes():
    circuit, source = Circuit(), supply(0.6)
    circuit.add(source, Resistor("in", "anode", ohms=4.8), Diode("anode", temperature=lambda now: 300.0 + now))
    circuit.advance(0.0)
    assert source.supplied == pytest.approx(diode_current(0.6, 300.0), rel=1e-4)
    circuit.advance(20.0)
    assert source.supplied == pytest.approx(diode_current(0.6, 320.0), rel=1e-4)
