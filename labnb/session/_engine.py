"""How a body is performed: as one task group, on this loop or on one of its own, until it ends in one of four ways."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from labnb.core import Event, LabnbError
from labnb.instruments import Lane, Touched, watching
from labnb.session._adaptive import warm_up
from labnb.session._apart import Apart
from labnb.session._gate import Halted, Interrupted, Order, translated
from labnb.session.job import AwaitingBody, BlockingBody, Job
from labnb.session.steps import Steps

Outcome = tuple[Event, BaseException | None]


class Performance:
    """One body under way, and its tasks. `perform` never raises: it says how they ended. `used` gains what they use."""

    def __init__(
        self,
        job: Job,
        steps: Steps,
        lane: Lane,
        used: dict[Touched, None],
        companions: tuple[Callable[[], Awaitable[None]], ...],
        warn: Callable[[str], None],
    ) -> None:
        self._job, self._steps, self._lane, self._used, self._companions = job, steps, lane, used, companions
        self._warn = warn
        self.prelude: Callable[[], None] | None = None
        """What is done in the run's lane before the body begins."""
        self._body: asyncio.Task[None] | None = None
        self._cut = self._cancelled = False
        self._apart = Apart(self._together, f"labnb {lane.name}") if job.apart and job.awaiting else None

    def cut(self) -> None:
        """Break off what the body awaits, because it shall stop. A blocking body leaves at its next point anyway.

        A body that has stopped at a point, or was cancelled, cleans up already: nobody breaks that off.
        """
        if self._apart is not None:
            self._apart.post(self._cut_here)
        else:
            self._cut_here()

    def _cut_here(self) -> None:
        body = self._body
        if body is None or body.done() or body.cancelling() or self._steps.gate.leaving:
            return
        if self._job.awaiting:
            self._cut = True
            body.cancel()

    async def perform(self) -> Outcome:
        """Run the body and its companions; all have ended when this returns."""
        work: asyncio.Task[Outcome] | None = None
        with contextlib.suppress(asyncio.CancelledError):
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(_run(companion)) for companion in self._companions]
                work = group.create_task(self._together() if self._apart is None else self._apart.run())
                try:
                    await asyncio.wait([work])
                finally:
                    if work.done():
                        for companion in beside:
                            companion.cancel()
        return (Event.CANCEL, None) if work is None or work.cancelled() else work.result()

    async def _together(self) -> Outcome:
        """Run the body and its tasks on this loop; all have ended when this returns."""
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(task.accompany(self._used, self._warn)) for task in self._job.tasks]
                self._body = group.create_task(self._acquire())
                await self._end_of(self._body)
                for task in beside:
                    task.cancel()
        except asyncio.CancelledError:
            return Event.CANCEL, None
        except BaseExceptionGroup as errors:
            return self._judge_all(errors.exceptions)
        finally:
            for task in self._job.tasks:
                task.end()
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

    def _judge_all(self, errors: Sequence[BaseException]) -> Outcome:
        """Say how it ended by the first of `errors`; the others, of whatever ended because of it, are told with it."""
        event, first = self._judge(errors[0])
        for other in errors[1:]:
            later, error = self._judge(other)
            if error is not None and first is None:
                event, first = later, error
            elif error is not None and first is not None:
                first.add_note(f"and then: {type(error).__name__}: {error}")
        return event, first

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
        if self.prelude is not None:
            await self._lane.run(self.prelude)
        if any(loop.chosen for loop in self._job.outline.loops):
            await self._lane.run(warm_up)
        with watching(self._used) as watch:
            try:
                if not self._job.awaiting:
                    await self._follow_thread()
                    return
                with translated():
                    await cast(AwaitingBody, self._job.body)(self._steps)
                    self._steps.finish()
            finally:
                watch.end()  # tasks that it has left behind must not switch on again what is made safe now

    def _block(self) -> None:
        with translated():
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
