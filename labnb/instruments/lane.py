"""Who talks over a connection: one worker thread per connection, which does one exchange after another.

Two threads on one VISA resource silently swap their answers; here whoever asks, from whichever thread or event loop,
queues up. Exchanges are never interrupted: a caller may stop waiting, the lane finishes what has begun.

A job may use instruments in other lanes, and those may be waiting for it, or for each other in a ring: a lane whose job
waits for another lane does meanwhile what the others ask of it, out of turn, so that none waits for ever.
"""

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, ParamSpec, TypeVar, cast

from labnb.core import LinkError, LinkTimeout, Turn, begin_thread, have_threads, present_clock

P = ParamSpec("P")
T = TypeVar("T")

_here = threading.local()  # .lane: the lane whose thread this is, if it is one
_adrift: "dict[Lane, Job[Any]]" = {}  # of each lane the last job dropped before it was done; Any: of any T


class Job(Generic[T]):
    """One piece of work in a lane, and what came of it.

    `claimed`: somebody waits, or has waited, for the outcome. `dropped`: nobody ever will.
    """

    __slots__ = (
        "_context", "_done", "_lane", "_value", "_waiters", "_work", "anyway", "asked", "begun", "claimed", "dropped", "error",
        "number", "turn",
    )  # fmt: skip

    def __init__(self, work: Callable[[], T], lane: "Lane") -> None:
        self._work: Callable[[], T] | None = work
        self._context = copy_context()
        self._lane = lane
        self._waiters: list[Callable[[], None]] = []
        self._done = False
        self._value: T | None = None
        self.error: BaseException | None = None
        self.claimed = False
        self.dropped = False
        self.number = 0
        self.turn: Turn | None = None
        self.begun = False
        self.anyway = False  # also where the lane's permission is withdrawn
        self.asked = getattr(_here, "lane", None) is not None  # by a job in another lane

    @property
    def done(self) -> bool:
        """Whether the outcome is there."""
        return self._done

    def do(self) -> None:
        """Do the work; called once, by the lane's thread."""
        self.begun = True
        permit = self._lane.permit
        try:
            if permit is not None and not self.anyway:
                permit()
            self._value = self._context.run(cast(Callable[[], T], self._work))
        except BaseException as error:  # noqa: BLE001  whatever it is belongs to the caller, who gets it from outcome()
            self.error = error
        self._work = None  # what the work held on to is free now
        with self._lane.lock:
            self._done = True
            if self.error is not None and not self.claimed:
                self._lane.lost.append(self)
            waiters, self._waiters = self._waiters, []
        for wake in waiters:
            wake()

    def when_done(self, wake: Callable[[], None]) -> None:
        """Call `wake` once the outcome is there (at once if it is); it runs in the lane's thread."""
        with self._lane.lock:
            if not self._done:
                self._waiters.append(wake)
                return
        wake()

    def outcome(self) -> T:
        """Return or raise what came of the work, once it is done."""
        if self.error is not None:
            raise self.error
        return cast(T, self._value)

    def wait(self, timeout_s: float | None = None) -> T:
        """Block this thread for the outcome. Raises LinkTimeout after `timeout_s`; the lane goes on nevertheless."""
        self.claimed = True
        try:
            arrived = self.settle(timeout_s)
        except BaseException:
            self._disown()
            raise
        if not arrived:
            self._disown()
            raise LinkTimeout(f"not done within {timeout_s:g} s; what is before it in the lane takes longer")
        return self.outcome()

    def settle(self, timeout_s: float | None = None) -> bool:
        """Block this thread until the work is done, or for `timeout_s`; return whether it is. Its failure stays its."""
        if self._done:
            return True
        lane: Lane | None = getattr(_here, "lane", None)
        if lane is not None:
            return lane.await_job(self, timeout_s)
        latch = present_clock().latch()
        self.when_done(latch.release)
        return latch.acquire(timeout=-1 if timeout_s is None else timeout_s)

    async def wait_async(self) -> T:
        """Await the outcome. A cancelled wait leaves the exchange whole, and its failure to whoever comes next."""
        self.claimed = True
        if not self._done:
            loop = asyncio.get_running_loop()
            arrival: asyncio.Future[None] = loop.create_future()
            self.when_done(partial(_wake, loop, arrival))
            try:
                await arrival
            except BaseException:
                self._disown()
                raise
        return self.outcome()

    def drop(self) -> None:
        """Nobody can ask for the outcome any more. What is started from now on, in any lane, comes after it."""
        self.dropped = True
        if self.claimed or self._done:
            return
        last = _adrift.get(self._lane)
        if last is None or last.number < self.number:
            _adrift[self._lane] = self

    def _disown(self) -> None:
        """Nobody waits any more: a failure, past or to come, belongs to whoever comes next."""
        with self._lane.lock:
            self.claimed, self.dropped = False, True
            if self._done and self.error is not None:
                self._lane.lost.append(self)


def _wake(loop: asyncio.AbstractEventLoop, arrival: "asyncio.Future[None]") -> None:
    with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits there any more
        loop.call_soon_threadsafe(_arrive, arrival)


def _arrive(arrival: "asyncio.Future[None]") -> None:
    if not arrival.done():
        arrival.set_result(None)


def adrift() -> "tuple[Job[Any], ...]":
    """Return, of each lane, the last job that was dropped and is not done yet. From within a lane: none."""
    if not _adrift or getattr(_here, "lane", None) is not None:
        return ()  # a lane must not wait for what may be queued behind itself
    jobs = tuple(_adrift.items())
    for lane, job in jobs:
        if job.done and _adrift.get(lane) is job:
            _adrift.pop(lane, None)
    return tuple(job for _, job in jobs if not job.done)


