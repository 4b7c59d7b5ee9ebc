"""Virtual time: who waits costs nothing, who works is waited for, and a second run does the same at the same times."""

import asyncio
import hashlib
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.core import Flag, LabnbError, LifecycleError, LinkTimeout, present_clock
from labnb.instruments import Instrument as Driver
from labnb.instruments import Lane, Meta, Parameter, connect, live_instruments
from labnb.instruments.action import Polled
from labnb.instruments.connect import connect_async
from labnb.sim import OVEN_ADDRESS, Bench, Instrument, VirtualLoop, command, find_bench, run_virtual

PSU, DMM, OVEN = "keysight/EDU36311A", "keysight/34470A", "labnb/TC100"


class Slow(Instrument):
    """An instrument that needs 10 s for everything it is told."""

    setting_time_s = 10.0

    @command("MOVE")
    def _move(self, call):
        """Move."""


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and thread.name.startswith("labnb")]
    for thread in left:
        thread.join(2)
    assert not [thread for thread in left if thread.is_alive()]


def now_ns():
    return present_clock().monotonic_ns()


# ---- time


@pytest.mark.speed
def test_a_day_of_waiting_is_over_in_a_moment_and_is_exactly_a_day():
    async def main():
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    begun = time.perf_counter()
    assert run_virtual(main()) == 86_400.0
    assert time.perf_counter() - begun < 1


def test_time_begins_at_the_epoch_that_was_asked_for_and_every_stamp_is_of_it():
    async def main():
        await asyncio.sleep(0.25)
        dmm = connect(DMM, simulate=True, name="dmm")
        reading = await dmm.measure_voltage_dc()
        stamp = present_clock().time_ns() / 1e9
        dmm.close()
        return reading.timestamp, stamp

    epoch = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    taken, stamp = run_virtual(main(), epoch=epoch)
    assert taken == stamp
    assert epoch.timestamp() + 0.25 < taken < epoch.timestamp() + 1


