"""When a view is brought up to date: at most ten times a second, and always once more at the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from labnb.core import Clock, SystemClock


class Ticker:
    """Calls `show` every `period_s`, on the loop that runs it.

    Polling makes the trailing edge certain: whatever changed is shown by the next tick, and the last change by the
    tick that is made on the way out. Ticks keep to their schedule: one that comes late, on a busy loop, does not put off
    those after it, and those that were missed are left out. A `show` that takes long twice is called less often: it gets
    a tenth of the time. (Once may be Python's collection of garbage, which takes 0.1 s among a million points.) That is
    the processor's time (`spent`): beside a thread that computes, `show` mostly waits, and waiting costs nobody.
    """

    def __init__(
        self,
        show: Callable[[], None],
        *,
        on_error: Callable[[Exception], None],
        period_s: float = 0.1,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        spent: Callable[[], float] = time.thread_time,
    ) -> None:
        if not period_s > 0:
            raise ValueError(f"ticker: the period must be a positive number of seconds, got {period_s!r}")
        self._show = show
        self._on_error = on_error
        self._period_s = period_s
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._spent = spent
        self._broken = False

    async def run(self) -> None:
        """Tick until cancelled. A `show` that raises is reported to `on_error` and not called again."""
        due, before_s = self._clock.monotonic(), 0.0
        try:
            while True:
                cost_s = self._tick()
                if self._broken:
                    return
                now = self._clock.monotonic()
                due = max(due + self._period_s, now + 9 * min(cost_s, before_s))
                before_s = cost_s
                await self._sleep(due - now)
        finally:
            self._tick()

    def _tick(self) -> float:
        """Show once; return the processor's time that it took, in s."""
        if self._broken:
            return 0.0
        busy = self._spent()
        try:
            self._show()
        except Exception as error:  # noqa: BLE001 -- a picture that fails must not end a measurement; on_error shows it
            self._broken = True
            self._on_error(error)
        return self._spent() - busy
