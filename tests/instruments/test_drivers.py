"""Supply, multimeter and source-measure unit: what they are told, what they measure, and what they refuse."""

import asyncio
import itertools
import math

import numpy as np
import pytest

from labnb.core import CommandError, InstrumentError, LimitError, LinkError
from labnb.instruments import DemoBench, Multimeter, Reading, connect
from labnb.instruments.reading import to_numbers
from labnb.sim import Bench, diode_current
from labnb.testing.links import ScriptedLink

# ---- all together


async def psu_ramp(psu):
    for v in itertools.cycle(np.linspace(1.0, 5.0, 10)):
        await psu.channel(2).set(voltage=v)
        await asyncio.sleep(0.002)


async def load_pulse(load):
    await load.set_mode("CC")
    await load.enable_input(True)
    try:
        while True:
            await load.set_load(1.0)
            await asyncio.sleep(0.005)
            await load.set_load(0.1)
            await asyncio.sleep(0.005)
    except asyncio.CancelledError:
        await load.enable_input(False)


async def test_the_tasks_of_the_reference_run_side_by_side(lab: DemoBench, bench: Bench):
    await lab.psu.channel(2).on()
    scope = lab.scope
    tasks = [asyncio.create_task(psu_ramp(lab.psu)), asyncio.create_task(load_pulse(lab.load))]
    for _ in range(5):
        await scope._send_command(":SINGle")
        await asyncio.sleep(0.005)
        vpp = await scope.measure_voltage_peak_to_peak(1)
        assert isinstance(vpp.values, float)
    assert bench["load"].input()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not bench["load"].input()


# ---- supply


def test_a_slow_supply_takes_its_time(lab: DemoBench, bench: Bench):
    channel = lab.psu.channel(2).slew(rise=10, fall=20).set(voltage=0, current_limit=0.5).on()
    channel.set(voltage=10)
    assert channel.get_voltage() < 9
    bench.wait(1.0)
    assert channel.get_voltage() == pytest.approx(10, abs=5e-3)
    assert (bench["psu"].slew_up(2), bench["psu"].slew_down(2)) == (10, 20)
    channel.slew(rise=math.inf)
    assert bench["psu"].slew_up(2) == 9.9e37
    with pytest.raises(LimitError, match=r"slew"):
        channel.slew(rise=0)


def test_an_over_voltage_switches_the_output_off_until_it_is_cleared(lab: DemoBench, bench: Bench):
    channel = lab.psu.channel(3).protect(over_voltage=5).set(voltage=4).on()
    assert channel.get_status() == "CV"
    channel.set(voltage=6)
    assert channel.get_status() == "over-voltage"
    assert channel.get_voltage() == pytest.approx(0, abs=5e-3)
    channel.set(voltage=4).clear_protection()
    assert channel.get_status() == "CV"
    channel.protect(over_voltage=math.inf).set(voltage=6)
    assert channel.get_status() == "CV"
    with pytest.raises(LimitError, match=r"over-voltage = 40 V.*range"):
        channel.protect(over_voltage=40)


def test_a_limited_current_is_told_or_trips(lab: DemoBench):
    lab.load.set_mode("CC")
    lab.load.set_load(1.0)
    lab.load.enable_input()
    channel = lab.psu.channel(2).set(voltage=5, current_limit=0.2)
    assert channel.get_status() == "off"
    channel.on()
    assert channel.get_status() == "CC"
    assert channel.get_current() == pytest.approx(0.2, abs=1e-3)
    channel.protect(over_current=True)
    assert channel.get_status() == "over-current"
    channel.protect(over_current=False).clear_protection()
    assert channel.get_status() == "CC"


# ---- multimeter


def test_a_burst_is_an_array_and_quieter_with_longer_integration(lab: DemoBench, bench: Bench):
    lab.psu.channel(1).set(voltage=0.6, current_limit=0.1).on()
    quick = lab.dmm.measure_current_dc(range=1e-2, nplc=0.02, samples=200)
    assert quick.unit == "A"
    assert quick.values.shape == (200,)
    assert quick.values.mean() == pytest.approx(diode_current(0.6, 300.0), rel=1e-2)
    slow = lab.dmm.measure_current_dc(range=1e-2, nplc=10, samples=20)
    assert slow.values.std() < quick.values.std()
    assert bench["dmm"].log.count("READ?") == 1 + 10  # 20 readings of 0.4 s in pieces of 2
    assert isinstance(lab.dmm.measure_current_dc(range=1e-2, nplc=0.02).values, float)


