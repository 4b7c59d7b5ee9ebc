"""Which electrical parts there are, and what law each follows.

A part stands between two nodes and adds its linearised law to the equations of modified nodal analysis
(L. W. Nagel, SPICE2, UCB/ERL M520, 1975): row `k` says that the currents which leave node `k` sum to zero.
Voltages are in V, currents in A and flow through the part from its first node to its second.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

from labnb.sim.diode_law import BOLTZMANN_V_PER_K, T0_K, Junction, saturation_current

Rows = list[list[float]]
Column = list[float]


class Part:
    """What the solver asks of a part. A subclass adds its law in `stamp` and its state in `commit`."""

    terminal_names: ClassVar[tuple[str, ...]] = ("1", "2")
    """What a bench file calls its nodes, in the order of the constructor."""

    nonlinear = False
    """Its stamp depends on the guess, so the solver iterates."""
    branches = 0
    """How many currents are unknowns of their own."""

    period_s = 0.0
    """After how long its law repeats, for a part whose law changes with time for ever; 0 for the others."""
    finest_s = 0.0
    """The period of its fastest part; 0 when that is all of it."""
    averaging = False
    """It keeps to the mean of its law: the solver passes long waits so."""

    def __init__(self, first: str, second: str = "gnd", *more: str) -> None:
        self.nodes = (first, second, *more)
        self.voltage = 0.0
        self.current = 0.0
        self.mode = ""
        """Which of its laws holds, for a part that has several."""
        self.first = self.second = self.branch = 0
        """Columns in the island's equations."""

    def place(self, columns: list[int], branch: int) -> None:
        """Take over which columns its nodes and its own currents have in the island's equations."""
        self.first, self.second, *_ = columns
        self.branch = branch

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add the linearised law around `guess`; `step_s` is the time step, 0 for the steady state."""
        raise NotImplementedError

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over voltage, current and state from an accepted solution."""
        raise NotImplementedError

    def across(self, column: Column) -> float:
        """Return the voltage from the first to the second node."""
        return column[self.first] - column[self.second]

    def prepare(self, now: float) -> bool:
        """Follow what changes by itself with time; return True if the law is not what it was."""
        return False

    def remode(self, solution: Column) -> bool:
        """Choose the mode that is consistent with `solution`; return True if that is another one."""
        return False

    def limited(self, guess: Column) -> bool:
        """Return whether the last stamp was taken elsewhere than at `guess`, so that Newton must go on."""
        return False

    def _add_conductance(self, rows: Rows, siemens: float) -> None:
        first, second = self.first, self.second
        rows[first][first] += siemens
        rows[second][second] += siemens
        rows[first][second] -= siemens
        rows[second][first] -= siemens

    def _add_current(self, right: Column, amps: float) -> None:
        right[self.first] -= amps
        right[self.second] += amps


@final
class Resistor(Part):
    """A resistor; `ohms` may be infinite (an open relay)."""

    def __init__(self, first: str, second: str = "gnd", *, ohms: float) -> None:
        super().__init__(first, second)
        if not ohms > 0:
            raise ValueError(f"resistor {first}-{second}: ohms={ohms} must be above zero")
        self.ohms = ohms

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add i = v / R."""
        self._add_conductance(rows, 1.0 / self.ohms)

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self.across(solution)
        self.current = self.voltage / self.ohms


@final
class CurrentSource(Part):
    """A source that drives `amps` from its second node through itself out of its first, whatever the voltage."""

    def __init__(self, first: str, second: str = "gnd", *, amps: float = 0.0) -> None:
        super().__init__(first, second)
        self.amps = amps

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add i = -amps."""
        self._add_current(right, -self.amps)

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self.across(solution)
        self.current = -self.amps


