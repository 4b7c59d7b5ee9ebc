"""The multimeter's functions, triggers, memory and statistics; against closed forms and standards."""

import math
import statistics
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.sim import (
    Bench,
    Capacitor,
    Diode,
    Generator,
    Multimeter,
    Multimeter34401A,
    Resistor,
    Source,
    Thermistor,
    noise_sigma,
    saturation_current,
)  # fmt: skip
from labnb.sim.models.meter_sensors import in_unit, rtd_kelvin, thermistor_kelvin
from labnb.sim.scpi import decode_block

NO_ERROR = '0,"No error"'


def metered(*parts, model=Multimeter, seed=0, **wiring):
    bench = Bench(clock="skip", seed=seed)
    bench.circuit.add(*parts)
    model(bench, "dmm", "GPIB0::22::INSTR", **({"voltage_input": ("x", "gnd"), "current_input": ("i", "gnd")} | wiring))
    return bench


def waved(wave, *, wiring=None):
    """A meter on a generator's first output, whose load is said to be open."""
    bench = metered(**(wiring or {}))
    awg = Generator(bench, "awg", "GPIB0::10::INSTR", outputs=(("x", "gnd"), ("y", "gnd")))
    for message in ("OUTP1:LOAD INF", f"SOUR1:APPL:{wave}"):
        awg.receive(message)
    return bench


def supply(volts, node="x"):
    source = Source(node)
    source.volts, source.mode = volts, "cv"
    return source


def numbers(text):
    return [float(word) for word in text.split(",")]


# --- functions ---


@pytest.mark.parametrize("hertz", [5.0, 50.0, 1234.5, 1e5])
@pytest.mark.parametrize("shape", ["SIN", "SQU", "RAMP"])
def test_frequency_and_period_are_the_generators(talk, hertz, shape):
    ask = talk(waved(f"{shape} {hertz},2,0.3"), "dmm")
    assert float(ask("MEAS:FREQ?")) == pytest.approx(hertz, rel=1e-5)
    assert float(ask("MEAS:PER?")) == pytest.approx(1 / hertz, rel=1e-5)
    assert ask("SYST:ERR?") == NO_ERROR


def test_without_a_wave_a_frequency_is_zero_and_a_period_overload(talk):
    ask = talk(metered(supply(1.0)), "dmm")
    assert float(ask("MEAS:FREQ?")) == 0.0
    assert float(ask("MEAS:PER?")) == 9.9e37


def test_a_longer_gate_takes_longer_and_scatters_less(talk):
    seen = []
    for gate in (0.01, 1.0):
        bench = waved("SIN 1000,2")
        ask = talk(bench, "dmm")
        ask(f"CONF:FREQ;:FREQ:APER {gate};:SAMP:COUN 100")
        before = bench.now
        seen.append(statistics.stdev(numbers(ask("READ?"))))
        assert bench.now - before == pytest.approx(100 * gate, rel=0.01)
    assert seen[0] == pytest.approx(100 * seen[1], rel=0.4)


@pytest.mark.parametrize(
    ("wave", "rms"),
    [("SIN 1000,2,0.7", 1 / math.sqrt(2)), ("SQU 1000,2,-1", 1.0), ("RAMP 1000,2,0.1", 1 / math.sqrt(3)), ("TRI 400,4", 2 / math.sqrt(3))],
)  # fmt: skip
def test_alternating_voltage_and_current_are_the_rms_without_the_mean(talk, wave, rms):
    assert float(talk(waved(wave), "dmm")("MEAS:VOLT:AC?")) == pytest.approx(rms, rel=2e-3)
    bench = waved(wave, wiring={"voltage_input": ("v", "gnd"), "current_input": ("i", "gnd")})
    bench.circuit.add(Resistor("x", "i", ohms=949.9))
    assert float(talk(bench, "dmm")("MEAS:CURR:AC?")) == pytest.approx(rms / 1000.0, rel=2e-3)


def test_a_diodes_forward_voltage_is_that_of_one_milliampere(talk):
    scale = 1.752 * 8.617333262e-5 * 300.0
    expected = scale * math.log1p(1e-3 / saturation_current(300.0))
    assert float(talk(metered(Diode("x")), "dmm")("MEAS:DIOD?")) == pytest.approx(expected, rel=1e-5)
    assert float(talk(metered(Diode("gnd", "x")), "dmm")("MEAS:DIOD?")) == 9.9e37


def test_an_open_input_is_overload_and_stands_at_ten_volts(talk):
    bench = metered(model=Multimeter34401A)
    ask = talk(bench, "dmm")
    for function in ("RES", "FRES", "DIOD", "CONT"):
        assert float(ask(f"MEAS:{function}?")) == 9.9e37
        assert 10.0 < bench.circuit.voltage("x") <= 11.0


