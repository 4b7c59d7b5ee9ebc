"""Terminals that only some benches use, wired in a bench file: four wires, sync to trigger, a scope's generator."""

import pytest

from labnb.sim import load_bench

BENCH = """\
bench_name: wires
clock: skip
instruments:
  awg: {model: keysight/EDU33212A, address: "GPIB0::10::INSTR"}
  dmm: {model: keysight/34470A, address: "GPIB0::22::INSTR", options: {trigger_input: awg}}
  plain: {model: keysight/34465A, address: "GPIB0::23::INSTR"}
  smu: {model: keithley/2400, address: "GPIB0::24::INSTR"}
  scope: {model: keysight/DSOX1204G, address: "GPIB0::25::INSTR"}
parts:
  near: {part: resistor, ohms: 2}
  device: {part: resistor, ohms: 10}
  alone: {part: resistor, ohms: 50}
wiring:
  - {from: smu.hi, to: near.1}
  - {from: near.2, to: [device.1, smu.sense]}
  - {from: device.2, to: gnd}
  - {from: plain.hi, to: alone.1}
  - {from: alone.2, to: gnd}
  - {from: scope.wgen, to: scope.1}
  - {from: awg.sync, to: scope.2}
"""


@pytest.fixture
def bench(tmp_path):
    (tmp_path / "bench.yaml").write_text(BENCH, encoding="utf-8")
    return load_bench(tmp_path / "bench.yaml")


def test_sense_terminals_that_are_wired_are_sensed_and_others_are_not_there(bench, talk):
    smu, plain = talk(bench, "smu"), talk(bench, "plain")
    smu("SENS:CURR:PROT 1;:SOUR:VOLT 1;:SYST:RSEN ON;:FORM:ELEM CURR;:OUTP ON")
    assert float(smu("READ?")) == pytest.approx(0.1, rel=1e-3)
    assert float(plain("MEAS:FRES?")) == pytest.approx(50.0, rel=1e-3)


def test_a_scopes_generator_and_a_sync_output_are_seen_where_they_are_wired(bench, talk):
    scope, awg = talk(bench, "scope"), talk(bench, "awg")
    awg("SOUR1:FREQ 500")
    scope("WGEN:FREQ 1000;VOLT 3;OUTP ON;:TIM:RANG 5e-3;:DIG CHAN1,CHAN2")
    assert float(scope("MEAS:FREQ? CHAN1")) == pytest.approx(1000.0, rel=5e-3)
    assert float(scope("MEAS:FREQ? CHAN2")) == pytest.approx(500.0, rel=5e-3)
    assert float(scope("MEAS:VTOP? CHAN2")) == pytest.approx(3.3, abs=0.04)


def test_a_trigger_input_that_is_wired_by_name_sees_the_sync_output(bench, talk):
    dmm, awg = talk(bench, "dmm"), talk(bench, "awg")
    awg("SOUR1:FREQ 10")
    dmm("CONF:VOLT 10;:VOLT:NPLC 0.02;:TRIG:SOUR EXT;COUN 5;:INIT")
    bench.wait(1.0)
    assert dmm("DATA:POIN?") == "5"


def test_a_trigger_input_wired_to_what_has_no_sync_is_told(tmp_path, talk):
    (tmp_path / "bench.yaml").write_text(BENCH.replace("trigger_input: awg", "trigger_input: smu"), encoding="utf-8")
    dmm = talk(load_bench(tmp_path / "bench.yaml"), "dmm")
    dmm("TRIG:SOUR EXT;:INIT")
    assert "no sync output" in dmm("SYST:ERR?")
    dmm("TRIG:SOUR IMM;:CONF:VOLT 10;:INIT")
    assert "no sync output" in dmm("SYST:ERR?")
