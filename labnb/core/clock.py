"""Where time comes from, and how threads wait for it and for each other, so that a test can own both."""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, final


class Clock(Protocol):
    """Wall time for stamps, monotonic time for schedules."""

    def time_ns(self) -> int:
        """Return nanoseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


class Latch(Protocol):
    """A door that is opened once: a lock that is born locked."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Block this thread until the latch is released, for `timeout` s at most; return whether it was."""
        ...

    def release(self) -> None:
        """Let the waiting thread go on."""
        ...


class Turn(Protocol):
    """One piece of work that a thread does beside an event loop."""

    def take(self) -> None:
        """Block this thread until the work may begin."""
        ...

    def end(self) -> None:
        """Say that the work is done, and that whoever waits for it knows."""
        ...


class WorkClock(Clock, Protocol):
    """A clock that knows who works, so that its time may jump when nobody does."""

    def monotonic_ns(self) -> int:
        """Return `monotonic` in ns."""
        ...

    def latch(self) -> Latch:
        """Return a new latch; whoever waits for it does not count as working."""
        ...

    def turn(self, owner: object) -> Turn | None:
        """Announce work for another thread; None if nobody need know. An `owner` does one piece after another."""
        ...


@final
class SystemClock:
    """The computer's clock, which goes on whoever works."""

    time_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)
    monotonic_ns = staticmethod(time.monotonic_ns)

    @staticmethod
    def latch() -> Latch:
        """Return a locked lock."""
        latch = threading.Lock()
        latch.acquire()
        return latch

    @staticmethod
    def turn(owner: object) -> None:
        """Announce nothing: threads of the system run when they can."""


_present: ContextVar[WorkClock] = ContextVar("labnb_clock", default=SystemClock())  # noqa: B039  it has no state


def present_clock() -> WorkClock:
    """Return the clock that this task or thread lives by; the system's unless somebody has said otherwise."""
    return _present.get()


def follow(clock: WorkClock) -> None:
    """Let the present context, and what is started from it, live by `clock`."""
    _present.set(clock)


@contextmanager
def following(clock: WorkClock) -> Generator[None]:
    """Live by `clock` inside."""
    token = _present.set(clock)
    try:
        yield
    finally:
        _present.reset(token)


@final
class Condition:
    """A `threading.Condition` whose waits are those of a clock: `clock`, or the one that the waiting thread lives by.

    The lock may be taken again by its holder; who waits holds it once.
    """

    def __init__(self, clock: WorkClock | None = None) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._latches: list[Latch] = []

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def notify_all(self) -> None:
        """Let all go on that wait; the lock is held."""
        if self._latches:
            latches, self._latches = self._latches, []
            for latch in latches:
                latch.release()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Let go of the lock until somebody notifies, for `timeout_s` at most; return whether somebody did."""
        latch = (self._clock or present_clock()).latch()
        self._latches.append(latch)
        self._lock.release()
        try:
            return latch.acquire(timeout=-1 if timeout_s is None else timeout_s)
        finally:
            self._lock.acquire()
            if latch in self._latches:
                self._latches.remove(latch)

    def wait_for(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Wait until `condition` holds, for `timeout_s` at most; return whether it does."""
        clock = self._clock or present_clock()
        deadline = None if timeout_s is None else clock.monotonic() + timeout_s
        while not condition():
            left = None if deadline is None else deadline - clock.monotonic()
            if left is not None and left <= 0:
                return False
            if not self.wait(left):
                return condition()
        return True


@final
class Flag(threading.Event):
    """A `threading.Event` that is waited for by the clock of whoever waits, so that it may be given to users' threads."""

    def __init__(self) -> None:
        super().__init__()
        self._condition = Condition()

    def set(self) -> None:
        """Let all go on that wait, now and later."""
        with self._condition:
            super().set()
            self._condition.notify_all()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the flag is set, for `timeout` s at most; return whether it is."""
        with self._condition:
            return self._condition.wait_for(self.is_set, timeout)


@final
class Mutex:
    """A lock that may be held while its holder waits for an instrument; whoever wants it waits by his clock."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._held = False

    def __enter__(self) -> None:
        with self._condition:
            while self._held:
                self._condition.wait()
            self._held = True

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._held = False
            self._condition.notify_all()
