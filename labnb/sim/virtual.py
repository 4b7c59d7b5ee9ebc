"""An event loop whose time jumps when nobody has anything to do, for tests, examples and documentation.

What runs when is decided in `labnb.sim.turns`; here asyncio is taught to leave its waiting to that.
"""

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from datetime import datetime
from functools import partial
from typing import Any, TypeVar, final

from labnb.core import LifecycleError, Turn, follow, following
from labnb.sim.registry import forget_benches
from labnb.sim.turns import EPOCH, VirtualClock

T = TypeVar("T")


@final
class _Selector(selectors.DefaultSelector):
    """Asks the clock instead of sleeping."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return self._clock.rest(timeout, super().select, alone=len(self.get_map()) <= 1)  # 1: the loop's own pipe


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time: `loop.time()` is 0 at the start and jumps to the next timer when nothing is ready.

    It waits for work in lanes and in `asyncio.to_thread`, and for real input where no timer is set. If nothing at all
    can happen any more, it raises LabnbError. Its tasks live by `clock`.
    """

    def __init__(self, epoch: datetime = EPOCH) -> None:
        self.clock = VirtualClock(epoch)
        super().__init__(_Selector(self.clock))
        self.clock.waiting = self._waiting
        self.clock.nudge = partial(self._post, _nothing)

    def time(self) -> float:
        """Return virtual seconds since the start."""
        return self.clock.monotonic()

    def _waiting(self) -> str:
        """Say where each task waits."""
        places = [f"{task.get_name()} in {_place(task.get_coro())}" for task in asyncio.all_tasks(self)]
        return ", ".join(sorted(places)) or "the loop"

    def run_forever(self) -> None:
        """Run until stopped."""
        self.clock.begin()
        with following(self.clock):
            super().run_forever()

    def create_task(self, coro: Any, *, context: Context | None = None, **options: Any) -> asyncio.Task[Any]:
        """Make a task that lives by this loop's clock. Any: as asyncio has it."""
        context = copy_context() if context is None else context
        context.run(follow, self.clock)
        return super().create_task(coro, context=context, **options)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Do `func(*args)` in a thread of its own, by turns; an executor of yours is waited for in real time."""
        if executor is not None:
            self.clock.outside += 1
            future = super().run_in_executor(executor, func, *args)
            future.add_done_callback(self._came_in)
            return future
        future: asyncio.Future[T] = self.create_future()
        context = copy_context()
        context.run(follow, self.clock)
        turn = self.clock.turn(future)
        if turn is None:
            raise LifecycleError("work for a thread was given to a virtual loop from outside of it, or after its end")
        work = partial(self._work, turn, future, partial(context.run, func, *args))
        threading.Thread(target=work, name="labnb virtual", daemon=True).start()
        return future

    def _came_in(self, _: object) -> None:
        self.clock.outside -= 1

    def _work(self, turn: Turn, future: asyncio.Future[T], func: Callable[[], T]) -> None:
        turn.take()
        try:
            if future.cancelled():
                return
            try:
                result = func()
            except BaseException as error:  # noqa: BLE001  whatever it is belongs to who awaits it
                self._post(_fail, future, error)
            else:
                self._post(_settle, future, result)
        finally:
            turn.end()

    def _post(self, callback: Callable[..., None], *args: object) -> None:
        if not self.is_closed():
            self.call_soon_threadsafe(callback, *args)

    async def shutdown_default_executor(self, *_: object) -> None:
        """Wait until all threads have done what was begun, lanes also."""
        if self.clock.idle:
            return
        drained: asyncio.Future[None] = self.create_future()
        self.clock.drained = partial(self._post, _settle, drained, None)
        await drained

    def close(self) -> None:
        """End the loop and its time; what still waits for it goes on at once."""
        self.clock.end()
        forget_benches(self.clock)
        super().close()


def _place(waiting: object) -> str:
    """Return the coroutines that wait for each other, outermost first, and the line where the innermost stands."""
    names, where = list[str](), ""
    while (frame := getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)) is not None:
        if frame.f_code.co_name == "__await__":
            break  # a future's own, where futures are written in Python (nest_asyncio): it says nothing
        names.append(frame.f_code.co_name)
        where = f" ({frame.f_code.co_filename}:{frame.f_lineno})"
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return " > ".join(names) + where


def _nothing() -> None:
    """Do nothing."""


def _settle(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


def run_virtual(main: Coroutine[Any, Any, T], *, epoch: datetime = EPOCH, debug: bool | None = None) -> T:
    """Run `main` as `asyncio.run` does, but in virtual time, which begins at `epoch`; return its result.

    Waiting costs no time: simulated benches that are opened inside follow the loop's time, so that a measurement of
    minutes is done in a moment, and a second run of it gives the same data, bit by bit. Real instruments have no
    virtual time. Raises LabnbError if everything waits for what can never happen, and LifecycleError where a loop runs
    already, as in a notebook: there, give it a thread (`await asyncio.to_thread(run_virtual, main())`), or open a bench
    with `clock="skip"`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(debug=debug, loop_factory=partial(VirtualLoop, epoch)) as runner:
            return runner.run(main)
    main.close()
    raise LifecycleError(
        "run_virtual needs a loop of its own, and one runs here already (a notebook's, perhaps); give it a thread: "
        'await asyncio.to_thread(run_virtual, main()), or use a bench with clock="skip", whose waits take no time either'
    )
