import asyncio
import gc
import itertools
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.core import InstrumentError, LimitError, LinkError
from labnb.instruments import Instrument, Ints, Parameter
from labnb.instruments.ramp import Interlock, Pace
from labnb.testing.links import ScriptedLink


class Source(Instrument):
    """A gate voltage."""

    gate = Parameter("GATE {:.6g}", "GATE?", unit="V", within=(-10, 10), max_step=0.5)
    bias = Parameter("BIAS {:.6g}", "BIAS?", unit="V", max_rate=100)
    coarse = Parameter("COAR {:.0f}", "COAR?", unit="V", max_step=0.5)
    other = Parameter("OTH {:g}", "OTH?")
    safe_state = ("SAFE",)


@pytest.fixture
def source():
    source = Source(ScriptedLink({"GATE?": "0", "BIAS?": "0", "COAR?": "0", "OTH?": "7"}), name="source")
    source.link.sent.clear()
    yield source
    source.close()


def steps(source, header="GATE"):
    return [float(text.split()[1]) for text in source.link.sent if text.startswith(header + " ")]


# ---- rules


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.floats(0.01, 1e3), st.none() | st.floats(0.1, 1e3))
def test_each_step_is_within_the_pace_and_towards_the_target(present, target, most, rate):
    pace = Pace(most, rate)
    step = pace.next(present, target)
    assert abs(step - present) <= most * (1 + 1e-9) + 1e-9
    assert abs(target - step) <= abs(target - present)
    assert step == target or abs(step - present) > 0


def test_a_pace_that_is_none_is_refused():
    for bad in (0, -1, float("nan"), "fast"):
        with pytest.raises(LimitError, match="max_step"):
            Pace(max_step=bad)
        with pytest.raises(LimitError, match="max_rate"):
            Pace(max_rate=bad)


def test_a_step_that_is_lost_in_rounding_is_refused():
    with pytest.raises(LimitError, match="too small"):
        Pace(max_step=1e-9).next(1e12, 2e12)


# ---- on an instrument


def test_setting_moves_in_steps_from_what_was_read_back(source: Source):
    source.gate.set(1.7)
    assert source.link.sent[0] == "GATE?"
    assert steps(source) == [0.5, 1.0, 1.5, 1.7]
    assert source.gate.cached == 1.7
    source.link.sent.clear()
    source.gate.set(1.0)
    assert "GATE?" not in source.link.sent
    assert steps(source) == pytest.approx([1.2, 1.0])


async def test_awaited_it_is_the_same(source: Source):
    await source.gate.set(1.2)
    assert steps(source) == [0.5, 1.0, 1.2]


def test_a_rate_is_never_exceeded_not_even_by_two_calls(source: Source):
    times = []
    write = source.link.write
    source.link.write = lambda command: (times.append(time.monotonic()), write(command))
    source.bias.set(1.0)
    source.bias.set(2.0)
    assert steps(source, "BIAS") == [1.0, 2.0]
    assert times[1] - times[0] >= 0.01 * 0.99


async def test_other_exchanges_get_through_between_steps(source: Source):
    source.bias.limit(max_rate=20)
    ramp = asyncio.ensure_future(_wait(source.bias.set(8)))
    while len(steps(source, "BIAS")) < 1:
        await asyncio.sleep(0)
    assert await source.other.get() == 7
    assert not ramp.done()
    ramp.cancel()
    await asyncio.gather(ramp, return_exceptions=True)


async def test_cancelled_the_value_stays_where_it_is_known_and_true(source: Source):
    source.bias.limit(max_rate=20)
    ramp = asyncio.ensure_future(_wait(source.bias.set(8)))
    while len(steps(source, "BIAS")) < 1:
        await asyncio.sleep(0)
    ramp.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ramp
    await source.other.get()
    assert source.bias.cached == steps(source, "BIAS")[-1] < 8
    heard = len(source.link.sent)
    await asyncio.sleep(0.12)
    assert len(source.link.sent) == heard


async def _wait(action):
    await action


async def test_thrown_away_it_does_not_move_and_the_next_call_says_so(source: Source):
    source.gate.set(1.0)
    gc.collect()
    with pytest.raises(InstrumentError, match=r"source.gate has not moved to 1 V: nobody waited for it; write `await`"):
        await source.other.get()
    assert steps(source) == []


async def test_whoever_sets_it_anew_takes_over(source: Source):
    source.bias.limit(max_rate=20)
    first = asyncio.ensure_future(_wait(source.bias.set(8)))
    while len(steps(source, "BIAS")) < 1:
        await asyncio.sleep(0)
    second = source.bias.set(1.9)
    with pytest.raises(InstrumentError, match=r"source.bias stopped on its way to 8 V.*set anew"):
        await first
    source.paces["bias"] = Pace(max_rate=1e3)
    await second
    assert source.bias.cached == 1.9


def test_making_safe_stops_it(source: Source):
    source.bias.limit(max_rate=20)
    failure: list[BaseException] = []

    def move():
        try:
            source.bias.set(8)
        except InstrumentError as error:
            failure.append(error)

    thread = threading.Thread(target=move)
    thread.start()
    while len(steps(source, "BIAS")) < 1:
        time.sleep(0)
    source.make_safe()
    thread.join(5)
    assert "made safe" in str(failure[0])
    assert source.link.sent[-2:] == ["SAFE", "SYST:ERR?"]


def test_limits_and_interlocks_hold_at_each_step(source: Source):
    lid = [True]
    source.gate.interlock(lambda value: lid[0] or value < 1, "close the lid")
    source.link.refused.clear()
    write = source.link.write

    def open_at_one(command):
        write(command)
        if command == "GATE 1":
            lid[0] = False

    source.link.write = open_at_one
    with pytest.raises(LimitError, match="close the lid"):
        source.gate.set(3)
    assert steps(source) == [0.5, 1.0]
    assert source.gate.cached == 1.0


def test_a_command_with_fewer_digits_than_the_step_needs_is_found_out(source: Source):
    with pytest.raises(LimitError, match="writes too few digits"):
        source.coarse.set(3)
    assert steps(source, "COAR") == [0.0]


def test_a_ramp_that_does_not_know_where_it_starts_does_not_start(source: Source):
    source.link.answers["GATE?"] = "NAN"
    with pytest.raises(LinkError, match="unknown"):
        source.gate.set(1)
    assert steps(source) == []


def test_a_raw_command_may_not_jump(source: Source):
    for text in ("GATE 5", "GATE 0.1", "GATE?;GATE 1"):
        with pytest.raises(LimitError, match=r"gate moves in steps; use source.gate.set\(...\)"):
            source.write(text)
    assert source.link.sent == []


def test_whole_numbers_do_not_ramp():
    with pytest.raises(InstrumentError, match="no meaning"):
        Parameter("N {:d}", "N?", vals=Ints(), max_step=1)


def test_an_interlock_is_a_value():
    lock = Interlock(bool, "set more than 0")
    lock.check(1, "x")
    with pytest.raises(LimitError, match="x = 0 is locked: set more than 0"):
        lock.check(0, "x")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=5), st.floats(0.3, 5))
def test_no_sequence_of_sets_makes_a_larger_step(targets, most):
    source = Source(ScriptedLink({"GATE?": "0"}), name="source")
    source.gate.limit(max_step=most)
    try:
        for target in targets:
            source.gate.set(target)
    finally:
        source.close()
    path = [0.0, *steps(source)]
    assert all(abs(b - a) <= most * (1 + 1e-6) for a, b in itertools.pairwise(path))
    assert path[-1] == pytest.approx(targets[-1], abs=1e-4)
