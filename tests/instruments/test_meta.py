"""Meta instruments: several channels as one."""

import asyncio
import threading
import time
from functools import partial

import pytest

from labnb.core import InstrumentError, LimitError, PlanError
from labnb.instruments import Instrument, MembersFailed, Meta, channel, group, scaled, through


class Gate:
    """A blocking driver that takes its time, and meets the others of its barrier while it is set."""

    def __init__(self, name, barrier=None, takes_s=0.0):
        self.name, self.unit, self.x, self._barrier, self._takes_s = name, "V", 0.0, barrier, takes_s

    def get(self):
        return self.x

    def set(self, value):
        if self._barrier is not None:
            self._barrier.wait(5)
        time.sleep(self._takes_s)
        self.x = value


class AsyncGate(Gate):
    async def get(self):
        return self.x

    async def set(self, value):
        await asyncio.sleep(self._takes_s)
        self.x = value


class Broken(Gate):
    def set(self, value):
        raise TimeoutError(f"{self.name} does not answer")


@pytest.mark.speed
def test_two_blocking_drivers_of_a_second_each_are_set_in_a_second():
    gates = Meta("gates", both=[Gate("a", takes_s=1.0), Gate("b", takes_s=1.0)])
    start = time.perf_counter()
    gates.both.set(25)
    assert 1.0 <= time.perf_counter() - start < 1.5
    assert gates.both.get() == (25, 25)


@pytest.mark.parametrize("awaited", [True, False])
def test_blocking_members_are_set_at_the_same_time(awaited):
    barrier = threading.Barrier(3)
    gates = group([Gate(name, barrier) for name in "abc"])

    async def use():
        await gates.set(1)
        return await gates.get()

    if awaited:
        assert asyncio.run(use()) == (1, 1, 1)
    else:
        gates.set(1)
        assert gates.get() == (1, 1, 1)


