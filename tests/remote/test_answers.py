"""What the API answers, word for word as remote observers have always had it."""

import json
import math
import re

import pytest

from labnb.core import LifecycleError, RemoteError, following
from labnb.core.clock import SystemClock
from labnb.remote.server import MonitorServer


class StoppedClock:
    """The system's clock, but that its wall time stands."""

    monotonic = staticmethod(SystemClock.monotonic)
    monotonic_ns = staticmethod(SystemClock.monotonic_ns)
    latch = staticmethod(SystemClock.latch)
    turn = staticmethod(SystemClock.turn)

    def time_ns(self):
        return 1795228991_139214000


async def test_last_values_have_name_value_and_a_date_for_people(serve, session, get):
    session.log(1795228990.0, a=0.627)
    answer = await get(await serve(), "/api/logged_last_values")
    assert answer.status == 200
    first, second = answer.json()
    assert (first["name"], first["value"]) == ("a", 0.627)
    assert re.fullmatch(r"(Friday 20|Saturday 21) November 2026 - \d\d:\d\d:10 \(UTC[+-]\d{4}\)", first["datestr"])
    assert (second["name"], second["value"]) == ("b", -4.0)


async def test_nan_is_null_and_an_infinity_stays_one(serve, session, get):
    session.log(2000.0, a=math.nan, b=-math.inf)
    session.values["limit"] = math.inf
    server = await serve()
    answer = await get(server, "/api/logged_last_values")
    assert b"NaN" not in answer.body
    assert b"Infinity" not in answer.body
    assert [each["value"] for each in answer.json()] == [None, -math.inf]
    assert (await get(server, "/api/get_parameters")).json()["limit"] == math.inf
    data = await get(server, "/api/data_from_ts", method="POST", body=b'{"name": "a", "last_ts": 1999}')
    assert data.body == b"[[2000.0,null]]"


async def test_the_time_is_that_of_the_stamps(serve, get):
    with following(StoppedClock()):
        server = await serve()
    assert (await get(server, "/api/server_current_ts")).json() == {"now": 1795228991.139214}


async def test_parameters_that_begin_with_an_underscore_are_hidden(serve, get):
    assert (await get(await serve(), "/api/get_parameters")).json() == {"gain": 3.0}


@pytest.mark.parametrize(("since", "expected"), [(0, 5), (1002, 3), (1002.0, 3), (1004.5, 0), (-1e300, 5)])
async def test_data_begin_at_the_time_asked_for(serve, get, since, expected):
    body = json.dumps({"name": "a", "last_ts": since}).encode()
    rows = (await get(await serve(), "/api/data_from_ts", method="POST", body=body)).json()
    assert rows == [[1000.0 + k, 0.5 * k] for k in range(5 - expected, 5)]


async def test_a_name_that_nobody_logged_has_no_data(serve, get):
    answer = await get(await serve(), "/api/data_from_ts", method="POST", body=b'{"name":"nobody","last_ts":0}')
    assert (answer.status, answer.json()) == (200, [])


async def test_a_long_history_arrives_whole(serve, session, get):
    for k in range(12_345):
        session.log(2000.0 + k, long=float(k))
    body = b'{"name":"long","last_ts":0}'
    rows = (await get(await serve(), "/api/data_from_ts", method="POST", body=body)).json()
    assert rows == [[2000.0 + k, float(k)] for k in range(12_345)]


async def test_names_of_any_letters_are_answered(serve, session, get):
    session.log(3000.0, **{'p "µ" </script>': 1.5})
    server = await serve()
    assert 'p "µ" </script>' in [each["name"] for each in (await get(server, "/api/logged_last_values")).json()]
    body = json.dumps({"name": 'p "µ" </script>', "last_ts": 0}).encode()
    assert (await get(server, "/api/data_from_ts", method="POST", body=body)).json() == [[3000.0, 1.5]]
    page = await get(server, "/plot/p%20%22%C2%B5%22%20%3C%2Fscript%3E")
    assert page.status == 200
    assert b'p "' not in page.body


async def test_the_port_can_be_had_again_at_once(serve, get):
    first = await serve()
    assert (await get(first, "/api/server_current_ts")).status == 200
    await first.close()
    await first.close()
    second = await serve(port=first.port)
    assert (await get(second, "/api/server_current_ts")).status == 200


async def test_a_port_that_is_taken_is_told_with_what_to_do(serve, session):
    server = await serve()
    with pytest.raises(RemoteError, match=rf"port {server.port}.*in use.*another port"):
        await MonitorServer(session, port=server.port).start()
    with pytest.raises(LifecycleError, match="started already"):
        await server.start()


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
async def test_a_host_that_is_not_of_this_computer_is_told_with_what_it_means(session, host):
    with pytest.raises(RemoteError, match=rf"at {host}, .*; host is an address of this computer"):
        await MonitorServer(session, host=host, port=0, token="a-token-of-some-length").start()


async def test_the_url_names_the_port_that_was_free(serve):
    server = await serve()
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert server.port > 0
