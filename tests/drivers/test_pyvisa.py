"""PyVISA alone, as people use it in scripts: waveforms, uploads and screenshots of the simulated bench."""

import math
import struct
import time

import pytest
import pyvisa

from labnb.sim import AWG_ADDRESS, LOAD_ADDRESS, SCOPE_ADDRESS, SMU_ADDRESS, demo_bench, register


@pytest.fixture
def manager():
    register("test-pyvisa", lambda: demo_bench(clock="skip", seed=2))
    manager = pyvisa.ResourceManager("test-pyvisa@labnb")
    yield manager
    manager.close()


def test_a_waveform_comes_as_words_with_its_preamble(manager):
    awg, scope = manager.open_resource(AWG_ADDRESS), manager.open_resource(SCOPE_ADDRESS)
    awg.write("OUTP2:LOAD INF;:SOUR2:APPL:SIN 1000,4,0")
    scope.write(":TIM:RANG 4e-3;:TRIG:EDGE:SOUR CHAN3;:WAV:SOUR CHAN3;FORM WORD;POIN 1000;:DIG CHAN3")
    assert scope.query("*OPC?") == "1\n"
    fields = [float(field) for field in scope.query(":WAV:PRE?").split(",")]
    codes = scope.query_binary_values(":WAV:DATA?", datatype="H", is_big_endian=True, container=list)
    step, origin, middle = fields[7:]
    for k, code in enumerate(codes):
        volts = 2 * math.sin(2 * math.pi * 1000 * (fields[5] + k * fields[4]))
        assert (code - middle) * step + origin == pytest.approx(volts, abs=1 / 25)


@pytest.mark.parametrize("points", [100, 100_000])
def test_an_arbitrary_wave_goes_up_as_a_block_and_comes_out(manager, points):
    awg, scope = manager.open_resource(AWG_ADDRESS), manager.open_resource(SCOPE_ADDRESS)
    stairs = [-1.0 + 2.0 * (4 * k // points) / 3 for k in range(points)]
    awg.write_binary_values("SOUR2:DATA:ARB stairs,", stairs, datatype="f", is_big_endian=True)
    awg.write(f"SOUR2:FUNC:ARB stairs;ARB:SRAT {points * 1000};:SOUR2:FUNC ARB;:OUTP2:LOAD INF;:SOUR2:VOLT 6;:OUTP2 ON")
    assert awg.query("SYST:ERR?") == '0,"No error"\n'
    assert awg.query("SOUR2:FUNC:ARB:POIN?") == f"{points}\n"
    scope.write(":TIM:RANG 4e-3;:TRIG:SOUR CHAN3;:DIG CHAN3")
    assert float(scope.query(":MEAS:VPP? CHAN3")) == pytest.approx(6.0, abs=1 / 25)
    assert float(scope.query(":MEAS:FREQ? CHAN3")) == pytest.approx(1000.0, rel=1e-2)


def test_a_screenshot_comes_as_a_block(manager):
    scope = manager.open_resource(SCOPE_ADDRESS)
    picture = bytes(scope.query_binary_values(":DISP:DATA? PNG,COL", datatype="B", container=bytes))
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", picture[16:24]) == (640, 480)


@pytest.mark.parametrize("address", [AWG_ADDRESS, LOAD_ADDRESS, SCOPE_ADDRESS, SMU_ADDRESS])
def test_an_instrument_may_be_closed_and_opened_again(manager, address):
    for _ in range(3):
        with manager.open_resource(address) as instrument:
            instrument.clear()
            instrument.write("*RST;*CLS")
            assert len(instrument.query("*IDN?").split(",")) == 4
            assert instrument.query("SYST:ERR?") == '0,"No error"\n'


@pytest.mark.speed
def test_a_sweep_of_a_wave_behind_an_rc_takes_less_than_a_second_of_the_computer(manager):
    awg, scope = manager.open_resource(AWG_ADDRESS), manager.open_resource(SCOPE_ADDRESS)
    awg.write("SOUR1:APPL:SIN 1000,4,0")
    scope.write(":CHAN2:DISP ON;:DIG CHAN1,CHAN2")
    start = time.perf_counter()
    assert scope.query("*OPC?") == "1\n"
    assert time.perf_counter() - start < 1.0
