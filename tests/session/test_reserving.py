"""Instruments that are reserved while one works with them, over a real service and real processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import labnb
from labnb.core import BenchFileError, InstrumentError, PlanError, ReservationLost, Reserved
from labnb.instruments import connect
from labnb.session import Bench, Measurement, reserve, resource_of

pytest.importorskip("grpc", reason="pip install 'labnb[sharing]'")

from labnb.sharing import ReservationClient, start_service

FILE = """
simulate: true
clock: skip
{reserve}
instruments:
  psu: {{profile: keysight/EDU36311A, address: "USB0::0x2A8D::0x8F01::CN{number}::INSTR"}}
  dmm: {{profile: keysight/34470A, address: "TCPIP0::192.0.2.{number}::inst0::INSTR"}}
wiring:
  - {{from: psu.1, to: dmm.hi}}
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service of this module's own, started as a bench starts it."""
    folder = tmp_path_factory.mktemp("sharing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABNB_SHARING", str(folder))
        yield start_service()
        os.kill(json.loads((folder / "address.json").read_text())["pid"], signal.SIGTERM)


@pytest.fixture
def client(service):
    with ReservationClient(service, note="somebody else") as made:
        yield made


@pytest.fixture
def file(tmp_path, request):
    def write(reserve=""):
        path = tmp_path / "bench.yaml"
        path.write_text(FILE.format(reserve=reserve, number=len(request.node.name)))
        return path

    return write


OTHER = """
import sys
from labnb.sharing import ReservationClient
client = ReservationClient(sys.argv[1], note="other")
held = client.reserve(sys.argv[2:], timeout=-1)
print("holds", flush=True)
sys.stdin.readline()
held.release()
"""


