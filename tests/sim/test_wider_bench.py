"""Load, generator, scope and source meter of the demo bench, and the waves that meters see."""

import math
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labnb.sim import Bench, Generator, Multimeter, Resistor, demo_bench, diode_current
from labnb.sim.scpi import decode_block

NO_ERROR = '0,"No error"'


@pytest.fixture
def ask_bytes(bench):
    """Send a message; return the answer as bytes."""

    def exchange(name: str, message: str) -> bytes:
        port = bench.port(name)
        port.send(message.encode("latin-1") + b"\n", end=True, timeout_s=2.0)
        return port.receive(1_000_000, timeout_s=1000.0, termination=None)[0]

    return exchange


@pytest.mark.parametrize(
    ("name", "message", "answer"),
    [
        ("load", "FUNC RES;FUNC?", "RES"),
        ("load", "CURR:RANG 4;:CURR 3;:CURR?;CURR:RANG?", "+3.00000000E+00;+4.08000000E+00"),
        ("load", "CURR 40;:CURR:RANG 4;:CURR?", "+4.08000000E+00"),
        ("load", "RES:RANG? MIN;:POW:RANG? MAX;:VOLT:RANG?", "+3.00000000E+01;+2.55000000E+02;+1.53000000E+02"),
        ("load", "VOLT 500mV;VOLT?;:INP ON;:OUTP?", "+5.00000000E-01;1"),
        ("load", "CURR:TLEV 2;TLEV?;SLEW 100;SLEW?", "+2.00000000E+00;+1.00000000E+02"),
        ("load", "VOLT:SENS EXT;SENS?;:TRAN:MODE PULS;MODE?", "EXT;PULS"),
        ("awg", "SOUR1:FUNC SQU;FUNC?;:FUNC?", "SQU;SQU"),
        ("awg", "SOUR2:FREQ 2MHZ;FREQ?;:FREQ?", "+2.00000000E+06;+1.00000000E+03"),
        ("awg", "VOLT 1;:OUTP1:LOAD INF;:VOLT?;:OUTP1:LOAD?", "+2.00000000E+00;+9.90000000E+37"),
        ("awg", "VOLT 2;VOLT:UNIT VRMS;:VOLT?", "+7.07106781E-01"),
        ("awg", "APPL:RAMP 2000,1,0.5;:APPL?", '"RAMP +2.00000000E+03,+1.00000000E+00,+5.00000000E-01"'),
        ("awg", "VOLT:LOW -1;HIGH 3;:VOLT?;VOLT:OFFS?", "+4.00000000E+00;+1.00000000E+00"),
        ("awg", "FUNC:PULS:PER 1ms;WIDT 1e-5;:FREQ?;:FUNC:PULS:WIDT?", "+1.00000000E+03;+1.00000000E-05"),
        ("scope", "CHAN1:RANG 16;SCAL?;:CHAN3:DISP ON;DISP?", "+2.00000000E+00;1"),
        ("scope", "TIM:SCAL 1ms;RANG?;:TIM:REF LEFT;REF?", "+1.00000000E-02;LEFT"),
        ("scope", "TRIG:EDGE:SOUR CHANNEL2;LEV 0.5;SLOP NEG;:TRIG:SOUR?;LEV?", "CHAN2;+5.00000000E-01"),
        ("scope", "WAV:FORM WORD;POIN 500;FORM?;POIN?;:WAV:POIN:MODE RAW;MODE?", "WORD;500;RAW"),
        ("scope", "OPER:COND?;:STOP;:OPER:COND?", "8;0"),
        ("smu", "SOUR:FUNC CURR;FUNC?;:SENS:FUNC 'VOLT';FUNC?", 'CURR;"VOLT:DC"'),
        ("smu", "SENS:CURR:PROT 0.1;PROT?;:FORM:ELEM VOLT,CURR;ELEM?", "+1.00000000E-01;VOLT,CURR"),
        ("smu", "SYST:RSEN ON;RSEN?;:ROUT:TERM REAR;TERM?", "1;REAR"),
    ],
)  # fmt: skip
def test_an_instrument_answers_as_its_manual_says(ask, name, message, answer):
    assert ask(name, message) == answer
    assert ask(name, "SYST:ERR?") == NO_ERROR


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        ("load", "CURR:RANG 4;:CURR 5", -222), ("load", "FUNC X", -224), ("load", "*TRG", -211), ("load", "RES:RANG 1e5", -222),
        ("awg", "FREQ 30e6", -222), ("awg", "FUNC:ARB nothing", -224), ("awg", "DATA:ARB a,1,2", -222), ("awg", "SOUR3:FREQ 1", -114),
        ("awg", "VOLT:HIGH -1", -221), ("awg", "*TRG", -211),
        ("scope", "DIG CHAN7", -224), ("scope", "SYST:SET #13abc", -161), ("scope", "DISP:DATA? BMP", -224), ("scope", "CHAN5:SCAL 1", -114),
        ("smu", "READ?", 803), ("smu", "SENS:FUNC 'TEMP'", -224), ("smu", "CALC3:DATA?", -230),
    ],
)  # fmt: skip
def test_what_an_instrument_refuses_is_in_its_error_queue(bench, ask, name, message, code):
    bench.port(name).send(message.encode() + b"\n", end=True, timeout_s=1.0)
    assert ask(name, "SYST:ERR?").startswith(f"{code},")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    st.sampled_from(["load", "awg", "scope", "smu"]),
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from(
                [b"CURR", b"VOLT", b":", b"?", b"READ?", b"OUTP ON", b"INP ON", b"DIG", b"WAV:DATA?", b"MEAS:VPP?", b" 1e999",
                 b" MAX", b";", b",", b"#13abc", b"DATA:ARB x,", b"FUNC ", b"ARB", b"NOIS", b"PULS", b"*RST", b"*TRG", b"BURS:STAT ON",
                 b"SYST:SET ", b"SYST:SET?", b"AUT", b"SING", b"STOP", b"TRIG:SWE NORM", b"TIM:RANG 1e-7", b"FORM:ELEM ", b"INIT"]
            ),
        ),
        max_size=10,
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


