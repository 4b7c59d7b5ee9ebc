"""Who tries what he should not: each against the real server, with bytes as an attacker sends them."""

import asyncio
import json
import os
import select
import socket
from contextlib import suppress

import pytest

from labnb.core import PlanError
from labnb.remote.server import MonitorServer, answers, stream
from labnb.remote.server import server as server_module
from labnb.remote.server.gate import gate_for, is_loopback
from labnb.remote.server.stores import inside

TOKEN = "a-token-of-some-length"
PATHS = ("/", "/plot/a", "/api/logged_last_values", "/api/server_current_ts", "/api/get_parameters", "/api/stream")


async def test_only_this_computer_is_served_unless_asked_otherwise(serve, session):
    assert MonitorServer(session).url == "http://127.0.0.1:6913"
    server = await serve()
    others = {info[4][0] for info in await asyncio.get_running_loop().getaddrinfo(os.uname().nodename, None)}
    for address in {a for a in others if not is_loopback(a)}:
        with pytest.raises(OSError, match=r".*"):
            await asyncio.open_connection(address, server.port)


async def test_another_host_gets_a_random_token_that_is_printed_once(serve, get, capsys):
    server = await serve(host="0.0.0.0")
    printed = capsys.readouterr().out
    assert printed.count(server.token) == 1
    assert f"/?token={server.token}" in printed
    assert len(server.token) >= 32
    assert server.token not in server.url + repr(server)
    other = await serve(host="0.0.0.0")
    assert other.token != server.token
    assert (await get(server, "/api/logged_last_values")).status == 401
    assert (await get(server, f"/api/logged_last_values?token={server.token}")).status == 200


@pytest.mark.parametrize("token", ["", "short"])
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_a_token_that_protects_nothing_is_refused(session, host, token):
    with pytest.raises(PlanError, match="8 characters"):
        MonitorServer(session, host=host, token=token)


@pytest.mark.parametrize("path", [*PATHS, "/api/runs/a.zarr/zarr.json", "/nowhere"])
async def test_without_the_token_nothing_of_the_session_is_told(serve, get, path):
    server = await serve(host="0.0.0.0", token=TOKEN)
    for headers in ((), ("Authorization: Bearer wrong-token-wrong",), (f"Authorization: Basic {TOKEN}",)):
        answer = await get(server, path, *headers)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "bearer"
        assert b"bench 4" not in answer.body
        assert b"gain" not in answer.body
    assert (await get(server, path + "?token=" + TOKEN[:-1])).status == 401
    assert (await get(server, path + "?token=%ff%fe")).status == 401


async def test_the_token_opens_as_header_and_in_the_address(serve, get):
    server = await serve(host="0.0.0.0", token=TOKEN)
    for path in set(PATHS) - {"/api/stream"}:
        assert (await get(server, path, f"Authorization: Bearer {TOKEN}")).status == 200
        assert (await get(server, f"{path}?token={TOKEN}")).status == 200
    assert (await get(server, "/assets/page.js")).status == 200


async def test_a_token_on_the_loopback_is_asked_for_too(serve, get, capsys):
    server = await serve(token=TOKEN)
    assert (await get(server, "/api/logged_last_values")).status == 401
    assert capsys.readouterr().out == ""


def test_tokens_are_compared_in_constant_time(monkeypatch):
    from labnb.remote.server import gate

    seen = []
    monkeypatch.setattr(gate.hmac, "compare_digest", lambda a, b: seen.append((a, b)) or False)
    assert gate.Gate(None, TOKEN).refusal("/", ["x"], ["guess"]).status == 401
    assert seen == [(b"guess", TOKEN.encode())]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:6913", "127.0.0.1.evil.example", "10.0.0.7", "localhostx"]
)
async def test_a_name_that_somebody_pointed_to_the_loopback_is_not_answered(serve, raw, host):
    server = await serve()
    for path in (*PATHS, "/assets/page.js"):
        answer = await raw(server, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert answer.status == 403
        assert b"bench 4" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8888", "[::1]:6913", "localhost."])
async def test_the_loopbacks_own_names_are_answered_through_any_forwarded_port(serve, raw, host):
    answer = await raw(await serve(), f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.status == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "GET / HTTP/1.1\r\nHost: \r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        "GET / HTTP/1.1\r\nHost: localhost@evil.example\r\n",
        "GET / HTTP/1.1\r\nHost: localhost/evil\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n",
        "GET http://localhost/api/get_parameters HTTP/1.1\r\nHost: evil.example\r\n",
        "GET / HTTP/1.1\r\nHost: local\x00host\r\n",
        "GET / HTTP/1.1\r\nHost : localhost\r\n",
        "CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n",
        "GARBAGE\r\n",
    ],
)
async def test_games_with_the_host_are_bad_requests(serve, raw, head):
    answer = await raw(await serve(), f"{head}Connection: close\r\n\r\n".encode())
    assert answer.status in (400, 403)
    assert b"gain" not in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_there_is_nothing_to_write_to(serve, get, method):
    server = await serve()
    for path in (*PATHS, "/api/runs/a.zarr/zarr.json", "/assets/page.js"):
        assert (await get(server, path, method=method, body=b"{}")).status in (404, 405)
    if method != "POST":
        assert (await get(server, "/api/data_from_ts", method=method, body=b"{}")).status == 405


