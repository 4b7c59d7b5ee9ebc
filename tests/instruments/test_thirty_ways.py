"""However 5 V is asked for, with a limit of 3.3 V it is refused, and the instrument has not heard of it.

Each way is one line of a table. The other instruments have theirs in test_other_ways.py.
"""

import asyncio
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import xarray as xr

from labnb.core import LimitError
from labnb.instruments import (
    Anything,
    DemoBench,
    Numbers,
    Parameter,
    PowerSupply,
    Reading,
    channel,
    connect,
    group,
    scaled,
    through,
)
from labnb.sim import Bench, find_bench

Way = Callable[[PowerSupply], object]
ADDRESS = "USB0::0x2A8D::0x8F01::CN6123::INSTR"


class Declared(PowerSupply):
    """The supply, its first channel as parameters of every make."""

    level = Parameter("VOLT {:.6g},(@1)", "VOLT? (@1)", unit="V", within=(0, 6))
    millivolts = Parameter("VOLT {:.6g},(@1)", "VOLT? (@1)", unit="mV", scale=1e-3, within=(0, 6000))
    coarse = Parameter("VOLT {:.0f},(@1)", "VOLT? (@1)", unit="V", within=(0, 6))

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.add_parameter("added", "VOLT? (@1)", "VOLT {},(@1)", vals=Numbers(0, 6), unit="V")
        self.add_parameter("by_function", lambda: self.ask_number("VOLT? (@1)"), self._by_function, unit="V")
        self.add_parameter("unaware", None, self._by_function, vals=Anything())

    def _by_function(self, volts: float) -> None:
        self.send(f"VOLT {volts},(@1)")


async def in_a_loop(psu: PowerSupply) -> None:
    await psu.channel(1).set(voltage=5)


async def ramped_in_a_loop(psu: PowerSupply) -> None:
    await psu.level.limit(3.3, max_step=0.1).set(5)


