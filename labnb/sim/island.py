"""How one island of a circuit is solved: nodal analysis, Newton's method, steps in time.

What is here knows nodes by their columns and parts by what `Part` says; which parts make an island is `circuit`'s.
"""

import math
from collections.abc import Callable
from typing import final

from labnb.core import InstrumentError
from labnb.sim.parts import Column, Part, Rows
from labnb.sim.reactive import Reactive

GROUND = "gnd"

_LEAK_S = 1e-12
"""Every node leaks to ground with this conductance, so that a floating node has a voltage (SPICE's GMIN)."""
_NEWTON_V = 1e-7
"""Newton's last step is below this; it converges quadratically, so the error is then below 1e-12 V."""
_FIRST_STEP_S = 1e-9
_LEAST_STEP_S = 1e-9
_CROSSING_S = 1e-7
"""When a supply changes between CV and CC is known to this."""
_MOST_STEPS = 200_000
_MOST_ITERATIONS = 1000
"""A constant power near the most that its source can give is approached slowly."""
_STEPS_A_PERIOD = 40
_PERIODS = 10
"""A wait of more periods of a wave than twice this is passed with its mean, but for the last ones."""
_FINEST_PERIODS = 400
"""So many periods of the fastest wave, in a burst or a sweep, are followed at most."""
_QUIET_PHASE = 0.25
"""A wave is taken up again at its crest, where a steady ripple behind a sine passes through its mean."""


@final
class Tap:
    """What a part sees, sampled at equal intervals while the circuit goes on."""

    def __init__(self, look: Callable[[], float], start: float, interval_s: float, count: int) -> None:
        self._look = look
        self.start = start
        self.interval_s = interval_s
        self.samples: list[float] = []
        self._count = count

    @property
    def due(self) -> float:
        """When the next sample is to be taken; infinity when all are there."""
        taken = len(self.samples)
        return self.start + taken * self.interval_s if taken < self._count else math.inf

    def sample(self) -> None:
        """Take a sample of the present solution."""
        self.samples.append(self._look())


