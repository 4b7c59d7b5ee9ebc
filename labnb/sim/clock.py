"""What time it is on the bench, and what happens when.

Bench time is in seconds from the bench's making. With the `real` clock it runs with the wall, and who waits sleeps;
if the bench is made within a virtual loop (`labnb.sim.run_virtual`), it runs with that loop's time instead.
With the `skip` clock it stands still until somebody waits, and then it jumps: two equal runs see equal times.
"""

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol, final

from labnb.core import Condition, SystemClock, WorkClock, present_clock

ClockKind = Literal["real", "skip"]
"""How bench time goes: with the wall, or by jumps when somebody waits."""


class BenchClock(Protocol):
    """A source of bench time that knows how to wait."""

    def now(self) -> float:
        """Return bench time in s."""
        ...

    def wait(self, changed: Condition, until: float) -> None:
        """Return at bench time `until`, or earlier when `changed` is notified; `changed` is held by the caller."""
        ...


@final
class RealClock:
    """Bench time runs with `clock`; a wait lets go of the bench meanwhile."""

    def __init__(self, clock: WorkClock) -> None:
        self._clock = clock
        self._start = clock.monotonic()
        self._reached = 0.0

    def now(self) -> float:
        """Return seconds since this clock was made."""
        return max(self._reached, self._clock.monotonic() - self._start)

    def wait(self, changed: Condition, until: float) -> None:
        """Sleep until bench time `until` or until the bench changes."""
        left = until - self.now()
        if left > 0 and not changed.wait(None if math.isinf(left) else left):
            self._reached = until  # exactly, however the clock rounds


@final
class SkipClock:
    """Bench time moves only by waiting, and then at once."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Return the sum of all waits in s."""
        return self._now

    def wait(self, changed: Condition, until: float) -> None:
        """Jump to bench time `until`."""
        if not math.isinf(until):
            self._now = max(self._now, until)


@final
class Timeline:
    """The order of events on one bench.

    Everything on the bench is done while `changed` (a condition, so also the bench's one lock) is held.
    Events run late but in order: before anything looks at the bench, what was due earlier is done first,
    and `now` is then the event's own time.
    """

    def __init__(self, kind: ClockKind) -> None:
        if kind not in ("real", "skip"):
            raise ValueError(f"clock={kind!r}: a bench's clock is 'real' (waits sleep) or 'skip' (waits jump)")
        self.kind: ClockKind = kind
        clock = present_clock()
        self.changed = Condition(clock)
        self.watchable = kind == "real" and isinstance(clock, SystemClock)
        """A thread of the bench's own may wait for events; not in virtual time, where it would keep time going."""
        self._clock: BenchClock = RealClock(clock) if kind == "real" else SkipClock()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._event_time: float | None = None
        self._afterwards: deque[Callable[[], None]] = deque()

    @property
    def now(self) -> float:
        """Bench time in s; inside an event the time at which it was due."""
        return self._clock.now() if self._event_time is None else self._event_time

    def at(self, when: float, action: Callable[[], None]) -> None:
        """Do `action` at bench time `when`, once."""
        heapq.heappush(self._events, (when, next(self._order), action))
        self.changed.notify_all()

    def next_event(self) -> float:
        """Return when the next event is due; infinity if none is planned."""
        return self._events[0][0] if self._events else math.inf

    def catch_up(self) -> None:
        """Do what is due by now, in order of time."""
        now = self._clock.now()
        while self._events and self._events[0][0] <= now:
            when, _, action = heapq.heappop(self._events)
            self._event_time = when
            try:
                action()
            finally:
                self._event_time = None

    def wait_once(self, until: float) -> bool:
        """Wait for `until` or a change; return False when that can never come to pass."""
        if math.isinf(until) and self.kind == "skip":
            return False
        self._clock.wait(self.changed, until)
        return True

    def wait_until(self, when: float) -> None:
        """Wait until bench time `when`, then do what is due."""
        while self._clock.now() < when:
            self._clock.wait(self.changed, when)
        if self._events:
            self.catch_up()

    def wait_for(self, ready: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `ready` says so; return False when it does not in time. `changed` is held by the caller."""
        deadline = self.now + timeout_s
        while True:
            self.catch_up()
            if ready():
                return True
            if self.now >= deadline or not self.wait_once(min(deadline, self.next_event())):
                return False

    # --- what is done when nobody holds the bench ---

    def afterwards(self, action: Callable[[], None]) -> None:
        """Do `action` when the bench is let go of: it may take long, or use the bench itself."""
        self._afterwards.append(action)
        self.changed.notify_all()

    @property
    def unsettled(self) -> bool:
        """Something is to be done afterwards."""
        return bool(self._afterwards)

    def let_go(self) -> None:
        """Do what was put off if time skips or is virtual; a bench with the real clock has a thread for that."""
        if self._afterwards and not self.watchable:
            self.settle()

    def settle(self) -> None:
        """Do what was put off; call it without `changed`."""
        while self._afterwards:
            try:
                action = self._afterwards.popleft()
            except IndexError:  # another thread has taken it
                return
            action()