# The facade, parameters, and what people write by hand.
WAYS: dict[str, Way] = {
    "channel": lambda psu: psu.channel(1).set(voltage=5),
    "channel, with a current": lambda psu: psu.channel(1).set(current_limit=0.1, voltage=5.0),
    "channel, chained": lambda psu: psu.channel(1).set(voltage=1).set(voltage=5),
    "channel, numpy": lambda psu: psu.channel(1).set(voltage=np.float32(5)),
    "channel, text with a unit": lambda psu: psu.channel(1).set(voltage="5000 mV"),
    "channel, another unit": lambda psu: psu.channel(1).set(voltage="5 A"),
    "channel, a reading": lambda psu: psu.channel(1).set(voltage=Reading(5000, "mV", 0.0)),
    "channel, a labelled array": lambda psu: psu.channel(1).set(voltage=xr.DataArray(5.0, attrs={"units": "V"})),
    "channel, negative": lambda psu: psu.channel(1).set(voltage=-5),
    "channel, in an event loop": lambda psu: asyncio.run(in_a_loop(psu)),
    "parameter": lambda psu: psu.level.limit((0, 3.3)).set(5),
    "parameter, called": lambda psu: psu.level.limit((0, 3.3))(5),
    "parameter, by its name": lambda psu: (psu.level.limit(3.3), psu.set("level", 5)),
    "parameter, from the mapping": lambda psu: psu.parameters["level"].limit({"max": 3.3}).set(5),
    "parameter, scaled": lambda psu: psu.millivolts.limit((0, 3300)).set(5000),
    "parameter, scaled, with a unit": lambda psu: psu.millivolts.limit((0, 3300)).set("5 V"),
    "parameter, rounded over the limit": lambda psu: psu.coarse.limit((0, 2.6)).set(2.6),
    "parameter, ramped": lambda psu: psu.level.limit(3.3, max_step=0.1).set(5),
    "parameter, ramped in an event loop": lambda psu: asyncio.run(ramped_in_a_loop(psu)),
    "parameter, checked": lambda psu: psu.level.limit(3.3).check(5),
    "added parameter": lambda psu: psu.added.limit(3.3).set(5),
    "added parameter, function": lambda psu: psu.by_function.limit(3.3).set(5),
    "channel of a parameter": lambda psu: channel(psu.level).set(5),
    "channel of a parameter, limited": lambda psu: channel(psu.added, limits=3.3).set(5),
    "channel of a function": lambda psu: channel((lambda: 0.0, psu.level.set)).set(5),
    "channel of the facade": lambda psu: channel(lambda volts: psu.channel(1).set(voltage=volts)).set(5),
    "channel, checked by a sweep": lambda psu: channel(psu.level.limit(3.3)).check(5),
    "meta, scaled": lambda psu: scaled(psu.level, 2.0).set(10),
    "meta, a group": lambda psu: group({"a": psu.level.limit(3.3), "b": psu.added}, name="both").set({"a": 5, "b": 1}),
    "meta, through functions": lambda psu: through(psu.level, lambda x: x * 5).set(1),
    "parameter without a limit of its own": lambda psu: psu.level.set(5),
    "parameter without a limit of its own, ramped": lambda psu: psu.level.limit(max_step=10).set(5),
    "added parameter, function without a limit": lambda psu: psu.unaware.set(5),
    "driver's own send": lambda psu: psu.send("VOLT 5,(@1)"),
    "driver's own ask": lambda psu: psu.ask("VOLT 5,(@1);*OPC?"),
    "query that sets": lambda psu: psu.query("VOLT 5,(@1);*OPC?"),
    "recalled state": lambda psu: psu.write("*RCL 1"),
    **{
        f"written {text!r}": lambda psu, text=text: psu.write(text)
        for text in (
            "VOLT 5,(@1)",
            "volt 5, (@1)",
            "VOLT 5",
            "VOLTAGE 5,(@1)",
            ":SOUR:VOLT:LEV:IMM:AMPL 5,(@1)",
            "SOURce:VOLTage:LEVel 5,(@1)",
            "SOUR1:VOLT 5",
            "VOLT:TRIG 5,(@1)",
            "LIST:VOLT 1,2,5,(@1)",
            "VOLT 5V,(@1)",
            "VOLT 5000 MV,(@1)",
            "VOLT 5E0,(@1)",
            "VOLT +.5E1,(@1)",
            "VOLT #H5,(@1)",
            "VOLT 5,(@1:3)",
            "VOLT 5,(@3,1)",
            "VOLT MAX,(@1)",
            "VOLT MAXIMUM,(@1)",
            "VOLT DEF,(@1)",
            "VOLT UP,(@1)",
            "VOLT INF,(@1)",
            "VOLT 1,(@1);VOLT 5,(@1)",
            "OUTP:TRAC ON",
            "OUTP:PAIR SER",
            "INST:COUP:TRIG ALL",
            "INIT (@1)",
            "*TRG",
            "OUTP OFF,(@1);:VOLT 5,(@1)",
            "SOUR:CURR 0.1,(@1);VOLT 5,(@1)",
            "VOLT 1,(@1)\nVOLT 5,(@1)",
            "*CLS\rVOLT 5,(@1)",
            "VOLT? (@1)\rVOLT 5,(@1)",
            'DISP:TEXT "VOLT;";:VOLT 5,(@1)',
            "APPL CH1,5,0.1",
            "APPLY 5,0.1,(@1)",
            "APPL MAX",
            "INST CH1;:VOLT 5",
            "INST:NSEL 1;:VOLT 5",
            "VOLT 5,(@1",
            "VOLT+5,(@1)",
            "VOLT5",
            "VOLT\t5",
            "VOLT 5?",
            "*CLS;VOLT 5,(@1);*OPC?",
        )
    },
}


@pytest.fixture
def psu(bench: Bench, bench_name: str, lab: DemoBench) -> Iterator[PowerSupply]:
    lab.psu.close()
    opened = connect(ADDRESS, visa_library=f"{bench_name}@labnb", driver=Declared, name="psu")
    opened.channel(1).limit(voltage=(0, 3.3)).set(voltage=1.0)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", WAYS)
