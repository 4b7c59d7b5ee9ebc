"""Which parts an instrument drives: a generator's output, an electronic load's input, and a switch."""

import math
from dataclasses import dataclass
from typing import Literal, final

from labnb.sim.parts import Approach, Column, Part, Rows
from labnb.sim.waves import Wave

LoadMode = Literal["CURR", "VOLT", "POW", "RES"]
_HOLDING_S = 1e4
CLAMP_V = 10.0
"""The open voltage of an ohmmeter is little more."""


@final
class WaveSource(Part):
    """A generator's output: `wave`, or the constant `volts`, behind `ohms`; open when it is not `live`."""

    def __init__(self, first: str, second: str = "gnd", *, ohms: float = 50.0) -> None:
        super().__init__(first, second)
        self.ohms = ohms
        self.live = False
        self.volts = 0.0
        self._wave: Wave | None = None
        self._mean = 0.0

    def drive(self, wave: Wave | None, volts: float = 0.0) -> None:
        """Give `wave`, or without one the constant `volts`; with None and 0 V the output stays connected."""
        self._wave = wave
        self._mean = wave.mean() if wave else volts
        self.volts = self._mean
        driving = wave if self.live else None
        self.period_s = driving.period_s if driving else 0.0
        self.finest_s = driving.finest_s if driving else 0.0

    def prepare(self, now: float) -> bool:
        """Take the level at `now`."""
        before = self.volts
        self.volts = self._mean if self._wave is None or self.averaging else self._wave.level(now)
        return self.volts != before

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add i = (v - volts) / ohms."""
        if self.live:
            self._add_conductance(rows, 1.0 / self.ohms)
            self._add_current(right, -self.volts / self.ohms)

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self.across(solution)
        self.current = (self.voltage - self.volts) / self.ohms if self.live else 0.0


@final
class TestCurrent(Part):
    """An ohmmeter's current, `amps` out of its first node, that fades between 10 and 11 V."""

    def __init__(self, first: str, second: str = "gnd") -> None:
        super().__init__(first, second)
        self.amps = 0.0

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add i = -amps, or i = -amps (11 V - v) / 1 V."""
        if self.mode == "fading":
            self._add_conductance(rows, self.amps)
            self._add_current(right, -self.amps * (CLAMP_V + 1.0))
        else:
            self._add_current(right, -self.amps)

    def remode(self, solution: Column) -> bool:
        """Fade above 10 V."""
        before = self.mode
        self.mode = "fading" if self.amps and self.across(solution) > CLAMP_V else ""
        return self.mode != before

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self.across(solution)
        fades = self.mode == "fading"
        self.current = -self.amps * (CLAMP_V + 1.0 - self.voltage if fades else 1.0)


@final
class Switch(Part):
    """A contact of 10 mohm, open until `closed`."""

    def __init__(self, first: str, second: str = "gnd", *, closed: bool = False, ohms: float = 0.01) -> None:
        super().__init__(first, second)
        self.closed = closed
        self._siemens = 1.0 / ohms

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add i = v / R, or nothing."""
        if self.closed:
            self._add_conductance(rows, self._siemens)

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self.across(solution)
        self.current = self.voltage * self._siemens if self.closed else 0.0


@final
@dataclass(frozen=True, slots=True)
class Pulses:
    """A level that goes from `base` to `top` and back, `frequency` times a second or once, with slopes."""

    start: float
    base: float
    top: float
    width_s: float
    frequency: float = 0.0
    """0 for a single pulse."""
    rising: float = math.inf
    falling: float = math.inf
    """How much of the level a second."""

    def at(self, now: float) -> float:
        """Return the level at bench time `now`."""
        since = now - self.start
        if since < 0:
            return self.base
        since = since % (1.0 / self.frequency) if self.frequency else since
        reached = self._way(self.base, self.top, min(since, self.width_s))
        return reached if since <= self.width_s else self._way(reached, self.base, since - self.width_s)

    def _way(self, begin: float, end: float, since: float) -> float:
        slew = self.rising if end > begin else self.falling
        return end if math.isinf(slew) else Approach(0.0, begin, end, slew).at(since)

    def mean(self) -> float:
        """Return the mean over a period; of a single pulse where it ends."""
        if not self.frequency:
            return self.base
        return math.fsum(self.at(self.start + (k + 0.5) / 256 / self.frequency) for k in range(256)) / 256


@final
class Sink(Part):
    """An electronic load's input: it holds current, voltage, power or resistance when it is `live`.

    It has no less than `least_ohms`, which is all that is left when its source cannot give what it wants, and which
    conducts backwards, too (its transistors' body diodes). A held voltage rises by 0.1 mV/A.
    """

    nonlinear = True

    def __init__(self, first: str, second: str = "gnd", *, least_ohms: float = 0.05) -> None:
        super().__init__(first, second)
        self.live = False
        self.short = False
        self.law: LoadMode = "CURR"
        self.level = 0.0
        self.least_ohms = least_ohms
        self._way: Approach | None = None
        self._pulses: Pulses | None = None

    def pulse(self, pulses: Pulses) -> None:
        """Let the level follow `pulses`."""
        self._way, self._pulses = None, pulses
        self.period_s = 1.0 / pulses.frequency if pulses.frequency else 0.0

    def approach(self, level: float, slew: float, now: float) -> None:
        """Go to `level` with `slew` of its unit a second from bench time `now` on."""
        self._pulses, self.period_s = None, 0.0
        self._way = None if math.isinf(slew) else Approach(now, self.level, level, slew)
        if self._way is None:
            self.level = level

    def prepare(self, now: float) -> bool:
        """Go on towards the level that is approached."""
        before = self.level
        if self._pulses is not None:
            self.level = self._pulses.mean() if self.averaging else self._pulses.at(now)
        elif self._way is not None:
            self.level = self._way.at(now)
        return self.level != before

    def _tangent(self, volts: float) -> tuple[float, float]:
        """Return slope and current at zero volts of what it lets flow around `volts`; of power the secant.

        The secant falls, as a real load does, to the least resistance when the source cannot give the power.
        """
        full = 1.0 / self.least_ohms
        if self.short or volts < 0:
            return full, 0.0
        if self.law == "CURR":
            return (full, 0.0) if volts * full < self.level else (0.0, self.level)
        if self.law == "VOLT":
            return (0.0, 0.0) if volts < self.level else (_HOLDING_S, -_HOLDING_S * self.level)
        if self.law == "POW":
            return min(self.level / max(volts, 1e-9) ** 2, full), 0.0
        return min(1.0 / self.level if self.level else full, full), 0.0

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add the tangent at the guess."""
        if self.live:
            siemens, amps = self._tangent(self.across(guess))
            self._add_conductance(rows, siemens)
            self._add_current(right, amps)

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self.across(solution)
        siemens, amps = self._tangent(self.voltage) if self.live else (0.0, 0.0)
        self.current = siemens * self.voltage + amps
