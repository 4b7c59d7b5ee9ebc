"""How a body is performed: as one task group, on this loop or in a lane of its own, until it ends in one of four ways."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from typing import cast

from labnb.core import Event, LabnbError
from labnb.instruments import Lane
from labnb.session._gate import Halted, Interrupted, Order
from labnb.session.job import AwaitingBody, BlockingBody, Job
from labnb.session.steps import Steps

Outcome = tuple[Event, BaseException | None]


class Performance:
    """One body under way. `perform` never raises: it says how the body ended."""

    def __init__(
        self, job: Job, steps: Steps, lane: Lane, companions: tuple[Callable[[], Awaitable[None]], ...]
    ) -> None:
        self._job, self._steps, self._lane, self._companions = job, steps, lane, companions
        self._body: asyncio.Task[None] | None = None
        self._cut = False

    def cut(self) -> None:
        """Break off what the body awaits, because it shall stop. A blocking body leaves at its next point anyway."""
        if self._body is not None and self._job.awaiting and not self._body.done():
            self._cut = True
            self._body.cancel()

    async def perform(self) -> Outcome:
        """Run the body and its companions; all have ended when this returns."""
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(_run(companion)) for companion in self._companions]
                self._body = group.create_task(self._acquire())
                await asyncio.wait([self._body])
                for task in beside:
                    task.cancel()
        except asyncio.CancelledError:
            return Event.CANCEL, None
        except BaseExceptionGroup as errors:
            return _judge(_first_of(errors))
        if self._body.cancelled():
            return (Event.HALT if self._cut else Event.CANCEL), None
        return Event.COMPLETE, None

    async def _acquire(self) -> None:
        if not self._job.awaiting:
            await self._follow_thread()
            return
        with _translated():
            await cast(AwaitingBody, self._job.body)(self._steps)
            self._steps.finish()

    def _block(self) -> None:
        with _translated():
            cast(BlockingBody, self._job.body)(self._steps)
            self._steps.finish()

    async def _follow_thread(self) -> None:
        """Wait for the body's thread; cancelling stops it at its next point, for a thread cannot be cut."""
        thread = asyncio.ensure_future(self._lane.run(self._block))
        cancelled = False
        while not thread.done():
            try:
                await asyncio.wait([thread])
            except asyncio.CancelledError:
                cancelled = True
                self._steps.gate.give(Order.STOP)
        if cancelled and isinstance(thread.exception(), Halted):
            raise asyncio.CancelledError
        thread.result()


async def _run(companion: Callable[[], Awaitable[None]]) -> None:
    await companion()


def _judge(error: BaseException) -> Outcome:
    if isinstance(error, Interrupted):
        return Event.CANCEL, None
    if isinstance(error, Halted):
        return Event.HALT, None
    return Event.FAIL, error


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


@contextlib.contextmanager
def _translated() -> Generator[None]:
    """Turn what would end the event loop itself into what ends this run."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted from error
    except SystemExit as error:
        raise LabnbError("the body called exit(); to end a run early use break, or Stop") from error
