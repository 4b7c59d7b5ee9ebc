"""What goes on beside the points of a run: background tasks, begun before the first point and ended with the last.

An async task is cancelled and awaited, so that its `finally` and `except CancelledError` still work. A sync one has a
thread of its own, is told by its argument `stop` (a threading.Event), and if it does not listen it is refused all
instruments, so that nothing moves any more when those have been made safe.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, final

from labnb.core import Flag, PlanError
from labnb.instruments import Lane, Touched, Watch, watching
from labnb.session._function import Function, Registered, settled, wants_of
from labnb.session._gate import translated

OnError = Literal["stop", "warn"]
Warn = Callable[[str], None]

PATIENCE_S = 2.0
"""How long a task may take to end before it is told again, and then how long until nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Task(Registered):
    """A registered background task. `on_error`: whether its failure stops the run or is only noted."""

    on_error: OnError = "stop"

    kind: ClassVar[str] = "task"


def companion_of(task: Task, constants: Mapping[str, object]) -> "Companion":
    """Return `task` as it goes beside one run: its function gets `constants` and, if it asks, `stop` by name."""
    stop = Flag()
    return Companion(task, task.bind({**constants, "stop": stop}, {}), stop)


def task_of(function: Function, name: str | None, on_error: OnError) -> Task:
    """Return `function` as a Task. Raises PlanError if it cannot be called by names."""
    if on_error not in ("stop", "warn"):
        raise PlanError(f"task: on_error must be 'stop' (the run) or 'warn' (and go on), got {on_error!r}")
    called, wants, awaiting = wants_of(function, "task", name)
    return Task(called, function, wants, awaiting, on_error)


@final
class Companion:
    """One task of one run. `call` begins it; `stop` is the event that its function was given."""

    def __init__(self, task: Task, call: Callable[[], Any], stop: threading.Event) -> None:
        self._task, self._call, self._stop = task, call, stop
        self._lane: Lane | None = None
        self._watch: Watch | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return self._task.name

    async def accompany(self, used: dict[Touched, None], warn: Warn) -> None:
        """Run the task until it ends or this is cancelled; then end it. `used` gains the instruments that it uses.

        Raises what it raised, unless that shall only be noted.
        """
        with watching(used) as self._watch:
            work = asyncio.ensure_future(self._asynchronous() if self._task.awaiting else self._blocking())
        try:
            await asyncio.wait([work])
        except asyncio.CancelledError:
            await self._end(work, warn)
            self._judge(work, warn)
            raise
        finally:
            if self._lane is not None and work.done():
                self._lane.close()
        self._judge(work, warn)

    def end(self) -> None:
        """Refuse instruments to what the task has left behind: they are made safe now, and stay so."""
        if self._watch is not None:
            self._watch.end()

    async def _asynchronous(self) -> None:
        with translated():
            await settled(self._call())

    async def _blocking(self) -> None:
        self._lane = Lane(f"task {self.name}")
        await self._lane.run(self._call_here)

    def _call_here(self) -> None:
        with translated():
            self._call()

    async def _end(self, work: "asyncio.Future[None]", warn: Warn) -> None:
        """Have `work` end: ask, ask again, and if nothing helps take the instruments away from it."""
        for tell in (partial(self._tell, work), partial(self._forbid, work)):
            tell()
            if await _ended(work):
                return
        warn(
            f"background task {self.name!r} does not end, though it was told to; its instruments are out of its reach, "
            "and what it does now is done beside the run" + ("" if self._task.awaiting else _ADVICE)
        )

    def _tell(self, work: "asyncio.Future[None]") -> None:
        self._stop.set()
        if self._task.awaiting:
            work.cancel()

    def _forbid(self, work: "asyncio.Future[None]") -> None:
        self.end()
        self._tell(work)

    def _judge(self, work: "asyncio.Future[None]", warn: Warn) -> None:
        """Raise what `work` raised, or note it. Ending it by cancelling is no failure."""
        if not work.done() or work.cancelled():
            return
        error = work.exception()
        if error is None:
            return
        if self._task.on_error == "warn" and isinstance(error, Exception):
            warn(f"background task {self.name!r} failed, the run goes on: {type(error).__name__}: {error}")
            return
        error.add_note(f"in background task {self.name!r}")
        raise error


_ADVICE = "; give it an argument `stop` and loop `while not stop.wait(0.5):`"


async def _ended(work: "asyncio.Future[None]") -> bool:
    """Wait for `work` for a while, also if this is cancelled meanwhile; return whether it has ended."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while not work.done() and (left := deadline - loop.time()) > 0:
        try:
            await asyncio.wait([work], timeout=left)
        except asyncio.CancelledError:
            continue  # cancelling twice does not cut this short; the caller raises it once the task has ended
    return work.done()