async def test_a_burst_is_awaited_too(lab: DemoBench):
    reading = await lab.dmm.measure_voltage_dc(samples=3)
    assert np.asarray(reading).shape == (3,)
    assert str(reading).startswith("3 readings, mean ")


def test_each_direct_quantity_agrees_with_the_circuit(lab: DemoBench):
    assert lab.dmm.measure_resistance(range=100e6).values == pytest.approx(lab.dmm.measure_resistance_4w(range=100e6).values, rel=0.1)  # fmt: skip
    assert lab.dmm.measure_voltage_ac().values == pytest.approx(0, abs=1e-3)
    assert lab.dmm.measure_voltage_ac(range=10, samples=2).values.shape == (2,)
    assert lab.dmm.measure_current_ac().unit == "A"


@pytest.mark.parametrize(
    ("method", "arguments", "unit", "sent"),
    [
        ("measure_frequency", {}, "Hz", ["CONF:FREQ"]),
        ("measure_period", {}, "s", ["CONF:PER"]),
        ("measure_diode", {}, "V", ["CONF:DIOD"]),
        ("measure_capacitance", {"range": 1e-6}, "F", ["CONF:CAP 1e-06"]),
        ("measure_temperature", {"probe": "rtd"}, "degC", ["CONF:TEMP RTD,100", "UNIT:TEMP C"]),
        ("measure_voltage_ac", {"range": 10}, "V", ["CONF:VOLT:AC 10"]),
    ],
)
def test_each_function_says_what_the_manual_says(method, arguments, unit, sent):
    link = ScriptedLink({"*IDN?": "Keysight,34470A,1,1", "SYST:ERR?": '0,"No error"', "READ?": "+1.5E+00"})
    dmm = Multimeter(link, name="dmm")
    reading = getattr(dmm, method)(**arguments)
    assert (reading.values, reading.unit) == (1.5, unit)
    assert [command for command in link.sent if command.startswith(("CONF", "UNIT"))] == sent
    assert dmm.known[method.removeprefix("measure_")] == (1.5, unit)
    dmm.close()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda dmm: dmm.measure_voltage_dc(range=1500), "range = 1500 V"),
        (lambda dmm: dmm.measure_current_dc(range=20), "range = 20 A"),
        (lambda dmm: dmm.measure_resistance(range=1e10), "range"),
        (lambda dmm: dmm.measure_voltage_dc(samples=0), "samples"),
        (lambda dmm: dmm.measure_voltage_dc(samples=1.5), "whole number"),
        (lambda dmm: dmm.measure_temperature("type X"), "'type X'.*'type K'"),
    ],
)
def test_a_multimeter_refuses_what_its_data_sheet_does_not_have(lab: DemoBench, bench: Bench, wrong, message):
    before = len(bench["dmm"].log)
    with pytest.raises(LimitError, match=message):
        wrong(lab.dmm)
    assert len(bench["dmm"].log) == before


def test_an_answer_with_too_few_numbers_is_no_reading(lab: DemoBench, bench: Bench):
    bench.fault("dmm", "truncate", match=r"READ\?", times=3)  # also when asked again
    with pytest.raises(LinkError):
        lab.dmm.measure_voltage_dc(samples=5)
    assert lab.dmm.measure_voltage_dc(samples=5).values.shape == (5,)


def test_special_numbers_are_told_from_measured_ones():
    assert to_numbers("9.9E+37,-9.90000000E+37,1", 3, "x") == [math.inf, -math.inf, 1]
    assert math.isnan(to_numbers("+9.91E37", 1, "x")[0])
    for answer in ("", "1,2", "1;2", "one"):
        with pytest.raises(LinkError, match=r"x was answered by .* expected 1 number; ask again"):
            to_numbers(answer, 1, "x")


def test_a_reading_is_a_number_and_an_array():
    assert float(Reading(1.5, "V", 0.0)) == 1.5
    assert np.array(Reading(1.5, "V", 0.0), copy=True) == 1.5
    assert str(Reading(1.5, "V", 0.0)) == "1.5 V"
    assert "1.5 V" in repr(Reading(1.5, "V", 0.0))


