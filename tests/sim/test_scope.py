"""The oscilloscope: acquisition modes, trigger, measurements, its generator, computed traces; against known waves."""

import cmath
import json
import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.sim import Bench, Capacitor, Generator, Oscilloscope, Resistor, Source
from labnb.sim.models.scope_measurements import MEASUREMENTS, spectrum
from labnb.sim.models.scope_record import Trace
from labnb.sim.scpi import decode_block

NO_ERROR = '0,"No error"'
LSB = 1 / 25


@pytest.fixture
def stand(talk):
    """A scope whose generator drives CH1, and an RC of 1 ms behind it CH2; a generator on CH3, 1.5 mV on CH4."""
    bench = Bench(clock="skip", seed=4)
    nodes = (("w", "gnd"), ("rc", "gnd"), ("a", "gnd"), ("dc", "gnd"))
    Oscilloscope(bench, "scope", "USB0::1::2::3::INSTR", inputs=nodes, generator=("w", "gnd"))
    Generator(bench, "awg", "USB0::1::2::4::INSTR", outputs=(("a", "gnd"), ("b", "gnd")))
    source = Source("dc")
    source.volts, source.mode = 1.5e-3, "cv"
    bench.circuit.add(source, Resistor("w", "rc", ohms=1e4), Capacitor("rc", farads=1e-7))
    ask, awg = talk(bench, "scope"), talk(bench, "awg")
    awg("OUTP1:LOAD INF")
    return ask, awg, bench


def samples(ask, source, form="ASC"):
    data = decode_block(ask(f"WAV:SOUR {source};FORM {form};DATA?", raw=True))
    return [float(word) for word in data.split(b",")]


def measured(ask, name, arguments):
    return float(ask(f"MEAS:{name}? {arguments}"))


# --- acquisition ---


def test_averaging_takes_noise_away_by_the_root_of_the_count_and_takes_as_long(stand):
    ask, _, bench = stand
    ask("CHAN4:SCAL 1e-3;DISP ON;:TIM:RANG 1e-3")
    sigmas, seconds = [], []
    for setup in ("ACQ:TYPE NORM", "ACQ:TYPE AVER;COUN 16", "ACQ:TYPE AVER;COUN 256", "ACQ:TYPE HRES"):
        ask(f"{setup};:DIG CHAN4")
        before = bench.now
        ask("*OPC?")
        seconds.append(bench.now - before)
        sigmas.append(statistics.stdev(samples(ask, "CHAN4")))
    assert sigmas[0] == pytest.approx(math.hypot(150e-6, 2e-6, 40e-6 / math.sqrt(12)), rel=0.1)
    assert sigmas[1] == pytest.approx(150e-6 / 4, rel=0.1)
    assert sigmas[2] == pytest.approx(150e-6 / 16, rel=0.15)
    assert sigmas[3] == pytest.approx(150e-6 / 4, rel=0.1)
    assert seconds == pytest.approx([2e-3, 32e-3, 512e-3, 2e-3], abs=2e-3)
    assert ask("ACQ:TYPE AVER;COUN 16;:DIG CHAN4;:WAV:PRE?").split(",")[1:4:2] == ["+2", "+16"]


def test_peak_detection_sees_what_falls_between_the_samples(stand):
    ask, awg, bench = stand
    awg("SOUR1:FUNC PULS;FREQ 100;VOLT 4;VOLT:OFFS 2;:SOUR1:FUNC:PULS:WIDT 8e-6;:OUTP1 ON")
    ask("CHAN3:SCAL 1;:TIM:RANG 0.02;POS 0.001;:TRIG:SOUR CHAN1")
    seen = {}
    for kind in ("NORM", "PEAK"):
        hits = 0
        for _ in range(3):
            bench.wait(3.7e-6)
            ask(f"ACQ:TYPE {kind};:DIG CHAN3")
            hits += measured(ask, "VMAX", "CHAN3") > 3.5
        seen[kind] = hits
    assert seen["PEAK"] == 3 > seen["NORM"]


