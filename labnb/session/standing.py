"""A background task that goes on by itself, beside whatever is measured, until somebody stops it."""

import asyncio
import contextlib
from collections.abc import Callable, Generator
from typing import Any, final

from labnb.core import LifecycleError
from labnb.instruments import Touched
from labnb.session import _active
from labnb.session._blocking import unbroken
from labnb.session._task import Task, companion_of


@final
class StandingTask:
    """One task under way. At its end the instruments that it used are made safe, unless a run uses them.

    Await it for its end; it raises what the task raised. `tell` is called with what went wrong meanwhile.
    """

    def __init__(self, task: Task, tell: Callable[[str], None]) -> None:
        self._task, self._tell = task, tell
        self._used: dict[Touched, None] = {}
        self._main: asyncio.Task[None] | None = None
        self.error: BaseException | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self._task.name

    @property
    def run_id(self) -> str:
        """What messages call it."""
        return f"task {self.name}"

    @property
    def going(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._main is not None and not self._main.done()

    def start(self) -> "StandingTask":
        """Begin on the running loop and return at once. Raises LifecycleError if it was started before."""
        if self._main is not None:
            raise LifecycleError(f"task {self.name!r} was started before; start it anew")
        _active.enter(self, self._used, shared=True)
        self._main = asyncio.get_running_loop().create_task(self._live(), name=f"labnb {self.run_id}")
        return self

    def stop(self) -> None:
        """Tell it to end; await it to wait for that. One that has ended stays as it is."""
        if self._main is not None and not self._main.done():
            self._main.get_loop().call_soon_threadsafe(self._main.cancel)

    def cancel(self) -> None:
        """Tell it to end, as `stop` does: it is ended by cancelling."""
        self.stop()

    def __await__(self) -> Generator[Any, None, None]:  # the protocol of await has Any
        return self._wait().__await__()

    async def _wait(self) -> None:
        if self._main is None:
            raise LifecycleError(f"task {self.name!r} has not been started")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(self._main)
        if not self._main.done():
            raise asyncio.CancelledError(f"nobody waits any more for task {self.name!r}, which goes on")
        if self.error is not None:
            raise self.error

    async def _live(self) -> None:
        """Go on until the end, then make safe; being stopped again does not cut that short."""
        companion = companion_of(self._task, {})
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await companion.accompany(self._used, self._tell)
            except BaseException as error:
                if not isinstance(error, asyncio.CancelledError):
                    self.error = error
                    self._tell(f"task {self.name!r} failed: {type(error).__name__}: {error}")
                    return
                raise
            finally:
                companion.end()
                await self._make_safe()

    async def _make_safe(self) -> None:
        failures = await unbroken(lambda: _active.make_all_safe(_active.take_own(self)))
        _active.leave(self)
        for failure in failures:
            self._tell(str(failure))

    def __repr__(self) -> str:
        state = "going" if self.going else "failed" if self.error else "not started" if self._main is None else "ended"
        return f"<task {self.name}: {state}>"
