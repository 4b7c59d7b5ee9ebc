"""Channels in a session: as parameters that are set, as what is acquired."""

import asyncio

import pytest

from labnb.core import LimitError, PlanError, sweep
from labnb.instruments import Meta, channel
from labnb.session import Measurement


class Source:
    def __init__(self, name="gate", unit="V"):
        self.name, self.unit, self.x, self.log = name, unit, 0.0, []

    def get(self):
        return self.x

    def set(self, value):
        self.log.append(value)
        self.x = value


async def test_a_parameter_sets_its_channel_and_takes_the_unit_from_it(tmp_path):
    slow, fast, meter = (
        Source("slow", "K"),
        Source("fast"),
        channel((lambda: slow.x + fast.x, None), name="m", unit="A"),
    )
    async with Measurement("grid", store=tmp_path) as session:
        session.parameter("t", [1, 2], channel=slow)
        session.parameter(fast, sweep(10, 30, 3))
        session.acquire(meter)
        run = await session.run()
    assert (slow.log, fast.log) == ([1, 2], [10, 20, 30, 10, 20, 30])
    assert run.data.m.dims == ("t", "fast")
    assert run.data.m.values.tolist() == [[11, 21, 31], [12, 22, 32]]
    assert [run.data[name].attrs["units"] for name in ("t", "fast", "m")] == ["K", "V", "A"]


@pytest.mark.parametrize("awaiting", [True, False])
async def test_a_function_may_return_channels_beside_values_and_see_what_is_set(tmp_path, awaiting):
    gate, meter = Source(), channel(lambda: gate.x * 2, unit="A")

    def sync(gate_volts):
        return {"i": meter, "plain": gate_volts, "told": gate.x}

    async def coroutine(gate_volts):
        await asyncio.sleep(0)
        return sync(gate_volts)

    async with Measurement("grid", store=tmp_path) as session:
        session.parameter("gate_volts", sweep(gate, [1, 2]))
        session.acquire(coroutine if awaiting else sync)
        run = await session.run()
    assert run.data.i.values.tolist() == [2, 4]
    assert run.data.told.values.tolist() == run.data.plain.values.tolist() == [1, 2]
    assert run.data.i.attrs["units"] == "A"


async def test_two_swept_in_lock_step_set_both_and_there_and_back_goes_back(tmp_path):
    a, b = Source("a"), Source("b")
    async with Measurement("zip", store=tmp_path) as session:
        session.parameter(("x", "y"), sweep.zip(sweep(a, [1, 2]), sweep(b, [3, 4])).there_and_back())
        session.acquire(lambda: a.x * 10 + b.x, name="z")
        run = await session.run()
    assert (a.log, b.log) == ([1, 2, 2, 1], [3, 4, 4, 3])
    assert run.data.z.values.tolist() == [[13, 24], [13, 24]]
    assert run.data.y.attrs["units"] == "V"


async def test_a_group_is_acquired_as_its_members(tmp_path):
    gates = Meta("gates", pair={"left": Source(), "right": Source()}, both=[Source(), Source()])
    async with Measurement("pairs", store=tmp_path) as session:
        session.parameter("v", [1, 2], channel=gates.pair)
        session.acquire(gates.pair)
        session.acquire(gates.both, name="array")
        run = await session.run()
    assert run.data.left.values.tolist() == run.data.right.values.tolist() == [1, 2]
    assert run.data.array.shape == (2, 2)


async def test_a_forbidden_setpoint_is_refused_at_declaration_and_before_the_run(tmp_path):
    gate = Source()
    async with Measurement("limits", store=tmp_path) as session:
        session.parameter("v", [0, 1], channel=gate)
        session.acquire(gate)
        channel(gate, limits=(0, 0.5))
        with pytest.raises(LimitError, match="axis 'v', setpoint 2 of 2"):
            await session.run()
        with pytest.raises(LimitError, match="axis 'v', setpoint 3 of 3"):
            session.parameter("v", [0, 0.1, 2], channel=gate)
        with pytest.raises(PlanError, match="axis 'v' is in 'A', but sets gate in 'V'"):
            session.parameter("v", [0], "A", channel=gate)
        with pytest.raises(PlanError, match="can only be set"):
            session.acquire(channel((None, gate.set), name="setter"))
    assert gate.log == []