@pytest.mark.parametrize(("slope", "level"), [("POS", 0.5), ("NEG", -0.7), ("EITH", 0.0)])
def test_the_trigger_is_where_its_slope_passes_its_level(stand, slope, level):
    ask, awg, _ = stand
    awg("SOUR1:APPL:SIN 1000,4")
    ask(f"TRIG:SOUR CHAN3;LEV {level};SLOP {slope};SWE NORM;:TIM:RANG 4e-3;:DIG CHAN3")
    volts = samples(ask, "CHAN3")
    step = 4e-3 / 1000
    origin = float(ask("WAV:XOR?"))
    phase = math.asin(level / 2)
    sign = -1 if slope == "NEG" else 1 if slope == "POS" else math.copysign(1, volts[520] - volts[480])
    for k, each in enumerate(volts):
        angle = sign * 2 * math.pi * 1000 * (origin + k * step) + phase
        assert each == pytest.approx(2 * math.sin(angle), abs=1.5 * LSB)
    assert ask("TER?") == "+1"


def test_a_forced_trigger_ends_the_wait(stand):
    ask, _, bench = stand
    ask("TRIG:SOUR CHAN4;LEV 5;SWE NORM;:SING")
    bench.wait(10.0)
    assert ask("OPER:COND?") == "8"
    ask("TRIG:FORC")
    bench.wait(0.1)
    assert ask("OPER:COND?;:TER?") == "0;+0"


def test_a_coupled_trigger_and_channel_leave_the_mean_out(stand):
    ask, awg, _ = stand
    awg("SOUR1:APPL:SIN 1000,2,3")
    ask("TRIG:SOUR CHAN3;LEV 0;SWE NORM;:TRIG:EDGE:COUP AC;:TIM:RANG 4e-3;:CHAN3:OFFS 3;:DIG CHAN3")
    assert measured(ask, "VAV", "CHAN3") == pytest.approx(3.0, abs=LSB)
    ask("CHAN3:COUP AC;OFFS 0;:TRIG:EDGE:COUP DC;:DIG CHAN3")
    assert measured(ask, "VAV", "CHAN3") == pytest.approx(0.0, abs=LSB)


# --- measurements ---


def test_a_pulse_has_the_times_and_levels_that_it_was_given(stand):
    ask, awg, _ = stand
    awg(
        "SOUR1:FUNC PULS;FREQ 1000;FUNC:PULS:WIDT 3e-4;:SOUR1:FUNC:PULS:TRAN 1e-6;:SOUR1:VOLT 3;VOLT:OFFS 0.5;:OUTP1 ON"
    )
    ask("TIM:RANG 4e-3;:TRIG:SOUR CHAN3;LEV 0.5;:DIG CHAN3")
    expected = {"VTOP": 2.0, "VBAS": -1.0, "VAMP": 3.0, "VPP": 3.0, "VMAX": 2.0, "VMIN": -1.0}
    for name, value in expected.items():
        assert measured(ask, name, "CHAN3") == pytest.approx(value, abs=LSB)
    for name, value in {"FREQ": 1e3, "PER": 1e-3, "PWID": 3e-4, "NWID": 7e-4, "DUTY": 30.0, "NDUT": 70.0}.items():
        assert measured(ask, name, "CHAN3") == pytest.approx(value, rel=0.02)
    assert measured(ask, "VAV", "CHAN3") == pytest.approx(-0.1, abs=0.05)
    assert measured(ask, "OVER", "CHAN3") == pytest.approx(0.0, abs=3.0)


def test_an_rc_rises_in_its_2_2_time_constants(stand):
    ask, _, _ = stand
    ask("WGEN:FUNC SQU;FREQ 50;VOLT 4;OUTP ON;:TIM:RANG 0.04;:CHAN2:DISP ON;:TRIG:SOUR CHAN1;:DIG CHAN1,CHAN2")
    tau = (1e4 + 50) * 1e-7
    assert measured(ask, "RIS", "CHAN2") == pytest.approx(math.log(9) * tau, rel=0.06)
    assert measured(ask, "FALL", "CHAN2") == pytest.approx(math.log(9) * tau, rel=0.06)
    assert measured(ask, "RIS", "CHAN1") < 2 * 0.04 / 1000


