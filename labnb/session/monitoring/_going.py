"""One call of `monitor` under way: its tasks as one group, with one exit that makes instruments safe."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from types import FrameType
from typing import Any, final

from labnb.core import RunCancelled
from labnb.instruments import Touched
from labnb.session import _active
from labnb.session._blocking import unbroken
from labnb.session._task import Companion, companion_of
from labnb.session.monitoring._jobs import Work

_GRACE_S = 3.0
"""How long what only goes along (mail that is being sent) may go on after the end of all others."""
_IDLE_SLEEPS = 100
"""How often a task may sleep after it was told to stop, before it counts as one that does not listen."""


@final
class Going:
    """Tasks under way, and how they are told to end. `stop` and `force` are called on the loop."""

    def __init__(self, name: str, tell: Callable[[str], None]) -> None:
        self._name, self._tell = name, tell
        self._used: dict[Touched, None] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._beside: set[asyncio.Task[None]] = set()
        """Those that only go along: they end soon after the others, and nobody has to be told what is waited for."""
        self._loop = asyncio.get_running_loop()
        self._sleepers: set[asyncio.Future[None]] = set()
        self._sleeps: dict[object, int] = {}
        self._ended = self._loop.create_future()
        self._stop = asyncio.Event()
        self._forced = False
        self.hasty = False
        """Whether a person stopped it, who waits now."""

    @property
    def run_id(self) -> str:
        """What messages call it."""
        return f"session {self._name}"

    @property
    def stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stop.is_set()

    def cancel(self) -> None:
        """End it now, from any thread; await it to know that its instruments are safe."""
        self._loop.call_soon_threadsafe(self.force)

    def __await__(self) -> Generator[Any, None, None]:  # the protocol of await has Any
        return asyncio.shield(self._ended).__await__()

    def ask(self) -> None:
        """Stop, from any thread."""
        self._loop.call_soon_threadsafe(self.stop)

    def post(self, fn: Callable[[], None]) -> None:
        """Call `fn` on the loop: at once if this is it, else soon."""
        if asyncio._get_running_loop() is self._loop:  # noqa: SLF001  documented
            fn()
        else:
            self._loop.call_soon_threadsafe(fn)

    def stop(self) -> None:
        """Wake what sleeps, and have every task end after its present call."""
        if self._stop.is_set():
            return
        self._stop.set()
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_result(None)
        self._loop.call_later(0.3, self._tell_waiting)

    def _interrupt(self) -> None:
        self.hasty = True
        self.stop()

    def _tell_waiting(self) -> None:
        names = [name for task, name in self._tasks.items() if not task.done() and task not in self._beside]
        if names and not self._ended.done():
            self._tell(f"stopping; waiting for {', '.join(names)} (a second Ctrl-C ends them now)")

    def force(self) -> None:
        """Break off whatever the tasks wait for."""
        self._forced = True
        self.stop()
        for task in self._tasks:
            task.cancel()

    async def sleep(self, duration_s: float) -> None:
        """Sleep, until told to stop. A task that goes on sleeping after that is ended: it would never end by itself."""
        if self.stopping:
            task = asyncio.current_task()
            self._sleeps[task] = self._sleeps.get(task, 0) + 1
            if task is not None and self._sleeps[task] > _IDLE_SLEEPS:
                task.cancel()
            await asyncio.sleep(0)
            return
        sleeper: asyncio.Future[None] = self._loop.create_future()
        self._sleepers.add(sleeper)
        timer = self._loop.call_later(duration_s, _wake, sleeper)
        try:
            await sleeper
        finally:
            timer.cancel()
            self._sleepers.discard(sleeper)

    async def perform(self, works: Sequence[Work]) -> None:
        """Run the tasks until all have ended. Raises what one raised, and RunCancelled if they were forced to end."""
        companions = [companion_of(work.task, {}) for work in works]
        _active.enter(self, self._used, shared=True)
        try:
            with interrupts(self._loop, self._interrupt, self.force):
                error = await self._group(works, companions)
        finally:
            self._stop.set()
            for companion in companions:
                companion.end()
            await self._make_safe()
            self._ended.set_result(None)
        if error is not None:
            raise error
        if self._forced:
            raise RunCancelled(f"session {self._name}: its tasks were cut short; what was logged is kept")

    async def _group(self, works: Sequence[Work], companions: Sequence[Companion]) -> BaseException | None:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(each.accompany(self._used, self._tell)) for each in companions]
                pairs = list(zip(tasks, works, strict=True))
                self._tasks = {task: work.task.name for task, work in pairs}
                self._beside = {task for task, work in pairs if work.beside}
                await self._until_done([task for task in tasks if task not in self._beside])
                self.stop()
                await self._end_beside()
        except BaseExceptionGroup as errors:
            found = errors.exceptions
            return found[0] if len(found) == 1 else errors
        return None

    async def _until_done(self, tasks: list[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks)
        else:
            await self._stop.wait()

    async def _end_beside(self) -> None:
        if self._beside:
            await asyncio.wait(self._beside, timeout=_GRACE_S)
        for task in self._beside:
            task.cancel()

    async def _make_safe(self) -> None:
        failures = await unbroken(lambda: _active.make_all_safe(_active.take_own(self)))
        _active.leave(self)
        for failure in failures:
            self._tell(str(failure))


def _wake(sleeper: "asyncio.Future[None]") -> None:
    if not sleeper.done():
        sleeper.set_result(None)


@contextlib.contextmanager
def interrupts(loop: asyncio.AbstractEventLoop, stop: Callable[[], None], force: Callable[[], None]) -> Generator[None]:
    """Have the first Ctrl-C call `stop` and the next ones `force`, on `loop`; then whoever had it before has it again."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    first = True

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        nonlocal first
        loop.call_soon_threadsafe(stop if first else force)
        first = False

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler if before is None else before)
