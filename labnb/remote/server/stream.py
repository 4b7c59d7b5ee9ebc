"""How a browser follows a session: one full snapshot, then what has been logged since, four times a second.

Nothing is queued for anybody: each browser has a cursor, and takes what the session holds beyond it when its connection
has room again. So a slow one costs no memory, and one that was away for long gets the same few points as a new one.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from aiohttp import web

from labnb.remote.observed import Observed
from labnb.remote.server.answers import send, visible
from labnb.remote.server.thin import thin
from labnb.remote.wire import Floats, Sendable, json_text

TICK_S = 0.25
HEARTBEAT_S = 10.0
STREAMS = 64
"""As many browsers follow at once; one more is asked to come later."""

DEFAULT_WINDOW_S = 600.0
_ENDED = b"event: end\ndata: {}\n\n"


@dataclass(slots=True)
class Cursor:
    """How far one browser has come: of each variable the newest time that it has, and how many points of that time."""

    observed: Observed
    since: float
    _places: dict[str, tuple[float, int]] = field(default_factory=dict[str, tuple[float, int]])

    def take(self) -> dict[str, tuple[Floats, Floats]]:
        """Return what is new, by variable; of a new variable what is not older than `since`, but its last point."""
        fresh: dict[str, tuple[Floats, Floats]] = {}
        for name, (newest, _) in sorted(self.observed.logged_last_values().items()):
            begin, known = self._places.get(name, (min(self.since, newest), 0))
            ts, values = self.observed.logged_data_fromtimestamp(name, begin)
            # Points of one time may come one after the other: those of the newest time are counted.
            if len(ts) > known:
                last = float(ts[-1])
                self._places[name] = last, int(len(ts) - np.searchsorted(ts, last, "left"))
                fresh[name] = ts[known:], values[known:]
        return fresh


class Streams:
    """All browsers that follow; `end` closes their streams."""

    def __init__(self, observed: Observed, now: Callable[[], float]) -> None:
        self._observed = observed
        self._now = now
        self._end = asyncio.Event()
        self._count = 0

    def routes(self) -> list[web.RouteDef]:
        """Return what is asked where."""
        return [web.get("/api/stream", self.stream, allow_head=False)]

    def end(self) -> None:
        """Say goodbye to every browser."""
        self._end.set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer with events until the browser or the server goes."""
        window = _window(request.query.get("window", ""))
        if self._count >= STREAMS:
            raise web.HTTPServiceUnavailable(text=f"{STREAMS} browsers follow this session already; close one")
        self._count += 1
        try:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
            with suppress(ConnectionResetError):  # the browser has gone: nobody to tell
                await response.prepare(request)
                await self._follow(window, lambda data: send(request, response, data))
            return response
        finally:
            self._count -= 1

    async def _follow(self, window: float, put: Callable[[bytes], Awaitable[None]]) -> None:
        cursor = Cursor(self._observed, self._now() - window)
        shown = self._facts()
        whole = {"window": None if math.isinf(window) else window, **shown}
        await put(self._event("snapshot", whole, await _curves(cursor.take())))
        quiet, ended = 0.0, False
        while not ended:
            # What was logged last is sent before the end is.
            ended = await self._ends_within(TICK_S)
            facts = self._facts()
            changed = {key: value for key, value in facts.items() if shown.get(key) != value}
            curves = await _curves(cursor.take())
            shown, quiet = facts, quiet + TICK_S
            if curves or changed or quiet >= HEARTBEAT_S:
                await put(self._event("change", changed, curves))
                quiet = 0.0
        await put(_ENDED)

    async def _ends_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._end.wait()
        except TimeoutError:
            return False

    def _facts(self) -> dict[str, Sendable]:
        session = self._observed
        return {
            "name": session.name,
            "state": session.state(),
            "parameters": visible(session.parameters()),
            "units": session.units(),
            "runs": sorted(session.stores()),
        }

    def _event(self, kind: str, facts: dict[str, Sendable], curves: list[Sendable]) -> bytes:
        text = json_text({"now": self._now(), **facts, "variables": curves})
        return f"event: {kind}\ndata: {text}\n\n".encode()


async def _curves(fresh: dict[str, tuple[Floats, Floats]]) -> list[Sendable]:
    curves: list[Sendable] = []
    for name, (ts, values) in fresh.items():
        few_ts, few = await thin(ts, values)
        curves.append({"name": name, "t": few_ts, "v": few})
    return curves


def _window(text: str) -> float:
    """Return how many seconds back a browser wants to see; `all` is infinite. Raises HTTPBadRequest."""
    if text in ("", "all"):
        return math.inf if text else DEFAULT_WINDOW_S
    try:
        window = float(text)
    except ValueError:
        window = math.nan
    if not 0 < window < math.inf:
        raise web.HTTPBadRequest(text="window has to be a number of seconds, or all")
    return window
