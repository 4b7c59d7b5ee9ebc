"""The source meter: sweeps, buffer, formats, triggers, sensing, compliance; against Ohm, Shockley and Kirchhoff."""

import itertools
import math
import statistics
import struct

import pytest

from labnb.sim import Bench, Capacitor, Diode, Resistor, SourceMeter, diode_current

ADDRESS = "GPIB0::24::INSTR"
NO_ERROR = '0,"No error"'


def smu_on(*parts, **wiring):
    bench = Bench(clock="skip", seed=5)
    bench.circuit.add(*parts)
    SourceMeter(bench, "smu", ADDRESS, **({"terminals": ("x", "gnd")} | wiring))
    return bench


def numbers(text):
    return [float(word) for word in text.split(",")]


@pytest.fixture
def kilohm(talk):
    return talk(smu_on(Resistor("x", ohms=1e3)), "smu")


def test_a_linear_sweep_draws_the_diodes_curve(talk):
    ask = talk(smu_on(Resistor("x", "d", ohms=100.0), Diode("d")), "smu")
    ask("SENS:CURR:PROT 0.1;:FORM:ELEM VOLT,CURR;:OUTP ON")
    ask("SOUR:VOLT:MODE SWE;STAR -0.5;STOP 1;:SOUR:SWE:POIN 31;:TRIG:COUN 31;:SENS:CURR:NPLC 10")
    values = numbers(ask("READ?"))
    assert len(values) == 62
    for k, (volts, amps) in enumerate(zip(values[::2], values[1::2], strict=True)):
        assert volts == pytest.approx(-0.5 + 0.05 * k, abs=2e-4)
        exact = diode_current(-0.5 + 0.05 * k, 300.0, series_resistance=100.0)
        assert amps == pytest.approx(exact, rel=1e-3, abs=1e-9)
    assert ask("SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("SOUR:VOLT:STAR 1;STOP 3;STEP 0.5;:TRIG:COUN 5", [1, 1.5, 2, 2.5, 3]),
        ("SOUR:VOLT:STAR 1;STOP 3;STEP 0.5;:SOUR:SWE:DIR DOWN;:TRIG:COUN 5", [3, 2.5, 2, 1.5, 1]),
        ("SOUR:VOLT:STAR 3;STOP 1;STEP -1;:TRIG:COUN 3", [3, 2, 1]),
        ("SOUR:VOLT:STAR 0.1;STOP 10;:SOUR:SWE:SPAC LOG;POIN 3;:TRIG:COUN 3", [0.1, 1, 10]),
        ("SOUR:VOLT:STAR 1;STOP 2;:SOUR:SWE:POIN 2;:TRIG:COUN 5", [1, 2, 1, 2, 1]),
        ("SOUR:LIST:VOLT 4,-2;:SOUR:LIST:VOLT:APP 7;:SOUR:VOLT:MODE LIST;:TRIG:COUN 3", [4, -2, 7]),
    ],
)
def test_each_trigger_takes_the_next_level_of_a_sweep_and_the_programmed_one_returns(talk, kilohm, setup, expected):
    kilohm(f"SENS:CURR:PROT 0.1;:FORM:ELEM VOLT;:OUTP ON;:SOUR:VOLT 0.25;:SOUR:VOLT:MODE SWE;:{setup}")
    assert numbers(kilohm("READ?")) == pytest.approx(expected, abs=1e-3)
    kilohm("SOUR:VOLT:MODE FIX;:TRIG:COUN 1")
    assert numbers(kilohm("READ?")) == pytest.approx([0.25], abs=1e-3)
    assert kilohm("SYST:ERR?") == NO_ERROR


def test_a_current_sweep_through_a_resistor_reads_its_resistance(kilohm):
    kilohm("SOUR:FUNC CURR;:SENS:FUNC 'VOLT','RES';:SENS:VOLT:PROT 10;:FORM:ELEM CURR,RES;:OUTP ON")
    kilohm("SOUR:CURR:MODE SWE;STAR 1e-3;STOP 4e-3;STEP 1e-3;:TRIG:COUN 4")
    values = numbers(kilohm("READ?"))
    assert values[::2] == pytest.approx([1e-3, 2e-3, 3e-3, 4e-3], rel=1e-3)
    assert values[1::2] == pytest.approx([1e3] * 4, rel=1e-3)


