"""The electronic load on sources that are weaker than it wants, its transients and protections."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.sim import Bench, Circuit, ElectronicLoad, Resistor, Sink, SolarCell, Source
from labnb.sim.sources import Pulses

NO_ERROR = '0,"No error"'


def weak_supply(volts, ohms):
    circuit, source, sink = Circuit(), Source("in"), Sink("out")
    source.volts, source.mode = volts, "cv"
    circuit.add(source, Resistor("in", "out", ohms=ohms), sink)
    circuit.advance(0.0)
    return circuit, sink


@given(st.floats(1.0, 50.0), st.floats(0.5, 50.0), st.floats(0.01, 0.9995))
def test_constant_power_takes_the_upper_branch_of_a_weak_source(volts, ohms, part):
    watts = part * volts**2 / (4 * ohms)
    circuit, sink = weak_supply(volts, ohms)
    with circuit.edit(0.0, sink):
        sink.live, sink.law, sink.level = True, "POW", watts
    circuit.advance(0.0)
    assert sink.voltage == pytest.approx((volts + math.sqrt(volts**2 - 4 * watts * ohms)) / 2, rel=1e-3)
    assert sink.voltage * sink.current == pytest.approx(watts, rel=1e-3)


@given(st.floats(1.0, 50.0), st.floats(0.5, 50.0), st.floats(1.01, 10.0))
def test_more_power_than_there_is_collapses_to_the_least_resistance(volts, ohms, part):
    circuit, sink = weak_supply(volts, ohms)
    with circuit.edit(0.0, sink):
        sink.live, sink.law, sink.level = True, "POW", part * volts**2 / (4 * ohms)
    circuit.advance(0.0)
    assert sink.voltage == pytest.approx(volts * 0.05 / (ohms + 0.05), rel=1e-6)


def test_constant_power_on_a_solar_cell_holds_up_to_its_knee_and_then_collapses(talk):
    bench = Bench(clock="skip")
    ElectronicLoad(bench, "load", "USB0::1::2::3::INSTR", terminals=("x", "gnd"))
    bench.circuit.add(SolarCell("x", cells=10, photo_a=0.5))
    ask = talk(bench, "load")
    scale = 10 * 1.3 * 8.617333262e-5 * 300.0
    knee = max(v * (0.5 - 1e-9 * math.expm1(v / scale)) for v in (k / 1000 for k in range(1, 7000)))
    ask(f"FUNC POW;:POW {0.99 * knee};:INP ON")
    assert float(ask("MEAS:POW?")) == pytest.approx(0.99 * knee, abs=2e-3)
    ask(f"POW {1.01 * knee}")
    assert float(ask("MEAS:VOLT?")) < 0.1
    assert float(ask("MEAS:CURR?")) == pytest.approx(0.5, abs=2e-3)


@pytest.fixture
def loaded(talk):
    """A load on 12 V behind 0.5 ohm."""
    bench = Bench(clock="skip")
    source = Source("in")
    source.volts, source.mode = 12.0, "cv"
    load = ElectronicLoad(bench, "load", "USB0::1::2::3::INSTR", terminals=("x", "gnd"))
    bench.circuit.add(source, Resistor("in", "x", ohms=0.5))

    def volts(now):
        bench.wait(now - bench.now)
        bench.circuit.advance(bench.now)
        return bench.circuit.voltage("x")

    return talk(bench, "load"), volts, bench, load, source


def test_a_shorted_input_draws_what_the_source_gives(loaded):
    ask, _, _, _, _ = loaded
    ask("CURR 1;:INP ON;:INP:SHOR ON")
    assert float(ask("MEAS:CURR?")) == pytest.approx(12 / 0.55, rel=1e-3)
    ask("INP:SHOR OFF")
    assert float(ask("MEAS:CURR?")) == pytest.approx(1.0, abs=2e-3)


# --- transients ---


def test_a_continuous_transient_goes_to_and_fro(loaded):
    ask, volts, bench, _, _ = loaded
    ask("CURR 1;:CURR:TLEV 3;:TRAN:MODE CONT;FREQ 100;DCYC 30;:INP ON;:INIT:TRAN;*TRG")
    began = bench.now
    for k in range(1, 40):
        phase = (k * 1.37e-3 * 100) % 1
        if min(abs(phase - 0.3), phase, 1 - phase) > 0.05:
            assert volts(began + k * 1.37e-3) == pytest.approx(12 - 0.5 * (3 if phase < 0.3 else 1), abs=1e-6)
    ask("ABOR:TRAN")
    assert volts(bench.now + 0.1) == pytest.approx(11.5)
    assert ask("SYST:ERR?") == NO_ERROR


def test_a_single_pulse_ends_and_slews_at_both_edges(loaded):
    ask, volts, bench, load, _ = loaded
    ask(
        "CURR 1;:CURR:TLEV 3;:CURR:SLEW 100;:CURR:SLEW:NEG 50;:TRAN:MODE PULS;TWID 0.1;:TRIG:TRAN:SOUR EXT;:INP ON;:INIT:TRAN"
    )
    load.external_trigger()
    began = bench.now
    for after, amps in ((0.005, 1.5), (0.01, 2.0), (0.05, 3.0), (0.11, 2.5), (0.13, 1.5), (0.3, 1.0)):
        assert volts(began + after) == pytest.approx(12 - 0.5 * amps, abs=1e-3)
    load.external_trigger()
    assert volts(began + 0.4) == pytest.approx(11.5)


def test_each_trigger_toggles(loaded):
    ask, volts, bench, _, _ = loaded
    ask("CURR 1;:CURR:TLEV 2;:TRAN:MODE TOGG;:INP ON;:INIT:TRAN")
    seen = []
    for _ in range(4):
        ask("*TRG")
        seen.append(round(volts(bench.now + 0.01), 6))
    assert seen == [11.0, 11.5, 11.0, 11.5]
    ask("ABOR;*TRG")
    assert ask("SYST:ERR?").startswith("-211")


@given(st.floats(0.01, 0.99), st.floats(0.0, 100.0), st.floats(1.0, 1e5))
def test_pulses_stay_between_their_levels(duty, now, slew):
    pulses = Pulses(0.0, 1.0, 3.0, duty / 10.0, 10.0, slew, slew)
    assert 1.0 <= pulses.at(now) <= 3.0
    assert pulses.at(-1.0) == 1.0


# --- protection ---


@pytest.mark.parametrize(
    ("setup", "name", "condition"),
    [
        ("CURR:PROT 2;PROT:STAT ON;:CURR 2.5", "CURR", "2"), ("POW:PROT 10;PROT:STAT ON;:CURR 1.5", "POW", "8"),
        ("POW:PROT 10;PROT:STAT ON;:FUNC RES;:RES 10", "POW", "8"),
    ],
)  # fmt: skip
def test_what_exceeds_a_protection_switches_the_input_off(loaded, setup, name, condition):
    ask, _, _, _, _ = loaded
    ask(f"{setup};:INP ON")
    assert ask(f"STAT:QUES:COND?;:{name}:PROT:TRIP?") == f"{condition};1"
    assert float(ask("MEAS:CURR?")) == pytest.approx(0.0, abs=1e-3)
    ask("CURR 0.5;:FUNC CURR;:INP:PROT:CLE")
    assert float(ask("MEAS:CURR?")) == pytest.approx(0.5, abs=1e-3)
    assert ask("STAT:QUES:COND?") == "0"


def test_the_rating_protects_without_being_asked(loaded):
    ask, _, bench, _, source = loaded
    ask("CURR 1;:INP ON")
    with bench.timeline.changed, bench.circuit.edit(bench.timeline.now, source):
        source.volts = 170.0
    with bench.timeline.changed, bench.circuit.edit(bench.timeline.now, source):
        source.volts = 12.0
    assert ask("VOLT:PROT:TRIP?") == "1"


@pytest.mark.parametrize("function", ["CURR", "VOLT", "RES", "POW"])
def test_a_range_holds_its_function_and_refuses_more(loaded, function):
    ask, _, _, _, _ = loaded
    least = ask(f"{function}:RANG? MIN")
    ask(f"{function}:RANG MIN;:{function} {float(least) * 0.9}")
    assert ask(f"{function}:RANG?") == least
    ask(f"{function} {float(least) * 1.01}")
    assert ask("SYST:ERR?").startswith("-222")
    ask(f"{function}:RANG 1e9")
    assert ask("SYST:ERR?").startswith("-222")
