"""Parts with memory, semiconductors and the load's input against closed forms."""

import cmath
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.sim import (
    BipolarTransistor,
    Capacitor,
    Circuit,
    Inductor,
    Led,
    Mosfet,
    Resistor,
    Sink,
    SolarCell,
    Source,
    Switch,
    Thermistor,
    Wave,
    WaveSource,
    saturation_current,
)
from labnb.sim.waves import pulse, ramp, sine, square

SCALE = 1.3 * 8.617333262e-5 * 300.0


def supply(volts, node="in", limit_a=math.inf):
    source = Source(node)
    source.volts, source.limit_a, source.mode = volts, limit_a, "cv"
    return source


@pytest.mark.parametrize("looks", [1, 7, 100])
def test_an_rc_settles_within_a_tenth_of_a_percent(looks):
    circuit, capacitor = Circuit(), Capacitor("out", farads=1e-6)
    circuit.add(supply(1.0), Resistor("in", "out", ohms=1e3), capacitor)
    for look in range(1, looks + 1):
        now = 5e-3 * look / looks
        circuit.advance(now)
        assert abs(capacitor.voltage - (1 - math.exp(-now / 1e-3))) < 1e-4


@pytest.mark.parametrize("looks", [1, 9, 100])
def test_an_inductors_current_rises_as_the_exponential(looks):
    circuit, inductor = Circuit(), Inductor("out", henries=0.01)
    circuit.add(supply(1.0), Resistor("in", "out", ohms=10.0), inductor)
    for look in range(1, looks + 1):
        now = 5e-3 * look / looks
        circuit.advance(now)
        assert abs(inductor.current - 0.1 * (1 - math.exp(-now / 1e-3))) < 1e-4


def test_an_lc_rings_at_its_frequency_and_keeps_its_amplitude():
    circuit = Circuit()
    capacitor, inductor = Capacitor("c", farads=1e-6), Inductor("c", henries=1e-2)
    capacitor.voltage = 1.0
    circuit.add(capacitor, inductor)
    period = 2 * math.pi * math.sqrt(1e-8)
    for k in range(1, 21):
        circuit.advance(k * period / 4)
        assert capacitor.voltage == pytest.approx(math.cos(k * math.pi / 2), abs=1e-2)


@given(st.floats(0.5, 12.0), st.floats(300.0, 5000.0))
def test_a_thermistor_heats_itself_to_where_power_and_loss_are_equal(volts, ohms):
    circuit, ntc = Circuit(), Thermistor("out", watts_per_kelvin=2e-3, time_constant_s=5.0)
    circuit.add(supply(volts), Resistor("in", "out", ohms=ohms), ntc)
    circuit.advance(500.0)
    kelvin = ntc.kelvin
    power = (volts / (ohms + ntc.ohms(kelvin))) ** 2 * ntc.ohms(kelvin)
    assert kelvin - 298.15 == pytest.approx(power / 2e-3, abs=5e-3)


def test_a_thermistor_with_constant_power_warms_as_the_exponential():
    circuit, ntc = Circuit(), Thermistor("in", beta_k=1e-6)
    circuit.add(supply(10.0), ntc)
    for now in (1.0, 5.0, 20.0):
        circuit.advance(now)
        assert ntc.kelvin - 298.15 == pytest.approx(0.01 / 2e-3 * (1 - math.exp(-now / 5.0)), rel=1e-3)


@pytest.mark.parametrize("light", [0.1, 1.0])
def test_a_solar_cell_has_its_open_voltage_its_short_current_and_its_knee(light):
    cell, sink = SolarCell("in", light=light), Sink("in")
    circuit = Circuit()
    circuit.add(cell, sink)
    circuit.advance(0.0)
    assert cell.voltage == pytest.approx(SCALE * math.log(1 + 0.1 * light / 1e-9), rel=1e-6)
    best = (0.0, 0.0)
    for millivolts in range(1, 700):
        with circuit.edit(0.0, sink):
            sink.live, sink.law, sink.level = True, "VOLT", millivolts / 1000
        circuit.advance(0.0)
        expected = max(0.1 * light - 1e-9 * math.expm1(sink.voltage / SCALE), 0.0)
        assert sink.current == pytest.approx(expected, abs=1e-8)
        best = max(best, (sink.voltage * sink.current, sink.voltage))
    knee = SCALE * 5
    for _ in range(50):  # (IL + I0) / I0 = (1 + v / scale) exp(v / scale)
        knee = SCALE * (math.log(1 + 0.1 * light / 1e-9) - math.log1p(knee / SCALE))
    assert best[1] == pytest.approx(knee, abs=1e-3)