# ---- source-measure unit


def test_a_solar_cell_is_measured(lab: DemoBench, bench: Bench):
    lab.smu.source_voltage(0.0, compliance=0.2)
    lab.smu.on()
    assert lab.smu.get_output_state().result() is True
    curve = lab.smu.sweep_voltage(np.linspace(0, 3.6, 10), compliance=0.2).result()
    assert dict(curve.sizes) == {"source": 10}
    assert (curve.voltage.attrs["units"], curve.current.attrs["units"], curve.source.attrs["units"]) == ("V", "A", "V")
    assert curve.voltage.values == pytest.approx(curve.source.values, abs=1e-4)
    assert (np.diff(curve.current.values) > -1e-5).all()
    assert curve.current.values[0] == pytest.approx(-0.1, rel=0.05)
    assert not curve.in_compliance.any()
    assert bench["smu"].source_level("VOLT") == 3.6


def test_compliance_is_told(lab: DemoBench):
    lab.smu.source_voltage(5, compliance=0.05)
    lab.smu.on()
    point = lab.smu.measure(nplc=0.1)
    assert point.in_compliance
    assert point.current == pytest.approx(0.05, rel=1e-2)
    assert point.resistance == pytest.approx(point.voltage / point.current)
    assert lab.smu.measure_current().values == pytest.approx(0.05, rel=1e-2)
    assert lab.smu.measure_voltage().unit == "V"
    assert lab.smu.measure_resistance().values == pytest.approx(point.resistance, rel=1e-2)


def test_a_current_is_sourced_up_to_a_voltage(lab: DemoBench, bench: Bench):
    lab.smu.source_current(0.01, compliance=4)
    lab.smu.on()
    point = lab.smu.measure()
    assert point.current == pytest.approx(0.01, rel=1e-3)
    assert 3 < point.voltage < 4
    assert bench["smu"].source_function() == "CURR"
    curve = lab.smu.sweep_current([0.0, 0.005], nplc=0.1)
    assert curve.current.values == pytest.approx([0, 0.005], abs=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda smu: smu.source_voltage(100, compliance=0.5), "100 V with 0.5 A is beyond its range"),
        (lambda smu: smu.source_current(1.2, compliance=1), "beyond its range"),
        (lambda smu: smu.source_voltage(math.nan, compliance=0.1), "finite"),
        (lambda smu: smu.source_voltage(1, compliance=0), "compliance"),
        (lambda smu: smu.measure(nplc=20), "nplc"),
        (lambda smu: smu.sweep_voltage([]), "no values"),
        (lambda smu: smu.sweep_voltage([0, 1, 300], compliance=0.1), "300 V"),
    ],
)
def test_a_source_meter_refuses_what_its_data_sheet_does_not_have(lab: DemoBench, bench: Bench, wrong, message):
    smu = lab.smu
    before = len(bench["smu"].log)
    with pytest.raises(LimitError, match=message):
        wrong(smu)
    assert all(sent.endswith("?") for sent in bench["smu"].log[before:])


def test_limits_hold_for_level_and_compliance(lab: DemoBench, bench: Bench):
    lab.smu.source_voltage(3, compliance=0.1)
    with pytest.warns(UserWarning, match=r"new safety limit") as warned:
        lab.smu.set_limits({"voltage": (-0.5, 2), "current": 0.05})
    assert [str(each.message).partition(",")[0] for each in warned] == ["smu: voltage is 3 V", "smu: current is 0.1 A"]
    with pytest.raises(LimitError, match=r"smu voltage = 3 V"):
        lab.smu.on()
    assert not bench["smu"].output()
    with pytest.raises(LimitError, match=r"compliance, current = 0.1 A"):
        lab.smu.source_voltage(1)
    with pytest.raises(LimitError, match=r"compliance, voltage = 4 V"):
        lab.smu.source_current(0.01, compliance=4)
    with pytest.raises(LimitError, match=r"compliance, voltage = -1 V"):
        lab.smu.source_current(-0.01, compliance=1)
    with pytest.raises(LimitError, match=r"smu voltage = 2.5 V"):
        lab.smu.sweep_voltage([0, 1, 2.5], compliance=0.01)
    assert bench["smu"].source_level("VOLT") == 3
    lab.smu.source_voltage(1, compliance=0.05)
    lab.smu.on()
    assert bench["smu"].output()