def test_5_v_are_refused_with_a_limit_of_3_3_v(psu: PowerSupply, bench_name: str, name: str):
    simulated = find_bench(bench_name)["psu"]
    heard: list[str] = []
    link_write, link_query = psu.link.write, psu.link.query
    psu.link.write = lambda command: (heard.append(command), link_write(command))[1]
    psu.link.query = lambda command: (heard.append(command), link_query(command))[1]
    with pytest.raises(LimitError):
        WAYS[name](psu)
    assert simulated.voltage(1) == 1.0
    assert not [text for text in heard if "5" in text or "MAX" in text or "RCL" in text]


@pytest.mark.parametrize(
    "text",
    [
        "VOLT 3.3,(@1)",
        "VOLT 5,(@2)",
        "VOLT 5,(@2:3)",
        "VOLT MIN,(@1)",
        "VOLT 3300MV,(@1)",
        "APPL CH2,5,0.1",
        "APPL CH1,3,0.1",
        "INST CH2;:VOLT 5",
        "VOLT:PROT 5,(@1)",
        "VOLT:SLEW 5,(@1)",
        'DISP:TEXT "VOLT 5"',
        "OUTP OFF,(@1:3)",
        "*RST",
        "CURR 0.5,(@1)",
    ],
)
def test_what_the_limit_does_not_forbid_is_sent(psu: PowerSupply, text: str):
    psu.write(text)


@pytest.mark.parametrize(
    "switch_on",
    [
        lambda psu: psu.channel(1).on(),
        lambda psu: psu.channel(1).off().on(),
        lambda psu: psu.write("OUTP ON,(@1)"),
        lambda psu: psu.write("outp:stat 1"),
        lambda psu: psu.write("OUTP ON,(@1:3)"),
        lambda psu: psu.write("VOLT 1,(@1);OUTP ON,(@1)"),
        lambda psu: psu.query("OUTP ON,(@1);*OPC?"),
    ],
)
def test_what_was_set_before_there_was_a_limit_is_not_switched_on(lab: DemoBench, bench_name: str, switch_on: Way):
    lab.psu.write("VOLT 5,(@1)")
    lab.psu.channel(1).limit(voltage=(0, 3.3))
    with pytest.raises(LimitError, match=r"channel 1 voltage, as set in the supply, = 5 V.*nothing was sent"):
        switch_on(lab.psu)
    assert not find_bench(bench_name)["psu"].output(1)
    lab.psu.write("OUTP ON,(@2)")
    lab.psu.channel(1).set(voltage=1)
    switch_on(lab.psu)
    assert find_bench(bench_name)["psu"].output(1)


def test_a_query_that_sets_makes_what_was_known_unknown(lab: DemoBench):
    lab.psu.channel(1).set(voltage=1)
    assert lab.psu.query("VOLT 2,(@1);*OPC?") == "1"
    assert lab.psu.known == {}


def test_queries_of_a_limited_quantity_are_answered(psu: PowerSupply):
    assert float(psu.query("VOLT? MAX,(@1)").result()) > 5
    assert float(psu.query("VOLT? (@1)").result()) == 1.0


def test_without_a_limit_everything_is_sent(lab: DemoBench, bench_name: str):
    lab.psu.write("VOLT 5,(@1)")
    assert find_bench(bench_name)["psu"].voltage(1) == 5.0


def test_there_are_at_least_thirty_ways():
    assert len(WAYS) >= 30


def test_a_ramp_starts_from_where_another_method_has_left_the_quantity(psu: PowerSupply, bench_name: str):
    psu.level.limit(max_step=0.5).set(1.0)
    psu.channel(1).set(voltage=3.0)
    simulated = find_bench(bench_name)["psu"]
    before = len(simulated.log)
    psu.level.set(2.0)
    assert [text for text in simulated.log[before:] if text.startswith("VOLT ")] == ["VOLT 2.5,(@1)", "VOLT 2,(@1)"]
