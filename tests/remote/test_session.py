"""A monitoring session and its server together."""

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

from labnb import AsyncSession, RemoteObserver
from labnb.core import PlanError, RemoteError
from labnb.testing.observed import ObservedContract


class TestAsyncSession(ObservedContract):
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path):
        self.folder = tmp_path
        self.made = []
        yield
        for session in self.made:
            session.close()

    def make_observed(self, request):
        self.made.append(AsyncSession("watched", verbose=False, store=self.folder))
        return self.made[-1]

    def log(self, observed, ts, values):
        observed._part().put(values, round(ts * 1e9), {})


@pytest.fixture
def sesn(tmp_path):
    with AsyncSession("s", verbose=False, store=tmp_path) as session:
        yield session


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


async def get(port, path):
    url = f"http://127.0.0.1:{port}{path}"
    return await asyncio.to_thread(lambda: json.loads(urllib.request.urlopen(url, timeout=5).read()))


async def log(sesn):
    sesn.add_entry(a=1.5)
    await sesn.sleep(0.01)


async def test_what_is_logged_is_served_and_the_port_is_free_for_the_next_monitor(sesn):
    port, seen = free_port(), []
    sesn.save_parameter(gain=3, _hidden=1)

    async def look():
        await sesn.sleep(0.1)
        seen.append((await get(port, "/api/logged_last_values"), await get(port, "/api/get_parameters")))
        sesn.ask_exit()

    for _ in range(2):
        await sesn.monitor(log, look(), server_port=port)
    assert [(values[0]["name"], values[0]["value"]) for values, _ in seen] == [("a", 1.5)] * 2
    assert seen[0][1] == {"gain": 3.0}


async def test_a_remote_observer_records_what_the_session_logs_meanwhile(sesn):
    port, got = free_port(), {}

    def observe():
        observer = RemoteObserver("127.0.0.1", port)
        observer.start_recording()
        time.sleep(0.3)
        got.update(observer.stop_recording(reduce_time=False))

    async def look():
        await sesn.sleep(0.1)
        await asyncio.to_thread(observe)
        sesn.ask_exit()

    await sesn.monitor(log, look(), server_port=port)
    times = sesn["a"][0]
    recorded = np.asarray(got["a"]["t"])
    assert len(recorded) > 5
    assert set(recorded) <= set(times.tolist())
    assert set(got["a"]["value"]) == {1.5}


async def test_a_port_that_is_taken_is_a_clear_error_and_no_task_begins(sesn):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RemoteError, match="choose another port"):
            await sesn.monitor(log, log(sesn), server_port=taken.getsockname()[1])
    assert sesn.logged_variables() == set()
    assert sesn.state() == "ended"
    with pytest.raises(PlanError, match="server_port"):
        await sesn.monitor(log, server_port="6913")


BUSY = """
import asyncio, sys, threading, time
from labnb import AsyncSession
lags, alone, n = [], [], 0
async def log(sesn):
    global n
    if not n:  # what is heavy to import is there before anything is logged
        assert {"aiohttp.web", "matplotlib.backends.backend_agg", "matplotlib.figure"} <= sys.modules.keys()
        global begin
        begin = time.monotonic()
    sesn.add_entry({f"v{i}": n for i in range(10)})
    n += 1
    await sesn.sleep(max(0.0, begin + 0.01 * n - time.monotonic()))
async def lag():
    before = time.perf_counter()
    await asyncio.sleep(0.005)
    lags.append(time.perf_counter() - before - 0.005)
async def idle(sesn):  # a loop of this process that has nothing else to do: what threads and the machine do to it
    while sesn.running:
        before = time.perf_counter()
        await asyncio.sleep(0.005)
        alone.append(time.perf_counter() - before - 0.005)
async def end(sesn):
    beside = threading.Thread(target=asyncio.run, args=(idle(sesn),))
    beside.start()
    await asyncio.sleep(3)
    sesn.ask_exit()
    await asyncio.to_thread(beside.join)
def p99(found):
    return sorted(found)[int(0.99 * len(found))]
with AsyncSession("busy", verbose=False, store=sys.argv[1]) as sesn:
    asyncio.run(sesn.monitor(log, lag, end(sesn), sesn.plot(["v0", "v1"]), server_port=0))
with AsyncSession("busy", verbose=False, store=sys.argv[1]) as sesn:
    assert all(sesn[f"v{i}"][1].tolist() == list(range(n)) for i in range(10))
print(n, p99(lags), p99(alone))
"""


@pytest.mark.speed
def test_ten_variables_at_100_hz_are_all_kept_and_the_loop_is_never_held_up(tmp_path):
    done = subprocess.run([sys.executable, "-c", BUSY, tmp_path], capture_output=True, text=True, check=True)
    count, lag_p99_s, baseline_s = done.stdout.split()
    assert int(count) >= 290
    assert float(lag_p99_s) < 0.02 + float(baseline_s)


STOPPED = """
import asyncio, signal, sys, time
from labnb import AsyncSession
async def log(sesn):
    sesn.add_entry(a=1.0)
    await sesn.sleep(1000)
with AsyncSession("s", verbose=False, store=sys.argv[1]) as sesn:
    async def say():
        print("up", flush=True)
    asyncio.run(sesn.monitor(log, say(), server_port=int(sys.argv[2])))
    print("ended", flush=True)
"""


@pytest.mark.speed
def test_ctrl_c_ends_a_session_within_0_3_s_while_browsers_look_on(tmp_path):
    import signal

    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", STOPPED, tmp_path, str(port)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "up\n"
    streams = [urllib.request.urlopen(f"http://127.0.0.1:{port}/api/stream", timeout=5) for _ in range(3)]
    for stream in streams:
        stream.readline()
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "ended\n"
    took = time.monotonic() - begin
    process.communicate(timeout=20)
    for stream in streams:
        stream.close()
    assert took < 0.3
