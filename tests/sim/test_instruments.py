"""The instruments of the demo bench as a driver sees them: the conformance table, and the physics behind it."""

import math
import statistics

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labnb.sim import Bench, PowerSupply, Resistor, demo_bench, diode_current, noise_sigma

NO_ERROR = '0,"No error"'


@pytest.mark.parametrize(
    ("name", "message", "answer"),
    [
        ("psu", "VOLT 5,(@1);VOLT? (@1)", "+5.00000000E+00"),
        ("psu", "volt 5,(@1);voltage? (@1)", "+5.00000000E+00"),
        ("psu", "SOUR:VOLT:LEV:IMM:AMPL 500mV,(@2);:SOUR:VOLT? (@2)", "+5.00000000E-01"),
        ("psu", "VOLT 1,(@1,3);VOLT? (@1:3)", "+1.00000000E+00,+0.00000000E+00,+1.00000000E+00"),
        ("psu", "VOLT MAX,(@1);VOLT? (@1)", "+6.18000000E+00"),
        ("psu", "VOLT? MAX,(@1,2)", "+6.18000000E+00,+3.09000000E+01"),
        ("psu", "CURR? MIN,(@1)", "+2.00000000E-03"),
        ("psu", "CURR 0.1,(@2);:CURR DEF,(@2);:CURR? (@2)", "+1.00000000E+00"),
        ("psu", "OUTP ON,(@2);OUTP? (@1:3)", "0,1,0"),
        ("psu", "OUTP:STAT 1,(@1);:OUTP? (@1)", "1"),
        ("psu", "INST:SEL CH2;:VOLT 7;:INST:NSEL?;:VOLT? (@2)", "2;+7.00000000E+00"),
        ("psu", "INST:NSEL 3;SEL?", "CH3"),
        ("psu", "INST CH3;INST?", "CH3"),
        ("psu", "APPL CH2,12,0.5;:VOLT? (@2);:CURR? (@2)", "+1.20000000E+01;+5.00000000E-01"),
        ("psu", "APPL 3,1;:APPL? CH1", '"+3.000000E+00,+1.000000E+00"'),
        ("psu", "VOLT:PROT 5,(@1);PROT? (@1)", "+5.00000000E+00"),
        ("psu", "VOLT 5,(@1);*RST;VOLT? (@1)", "+0.00000000E+00"),
        ("psu", "*ESE 36;*ESE?;*SRE 48;*SRE?", "36;48"),
        ("psu", "*CLS;*ESR?;*OPC;*ESR?", "0;1"),
        ("psu", "*OPC?;*WAI;*TST?", "1;0"),
        ("psu", "SYST:ERR:COUN?;:SYSTem:ERRor:NEXT?;:SYST:VERS?", '0;0,"No error";1999.0'),
        ("dmm", "FUNC?", '"VOLT"'),
        ("dmm", "FUNC 'CURR:DC';FUNC?", '"CURR"'),
        ("dmm", 'SENS:FUNC:ON "RES";:FUNC?', '"RES"'),
        ("dmm", "CONF:VOLT:DC 1;:VOLT:RANG?;:VOLT:RANG:AUTO?", "+1.00000000E+00;0"),
        ("dmm", "CONF:CURR;:CURR:RANG:AUTO?;:CONF?", '1;"CURR +1.000000E-01,+1.000000E-08"'),
        ("dmm", "VOLT:NPLC 0.2;NPLC?;:CURR:NPLC?", "+2.00000000E-01;+1.00000000E+01"),
        ("dmm", "VOLT:RANG 1.1;RANG?", "+1.00000000E+00"),
        ("dmm", "VOLT:RANG 1.3;RANG?", "+1.00000000E+01"),
        ("dmm", "VOLT:RANG? MAX", "+1.00000000E+03"),
        ("dmm", "ZERO:AUTO OFF;:VOLT:ZERO:AUTO?;:ZERO:AUTO?", "0;0"),
        ("dmm", "CURR:ZERO:AUTO ONCE;AUTO?", "0"),
        ("dmm", "SAMP:COUN 5;COUN?", "5"),
        ("dmm", "TRIG:SOUR BUS;SOUR?;COUN?;DEL:AUTO?", "BUS;1;1"),
        ("dmm", "TRIG:DEL 1ms;DEL:AUTO?;:TRIG:DEL?", "0;+1.00000000E-03"),
        ("dmm", 'DISP:TEXT "a;b,c";TEXT?', '"a;b,c"'),
        ("dmm", "DISP:WIND1:STAT OFF;STAT?", "0"),
        ("dmm", "SYST:LFR?;:ROUT:TERM?", "50;FRON"),
        ("oven", "SETP 320;SETP?", "+3.20000000E+02"),
        ("oven", "SETP 350 K;SETP?;OUTP?;RANG?", "+3.50000000E+02;0;3"),
    ],
)  # fmt: skip
def test_an_instrument_answers_as_its_manual_says(ask, name, message, answer):
    assert ask(name, message) == answer
    assert ask(name, "SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("psu", "FOO 1", -113), ("psu", "VOLT:FOO?", -113), ("psu", "VOLT", -109), ("psu", "VOLT 1,2", -108),
        ("psu", "VOLT 6.2,(@1)", -222), ("psu", "VOLT -1", -222), ("psu", "VOLT abc", -104), ("psu", "VOLT 1A", -131),
        ("psu", "VOLT 1,(@4)", -222), ("psu", "VOLT 1,(@0)", -222), ("psu", "INST:SEL CH4", -224), ("psu", "INST:NSEL 4", -222),
        ("psu", "VOLT 1,(@x)", -104), ("psu", "STAT:QUES:INST:ISUM9:COND?", -114), ("psu", "VOLT 1,,2", -103),
        ("psu", "VOLT:PROT 5;CURR 1", -113), ("psu", "*ESE 999", -222), ("psu", "*TRG", -211), ("psu", "VOLT #15ab", -161),
        ("psu", "APPL 1,1,1", -108), ("psu", "APPL CH1,99", -222),
        ("dmm", "FUNC 'FOO'", -224), ("dmm", "VOLT:RANG 1e5", -222), ("dmm", "CONF:VOLT 1e9", -222), ("dmm", "FETC?", -230),
        ("dmm", "TRIG:SOUR BUS;:READ?", -214), ("dmm", "TRIG:SOUR BUS;:INIT;:FETC?", -214), ("dmm", "INIT;INIT", -213),
        ("dmm", "SAMP:COUN 2000000;:TRIG:COUN 2;:READ?", -221), ("dmm", "DISP:TEXT abc", -104), ("dmm", "TRIG:SOUR X", -224),
        ("oven", "SETP 76", -222), ("oven", "SETP 401", -222), ("oven", "KRDG? B", -224), ("oven", "RANG 4", -222),
    ],
)  # fmt: skip
def test_what_an_instrument_refuses_is_in_its_error_queue(bench, ask, name, message, code):
    bench.port(name).send(message.encode() + b"\n", end=True, timeout_s=1.0)
    assert ask(name, "SYST:ERR?").startswith(f"{code},")
    assert ask(name, "SYST:ERR?") == NO_ERROR