def test_phase_and_delay_of_an_rc_are_those_of_theory(stand):
    ask, _, _ = stand
    ask("WGEN:FREQ 200;VOLT 4;OUTP ON;:TIM:RANG 0.02;:CHAN2:SCAL 0.5;DISP ON;:ACQ:TYPE HRES;:DIG CHAN1,CHAN2")
    lag = cmath.phase(1 + 2j * math.pi * 200 * 1e4 * 1e-7)
    assert measured(ask, "PHAS", "CHAN1,CHAN2") == pytest.approx(math.degrees(lag), abs=1.0)
    assert measured(ask, "DEL", "CHAN1,CHAN2") == pytest.approx(lag / (2 * math.pi * 200), rel=0.02)
    assert measured(ask, "VRMS", "DISP,AC,CHAN1") == pytest.approx(2 / math.sqrt(2), rel=0.02)


def test_a_flat_line_has_no_frequency(stand):
    ask, _, _ = stand
    ask("DIG CHAN4")
    for name in ("FREQ", "PER", "RIS", "DUTY", "PWID", "PHAS"):
        assert measured(ask, name, "CHAN4") == 9.9e37


@settings(max_examples=40)
@given(st.floats(0.05, 0.95), st.integers(2, 20), st.floats(0.5, 3.0))
def test_duty_and_levels_of_any_square_wave(duty, periods, height):
    count = 2000
    volts = tuple(height if (k * periods / count + 0.3) % 1 < duty else -0.2 for k in range(count))
    trace = Trace(volts, 0.0, 1e-6, 1e-3, 0.0)
    assert MEASUREMENTS["DUTY"](trace) == pytest.approx(100 * duty, abs=100 * 2 * periods / count)
    assert MEASUREMENTS["FREQ"](trace) == pytest.approx(periods / count * 1e6, rel=0.02)
    assert (MEASUREMENTS["VTOP"](trace), MEASUREMENTS["VBAS"](trace)) == pytest.approx((height, -0.2), abs=1e-3)


# --- the generator inside ---


@pytest.mark.parametrize(("load", "peak_to_peak"), [("ONEM", 3.0), ("FIFT", 6.0)])
def test_the_scopes_own_generator_is_seen_at_its_input(stand, load, peak_to_peak):
    ask, _, _ = stand
    ask(f"WGEN:OUTP:LOAD {load};:WGEN:FUNC SIN;FREQ 2000;VOLT 3;VOLT:OFFS 0.25;:WGEN:OUTP 1;:TIM:RANG 2e-3;:DIG CHAN1")
    assert measured(ask, "VPP", "CHAN1") == pytest.approx(peak_to_peak, abs=1.5 * LSB)
    assert measured(ask, "FREQ", "CHAN1") == pytest.approx(2000, rel=3e-3)
    assert ask("WGEN:PER?;:WGEN:VOLT:HIGH?") == "+5.00000000E-04;+1.75000000E+00"
    assert ask("SYST:ERR?") == NO_ERROR


def test_the_generators_levels_must_fit(stand):
    ask, _, _ = stand
    ask("WGEN:VOLT:OFFS 5;:WGEN:VOLT 4")
    assert ask("SYST:ERR?").startswith("-221")
    assert float(ask("WGEN:VOLT?")) == 2.0
    ask("WGEN:VOLT:HIGH 7")
    assert ask("SYST:ERR?").startswith("-221")
    ask("WGEN:RST")
    assert ask("WGEN:VOLT?;:WGEN:VOLT:OFFS?") == "+5.00000000E-01;+0.00000000E+00"


@pytest.mark.parametrize(
    ("shape", "rms"), [("SQU", 1.0), ("RAMP", 1 / math.sqrt(3)), ("SIN", 1 / math.sqrt(2)), ("DC", 0.0)]
)
def test_each_shape_of_the_generator_has_its_rms(stand, shape, rms):
    ask, _, _ = stand
    ask(f"WGEN:FUNC {shape};FREQ 1000;VOLT 2;OUTP ON;:TIM:RANG 5e-3;:ACQ:TYPE HRES;:DIG CHAN1")
    assert measured(ask, "VRMS", "CHAN1") == pytest.approx(rms, abs=0.03)


# --- computed traces ---


def test_channels_are_combined_sample_by_sample(stand):
    ask, awg, _ = stand
    awg("SOUR1:APPL:SIN 1000,2")
    ask("FUNC:OPER SUBT;SOUR1 CHAN3;SOUR2 CHAN4;:TIM:RANG 2e-3;:TRIG:SOUR CHAN3;:DIG FUNC")
    difference, first, second = (samples(ask, name) for name in ("FUNC", "CHAN3", "CHAN4"))
    for a, b, c in zip(difference, first, second, strict=True):
        assert a == pytest.approx(b - c, abs=1e-4)
    ask("FUNC:OPER MULT;SOUR2 CHAN3")
    assert statistics.fmean(samples(ask, "MATH")) == pytest.approx(0.5, abs=0.02)