@pytest.mark.parametrize(
    ("setup", "code"),
    [("SOUR:VOLT:MODE LIST", -221), ("SOUR:VOLT:MODE SWE;STEP 0", -221), ("SOUR:VOLT:MODE SWE;STAR -1;STOP 1;:SOUR:SWE:SPAC LOG", -221),
     ("TRIG:COUN 2000;:ARM:COUN 2", -221), ("ARM:SOUR BUS", -214), ("SOUR:VOLT:MODE SWE;STAR 0;STOP 10;STEP 1e-4", -221)],
)  # fmt: skip
def test_a_sweep_that_cannot_be_is_refused(kilohm, setup, code):
    kilohm(f"OUTP ON;:{setup}")
    kilohm("READ?", timeout_s=1.0)
    assert kilohm("SYST:ERR?").startswith(f"{code},")


def test_an_aborted_sweep_gives_the_programmed_level_back(talk):
    bench = smu_on(Resistor("x", ohms=1e3))
    ask = talk(bench, "smu")
    ask(
        "SENS:CURR:PROT 1;:SOUR:VOLT 0.5;:OUTP ON;:SOUR:VOLT:MODE SWE;STAR 5;STOP 6;:SOUR:SWE:POIN 10;:TRIG:COUN 10;:INIT"
    )
    bench.wait(0.05)
    bench.circuit.advance(bench.now)
    assert bench.circuit.voltage("x") > 4.9
    ask("ABOR")
    bench.circuit.advance(bench.now)
    assert bench.circuit.voltage("x") == pytest.approx(0.5)


# --- compliance and sensing ---


def test_in_compliance_the_supply_is_a_current_source_as_on_a_capacitor(talk):
    bench = smu_on(Capacitor("x", farads=1e-3))
    ask = talk(bench, "smu")
    ask("SENS:CURR:PROT 0.01;:SOUR:VOLT 5;:FORM:ELEM VOLT,STAT,TIME;:SYST:TIME:RES;:OUTP ON;:TRIG:COUN 10")
    started = bench.now
    values = numbers(ask("READ?"))
    for volts, seconds, status in zip(values[::3], values[1::3], values[2::3], strict=True):
        assert volts == pytest.approx(10.0 * (seconds - started), abs=0.01)  # I/C = 10 V/s
        assert int(status) & 8
    assert ask("SENS:CURR:PROT:TRIP?;:STAT:MEAS?") == f"1;{(1 << 14) + 64}"
    bench.wait(1.0)
    assert ask("SENS:CURR:PROT:TRIP?") == "0"


@pytest.mark.parametrize("remote", [False, True])
def test_with_four_wires_the_voltage_is_held_at_the_sense_terminals(talk, remote):
    wires = (Resistor("out", "far", ohms=2.0), Resistor("far", "back", ohms=10.0), Resistor("back", ohms=2.0))
    bench = smu_on(*wires, terminals=("out", "gnd"), sense=("far", "back"))
    ask = talk(bench, "smu")
    ask(f"SENS:CURR:PROT 1;:SOUR:VOLT 1;:SYST:RSEN {remote:d};:SENS:FUNC 'RES';:FORM:ELEM VOLT,CURR,RES;:OUTP ON")
    volts, amps, ohms = numbers(ask("READ?"))
    assert volts == pytest.approx(1.0, abs=1e-3)
    assert amps == pytest.approx(1 / 10 if remote else 1 / 14, rel=1e-4)
    assert ohms == pytest.approx(10.0 if remote else 14.0, rel=1e-3)


def test_open_sense_leads_sense_locally(talk):
    ask = talk(smu_on(Resistor("x", ohms=50.0), sense=("s1", "s2")), "smu")
    ask("SENS:CURR:PROT 1;:SOUR:VOLT 1;:SYST:RSEN ON;:FORM:ELEM VOLT,CURR;:OUTP ON")
    assert numbers(ask("READ?")) == pytest.approx([1.0, 0.02], rel=1e-3)


# --- buffer, formats, service requests ---


def test_the_buffer_fills_once_and_then_requests_service(talk):
    bench = smu_on(Resistor("x", ohms=1e3))
    ask, port, smu = talk(bench, "smu"), bench.port("smu"), bench["smu"]
    ask("SENS:CURR:PROT 0.1;:SOUR:VOLT 1;:FORM:ELEM CURR,TIME;:OUTP ON;:STAT:PRES;*CLS;*SRE 1;:STAT:MEAS:ENAB 512")
    ask("TRAC:CLE;POIN 6;FEED SENS;FEED:CONT NEXT;:TRIG:COUN 10;:INIT")
    before = bench.now
    while not smu.status.requesting:
        bench.wait(1e-3)
        assert bench.now < before + 1.0
    assert bench.now - before == pytest.approx(6 * (1e-3 + 5e-3 + 0.02), abs=3e-3)
    assert port.poll(timeout_s=1.0)[0] & 65 == 65
    ask("ABOR")
    assert ask("TRAC:FEED:CONT?;:TRAC:POIN:ACT?") == "NEV;6"
    values = numbers(ask("TRAC:DATA?"))
    assert values[::2] == pytest.approx([1e-3] * 6, rel=1e-3)
    steps = [after - before for before, after in zip(values[1::2], values[3::2], strict=False)]
    assert steps == pytest.approx([0.026] * 5, abs=1e-6)
    assert int(ask("STAT:MEAS?")) & 512
    assert port.poll(timeout_s=1.0)[0] & 65 == 0
    ask("TRAC:TST:FORM DELT")
    assert numbers(ask("TRAC:DATA?"))[1::2] == pytest.approx([0.0] + [0.026] * 5, abs=1e-6)