def test_a_refused_value_changes_nothing(bench, ask):
    ask("psu", "APPL CH1,3,1")
    ask("psu", "APPL CH1,4,99")
    ask("psu", "VOLT 20,(@2,1)")
    assert (bench["psu"].voltage(1), bench["psu"].current(1), bench["psu"].voltage(2)) == (3.0, 1.0, 0.0)


def test_an_execution_error_lets_the_rest_of_the_message_be_and_a_command_error_ends_it(bench, ask):
    assert ask("psu", "VOLT 99,(@1);VOLT? (@1)") == "+0.00000000E+00"
    for wrong in ("FOO", "VOLT abc,(@1)"):
        ask("psu", f"{wrong};:VOLT 1,(@1)")
        assert bench["psu"].voltage(1) == 0.0


def test_a_full_error_queue_says_so_in_its_last_place(bench, ask):
    for _ in range(25):
        ask("psu", "FOO")
    errors = [ask("psu", "SYST:ERR?") for _ in range(21)]
    assert errors[18].startswith("-113")
    assert errors[19:] == ['-350,"Queue overflow"', NO_ERROR]


def test_errors_show_in_the_event_register_by_their_class_and_in_the_status_byte(ask):
    ask("psu", "*CLS;*ESE 255;*SRE 4")
    ask("psu", "FOO")
    ask("psu", "VOLT 99")
    assert ask("psu", "*STB?") == str(4 + 32 + 64)
    assert ask("psu", "*ESR?") == str(32 + 16)
    assert ask("psu", "*ESR?") == "0"
    ask("psu", "*CLS")
    assert ask("psu", "*STB?") == "0"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    st.sampled_from(["psu", "dmm", "oven"]),
    st.lists(
        st.one_of(
            st.binary(max_size=60),
            st.sampled_from(
                [b"VOLT", b"VOLT?", b"READ?", b"INIT", b"ABOR", b"*RST", b"OUTP ON", b"(@1:3)", b" MAX", b",", b";", b":",
                 b"#", b"#13abc", b"'", b'"', b"\n", b"*OPC?", b"*WAI", b"CONF:RES", b"MEAS:", b"CURR", b"RANG", b"?",
                 b"TRIG:SOUR BUS", b"*TRG", b"SAMP:COUN 1e6", b" 1e999", b" -0", b"SETP 300", b"RANG:AUTO ONCE"]
            ),
        ),
        max_size=12,
    ),
)  # fmt: skip
def test_garbage_ends_in_the_error_queue_and_nowhere_else(name, pieces):
    bench = demo_bench(clock="skip")
    port = bench.port(name)
    for piece in (b"".join(pieces), *pieces):
        port.send(piece, end=True, timeout_s=1.0)
        port.receive(1000, timeout_s=0.5, termination=None)
    assert port.clear()
    port.send(b"*CLS;*IDN?\n", end=True, timeout_s=1.0)
    assert port.receive(1000, timeout_s=1.0, termination=None) == (port.instrument.identity.encode() + b"\n", "end")


