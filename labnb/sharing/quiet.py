"""When a service that was started on demand ends: nobody has had anything to do with it for a while."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

from labnb.core import present_clock


class Quiet:
    """Calls `then` once nothing was reserved, and nobody asked or waited, for `after_s`; from then on it takes no calls."""

    def __init__(self, after_s: float, then: Callable[[], object]) -> None:
        self.has_come = False
        self._after_s = after_s
        self._then = then
        self._calls = 0
        self._since_s = present_clock().monotonic()

    @contextmanager
    def call(self) -> Generator[None]:
        """Count as somebody while the block runs."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            self._since_s = present_clock().monotonic()

    async def watch(self, is_needed: Callable[[], bool]) -> None:
        """Wait for the quiet; whatever `is_needed` says is no quiet either."""
        while not self.has_come:
            now_s = present_clock().monotonic()
            if self._calls or is_needed():
                self._since_s = now_s
            left_s = self._since_s + self._after_s - now_s
            self.has_come = left_s <= 0
            if not self.has_come:
                await asyncio.sleep(left_s)
        self._then()