def test_timers_fire_in_the_order_of_their_times_and_at_them():
    seen = []

    async def wake(after):
        await asyncio.sleep(after)
        seen.append((after, asyncio.get_running_loop().time()))

    async def main():
        async with asyncio.TaskGroup() as group:
            for after in (0.3, 0.1, 7.0, 0.2, 0.1):
                group.create_task(wake(after))

    run_virtual(main())
    assert seen == [(0.1, 0.1), (0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (7.0, 7.0)]


def test_a_loop_that_waits_for_the_rest_of_its_time_ends_however_the_numbers_round():
    async def main():
        loop, flag, bench = asyncio.get_running_loop(), Flag(), Bench()
        for k in range(1, 200):
            deadline = loop.time() + 0.1 / k
            while (left := deadline - loop.time()) > 0:
                await asyncio.sleep(left)
            assert not await asyncio.to_thread(flag.wait, 0.2 / k)
            await asyncio.to_thread(bench.wait, 0.3 / k)
        return loop.time()

    assert run_virtual(main()) == pytest.approx(sum(0.6 / k for k in range(1, 200)), abs=1e-6)


def test_a_bench_that_is_made_outside_keeps_its_own_time():
    bench = Bench(clock="skip")

    async def main():
        bench.wait(5.0)
        return now_ns()

    assert run_virtual(main()) == 0
    assert bench.now == 5.0


# ---- lanes


def two_lanes():
    bench = Bench()
    ports = [bench.port(Slow(bench, name, f"GPIB0::{k}::INSTR").name) for k, name in enumerate(("a", "b"), 1)]
    return ports, [Lane("a"), Lane("b")]


def move(port):
    assert port.send(b"MOVE", end=True, timeout_s=60.0) == "end"


@pytest.mark.speed
def test_two_instruments_that_need_ten_seconds_each_are_set_together_in_ten_seconds_exactly():
    async def main():
        ports, lanes = two_lanes()
        await asyncio.gather(*(lane.run(move, port) for lane, port in zip(lanes, ports, strict=True)))
        together = now_ns()
        await asyncio.gather(*(lanes[0].run(move, port) for port in ports))
        for lane in lanes:
            lane.close()
        return together, now_ns()

    begun = time.perf_counter()
    assert run_virtual(main()) == (10_000_000_000, 30_000_000_000)  # on one connection they follow each other
    assert time.perf_counter() - begun < 1


def test_a_call_that_blocks_the_loops_own_thread_lets_time_go_on():
    async def main():
        ports, lanes = two_lanes()
        jobs = [lane.submit(move, port) for lane, port in zip(lanes, ports, strict=True)]
        jobs[0].wait()
        first = now_ns()
        jobs[1].wait()
        with pytest.raises(LinkTimeout):
            lanes[0].submit(move, ports[0]).wait(2.5)
        given_up = now_ns()
        for lane in lanes:
            lane.close()  # which finishes what was begun
        return first, given_up, now_ns()

    assert run_virtual(main()) == (10_000_000_000, 12_500_000_000, 20_000_000_000)


def test_a_cancelled_wait_leaves_the_exchange_whole_and_the_end_waits_for_it():
    done = []

    def exchange(port):
        move(port)
        done.append(now_ns())

    async def main():
        ports, lanes = two_lanes()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await lanes[0].run(exchange, ports[0])
        assert now_ns() == 2_000_000_000
        return lanes

    lanes = run_virtual(main())
    assert done == [10_000_000_000]
    for lane in lanes:
        lane.close()


def test_a_wait_for_a_condition_gives_up_in_virtual_time():
    async def main():
        lane = Lane("polled")
        with pytest.raises(LinkTimeout):
            await Polled(lane, lambda: False, 30.0, "not ready")
        awaited = now_ns()
        with pytest.raises(LinkTimeout):
            await asyncio.to_thread(Polled(lane, lambda: False, 30.0, "not ready").result)
        lane.close()
        return awaited, now_ns() - awaited

    for spent in run_virtual(main()):
        assert 30.0e9 <= spent < 30.1e9


class Oven(Driver):
    """The demo bench's oven, heated slowly."""

    models = ("TC100",)
    setpoint = Parameter("SETP {:.3f}", "SETP?", unit="K", max_rate=0.5)


@pytest.mark.parametrize("blocking", [False, True])
def test_a_slow_way_to_a_value_takes_its_time_and_no_more(blocking):
    async def main():
        oven = await connect_async(OVEN_ADDRESS, simulate=True, driver=Oven, name="oven")
        start = float(await oven.query("SETP?"))
        begun = now_ns()
        if blocking:
            await asyncio.to_thread(lambda: oven.setpoint.set(start + 30).result())
        else:
            await oven.setpoint.set(start + 30)
        spent = (now_ns() - begun) / 1e9
        await asyncio.to_thread(oven.close)
        return spent

    assert run_virtual(main()) == pytest.approx(60, abs=0.5)


def test_instruments_that_are_connected_at_the_same_time_do_not_block_each_other_for_ever():
    async def main():
        found = await asyncio.gather(*(connect_async(key, simulate=True, name=key[-3:]) for key in (PSU, DMM, OVEN)))
        assert live_instruments() == tuple(found)
        for instrument in found:
            await asyncio.to_thread(instrument.close)

    run_virtual(main())


def test_every_loop_has_benches_and_instruments_of_its_own():
    async def main():
        psu = await connect_async(PSU, simulate=True, name="psu")
        begun = await psu.query("VOLT? (@1)"), find_bench("demo").now
        await psu.channel(1).set(voltage=1.0).on()
        return psu, find_bench("demo"), begun

    first, first_bench, begun = run_virtual(main())
    second, second_bench, again = run_virtual(main())
    assert first is not second
    assert first_bench is not second_bench
    assert begun == again
    assert live_instruments() == ()
    for psu in (first, second):
        psu.make_safe_now()  # its loop has ended: what is left waits for nobody
        psu.close()
    assert second_bench["psu"].output(1) is False


# ---- work


def work(_=None):
    hashlib.pbkdf2_hmac("sha256", b"", b"", 20_000)
    return present_clock().monotonic_ns()


@pytest.mark.parametrize("own", [False, True])
def test_time_stands_still_while_a_thread_works(own):
    async def main():
        loop, order = asyncio.get_running_loop(), []

        async def sleeper():
            await asyncio.sleep(1e-6)
            order.append("slept")

        async def worker(executor):
            await loop.run_in_executor(executor, work)
            order.append("worked")
            return now_ns()

        with ThreadPoolExecutor(1) as pool:
            ends = await asyncio.gather(worker(pool if own else None), sleeper())
        return order, ends[0]

    assert run_virtual(main()) == (["worked", "slept"], 0)


def test_a_thread_gives_its_result_and_its_error():
    def fail():
        raise ZeroDivisionError("as planned")

    async def main():
        assert await asyncio.to_thread(max, 3, 4) == 4
        with pytest.raises(ZeroDivisionError, match="as planned"):
            await asyncio.to_thread(fail)

    run_virtual(main())


def test_real_input_is_waited_for_where_no_time_is():
    async def main():
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        answering = threading.Thread(target=lambda: (work(), theirs.sendall(b"ready\n")))
        answering.start()
        line = await reader.readline()
        answering.join()
        writer.close()
        await writer.wait_closed()
        theirs.close()
        return line, now_ns()

    assert run_virtual(main()) == (b"ready\n", 0)


# ---- what cannot be


@pytest.mark.parametrize("future", [asyncio.Future, asyncio.futures._PyFuture])  # that of nest_asyncio too
def test_waiting_for_what_never_comes_is_an_error_that_says_who_waits(monkeypatch, future):
    monkeypatch.setattr(asyncio.futures, "Future", future)

    async def main():
        task = asyncio.create_task(asyncio.Event().wait(), name="hopeful")
        try:
            await task
        finally:
            await asyncio.sleep(1.0)  # cleaning up is still possible

    with pytest.raises(LabnbError, match=r"everything waits.*hopeful in wait \(.*locks\.py"):
        run_virtual(main())


def test_a_thread_that_waits_for_what_never_comes_is_an_error_and_is_let_go():
    outcome = []

    def hope():
        try:
            present_clock().latch().acquire()
        except LifecycleError as error:
            outcome.append(str(error))

    async def main():
        await asyncio.to_thread(hope)

    with pytest.raises(LabnbError, match="everything waits"):
        run_virtual(main())
    for thread in [thread for thread in threading.enumerate() if thread.name == "labnb virtual"]:
        thread.join(2)
    assert outcome == ["the virtual loop has ended; what this thread waits for will never come"]


def test_blocking_the_loop_for_what_never_comes_is_an_error():
    async def main():
        present_clock().latch().acquire()

    with pytest.raises(LabnbError, match="everything waits"):
        run_virtual(main())


def test_a_thread_that_takes_no_part_is_told_so_when_it_waits():
    caught = []

    def wait(bench):
        try:
            bench.wait(1.0)
        except LabnbError as error:
            caught.append(str(error))

    async def main():
        stranger = threading.Thread(target=wait, args=(Bench(),), name="stranger")
        stranger.start()
        stranger.join()

    run_virtual(main())
    assert caught
    assert "thread 'stranger' cannot wait in virtual time" in caught[0]
    assert "asyncio.to_thread" in caught[0]


async def test_where_a_loop_runs_already_it_says_what_to_do_instead():
    async def main():
        """Do nothing."""

    with pytest.raises(LifecycleError, match='clock="skip"'):
        run_virtual(main())


async def test_in_a_thread_of_its_own_it_works_beside_a_loop_that_runs():
    async def main():
        await asyncio.sleep(3600)
        return await asyncio.to_thread(now_ns)

    assert await asyncio.to_thread(run_virtual, main(), debug=True) == 3600_000_000_000


def test_ctrl_c_ends_it_while_a_lane_works():
    async def main():
        ports, lanes = two_lanes()
        try:
            await lanes[0].run(lambda: (os.kill(os.getpid(), signal.SIGINT), work(), move(ports[0])))
            await asyncio.Event().wait()
        finally:
            for lane in lanes:
                lane.close()

    with pytest.raises(KeyboardInterrupt):
        run_virtual(main())


def test_the_loop_alone_is_enough_for_who_brings_his_own_runner():
    async def main():
        assert isinstance(present_clock().monotonic(), float)
        await asyncio.sleep(3)
        return present_clock().monotonic()

    loop = VirtualLoop()
    try:
        assert loop.run_until_complete(main()) == 3.0
    finally:
        loop.close()


# ---- the same again

STEPS = st.lists(
    st.tuples(st.sampled_from(["sleep", "lane 0", "lane 1", "thread", "block", "turn"]), st.integers(0, 4)), max_size=6
)


class Trace:
    """Run `programs`, one task each, and keep what happens in which order and when."""

    def __init__(self, programs):
        self.seen = []
        run_virtual(self.main(programs))

    async def main(self, programs):
        self.bench, self.lanes = Bench(), (Lane("0"), Lane("1"))
        await asyncio.gather(*(self.task(name, program) for name, program in enumerate(programs)))
        for lane in self.lanes:
            lane.close()

    async def task(self, name, program):
        for k, (kind, tenths) in enumerate(program):
            await self.step(f"{name}.{k}", kind, tenths / 10)
            self.seen.append((name, k, now_ns()))

    async def step(self, name, kind, seconds):
        if kind in ("sleep", "turn"):
            await asyncio.sleep(seconds if kind == "sleep" else 0)
        elif kind == "thread":
            await asyncio.to_thread(self.busy, name, seconds)
        elif kind == "block":
            self.lanes[0].call(self.busy, name, seconds)
        else:
            await self.lanes[int(kind[-1])].run(self.busy, name, seconds)

    def busy(self, name, seconds):
        hashlib.pbkdf2_hmac("sha256", b"", b"", 1 + 100 * (len(self.seen) % 3))
        self.seen.append((name, "begins", now_ns()))
        self.bench.wait(seconds)
        self.seen.append((name, "ends", now_ns()))


@given(st.lists(STEPS, max_size=4))
@settings(max_examples=100, deadline=None)
def test_whatever_tasks_lanes_and_threads_do_they_do_it_again_in_the_same_order_at_the_same_times(programs):
    first = Trace(programs).seen
    assert Trace(programs).seen == first
    assert [when for *_, when in first] == sorted(when for *_, when in first)


def test_a_thread_that_looks_for_its_stop_flag_now_and_then_lets_time_go_on():
    async def main():
        stop, turns = Flag(), []

        def watch():
            while not stop.wait(0.5):
                turns.append(now_ns())

        watching = asyncio.create_task(asyncio.to_thread(watch))
        await asyncio.sleep(1.75)
        stop.set()
        await watching
        return turns, now_ns()

    assert run_virtual(main()) == ([500_000_000, 1_000_000_000, 1_500_000_000], 1_750_000_000)


class Mover:
    """A blocking driver of somebody's own: an instrument that needs 10 s for each move."""

    unit = "mm"

    def __init__(self, name, port):
        self.name, self.port, self.x = name, port, 0.0

    def set(self, value):
        move(self.port)
        self.x = value

    def get(self):
        return self.x


def test_a_meta_instrument_of_two_that_need_ten_seconds_each_needs_ten():
    async def main():
        ports, lanes = two_lanes()
        for lane in lanes:
            lane.close()
        with Meta("stage", both=[Mover("left", ports[0]), Mover("right", ports[1])]) as stage:
            await stage.both.set(0.25)
            return now_ns(), await stage.both.get()

    assert run_virtual(main()) == (10_000_000_000, (0.25, 0.25))


def test_a_meta_instrument_awaits_coroutine_members_at_the_same_time():
    class Gate:
        name, unit, x = "gate", "V", 0.0

        async def set(self, value):
            await asyncio.sleep(10)
            self.x = value

        async def get(self):
            return self.x

    async def main():
        with Meta("gates", both=[Gate(), Gate()]) as gates:
            await gates.both.set(0.25)
            return now_ns(), await gates.both.get()

    assert run_virtual(main()) == (10_000_000_000, (0.25, 0.25))