class Diode(Part):
    """A junction diode after Shockley, without series resistance.

    i = Is(T) (exp(v / (n Vt)) - 1) with Vt = kT/q and Is(T) of `saturation_current`.
    `temperature` is in K: a number, or a function of bench time for a diode that something heats.
    """

    terminal_names = ("anode", "cathode")
    nonlinear = True

    def __init__(
        self,
        first: str,
        second: str = "gnd",
        *,
        saturation_a: float = 2.52e-9,
        ideality: float = 1.752,
        gap_ev: float = 1.11,
        exponent: float = 3.0,
        temperature: float | Callable[[float], float] = T0_K,
    ) -> None:
        super().__init__(first, second)
        self._law = (saturation_a, ideality, gap_ev, exponent)
        self._follow = temperature if callable(temperature) else None
        self._junction = Junction(saturation_a, 1.0)
        self._set_temperature(temperature(0.0) if callable(temperature) else temperature)

    def _set_temperature(self, kelvin: float) -> None:
        saturation_a, ideality, gap_ev, exponent = self._law
        self.kelvin = kelvin
        saturation = saturation_current(kelvin, saturation_a, ideality, gap_ev, exponent)
        self._junction = Junction(saturation, ideality * BOLTZMANN_V_PER_K * kelvin, self._junction.volts)

    def prepare(self, now: float) -> bool:
        """Take the temperature at `now`; below 1 uK of change the law stays."""
        kelvin = self._follow(now) if self._follow else self.kelvin
        if abs(kelvin - self.kelvin) < 1e-6:
            return False
        self._set_temperature(kelvin)
        return True

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add the tangent at the guess, which is kept from running up the exponential."""
        siemens, amps = self._junction.tangent(self.across(guess))
        self._add_conductance(rows, siemens)
        self._add_current(right, amps)

    def limited(self, guess: Column) -> bool:
        """Return whether the last stamp was taken elsewhere than at `guess`."""
        return abs(self._junction.volts - self.across(guess)) > 1e-12

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self._junction.volts = self.across(solution)
        self.current = self._junction.current(self.voltage)


@final
@dataclass(frozen=True, slots=True)
class Approach:
    """A straight way from one value to another."""

    since: float
    start: float
    goal: float
    slew: float
    """How much of it a second, whatever its direction."""

    def at(self, now: float) -> float:
        """Return how far it is at bench time `now`."""
        way = self.slew * max(now - self.since, 0.0)
        if way >= abs(self.goal - self.start):
            return self.goal
        return self.start + math.copysign(way, self.goal - self.start)


@final
class Source(Part):
    """An ideal supply, `volts` from its second to its first node, that turns into a current source at its limit.

    `mode` is `off` (open), `cv` or `cc`. `supplied` is the current that leaves its first terminal, which may be
    negative: then it sinks, without limit, unless it `sinks`: a source of four quadrants, whose limit holds for both
    directions of current and whose voltage may be negative.

    `sense` are the nodes of its sense terminals: while it is `remote`, `volts` is what stands there, and `sensed` is
    the voltage there; otherwise both mean its own terminals. Sense terminals that go nowhere need a resistor to the
    output, as real ones have inside.
    """

    branches = 1

    def __init__(
        self, first: str, second: str = "gnd", *, sinks: bool = False, sense: tuple[str, str] | None = None
    ) -> None:
        super().__init__(first, second, *(sense or ()))
        self._sinks = sinks
        self._sign = 1.0
        self._sense = (0, 0)
        self.remote = False
        self.sensed = 0.0
        self.volts = 0.0
        self.limit_a = math.inf
        self.mode = "off"
        self._way: Approach | None = None

    def place(self, columns: list[int], branch: int) -> None:
        """Take over the columns of its terminals and of its sense terminals, if it has them."""
        super().place(columns, branch)
        self._sense = (columns[2], columns[3]) if len(columns) == 4 else (self.first, self.second)

    @property
    def _regulated(self) -> tuple[int, int]:
        return self._sense if self.remote else (self.first, self.second)

    def _held(self, column: Column) -> float:
        first, second = self._regulated
        return column[first] - column[second]

    def approach(self, volts: float, slew: float, now: float) -> None:
        """Go to `volts` with `slew` volts a second from bench time `now` on."""
        self._way = None if math.isinf(slew) else Approach(now, self.volts, volts, slew)
        if self._way is None:
            self.volts = volts

    def prepare(self, now: float) -> bool:
        """Go on towards the voltage that is approached."""
        before = self.volts
        if self._way is not None:
            self.volts = self._way.at(now)
        return self.volts != before

    @property
    def supplied(self) -> float:
        """The current that leaves the first terminal."""
        return -self.current

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add one row for the branch: v = volts, i = -limit or i = 0."""
        branch = self.branch
        rows[self.first][branch] += 1.0
        rows[self.second][branch] -= 1.0
        if self.mode == "cv":
            first, second = self._regulated
            rows[branch][first] += 1.0
            rows[branch][second] -= 1.0
            right[branch] = self.volts
        else:
            rows[branch][branch] = 1.0
            right[branch] = -self._sign * self.limit_a if self.mode == "cc" else 0.0

    def remode(self, solution: Column) -> bool:
        """Limit the current when it is too high, the voltage when it is."""
        amps = -solution[self.branch]
        if self._sinks and self.mode == "cv":
            self._sign = math.copysign(1.0, amps)
        if self.mode == "cv" and self._sign * amps > self.limit_a * (1 + 1e-9) + 1e-12:
            self.mode = "cc"
            return True
        if self.mode == "cc" and self._sign * (self._held(solution) - self.volts) > 1e-9 * abs(self.volts) + 1e-12:
            self.mode = "cv"
            return True
        return False

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self.across(solution)
        self.sensed = self._held(solution)
        self.current = solution[self.branch]