def test_a_led_shines_with_its_current():
    circuit, led = Circuit(), Led("a")
    circuit.add(supply(5.0), Resistor("in", "a", ohms=320.0), led)
    circuit.advance(0.0)
    assert led.current == pytest.approx((5.0 - led.voltage) / 320.0, rel=1e-6)
    scale = 2.0 * 8.617333262e-5 * 300.0
    assert led.voltage == pytest.approx(scale * math.log(led.current / saturation_current(300.0, 1e-17)), rel=1e-6)
    assert led.lumens == pytest.approx(60.0 * led.current)


@pytest.mark.parametrize("polarity", [1, -1])
def test_a_transistor_amplifies_until_it_saturates(polarity):
    for base_ohm, saturated in ((2e6, False), (1e4, True)):
        circuit, transistor = Circuit(), BipolarTransistor("c", "b", polarity=polarity)
        circuit.add(
            supply(5.0 * polarity), Resistor("in", "c", ohms=1e3), Resistor("in", "b", ohms=base_ohm), transistor
        )  # fmt: skip
        circuit.advance(0.0)
        gain = transistor.current / transistor.base_current
        assert (gain < 100) if saturated else gain == pytest.approx(200.0, rel=1e-6)
        assert transistor.voltage * polarity == pytest.approx(5.0 - 1e3 * transistor.current * polarity, rel=1e-6)
        assert (abs(transistor.voltage) < 0.1) == saturated


@pytest.mark.parametrize("polarity", [1, -1])
@pytest.mark.parametrize("gate_v", [1.0, 2.5, 3.0, 5.0])
def test_a_mosfet_follows_the_square_law(polarity, gate_v):
    circuit, mosfet = Circuit(), Mosfet("d", "g", polarity=polarity)
    circuit.add(supply(5.0 * polarity), supply(gate_v * polarity, "g"), Resistor("in", "d", ohms=10.0), mosfet)
    circuit.advance(0.0)
    drain_v, over = mosfet.voltage * polarity, max(gate_v - 2.0, 0.0)
    law = 0.05 * over**2 if drain_v >= over else 0.1 * (over * drain_v - drain_v**2 / 2)
    assert mosfet.current * polarity == pytest.approx(law, rel=1e-6, abs=1e-11)
    assert mosfet.current == pytest.approx((5.0 * polarity - mosfet.voltage) / 10.0, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("law", "level", "volts", "amps"),
    [
        ("CURR", 0.5, 5.0, 0.5), ("CURR", 2.0, 0.05, 1.0), ("VOLT", 3.0, 3.0, 1.0), ("VOLT", 6.0, 5.0, 0.0),
        ("POW", 2.0, 5.0, 0.4), ("POW", 20.0, 0.05, 1.0), ("RES", 100.0, 5.0, 0.05), ("RES", 1.0, 1.0, 1.0),
    ],
)  # fmt: skip
def test_a_load_holds_what_its_supply_can_give(law, level, volts, amps):
    circuit, sink = Circuit(), Sink("in")
    sink.live, sink.law, sink.level = True, law, level
    circuit.add(supply(5.0, limit_a=1.0), sink)
    circuit.advance(0.0)
    assert (sink.voltage, sink.current) == (pytest.approx(volts, abs=2e-4), pytest.approx(amps, abs=1e-6))


# --- waves ---


def test_a_switch_opens_and_closes():
    circuit, contact = Circuit(), Switch("in", "out")
    circuit.add(supply(5.0), contact, Resistor("out", ohms=4.99))
    for closed, amps in ((False, 0.0), (True, 1.0), (False, 0.0)):
        with circuit.edit(0.0, contact):
            contact.closed = closed
        circuit.advance(0.0)
        assert contact.current == pytest.approx(amps, abs=1e-9)


@given(st.floats(0.0, 0.999))
def test_shapes_stay_between_minus_one_and_one(phase):
    for shape in (sine, square(0.2), ramp(0.5), ramp(1.0), ramp(0.0), pulse(0.3, 0.1)):
        assert -1.0 <= shape(phase) <= 1.0