def test_measuring_with_the_output_off_says_so(lab: DemoBench):
    with pytest.raises(InstrumentError, match=r"its output is off; smu.on\(\) first"):
        lab.smu.measure()


async def test_a_long_sweep_ends_when_everything_is_made_safe(lab: DemoBench, bench: Bench):
    await lab.smu.source_voltage(0, compliance=0.1)
    await lab.smu.on()
    sweep = lab.smu.sweep_voltage(np.linspace(0, 1, 100_000), compliance=0.1)
    await lab.smu.make_safe()
    assert not bench["smu"].output()
    with pytest.raises(InstrumentError, match=r"ended early"):
        await sweep


@pytest.mark.parametrize("kind", ["truncate", "garbage", "timeout"])
def test_a_disturbed_point_is_an_error_and_never_a_value(lab: DemoBench, bench: Bench, kind):
    lab.smu.source_voltage(1, compliance=0.2)
    lab.smu.on()
    bench.fault("smu", kind, match=r"READ\?")
    for _ in range(3):  # a failed exchange may leave its trace in the error queue, for the next one to find
        try:
            point = lab.smu.measure().result()
        except (LinkError, CommandError):
            continue
        break
    assert (point.voltage, point.current) == (pytest.approx(1, abs=1e-3), pytest.approx(-0.1, rel=0.05))


@pytest.mark.parametrize("kind", ["truncate", "garbage", "timeout"])
@pytest.mark.parametrize("name", ["load", "awg", "smu"])
def test_a_disturbance_does_not_keep_an_output_on(lab: DemoBench, bench: Bench, kind, name):
    instrument, simulated = getattr(lab, name), bench[name]
    on, switch = {"load": ("INP ON", "input"), "awg": ("OUTP1 ON", "output"), "smu": ("OUTP ON", "output")}[name]
    live = getattr(simulated, switch)
    instrument.write(on)
    assert live()
    bench.fault(name, kind, match=r"OFF|SYST:ERR")
    instrument.make_safe()
    assert not live()


def test_its_safe_state_is_the_output_off(bench: Bench, bench_name: str):
    with connect("keithley/2400", simulate=True, visa_library=f"{bench_name}@labnb") as smu:
        smu.on()
        assert bench["smu"].output()
    assert not bench["smu"].output()


def test_an_instrument_that_was_reset_behind_our_back_is_configured_anew(lab: DemoBench):
    lab.smu.on()
    lab.smu.measure()
    lab.smu.write("*RST;:FORM:ELEM CURR")
    lab.smu.on()
    assert lab.smu.measure().in_compliance  # of 105 uA, which the lit cell exceeds


def test_a_function_that_the_model_lacks_is_the_meters_own_complaint(lab: DemoBench):
    with pytest.raises(CommandError, match=r"-113"):
        lab.dmm.act(lab.dmm.send, "CONF:NONSENSE")


# ---- limits, for commands that people write themselves