@pytest.mark.parametrize(("ohms", "expected"), [(3.0, 3.0), (900.0, 900.0), (1300.0, 9.9e37)])
def test_continuity_has_one_range_of_a_kilohm(talk, ohms, expected):
    assert float(talk(metered(Resistor("x", ohms=ohms)), "dmm")("MEAS:CONT?")) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("farads", [470e-12, 10e-9, 2.2e-6, 80e-6])
def test_a_capacitance_is_what_a_constant_current_charges(talk, farads):
    bench = metered(Capacitor("x", farads=farads))
    ask = talk(bench, "dmm")
    assert float(ask("MEAS:CAP?")) == pytest.approx(farads, rel=3e-3)
    assert ask("SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(("remote", "expected"), [("RES", 120.0), ("FRES", 100.0)])
def test_four_wires_leave_the_leads_out(talk, remote, expected):
    wires = Resistor("x", "a", ohms=10.0), Resistor("a", "b", ohms=100.0), Resistor("b", ohms=10.0)
    ask = talk(metered(*wires, sense_input=("a", "b")), "dmm")
    assert float(ask(f"MEAS:{remote}?")) == pytest.approx(expected, rel=1e-5)


def test_a_ratio_is_that_of_input_and_sense(talk):
    ask = talk(metered(supply(3.0), supply(2.0, "s"), sense_input=("s", "gnd")), "dmm")
    assert float(ask("MEAS:VOLT:DC:RAT?")) == pytest.approx(1.5, abs=1e-4)
    assert ask("FUNC?") == '"VOLT:RAT"'


@pytest.mark.parametrize(
    ("celsius", "ohms"), [(-200.0, 18.52), (-100.0, 60.26), (0.0, 100.0), (100.0, 138.51), (400.0, 247.09), (850.0, 390.48)]
)  # fmt: skip
def test_a_platinum_resistor_is_read_as_the_table_of_iec_60751_says(talk, celsius, ohms):
    ask = talk(metered(Resistor("x", ohms=ohms)), "dmm")
    assert float(ask("MEAS:TEMP? RTD,100")) == pytest.approx(celsius, abs=0.03)
    assert rtd_kelvin(ohms * 10, 1000.0) - 273.15 == pytest.approx(celsius, abs=0.03)


def test_temperatures_have_three_units(talk):
    ask = talk(metered(Resistor("x", ohms=138.5055)), "dmm")
    read = {unit: float(ask(f"UNIT:TEMP {unit};:MEAS:TEMP? RTD,100")) for unit in "CFK"}
    assert read == {
        "C": pytest.approx(100.0, abs=2e-3),
        "F": pytest.approx(212.0, abs=4e-3),
        "K": pytest.approx(373.15, abs=2e-3),
    }
    assert in_unit(255.372, "F") == pytest.approx(0.0, abs=1e-3)


@given(
    st.sampled_from(
        [
            ("2252", 0.0, 7355.0),
            ("2252", 100.0, 153.2),
            ("5000", 0.0, 16330.0),
            ("5000", 50.0, 1801.0),
            ("10000", 0.0, 29490.0),
        ]
    )
)
def test_thermistors_are_read_as_their_makers_tables_say(row):
    kind, celsius, ohms = row
    assert thermistor_kelvin(ohms, kind) - 273.15 == pytest.approx(celsius, abs=0.3)


def test_a_thermistor_is_warmed_by_the_test_current(talk):
    ntc = Thermistor("x", ohms_at_25=5e3, watts_per_kelvin=1e-6, time_constant_s=0.1)
    bench = metered(ntc)
    ask = talk(bench, "dmm")
    ask("CONF:TEMP THER,5000;:TRIG:DEL 2")
    assert float(ask("READ?")) - 25.0 == pytest.approx(ntc.kelvin - 298.15, abs=0.6)
    assert ntc.kelvin - 298.15 > 20.0


def test_what_an_early_meter_does_not_measure_it_refuses(talk):
    ask = talk(metered(model=Multimeter34401A), "dmm")
    ask("CONF:TEMP")
    assert ask("SYST:ERR?").startswith("-224")
    assert ask("FUNC?") == '"VOLT"'


# --- noise ---


@pytest.mark.parametrize(("function", "range_"), [("VOLT", 0.1), ("VOLT", 10.0), ("CURR", 1e-3), ("RES", 1e4)])
def test_the_noise_is_normal_with_the_stated_sigma(talk, function, range_):
    ask = talk(metered(Resistor("x", ohms=5e3), seed=11), "dmm")
    ask(f"CONF:{function} {range_};:{function}:NPLC 1;:SAMP:COUN 2000")
    readings = numbers(ask("READ?"))
    sigma = noise_sigma(range_, 1.0)
    mean = statistics.fmean(readings)
    assert abs(mean - (5e3 if function == "RES" else 0.0)) < 4 * sigma / math.sqrt(2000) + 1e-4
    assert statistics.stdev(readings) == pytest.approx(sigma, rel=0.06)
    inside = sum(abs(each - mean) < sigma for each in readings) / 2000
    assert inside == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.04)
    lagged = statistics.correlation(readings[1:], readings[:-1])
    assert abs(lagged) < 0.08