def driven(frequency, farads=100e-9, shape=sine):
    circuit, output, capacitor = Circuit(), WaveSource("a"), Capacitor("b", farads=farads)
    output.live = True
    output.drive(Wave(shape, frequency, 1.0))
    circuit.add(output, Resistor("a", "b", ohms=950.0), capacitor)
    return circuit, capacitor


@pytest.mark.parametrize("frequency", [100.0, 1591.55, 50e3])
def test_an_rc_filter_has_the_amplitude_and_phase_of_theory_however_long_the_wait(frequency):
    circuit, capacitor = driven(frequency)
    response = 1 / (1 + 2j * math.pi * frequency * 1e3 * 100e-9)
    for wait in (0.37, 100.0):
        tap = circuit.tap(
            capacitor, lambda: capacitor.voltage, start=wait, interval_s=1 / frequency / 32, count=32
        )  # fmt: skip
        circuit.advance(wait + 2 / frequency)
        circuit.untap(tap)
        for k, volts in enumerate(tap.samples):
            angle = 2 * math.pi * frequency * (wait + k / frequency / 32)
            assert volts == pytest.approx((response * complex(math.cos(angle), math.sin(angle))).imag, abs=2e-3)


def test_a_square_wave_charges_and_discharges():
    circuit, capacitor = driven(500.0, shape=square())
    circuit.advance(0.1 + 1e-3)
    assert capacitor.voltage == pytest.approx(math.tanh(1e-3 / 1e-4 / 2), abs=1e-3)
    circuit.advance(0.1 + 1e-3 + 1e-4)
    assert capacitor.voltage == pytest.approx(-1 + 2 * math.exp(-1), abs=2e-3)


def test_bursts_rest_in_between():
    wave = Wave(sine, 1e3, 1.0, cycles=3, burst_s=0.01)
    assert wave.level(0.00025) == pytest.approx(1.0)
    assert wave.level(0.00525) == 0.0
    assert wave.level(0.01225) == pytest.approx(1.0)
    assert Wave(sine, 1e3, 1.0, start=math.inf, cycles=3).level(5.0) == 0.0


# --- against other ways to solve the same equations ---


@pytest.mark.parametrize("ohms", [2.0, 20.0, 150.0, 1000.0])
def test_an_rlc_answers_a_step_as_its_damping_says(ohms):
    circuit, henries, farads = Circuit(), 1e-3, 100e-9
    capacitor = Capacitor("c", farads=farads)
    circuit.add(supply(1.0), Resistor("in", "l", ohms=ohms), Inductor("l", "c", henries=henries), capacitor)
    alpha, omega2 = ohms / (2 * henries), 1 / (henries * farads)
    root = cmath.sqrt(alpha**2 - omega2)
    fast, slow = -alpha - root, -alpha + root
    for k in range(1, 60):
        now = k * 3e-6
        circuit.advance(now)
        exact = 1 + (fast * cmath.exp(slow * now) - slow * cmath.exp(fast * now)) / (slow - fast)
        assert capacitor.voltage == pytest.approx(exact.real, abs=4e-3)  # after three periods


@pytest.mark.parametrize("base_ohm", [1e4, 3e5, 2e6])
def test_a_transistors_currents_solve_ebers_and_molls_equations(base_ohm):
    circuit, transistor = Circuit(), BipolarTransistor("c", "b")
    circuit.add(supply(5.0), Resistor("in", "c", ohms=1e3), Resistor("in", "b", ohms=base_ohm), transistor)
    circuit.advance(0.0)
    scale, saturation, forward, reverse = 8.617333262e-5 * 300.0, 1e-14, 200.0, 4.0

    def currents(base_v, collector_v):
        out, back = saturation * math.expm1(base_v / scale), saturation * math.expm1((base_v - collector_v) / scale)
        return out - back - back / reverse, out / forward + back / reverse

    def collector(base_v):  # by bisection: what the collector's resistor leaves and what the transistor takes
        low, high = 0.0, 5.0
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if currents(base_v, middle)[0] < (5.0 - middle) / 1e3 else (low, middle)
        return low

    low, high = 0.3, 0.9
    for _ in range(200):
        middle = (low + high) / 2
        enough = currents(middle, collector(middle))[1] < (5.0 - middle) / base_ohm
        low, high = (middle, high) if enough else (low, middle)
    assert circuit.voltage("b") == pytest.approx(low, abs=1e-6)
    assert transistor.voltage == pytest.approx(collector(low), abs=1e-4)
    assert (transistor.current, transistor.base_current) == pytest.approx(currents(low, collector(low)), rel=1e-3)
