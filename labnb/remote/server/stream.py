"""How a browser follows a session: one full snapshot, then what has been logged since, four times a second.

Nothing is queued for anybody: each browser has a cursor, and takes what the session holds beyond it when its connection
has room again. So a slow one costs no memory, and one that was away for long gets the same few points as a new one.
What is much is read, thinned and written as JSON in a thread.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

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
_LITTLE = 2000
"""Points that are sent without the help of a thread: 2 ms of work."""
_PIECE = 1 << 16
_ENDED = b"event: end\ndata: {}\n\n"

Curves = dict[str, tuple[Floats, Floats]]


@dataclass(slots=True)
class Cursor:
    """How far one browser has come: the place of the next entry of each variable. `since` is how far back it looks."""

    observed: Observed
    since: float
    ending: Callable[[], bool] = lambda: False
    _places: dict[str, int] = field(default_factory=dict[str, int])

    def is_close(self) -> bool:
        """Whether there is so little to take, and in memory, that it may be done on the loop."""
        names = self.observed.logged_variables()
        if not names <= self._places.keys():
            return False
        return sum(self.observed.logged_count(name) - self._places[name] for name in names) <= _LITTLE

    def take(self) -> Curves:
        """Return what is new, by variable; of a new variable what is not older than `since`, but its last point."""
        fresh: Curves = {}
        for name in sorted(self.observed.logged_variables()):
            end = self.observed.logged_count(name)
            begin = self._places.get(name, -1)
            if begin < 0:
                begin = max(0, min(self.observed.place_from(name, self.since), end - 1))
            if begin < end:
                fresh[name] = thin(self._reader(name), begin, end)
            self._places[name] = end
        return fresh

    def _reader(self, name: str) -> Callable[[int, int], tuple[Floats, Floats]]:
        def read(begin: int, end: int) -> tuple[Floats, Floats]:
            if end - begin > _LITTLE and self.ending():
                raise ConnectionResetError("the session ends; nobody waits for its history")
            return self.observed.logged_piece(name, begin, end)

        return read


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

                async def put(data: bytes) -> None:
                    for begin in range(0, len(data), _PIECE):
                        await send(request, response, data[begin : begin + _PIECE])

                await self._follow(window, put)
            return response
        finally:
            self._count -= 1

    async def _follow(self, window: float, put: Callable[[bytes], Awaitable[None]]) -> None:
        cursor = Cursor(self._observed, self._now() - window, self._end.is_set)
        shown = self._facts()
        whole = {"window": None if math.isinf(window) else window, **shown}
        await put(await asyncio.to_thread(self._event, "snapshot", whole, cursor))
        quiet, ended = 0.0, False
        while not ended:
            # What was logged last is sent before the end is.
            ended = await self._ends_within(TICK_S)
            facts = self._facts()
            changed = {key: value for key, value in facts.items() if shown.get(key) != value}
            shown, quiet = facts, quiet + TICK_S
            event = await self._news(changed, cursor, anyhow=quiet >= HEARTBEAT_S)
            if event:
                await put(event)
                quiet = 0.0
        await put(_ENDED)

    async def _news(self, changed: dict[str, Sendable], cursor: Cursor, *, anyhow: bool) -> bytes:
        """Return what is new, or nothing."""
        if not cursor.is_close():
            return await asyncio.to_thread(self._event, "change", changed, cursor)
        curves = cursor.take()
        return self._text("change", changed, curves) if curves or changed or anyhow else b""

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
            "alarms": session.alarms(),
            "runs": sorted(session.stores()),
        }

    def _event(self, kind: str, facts: dict[str, Sendable], cursor: Cursor) -> bytes:
        return self._text(kind, facts, cursor.take())

    def _text(self, kind: str, facts: dict[str, Sendable], curves: Curves) -> bytes:
        variables: list[Sendable] = [{"name": name, "t": ts, "v": values} for name, (ts, values) in curves.items()]
        text = json_text({"now": self._now(), **facts, "variables": variables})
        return f"event: {kind}\ndata: {text}\n\n".encode()


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