# --- triggers ---


def test_each_bus_trigger_takes_its_samples(talk):
    ask = talk(metered(supply(1.0)), "dmm")
    ask("CONF:VOLT 10;:VOLT:NPLC 1;:TRIG:SOUR BUS;COUN 3;:SAMP:COUN 2;:INIT")
    for done in (0, 2, 4):
        assert ask("DATA:POIN?") == str(done)
        ask("*TRG")
        talk_until = ask("*TST?")
        assert talk_until == "0"
        ask("ABOR" if done == 4 else "*CLS")
        if done < 4:
            while ask("DATA:POIN?") != str(done + 2):
                pass
    assert ask("SYST:ERR?") == NO_ERROR


def test_an_edge_on_the_trigger_input_counts_only_when_armed(talk):
    bench = metered(supply(1.0))
    ask, dmm = talk(bench, "dmm"), bench["dmm"]
    dmm.external_trigger()
    ask("CONF:VOLT 10;:VOLT:NPLC 1;:TRIG:SOUR EXT;:INIT")
    bench.wait(1.0)
    assert ask("DATA:POIN?") == "0"
    dmm.external_trigger()
    dmm.external_trigger()
    bench.wait(1.0)
    assert ask("DATA:POIN?") == "1"
    ask("*TRG")
    assert ask("SYST:ERR?").startswith("-211")


@pytest.mark.parametrize(("slope", "phase"), [("POS", 0.0), ("NEG", 0.5)])
def test_a_wired_sync_output_triggers_at_its_edges(talk, slope, phase):
    bench = waved("SIN 10,2", wiring={"trigger_input": "awg"})
    ask = talk(bench, "dmm")
    ask(
        f"CONF:VOLT 10;:VOLT:NPLC 0.02;:VOLT:ZERO:AUTO OFF;:VOLT:IMP:AUTO ON;:TRIG:SOUR EXT;SLOP {slope};COUN 3;DEL 0.025;:INIT"
    )
    before = bench.now
    readings = numbers(ask("FETC?"))
    assert readings == pytest.approx([1.0 if slope == "POS" else -1.0] * 3, abs=5e-3)
    assert 0.2 < bench.now - before < 0.36


def test_a_level_triggers_when_the_signal_passes_it(talk):
    source = supply(5.0, "in")
    bench = metered(Resistor("in", "x", ohms=1e6), Capacitor("x", farads=1e-6), source)
    ask = talk(bench, "dmm")
    ask("CONF:VOLT 10;:VOLT:IMP:AUTO ON;:VOLT:NPLC 0.2;:VOLT:ZERO:AUTO OFF;:TRIG:SOUR INT;LEV 3;SLOP POS;:INIT")
    assert float(ask("FETC?")) == pytest.approx(3.0, abs=0.05)
    assert bench.now == pytest.approx(-math.log(1 - 3 / 5), abs=0.05)  # RC is 1 s


def test_a_level_waits_while_nothing_happens_and_wakes_when_it_does(talk):
    source = supply(1.0)
    bench = metered(source)
    ask = talk(bench, "dmm")
    ask("CONF:VOLT 10;:VOLT:NPLC 0.2;:VOLT:ZERO:AUTO OFF;:TRIG:SOUR INT;LEV 3;SLOP POS;:INIT")
    bench.wait(1000.0)
    assert ask("DATA:POIN?") == "0"
    with bench.timeline.changed, bench.circuit.edit(bench.timeline.now, source):
        source.volts = 4.0
    bench.wait(0.05)
    assert ask("DATA:POIN?") == "1"


def test_a_wave_that_never_reaches_the_level_does_not_hold_up_the_bench(talk):
    bench = waved("SIN 7,2")
    ask = talk(bench, "dmm")
    ask("CONF:VOLT 10;:VOLT:NPLC 0.02;:VOLT:ZERO:AUTO OFF;:TRIG:SOUR INT;LEV 3;SLOP POS;:INIT")
    bench.wait(1000.0)
    assert ask("DATA:POIN?") == "0"
    talk(bench, "awg")("SOUR1:VOLT 8")
    bench.wait(30.0)
    assert ask("DATA:POIN?") == "1"


