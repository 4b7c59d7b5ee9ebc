"""The oscilloscope: traces are what the generator gives, and what was not seen is no number."""

import math
import threading

import numpy as np
import pytest
import xarray as xr

from labnb.core import LimitError, LinkError, LinkTimeout
from labnb.instruments import DemoBench
from labnb.sim import Bench

RC_OHM, RC_FARAD = 1e3, 100e-9  # of the filter before channel 2
OPEN = 2.0  # the scope's 1 Mohm are no load: twice what is set for 50 Ohm


@pytest.fixture
def sine(lab: DemoBench) -> DemoBench:
    """A sine of 1 kHz and 2 V from peak to peak at channel 1, and behind an RC filter at channel 2."""
    lab.awg.channel(1).set(function="sine", frequency=1e3, amplitude=1.0).on()
    for number in (1, 2):
        lab.scope.channel(number).setup(scale=0.5, offset=0.0, shown=True)
    lab.scope.timebase(range=4e-3)
    lab.scope.trigger(1, level=0.0, slope="rising", wait=True)
    return lab


def test_traces_are_labelled_and_true(sine: DemoBench):
    traces = sine.scope.read_channels(1, 2).result()
    assert isinstance(traces, xr.DataArray)
    assert traces.dims == ("channel", "time")
    assert traces.attrs["units"] == "V"
    assert traces.time.attrs["units"] == "s"
    assert list(traces.channel) == [1, 2]
    time = traces.time.values
    assert np.ptp(time) == pytest.approx(4e-3, rel=1e-2)
    expected = np.sin(2 * np.pi * 1e3 * (time + float(traces.time_shift))) * OPEN / 2
    assert traces.sel(channel=1).values == pytest.approx(expected, abs=0.03)
    gain = 1 / math.hypot(1, 2 * math.pi * 1e3 * RC_OHM * RC_FARAD)
    assert np.ptp(traces.sel(channel=2).values) == pytest.approx(OPEN * gain, rel=0.08)
    assert not traces.clipped.any()


def test_sweeps_have_the_same_time_axis_so_that_they_can_be_stacked(sine: DemoBench):
    sine.awg.channel(1).set(frequency=1234.5)
    sine.scope.timebase(position=1e-4, reference="left")
    sweeps = [sine.scope.read_channels(1).result() for _ in range(6)]
    assert len({float(each.time_shift) for each in sweeps}) > 1
    assert all(abs(float(each.time_shift)) <= 4.1e-6 for each in sweeps)
    assert all((each.time == sweeps[0].time).all() for each in sweeps)
    assert float(sweeps[0].time[0]) == pytest.approx(1e-4 - 4e-4)
    assert xr.concat(sweeps, "sweep").shape == (6, 1, 1000)


def test_a_sweep_that_was_taken_with_another_screen_keeps_its_own_times(sine: DemoBench):
    sine.scope.stop()
    sine.scope.timebase(range=4e-2)
    trace = sine.scope.read_channels(1)
    assert float(trace.time[-1] - trace.time[0]) == pytest.approx(4e-3, rel=1e-2)
    assert float(trace.time_shift) == 0


async def test_the_acquisition_of_the_reference_works(sine: DemoBench):
    await sine.scope._send_command(":SINGle")
    result = await sine.scope.read_channels(1)
    assert result.values.shape == (1, 1000)
    await sine.scope._send_command(":SINGle")
    vpp = await sine.scope.measure_voltage_peak_to_peak(1)
    assert vpp.values == pytest.approx(OPEN, rel=0.05)
    assert vpp.unit == "V"


def test_measurements_agree_with_the_wave(sine: DemoBench):
    sine.awg.channel(1).set(offset=0.25)
    measured = {
        "peak_to_peak": OPEN, "amplitude": OPEN, "max": 1.5, "min": -0.5, "average": 0.5, "rms": math.sqrt(0.75),
    }  # fmt: skip
    for name, expected in measured.items():
        reading = getattr(sine.scope, f"measure_voltage_{name}")(1)
        assert reading.values == pytest.approx(expected, abs=0.06), name
        assert reading.unit == "V"
    assert sine.scope.measure_frequency(1).values == pytest.approx(1e3, rel=1e-2)
    assert sine.scope.measure_period(1).values == pytest.approx(1e-3, rel=1e-2)


def test_what_cannot_be_measured_is_not_a_number(sine: DemoBench):
    sine.scope.timebase(range=2e-4)
    assert math.isnan(sine.scope.measure_frequency(1).values)
    sine.scope.channel(1).setup(scale=0.05)
    assert math.isnan(sine.scope.measure_voltage_peak_to_peak(1).values)


def test_a_trace_that_leaves_the_screen_is_marked(sine: DemoBench):
    sine.scope.channel(1).setup(scale=0.1)
    assert list(sine.scope.read_channels(1, 2).clipped) == [True, False]


def test_a_running_scope_goes_on_running_and_a_stopped_one_gives_what_it_holds(sine: DemoBench, bench: Bench):
    sine.scope.run()
    sine.scope.read_channels(1)
    assert int(sine.scope.query(":OPER:COND?").result()) & 8
    sine.scope.stop()
    held = sine.scope.read_channels(1).result()
    sine.awg.channel(1).off()
    xr.testing.assert_identical(sine.scope.read_channels(1).result(), held)
    assert int(sine.scope.query(":OPER:COND?").result()) & 8 == 0


