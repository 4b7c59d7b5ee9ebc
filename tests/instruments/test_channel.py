"""Channels: whatever people have, read and set in one way."""

import asyncio
import gc
import threading
from functools import partial

import pytest

import labnb
from labnb.core import InstrumentError, LifecycleError, LimitError, PlanError
from labnb.instruments import channel, connection_of
from labnb.instruments.connections import lane_of


class Resource:
    """What a driver speaks through."""


class Adapter:
    def __init__(self):
        self.connection = Resource()


class Driver:
    """A driver with properties, as PyMeasure's, and with methods."""

    def __init__(self):
        self.adapter = Adapter()
        self.name, self.unit, self.volts, self.threads = "driver", "mV", 1.5, []

    @property
    def voltage(self):
        """Control the voltage in Volts (float)."""
        self.threads.append(threading.current_thread().name)
        return self.volts

    @voltage.setter
    def voltage(self, value):
        self.threads.append(threading.current_thread().name)
        self.volts = value

    @property
    def current(self):
        """Measure the current in Amps, or in Ohms if you like."""
        return 2.0

    def get(self):
        return self.volts

    def set(self, value):
        self.volts = value

    async def slow(self):
        await asyncio.sleep(0)
        return self.volts


class Part:
    def __init__(self, parent):
        self.parent = parent
        self.level = 3


def accepted():
    driver = Driver()
    return {
        "property": ((driver, "voltage"), "voltage", "V", True, True),
        "read-only property": ((driver, "current"), "current", "", True, False),
        "attribute": ((driver, "volts"), "volts", "", True, True),
        "object": (driver, "driver", "mV", True, True),
        "pair of functions": ((driver.get, driver.set), "get", "", True, True),
        "setter": ((None, driver.set), "set", "", False, True),
        "method to read": (driver.get, "get", "", True, False),
        "method to set": (driver.set, "set", "", False, True),
        "named by the pair": ((driver, "get"), "get", "", True, False),
        "coroutine function": (driver.slow, "slow", "", True, False),
        "lambda around one": (lambda: driver.slow(), "value", "", True, False),  # noqa: PLW0108  the lambda is the case
        "partial": (partial(Driver.get, driver), "get", "", True, False),
    }


@pytest.mark.parametrize("kind", accepted())
@pytest.mark.parametrize("where", ["script", "loop", "thread"])
def test_each_kind_reads_and_sets_where_ever_it_is_called(kind, where):
    thing, name, unit, readable, writable = accepted()[kind]
    made = channel(thing)
    assert (made.name, made.unit, made.readable, made.writable) == (name, unit, readable, writable)

    def use():
        if writable:
            assert made.set(0.5).result() is None
        return made.get().result() if readable else None

    async def use_awaited():
        if writable:
            await made.set(0.5)
        return await made.get() if readable else None

    value = {
        "script": use,
        "loop": lambda: asyncio.run(use_awaited()),
        "thread": lambda: asyncio.run(asyncio.to_thread(use)),
    }[where]()
    assert value in ((0.5,) if writable and readable else (None, 1.5, 2.0))


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        ("smu.volt", r"'smu.volt' \(str\) is no channel; a channel is a QCoDeS parameter"),
        (3, "is no channel"),
        (Driver, "is no channel"),
        (lambda a, b: 0, "is no channel"),
        ((Driver(), "nothing"), "has no attribute 'nothing'"),
        (("a", "b"), "a pair is"),
        ((lambda x: x, None), "the function that reads is called with no argument"),
        (labnb, "is no channel"),
    ],
)
def test_anything_else_is_refused_with_what_is_accepted(thing, words):
    with pytest.raises(PlanError, match=words):
        channel(thing)


def test_a_driver_is_called_in_the_lane_of_its_connection_never_on_the_loop():
    driver = Driver()
    asyncio.run(_read(channel((driver, "voltage"))))
    assert driver.threads == ["labnb lane Resource"]


async def _read(made):
    return await made.get()


def test_what_stands_on_one_connection_shares_a_lane_and_parts_have_their_parents():
    driver = Driver()
    part = Part(driver)
    owners = [channel(x).owner for x in ((driver, "voltage"), driver, driver.get, (part, "level"))]
    assert all(owner is driver.adapter.connection for owner in owners)
    assert len({lane_of(owner) for owner in owners}) == 1
    assert connection_of(Driver()) is not owners[0]


def test_a_lane_ends_with_its_connection():
    driver = Driver()
    made = channel((driver, "voltage"))
    made.get()
    lane = lane_of(made.owner)
    del driver, made
    gc.collect()
    assert lane.closed