def test_a_spectrum_has_the_lines_of_a_square_wave(stand):
    ask, awg, _ = stand
    awg("SOUR1:APPL:SQU 5000,4")
    ask("FFT:SOUR1 CHAN3;WIND FLAT;:TIM:RANG 0.01;:TRIG:SOUR CHAN3;:ACQ:TYPE HRES;:DIG FFT")
    decibels = samples(ask, "FFT")
    width = float(ask("WAV:XINC?"))
    assert width == pytest.approx(1e5 / 512)
    for harmonic in (1, 3, 5):
        place = round(harmonic * 5000 / width)
        peak = max(decibels[place - 3 : place + 4])
        assert peak == pytest.approx(
            20 * math.log10(4 / math.pi * 2 / harmonic / math.sqrt(2)), abs=1.0
        )  # with aliases


@settings(max_examples=30)
@given(st.integers(5, 200), st.floats(0.01, 10.0))
def test_a_spectrum_of_a_sine_is_its_rms_and_parseval_holds(line, amplitude):
    volts = tuple(amplitude * math.sin(2 * math.pi * line * k / 512) for k in range(512))
    found = spectrum(Trace(volts, 0.0, 1e-3, 1e-6, 0.0), "RECT").volts
    assert found[line] == pytest.approx(20 * math.log10(amplitude / math.sqrt(2)), abs=1e-6)
    power = sum(10 ** (each / 10) for each in found if each > -100)
    assert power == pytest.approx(amplitude**2 / 2, rel=1e-3)


def test_a_reference_memory_keeps_a_trace(stand):
    ask, awg, _ = stand
    awg("SOUR1:APPL:SIN 1000,2")
    ask("DIG CHAN3")
    before = samples(ask, "CHAN3")
    ask("WMEM1:SAVE CHAN3;:DIG CHAN4")
    assert samples(ask, "WMEM1") == before
    ask("WAV:SOUR WMEM2")
    ask("WAV:DATA?", timeout_s=0.1)
    assert ask("SYST:ERR?").startswith("-230")


# --- setup ---


def test_a_setup_comes_back_with_the_generator_and_nothing_wrong_gets_in(stand):
    ask, _, _ = stand
    ask("CHAN2:SCAL 0.2;LAB 'rc';:TRIG:LEV 0.7;:WGEN:FREQ 5000;VOLT 2;OUTP ON;:ACQ:TYPE AVER;COUN 4")
    kept = decode_block(ask("SYST:SET?", raw=True)).decode()
    ask("*RST;WGEN:OUTP OFF")
    ask(f"SYST:SET #8{len(kept):08d}{kept}")
    assert ask("CHAN2:SCAL?;LAB?;:TRIG:LEV?;:ACQ:COUN?") == '+2.00000000E-01;"rc";+7.00000000E-01;4'
    ask("TIM:RANG 1e-3;:DIG CHAN1")
    assert measured(ask, "FREQ", "CHAN1") == pytest.approx(5000, rel=1e-2)
    for wrong in ([["scale", 2, "high"]], [["scale", 9, 1.0]], [["reset", "", 1.0]], [["scale", 2, 1e9]], {"a": 1}):
        text = json.dumps(wrong)
        ask(f"SYST:SET #8{len(text):08d}{text}")
        assert ask("SYST:ERR?").startswith(("-161", "-222"))
        assert ask("CHAN2:SCAL?") == "+2.00000000E-01"


def test_autoscale_shows_each_wave_in_half_the_height(stand):
    ask, awg, _ = stand
    awg("SOUR1:APPL:SIN 20000,3,1")
    ask("AUT;*OPC?")
    assert ask("CHAN3:DISP?;:CHAN4:DISP?;:TRIG:SOUR?") == "1;0;CHAN3"
    assert float(ask("TIM:RANG?")) == pytest.approx(4 / 20000)
    assert float(ask("CHAN3:SCAL?")) == pytest.approx(0.75, rel=0.1)
    assert measured(ask, "VPP", "CHAN3") == pytest.approx(3.0, abs=0.1)
