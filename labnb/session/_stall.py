"""Notices when the loop of a run stands still: somebody computes on it, and every awaiting body on it waits."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import final

from labnb.core import Clock

STALLED_S = 1.0
"""A loop that is late by this much has stood still."""

_PERIOD_S = 0.2
_MOST = 20  # are told one by one; the others are counted


@final
class StallWatch:
    """Tells `report` of each stall: how long, when, and `advice`. `run` until cancelled, on the loop in question."""

    def __init__(self, clock: Clock, report: Callable[[str], None], advice: str = "") -> None:
        self._clock, self._report = clock, report
        self._advice = f" (see {advice})" if advice else ""
        self._told = self._more = 0
        self._more_s = 0.0

    async def run(self) -> None:
        """Look again and again how late this loop is."""
        try:
            while True:
                begun, wall_ns = self._clock.monotonic(), self._clock.time_ns()
                try:
                    await asyncio.sleep(_PERIOD_S)
                finally:  # also when it is cancelled behind a stall that lasted until the end
                    self._judge(self._clock.monotonic() - begun, wall_ns)
        finally:
            if self._more:
                self._report(
                    f"the loop stood still {self._more} more times, for {self._more_s:.1f} s in all{self._advice}"
                )

    def _judge(self, took_s: float, wall_ns: int) -> None:
        if took_s < _PERIOD_S + STALLED_S:
            return
        if self._told == _MOST:
            self._more += 1
            self._more_s += took_s
            return
        self._told += 1
        took_s -= _PERIOD_S / 2  # it began at some time during the wait
        when = datetime.fromtimestamp(wall_ns / 1e9).astimezone()
        loop = "the kernel's loop" if self._advice else "the event loop"
        self._report(f"{loop} stood still for {took_s:.1f} s at {when:%H:%M:%S}{self._advice}")
