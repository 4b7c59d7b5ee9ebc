"""Time that jumps when nobody works: who may run, who waits for what, and when the next one is due.

    loop's thread   ──callbacks──┐         ┌─ all wait: time jumps to the earliest timer ─┐      ┌──callbacks── ...
                                 └─ turns ─┤                                              ├──────┘
    lanes, to_thread             one after another, each until it ends or waits

Of the loop and the threads that work for it one runs at a time, in the order in which their work was announced. So two
runs of one program take the same steps at the same times, and what they measure is equal bit by bit. A thread takes
part if it was started by a lane or by `asyncio.to_thread`; it waits by what `labnb.core.present_clock()` gives it.
"""

import heapq
import itertools
import selectors
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import final

from labnb.core import LabnbError, LifecycleError

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""When virtual time begins, unless said otherwise."""

_Events = list[tuple[selectors.SelectorKey, int]]


@final
class _Turn:
    """One piece of work in a thread, which runs while it holds the turn. Implements `labnb.core.Turn`."""

    __slots__ = ("_clock", "go", "owner")

    def __init__(self, clock: "VirtualClock", owner: object) -> None:
        self._clock = clock
        self.owner = owner
        self.go = threading.Lock()  # locked while the thread has to stand still
        self.go.acquire()

    def take(self) -> None:
        """Stand still until it is this work's turn."""
        self._clock.enter(self)

    def end(self) -> None:
        """Hand the turn on for good."""
        self._clock.leave(self)


@final
class _Wait:
    """A thread that stands still for a latch or a time; `turn` is None for the loop's own thread."""

    __slots__ = ("over", "turn")

    def __init__(self, turn: _Turn | None) -> None:
        self.turn = turn
        self.over = False


@final
class _Latch:
    """Implements `labnb.core.Latch` in virtual time."""

    __slots__ = ("_clock", "released", "wait")

    def __init__(self, clock: "VirtualClock") -> None:
        self._clock = clock
        self.released = False
        self.wait: _Wait | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        return self._clock.wait(self, timeout) if blocking and not self.released else self.released

    def release(self) -> None:
        self._clock.release(self)


