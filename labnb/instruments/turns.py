"""How a coroutine of a foreign driver becomes an action: begun at once, on the loop that the driver lives on.

What one channel is told is done one thing after another; other channels go on meanwhile. Nothing that has begun is
broken off: whoever waits may stop waiting.
"""

import asyncio
import contextlib
import inspect
import weakref
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

from labnb.core import LifecycleError, LinkTimeout
from labnb.instruments.action import Action, Deferred, done


class Turns:
    """The coroutines of one channel, in the order in which they were asked for.

    They run on the loop that was running when the channel was made, as long as that one runs, so that a body in a
    thread or on another loop may use them too; else on the caller's, and in a script on one of their own.
    """

    def __init__(self) -> None:
        here = running_loop()
        self._home = None if here is None else weakref.ref(here)
        self._order = asyncio.Lock()
        self._of: asyncio.AbstractEventLoop | None = None
        self._lost: BaseException | None = None

    def begin(self, work: Callable[[], Any]) -> Action[Any]:  # Any: a driver's own
        """Begin `work`. Raises, before that, what an earlier one failed with that nobody waited for."""
        if self._lost is not None:
            lost, self._lost = self._lost, None
            raise lost
        return self.force(work)

    def force(self, work: Callable[[], Any]) -> Action[Any]:  # Any: a driver's own
        """Begin `work` whatever happened before."""
        here, home = running_loop(), self._place()
        if home is None:
            return done(asyncio.run(self._in_turn(work)))
        if home is here:
            return Begun(self, home, home.create_task(self._in_turn(work)))
        far = asyncio.run_coroutine_threadsafe(self._in_turn(work), home)
        return done(far.result()) if here is None else Begun(self, here, asyncio.wrap_future(far, loop=here))

    def block(self, work: Callable[[], Any], timeout_s: float) -> None:
        """Do `work` and block for it, at the end of the process: its own loop may never go on. Raises LinkTimeout."""
        if running_loop() is not None:
            raise LifecycleError("a coroutine cannot be waited for in a thread whose event loop runs; await it")
        try:
            asyncio.run(asyncio.wait_for(settled(work()), timeout_s))
        except TimeoutError as error:
            raise LinkTimeout(f"not done within {timeout_s:g} s") from error

    def lose(self, error: BaseException) -> None:
        """Keep a failure for whoever comes next."""
        self._lost = error

    def _place(self) -> asyncio.AbstractEventLoop | None:
        home = None if self._home is None else self._home()
        return home if home is not None and home.is_running() else running_loop()

    async def _in_turn(self, work: Callable[[], Any]) -> Any:  # Any: a driver's own
        here = asyncio.get_running_loop()
        if self._of is not here:  # a lock belongs to one loop; the loop before has ended
            self._of, self._order = here, asyncio.Lock()
        async with self._order:
            return await settled(work())


class Begun(Deferred[Any]):
    """A coroutine under way."""

    __slots__ = ("__weakref__", "_claimed", "_future", "_loop", "_turns")

    def __init__(self, turns: Turns, loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Any]") -> None:
        self._turns, self._loop, self._future, self._claimed = turns, loop, future, False
        me = weakref.ref(self)

        def keep(ended: "asyncio.Future[Any]") -> None:
            action = me()
            error = None if ended.cancelled() else ended.exception()
            if error is not None and action is None:  # dropped before it ended
                turns.lose(error)

        future.add_done_callback(keep)

    def result(self) -> Any:
        """Return the result; block until it is there. On its own loop that would last for ever, so it raises there."""
        self._claimed = True
        if self._future.done():
            return self._future.result()
        if running_loop() is self._loop:
            raise LifecycleError("this is still under way on this event loop: write `await` before it")
        waiting: Future[Any] = asyncio.run_coroutine_threadsafe(settled(self._future), self._loop)
        return waiting.result()

    def __await__(self) -> Generator[Any, None, Any]:
        """Wait for the result; to stop waiting does not break it off."""
        self._claimed = True
        try:
            return (yield from asyncio.shield(self._future).__await__())
        except asyncio.CancelledError:
            self._claimed = self._future.done()
            raise

    def __del__(self) -> None:
        future = getattr(self, "_future", None)
        if future is None or self._claimed or not future.done() or future.cancelled():
            return
        if (error := future.exception()) is not None:
            self._turns.lose(error)


async def settled(value: Any) -> Any:  # Any: a driver's own
    """Return `value`, awaited as often as it asks for."""
    while inspect.isawaitable(value) and (result := await value) is not value:  # a reading gives itself
        value = result
    return value


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs in this thread, if one does."""
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None