def test_what_else_stands_on_the_bench_leaves_the_diode_alone(ask):
    ask("load", "CURR 1;:INP ON")
    ask("awg", "OUTP1 ON;OUTP2 ON")
    ask("smu", "OUTP ON")
    ask("scope", "DIG CHAN1,CHAN4")
    ask("psu", "VOLT 0.7,(@1);:VOLT 5,(@2,3);:OUTP ON,(@1:3)")
    assert float(ask("dmm", "MEAS:CURR?")) == pytest.approx(diode_current(0.7, 300.0), rel=1e-5)


# --- load ---


def test_a_load_draws_what_it_is_told_until_the_supply_limits(ask):
    ask("psu", "APPL CH2,10,0.5;:OUTP ON,(@2)")
    ask("load", "CURR 0.3;:INP ON")
    assert float(ask("load", "MEAS:CURR?")) == pytest.approx(0.3, abs=1e-3)
    assert float(ask("psu", "MEAS:CURR? (@2)")) == pytest.approx(0.3, abs=1e-3)
    ask("load", "FUNC RES;:RES 50")
    assert float(ask("load", "MEAS:POW?")) == pytest.approx(2.0, abs=1e-2)
    ask("load", "FUNC POW;:POW 4")
    assert float(ask("load", "MEAS:CURR?")) == pytest.approx(0.4, abs=1e-3)
    ask("load", "FUNC VOLT;:VOLT 6")
    assert float(ask("load", "MEAS:VOLT?")) == pytest.approx(6.0, abs=1e-2)
    assert ask("psu", "STAT:QUES:INST:ISUM2:COND?") == "1"
    ask("load", "INP OFF")
    assert ask("psu", "STAT:QUES:INST:ISUM2:COND?") == "2"


