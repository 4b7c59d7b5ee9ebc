"""Processes that are killed: holders, waiters, the service itself."""

import asyncio
import itertools
import signal
import threading
import time
from pathlib import Path

import grpc
import pytest

from labnb.core import ReservationLost, Reserved
from labnb.session_management import PinMapContext, SessionManagementClient
from labnb.sharing import AsyncReservationClient, PinMapClient, ReservationClient
from labnb.sharing.calls import procedures
from labnb.sharing.messages import SESSION_SERVICE, session_messages

FULL_SESSIONS = """
import sys, grpc
from labnb.session_management import PinMapContext, SessionManagementClient
address, pin_map = sys.argv[1:]
client = SessionManagementClient(grpc_channel=grpc.insecure_channel(address))
reservation = client.reserve_sessions(PinMapContext(pin_map, None), timeout=-1)
print("holds", flush=True)
sys.stdin.readline()
"""


@pytest.mark.speed
def test_what_a_killed_process_held_is_free_within_half_a_second(client, holder, capsys):
    took_s = []
    for _ in range(5):
        victim = holder("psu", "dmm")
        victim.reads()
        began = time.monotonic()
        victim.process.kill()
        client.reserve(["psu", "dmm"], timeout=5).release()
        took_s.append(time.monotonic() - began)
        victim.process.wait()
    with capsys.disabled():
        print(f"\n  free after kill -9: {min(took_s) * 1e3:.0f} to {max(took_s) * 1e3:.0f} ms")
    assert max(took_s) < 0.5


@pytest.mark.speed
def test_so_is_what_it_held_by_a_pin_map(service, pin_map, program, channel):
    victim = program(FULL_SESSIONS, service.address, pin_map)
    assert victim.reads() == "holds"
    sessions = SessionManagementClient(grpc_channel=channel)
    context = PinMapContext(pin_map, None)
    with pytest.raises(Reserved, match=f"process {victim.pid}"):
        sessions.reserve_sessions(context)
    began = time.monotonic()
    victim.process.kill()
    sessions.reserve_sessions(context, timeout=5).unreserve()
    assert time.monotonic() - began < 0.5


MUTE = """
import sys, grpc
from labnb.sharing.calls import procedures
from labnb.sharing.messages import SESSION_SERVICE, session_messages
address, pin_map = sys.argv[1:]
request = session_messages.ReserveSessionsRequest(pin_map_context={"pin_map_id": pin_map})
answer = procedures(grpc.insecure_channel(address), SESSION_SERVICE)["ReserveSessions"](request)
print("holds", len(answer.sessions), flush=True)
sys.stdin.readline()
"""


@pytest.mark.speed
def test_a_client_that_says_nothing_of_itself_is_known_by_its_connection(service, pin_map, program, channel):
    victim = program(MUTE, service.address, pin_map)
    assert victim.reads() == "holds 8"
    sessions = SessionManagementClient(grpc_channel=channel)
    context = PinMapContext(pin_map, None)
    with pytest.raises(Reserved, match=f"process {victim.pid}"):
        sessions.reserve_sessions(context)
    began = time.monotonic()
    victim.process.kill()
    sessions.reserve_sessions(context, timeout=5).unreserve()
    assert time.monotonic() - began < 0.5


def test_a_killed_waiter_leaves_the_queue(client, holder, until):
    first, second, third = (holder("psu") for _ in range(3))
    queues = [first, second, third]
    holds = next(each for each in queues if each.reads().startswith("holds"))
    assert holds is first or until(lambda now: len(now.queue) == 2)
    waiters = [each for each in queues if each is not holds]
    until(lambda now: len(now.queue) == 2)
    ahead_pid = client.situation().queue[0].holder.pid
    ahead = next(each for each in waiters if each.pid == ahead_pid)
    behind = next(each for each in waiters if each is not ahead)
    ahead.kill()
    until(lambda now: [each.holder.pid for each in now.queue] == [behind.pid])
    holds.says("release")
    until(lambda now: now.reservations and now.reservations[0].holder.pid == behind.pid)


PATIENT = """
import sys
from labnb.sharing import ReservationClient
client = ReservationClient(sys.argv[1])
try:
    client.reserve("psu", timeout=-1, on_wait=lambda wait: print("waits", flush=True))
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.readline()
"""


