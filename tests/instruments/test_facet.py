"""Facets: one thing of a driver's methods by itself, with the driver's own checks."""

import pytest

from labnb import channel, demo_bench
from labnb.core import InstrumentError, LimitError


@pytest.fixture
def bench():
    bench = demo_bench("fast")
    yield bench
    bench.psu.make_safe_now()
    bench.psu.safety.clear()
    bench.close()


async def test_a_facet_sets_one_thing_and_leaves_the_others(bench):
    await bench.psu.channel(1).set(voltage=0.5, current_limit=0.2)
    await bench.psu.channel(1).voltage.set(1.5)
    assert await bench.psu.channel(1).voltage.get() == 1.5
    assert await bench.psu.channel(1).current_limit.get() == 0.2


async def test_a_facet_is_a_channel_of_its_instruments_lane_with_its_limits(bench):
    bench.psu.channel(1).limit(voltage=(0, 2))
    gate = channel(bench.psu.channel(1).voltage)
    assert gate.unit == "V"
    assert gate.owner is bench.psu.lane
    with pytest.raises(LimitError, match=r"psu channel 1 voltage = 3 V is outside of its safety limit 0 to 2 V"):
        gate.set(3)
    assert await gate.get() != 3


async def test_a_switch_facet_switches_and_an_interlock_forbids_only_on(bench):
    output = bench.psu.channel(1).output
    await output.set(True)
    assert await output.get() is True
    bench.psu.interlock("channel 1 output", lambda _: False, "close the lid")
    try:
        with pytest.raises(LimitError, match="close the lid"):
            output.set(True)
        await output.set(False)
        assert await output.get() is False
    finally:
        bench.psu.interlocks.clear()


def test_every_facet_of_every_driver_can_be_read_and_refuses_what_is_no_value(bench):
    for instrument in (bench.psu, bench.smu, bench.load, bench.awg):
        assert instrument.facets
        for facet in instrument.facets.values():
            facet.get().result()
            if facet.writable:
                with pytest.raises(LimitError, match="nothing was sent"):
                    facet.set("a lot")
            else:
                with pytest.raises(InstrumentError, match="can only be read"):
                    facet.set(1)