def test_statistics_of_the_buffer_are_those_of_its_readings(kilohm):
    kilohm(
        "SENS:CURR:PROT 0.1;:SOUR:VOLT 1;:SENS:FUNC:ALL;:SENS:CURR:NPLC 0.01;:FORM:ELEM CURR;:OUTP ON;:TRAC:POIN 50;FEED:CONT NEXT;:TRIG:COUN 50"
    )
    readings = numbers(kilohm("READ?"))
    for name, compute in (("MEAN", statistics.fmean), ("SDEV", statistics.stdev), ("MAXIMUM", max), ("MIN", min),
                          ("PKPK", lambda values: max(values) - min(values))):  # fmt: skip
        assert numbers(kilohm(f"CALC3:FORM {name};DATA?"))[1] == pytest.approx(compute(readings), rel=5e-3, abs=1.1e-9)


@pytest.mark.parametrize(("order", "letter"), [("NORM", ">"), ("SWAP", "<")])
def test_binary_readings_are_the_ascii_ones(kilohm, order, letter):
    kilohm("SENS:CURR:PROT 0.1;:SOUR:VOLT 2;:FORM:ELEM VOLT,CURR;:OUTP ON;:TRIG:COUN 3;:INIT")
    expected = numbers(kilohm("FETC?"))
    kilohm(f"FORM:DATA REAL,32;:FORM:BORD {order}")
    answer = kilohm("FETC?", raw=True)
    assert answer[:2] == b"#0"
    assert struct.unpack(f"{letter}6f", answer[2:26]) == pytest.approx(expected, rel=1e-6)
    assert kilohm("FORM?") == "REAL,32"
    kilohm("FORM REAL,64")
    assert kilohm("SYST:ERR?").startswith("-224")


# --- triggers ---


def test_a_bus_arm_waits_for_the_bus_and_a_line_for_its_line(talk):
    bench = smu_on(Resistor("x", ohms=1e3))
    ask = talk(bench, "smu")
    ask("SENS:CURR:PROT 0.1;:OUTP ON;:ARM:SOUR BUS;:TRIG:SOUR TLIN;:TRIG:COUN 2;:INIT")
    bench["smu"].external_trigger()
    bench.wait(1.0)
    assert ask("STAT:MEAS?") == "0"
    ask("*TRG")
    for _ in range(2):
        bench.wait(1.0)
        bench["smu"].external_trigger()
    assert len(ask("FETC?").split(",")) == 10
    ask("*TRG")
    assert ask("SYST:ERR?").startswith("-211")


def test_a_timer_spaces_the_arms(talk):
    ask = talk(smu_on(Resistor("x", ohms=1e3)), "smu")
    ask("SENS:CURR:PROT 0.1;:OUTP ON;:FORM:ELEM TIME;:ARM:SOUR TIM;TIM 0.25;COUN 4")
    times = numbers(ask("READ?"))
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([0.25] * 3, abs=1e-6)


def test_noise_falls_with_the_line_cycles_and_with_the_filter(talk):
    seen = []
    for setup in ("SENS:CURR:NPLC 0.1", "SENS:CURR:NPLC 10", "SENS:CURR:NPLC 0.1;:SENS:AVER:COUN 100;:SENS:AVER ON"):
        ask = talk(smu_on(Resistor("x", ohms=1e3)), "smu")
        ask(f"SENS:CURR:PROT 0.1;:SOUR:VOLT 1;:FORM:ELEM CURR;:OUTP ON;:SENS:CURR:RANG 1e-3;:TRIG:COUN 500;:{setup}")
        seen.append(statistics.stdev(numbers(ask("READ?"))))
    assert seen == pytest.approx([1e-9 / math.sqrt(n) for n in (0.1, 10, 10)], rel=0.15)