def test_an_interrupted_waiter_leaves_the_queue_and_goes_on_living(client, service, program, until):
    held = client.reserve("psu")
    patient = program(PATIENT, service.address)
    assert patient.reads() == "waits"
    patient.process.send_signal(signal.SIGINT)
    assert patient.reads() == "interrupted"
    until(lambda now: not now.queue)
    held.release()
    assert client.situation().reservations == ()
    assert patient.process.poll() is None


def test_a_waiter_whose_call_is_cancelled_leaves_the_queue(client, channel, pin_map, until):
    held = client.reserve("dmm1")
    request = session_messages.ReserveSessionsRequest(
        pin_map_context={"pin_map_id": pin_map}, pin_or_relay_names=["Sense"], timeout_in_milliseconds=-1
    )
    waiting = procedures(channel, SESSION_SERVICE)["ReserveSessions"].future(request)
    until(lambda now: now.queue)
    waiting.cancel()
    until(lambda now: not now.queue)
    held.release()
    assert client.situation().reservations == ()


def test_eight_processes_get_their_turns_in_the_order_in_which_they_came(client, holder, until):
    mine = client.reserve("psu")
    came = []
    for count in range(1, 9):
        came.append(holder("psu"))
        until(lambda now, count=count: len(now.queue) == count)
    positions = [each.holder.pid for each in client.situation().queue]
    assert positions == [each.pid for each in came]
    mine.release()
    served = []
    for each in came:
        now = until(lambda now: now.reservations)
        served.append(now.reservations[0].holder.pid)
        assert served[-1] == each.pid
        each.says("release")
        until(lambda now, pid=each.pid: not any(held.holder.pid == pid for held in now.reservations))
    assert served == positions


def test_a_late_release_does_not_free_who_came_after(client, holder, until):
    stale = holder("psu")
    token = stale.reads().split()[1]
    client.force_release(token)
    mine = client.reserve("psu", timeout=5)
    stale.says("release")
    assert stale.reads() == "", "its own release is refused, and its program ends with the error"
    assert client.situation().reservations[0].token == mine.token


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_restart_keeps_living_holds_and_drops_dead_ones(process_service, holder_at, how):
    living = holder_at(process_service.address, "psu")
    dead = holder_at(process_service.address, "dmm")
    token = living.reads().split()[1]
    dead.reads()
    process_service.end(how)
    dead.kill()
    process_service.start(int(process_service.address.rpartition(":")[2]))
    with ReservationClient(process_service.address) as client:
        assert [(each.token, each.resources) for each in client.situation().reservations] == [(token, ("psu",))]
        later = client.reserve("dmm")
        assert int(later.token) > int(token)
        living.says("release")
        assert living.reads() == "released"
        client.reserve("psu", timeout=5)


def test_a_holder_learns_after_a_restart_that_it_was_lost(process_service):
    with ReservationClient(process_service.address) as client, ReservationClient(process_service.address) as other:
        held, kept = client.reserve("psu"), client.reserve("dmm")
        lost = threading.Event()
        held.on_lost(lambda why: lost.set())
        process_service.restart()
        grpc.channel_ready_future(other._channel).result(20)
        other.force_release(held.token)
        assert lost.wait(20)
        with pytest.raises(ReservationLost):
            held.check()
        kept.check()
        kept.release()


def test_pin_maps_and_registered_sessions_survive_a_restart(process_service, full_map):
    with grpc.insecure_channel(process_service.address) as channel:
        context = PinMapContext(PinMapClient(grpc_channel=channel).update_pin_map(full_map), None)
        sessions = SessionManagementClient(grpc_channel=channel)
        reservation = sessions.reserve_session(context, "Sense")
        sessions.register_sessions([reservation.session_info])
        process_service.restart()
        grpc.channel_ready_future(channel).result(20)
        reservation.unreserve()
        assert sessions.reserve_session(context, "Sense").session_info.session_exists


def test_a_process_that_is_stopped_keeps_what_it_holds_and_goes_on(client, holder, until):
    stopped = holder("psu")
    stopped.reads()
    stopped.process.send_signal(signal.SIGSTOP)
    until(lambda now: state_of(stopped.pid) == "T")
    with pytest.raises(Reserved, match=f"process {stopped.pid}"):
        client.reserve("psu", timeout=0.3)  # longer than dead processes are looked for
    stopped.process.send_signal(signal.SIGCONT)
    stopped.says("release")
    assert stopped.reads() == "released"
    client.reserve("psu").release()


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


