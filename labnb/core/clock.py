"""Where time comes from, so that a test can own it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for stamps, monotonic time for schedules."""

    def time_ns(self) -> int:
        """Return nanoseconds since 1970-01-01 UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


class SystemClock:
    """The computer's clock."""

    time_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)