def test_a_hidden_channel_is_shown_and_read_with_the_same_sweep(sine: DemoBench, bench: Bench):
    sine.scope.channel(2).setup(shown=False)
    sine.scope.stop()
    traces = sine.scope.read_channels(1, 2)
    assert bench["scope"].shown(2)
    assert np.ptp(traces.sel(channel=2).values) > 1.0


def test_a_trigger_that_does_not_come_is_told_in_time(sine: DemoBench):
    sine.scope.trigger(1, level=3.0, wait=True)
    sine.scope.single()
    with pytest.raises(LinkTimeout, match=r"scope .*no trigger within 0.05 s; check level"):
        sine.scope.read_channels(1, timeout_s=0.05)
    sine.scope.trigger(1, level=0.0, wait=False)
    sine.scope.run()
    assert sine.scope.measure_voltage_max(1).values == pytest.approx(1.0, abs=0.06)


async def test_waiting_for_a_trigger_ends_when_everything_is_made_safe(sine: DemoBench):
    await sine.scope.trigger(1, level=3.0, wait=True)
    await sine.scope.single()
    reading = sine.scope.read_channels(1, timeout_s=60)
    await sine.scope.make_safe()
    with pytest.raises(Exception, match=r"ended early, because it is to be made safe"):
        await reading


async def test_a_forgotten_wait_for_a_trigger_does_not_make_safety_fail(sine: DemoBench):
    await sine.scope.trigger(1, level=3.0, wait=True)
    await sine.scope.single()
    sine.scope.read_channels(1, timeout_s=60)
    sine.scope.make_safe_now()


@pytest.mark.parametrize("kind", ["truncate", "garbage", "timeout", "disconnect"])
@pytest.mark.parametrize("asked", ["PRE", "DATA", "OPER", "MEAS"])
def test_a_disturbed_answer_is_an_error_and_never_a_trace(sine: DemoBench, bench: Bench, kind, asked):
    sine.scope.stop()
    expected = sine.scope.read_channels(1).result()
    bench.fault("scope", kind, match=asked)
    try:
        seen = sine.scope.measure_voltage_max(1).values if asked == "MEAS" else sine.scope.read_channels(1).result()
    except LinkError:
        bench.reconnect("scope")
    else:  # a link that repeats what only reads
        assert seen == pytest.approx(1.0, abs=0.06) if asked == "MEAS" else expected.identical(seen)


def test_the_screen_is_a_png_file(sine: DemoBench, tmp_path):
    picture = sine.scope.screenshot()
    assert picture.save(tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert picture._repr_mimebundle_()["image/png"] == picture.png


def test_settings_reach_the_scope(lab: DemoBench, bench: Bench):
    lab.scope.channel(3).setup(scale=0.2, offset=0.1, coupling="AC", probe=10, bandwidth_limit=True, shown=True)
    lab.scope.timebase(range=1e-2, position=1e-3, reference="left")
    lab.scope.trigger(3, level=0.3, slope="falling", wait=False)
    scope = bench["scope"]
    assert (scope.scale(3), scope.offset(3), scope.coupling(3), scope.probe(3)) == (0.2, 0.1, "AC", 10)
    assert (scope.bandwidth_limit(3), scope.shown(3)) == (True, True)
    assert (scope.time_range(), scope.time_position(), scope.time_reference()) == (1e-2, 1e-3, "LEFT")
    assert (scope.trigger_source(), scope.trigger_level(), scope.trigger_slope()) == ("CHAN3", 0.3, "NEG")
    assert scope.trigger_sweep() == "AUTO"
    assert lab.scope.known == {
        "channel 3 scale": (0.2, "V"),
        "channel 3 offset": (0.1, "V"),
        "time range": (1e-2, "s"),
        "time position": (1e-3, "s"),
        "trigger level": (0.3, "V"),
    }


def test_autoscale_finds_the_wave(sine: DemoBench):
    sine.scope.auto()
    assert sine.scope.measure_frequency(1).values == pytest.approx(1e3, rel=2e-2)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda scope: scope.channel(5),
        lambda scope: scope.read_channels(),
        lambda scope: scope.read_channels(1, 1),
        lambda scope: scope.read_channels(0),
        lambda scope: scope.measure_frequency(9),
        lambda scope: scope.channel(1).setup(scale=-1),
        lambda scope: scope.channel(1).setup(coupling="GND"),
        lambda scope: scope.timebase(range=1e4),
        lambda scope: scope.trigger(1, slope="up"),
        lambda scope: scope.trigger(1, level=math.inf),
    ],
)
def test_what_makes_no_sense_is_not_sent(lab: DemoBench, bench: Bench, wrong):
    scope = lab.scope
    before = len(bench["scope"].log)
    with pytest.raises(LimitError, match="scope"):
        wrong(scope)
    assert len(bench["scope"].log) == before


def test_two_threads_read_whole_traces(sine: DemoBench):
    found: dict[int, list[int]] = {1: [], 2: []}

    def read(number: int) -> None:
        found[number] = [int(sine.scope.read_channels(number).channel.item()) for _ in range(5)]

    threads = [threading.Thread(target=read, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {1: [1] * 5, 2: [2] * 5}