def test_a_trigger_puts_the_triggered_level_in_force(ask):
    ask("psu", "APPL CH2,10,1;:OUTP ON,(@2)")
    ask("load", "CURR 0.1;:CURR:TRIG 0.6;:CURR:MODE STEP;:INP ON;:INIT:TRAN")
    ask("load", "*TRG")
    assert float(ask("load", "MEAS:CURR?")) == pytest.approx(0.6, abs=1e-3)


def test_a_load_slews_its_current(bench, ask):
    ask("psu", "APPL CH2,10,1;:OUTP ON,(@2)")
    ask("load", "INP ON;:CURR:SLEW 1;:CURR 0.5")
    bench.wait(0.2)
    assert float(ask("load", "MEAS:CURR?")) == pytest.approx(0.205, abs=5e-3)
    bench.wait(0.5)
    assert float(ask("load", "MEAS:CURR?")) == pytest.approx(0.5, abs=2e-3)


# --- generator, scope, meter ---


@pytest.mark.parametrize(("volts", "frequency"), [(4.0, 1e3), (0.5, 50.0), (7.3, 1e6), (2.22, 123.456)])
def test_the_scopes_peak_to_peak_of_a_sine_is_right_within_one_lsb(ask, volts, frequency):
    ask("awg", f"OUTP2:LOAD INF;:SOUR2:APPL:SIN {frequency},{volts}")
    ask("scope", f"CHAN3:DISP ON;SCAL 1;:TIM:RANG {5 / frequency};:TRIG:SOUR CHAN3;:DIG CHAN3")
    assert float(ask("scope", "MEAS:VPP? CHAN3")) == pytest.approx(volts, abs=1 / 25)
    assert float(ask("scope", "MEAS:FREQ? CHAN3")) == pytest.approx(frequency, rel=3e-3)
    assert float(ask("scope", "MEAS:VRMS? CHAN3")) == pytest.approx(volts / math.sqrt(8), abs=0.02)
    assert ask("scope", "TER?;TER?") == "+1;+0"


def test_a_source_of_50_ohm_doubles_into_an_open_end(ask):
    ask("awg", "SOUR2:APPL:SIN 1000,2")
    ask("scope", "TRIG:SOUR CHAN3;:DIG CHAN3")
    assert float(ask("scope", "MEAS:VPP? CHAN3")) == pytest.approx(4.0, abs=1 / 25)


def test_bytes_words_and_numbers_say_the_same(ask, ask_bytes):
    ask("awg", "OUTP2:LOAD INF;:SOUR2:APPL:SQU 1000,3,0.5")
    ask("scope", "WAV:SOUR CHAN3;:TRIG:SOUR CHAN3;LEV 0.5;:ACQ:TYPE HRES;:CHAN3:OFFS 0.5;:DIG CHAN3")
    seen = []
    for form, letter in (("BYTE", "B"), ("WORD", "H"), ("ASC", "")):
        fields = ask("scope", f"WAV:FORM {form};PRE?").split(",")
        assert len(fields) == 10
        step, origin, middle = (float(field) for field in fields[7:])
        answer = ask_bytes("scope", "WAV:DATA?")
        assert answer.startswith(b"#8")
        data = decode_block(answer)
        if letter:
            codes = struct.unpack(f">{int(fields[2])}{letter}", data)
            seen.append([(code - middle) * step + origin for code in codes])
        else:
            seen.append([float(word) for word in data.split(b",")])
    for first, second, third in zip(*seen, strict=True):
        assert first == pytest.approx(third, abs=1 / 50 + 1e-6)
        assert second == pytest.approx(third, abs=1e-4)


