"""How a body is performed: as one task group, on this loop or in a lane of its own, until it ends in one of four ways."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Generator
from typing import cast

from labnb.core import Event, LabnbError
from labnb.instruments import Instrument, Lane, touching
from labnb.session._gate import Halted, Interrupted, Order
from labnb.session.job import AwaitingBody, BlockingBody, Job
from labnb.session.steps import Steps

Outcome = tuple[Event, BaseException | None]


class Performance:
    """One body under way. `perform` never raises: it says how the body ended. `used` gains what the body uses."""

    def __init__(
        self,
        job: Job,
        steps: Steps,
        lane: Lane,
        used: dict[Instrument, None],
        companions: tuple[Callable[[], Awaitable[None]], ...],
    ) -> None:
        self._job, self._steps, self._lane, self._used, self._companions = job, steps, lane, used, companions
        self._body: asyncio.Task[None] | None = None
        self._cut = self._cancelled = False

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
                await self._end_of(self._body)
                for task in beside:
                    task.cancel()
        except asyncio.CancelledError:
            return Event.CANCEL, None
        except BaseExceptionGroup as errors:
            return self._judge(errors.exceptions[0])
        return self._ended_quietly(self._body)

    async def _end_of(self, body: asyncio.Task[None]) -> None:
        """Wait for the body. If this is cancelled, a body that catches the cancelling still ends at its next point."""
        try:
            await asyncio.wait([body])
        except asyncio.CancelledError:
            if not body.done():  # a body that raised cancels this too, through the group
                self._cancelled = True
                self._steps.gate.give(Order.STOP)
            raise

    def _ended_quietly(self, body: asyncio.Task[None]) -> Outcome:
        if not body.cancelled():
            return (Event.HALT if self._steps.gate.order is Order.STOP else Event.COMPLETE), None
        if self._cut:
            return Event.HALT, None
        return Event.FAIL, LabnbError(
            "the body awaited something that was cancelled (a task of its own?), though nobody cancelled this run; "
            "catch asyncio.CancelledError where that is awaited"
        )

    def _judge(self, error: BaseException) -> Outcome:
        """Say how a body ended that raised; what its own task groups wrapped around our orders does not count."""
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            orders, own = group.split((Halted, Interrupted))
            if orders is not None and own is None:
                error = _first_of(orders)
            elif own is not None:
                error = own
        if isinstance(error, Interrupted):
            return Event.CANCEL, None
        if isinstance(error, Halted):
            return (Event.CANCEL if self._cancelled else Event.HALT), None
        return Event.FAIL, error

    async def _acquire(self) -> None:
        with touching(self._used):
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