async def test_async_members_are_under_way_together_on_the_loop():
    started, go_on = [], asyncio.Event()

    async def setter(value, name):
        started.append(name)
        await go_on.wait()

    async def set_a(value):
        await setter(value, "a")

    async def set_b(value):
        await setter(value, "b")

    setting = group([(None, set_a), (None, set_b)]).set(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert started == ["a", "b"]
    go_on.set()
    await setting


def test_members_on_one_connection_take_turns():
    inside, most = [], []

    class Dac:
        def one(self, value):
            self.set(value)

        def two(self, value):
            self.set(value)

        def set(self, value):
            inside.append(value)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()

    dac = Dac()
    group([dac.one, dac.two, (None, dac.set)]).set(1)
    assert most == [1, 1, 1]


@pytest.mark.parametrize("kind", [Gate, AsyncGate])
def test_all_members_finish_also_if_one_fails_and_the_error_names_it(kind):
    a, b = kind("a"), kind("b")
    gates = Meta("gates", x=[a, Broken("bad"), b])
    with pytest.raises(MembersFailed, match=r"gates\.x: 1 of 3 members failed") as failed:
        gates.x.set(7)
    assert (a.x, b.x) == (7, 7)
    (error,) = failed.value.exceptions
    assert isinstance(error, TimeoutError)
    assert "bad = 7, as a part of gates.x" in error.__notes__
    assert isinstance(failed.value, InstrumentError)
    assert isinstance(failed.value.split(TimeoutError)[0], MembersFailed)


def test_limits_of_all_members_are_checked_before_any_is_set():
    a, b = Gate("a"), Gate("b")
    gates = group([a, channel(b, limits=(0, 1))], name="gates")
    with pytest.raises(LimitError, match=r"as a part of gates: b = 2 V is outside"):
        gates.set(2)
    assert (a.x, b.x) == (0, 0)
    limited = channel(group([a, Gate("c")], name="pair"), limits=(0, 0.5))
    with pytest.raises(LimitError, match="pair"):
        limited.set(0.7)


def test_a_member_may_take_something_else_than_the_value():
    a, b, c = Gate("a"), Gate("b"), Gate("c")
    gates = Meta(
        "gates", x={"left": a, "right": scaled(b, 2, 0.5), "squared": through(c, lambda v: v**2, lambda v: v**0.5)}
    )
    gates.x.set(3)
    assert (a.x, b.x, c.x) == (3, 6.5, 9)
    assert gates.x.get() == {"left": 3, "right": 3.0, "squared": 3.0}
    assert not group([a, through(b, lambda v: -v)]).readable


def test_metas_nest():
    a, b, c = Gate("a"), Gate("b"), Gate("c")
    inner = Meta("inner", pair=[a, scaled(b, -1)])
    outer = Meta("outer", all=[inner.pair, scaled(c, 10)])
    outer.all.set(2)
    assert (a.x, b.x, c.x) == (2, -2, 20)
    assert outer.all.get() == ((2, 2.0), 2.0)


def test_a_class_of_ones_own_adds_as_many_as_there_are():
    class Gates(Meta):
        def __init__(self, name, instruments):
            super().__init__(name)
            for k, instrument in enumerate(instruments):
                self.add(f"c{k}", [instrument])
            self.add("setBoth", instruments)

    base = [Gate("zero"), Gate("one")]
    meta = Gates("meta", base)
    meta.c1.set(25)
    assert (meta.c1.get(), base[1].x, base[0].x) == (25, 25, 0)
    base[1].x = 1
    assert meta.c1.get() == 1
    meta.setBoth(0)
    assert (base[0].x, base[1].x) == (0, 0)
    assert {"c0", "c1", "setBoth"} <= set(dir(meta))
    assert set(meta.snapshot()["channels"]) == {"c0", "c1", "setBoth"}


def test_what_makes_no_sense_is_refused():
    volts, amps = Gate("v"), Gate("i")
    amps.unit = "A"
    with pytest.raises(PlanError, match="one value cannot be v in V, i in A"):
        group([volts, amps])
    with pytest.raises(PlanError, match="has no members"):
        group([])
    with pytest.raises(PlanError, match="factor of 0"):
        scaled(volts, 0)
    meta = Meta("meta", x=[volts])
    for taken in ("x", "add", "name"):
        with pytest.raises(PlanError, match=f"the name '{taken}' is taken"):
            meta.add(taken, [volts])
    with pytest.raises(AttributeError, match="y"):
        _ = meta.y


def test_the_meta_instrument_of_the_tutorial_works_as_printed():  # noqa: C901  two classes
    class Base(Instrument):
        def __init__(self, name, **kwargs):
            super().__init__(name, **kwargs)
            self.x = 0
            self.add_parameter("x", get_cmd=self.getx, set_cmd=self.setx)

        def getx(self):
            return self.x

        def setx(self, val):
            self.x = val

    class Gates(Meta):
        def __init__(self, name, instruments=(), **kwargs):
            super().__init__(name, **kwargs)
            self._instrument_list = instruments
            for gate in range(len(instruments)):
                self.add_parameter(
                    f"c{gate}", get_cmd=partial(self._get, gate=gate), set_cmd=partial(self._set, gate=gate)
                )
            self.add("setBoth", [instrument.x for instrument in instruments])

        def _get(self, gate):
            return self._instrument_list[gate].get("x")

        def _set(self, value, gate):
            self._instrument_list[gate].set("x", value)

    base0, base1 = Base("one"), Base("two")
    meta = Gates("meta", instruments=[base0, base1])
    meta.c1.set(25)
    assert (meta.c1.get(), base1.x.get()) == (25, 25)
    base1.x.set(1)
    assert meta.c1.get() == 1
    meta.setBoth(0)
    assert (base0.x.get(), base1.x.get()) == (0, 0)
    for instrument in (base0, base1, meta):
        instrument.close()
