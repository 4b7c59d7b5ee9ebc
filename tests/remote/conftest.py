"""Servers of a plain session on free ports, and a client that sends bytes as they are."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from labnb.remote.server import MonitorServer
from labnb.testing.observed import PlainSession


@pytest.fixture
def session() -> PlainSession:
    session = PlainSession("bench 4")
    for k in range(5):
        session.log(1000.0 + k, a=0.5 * k, b=-1.0 * k)
    session.values = {"gain": 3.0, "_secret": 1.0}
    session.unit_of = {"a": "V"}
    return session


@pytest.fixture
async def serve(session: PlainSession) -> AsyncIterator[Callable[..., Awaitable[MonitorServer]]]:
    """Return a function that starts a server with the options given; all are closed at the end."""
    servers = []

    async def start(observed=None, **options):
        server = MonitorServer(observed or session, **{"port": 0, **options})
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.close()


class Answer:
    """What came back: status, headers (lower case), body."""

    def __init__(self, data: bytes):
        head, _, self.body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = dict(line.lower().split(": ", 1) for line in lines)
        if self.headers.get("transfer-encoding") == "chunked":
            self.body = _unchunked(self.body)

    def json(self):
        return json.loads(self.body)


def _unchunked(data: bytes) -> bytes:
    parts = []
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        parts.append(data[:length])
        data = data[length + 2 :]
    return b"".join(parts)


@pytest.fixture
def raw():
    """Return a function that sends bytes to a server and returns its first answer; the connection is then closed."""

    async def ask(server: MonitorServer, data: bytes, within_s: float = 5.0) -> Answer:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(data)
            async with asyncio.timeout(within_s):
                return Answer(await reader.read())
        finally:
            writer.close()

    return ask


@pytest.fixture
def get(raw):
    """Return a function that asks for a path as a well-behaved client does, with more headers if wanted."""

    async def ask(server, target, *headers, method="GET", body=b""):
        lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: close", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return await raw(server, "\r\n".join([*lines, "", ""]).encode() + body)

    return ask
