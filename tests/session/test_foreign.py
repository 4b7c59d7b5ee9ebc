"""Other people's drivers in a session: passed by alias, described, closed by whoever opened them."""

import sys

import pytest

from labnb.core import InstrumentError, LimitError, PlanError, RunCancelled
from labnb.instruments import connect, live_devices
from labnb.record import open_run
from labnb.session import Bench, Measurement

ADDRESS = "GPIB0::24::INSTR"


class TheirMeter:
    """A driver as people write one."""

    def __init__(self, address, visa_library):
        import pyvisa

        self.inst = pyvisa.ResourceManager(visa_library).open_resource(address)
        self.inst.read_termination = self.inst.write_termination = "\n"
        self.ended = []

    def idn(self):
        return self.inst.query("*IDN?")

    def snapshot(self, update=True):
        return {"range": 20}

    def shutdown(self):
        self.ended.append("shutdown")

    def close(self):
        self.ended.append("close")
        self.inst.close()


class Bare:
    """Something that is no instrument of any known kind."""

    value = 2.5


class Stubborn(TheirMeter):
    def close(self):
        super().close()
        raise OSError("the cable is gone")


WHERE = {"address": ADDRESS, "visa_library": "fast@labnb"}


async def measured(session):
    @session.acquire
    def identity(theirs):
        return {"length": len(theirs.idn())}

    return await session.run()


async def test_a_class_is_opened_passed_by_its_alias_described_and_closed(tmp_path):
    async with Measurement("theirs", store=tmp_path) as session:
        theirs = await session.instrument("theirs", TheirMeter, **WHERE)
        assert await session.instrument("theirs", TheirMeter, **WHERE) is theirs
        with pytest.raises(PlanError, match=r"'theirs' is .* already; choose another alias"):
            await session.instrument("theirs", TheirMeter, **{**WHERE, "address": "GPIB0::25::INSTR"})
        assert theirs in live_devices()
        run = await measured(session)
    assert float(run.data["length"]) > 10
    assert theirs.ended == ["shutdown", "close"]
    assert theirs not in live_devices()
    told = open_run(run.path).metadata["instruments"]["theirs"]
    assert told["range"] == 20
    assert told["driver"].endswith("TheirMeter")


def test_a_class_by_its_path_in_a_session_that_blocks(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "their_drivers", sys.modules[__name__])
    with Measurement("theirs", store=tmp_path) as session:
        theirs = session.instrument("theirs", "their_drivers:TheirMeter", **WHERE)
        assert session.instrument("theirs", "their_drivers:TheirMeter", **WHERE) is theirs
        session.acquire(lambda theirs: len(theirs.idn()), name="length")
        assert float(session.run().data["length"]) > 10
    assert theirs.ended == ["shutdown", "close"]


async def test_what_is_given_ready_is_not_closed(tmp_path):
    mine, bare = TheirMeter(**WHERE), Bare()
    async with Measurement("theirs", store=tmp_path) as session:
        assert await session.instrument("theirs", mine) is mine
        assert await session.instrument("bare", bare) is bare
        with pytest.raises(InstrumentError, match="is connected already: leave_on= would have no effect"):
            await session.instrument("late", mine, leave_on=True)
        session.acquire(lambda bare: bare.value, name="value")
        run = await measured(session)
    assert float(run.data["value"]) == 2.5
    assert mine.ended == []
    assert set(open_run(run.path).metadata["instruments"]) == {"theirs", "bare"}
    mine.inst.close()


async def test_what_somebody_else_has_connected_is_left_open(tmp_path):
    mine = connect(TheirMeter, **WHERE)
    async with Measurement("theirs", store=tmp_path) as session:
        assert await session.instrument("theirs", TheirMeter, **WHERE) is mine
    assert mine.ended == []
    mine.close()


async def test_a_driver_that_fails_to_close_is_named_after_all_is_done(tmp_path):
    session = Measurement("theirs", store=tmp_path)
    psu = await session.instrument("psu", "keysight/EDU36311A", simulate=True, visa_library="fast@labnb")
    await session.instrument("theirs", Stubborn, **WHERE)
    with pytest.raises(
        InstrumentError, match=r"Stubborn.close\(\) failed: the cable is gone; see that the instrument is off"
    ):
        await session.close()
    assert psu.closed


async def test_two_runs_do_not_share_their_instrument_either(tmp_path):
    mine = TheirMeter(**WHERE)
    async with Measurement("one", store=tmp_path) as one, Measurement("two", store=tmp_path) as two:
        for session in (one, two):
            await session.instrument("theirs", mine)
            session.acquire(lambda theirs: 1.0, name="x")
        under_way = one.start(interval=0.05)
        with pytest.raises(PlanError, match=r"theirs is in use by run .*one"):
            two.start()
        under_way.cancel()
        with pytest.raises(RunCancelled):
            await under_way
    mine.inst.close()


async def test_limits_given_with_a_ready_instrument_hold(tmp_path):
    psu = connect("keysight/EDU36311A", simulate=True, visa_library="fast@labnb")
    async with Measurement("ours", store=tmp_path) as session:
        await session.instrument("psu", psu, limits={1: {"voltage": 3.3}})
        with pytest.raises(LimitError):
            psu.channel(1).set(voltage=5)
    psu.close()


async def test_limits_of_a_driver_that_knows_none_are_refused(tmp_path):
    async with Measurement("theirs", store=tmp_path) as session:
        with pytest.raises(
            (InstrumentError, LimitError), match=r"TheirMeter knows no limits: give them to labnb.channel"
        ):
            await session.instrument("theirs", TheirMeter, limits={"voltage": 1}, **WHERE)


async def test_a_driver_named_in_a_bench_file_is_opened_and_closed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "their_drivers", sys.modules[__name__])
    (tmp_path / "bench.yaml").write_text(
        'simulate: true\nclock: skip\ninstruments:\n  theirs: {profile: keithley/2400, address: "GPIB0::24::INSTR", '
        'driver: "their_drivers:TheirMeter"}\n'
    )
    async with await Bench.open(tmp_path / "bench.yaml") as bench:
        theirs = bench.theirs
        async with Measurement("theirs", bench=bench, store=tmp_path) as session:
            await measured(session)
        assert theirs.ended == []
    assert theirs.ended == ["shutdown", "close"]
