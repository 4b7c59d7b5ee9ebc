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


Course = Callable[[float], float]
"""Something over the time in s since a wave's start."""


@final
@dataclass(frozen=True, slots=True)
class Wave:
    """`offset + amplitude * shape(phase)`.

    Of a burst only `cycles` of it, from `start` on, and again every `burst_s` unless that is 0; in between it stays
    where it begins. A sweep or a modulated wave says with `turns` how many periods have passed, which repeats after
    `repeats_s` and is never faster than `frequency`; with `envelope` by what its amplitude is multiplied.
    """

    shape: Shape
    frequency: float
    amplitude: float
    offset: float = 0.0
    phase: float = 0.0
    start: float = 0.0
    cycles: float = math.inf
    burst_s: float = 0.0
    turns: Course | None = None
    envelope: Course | None = None
    repeats_s: float = 0.0

    @property
    def period_s(self) -> float:
        """After how long it repeats."""
        return self.repeats_s or self.burst_s or 1.0 / self.frequency

    @property
    def finest_s(self) -> float:
        """The period of its fastest part."""
        return 1.0 / self.frequency

    def level(self, now: float) -> float:
        """Return its voltage at bench time `now`."""
        since = now - self.start
        amplitude = self.amplitude * self.envelope(since) if self.envelope else self.amplitude
        if self.turns is not None:
            return self.offset + amplitude * self.shape((self.turns(since) + self.phase) % 1.0)
        turns = (since % self.burst_s if self.burst_s else since) * self.frequency
        if not 0 <= turns < self.cycles and self.cycles < math.inf:
            turns = 0.0
        return self.offset + amplitude * self.shape((turns + self.phase) % 1.0)

    def mean(self) -> float:
        """Return its mean voltage, from 256 samples of a period; of a single burst where it ends."""
        if self.cycles < math.inf and not self.burst_s:
            return self.level(-math.inf)
        count = 4096 if self.repeats_s else 256
        step = self.period_s / count
        return math.fsum(self.level(self.start + (k + 0.5) * step) for k in range(count)) / count


# --- what changes a wave's frequency ---


@final
@dataclass(frozen=True, slots=True)
class Sweep:
    """A frequency that goes from `begin` to `end` in `seconds`, holds, returns, and does so again unless `once`.

    Before it and after a single one it is `begin`.
    """

    begin: float
    end: float
    seconds: float
    hold_s: float = 0.0
    return_s: float = 0.0
    logarithmic: bool = False
    once: bool = False

    @property
    def cycle_s(self) -> float:
        """How long it is until it begins again."""
        return self.seconds + self.hold_s + self.return_s

    def turns(self, since: float) -> float:
        """Return how many periods have passed `since` its start: the integral of the frequency."""
        if since < 0:
            return self.begin * since
        whole, rest = divmod(since, self.cycle_s)
        if self.once and whole:
            return self._in_cycle(self.cycle_s) + self.begin * (since - self.cycle_s)
        return whole * self._in_cycle(self.cycle_s) + self._in_cycle(rest)

    def _in_cycle(self, since: float) -> float:
        up = self._ramp(self.begin, self.end, self.seconds, min(since, self.seconds))
        held = self.end * min(max(since - self.seconds, 0.0), self.hold_s)
        back = max(since - self.seconds - self.hold_s, 0.0)
        return up + held + self._ramp(self.end, self.begin, self.return_s, back)

    def _ramp(self, begin: float, end: float, seconds: float, since: float) -> float:
        if not seconds or begin == end:
            return begin * since
        if self.logarithmic:
            rate = math.log(end / begin) / seconds
            return begin * math.expm1(rate * since) / rate
        return begin * since + 0.5 * (end - begin) / seconds * since**2


def modulated_turns(carrier: float, deviation: float, shape: Shape, rate: float) -> Course:
    """Return the periods passed of a carrier whose frequency is `carrier + deviation * shape`, `rate` times a second.

    The shape's integral is tabulated with 1024 midpoints a period.
    """
    count = 1024
    steps = [shape((k + 0.5) / count) / count for k in range(count)]
    total = [0.0]
    for step in steps:
        total.append(total[-1] + step)

    def turns(since: float) -> float:
        whole, rest = divmod(since * rate, 1.0)
        place = rest * count
        k = min(int(place), count - 1)
        area = whole * total[-1] + total[k] + (place - k) * steps[k]
        return carrier * since + deviation / rate * area

    return turns
