"""The generator's bursts, sweeps, modulation, limits, uploads and sync output; against the waves of textbooks."""

import cmath
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.sim import Bench, Capacitor, Generator, Resistor, Wave
from labnb.sim.waves import Sweep, modulated_turns, ramp, sine

NO_ERROR = '0,"No error"'
TAU = 2 * math.pi


@pytest.fixture
def stand(talk):
    """A generator alone: returns its bench, how to speak to it, and what stands at its first output at a time."""
    bench = Bench(clock="skip", seed=1)
    Generator(bench, "awg", "GPIB0::10::INSTR", outputs=(("x", "gnd"), ("y", "gnd")), sync_output=("sync", "gnd"))
    bench.circuit.add(Resistor("x", ohms=1e9), Resistor("y", ohms=1e9), Resistor("sync", ohms=1e9))

    def level(now: float, node: str = "x") -> float:
        bench.wait(now - bench.now)
        bench.circuit.advance(bench.now)
        return bench.circuit.voltage(node)

    ask = talk(bench, "awg")
    ask("OUTP1:LOAD INF;:OUTP2:LOAD INF")
    return bench, ask, level


def test_a_burst_repeats_and_rests_where_it_begins(stand):
    _, ask, level = stand
    ask("SOUR1:APPL:SIN 1000,2;:SOUR1:BURS:NCYC 3;INT:PER 0.01;:SOUR1:BURS:PHAS 90;STAT ON")
    for k in range(1, 100):
        now = 0.02 + k * 1.37e-4
        since = now % 0.01
        expected = math.cos(TAU * 1000 * since) if since < 3e-3 else 1.0
        assert level(now) == pytest.approx(expected, abs=1e-6)


def test_a_timer_repeats_bursts_too(stand):
    _, ask, level = stand
    ask("SOUR1:APPL:SQU 1000,2;:TRIG1:SOUR TIM;TIM 0.02;:SOUR1:BURS:NCYC 1;STAT ON")
    assert [round(level(0.02 * k + 0.0007), 3) for k in range(1, 5)] == [-1.0] * 4
    assert level(0.12 + 0.01) == pytest.approx(1.0)


def test_an_external_trigger_begins_a_burst_and_only_when_it_is_the_source(stand):
    bench, ask, level = stand
    ask("SOUR1:APPL:SIN 1000,2;:SOUR1:BURS:NCYC 1;STAT ON;:TRIG1:SOUR EXT;DEL 0.001")
    level(0.5)
    bench["awg"].external_trigger()
    assert level(0.50125) == pytest.approx(1.0, abs=1e-6)
    assert level(0.50225) == pytest.approx(0.0, abs=1e-6)
    ask("TRIG1:SOUR IMM;:TRIG1:SOUR BUS")
    bench["awg"].external_trigger()
    assert level(0.60025) == pytest.approx(0.0, abs=1e-6)
    ask("*TRG")
    started = bench.now
    assert level(started + 0.00125) == pytest.approx(1.0, abs=2e-2)


def test_a_gated_burst_finishes_its_last_cycle(stand):
    bench, ask, level = stand
    ask("SOUR1:APPL:SIN 100,2;:SOUR1:BURS:MODE GAT;STAT ON;:TRIG1:SOUR EXT")
    assert level(0.1025) == pytest.approx(0.0, abs=1e-9)
    level(1.0)
    bench["awg"].external_gate(high=True)
    assert level(1.0025) == pytest.approx(1.0)
    assert level(1.0525) == pytest.approx(1.0)
    level(1.061)
    bench["awg"].external_gate(high=False)
    assert level(1.0675) == pytest.approx(-1.0)
    assert level(1.0725) == pytest.approx(0.0, abs=1e-9)


def test_endless_bursts_run_from_their_trigger_on(stand):
    _, ask, level = stand
    ask("SOUR1:APPL:SIN 1000,2;:SOUR1:BURS:NCYC INF;STAT ON;:TRIG1:SOUR BUS")
    assert level(0.01025) == 0.0
    ask("*TRG")
    assert max(level(1.0 + k * 1e-4) for k in range(10)) > 0.9
    assert ask("SOUR1:BURS:NCYC?") == "+9.90000000E+37"


# --- sweeps and modulation ---