def test_the_rc_lags_and_damps_as_theory_says(ask):
    ask("awg", "OUTP1:LOAD INF;:SOUR1:APPL:SIN 1591.55,4")  # the corner of 1 kohm and 100 nF
    ask("scope", "CHAN2:DISP ON;:CHAN2:SCAL 0.5;:TIM:RANG 2e-3;:DIG CHAN1,CHAN2")
    response = 1 / (1 + 2j * math.pi * 1591.55 * 1050 * 100e-9)
    assert float(ask("scope", "MEAS:VPP? CHAN2")) == pytest.approx(4 * abs(response), abs=0.03)
    output = abs((1 + 2j * math.pi * 1591.55 * 1000 * 100e-9) * response)
    assert float(ask("scope", "MEAS:VPP? CHAN1")) == pytest.approx(4 * output, abs=0.06)


def test_without_a_trigger_auto_shows_and_normal_waits(bench, ask):
    ask("scope", "TRIG:LEV 2;:DIG CHAN1")
    assert float(ask("scope", "MEAS:VPP? CHAN1")) < 0.1
    ask("scope", "TRIG:SWE NORM;:SING")
    bench.wait(1.0)
    assert ask("scope", "OPER:COND?") == "8"
    ask("awg", "SOUR1:APPL:DC DEF,DEF,1.5")
    bench.wait(0.1)
    assert ask("scope", "OPER:COND?") == "0"
    assert float(ask("scope", "MEAS:VMIN? CHAN1")) < 0.1 < 2.9 < float(ask("scope", "MEAS:VMAX? CHAN1"))


def test_a_clipped_wave_measures_as_invalid(ask):
    ask("awg", "OUTP2:LOAD INF;:SOUR2:APPL:SIN 1000,5")
    ask("scope", "CHAN3:SCAL 0.1;:DIG CHAN3")
    assert float(ask("scope", "MEAS:VPP? CHAN3")) == 9.9e37


def test_a_screenshot_is_a_png_file_with_whole_chunks(ask_bytes):
    data = decode_block(ask_bytes("scope", "DISP:DATA? PNG"))
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    position, names = 8, []
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        chunk = data[position + 4 : position + 8 + length]
        names.append(chunk[:4])
        assert zlib.crc32(chunk) == int.from_bytes(data[position + 8 + length : position + 12 + length])
        position += 12 + length
    assert names == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]


def test_a_setup_can_be_kept_and_restored(ask, ask_bytes):
    ask("scope", "CHAN2:SCAL 0.2;:TRIG:LEV 0.7")
    kept = decode_block(ask_bytes("scope", "SYST:SET?"))
    ask("scope", "*RST")
    ask("scope", f"SYST:SET #8{len(kept):08d}{kept.decode()}")
    assert ask("scope", "CHAN2:SCAL?;:TRIG:LEV?") == "+2.00000000E-01;+7.00000000E-01"


def test_a_burst_waits_for_its_trigger(ask):
    ask("awg", "OUTP2:LOAD INF;:SOUR2:APPL:SIN 1000,4;:SOUR2:BURS:NCYC 2;STAT ON;:TRIG2:SOUR BUS")
    ask("scope", "TRIG:SOUR CHAN3;:DIG CHAN3")
    assert float(ask("scope", "MEAS:VPP? CHAN3")) < 0.1
    ask("scope", "TIM:RANG 0.01;REF LEFT;:TRIG:SWE NORM;:TRIG:LEV 0.5;:SING")
    ask("awg", "TRIG2:DEL 0.003;:*TRG")
    assert float(ask("scope", "MEAS:VPP? CHAN3")) == pytest.approx(4.0, abs=1 / 25)


@pytest.mark.parametrize("shape", ["SIN", "SQU"])
def test_a_meter_reads_the_mean_and_the_rms_of_a_wave(shape):
    bench = Bench(clock="skip")
    Multimeter(bench, "dmm", "GPIB0::1::INSTR", voltage_input=("a", "gnd"), current_input=("i", "gnd"))
    awg = Generator(bench, "awg", "GPIB0::2::INSTR", outputs=(("a", "gnd"), ("b", "gnd")))
    bench.circuit.add(Resistor("a", ohms=50.0))
    awg.receive(f"SOUR1:APPL:{shape} 1000,2,0.5")

    def ask(message):
        bench.port("dmm").send(message.encode(), end=True, timeout_s=1.0)
        return float(bench.port("dmm").receive(100, timeout_s=10.0, termination=None)[0])

    assert ask("MEAS:VOLT:DC?") == pytest.approx(0.5, rel=1e-3)
    rms = 1.0 / math.sqrt(2) if shape == "SIN" else 1.0
    assert ask("MEAS:VOLT:AC?") == pytest.approx(rms, rel=1e-3)