@pytest.fixture
def other(service):
    """Return a function that starts a process that holds resources until it is told."""
    started = []

    def start(*resources):
        process = subprocess.Popen(
            [sys.executable, "-c", OTHER, service, *resources], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "holds\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def own(client):
    """What this process has reserved; what a killed one had is free a moment later."""
    return tuple(each for each in client.situation().reservations if each.holder.pid == os.getpid())


def names(path):
    return [resource_of(address, visa_library=library) for address, library in Bench.places(path).values()]


async def test_a_bench_holds_all_of_its_instruments_until_it_is_closed(file, client):
    path = file()
    async with await Bench.open(path, reserve=True) as bench:
        (held,) = own(client)
        assert held.resources == tuple(names(path))
        assert held.holder.pid == os.getpid()
        await bench.psu.channel(1).set(voltage=1)
        with pytest.raises(Reserved, match=f"process {os.getpid()}"):
            client.reserve(names(path)[:1])
    assert own(client) == ()


async def test_a_bench_that_another_has_is_queued_for_and_it_is_told_who_has_it(file, other, capsys, client):
    path = file("reserve: true")
    holder = other(*names(path)[:1])
    opening = asyncio.ensure_future(Bench.open(path)._open())
    while not client.situation().queue:  # told by the service itself
        await asyncio.sleep(0)
    assert not opening.done()
    holder.stdin.write("\n")
    holder.stdin.flush()
    bench = await opening
    await bench.close()
    said = capsys.readouterr().out
    assert f"process {holder.pid} (other)" in said
    assert "place 1 in the queue" in said


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_who_is_killed_leaves_to_the_next(file, other, end):
    path = file()
    holder = other(*names(path))
    opening = asyncio.ensure_future(Bench.open(path, reserve=20)._open())
    await asyncio.sleep(0)
    holder.send_signal(end)
    await (await opening).close()


async def test_patience_ends_by_telling_who_has_it_and_nothing_is_connected(file, other):
    path = file("reserve: 0.05")
    holder = other(*names(path)[1:])
    with pytest.raises(Reserved, match=f"process {holder.pid}"):
        await Bench.open(path)
    with Bench.open(path, reserve=False) as bench:
        assert bench.psu.channel(1).get_voltage().result() == pytest.approx(0, abs=0.1)


async def test_an_opening_that_is_cancelled_leaves_the_queue(file, other, client):
    path = file()
    other(*names(path))
    opening = asyncio.ensure_future(Bench.open(path, reserve=True)._open())
    while not client.situation().queue:
        await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert client.situation().queue == ()


async def test_what_was_taken_away_is_refused_at_the_next_exchange_and_not_switched_off(file, client):
    path = file()
    bench = await Bench.open(path, reserve=True)
    other_view = connect(bench.psu.address, visa_library=f"{path}@labnb") is bench.psu
    assert other_view
    await bench.psu.channel(1).set(voltage=1).on()
    (held,) = own(client)
    lost = threading.Event()
    bench._reserving._shares[0].held.on_lost(lambda _: lost.set())
    client.force_release(held.token, "test")
    assert await asyncio.to_thread(lost.wait, 10)
    for action in (bench.psu.channel(1).get_voltage, lambda: bench.psu.query("*IDN?"), bench.psu.channel(1).off):
        with pytest.raises(ReservationLost, match="nothing was sent"):
            await action()
    with pytest.raises(InstrumentError, match="was not made safe: it is another's now"):
        await bench.close()
    assert bench.psu.closed


async def test_a_run_that_loses_its_instrument_fails_with_its_points_kept(file, client, tmp_path):
    path = file()
    bench = await Bench.open(path, reserve=True)
    lost = threading.Event()
    bench._reserving._shares[0].held.on_lost(lambda _: lost.set())
    with pytest.raises(InstrumentError, match="not made safe: it is another's"):  # noqa: PT012  closing the session
        async with Measurement("iv", bench=bench, store=tmp_path / "runs") as session:
            session.parameter("voltage", [0.1, 0.2, 0.3], unit="V")

            @session.acquire
            async def measure(psu, ctx):
                if ctx["voltage"] == 0.3:
                    client.force_release(own(client)[0].token, "test")
                    await asyncio.to_thread(lost.wait, 10)
                await psu.channel(1).set(voltage=ctx["voltage"])
                return {"out": ctx["voltage"]}

            run = session.start()
            with pytest.raises(ReservationLost, match="test"):
                await run
            assert run.state.value == "failed"
            assert run.points == 2
    with pytest.raises(InstrumentError, match="not made safe"):
        await bench.close()


async def test_a_run_that_loses_one_instrument_makes_the_others_safe_and_its_points_are_on_disk(client, tmp_path):
    """What was taken away is another's now, and is left alone; what is still ours is switched off."""
    store = tmp_path / "runs"
    with pytest.raises(InstrumentError, match="dmm was not made safe: it is another's now"):  # noqa: PT012  closing the session
        async with Measurement("iv", store=store) as session:
            psu = await session.instrument(
                "psu", "keysight/EDU36311A", simulate=True, visa_library="fast@labnb", reserve=True
            )
            dmm = await session.instrument(
                "dmm", "keysight/34470A", simulate=True, visa_library="fast@labnb", reserve=True
            )
            await psu.channel(1).set(voltage=1, current_limit=0.1).on()
            assert await psu.channel(1).get_output_state()
            lost = threading.Event()
            next(
                share.held for share in session._gear._reserving._shares if resource_of(dmm) in share.resources
            ).on_lost(lambda _: lost.set())
            session.parameter("voltage", [0.1, 0.2, 0.3], unit="V")

            @session.acquire
            async def measure(psu, dmm, ctx):
                await psu.channel(1).set(voltage=ctx["voltage"])
                if ctx["voltage"] == 0.3:
                    client.force_release(client.situation().of(resource_of(dmm))[0].token, "needed elsewhere")
                    await asyncio.to_thread(lost.wait, 10)
                return {"out": await dmm.measure_voltage_dc()}

            run = session.start()
            with pytest.raises(ReservationLost, match="needed elsewhere"):
                await run
            assert (run.state.value, run.points) == ("failed", 2)
            assert not await psu.channel(1).get_output_state()
            path = run.path
    data = labnb.load(path)
    assert list(data.voltage.values[np.isfinite(data.out.values)]) == [0.1, 0.2]
    assert own(client) == ()


async def test_an_end_that_fails_tells_of_the_error_that_ended_the_block_too(file, client):
    with pytest.raises(InstrumentError, match="not made safe") as failed:  # noqa: PT012  the end of the block raises it
        async with await Bench.open(file(), reserve=True) as bench:
            lost = threading.Event()
            bench._reserving._shares[0].held.on_lost(lambda _: lost.set())
            await bench.psu.channel(1).set(voltage=1).on()
            client.force_release(own(client)[0].token, "test")
            assert await asyncio.to_thread(lost.wait, 10)
            raise ZeroDivisionError("of the block")
    assert any("ZeroDivisionError: of the block" in note for note in failed.value.__notes__)


async def test_a_session_reserves_an_instrument_until_it_is_closed(client):
    async with Measurement("one") as session:
        psu = await session.instrument(
            "psu", "keysight/EDU36311A", simulate=True, visa_library="fast@labnb", reserve=True
        )
        assert (
            await session.instrument(
                "psu", "keysight/EDU36311A", simulate=True, visa_library="fast@labnb", reserve=True
            )
        ) is psu
        assert len(client.situation().of(resource_of(psu))) == 1
    assert own(client) == ()


def test_a_script_does_it_without_await(client):
    with Measurement("one") as session:
        psu = session.instrument("psu", "keysight/EDU36311A", simulate=True, visa_library="fast@labnb", reserve=5)
        assert len(client.situation().of(resource_of(psu))) == 1
        with reserve(psu):  # this process has it already
            assert len(own(client)) == 1
        assert len(own(client)) == 1
        psu.channel(1).get_voltage().result()
    assert own(client) == ()


async def test_a_block_reserves_instruments_and_names(client):
    psu = connect("keysight/EDU36311A", simulate=True, visa_library="fast@labnb")
    try:
        async with reserve(psu, "the cryostat"):
            assert client.situation().of("the cryostat")
            await psu.channel(1).get_voltage()
        assert own(client) == ()
        await psu.channel(1).get_voltage()
    finally:
        psu.close()


async def test_a_block_whose_reservation_was_taken_away_does_not_end_in_silence(client):
    with pytest.raises(ReservationLost, match="because"):  # noqa: PT012  the end of the block raises it
        async with reserve("a cell") as block:
            lost = threading.Event()
            block._reserving._shares[0].held.on_lost(lambda _: lost.set())
            client.force_release(own(client)[0].token, "because")
            assert await asyncio.to_thread(lost.wait, 10)


@pytest.mark.parametrize("wait", [-1, float("nan"), "long", None])
def test_what_is_no_patience_is_refused(wait):
    with pytest.raises(PlanError, match="expected True"):
        reserve("it", wait=wait)


def test_a_file_says_reserve_as_true_or_seconds(file):
    with pytest.raises(BenchFileError, match="reserve"):
        Bench.places(file("reserve: often"))
    assert list(Bench.places(file("reserve: 10"))) == ["psu", "dmm"]
