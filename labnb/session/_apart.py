"""A loop of its own in a thread: what runs on it does not stand still with the loop of whoever waits for it.

Not a lane: a lane does one thing after another, and what it starts in other lanes must not wait for what is queued
behind itself. A loop only awaits.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, Generic, TypeVar, final

from labnb.core import LifecycleError, have_threads

T = TypeVar("T")

_PATIENCE_S = 2.0  # how long tasks that the work has left behind may take to end


def check_apart(what: str) -> None:
    """Raise LifecycleError where no thread can be had for `what`: in a browser."""
    if not have_threads():
        raise LifecycleError(
            f"{what} was told to use a thread of its own (--thread), and Python in a browser has none: leave that out, "
            "or use a kernel on a computer"
        )


@final
class Apart(Generic[T]):
    """One piece of work, `make()`, on a loop in a thread called `name`. `run` waits for it from another loop."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]], name: str) -> None:
        self._make, self._name = make, name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[T] | None = None
        self._ended: asyncio.Future[None] | None = None

    def post(self, act: Callable[[], object]) -> None:
        """Call `act` on the loop of the work, soon; not any more once that has ended."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(act)

    async def run(self) -> T:
        """Do the work; return or raise what came of it. Being cancelled cancels the work and waits for its end."""
        here = asyncio.get_running_loop()
        self._ended, self._loop = here.create_future(), asyncio.new_event_loop()
        context = copy_context()  # what is printed goes to the cell that began it; what is used is noted by the run
        thread = threading.Thread(
            target=context.run, args=(self._serve, self._loop, here), name=self._name, daemon=True
        )
        thread.start()
        while not self._ended.done():
            try:
                await asyncio.shield(self._ended)
            except asyncio.CancelledError:
                self.post(self._cancel)
        thread.join()
        if self._task is None:
            raise asyncio.CancelledError
        return self._task.result()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _serve(self, loop: asyncio.AbstractEventLoop, waiting: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            self._task = loop.create_task(self._make(), name=self._name)
            loop.run_until_complete(asyncio.wait([self._task]))
            loop.run_until_complete(_end_others())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            asyncio.set_event_loop(None)
            loop.close()
            with contextlib.suppress(RuntimeError):  # the loop that waited was closed: nobody waits there any more
                waiting.call_soon_threadsafe(self._arrive)

    def _arrive(self) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


async def _end_others() -> None:
    """Cancel the tasks that the work has left behind, which end with their loop; wait for them, but not for ever."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_PATIENCE_S)