@pytest.fixture
def hidden(session, tmp_path):
    """Put a store beside a file that is nobody's business, with links that lead out of it."""
    store = tmp_path / "data.zarr"
    store.mkdir()
    (store / "zarr.json").write_text('{"inside": true}')
    (store / "a").mkdir()
    (tmp_path / "secret").write_text("the secret")
    (store / "link").symlink_to(tmp_path / "secret")
    (store / "up").symlink_to(tmp_path)
    session.folders = {"r1": store}


@pytest.mark.parametrize(
    "key",
    [
        "../secret",
        "a/../../secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "%2e%2e%2fsecret",
        "..%5csecret",
        "%252e%252e/secret",
        "link",
        "up/secret",
        "/secret",
        "%2fetc%2fpasswd",
        "a",
        "a/",
        ".",
        "zarr.json/",
        "zarr.json%00.txt",
        "a" * 5000,
    ],
)
async def test_no_path_leads_out_of_a_store(serve, get, hidden, key):
    answer = await get(await serve(), f"/api/runs/r1.zarr/{key}")
    assert answer.status in (400, 404)
    assert b"secret" not in answer.body.replace(key.encode(), b"")


def test_a_key_of_zarr_is_a_plain_path(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "c.0").write_bytes(b"chunk")
    assert inside(tmp_path, "a/c.0") == (tmp_path / "a" / "c.0").resolve()
    for key in ("a/../a/c.0", "./a/c.0", "a//c.0", "/a/c.0", "a/c.0/", "a\\c.0", "a/c.0\0", ""):
        assert inside(tmp_path, key) is None


@pytest.mark.parametrize("hosts", [[], ["localhost", "localhost"], ["localhost", "evil.example"]])
def test_a_gate_wants_one_host(hosts):
    assert gate_for("127.0.0.1", None).refusal("/", ["localhost"], []) is None
    assert gate_for("127.0.0.1", None).refusal("/", hosts, []).status == 400


async def test_closing_does_not_wait_for_who_left_in_the_middle_of_a_body(serve):
    server = await serve()
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /api/data_from_ts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n{")
    while not server._busy:
        await asyncio.sleep(0)
    writer.close()
    await writer.wait_closed()
    while any(each.transport for each in server._runner.server.connections):
        await asyncio.sleep(0.001)
    async with asyncio.timeout(0.5):
        await server.close()


@pytest.mark.parametrize(
    "target",
    [
        "/assets/../server.py",
        "/assets/%2e%2e/server.py",
        "/assets/..%2fserver.py",
        "/assets/page.html",
        "/../etc/passwd",
    ],
)
async def test_no_path_leads_out_of_the_assets(serve, get, target):
    assert (await get(await serve(), target)).status == 404


async def test_the_free_assets_open_no_way_round_the_token(serve, get):
    server = await serve(token=TOKEN)
    for target in (
        "/assets/../api/get_parameters",
        "/assets/%2e%2e/api/get_parameters",
        "//assets/../api/get_parameters",
    ):
        answer = await get(server, target)
        assert answer.status in (401, 404)
        assert b"gain" not in answer.body


async def test_a_file_of_a_store_is_answered(serve, get, hidden):
    server = await serve()
    answer = await get(server, "/api/runs/r1.zarr/zarr.json")
    assert (answer.status, answer.json()) == (200, {"inside": True})
    assert (await get(server, "/api/runs/nobody.zarr/zarr.json")).status == 404


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'"a"',
        b"[" * 15_000,
        b'{"name": "a"}',
        b'{"last_ts": 0}',
        b'{"name": 5, "last_ts": 0}',
        b'{"name": ["a"], "last_ts": 0}',
        b'{"name": "a", "last_ts": "0"}',
        b'{"name": "a", "last_ts": null}',
        b'{"name": "a", "last_ts": true}',
        b'{"name": "a", "last_ts": NaN}',
        b'{"name": "a", "last_ts": 1e999}',
        b'{"name": "a", "last_ts": 1' + b"0" * 400 + b"}",
        b'{"name": "a", "last_ts": 1' + b"0" * 5000 + b"}",
    ],
)
async def test_a_broken_body_is_a_bad_request_with_its_reason(serve, get, body):
    server = await serve()
    answer = await get(server, "/api/data_from_ts", method="POST", body=body or b" ")
    assert answer.status == 400
    assert len(answer.json()["error"]) > 10
    assert (await get(server, "/api/server_current_ts")).status == 200