def test_readings_before_the_trigger_are_kept(talk):
    bench = waved("RAMP 1,10", wiring={"trigger_input": "awg"})
    ask = talk(bench, "dmm")
    ask("CONF:VOLT 10;:VOLT:NPLC 0.5;:VOLT:ZERO:AUTO OFF;:TRIG:SOUR EXT;SLOP POS;:SAMP:COUN 20;COUN:PRET 8;:INIT")
    readings = numbers(ask("FETC?"))
    assert len(readings) == 20
    falls = [k for k in range(1, 20) if readings[k] < readings[k - 1]]
    assert falls == [8] or falls == [7]


def test_a_delay_comes_before_each_burst_and_a_timer_spaces_its_readings(talk):
    bench = metered(supply(1.0))
    ask = talk(bench, "dmm")
    ask("CONF:VOLT 10;:VOLT:NPLC 0.02;:VOLT:ZERO:AUTO OFF;:TRIG:DEL 0.5;COUN 4;:SAMP:SOUR TIM;TIM 0.1;COUN 3")
    before = bench.now
    assert len(numbers(ask("READ?"))) == 12
    assert bench.now - before == pytest.approx(4 * (0.5 + 0.2 + 0.0004), abs=2e-3)


def test_endless_triggers_fill_the_memory_until_aborted(talk):
    bench = metered(supply(1.0))
    ask = talk(bench, "dmm")
    ask("CONF:VOLT 10;:VOLT:NPLC 1;:VOLT:ZERO:AUTO OFF;:TRIG:COUN INF;:INIT")
    bench.wait(1.0)
    ask("ABOR")
    assert 45 <= int(ask("DATA:POIN?")) <= 51
    assert ask("TRIG:COUN?") == "+9.90000000E+37"


# --- memory, formats, statistics ---


def test_readings_are_removed_oldest_first(talk):
    bench = metered(supply(1.0), seed=2)
    ask = talk(bench, "dmm")
    ask("CONF:VOLT 10;:SAMP:COUN 5;:INIT")
    all_of_them = numbers(ask("FETC?"))
    assert numbers(ask("DATA:REM? 2")) == all_of_them[:2]
    assert numbers(decode_block(ask("R? 1").encode()).decode()) == [all_of_them[2]]
    assert float(ask("DATA:LAST?")) == all_of_them[4]
    assert ask("DATA:POIN?") == "2"
    ask("DATA:REM? 3", timeout_s=0.1)
    assert ask("SYST:ERR?").startswith("-222")


def test_binary_readings_are_the_ascii_ones(talk):
    ask = talk(metered(supply(1.0)), "dmm")
    ask("CONF:VOLT 10;:SAMP:COUN 3;:INIT")
    expected = numbers(ask("FETC?"))
    for order, letter in (("NORM", ">"), ("SWAP", "<")):
        ask(f"FORM REAL,64;:FORM:BORD {order}")
        data = decode_block(ask("FETC?", raw=True))
        assert struct.unpack(f"{letter}3d", data) == pytest.approx(expected, abs=1e-8)


def test_statistics_and_limits_are_those_of_the_readings(talk):
    ask = talk(metered(supply(1.0)), "dmm")
    ask("CALC:AVER ON;:CALC:LIM:LOW 2;UPP 3;STAT ON;:CONF:VOLT 10;:VOLT:NPLC 0.02;:SAMP:COUN 50")
    readings = numbers(ask("READ?"))
    mean, sigma, low, high = numbers(ask("CALC:AVER:ALL?"))
    assert (mean, low, high) == (pytest.approx(statistics.fmean(readings)), min(readings), max(readings))
    assert sigma == pytest.approx(statistics.stdev(readings), rel=1e-3)
    assert float(ask("CALC:AVER:COUN?")) == 50
    assert ask("STAT:QUES?;:STAT:QUES?") == "2048;0"
    ask("CALC:AVER:CLE")
    assert float(ask("CALC:AVER:AVER?")) == 9.9e37


def test_null_is_taken_off(talk):
    ask = talk(metered(supply(1.5)), "dmm")
    ask("CONF:VOLT 10;:VOLT:NULL:VAL 0.5;STAT ON")
    assert float(ask("READ?")) == pytest.approx(1.0, abs=1e-4)


def test_counted_functions_keep_their_voltage_range(talk):
    ask = talk(metered(), "dmm")
    assert ask("FREQ:VOLT:RANG 0.5;RANG?;:FREQ:VOLT:RANG:AUTO?;:PER:VOLT:RANG:AUTO?") == "+1.00000000E+00;0;1"
    assert ask("TEMP:TRAN:TYPE THER;THER:TYPE 10000;TYPE?;:TEMP:TRAN:TYPE?") == "10000;THER"