@pytest.mark.parametrize("spacing", ["LIN", "LOG"])
def test_a_sweep_has_the_phase_that_the_integral_of_its_frequency_gives(stand, spacing):
    _, ask, level = stand
    ask(
        f"SOUR1:APPL:SIN 1000,2;:SOUR1:FREQ:STAR 10;STOP 160;:SOUR1:SWE:SPAC {spacing};TIME 0.5;HTIM 0.1;RTIM 0.2;STAT ON"
    )
    assert ask("SOUR1:FREQ:MODE?") == "SWE"

    def frequency(since):
        if since < 0.5:
            return 10 + 300 * since if spacing == "LIN" else 10 * 16 ** (since / 0.5)
        if since < 0.6:
            return 160
        back = (since - 0.6) / 0.2
        return 160 - 150 * back if spacing == "LIN" else 160 * 16**-back

    turns, steps = 0.0, 8000
    for k in range(1, 2 * steps + 1):
        turns += frequency((k - 0.5) * 0.8 / steps % 0.8) * 0.8 / steps
        if k % 163 == 0 and k * 0.8 / steps > 0.01:
            assert level(k * 0.8 / steps) == pytest.approx(math.sin(TAU * turns), abs=2e-3)


@given(st.floats(1, 1e4), st.floats(1, 1e4), st.floats(0.01, 10), st.floats(0, 20), st.booleans())
def test_a_sweeps_turns_grow_as_its_frequency(begin, end, seconds, since, logarithmic):
    sweep = Sweep(begin, end, seconds, 0.1, 0.2, logarithmic)
    step = 1e-6
    slope = (sweep.turns(since + step) - sweep.turns(since)) / step
    assert min(begin, end) * 0.98 - 1 <= slope <= max(begin, end) * 1.02 + 1


def test_a_triggered_sweep_runs_once(stand):
    bench, ask, level = stand
    ask("SOUR1:APPL:SIN 1000,2;:SOUR1:FREQ:STAR 100;STOP 200;:TRIG1:SOUR BUS;:SOUR1:SWE:TIME 0.1;STAT ON")
    assert level(0.0525) == pytest.approx(1.0, abs=1e-6)
    ask("*TRG")
    began = bench.now
    assert level(began + 0.05) == pytest.approx(math.sin(TAU * (100 * 0.05 + 500 * 0.05**2)), abs=0.2)


def test_amplitude_modulation_has_half_the_amplitude_at_its_middle(stand):
    _, ask, level = stand
    ask("SOUR1:APPL:SIN 1000,4;:SOUR1:AM:DEPT 80;INT:FREQ 50;:SOUR1:AM:STAT ON")
    for k in range(60):
        now = 0.1 + k * 3.7e-4
        envelope = 0.5 * (1 + 0.8 * math.sin(TAU * 50 * now))
        assert level(now) == pytest.approx(2 * envelope * math.sin(TAU * 1000 * now), abs=1e-6)


def test_frequency_modulation_has_the_index_of_theory(stand):
    _, ask, level = stand
    ask("SOUR1:APPL:SIN 1000,2;:SOUR1:FM:DEV 200;INT:FREQ 20;:SOUR1:FM:STAT ON")
    for k in range(60):
        now = 0.1 + k * 3.7e-4
        phase = TAU * 1000 * now + 200 / 20 * (1 - math.cos(TAU * 20 * now))
        assert level(now) == pytest.approx(math.sin(phase), abs=2e-3)


def test_a_shape_with_a_mean_shifts_the_frequency():
    turns = modulated_turns(1000.0, 100.0, lambda phase: 1.0, 10.0)
    assert turns(3.0) == pytest.approx(3300.0)
    assert modulated_turns(1000.0, 100.0, ramp(0.5), 10.0)(3.0) == pytest.approx(3000.0)


# --- levels ---


@pytest.mark.parametrize("ohms", [50.0, 75.0, 1e3, 1e9])
@pytest.mark.parametrize("said", ["50", "75", "INF"])
def test_what_stands_across_a_load_is_what_a_divider_leaves(talk, ohms, said):
    bench = Bench(clock="skip")
    Generator(bench, "awg", "GPIB0::10::INSTR", outputs=(("x", "gnd"), ("y", "gnd")))
    bench.circuit.add(Resistor("x", ohms=ohms))
    ask = talk(bench, "awg")
    ask(f"OUTP1:LOAD {said};:SOUR1:APPL:DC DEF,DEF,1.5")
    bench.circuit.advance(bench.now)
    source = 1.5 if said == "INF" else 1.5 * (50 + float(said)) / float(said)
    assert bench.circuit.voltage("x") == pytest.approx(source * ohms / (50 + ohms), rel=1e-6)


