"""The waveform generator: what it is told is what the simulated one gives, and never beyond a limit on the way."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labnb.core import LimitError
from labnb.instruments import DemoBench, connect
from labnb.sim import Bench


async def test_a_wave_is_set_and_given(lab: DemoBench, bench: Bench):
    await lab.awg.channel(1).set(function="square", frequency=2e3, amplitude=3.0, offset=1.0, phase=90, duty=30).on()
    awg = bench["awg"]
    assert (awg.function(1), awg.frequency(1), awg.amplitude(1), awg.offset(1)) == ("SQU", 2e3, 3.0, 1.0)
    assert (awg.phase(1), awg.duty(1), awg.output(1)) == (90, 30, True)
    assert await lab.awg.channel(1).get_output_state() is True
    wave = await lab.awg.channel(1).get_wave()
    assert (wave.function, wave.low, wave.high, wave.load) == ("square", -0.5, 2.5, 50)
    await lab.awg.channel(1).off()
    assert not awg.output(1)


def test_what_is_left_out_stays(lab: DemoBench, bench: Bench):
    lab.awg.channel(2).set(function="ramp", frequency=500, amplitude=1.0, offset=0.25)
    lab.awg.channel(2).set(offset=-0.25)
    awg = bench["awg"]
    assert (awg.function(2), awg.frequency(2), awg.amplitude(2), awg.offset(2)) == ("RAMP", 500, 1.0, -0.25)
    assert not awg.output(2)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"function": "sinus"}, "did you mean 'sine'"),
        ({"frequency": 21e6}, "frequency of sine = 2.1e\\+07 Hz.*range"),
        ({"function": "ramp", "frequency": 300e3}, "frequency of ramp"),
        ({"amplitude": 10.1}, "amplitude into 50 Ohm"),
        ({"amplitude": 4.0, "offset": 3.5}, "reach 1.5 to 5.5 V"),
        ({"frequency": math.nan}, "finite"),
        ({"duty": 20}, "sine has no duty cycle"),
        ({"function": "square", "duty": 100}, "duty"),
        ({"phase": 400}, "phase"),
    ],
)
def test_what_the_generator_cannot_give_is_not_sent(lab: DemoBench, bench: Bench, wanted, message):
    channel = lab.awg.channel(1)
    before = len(bench["awg"].log)
    with pytest.raises(LimitError, match=message):
        channel.set(**wanted)
    assert all(message.endswith("?") for message in bench["awg"].log[before:])


def test_a_limit_counts_offset_and_half_of_the_amplitude(lab: DemoBench, bench: Bench):
    channel = lab.awg.channel(1).limit(voltage=(-0.5, 3.3), frequency=(None, 1e6))
    channel.set(amplitude=3.0, offset=1.5)
    with pytest.raises(LimitError, match=r"channel 1 voltage = 3.5 V .*safety limit -0.5 to 3.3 V"):
        channel.set(offset=2.0)
    with pytest.raises(LimitError, match=r"voltage = -0.75 V"):
        channel.set(amplitude=4.5)
    with pytest.raises(LimitError, match=r"channel 1 frequency"):
        channel.set(frequency=2e6)
    assert (bench["awg"].amplitude(1), bench["awg"].offset(1)) == (3.0, 1.5)
    lab.awg.channel(2).set(amplitude=4.5, frequency=2e6)


def test_a_limit_holds_for_the_load_that_is_declared(lab: DemoBench, bench: Bench):
    channel = lab.awg.channel(1)
    channel.set(amplitude=2.0).limit(voltage=1.5)
    with pytest.raises(LimitError, match=r"channel 1 voltage = -2 V"):
        channel.set_load(math.inf)
    channel.limit(voltage=2).set_load(math.inf)
    assert bench["awg"].amplitude(1) == pytest.approx(4.0)
    assert channel.get_wave().load == math.inf


def test_what_was_set_at_the_front_panel_is_checked_before_the_output_goes_on(lab: DemoBench, bench: Bench):
    lab.awg.write("SOUR1:VOLT 4")
    lab.awg.channel(1).limit(voltage=1)
    with pytest.raises(LimitError, match=r"channel 1 voltage"):
        lab.awg.channel(1).on()
    assert not bench["awg"].output(1)


levels = st.tuples(
    st.floats(0.01, 3.0).map(lambda v: round(v, 3)), st.floats(-2.0, 2.0).map(lambda v: round(v, 3))
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(levels, levels)
def test_on_the_way_from_one_wave_to_another_the_output_never_leaves_both(lab: DemoBench, bench: Bench, first, second):
    channel, awg = lab.awg.channel(1), bench["awg"]
    channel.set(amplitude=first[0], offset=first[1])
    extremes: list[float] = []
    changed = awg.changed

    def watch(name, key):
        changed(name, key)
        extremes.extend((awg.offset(1) - awg.amplitude(1) / 2, awg.offset(1) + awg.amplitude(1) / 2))

    awg.changed = watch
    try:
        channel.set(amplitude=second[0], offset=second[1])
    finally:
        del awg.changed
    highest = max(offset + amplitude / 2 for amplitude, offset in (first, second))
    lowest = min(offset - amplitude / 2 for amplitude, offset in (first, second))
    assert all(lowest - 1e-6 <= each <= highest + 1e-6 for each in extremes)
    assert (awg.amplitude(1), awg.offset(1)) == pytest.approx(second, abs=1e-6)


def test_an_arbitrary_wave_is_given_in_volts(lab: DemoBench, bench: Bench):
    volts = np.concatenate([np.full(50, -0.2), np.full(50, 1.0)])
    lab.awg.channel(1).arbitrary(volts, sample_rate=100e3).on()
    awg = bench["awg"]
    assert (awg.function(1), awg.arb_rate(1)) == ("ARB", 100e3)
    assert (awg.amplitude(1), awg.offset(1)) == pytest.approx((1.2, 0.4))
    lab.scope.channel(1).setup(scale=0.5)
    lab.scope.timebase(range=4e-3)
    lab.scope.trigger(1, level=0.5, slope="rising", wait=True)
    trace = lab.scope.read_channels(1)  # its 1 Mohm see the double of what is given into 50 Ohm
    assert float(trace.max()) == pytest.approx(2.0, abs=0.05)
    assert float(trace.min()) == pytest.approx(-0.4, abs=0.05)
    assert lab.scope.measure_frequency(1).values == pytest.approx(1e3, rel=1e-2)
    lab.awg.channel(1).arbitrary(-volts, sample_rate=100e3)
    assert awg.offset(1) == pytest.approx(-0.4)


@pytest.mark.parametrize(
    ("volts", "rate", "message"),
    [
        ([0.0] * 100, 1e5, "no wave"),
        ([0.0, 1.0], 1e5, "8 to 1000000"),
        ([[0.0, 1.0] * 8], 1e5, "one dimension"),
        ([0.0, math.nan] * 8, 1e5, "finite"),
        ([0.0, 1.0] * 8, 1e9, "sample rate"),
        ([0.0, 6.0] * 8, 1e5, "reach"),
        ([0.0, 2.5] * 8, 1e5, "safety limit"),
    ],
)
def test_samples_that_cannot_be_given_are_not_sent(lab: DemoBench, bench: Bench, volts, rate, message):
    lab.awg.channel(1).limit(voltage=2 if message == "safety limit" else None)
    with pytest.raises(LimitError, match=message):
        lab.awg.channel(1).arbitrary(volts, sample_rate=rate)
    assert not any("DATA" in sent for sent in bench["awg"].log)


def test_bursts_repeat_or_wait_for_a_trigger(lab: DemoBench, bench: Bench):
    awg = bench["awg"]
    lab.awg.channel(1).set(frequency=1e4).burst(5, period=2e-3)
    assert (awg.burst(1), awg.burst_cycles(1), awg.burst_period(1), awg.trigger_source(1)) == (True, 5, 2e-3, "IMM")
    lab.awg.channel(1).burst(3)
    assert (awg.burst_cycles(1), awg.trigger_source(1)) == (3, "BUS")
    lab.awg.trigger()
    lab.awg.channel(1).continuous()
    assert not awg.burst(1)
    with pytest.raises(LimitError, match=r"cycles"):
        lab.awg.channel(1).burst(0)


def test_both_outputs_are_off_when_it_is_safe(bench: Bench, bench_name: str):
    with connect("keysight/EDU33212A", simulate=True, visa_library=f"{bench_name}@labnb") as awg:
        awg.channel(1).on()
        awg.channel(2).on()
        assert bench["awg"].output(1)
        assert bench["awg"].output(2)
    assert not bench["awg"].output(1)
    assert not bench["awg"].output(2)


def test_a_channel_that_does_not_exist_is_refused(lab: DemoBench):
    with pytest.raises(LimitError, match=r"channels 1, 2, no channel 3"):
        lab.awg.channel(3)
    with pytest.raises(LimitError, match=r"'amps'.*there are voltage, frequency"):
        lab.awg.set_limits({1: {"amps": 1}})


def test_a_failed_step_ends_the_chain(lab: DemoBench, bench: Bench):
    with pytest.raises(LimitError):
        lab.awg.channel(1).set(amplitude=30).on()
    assert not bench["awg"].output(1)


async def test_a_failed_step_ends_the_awaited_chain(lab: DemoBench, bench: Bench):
    with pytest.raises(LimitError):
        await lab.awg.channel(1).set(amplitude=30).on()
    assert not bench["awg"].output(1)


@pytest.mark.parametrize("volts", [0.123456789012345, 1 / 3, 0.1 + 0.2])
def test_a_value_at_its_limit_is_not_rounded_beyond_it(lab: DemoBench, bench: Bench, volts):
    lab.awg.channel(1).set(function="dc", offset=0).limit(voltage=volts).set(offset=volts)
    assert bench["awg"].offset(1) == volts
    lab.load.set_limits({"current": volts})
    lab.load.set_mode("CC")
    lab.load.set_load(volts)
    assert bench["load"].level("CURR") == volts
    lab.smu.set_limits({"voltage": volts})
    lab.smu.source_voltage(volts, compliance=0.01)
    assert bench["smu"].source_level("VOLT") == volts