@final
class Island:
    """Parts that share nodes besides ground, their solution and their time."""

    def __init__(self, parts: list[Part], now: float) -> None:
        self.parts = parts
        names = sorted({node for part in parts for node in part.nodes} - {GROUND})
        self.columns = {name: column for column, name in enumerate(names)}
        self.touched = True
        self._nodes = len(names)
        self._size = self._nodes + sum(part.branches for part in parts)
        self._solution: Column = [0.0] * (self._size + 1)  # ground is the last column, and stays 0
        self.taps: list[Tap] = []
        self._reactive = [part for part in parts if isinstance(part, Reactive)]
        self._nonlinear = [part for part in parts if part.nonlinear]
        self._straight = [part for part in parts if not part.nonlinear]
        self._timed = [part for part in parts if type(part).prepare is not Part.prepare]
        self._moded = [part for part in parts if type(part).remode is not Part.remode]
        self._now = now
        self._step_s = _FIRST_STEP_S
        self._number(parts)

    def _number(self, parts: list[Part]) -> None:
        branch = self._nodes
        for part in parts:
            part.place([self.columns.get(node, self._size) for node in part.nodes], branch)
            branch += part.branches

    def potential(self, node: str) -> float:
        """Return the voltage of `node` over ground in V as of the last solution."""
        return self._solution[self.columns[node]]

    def advance(self, now: float) -> bool:
        """Solve for `now` if anything is new, and take the samples that are due; return whether it was."""
        solved = False
        while self.taps and (tap := min(self.taps, key=lambda tap: tap.due)).due <= now:
            solved |= self._reach(tap.due)
            tap.sample()
        return self._reach(now) or solved

    def _reach(self, now: float) -> bool:
        if self._reactive:
            return self._integrate(now)
        changed = [part.prepare(now) for part in self._timed]
        if not self.touched and not any(changed):
            return False
        self._accept(self._solve(0.0), 0.0)
        self.touched = False
        return True

    def _integrate(self, now: float) -> bool:
        if now <= self._now and not self.touched:
            return False
        period = max(part.period_s for part in self.parts)
        finest = self._finest()
        window = min(_PERIODS * period, _FINEST_PERIODS * finest) if period else 0.0
        if period and now - self._now > 2 * window:
            self._pass_with_means(now - window - _QUIET_PHASE * (period if window >= period else finest))
        self._follow(now)
        return True

    def _finest(self) -> float:
        """Return the period of the fastest wave; infinity without any."""
        waves = (part.finest_s or part.period_s for part in self.parts if part.period_s and not part.averaging)
        return min(waves, default=math.inf)

    def _pass_with_means(self, until: float) -> None:
        """Go on to `until` with every wave at its mean."""
        for averaging in (True, False):
            for part in self.parts:
                part.averaging = averaging
            self.touched = True
            if averaging:
                self._follow(until)

    def _follow(self, now: float) -> None:
        if self.touched:  # something jumped: find the currents just after it
            for part in self._timed:
                part.prepare(self._now)
            self._restart()
        longest = self._finest() / _STEPS_A_PERIOD
        for _ in range(_MOST_STEPS):
            if self._now >= now:
                return
            self._one_step(min(self._step_s, now - self._now, longest))
        raise InstrumentError(f"the circuit of {', '.join(self.columns)} changes too fast to be followed to {now} s")

    def _restart(self) -> None:
        """Take two backward Euler steps: the first may hold the pulse that charges a capacitor, the second forgets it.

        The trapezoidal rule would carry that pulse on for ever, with alternating sign.
        """
        for _ in range(2):
            for part in self._reactive:
                part.settled = False
            self._accept(self._solve(_FIRST_STEP_S), _FIRST_STEP_S)
        self._step_s = _FIRST_STEP_S
        self.touched = False

    def _one_step(self, step_s: float) -> None:
        for part in self._timed:
            part.prepare(self._now + step_s)
        modes = [part.mode for part in self._moded]
        solution = self._solve(step_s)
        jumped = modes != [part.mode for part in self._moded]
        error = 0.0 if jumped else max(part.error(solution, step_s) for part in self._reactive)
        factor = 0.2 if jumped else min(2.0, max(0.2, 0.9 / (error + 1e-9) ** (1 / 3)))
        self._step_s = max(step_s * factor, _LEAST_STEP_S)
        if (jumped and step_s > _CROSSING_S) or (error > 1.0 and step_s > _LEAST_STEP_S):
            for part, mode in zip(self._moded, modes, strict=True):
                part.mode = mode
            return
        self._accept(solution, step_s)
        self._now = max(self._now + step_s, math.nextafter(self._now, math.inf))
        self.touched = jumped
        if jumped:
            self._restart()

    def _accept(self, solution: Column, step_s: float) -> None:
        self._solution = solution
        for part in self.parts:
            part.commit(solution, step_s)

    def _solve(self, step_s: float) -> Column:
        """Return the solution in which every part's mode is consistent."""
        solution = self._newton(step_s)
        for _ in range(20):
            changes = [part.remode(solution) for part in self._moded]  # all of them, not until the first
            if not any(changes):
                break
            solution = self._newton(step_s)
        return solution

    def _newton(self, step_s: float) -> Column:
        guess = self._solution
        rows, right = self._linear(guess, step_s)
        if not self._nonlinear:
            return eliminate(rows, right, self._size)
        for _ in range(_MOST_ITERATIONS):
            solution = self._linearised(rows, right, guess, step_s)
            if self._converged(guess, solution):
                return solution
            guess = solution
        raise InstrumentError(f"the circuit of {', '.join(self.columns)} has no solution that Newton's method finds")

    def _converged(self, guess: Column, solution: Column) -> bool:
        for column in range(self._nodes):
            if not abs(solution[column] - guess[column]) <= _NEWTON_V + 1e-9 * abs(guess[column]):
                return False
        return not any(part.limited(guess) for part in self._nonlinear)

    def _linear(self, guess: Column, step_s: float) -> tuple[Rows, Column]:
        """Return the equations of the parts whose stamps do not depend on the guess."""
        width = self._size + 1
        rows = [[0.0] * width for _ in range(width)]
        right = [0.0] * width
        for node in range(self._nodes):
            rows[node][node] = _LEAK_S
        for part in self._straight:
            part.stamp(rows, right, guess, step_s)
        return rows, right

    def _linearised(self, linear: Rows, linear_right: Column, guess: Column, step_s: float) -> Column:
        rows, right = [row.copy() for row in linear], linear_right.copy()
        for part in self._nonlinear:
            part.stamp(rows, right, guess, step_s)
        return eliminate(rows, right, self._size)


def eliminate(rows: Rows, right: Column, size: int) -> Column:
    """Solve the first `size` equations by elimination with row pivots; what stands after them is ground's."""
    for k in range(size):
        pivot = _pivot(rows, k, size)
        if pivot != k:
            rows[k], rows[pivot], right[k], right[pivot] = rows[pivot], rows[k], right[pivot], right[k]
        top, above = rows[k], right[k]
        lead = top[k]
        for r in range(k + 1, size):
            row = rows[r]
            if row[k]:
                factor = row[k] / lead
                right[r] -= factor * above
                for c in range(k + 1, size):
                    row[c] -= factor * top[c]
    for k in range(size - 1, -1, -1):
        row, total = rows[k], right[k]
        for c in range(k + 1, size):
            total -= row[c] * right[c]
        right[k] = total / row[k]
    right[size] = 0.0
    return right


def _pivot(rows: Rows, k: int, size: int) -> int:
    """Return which row has the largest coefficient of unknown `k`, of those that are left."""
    found, largest = k, abs(rows[k][k])
    for r in range(k + 1, size):
        each = abs(rows[r][k])
        if each > largest:
            found, largest = r, each
    if largest == 0:
        raise InstrumentError("the circuit contradicts itself: two ideal sources in parallel, or a shorted one")
    return found
