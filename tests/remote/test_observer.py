"""The remote observer against the real server."""

import asyncio
import math
import socket
import threading
import time
import warnings

import pytest

from labnb import RemoteObserver
from labnb.core import LifecycleError, PlanError, RemoteError

TOKEN = "a-token-of-some-length"


@pytest.fixture
async def watch(serve):
    """Return a function that starts a server and an observer of it whose calls are made in a thread."""

    class Watch:
        def __init__(self, server, **options):
            self.observer = RemoteObserver("127.0.0.1", server.port, **options)

        async def start(self):
            await asyncio.to_thread(self.observer.start_recording)

        async def stop(self, **options):
            return await asyncio.to_thread(self.observer.stop_recording, **options)

    async def make(token=None):
        return Watch(await serve(token=token), token=token)

    return make


async def test_what_is_logged_meanwhile_is_recorded(watch, session):
    recorder = await watch(TOKEN)
    await recorder.start()
    times = [time.time() + 1e-3 * k for k in range(3)]
    for k, ts in enumerate(times):
        session.log(ts, a=float(k), b=math.nan if k == 1 else 10.0 * k)
    while time.time() < times[-1]:
        await asyncio.sleep(0.001)
    data = await recorder.stop()
    assert data.keys() == {"a", "b", "time", "gain"}
    assert data["time"] == times
    assert data["a"] == [0.0, 1.0, 2.0]
    assert math.isnan(data["b"][1])
    assert data["gain"] == 3.0
    assert await recorder.stop(reduce_time=False) == {
        "a": {"t": times, "value": [0.0, 1.0, 2.0]},
        "b": {"t": times, "value": pytest.approx([0.0, math.nan, 20.0], nan_ok=True)},
        "gain": 3.0,
    }


async def test_an_empty_window_gives_empty_lists(watch):
    recorder = await watch()
    await recorder.start()
    assert await recorder.stop() == {"a": [], "b": [], "time": [], "gain": 3.0}


async def test_a_session_without_variables_gives_an_empty_recording(watch, session):
    session.kept.clear()
    recorder = await watch()
    await recorder.start()
    assert await recorder.stop() == {"time": [], "gain": 3.0}


async def test_a_variable_that_appears_late_is_recorded_too(watch, session):
    recorder = await watch()
    await recorder.start()
    ts = time.time()
    session.log(ts, late=7.0)
    data = await recorder.stop()
    assert (data["late"], data["time"]) == ([7.0], [ts])
    assert math.isnan(data["a"][0])


async def test_unequal_times_are_joined_with_a_warning_and_nothing_moves(watch, session):
    recorder = await watch()
    await recorder.start()
    first = time.time()
    session.log(first, a=1.0)
    session.log(first, a=1.5)
    second = time.time()
    session.log(second, a=2.0, b=20.0)
    with pytest.warns(UserWarning, match="times of their own"):
        data = await recorder.stop()
    assert data["time"] == [first, first, second]
    assert data["a"] == [1.0, 1.5, 2.0]
    assert math.isnan(data["b"][0])
    assert math.isnan(data["b"][1])
    assert data["b"][2] == 20.0
    with pytest.warns(UserWarning, match="keeps an axis for each"):
        data = await recorder.stop(force_reduce_time=False)
    assert data["b"] == {"t": [second], "value": [20.0]}


async def test_what_is_logged_while_the_recording_is_fetched_does_not_tear_it(watch, session):
    recorder = await watch()
    await recorder.start()
    before = time.time()
    session.log(before, a=1.0, b=2.0)
    # The next values come between two requests: each variable is asked for on its own.
    session.log(time.time() + 3600.0, a=5.0)
    with warnings.catch_warnings(action="error"):
        data = await recorder.stop()
    assert (data["a"], data["b"], data["time"]) == ([1.0], [2.0], [before])


async def test_names_that_collide_are_told(watch, session):
    recorder = await watch()
    session.values["a"] = 9.0
    await recorder.start()
    with pytest.warns(UserWarning, match="parameter 'a' has the name of a variable"):
        assert (await recorder.stop())["a"] == []
    del session.values["a"]
    session.log(time.time(), time=1.0)
    with pytest.warns(UserWarning, match="called 'time'"):
        assert (await recorder.stop())["time"]["value"] == [1.0]


async def test_stopping_before_starting_is_an_error(watch):
    with pytest.raises(LifecycleError, match="start_recording"):
        await (await watch()).stop()


async def test_a_missing_or_a_wrong_token_is_told(serve):
    server = await serve(token=TOKEN)
    for token, words in ((None, "asks for a token"), ("something else", "asks for another token")):
        with pytest.raises(RemoteError, match=words):
            await asyncio.to_thread(RemoteObserver("127.0.0.1", server.port, token).start_recording)
    whole = RemoteObserver(f"http://127.0.0.1:{server.port}/?token={TOKEN}")
    assert TOKEN not in repr(whole)
    assert (await asyncio.to_thread(whole.get_last_values))["b"] == -4.0


async def test_waiting_for_the_loop_that_it_blocks_is_refused(serve):
    server = await serve()
    with pytest.raises(LifecycleError, match="to_thread"):
        RemoteObserver("localhost", server.port).start_recording()


def test_nobody_there_is_told_with_what_to_check():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(RemoteError, match=rf"http://127.0.0.1:{port} does not answer: .*being monitored"):
        RemoteObserver("127.0.0.1", port).start_recording()


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'{"then": 1}', b'{"now": "soon"}', b""])
def test_another_server_is_told_apart(body):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RemoteError, match="does not speak as a session does"):
            RemoteObserver("127.0.0.1", listener.getsockname()[1]).start_recording()
        thread.join()


@pytest.mark.parametrize("host", ["", "two words", "https://lab", "lab:port", "lab:99999"])
def test_what_is_no_address_is_refused(host):
    with pytest.raises(PlanError, match="no address of a session"):
        RemoteObserver(host)


@pytest.mark.parametrize("host", ["::1", "[::1]", "http://[::1]:7000"])
def test_addresses_of_ipv6_are_understood(host):
    assert RemoteObserver(host, 7000)._address.url == "http://[::1]:7000"