@pytest.mark.parametrize(
    ("setup", "message", "fits"),
    [
        ("OUTP1:LOAD 50", "VOLT 10", True), ("OUTP1:LOAD 50", "VOLT 10.1", False), ("OUTP1:LOAD INF", "VOLT 20", True),
        ("OUTP1:LOAD 50;:VOLT 4", "VOLT:OFFS 3", True), ("OUTP1:LOAD 50;:VOLT 4", "VOLT:OFFS 3.1", False),
        ("OUTP1:LOAD 50;:VOLT 0.1;:VOLT:OFFS -4", "VOLT 2", True), ("OUTP1:LOAD 50;:VOLT 0.1;:VOLT:OFFS -4", "VOLT 2.1", False),
        ("OUTP1:LOAD 50", "VOLT:HIGH 5.1", False), ("OUTP1:LOAD 50", "APPL:SIN 1000,8,2", False),
        ("OUTP1:LOAD 50;:VOLT:LIM:HIGH 1;LOW -1;STAT ON", "VOLT 2.2", False), ("OUTP1:LOAD 50", "VOLT 3.5 VRMS", True),
        ("OUTP1:LOAD 50", "VOLT 24 DBM", False), ("OUTP1:LOAD 75", "VOLT 12", True),
    ],
)  # fmt: skip
def test_amplitude_offset_and_load_must_fit_together(stand, setup, message, fits):
    _, ask, _ = stand
    ask(setup)
    before = ask("VOLT?;:VOLT:OFFS?")
    ask(message)
    error = ask("SYST:ERR?")
    assert error == NO_ERROR if fits else error.startswith("-22")
    assert fits or ask("VOLT?;:VOLT:OFFS?") == before


def test_ends_of_the_levels_depend_on_each_other(stand):
    _, ask, _ = stand
    ask("VOLT 4;:VOLT:OFFS MAX")
    assert float(ask("VOLT:OFFS?")) == 8.0
    ask("VOLT:OFFS 1;:VOLT MAX")
    assert float(ask("VOLT?")) == 18.0


def test_a_slower_shape_lowers_the_frequency_and_says_so(stand):
    _, ask, _ = stand
    ask("FREQ 5e6;:FUNC RAMP")
    assert ask("SYST:ERR?").startswith("-221")
    assert float(ask("FREQ?")) == 200e3
    ask("FREQ 1e6")
    assert ask("SYST:ERR?").startswith("-222")
    ask("FREQ MAX")
    assert float(ask("FREQ?")) == 200e3


def test_channels_begin_their_phases_together(stand):
    _, ask, level = stand
    ask("SOUR1:APPL:SIN 1000,2;:SOUR2:APPL:SIN 1000,2;:SOUR2:PHAS 90;:PHAS:SYNC")
    for k in range(1, 20):
        now = 0.01 + k * 7.7e-5
        assert complex(level(now, "y"), level(now, "x")) == pytest.approx(cmath.exp(1j * TAU * 1000 * now), abs=1e-6)


# --- arbitrary waves ---


@pytest.mark.parametrize("form", ["ascii", "dac", "floats", "integers"])
def test_an_upload_comes_out_as_it_went_in(stand, form):
    _, ask, level = stand
    levels = [math.sin(TAU * k / 16) * (0.5 + k / 32) for k in range(16)]
    codes = [round(32767 * each) for each in levels]
    data = {
        "ascii": ("", ",".join(map(str, levels)).encode()),
        "dac": (":DAC", ",".join(map(str, codes)).encode()),
        "floats": ("", b"#264" + struct.pack(">16f", *levels)),
        "integers": (":DAC", b"#232" + struct.pack(">16h", *codes)),
    }[form]
    ask(f"SOUR1:DATA:ARB{data[0]} mine,".encode() + data[1])
    ask("SOUR1:FUNC:ARB mine;ARB:SRAT 16000;:SOUR1:FUNC ARB;:SOUR1:VOLT 2;:OUTP1 ON")
    assert ask("SYST:ERR?;:SOUR1:FUNC:ARB:POIN?") == NO_ERROR + ";16"
    for k in range(40):
        assert level(0.01 + (k + 0.5) / 16000) == pytest.approx(levels[k % 16], abs=1e-4)