def test_a_driver_that_answers_to_every_name_is_its_own_connection():
    class Anything:
        def __getattr__(self, name):
            return lambda: name

    thing = Anything()
    assert connection_of(thing) is thing


async def test_an_action_begins_at_once_and_a_failure_that_nobody_awaited_meets_the_next_call():
    calls = []

    async def setter(value):
        calls.append(value)
        if value < 0:
            raise OSError("no answer")

    made = channel((None, setter), name="gate")
    first = made.set(1)
    await asyncio.sleep(0)
    assert calls == [1]
    with pytest.raises(LifecycleError, match="write `await`"):
        made.set(2).result()
    await first
    made.set(-1)
    await made_quiet(calls, 3)
    with pytest.raises(OSError, match="no answer"):
        await made.set(3)
    await made.set(4)
    assert calls == [1, 2, -1, 4]


async def made_quiet(calls, count):
    while len(calls) < count:
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_one_channel_is_told_is_done_in_order_and_a_cancelled_wait_breaks_nothing_off():
    log, go_on = [], asyncio.Event()

    async def setter(value):
        await go_on.wait()
        log.append(value)

    made = channel((None, setter))
    waiting = asyncio.ensure_future(_set(made, 1))
    await asyncio.sleep(0)
    second = made.set(2)
    waiting.cancel()
    go_on.set()
    await second
    assert log == [1, 2]


async def _set(made, value):
    await made.set(value)


async def test_a_coroutine_function_runs_on_the_loop_where_its_channel_was_made():
    loops = []

    async def getter():
        loops.append(asyncio.get_running_loop())
        return 1.0

    made = channel(getter)
    assert await asyncio.to_thread(lambda: made.get().result()) == 1.0
    assert await asyncio.to_thread(lambda: asyncio.run(_read(made))) == 1.0
    assert set(loops) == {asyncio.get_running_loop()}


def test_limits_belong_to_what_is_set_and_nothing_is_sent_beyond_them():
    driver = Driver()
    channel((driver, "voltage"), name="gate", limits=(0, 1))
    other = channel((driver, "voltage"))
    with pytest.raises(LimitError, match=r"voltage|gate"):
        other.set(2)
    assert driver.volts == 1.5
    assert other.snapshot()["limits"] == (0, 1)
    other.set(0.5)
    with pytest.raises(LimitError, match="must be a number"):
        other.check("0.5")


def test_a_validator_of_the_driver_is_asked_before_anything_is_sent():
    def validate(value):
        if value > 10:
            raise TypeError(f"{value} is too much")

    driver = Driver()
    driver.validate = validate
    made = channel(driver)
    with pytest.raises(LimitError, match="driver = 11 is refused by its driver: 11 is too much; nothing was sent"):
        made.set(11)
    assert driver.volts == 1.5


def test_a_safe_value_must_be_allowed_and_settable():
    driver = Driver()
    with pytest.raises(LimitError, match="outside"):
        channel((driver, "volts"), limits=(1, 2), safe=0.0)
    with pytest.raises(InstrumentError, match="can only be read"):
        channel((driver, "current"), safe=0.0)


def test_the_wrong_way_is_refused():
    driver = Driver()
    with pytest.raises(InstrumentError, match="current can only be read"):
        channel((driver, "current")).set(1)
    with pytest.raises(InstrumentError, match="set can only be set"):
        channel(driver.set).get()


def test_a_unit_is_never_just_relabelled():
    driver = Driver()
    with pytest.raises(PlanError, match="driver is in mV; unit='V' would not convert it"):
        channel(driver, unit="V")
    assert channel((driver, "voltage"), unit="kV").unit == "kV"  # the docstring is a guess only
    assert channel(driver.get, unit="V").unit == "V"


def test_a_channel_of_a_channel_is_the_same():
    made = channel(Driver())
    assert channel(made) is made
    assert channel(made, name="x").name == "x"


async def test_labnbs_own_quantities_and_methods_are_channels(lab):
    setpoint, volts = channel(lab.oven.setpoint), labnb.channel(lab.dmm.measure_voltage_dc, name="volts")
    await setpoint.set(300)
    assert (await setpoint.get(), setpoint.unit, setpoint.owner) == (300, "K", lab.oven.lane)
    with pytest.raises(LimitError, match="range"):
        setpoint.set(5)
    assert volts.unit == ""
    assert isinstance(await volts.get(), float)
    assert volts.unit == "V"
