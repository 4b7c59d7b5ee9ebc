"""The supply's protections, registers, sensing, coupling, tracking, delays and triggers."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.sim import Bench, Capacitor, ElectronicLoad, PowerSupply, PowerSupplyE36312A, PowerSupplyE36313A, Resistor

ADDRESS = "USB0::1::2::3::INSTR"
OUTPUTS = (("a", "gnd"), ("b", "gnd"), ("c", "gnd"))
NO_ERROR = '0,"No error"'


@pytest.fixture
def stand(talk):
    """A supply with 10 ohm at each output, and a load at the first one."""
    bench = Bench(clock="skip")
    PowerSupply(bench, "psu", ADDRESS, outputs=OUTPUTS)
    ElectronicLoad(bench, "load", "USB0::1::2::4::INSTR", terminals=("a", "gnd"))
    bench.circuit.add(*(Resistor(node, ohms=10.0) for node in "abc"))

    def volts(node, wait=0.0):
        bench.wait(wait)
        bench.circuit.advance(bench.now)
        return round(bench.circuit.voltage(node), 6)

    return talk(bench, "psu"), talk(bench, "load"), volts, bench


@given(st.floats(0.5, 6.0), st.floats(0.01, 5.0), st.floats(0.1, 1000.0))
def test_an_output_crosses_from_voltage_to_current_where_ohm_says(volts, amps, ohms):
    bench = Bench(clock="skip")
    psu = PowerSupply(bench, "psu", ADDRESS, outputs=OUTPUTS)
    bench.circuit.add(Resistor("a", ohms=ohms))
    with bench.timeline.changed:
        psu.receive(f"APPL CH1,{volts},{amps};:OUTP ON,(@1)")
        bench.circuit.advance(bench.now)
        assert bench.circuit.voltage("a") == pytest.approx(min(volts, amps * ohms), rel=1e-6)
        psu.receive("STAT:QUES:INST:ISUM1:COND?")
    if abs(volts - amps * ohms) > 1e-3:
        assert psu.outbox[-1].data == (b"1\n" if amps * ohms < volts else b"2\n")


# --- protection and registers ---


def test_a_load_that_overloads_a_moment_trips_even_if_nobody_looks(stand):
    psu, load, volts, _ = stand
    psu("APPL CH1,5,1;:CURR:PROT:STAT ON,(@1);:OUTP ON,(@1)")
    load("CURR 2;:INP ON")
    load("INP OFF")
    assert psu("CURR:PROT:TRIP? (@1);:STAT:QUES:INST:ISUM1:COND?") == "1;8"
    assert volts("a") == 0.0


@pytest.mark.parametrize(("lasts", "trips"), [(0.05, "0"), (0.15, "1")])
def test_overcurrent_may_last_for_the_delay(stand, lasts, trips):
    psu, load, _, bench = stand
    psu("APPL CH1,5,1;:CURR:PROT:STAT ON,(@1);:CURR:PROT:DEL 0.1,(@1);:OUTP ON,(@1)")
    load("CURR 2;:INP ON")
    bench.wait(lasts)
    load("INP OFF")
    bench.wait(1.0)
    assert psu("CURR:PROT:TRIP? (@1)") == trips


def test_events_are_latched_and_request_service(stand):
    psu, load, _, bench = stand
    psu(
        "APPL CH1,5,1;:OUTP ON,(@1);*CLS;*SRE 8;:STAT:QUES:ENAB 8192;:STAT:QUES:INST:ENAB 2;:STAT:QUES:INST:ISUM1:ENAB 1"
    )
    assert bench.port("psu").poll(timeout_s=1.0)[0] & 72 == 0
    load("CURR 2;:INP ON;:MEAS:VOLT?")
    load("INP OFF")
    assert bench.port("psu").poll(timeout_s=1.0)[0] & 72 == 72
    assert psu("STAT:QUES:INST?;:STAT:QUES?") == "2;8192"
    assert int(psu("STAT:QUES:INST:ISUM1?")) & 1
    assert bench.port("psu").poll(timeout_s=1.0)[0] & 72 == 0
    psu("STAT:PRES")
    assert psu("STAT:QUES:ENAB?;:STAT:QUES:INST:ENAB?;:STAT:QUES:INST:ISUM1:ENAB?") == "0;0;0"


# --- sensing ---


@pytest.mark.parametrize("model", [PowerSupply, PowerSupplyE36312A])
@pytest.mark.parametrize("remote", [False, True])
def test_remote_sense_makes_up_for_the_leads(talk, model, remote):
    bench = Bench(clock="skip")
    model(bench, "psu", ADDRESS, outputs=OUTPUTS, senses={1: ("far", "back")})
    bench.circuit.add(Resistor("a", "far", ohms=0.5), Resistor("far", "back", ohms=4.0), Resistor("back", ohms=0.5))
    psu = talk(bench, "psu")
    psu(f"APPL CH1,4,2;:VOLT:SENS {'EXT' if remote else 'INT'},(@1);:OUTP ON,(@1)")
    bench.circuit.advance(bench.now)
    assert bench.circuit.voltage("far", "back") == pytest.approx(4.0 if remote else 3.2, rel=1e-5)
    assert float(psu("MEAS:VOLT? (@1)")) == pytest.approx(4.0, abs=3e-3)
    assert float(psu("MEAS:CURR? (@1)")) == pytest.approx(1.0 if remote else 0.8, abs=1e-3)


# --- coupling, tracking, delays, triggers, memories ---


def test_coupled_outputs_are_switched_together_each_after_its_delay(stand):
    psu, _, volts, _ = stand
    psu("VOLT 5,(@1:3);:OUTP:COUP CH1,CH3;:OUTP:DEL:RISE 0.2,(@3);:OUTP:DEL:FALL 0.1,(@1);:OUTP ON,(@1)")
    assert psu("OUTP? (@1:3);:OUTP:COUP?") == "1,0,1;CH1,CH3"
    assert (volts("a"), volts("b"), volts("c")) == (5.0, 0.0, 0.0)
    assert volts("c", wait=0.25) == 5.0
    psu("OUTP OFF,(@3)")
    assert (volts("a"), volts("c")) == (5.0, 0.0)
    assert volts("a", wait=0.15) == 0.0
    psu("OUTP:COUP ALL;COUP?")
    assert psu("OUTP:COUP NONE;COUP?") == "NONE"


def test_an_output_switched_off_before_its_delay_is_over_stays_off(stand):
    psu, _, volts, _ = stand
    psu("VOLT 5,(@1);:OUTP:DEL:RISE 0.2,(@1);:OUTP ON,(@1)")
    psu("OUTP OFF,(@1)")
    assert volts("a", wait=1.0) == 0.0


def test_tracking_outputs_have_the_same_levels(stand):
    psu, _, volts, _ = stand
    psu("OUTP:TRAC ON;:OUTP ON,(@2,3);:VOLT 7,(@2)")
    assert (volts("b"), volts("c")) == (7.0, 7.0)
    psu("VOLT 3,(@3);:OUTP:TRAC OFF;:VOLT 4,(@2)")
    assert (volts("b"), volts("c")) == (4.0, 3.0)


def test_a_trigger_steps_to_the_triggered_levels(stand):
    psu, _, volts, _ = stand
    psu("VOLT 1,(@1);:OUTP ON,(@1);:VOLT:TRIG 4,(@1);:VOLT:MODE STEP;:INIT")
    assert volts("a") == 1.0
    psu("*TRG")
    assert volts("a") == 4.0
    psu("*TRG")
    assert psu("SYST:ERR?").startswith("-211")


def test_settings_are_kept_in_memories_and_come_back_with_the_outputs_off(stand):
    psu, _, volts, _ = stand
    psu("VOLT 2,(@1);:OUTP ON,(@1);*SAV 3;:VOLT 5,(@1);*RCL 3")
    assert psu("VOLT? (@1);:OUTP? (@1)") == "+2.00000000E+00;0"
    assert volts("a") == 0.0
    psu("*RCL 4")
    assert psu("SYST:ERR?").startswith("-221")


def test_slopes_rise_and_fall(stand):
    psu, _, volts, _ = stand
    psu("VOLT:SLEW 10,(@1);:VOLT:SLEW:FALL 5,(@1);:OUTP ON,(@1)")
    psu("VOLT 4,(@1)")
    assert volts("a", wait=0.1) == pytest.approx(1.0, abs=0.01)
    volts("a", wait=1.0)
    psu("VOLT 0,(@1)")
    assert volts("a", wait=0.1) == pytest.approx(3.5, abs=0.01)


def test_a_limited_output_charges_a_capacitor_along_the_straight_line_and_the_exponential(talk):
    bench = Bench(clock="skip")
    PowerSupply(bench, "psu", ADDRESS, outputs=OUTPUTS)
    capacitor = Capacitor("c1", farads=1e-3)
    bench.circuit.add(Resistor("a", "c1", ohms=10.0), capacitor)
    talk(bench, "psu")("APPL CH1,5,0.2;:OUTP ON,(@1)")
    began = bench.now
    crossing = (5 - 0.2 * 10) * 1e-3 / 0.2  # until then the current is limited
    for part in (0.3, 0.9, 1.5, 3.0):
        bench.wait(began + part * crossing - bench.now)
        bench.circuit.advance(bench.now)
        later = part * crossing - crossing
        expected = 0.2 * part * crossing / 1e-3 if later < 0 else 5 - 2 * math.exp(-later / 0.01)
        assert capacitor.voltage == pytest.approx(expected, rel=2e-3)


@pytest.mark.parametrize(
    ("model", "volts", "amps"),
    [(PowerSupply, (6, 30, 30), (5, 1, 1)), (PowerSupplyE36312A, (6, 25, 25), (5, 1, 1)), (PowerSupplyE36313A, (6, 25, 25), (10, 2, 2))],
)  # fmt: skip
def test_each_model_has_its_ratings(talk, model, volts, amps):
    bench = Bench(clock="skip")
    model(bench, "psu", ADDRESS, outputs=OUTPUTS)
    psu = talk(bench, "psu")
    assert [float(each) for each in psu("VOLT? MAX,(@1:3)").split(",")] == pytest.approx(
        [1.03 * each for each in volts]
    )
    assert [float(each) for each in psu("CURR? MAX,(@1:3)").split(",")] == pytest.approx([1.03 * each for each in amps])