# --- supply ---


@pytest.fixture
def loaded():
    """A supply with 10 ohm at its first output."""
    bench = Bench(clock="skip")
    PowerSupply(bench, "psu", "USB0::1::2::3::INSTR", outputs=(("a", "gnd"), ("b", "gnd"), ("c", "gnd")))
    bench.circuit.add(Resistor("a", ohms=10.0))

    def ask(message: str) -> str:
        bench.port("psu").send(message.encode(), end=True, timeout_s=1.0)
        return (
            bench.port("psu").receive(1000, timeout_s=1.0, termination=None)[0].decode().strip()
            if "?" in message
            else ""
        )

    return ask


def test_a_supply_says_whether_it_holds_voltage_or_current(loaded):
    loaded("APPL CH1,5,1;:OUTP ON,(@1)")
    assert loaded("STAT:QUES:INST:ISUM1:COND?") == "2"
    loaded("CURR 0.1,(@1)")
    assert loaded("STAT:QUES:INST:ISUM1:COND?") == "1"
    assert float(loaded("MEAS:VOLT? (@1)")) == pytest.approx(1.0, abs=5e-3)
    assert float(loaded("MEAS:CURR? (@1)")) == pytest.approx(0.1, abs=1e-3)


def test_an_output_that_is_off_gives_nothing(loaded):
    loaded("APPL CH1,5,1")
    assert float(loaded("MEAS:VOLT? (@1)")) == pytest.approx(0.0, abs=5e-3)
    assert loaded("STAT:QUES:INST:ISUM1:COND?") == "0"


def test_overcurrent_protection_trips_the_output_until_it_is_cleared(loaded):
    loaded("APPL CH1,5,0.1;:CURR:PROT:STAT ON,(@1);:OUTP ON,(@1)")
    assert loaded("CURR:PROT:TRIP? (@1)") == "1"
    assert float(loaded("MEAS:VOLT? (@1)")) == pytest.approx(0.0, abs=5e-3)
    loaded("CURR 1,(@1);:OUTP:PROT:CLE (@1)")
    assert float(loaded("MEAS:VOLT? (@1)")) == pytest.approx(5.0, abs=5e-3)


def test_overvoltage_protection_trips_the_output(loaded):
    loaded("VOLT:PROT 4,(@1);:VOLT:PROT:STAT ON,(@1);:VOLT 3.9,(@1);:OUTP ON,(@1)")
    assert loaded("VOLT:PROT:TRIP? (@1)") == "0"
    loaded("VOLT 4.1,(@1)")
    assert loaded("VOLT:PROT:TRIP? (@1)") == "1"
    assert loaded("STAT:QUES:INST:ISUM1:COND?") == "4"


# --- multimeter ---