USER = """
import sys, time
from labnb.core import ReservationLost
from labnb.sharing import ReservationClient
held = ReservationClient(sys.argv[1]).reserve("psu")
print("holds", held.token, flush=True)
while True:
    try:
        held.check()
    except ReservationLost as error:
        print("refused", error, flush=True)
        break
    time.sleep(0.001)
"""


def test_what_was_taken_from_a_process_while_it_was_stopped_is_lost_when_it_goes_on(client, service, program, until):
    stopped = program(USER, service.address)
    token = stopped.reads().split()[1]
    stopped.process.send_signal(signal.SIGSTOP)
    until(lambda now: state_of(stopped.pid) == "T")
    client.force_release(token, "it slept")
    mine = client.reserve("psu")
    stopped.process.send_signal(signal.SIGCONT)
    assert "it slept" in stopped.reads()
    mine.release()


def test_a_waiter_whose_deadline_is_over_leaves_the_queue(client, channel, pin_map):
    held = client.reserve("dmm1")
    request = session_messages.ReserveSessionsRequest(
        pin_map_context={"pin_map_id": pin_map}, pin_or_relay_names=["Sense"], timeout_in_milliseconds=-1
    )
    with pytest.raises(grpc.RpcError) as over:
        procedures(channel, SESSION_SERVICE)["ReserveSessions"](request, timeout=0.2)
    assert over.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    situations = client.watch()
    next(now for now in situations if not now.queue)
    situations.close()
    held.release()
    assert client.situation().reservations == ()


async def test_a_thousand_who_wait_are_served_and_hold_up_nobody(service):
    async with AsyncReservationClient(service.address) as one, AsyncReservationClient(service.address) as many:
        held = await one.reserve("psu")
        served, queued = [], asyncio.Event()
        count = itertools.count(1)

        async def take_turn(number):
            async with await many.reserve("psu", timeout=-1, on_wait=lambda _: next(count) < 1000 or queued.set()):
                served.append(number)

        turns = [asyncio.create_task(take_turn(number)) for number in range(1000)]
        async with asyncio.timeout(30):
            await queued.wait()
            assert len((await one.situation()).queue) == 1000
            began = time.monotonic()
            await (await one.reserve("dmm")).release()
            took_s = time.monotonic() - began
            await held.release()
            while len(served) < 50:
                await asyncio.sleep(0.001)
        for turn in turns:
            turn.cancel()
        await asyncio.wait(turns)
        assert len(set(served)) == len(served) >= 50
        assert took_s < 1


BENCH = """
simulate: true
clock: skip
reserve: true
instruments:
  psu: {profile: keysight/EDU36311A, address: "USB0::0x2A8D::0x8F01::CLOSING::INSTR"}
"""
KERNEL = """
import asyncio, sys
from labnb.session import Bench
async def main():
    async with await Bench.open(sys.argv[1]) as bench:
        print("holds", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    print("closed", flush=True)
asyncio.run(main())
"""


def test_kernels_that_close_at_the_same_moment_leave_nothing_reserved(process_service, program, tmp_path, monkeypatch):
    monkeypatch.setenv("LABNB_SHARING", str(process_service.folder))
    (tmp_path / "bench.yaml").write_text(BENCH)
    kernels = [program(KERNEL, str(tmp_path / "bench.yaml")) for _ in range(2)]
    with ReservationClient() as client:
        situations = client.watch()
        next(now for now in situations if len(now.reservations) == 1 and len(now.queue) == 1)
        for kernel in kernels:
            kernel.says("close")
        for kernel in kernels:
            assert "closed" in kernel.process.stdout.read()
            assert kernel.process.wait(20) == 0
        next(now for now in situations if not now.reservations and not now.queue)
        situations.close()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_kernels_that_are_ended_at_the_same_moment_leave_nothing_reserved(
    process_service, program, tmp_path, monkeypatch, end
):
    monkeypatch.setenv("LABNB_SHARING", str(process_service.folder))
    (tmp_path / "bench.yaml").write_text(BENCH)
    kernels = [program(KERNEL, str(tmp_path / "bench.yaml")) for _ in range(2)]
    with ReservationClient() as client:
        situations = client.watch()
        next(now for now in situations if len(now.reservations) == 1 and len(now.queue) == 1)
        for kernel in kernels:
            kernel.process.send_signal(end)
        next(now for now in situations if not now.reservations and not now.queue)
        situations.close()
