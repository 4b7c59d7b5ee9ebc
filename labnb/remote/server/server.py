"""Opens the port and closes it; what is answered there stands in the modules beside."""

import asyncio
import errno
import json
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from labnb.core import LifecycleError, RemoteError, present_clock
from labnb.remote.here import served, unserved
from labnb.remote.observed import Observed
from labnb.remote.server.answers import BODY_LIMIT, Answers
from labnb.remote.server.gate import Refusal, gate_for
from labnb.remote.server.page import FREE, HEADERS, Page
from labnb.remote.server.stores import Stores
from labnb.remote.server.stream import Streams

IDLE_S = 15.0
"""How long a connection may stand without a whole request."""

_CLOSING_S = 0.25
_LINGERING_S = 1.0
"""How long a refused body is read, so that its sender comes to read the answer."""
_ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104  compared with, never bound to unasked


@final
class MonitorServer:
    """Shows `observed` at `http://host:port`, on the loop that awaits `start`; nothing can be changed through it.

    Only this computer reaches the default host. Another one (`"0.0.0.0"` for every network) asks each request for a
    token: `token`, or a random one that `start` prints, once. Port 0 is any free one.
    """

    def __init__(
        self, observed: Observed, *, host: str = "127.0.0.1", port: int = 6913, token: str | None = None
    ) -> None:
        self._observed = observed
        self._host = "127.0.0.1" if host == "localhost" else host.strip("[]")
        self._asked = port
        self._gate = gate_for(host, token)
        self._tell = token is None and self._gate.token is not None
        self._clock = present_clock()
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._busy: set[asyncio.Task[object]] = set()

    @property
    def port(self) -> int:
        """The port, once the server has started."""
        return self._port or self._asked

    @property
    def token(self) -> str | None:
        """What every request has to give; None on the loopback unless one was chosen."""
        return self._gate.token

    @property
    def url(self) -> str:
        """Where a browser finds the page; without the token."""
        name = socket.gethostname() if self._host in _ANYWHERE else self._host
        return f"http://[{name}]:{self.port}" if ":" in name else f"http://{name}:{self.port}"

    async def start(self) -> None:
        """Open the port. Raises RemoteError if it is taken, LifecycleError if this server is open."""
        if self._runner is not None:
            raise LifecycleError(f"the server at {self.url} has started already")
        streams = Streams(self._observed, self._now)
        runner = web.AppRunner(
            self._app(streams),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=IDLE_S,
            shutdown_timeout=_CLOSING_S,
            lingering_time=0,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._asked).start()
        except OSError as error:
            await runner.cleanup()
            raise RemoteError(
                f"the page of session {self._observed.name!r} cannot be served at {self._host}, port {self._asked}: "
                f"{error.strerror or error}; {_advice(error)}"
            ) from error
        self._runner, self._port = runner, int(runner.addresses[0][1])
        served(self._port, asyncio.get_running_loop())
        if self._tell:
            print(f"Session {self._observed.name!r} is shown at {self.url}/?token={self.token}")  # noqa: T201  told once

    async def close(self) -> None:
        """End every stream and give the port back; a server that is closed stays so."""
        runner, self._runner = self._runner, None
        if runner is not None:
            unserved(self._port)
            await runner.cleanup()
            # aiohttp forgets the handler of a connection that is lost; none is left running, whatever it waits for.
            for task in self._busy:
                task.cancel()
            await asyncio.gather(*self._busy, return_exceptions=True)
            await asyncio.sleep(0)  # the connection's own task ends one turn after its handler's

    def _now(self) -> float:
        return self._clock.time_ns() / 1e9

    def _app(self, streams: Streams) -> web.Application:
        page = Page(self._observed)
        app = web.Application(middlewares=[self._guard(page)], client_max_size=BODY_LIMIT)
        for part in (Answers(self._observed, self._now), streams, Stores(self._observed), page):
            app.add_routes(part.routes())
        app.on_response_prepare.append(_add_headers)
        app.on_shutdown.append(_ending(streams))
        return app

    def _note_task(self) -> None:
        """Remember the task that answers at this connection, for as long as it lives."""
        task = asyncio.current_task()
        if task is not None and task not in self._busy:
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)

    def _guard(self, page: Page) -> Middleware:
        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            self._note_task()
            refusal = self._gate.refusal(
                request.raw_path,
                request.headers.getall("Host", []),
                _credentials(request),
                free=request.path.startswith(FREE) or request.path == "/favicon.ico",
            )
            if refusal is None and (request.content_length or 0) <= BODY_LIMIT:
                with suppress(web.HTTPRequestEntityTooLarge):
                    return await handler(request)
            if refusal is None:
                await _read_in_vain(request)
                refusal = Refusal(413, f"the body is longer than {BODY_LIMIT} bytes")
            return _refused(request, refusal, page)

        return guard


def _advice(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "host is an address of this computer: '127.0.0.1' for itself, '0.0.0.0' for every network"
    if error.errno == errno.EACCES:
        return "ports below 1024 are the system's; choose another one (0: any that is free)"
    return "choose another port (0: any that is free), or end who has this one"


async def _read_in_vain(request: web.Request) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGERING_S):
            while await request.content.readany():
                pass


def _credentials(request: web.Request) -> list[str]:
    given = request.query.getall("token", [])
    for header in request.headers.getall("Authorization", []):
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer":
            given.append(token.strip())
    return given


def _refused(request: web.Request, refusal: Refusal, page: Page) -> web.Response:
    if refusal.status == 401 and request.method == "GET" and not request.path.startswith("/api/"):
        response = page.answer(401)
    else:
        text = json.dumps({"error": refusal.reason})
        response = web.Response(status=refusal.status, text=text, content_type="application/json")
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    else:
        response.force_close()
    return response


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
    response.headers.pop("Server", None)


def _ending(streams: Streams) -> Callable[[web.Application], Awaitable[None]]:
    async def end(_: web.Application) -> None:
        streams.end()

    return end