@pytest.mark.parametrize("order", ["NORM", "SWAP"])
def test_blocks_come_in_either_byte_order(stand, order):
    _, ask, level = stand
    ask(f"FORM:BORD {order}")
    ask(b"SOUR1:DATA:ARB:DAC ends,#216" + struct.pack(">8h" if order == "NORM" else "<8h", *[16384] * 8))
    ask("SOUR1:FUNC:ARB ends;:SOUR1:FUNC ARB;:SOUR1:VOLT 4;:OUTP1 ON")
    assert level(0.1) == pytest.approx(1.0, abs=1e-3)


# --- sync ---


def test_the_sync_output_is_high_in_the_first_half_of_a_period(stand):
    bench, ask, level = stand
    ask("SOUR1:APPL:SIN 1000,2;:SOUR1:PHAS 90")
    for k in range(40):
        now = 0.01 + (k + 0.5) * 1e-4
        expected = 3.3 if (now * 1000 + 0.25) % 1 < 0.5 else 0.0
        assert level(now, "sync") == pytest.approx(expected, abs=1e-6)
    ask("OUTP:SYNC:SOUR CH2;:SOUR2:FREQ 500")
    assert bench["awg"].next_sync(1.00001, rising=True) == pytest.approx(1.002)
    assert bench["awg"].next_sync(1.00001, rising=False) == pytest.approx(1.001)
    ask("OUTP:SYNC:POL INV")
    assert bench["awg"].next_sync(1.00001, rising=True) == pytest.approx(1.001)
    ask("OUTP:SYNC OFF")
    assert bench["awg"].next_sync(1.00001, rising=True) == math.inf


def test_the_sync_output_is_high_during_a_burst(stand):
    bench, ask, level = stand
    ask("SOUR1:APPL:SIN 1000,2;:SOUR1:BURS:NCYC 3;INT:PER 0.01;:SOUR1:BURS:STAT ON")
    assert [round(level(0.05 + k * 1e-3 + 1e-5, "sync"), 3) for k in range(10)] == [3.3] * 3 + [0.0] * 7
    assert bench["awg"].next_sync(0.0812, rising=False) == pytest.approx(0.083)
    ask("TRIG1:SOUR BUS")
    assert level(0.1, "sync") == pytest.approx(0.0, abs=1e-9)
    assert bench["awg"].next_sync(0.1, rising=True) == math.inf
    ask("*TRG")
    began = bench["awg"].fired[1]
    assert [round(level(began + at, "sync"), 3) for at in (1e-3, 2.9e-3, 3.1e-3)] == [3.3, 3.3, 0.0]
    assert bench["awg"].next_sync(began + 1e-3, rising=False) == pytest.approx(began + 3e-3)


def test_a_fast_burst_is_not_skipped_by_a_slow_circuit(talk):
    bench = Bench(clock="skip")
    Generator(bench, "awg", "GPIB0::10::INSTR", outputs=(("x", "gnd"), ("y", "gnd")))
    capacitor = Capacitor("c", farads=1e-6)
    bench.circuit.add(Resistor("x", "c", ohms=950.0), capacitor)
    talk(bench, "awg")("OUTP1:LOAD INF;:SOUR1:APPL:SQU 10000,2,1;:SOUR1:BURS:NCYC 10;INT:PER 0.02;:SOUR1:BURS:STAT ON")
    bench.wait(0.1 + 1e-3 - bench.now)
    bench.circuit.advance(bench.now)
    # the capacitor follows the mean of the square wave, 1 V, for one time constant after it has rested at 2 V
    assert capacitor.voltage == pytest.approx(2 - (1 - math.exp(-1)), abs=0.06)


def test_waves_outside_of_their_envelope_are_wrong_nowhere():
    wave = Wave(sine, 100.0, 1.0, envelope=lambda since: 0.0, repeats_s=0.1)
    assert [wave.level(k / 7) for k in range(5)] == [0.0] * 5
    assert wave.mean() == 0.0