# --- source meter, thermistor, supply ---


def test_a_source_meter_draws_the_solar_cells_curve(ask):
    ask("smu", "SENS:CURR:PROT 1;:OUTP ON;:FORM:ELEM VOLT,CURR,STAT")
    short = [float(word) for word in ask("smu", "READ?").split(",")]
    assert short[1] == pytest.approx(-0.1, rel=1e-4)
    ask("smu", "SOUR:VOLT 3")
    volts, amps, _ = (float(word) for word in ask("smu", "READ?").split(","))
    scale = 6 * 1.3 * 8.617333262e-5 * 300.0
    assert amps == pytest.approx(1e-9 * math.expm1(volts / scale) - 0.1, abs=1e-5)


def test_a_source_meter_in_compliance_holds_it_and_says_so(ask):
    ask("smu", "SOUR:FUNC CURR;:SOUR:CURR 0.2;:SENS:VOLT:PROT 2;:OUTP ON;:FORM:ELEM VOLT,CURR,STAT")
    volts, amps, status = (float(word) for word in ask("smu", "READ?").split(","))
    assert volts == pytest.approx(2.0, abs=1e-3)
    assert amps < 0.0
    assert int(status) & 8


def test_the_thermistor_on_the_table_heats_itself(bench, ask):
    ask("psu", "APPL CH3,25,1;:OUTP ON,(@3)")
    cold = float(ask("psu", "MEAS:CURR? (@3)"))
    bench.wait(60.0)
    assert float(ask("psu", "MEAS:CURR? (@3)")) > 1.5 * cold


def test_a_supply_slews_its_voltage(bench, ask):
    ask("psu", "VOLT:SLEW 10,(@2);:OUTP ON,(@2)")
    ask("psu", "VOLT 5,(@2)")
    bench.wait(0.2)
    assert float(ask("psu", "MEAS:VOLT? (@2)")) == pytest.approx(2.05, abs=0.05)
    bench.wait(0.5)
    assert float(ask("psu", "MEAS:VOLT? (@2)")) == pytest.approx(5.0, abs=5e-3)


def test_two_equal_runs_give_equal_answers_byte_by_byte():
    def run() -> list[bytes]:
        bench = demo_bench(clock="skip", seed=9)
        answers = []
        for name, message in (
            ("awg", "OUTP1 ON;:SOUR2:APPL:NOIS DEF,1"), ("scope", "CHAN2:DISP ON;:DIG CHAN1,CHAN2,CHAN3;:WAV:SOUR CHAN3;DATA?"),
            ("psu", "VOLT 5,(@2);:OUTP ON,(@2)"), ("load", "CURR 0.1;:INP ON;:MEAS:POW?"), ("smu", "OUTP ON;:READ?"),
            ("dmm", "READ?"), ("scope", "MEAS:VPP? CHAN2"),
        ):  # fmt: skip
            bench.port(name).send(message.encode(), end=True, timeout_s=1.0)
            answers.append(bench.port(name).receive(100_000, timeout_s=1.0, termination=None)[0])
        return answers

    assert run() == run()


def test_in_real_time_a_sweep_lasts_twice_what_it_shows():
    bench = demo_bench(clock="real")
    port = bench.port("scope")
    port.send(b"TIM:RANG 0.05;:DIG CHAN1", end=True, timeout_s=1.0)
    before = bench.now
    port.send(b"*OPC?", end=True, timeout_s=1.0)
    assert port.receive(10, timeout_s=5.0, termination=None)[0] == b"1\n"
    assert bench.now - before >= 0.09
