"""However a load, a generator, a source meter or a heater is asked for too much, it has not heard of it.

Each way is one line of a table; the supply has its own in test_thirty_ways.py.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from labnb.core import InstrumentError, LimitError
from labnb.instruments import DemoBench, Reading, channel, scaled
from labnb.sim import Bench

Way = Callable[[Any], object]

LIMITS = {
    "load": {"current": 1, "resistance": (5, None)},
    "awg": {1: {"voltage": (-1, 1), "frequency": (None, 1e6)}},
    "smu": {"voltage": (-0.5, 2), "current": 0.05},
    "oven": {"setpoint": (77, 320)},
}
WAYS: dict[str, dict[str, Way]] = {
    "load": {
        "facade": lambda load: load.set_load(5),
        "facade, a little": lambda load: load.set_load(math.nextafter(1, 2)),
        "facade, numpy": lambda load: load.set_load(np.float64(5)),
        "facade, in an event loop": lambda load: asyncio.run(awaited(load.set_load, 5)),
        "facade, text": lambda load: load.set_load("5 A"),
        "channel": lambda load: channel(load.set_load).set(5),
        "channel, scaled": lambda load: scaled(channel(load.set_load), 1e3).set(5000),
        "driver's own send": lambda load: load.send("CURR 5"),
        "query that sets": lambda load: load.query("CURR 5;*OPC?"),
        "another mode, whose level is beyond": lambda load: load.set_mode("CR"),
    },
    "awg": {
        "amplitude": lambda awg: awg.channel(1).set(amplitude=5),
        "offset": lambda awg: awg.channel(1).set(offset=0.9),
        "amplitude and offset that would do alone": lambda awg: awg.channel(1).set(amplitude=1.5, offset=0.5),
        "direct voltage": lambda awg: awg.channel(1).set(function="dc", offset=-1.5),
        "in an event loop": lambda awg: asyncio.run(awaited(awg.channel(1).set, amplitude=5)),
        "chained": lambda awg: awg.channel(1).limit(voltage=0.9).set(amplitude=5).set(amplitude=1).on(),
        "samples": lambda awg: awg.channel(1).arbitrary(np.linspace(0, 2, 100), sample_rate=1e5),
        "a load that is not there": lambda awg: awg.channel(1).set_load(math.inf),
        "frequency": lambda awg: awg.channel(1).set(frequency=5e6),
        "channel": lambda awg: channel(lambda volts: awg.channel(1).set(offset=volts)).set(5),
        "query that sets": lambda awg: awg.query("SOUR1:VOLT:OFFS 5;*OPC?"),
        "driver's own send": lambda awg: awg.send("SOUR1:FREQ 5E6"),
    },
    "smu": {
        "volts": lambda smu: smu.source_voltage(5, compliance=0.01),
        "volts, compliance as set": lambda smu: smu.source_voltage(5),
        "amperes in compliance": lambda smu: smu.source_voltage(1, compliance=0.5),
        "amperes": lambda smu: smu.source_current(0.5, compliance=1),
        "volts in compliance": lambda smu: smu.source_current(0.01, compliance=5),
        "volts in compliance, backwards": lambda smu: smu.source_current(-0.01, compliance=1),
        "sweep of volts": lambda smu: smu.sweep_voltage([0.1, 5], compliance=0.01),
        "sweep of amperes": lambda smu: smu.sweep_current([0.01, 0.5], compliance=1),
        "in an event loop": lambda smu: asyncio.run(awaited(smu.source_voltage, 5)),
        "numpy": lambda smu: smu.source_voltage(np.float32(5)),
        "channel": lambda smu: channel(smu.source_voltage).set(5),
        "driver's own send": lambda smu: smu.send("SOUR:VOLT 5"),
        "query that sets": lambda smu: smu.query("SOUR:VOLT 5;*OPC?"),
        "question that energises": lambda smu: smu.query("MEAS:CURR?"),
        "question that energises, behind another": lambda smu: smu.query("*IDN?;:MEAS:CURR?"),
    },
    "oven": {
        "parameter": lambda oven: oven.setpoint.set(350),
        "parameter, called": lambda oven: oven.setpoint(350),
        "parameter, by its name": lambda oven: oven.set("setpoint", 350),
        "parameter, checked": lambda oven: oven.setpoint.check(350),
        "parameter, text": lambda oven: oven.setpoint.set("0.35 kK"),
        "parameter, a reading": lambda oven: oven.setpoint.set(Reading(350.0, "K", 0.0)),
        "parameter, rounded over the limit": lambda oven: oven.setpoint.limit((77, 319.9996)).set(319.9996),
        "parameter, ramped": lambda oven: oven.setpoint.limit(max_step=5).set(350),
        "parameter, in an event loop": lambda oven: asyncio.run(awaited(oven.setpoint.set, 350)),
        "channel": lambda oven: channel(oven.setpoint).set(350),
        "channel, scaled": lambda oven: scaled(oven.setpoint, 10).set(3500),
        "driver's own send": lambda oven: oven.send("SETP 350"),
        "query that sets": lambda oven: oven.query("SETP 350;*OPC?"),
    },
}
WRITTEN = {
    "load": (
        "CURR 5", "curr 5", "CURRENT 5", ":SOUR:CURR:LEV:IMM:AMPL 5", "CURR 5A", "CURR 5000 MA", "CURR MAX", "CURR DEF",
        "CURR UP", "CURR:TRIG 5", "CURR:TLEV 5", "LIST:CURR 5", "CURR 0.1;CURR 5", "*CLS;:CURR 5", "CURR\t5", "CURR5",
        "RES 1", "RES MIN", "FUNC RES", "FUNC CURR", "MODE RES", "TRAN ON", "*TRG", "*RCL 1", "INP:SHOR ON",
    ),
    "awg": (
        "SOUR1:VOLT 5", "VOLT 5", "SOUR1:VOLT:OFFS 2", "SOUR1:VOLT:OFFS 0", "SOUR1:VOLT:HIGH 2", "SOUR1:VOLT:UNIT DBM",
        "APPL:SIN 1E3,5,0", "SOUR1:APPL:DC DEF,DEF,5", "SOUR1:FUNC DC", "OUTP1:LOAD INF", "OUTP1:POL INV", "SOUR1:FREQ 5E6",
        "FREQ 5 MHZ", "FREQ MAX", "FREQ:CENT 5E6", "SOUR1:SWE:STAT ON", "SOUR1:AM:STAT ON", "SOUR1:SUM:STAT ON",
        "SOUR1:COMB:FEED CH2", "SOUR1:TRAC ON", "MMEM:LOAD:STAT 'a'", "*RCL 1", "SOUR2:FREQ 1E3;:SOUR1:VOLT 5",
    ),
    "smu": (
        "SOUR:VOLT 5", "sour:volt:lev 5", "SOURCE:VOLTAGE:LEVEL:IMMEDIATE:AMPLITUDE 5", "SOUR:VOLT MAX", "SOUR:VOLT 5000 MV",
        "SOUR:CURR 0.5", "SOUR:CURR 100MA", "SOUR:FUNC CURR", "SOUR:VOLT:MODE SWE", "SOUR:LIST:VOLT 5", "SENS:CURR:PROT 1",
        "CURR:PROT 1", "SOUR:VOLT:PROT 40", "SOUR:VOLT 1;:SENS:CURR:PROT 1", "SOUR:CLE:AUTO ON", "CONF:VOLT", "INIT", "*RCL 1",
        "SOUR:VOLT 0.1;:SOUR:VOLT 0.2",
    ),
    "oven": ("SETP 350", "setp 350", "SETP 350K", "SETP MAX", "SETP 3.5E2", "SETP 300;SETP 350", "SETP UP", "*RCL 1"),
}  # fmt: skip
CASES = [(name, way, reach) for name, ways in WAYS.items() for way, reach in ways.items()]
CASES += [(name, text, lambda it, text=text: it.write(text)) for name, texts in WRITTEN.items() for text in texts]


async def awaited(method: Callable[..., Any], *args: object, **named: object) -> None:
    await method(*args, **named)


@pytest.fixture
def limited(lab: DemoBench) -> DemoBench:
    """All that is limited, at values that are allowed; resistance is not."""
    lab.load.write("RES 1")
    lab.load.set_load(0.5)
    lab.awg.channel(1).set(amplitude=1.2, offset=0.2)
    lab.smu.source_voltage(1, compliance=0.01)
    lab.oven.setpoint.set(300)
    for name, limits in LIMITS.items():
        getattr(lab, name).set_limits(limits)
    return lab


@pytest.mark.parametrize(("name", "way", "reach"), CASES, ids=[f"{name}: {way}" for name, way, _ in CASES])
def test_what_a_limit_forbids_is_refused_before_a_byte_is_sent(limited: DemoBench, bench: Bench, name, way, reach):
    before = len(bench[name].log)
    with pytest.raises(LimitError):
        reach(getattr(limited, name))
    heard = bench[name].log[before:]
    assert all(text.endswith("?") and ";*OPC?" not in text and "MEAS" not in text for text in heard), heard


ON: dict[str, tuple[str, tuple[Way, ...]]] = {
    "load": (
        "CURR 5",
        (
            lambda load: load.enable_input(),
            lambda load: load.write("INP ON"),
            lambda load: load.write("OUTP:STAT 1"),
            lambda load: load.query("INP 1;*OPC?"),
            lambda load: asyncio.run(awaited(load.enable_input, True)),
        ),
    ),
    "awg": (
        "SOUR1:VOLT 5",
        (
            lambda awg: awg.channel(1).on(),
            lambda awg: awg.channel(1).burst(2).on(),
            lambda awg: awg.write("OUTP ON"),
            lambda awg: awg.write("OUTP1:STAT 1"),
            lambda awg: awg.write("OUTP2 ON;:OUTP1 ON"),
            lambda awg: awg.query("OUTP1 ON;*OPC?"),
        ),
    ),
    "smu": (
        "SOUR:VOLT 5",
        (
            lambda smu: smu.on(),
            lambda smu: smu.write("OUTP ON"),
            lambda smu: smu.write(":OUTPUT:STATE 1"),
            lambda smu: smu.query("OUTP 1;*OPC?"),
        ),
    ),
}


@pytest.mark.parametrize(("name", "way"), [(name, way) for name, (_, ways) in ON.items() for way in range(len(ways))])
def test_what_was_set_before_there_were_limits_is_not_switched_on(lab: DemoBench, bench: Bench, name, way):
    instrument, (set_before, ways) = getattr(lab, name), ON[name]
    instrument.write(set_before)
    instrument.set_limits(LIMITS[name])
    before = len(bench[name].log)
    with pytest.raises(LimitError, match=name):
        ways[way](instrument)
    assert not any(" ON" in text or " 1" in text for text in bench[name].log[before:] if "BURS" not in text)


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("load", ("CURR 0.7", "CURR 1", "RES 5", "INP OFF", "INP:STAT 0", "CURR?", "*RST", "INP ON")),
        (
            "awg",
            ("SOUR1:FREQ 1E6", "FREQ 1 KHZ", "SOUR2:FREQ 5E6", "OUTP1 OFF", "OUTP1 ON", "SOUR1:AM:STAT OFF", "*RST"),
        ),
        ("smu", ("SOUR:VOLT 2", "SOUR:VOLT -0.5", "OUTP OFF", "OUTP ON", "SENS:CURR:NPLC 1", "*RST")),
        ("oven", ("SETP 320", "SETP 77", "OUTP OFF", "OUTP ON")),
    ],
)
def test_what_limits_allow_is_sent(limited: DemoBench, bench: Bench, name, texts):
    for text in texts:
        before = len(bench[name].log)
        (getattr(limited, name).query if text.endswith("?") else getattr(limited, name).write)(text)
        assert text in bench[name].log[before:]


def test_an_interlock_of_what_there_is_not_is_refused(lab: DemoBench):
    for instrument, quantity in ((lab.psu, "channel 4 voltage"), (lab.awg, "channel 3 output"), (lab.load, "amps")):
        with pytest.raises(LimitError, match="unknown quantity to lock"):
            instrument.interlock(quantity, bool, "close the lid")


@pytest.mark.parametrize("number", [True, 1.0, "1", 4, None])
def test_a_channel_is_a_whole_number_so_that_its_limits_are_found(lab: DemoBench, number):
    lab.awg.channel(1).limit(voltage=1)
    for instrument in (lab.awg, lab.psu):
        with pytest.raises(LimitError, match=r"has channels 1, 2.*no channel"):
            instrument.channel(number)
        with pytest.raises(LimitError, match=r"limits are given as|no channel"):
            instrument.set_limits({number: {"voltage": 1}})
    lab.awg.set_limits({np.int64(1): {"voltage": 0.5}})
    with pytest.raises(LimitError):
        lab.awg.channel(np.int64(1)).set(amplitude=1.5)


def test_what_is_no_table_of_limits_is_refused(lab: DemoBench):
    for instrument in (lab.psu, lab.load, lab.oven):
        with pytest.raises(LimitError, match=r"limits are given by name.*got \[1\]"):
            instrument.set_limits([1])


@pytest.mark.parametrize("command", [5, b"VOLT 5", None])
def test_what_is_no_text_is_not_sent(lab: DemoBench, command):
    for send in (lab.psu.write, lab.psu.query):
        with pytest.raises(InstrumentError, match=r"a command is a text.*nothing was sent"):
            send(command)


def test_other_switches_are_written_as_ever(limited: DemoBench, bench: Bench):
    limited.smu.write("SYST:RSEN ON")
    assert "SYST:RSEN ON" in bench["smu"].log