@pytest.mark.parametrize(
    ("name", "limits", "command"),
    [
        ("load", {"current": 1}, "CURR 5"),
        ("load", {"current": 1}, "sour:current 5"),
        ("load", {"current": 1}, "FUNC VOLT"),
        ("awg", {1: {"voltage": 1}}, "SOUR1:VOLT 5"),
        ("awg", {1: {"voltage": 1}}, "APPL:SIN 1000,5,0"),
        ("awg", {1: {"voltage": 1}}, "SOUR1:FREQ?;VOLT:OFFS 3"),
        ("awg", {1: {"voltage": 1}}, "OUTP1:LOAD INF"),
        ("awg", {1: {"voltage": 1}}, "SOUR1:VOLT:OFFS 0"),
        ("awg", {1: {"voltage": 1}}, "SOUR1:VOLT:HIGH 0.5"),
        ("awg", {1: {"voltage": 1}}, "SOUR1:AM:STAT ON"),
        ("awg", {1: {"frequency": 1e6}}, "SOUR1:FREQ 2E6"),
        ("awg", {1: {"frequency": 1e6}}, "SOUR1:FREQ MAX"),
        ("awg", {1: {"frequency": 1e6}}, "FREQ 2 MHZ"),
        ("awg", {1: {"frequency": 1e6}}, "SOUR1:FREQ:STAR 2E6"),
        ("smu", {"voltage": 1}, "SOUR:FUNC VOLT;VOLT 5"),
        ("smu", {"voltage": 1}, "SOUR:FUNC?;VOLT 5"),
        ("smu", {"voltage": 1}, ":CURR:PROT 1"),
        ("smu", {"voltage": 1}, "MEAS:CURR?"),
        ("smu", {"voltage": 1}, "SOUR:VOLT MAX"),
        ("smu", {"voltage": 1}, "*RCL 1"),
        ("psu", {1: {"voltage": 1}}, "OUTP:PAIR SER"),
        ("psu", {1: {"voltage": 1}}, "*TRG"),
    ],
)
def test_a_raw_command_that_may_reach_a_limit_is_refused(lab: DemoBench, bench: Bench, name, limits, command):
    instrument = getattr(lab, name)
    instrument.set_limits(limits)
    before = bench[name].log
    for path in (instrument.write, instrument.query):
        with pytest.raises(LimitError, match=rf"{name}.*nothing was sent"):
            path(command)
    assert bench[name].log == before


def test_a_raw_command_that_reaches_no_limit_is_sent(lab: DemoBench, bench: Bench):
    lab.load.set_limits({"current": 1})
    lab.load.write("INP OFF")
    lab.load.write("SYST:BEEP")
    assert float(lab.load.query("CURR?").result()) == 0
    lab.awg.set_limits({1: {"voltage": 1}})
    lab.awg.write("OUTP1 OFF;OUTP2 0")
    assert lab.awg.query("SOUR1:FUNC?;FREQ?").result().startswith("SIN;")
    lab.smu.set_limits({"voltage": 1})
    lab.smu.write("SENS:CURR:NPLC 5")
    assert bench["smu"].cycles("CURR") == 5
    lab.smu.write("OUTP OFF")
    lab.smu.write("SOUR:VOLT 0.5")
    assert bench["smu"].source_level("VOLT") == 0.5
    lab.load.write("CURR 0.5")
    lab.load.write("INP ON")
    assert (bench["load"].level("CURR"), bench["load"].input()) == (0.5, True)
    lab.awg.write("SOUR2:FREQ 2E3;:OUTP1 ON;:OUTP2 ON")
    assert (bench["awg"].output(1), bench["awg"].output(2)) == (True, True)


def test_without_limits_raw_commands_pass(lab: DemoBench, bench: Bench):
    lab.awg.write("SOUR1:VOLT 5;:OUTP1 ON")
    assert (bench["awg"].amplitude(1), bench["awg"].output(1)) == (5, True)


@pytest.mark.parametrize(
    ("name", "quantity", "work"),
    [
        ("load", "current", lambda load: load.enable_input()),
        ("load", "current", lambda load: load.set_load(0.1)),
        ("awg", "channel 1 voltage", lambda awg: awg.channel(1).on()),
        ("awg", "channel 1 voltage", lambda awg: awg.write("OUTP1 ON")),
        ("awg", "channel 1 output", lambda awg: awg.channel(1).on()),
        ("awg", "channel 1 output", lambda awg: awg.write("OUTP ON")),
        ("load", "input", lambda load: load.enable_input()),
        ("load", "input", lambda load: load.write("INP 1")),
        ("load", "current", lambda load: load.write("INP ON")),
        ("smu", "output", lambda smu: smu.on()),
        ("smu", "output", lambda smu: smu.write("OUTP ON")),
        ("smu", "voltage", lambda smu: smu.write("OUTP ON")),
        ("smu", "voltage", lambda smu: smu.on()),
        ("smu", "voltage", lambda smu: smu.source_voltage(1, compliance=0.01)),
    ],
)
def test_an_interlock_holds_on_each_path(lab: DemoBench, bench: Bench, name, quantity, work):
    instrument = getattr(lab, name)
    instrument.interlock(quantity, lambda value: False, "close the lid")
    with pytest.raises(LimitError):
        work(instrument)
    assert not bench["awg"].output(1)
    assert not bench["load"].input()
    assert not bench["smu"].output()