@pytest.mark.parametrize("kelvin", [280.0, 300.0, 320.0])
def test_the_measured_curve_is_the_closed_form_within_the_stated_noise(bench, ask, kelvin):
    ask("oven", f"SETP {kelvin};OUTP ON")
    bench.wait(20.0)
    ask("psu", "OUTP ON,(@1)")
    ask("dmm", "CONF:CURR:DC;:CURR:NPLC 1")
    for volts in (0.1, 0.3, 0.5, 0.65, 0.8):
        ask("psu", f"VOLT {volts},(@1)")
        measured, range_ = float(ask("dmm", "READ?")), float(ask("dmm", "CURR:RANG?"))
        exact = diode_current(volts, kelvin)
        assert abs(measured - exact) < 6 * noise_sigma(range_, 1.0) + 1e-4 * exact


def test_a_voltage_reading_sees_the_diodes_voltage(ask):
    ask("psu", "VOLT 0.7,(@1);:OUTP ON,(@1)")
    ask("dmm", "CONF:VOLT:DC;:VOLT:IMP:AUTO ON")
    assert float(ask("dmm", "READ?")) == pytest.approx(0.7 - 4.8 * diode_current(0.7, 300.0), abs=1e-5)


def test_the_noise_of_readings_is_what_noise_sigma_says_and_falls_with_the_time(ask):
    ask("dmm", "CONF:VOLT:DC 10;:VOLT:ZERO:AUTO OFF;:SAMP:COUN 400")
    seen = []
    for nplc in (0.02, 1, 100):
        ask("dmm", f"VOLT:NPLC {nplc}")
        seen.append(statistics.stdev(map(float, ask("dmm", "READ?").split(","))))
        assert seen[-1] == pytest.approx(noise_sigma(10.0, nplc), rel=0.15)
    assert seen[0] > 5 * seen[1] > 25 * seen[2]


@pytest.mark.parametrize(("nplc", "zero", "seconds"), [(1, 0, 0.02), (1, 1, 0.04), (10, 1, 0.4), (0.02, 0, 0.0004)])
def test_a_reading_lasts_its_line_cycles_and_twice_with_autozero(bench, ask, nplc, zero, seconds):
    ask("dmm", f"CONF:VOLT 10;:VOLT:NPLC {nplc};:VOLT:ZERO:AUTO {zero}")
    before = bench.now
    ask("dmm", "READ?")
    assert bench.now - before == pytest.approx(seconds + 0.5e-3, rel=1e-9)


def test_a_value_beyond_a_fixed_range_is_overload(ask):
    ask("psu", "VOLT 0.8,(@1);:OUTP ON,(@1)")
    assert float(ask("dmm", "CONF:VOLT:DC 0.1;:READ?")) == 9.9e37


def test_autorange_once_finds_the_range_and_stays(ask):
    ask("psu", "VOLT 0.5,(@1);:OUTP ON,(@1)")
    ask("dmm", "CONF:VOLT:DC;:VOLT:RANG:AUTO ONCE")
    assert ask("dmm", "VOLT:RANG?;RANG:AUTO?") == "+1.00000000E+00;0"


@pytest.mark.parametrize("ohms", [12.0, 4.7e3, 2.2e6])
def test_resistance_is_measured_with_a_test_current(ohms):
    from labnb.sim import Multimeter

    bench = Bench(clock="skip")
    Multimeter(bench, "dmm", "GPIB0::1::INSTR", voltage_input=("x", "gnd"), current_input=("i", "gnd"))
    bench.circuit.add(Resistor("x", ohms=ohms))
    bench.port("dmm").send(b"MEAS:RES?", end=True, timeout_s=1.0)
    data, _ = bench.port("dmm").receive(100, timeout_s=10.0, termination=None)
    assert float(data) == pytest.approx(ohms, rel=1e-5)


def test_initiated_readings_are_fetched_when_complete_and_removed_once(ask):
    ask("dmm", "CONF:VOLT 10;:VOLT:NPLC 1;:SAMP:COUN 3;:INIT")
    assert len(ask("dmm", "FETC?").split(",")) == 3
    assert ask("dmm", "DATA:POIN?") == "3"
    assert ask("dmm", "R?").startswith("#247")
    assert ask("dmm", "DATA:POIN?") == "0"


def test_operation_complete_waits_for_the_readings(bench, ask):
    ask("dmm", "CONF:VOLT 10;:VOLT:NPLC 10;:VOLT:ZERO:AUTO OFF;:*CLS")
    ask("dmm", "INIT;*OPC")
    assert ask("dmm", "*ESR?") == "0"
    before = bench.now
    assert ask("dmm", "*OPC?") == "1"
    assert bench.now - before == pytest.approx(0.2, abs=0.005)
    assert ask("dmm", "*ESR?") == "1"