async def test_a_huge_body_is_refused_before_it_is_read(serve, raw):
    server = await serve()
    head = f"POST /api/data_from_ts HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Length: 10000000000\r\n\r\n"
    answer = await raw(server, head.encode(), within_s=20)
    assert answer.status == 413


async def test_a_huge_body_in_chunks_is_refused_too(serve):
    server = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /api/data_from_ts HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    writer.write(chunk * 4)
    assert b" 413 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()


async def test_a_huge_head_is_refused(serve, raw):
    server = await serve()
    for head in (f"GET /{'x' * 100_000} HTTP/1.1\r\n", f"GET / HTTP/1.1\r\nX: {'x' * 100_000}\r\n"):
        assert (await raw(server, f"{head}Host: localhost\r\nConnection: close\r\n\r\n".encode())).status == 400


async def test_a_head_that_never_ends_is_cut_off(serve, monkeypatch):
    monkeypatch.setattr(server_module, "IDLE_S", 0.3)
    server = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: loc")
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_head_that_comes_letter_by_letter_is_cut_off_all_the_same(serve, monkeypatch):
    monkeypatch.setattr(server_module, "IDLE_S", 0.3)
    server = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    async def trickle():
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    try:
        with suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
    finally:
        trickling.cancel()
        await asyncio.wait({trickling})
        writer.close()


async def test_a_hundred_connections_that_say_nothing_keep_nobody_out(serve, get, monkeypatch):
    monkeypatch.setattr(server_module, "IDLE_S", 0.3)
    server = await serve()
    silent = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(100)]
    assert (await get(server, "/api/server_current_ts")).status == 200
    for reader, writer in silent:
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_body_that_never_ends_is_cut_off(serve, raw, monkeypatch):
    monkeypatch.setattr(answers, "BODY_TIMEOUT_S", 0.2)
    server = await serve()
    head = f"POST /api/data_from_ts HTTP/1.1\r\nHost: localhost:{server.port}\r\nContent-Length: 100\r\n\r\n{{"
    answer = await raw(server, head.encode(), within_s=20)
    assert answer.status == 408


async def test_a_client_that_takes_nothing_is_cut_off(serve, session, monkeypatch):
    monkeypatch.setattr(answers, "SEND_TIMEOUT_S", 0.3)
    session.kept["long"] = ([float(k) for k in range(400_000)], [0.123456789] * 400_000)
    server = await serve()
    body = b'{"name":"long","last_ts":0}'
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        client.sendall(b"POST /api/data_from_ts HTTP/1.1\r\nHost: localhost\r\n")
        client.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert not await asyncio.to_thread(_cut_off, client, 0.2)
        assert await asyncio.to_thread(_cut_off, client, 10)


def _cut_off(client, within_s):
    """Whether the other side cuts the connection off; nothing is read."""
    poll = select.poll()
    poll.register(client, 0)  # hang-up and error are always told
    return bool(poll.poll(within_s * 1000))


async def test_more_browsers_than_there_is_room_for_are_asked_to_come_later(serve, get, monkeypatch):
    monkeypatch.setattr(stream, "STREAMS", 0)
    assert (await get(await serve(), "/api/stream")).status == 503


async def test_every_answer_forbids_what_is_not_ours(serve, get):
    server = await serve()
    for path in ("/", "/assets/page.js", "/api/get_parameters", "/nowhere"):
        headers = (await get(server, path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
    assert json.loads((await get(server, "/api/get_parameters")).body) == {"gain": 3.0}