@final
class VirtualClock:
    """The time of one virtual loop, and who may run. Implements `labnb.core.WorkClock`.

    Only who holds the turn changes anything here, but for `release`, which any thread may call.
    """

    def __init__(self, epoch: datetime = EPOCH) -> None:
        self.nudge: Callable[[], None] = lambda: None  # wakes the loop's thread from waiting for the outside
        self.waiting: Callable[[], str] = lambda: "somebody"  # says who waits, for errors
        self.drained: Callable[[], None] | None = None  # called when no turn is left
        self.outside = 0  # pieces of work that know nothing of turns
        self._epoch_ns = round(epoch.timestamp()) * 1_000_000_000 + epoch.microsecond * 1000
        self._now_ns = 0
        self._ready: deque[_Turn] = deque()
        self._queues: dict[object, deque[_Turn]] = {}
        self._timers: list[tuple[int, int, _Wait]] = []
        self._order = itertools.count()
        self._holder: _Turn | None = None  # None: the loop's thread
        self._returned: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._mine = threading.local()  # .turn: the one that this thread has
        self._loop_thread = threading.get_ident()
        self._parked: set[_Turn] = set()
        self._ended = False

    # ---- what a clock tells

    def time_ns(self) -> int:
        """Return nanoseconds since 1970-01-01 UTC, as if the epoch had been the start."""
        return self._epoch_ns + self._now_ns

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return self._now_ns / 1e9

    def monotonic_ns(self) -> int:
        """Return nanoseconds since the start."""
        return self._now_ns

    # ---- work in threads

    def latch(self) -> _Latch:
        """Return a new latch."""
        return _Latch(self)

    def turn(self, owner: object) -> _Turn | None:
        """Announce work for a thread; an `owner`'s pieces follow each other. None for threads that take no part."""
        if self._ended or not self._takes_part():
            return None
        turn = _Turn(self, owner)
        queue = self._queues.setdefault(owner, deque())
        queue.append(turn)
        if len(queue) == 1:
            self._ready.append(turn)
        return turn

    @property
    def idle(self) -> bool:
        """Whether no thread has anything left to do."""
        return not self._queues

    def enter(self, turn: _Turn) -> None:
        """Stand still until `turn` is given to this thread."""
        turn.go.acquire()
        self._mine.turn = turn

    def leave(self, turn: _Turn) -> None:
        """Give the turn back for good: the owner's next work, and whoever waits in the loop, come to theirs."""
        self._mine.turn = None
        if self._ended:
            return
        queue = self._queues[turn.owner]
        queue.popleft()
        if queue:
            self._ready.append(queue[0])
        else:
            del self._queues[turn.owner]
        if self.drained is not None and not self._queues:
            self.drained()
        self._give_back()

    def _takes_part(self) -> bool:
        mine = getattr(self._mine, "turn", None)
        return threading.get_ident() == self._loop_thread if mine is None else mine is self._holder

    def _give_back(self) -> None:
        self._holder = None
        self._returned.put(None)

    # ---- waiting

    def wait(self, latch: _Latch, timeout_s: float) -> bool:
        """Stand still until `latch` is released, or for `timeout_s` of virtual time (-1: without end)."""
        until = None if timeout_s < 0 else self._now_ns + _ns(timeout_s)
        if self._ended:
            return self._wait_alone(until)
        if not self._takes_part():
            raise LabnbError(
                f"thread {threading.current_thread().name!r} cannot wait in virtual time, whose threads run one at a "
                "time; start it by `asyncio.to_thread`, or do its work in a coroutine"
            )
        turn: _Turn | None = getattr(self._mine, "turn", None)
        wait = _Wait(turn)
        with self._lock:
            if latch.released:
                return True
            latch.wait = wait
        if until is not None:
            heapq.heappush(self._timers, (until, next(self._order), wait))
        try:
            self._stand_still(wait)
        finally:
            latch.wait, wait.over = None, True
        return latch.released or (self._ended and self._wait_alone(until))

    def _stand_still(self, wait: _Wait) -> None:
        turn = wait.turn
        if turn is None:
            while not wait.over:
                self._go_on(None)
            return
        self._parked.add(turn)
        self._give_back()
        turn.go.acquire()
        self._parked.discard(turn)

    def _wait_alone(self, until: int | None) -> bool:
        """Wait after the loop has ended: nobody else is there, so time goes on at once."""
        if until is None:
            raise LifecycleError("the virtual loop has ended; what this thread waits for will never come")
        self._now_ns = max(self._now_ns, until)
        return False

    def release(self, latch: _Latch) -> None:
        """Let go on who waits for `latch`, now or later."""
        with self._lock:
            latch.released = True
            if latch.wait is not None:
                self._rouse(latch.wait)
        if not self._takes_part():
            self.nudge()

    def _rouse(self, wait: _Wait) -> None:
        if not wait.over:
            wait.over = True
            if wait.turn is not None:
                self._ready.append(wait.turn)

    # ---- for the loop's thread

    def begin(self) -> None:
        """Take this thread for the loop's."""
        self._loop_thread = threading.get_ident()

    def end(self) -> None:
        """Let all threads go that stand still; what they wait for comes at once, or never."""
        self._ended = True
        for turn in (*self._parked, *(turn for queue in self._queues.values() for turn in queue)):
            if turn.go.locked():
                turn.go.release()

    def rest(self, timeout_s: float | None, poll: Callable[[float | None], _Events], *, alone: bool) -> _Events:
        """Do the loop's waiting: let the threads run, then time jump; return what `poll` has found.

        `alone`: `poll` cannot find anything that does not come from here.
        """
        for _ in range(len(self._ready)):
            self._hand_on(self._ready.popleft())
        events = poll(0)
        until = None if timeout_s is None else self._now_ns + _ns(timeout_s)
        while not events and (until is None or self._now_ns < until):
            if not self._ready and (self.outside or (not alone and self._next_time(until) is None)):
                return poll(None)
            self._go_on(until)
            events = poll(0)
        return events

    def _go_on(self, until: int | None) -> None:
        """Let one thread run until it stands still again; if none can, let time jump, to `until` at most."""
        if self._ready:
            self._hand_on(self._ready.popleft())
            return
        when = self._next_time(until)
        if when is None:
            raise LabnbError(
                "everything waits and nothing can end it: no thread works, no time is waited for. Somebody awaits an "
                f"event that nobody sets: {self.waiting()}"
            )
        self._now_ns = max(self._now_ns, when)
        while self._timers and self._timers[0][0] <= self._now_ns:
            self._rouse(heapq.heappop(self._timers)[2])

    def _next_time(self, until: int | None) -> int | None:
        while self._timers and self._timers[0][2].over:
            heapq.heappop(self._timers)
        if not self._timers:
            return until
        first = self._timers[0][0]
        return first if until is None else min(first, until)

    def _hand_on(self, turn: _Turn) -> None:
        self._await_holder()  # after an interrupt it may still be out
        self._holder = turn
        turn.go.release()
        self._await_holder()

    def _await_holder(self) -> None:
        while self._holder is not None:
            self._returned.get()


def _ns(seconds: float) -> int:
    """Return `seconds` in ns; a wait however short moves time, or who waits until a time is reached never ends."""
    return max(1, round(seconds * 1e9)) if seconds > 0 else 0
