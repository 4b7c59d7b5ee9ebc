"""What the API answers: the requests that remote observers have always made, word for word."""

import asyncio
import json
import math
import socket
import struct
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import cast

import numpy as np
from aiohttp import web

from labnb.core import Json
from labnb.remote.observed import Observed
from labnb.remote.server.thin import PIECE
from labnb.remote.wire import Floats, json_text, numbers_text

BODY_LIMIT = 16 * 1024
"""Bytes of a request at most; the longest sensible one names a variable and a time."""

BODY_TIMEOUT_S = 10.0
SEND_TIMEOUT_S = 30.0
"""How long a client may take nothing of an answer before it is cut off."""

_ROWS = 500  # a millisecond's work
_REST_S = 0.01
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


class Answers:
    """The session's numbers as answers; `now` gives the session's time in s since 1970."""

    def __init__(self, observed: Observed, now: Callable[[], float]) -> None:
        self._observed = observed
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return what is asked where."""
        return [
            web.get("/api/logged_last_values", self.last_values),
            web.get("/api/server_current_ts", self.current_ts),
            web.get("/api/get_parameters", self.parameters),
            web.post("/api/data_from_ts", self.data_from_ts),
        ]

    async def last_values(self, request: web.Request) -> web.Response:
        """Answer with each variable's newest value."""
        last = sorted(self._observed.logged_last_values().items())
        return _answer([{"name": name, "value": value, "datestr": date_text(ts)} for name, (ts, value) in last])

    async def current_ts(self, request: web.Request) -> web.Response:
        """Answer with the time by which values are stamped."""
        return _answer({"now": self._now()})

    async def parameters(self, request: web.Request) -> web.Response:
        """Answer with the parameters that are meant to be seen."""
        return _answer(visible(self._observed.parameters()))

    async def data_from_ts(self, request: web.Request) -> web.StreamResponse:
        """Answer with the points of one variable from a time on, piece by piece: there may be millions."""
        name, since = parse_request(await _body(request))
        response = web.StreamResponse(headers={"Content-Type": "application/json; charset=utf-8"})
        with suppress(ConnectionResetError):  # the client has gone: nobody to tell
            await response.prepare(request)
            await send(request, response, b"[")
            comma = ""
            async for rows in self._rows(name, since):
                begin = time.perf_counter()
                text = comma + numbers_text(rows)[1:-1]
                await send(request, response, text.encode())
                comma = ","
                # Half of the time is the session's own: also, a process that never rests is held up by its system.
                await asyncio.sleep(min(_REST_S, time.perf_counter() - begin))
            await send(request, response, b"]")
        return response

    async def _rows(self, name: str, since: float) -> AsyncGenerator[Floats]:
        """Yield rows of (time, value) of what was logged up to now, few at a time; they are read in a thread."""
        session = self._observed
        end = session.logged_count(name)
        if not end:
            return
        for begin in range(await asyncio.to_thread(session.place_from, name, since), end, PIECE):
            ts, values = await asyncio.to_thread(session.logged_piece, name, begin, min(begin + PIECE, end))
            rows = np.column_stack((ts, values))[ts >= since]
            for k in range(0, len(rows), _ROWS):
                yield rows[k : k + _ROWS]


def visible(parameters: dict[str, float]) -> dict[str, float]:
    """Return the parameters without those whose name starts with `_`."""
    return {name: value for name, value in parameters.items() if not name.startswith("_")}


def date_text(ts: float) -> str:
    """Return a time as people read it, in local time.

    >>> date_text(1795228990.0).startswith(("Friday", "Saturday"))
    True
    """
    try:
        local = datetime.fromtimestamp(ts, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return f"{ts} s after 1970"
    day, month = _DAYS[local.weekday()], _MONTHS[local.month - 1]
    return f"{day} {local:%d} {month} {local.year} - {local:%H:%M:%S} (UTC{local:%z})"


def parse_request(body: bytes) -> tuple[str, float]:
    """Return what `{"name": ..., "last_ts": ...}` asks for. Raises HTTPBadRequest with the reason."""
    try:
        asked = cast(Json, json.loads(body))
    except (ValueError, RecursionError) as error:
        raise _bad(f"the body is not JSON: {str(error) or type(error).__name__}") from error
    if not isinstance(asked, dict):
        raise _bad('the body has to be an object: {"name": "a", "last_ts": 0}')
    name, since = asked.get("name"), asked.get("last_ts")
    if not isinstance(name, str):
        raise _bad(f'"name" has to be the name of a variable, got {json.dumps(name)[:60]}')
    return name, _time(since)


def _time(since: Json) -> float:
    try:
        if not isinstance(since, bool) and isinstance(since, int | float) and math.isfinite(since):
            return float(since)
    except OverflowError:
        pass
    raise _bad(f'"last_ts" has to be a time in s since 1970, got {json.dumps(since)[:60]}')


def _bad(reason: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=json.dumps({"error": reason}), content_type="application/json")


async def _body(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        reason = json.dumps({"error": f"the body did not arrive within {BODY_TIMEOUT_S:g} s"})
        late = web.HTTPRequestTimeout(text=reason, content_type="application/json")
        late.force_close()
        raise late from None


async def send(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Send a piece of an answer; a client that takes nothing for SEND_TIMEOUT_S is cut off."""
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await response.write(data)
    except TimeoutError:
        _cut_off(request)
        raise ConnectionResetError("the client does not take its answer") from None


def _cut_off(request: web.Request) -> None:
    """Close a connection at once; what the system still holds for it is thrown away too (no time to linger)."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()


def _answer(value: object) -> web.Response:
    return web.Response(text=json_text(cast("list[None]", value)), content_type="application/json")
