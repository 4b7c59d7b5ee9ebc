"""Which voltages a wave has at which time: shapes between -1 and 1 over phase, and waves made of them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

Shape = Callable[[float], float]
"""What a shape is at a phase from 0 to below 1."""


def sine(phase: float) -> float:
    """Begin at 0 and rise."""
    return math.sin(2.0 * math.pi * phase)


def square(duty: float = 0.5) -> Shape:
    """Be high for `duty` of a period, then low."""
    return lambda phase: 1.0 if phase < duty else -1.0


def ramp(symmetry: float = 1.0) -> Shape:
    """Rise for `symmetry` of a period, then fall."""

    def level(phase: float) -> float:
        if phase < symmetry:
            return 2.0 * phase / symmetry - 1.0
        return 1.0 - 2.0 * (phase - symmetry) / (1.0 - symmetry)

    return level


def pulse(width: float, edge: float) -> Shape:
    """Rise within `edge`, fall again so that the time between the halves is `width`; both in parts of a period."""

    def level(phase: float) -> float:
        up = min(phase / edge, 1.0) if edge else 1.0
        down = min(max((phase - width) / edge, 0.0), 1.0) if edge else float(phase >= width)
        return 2.0 * (up - down) - 1.0

    return level


def points(levels: Sequence[float]) -> Shape:
    """Step through `levels` once a period."""
    count = len(levels)
    return lambda phase: levels[min(int(phase * count), count - 1)]


@final
@dataclass(frozen=True, slots=True)
class Wave:
    """`offset + amplitude * shape(phase)`.

    Of a burst only `cycles` of it, from `start` on, and again every `burst_s` unless that is 0; in between it stays
    where it begins.
    """

    shape: Shape
    frequency: float
    amplitude: float
    offset: float = 0.0
    phase: float = 0.0
    start: float = 0.0
    cycles: float = math.inf
    burst_s: float = 0.0

    @property
    def period_s(self) -> float:
        """After how long it repeats."""
        return self.burst_s or 1.0 / self.frequency

    def level(self, now: float) -> float:
        """Return its voltage at bench time `now`."""
        since = now - self.start
        turns = (since % self.burst_s if self.burst_s else since) * self.frequency
        if not 0 <= turns < self.cycles and self.cycles < math.inf:
            turns = 0.0
        return self.offset + self.amplitude * self.shape((turns + self.phase) % 1.0)

    def mean(self) -> float:
        """Return its mean voltage, from 256 samples of a period; of a single burst where it ends."""
        if self.cycles < math.inf and not self.burst_s:
            return self.level(-math.inf)
        step = self.period_s / 256
        return math.fsum(self.level(self.start + (k + 0.5) * step) for k in range(256)) / 256