def test_readings_are_taken_at_their_own_times_however_late_one_looks(bench, ask):
    ask("dmm", "CONF:VOLT 10;:VOLT:NPLC 1;:VOLT:ZERO:AUTO OFF;:SAMP:COUN 5;:INIT")
    bench.wait(0.11)
    assert ask("dmm", "DATA:POIN?") == "5"


def test_the_end_of_one_operation_does_not_shorten_another_wait(bench, ask):
    ask("psu", "VOLT 0.5,(@1);:OUTP ON,(@1)")
    ask("dmm", "CONF:VOLT 1000;:VOLT:NPLC 0.5;:VOLT:ZERO:AUTO OFF")
    before = bench.now
    ask("dmm", "INIT;:VOLT:RANG:AUTO ONCE;*TST?")
    assert bench.now - before == pytest.approx(0.02, abs=0.002)


def test_what_a_device_clear_has_ended_does_not_end_what_comes_after(bench, ask):
    ask("dmm", "CONF:VOLT 10;:VOLT:NPLC 10;:VOLT:ZERO:AUTO OFF")
    bench.port("dmm").send(b"READ?", end=True, timeout_s=1.0)
    bench.port("dmm").clear()
    ask("dmm", "VOLT:NPLC 100;:INIT")
    before = bench.now
    ask("dmm", "*OPC?")
    assert bench.now - before == pytest.approx(2.0, abs=0.01)
    assert ask("dmm", "DATA:POIN?") == "1"


def test_a_bus_trigger_starts_what_init_has_armed(ask):
    ask("dmm", "CONF:VOLT 10;:TRIG:SOUR BUS;:INIT")
    ask("dmm", "*TRG")
    assert len(ask("dmm", "FETC?").split(",")) == 1
    assert ask("dmm", "SYST:ERR?") == NO_ERROR


def test_one_instruments_setting_is_seen_in_the_middle_of_anothers_long_reading(bench, ask):
    ask("psu", "VOLT 0.2,(@1);:OUTP ON,(@1)")
    ask("dmm", "CONF:VOLT:DC 1;:VOLT:NPLC 1;:VOLT:ZERO:AUTO OFF;:SAMP:COUN 10;:INIT")
    bench.wait(0.1)
    ask("psu", "VOLT 0.3,(@1)")
    readings = [float(reading) for reading in ask("dmm", "FETC?").split(",")]
    assert readings[0] == pytest.approx(0.2, abs=1e-4)
    assert readings[-1] == pytest.approx(0.3, abs=1e-3)


# --- thermostat ---


def test_the_stage_lags_towards_the_set_point_and_then_says_that_it_is_stable(bench, ask):
    ask("oven", "SETP 320;OUTP ON")
    assert ask("oven", "STAB?") == "0"
    start = bench.now
    while ask("oven", "STAB?") != "1":
        assert bench.now - start < 2.0
    assert 0.8 < bench.now - start < 1.2
    assert abs(bench["oven"].temperature(bench.now) - 320.0) < 0.02
    assert float(ask("oven", "KRDG? A")) == pytest.approx(320.0, abs=0.05)


def test_a_stage_that_is_there_already_is_stable_after_a_moment(ask):
    ask("oven", "SETP 300;OUTP ON")
    assert [ask("oven", "STAB?") for _ in range(3)] == ["0", "1", "1"]


def test_without_its_heater_the_stage_drifts_to_ambient(bench, ask):
    ask("oven", "SETP 350;OUTP ON")
    bench.wait(5.0)
    ask("oven", "OUTP OFF")
    assert ask("oven", "STAB?") == "0"
    bench.wait(2.0)
    assert bench["oven"].temperature(bench.now) == pytest.approx(300.0 + 50.0 * math.exp(-1.0), abs=2.0)


def test_the_diode_warms_with_the_stage(bench, ask):
    ask("psu", "VOLT 0.6,(@1);:OUTP ON,(@1)")
    cold = float(ask("dmm", "MEAS:CURR:DC?"))
    ask("oven", "SETP 320;OUTP ON")
    bench.wait(5.0)
    warm = float(ask("dmm", "READ?"))
    assert warm / cold == pytest.approx(diode_current(0.6, 320.0) / diode_current(0.6, 300.0), rel=1e-3)