class _Bell:
    """Releases a latch once, however often and from wherever it is rung."""

    __slots__ = ("_lock", "_rung", "latch")

    def __init__(self) -> None:
        self.latch = present_clock().latch()
        self._lock = threading.Lock()
        self._rung = False

    def __call__(self) -> None:
        with self._lock:
            rung, self._rung = self._rung, True
        if not rung:
            self.latch.release()


class Lane:
    """A first-in, first-out worker thread. `name` names the connection in errors and the thread in debuggers.

    The thread is a daemon, so that a forgotten connection does not keep the interpreter from ending.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._jobs: SimpleQueue[Job[object] | None] = SimpleQueue()
        self.lock = threading.Lock()
        self.permit: Callable[[], None] | None = None  # raises where nothing more may be exchanged
        self._closed = False
        self._count = 0
        self._last: Job[object] | None = None  # once it is closed: what ends behind all others
        self._asked: deque[Job[Any]] = deque()  # of the queued jobs, those that jobs in other lanes ask for
        self._bell: _Bell | None = None  # rung when there is another one of these while this lane waits
        self.lost: deque[Job[Any]] = deque()  # failures that nobody has waited for, oldest first; Any: of any T
        # Without threads, in a browser, work is done where it is asked for: nobody else could ask meanwhile.
        self._thread = begin_thread(self._serve, f"labnb lane {name}", name) if have_threads() else None

    @property
    def closed(self) -> bool:
        """Whether nothing can be queued any more."""
        return self._closed

    @property
    def inside(self) -> bool:
        """Whether the caller runs in this lane already."""
        return getattr(_here, "lane", None) is self

    def submit(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Job[T]:
        """Queue `fn(*args)` and return at once. From within the lane it is done at once: waiting would never end.

        Raises LinkError if the lane is closed.
        """
        return self._queue(partial(fn, *args, **kwargs), claimed=False)

    def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do `fn(*args)` in the lane; block this thread until it is done."""
        return self._queue(partial(fn, *args, **kwargs), claimed=True).wait()

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do `fn(*args)` in the lane and await it. Cancelling stops the waiting, not the exchange."""
        return await self._queue(partial(fn, *args, **kwargs), claimed=True).wait_async()

    def call_anyway(self, fn: Callable[[], T]) -> T:
        """Do the same even if `permit` refuses: it ends the connection, and exchanges nothing."""
        return self._queue(fn, claimed=True, anyway=True).wait()

    def _queue(self, work: Callable[[], T], *, claimed: bool, anyway: bool = False) -> Job[T]:
        job = Job(work, self)
        job.claimed, job.anyway = claimed, anyway
        if self.inside:
            job.do()
            return job
        with self.lock:
            if self._closed:
                raise LinkError(f"{self.name}: the connection is closed; connect again")
            if self._thread is not None:
                self._put(cast(Job[object], job))
        if self._thread is None:
            job.do()
        return job

    def _put(self, job: Job[object]) -> None:
        self._count = job.number = self._count + 1
        job.turn = present_clock().turn(self)
        if job.asked:
            self._asked.append(job)
        self._jobs.put(job)
        if job.asked and self._bell is not None:
            self._bell()

    def await_job(self, job: Job[Any], timeout_s: float | None) -> bool:  # Any: of any T
        """Block this lane's thread for a job of another lane, or for `timeout_s`; do what other lanes ask of this one.

        Return whether the job is done. The time limit begins anew with each piece of work that is done meanwhile.
        """
        around = self._bell
        try:
            while not job.done:
                self._bell = bell = _Bell()
                job.when_done(bell)
                asked = self._next_asked()
                if asked is not None:
                    asked.do()
                elif not bell.latch.acquire(timeout=-1 if timeout_s is None else timeout_s):
                    return job.done
        finally:
            self._bell = around
        return True

    def _next_asked(self) -> Job[Any] | None:  # Any: of any T
        with self.lock:
            return self._asked.popleft() if self._asked else None

    def unclaimed(self, *, only_dropped: bool = False) -> BaseException | None:
        """Return, and forget, the oldest failure that nobody has waited for; None if there is none."""
        for job in tuple(self.lost):
            if job.claimed:
                self._forget(job)
            elif job.dropped or not only_dropped:
                self._forget(job)
                job.claimed = True
                return job.error
        return None

    def _take_off(self, job: Job[object]) -> None:
        if job.asked:
            with self.lock, contextlib.suppress(ValueError):
                self._asked.remove(job)

    def _forget(self, job: Job[object]) -> None:
        with contextlib.suppress(ValueError):  # another thread was quicker
            self.lost.remove(job)

    def close(self) -> None:
        """Finish what is queued, then end the thread. Closing twice does no harm."""
        with self.lock:
            if not self._closed:
                self._closed = True
                if self._thread is None:
                    return
                self._last = Job(_nothing, self)
                self._last.anyway = True
                self._put(self._last)
                self._jobs.put(None)
        if self._last is not None and not self.inside:
            self._last.settle()  # by the present clock; after that the thread has nothing left to wait for
            cast(threading.Thread, self._thread).join()

    def retire(self) -> None:
        """End the thread behind what is queued, without waiting for it or for a lock: the garbage collector may call it."""
        self._closed = True
        self._jobs.put(None)

    def _serve(self) -> None:
        _here.lane = self
        while (job := self._jobs.get()) is not None:
            turn = job.turn
            if turn is not None:
                turn.take()
            if not job.begun:
                self._take_off(job)
                job.do()
            del job  # an idle lane keeps nothing alive
            if turn is not None:
                turn.end()
            del turn


def _nothing() -> None:
    """Do nothing."""
