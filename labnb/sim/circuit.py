"""Which voltages and currents a circuit has now.

Nodal analysis with Newton's method, pure Python, evaluated only when somebody looks. Parts that share no node but
ground make islands of their own, so that a meter on one output does not pay for the other outputs.
"""

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
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
_STEPS_A_PERIOD = 40
_PERIODS = 10
"""A wait of more periods of a wave than twice this is passed with its mean, but for the last ones."""
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
class Circuit:
    """Parts between named nodes; `"gnd"` is the reference."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._islands: list[_Island] | None = None
        self._of_part: dict[Part, _Island] = {}
        self._of_node: dict[str, _Island] = {}
        self._now = 0.0
        self._watchers: list[Callable[[], bool]] = []
        self._listeners: list[Callable[[], None]] = []
        self._taps: list[tuple[Part, Tap]] = []

    def add(self, *parts: Part) -> None:
        """Connect `parts`."""
        self._parts += parts
        self._islands = None

    def watch(self, watcher: Callable[[], bool]) -> None:
        """Call `watcher` after every solution; it returns True when it has changed a part (a protection tripped)."""
        self._watchers.append(watcher)

    def advance(self, now: float, part: Part | None = None) -> None:
        """Bring the circuit, or only what is connected to `part`, to bench time `now` (s).

        Raises InstrumentError if there is no stable solution.
        """
        islands = self._connected()  # new ones begin at the time of the last solution
        self._now = max(self._now, now)
        if part is not None:
            islands = [self._of_part[part]]
        for _ in range(10):
            solved = [island.advance(self._now) for island in islands]
            acted = [watcher() for watcher in self._watchers] if any(solved) else []
            if not any(acted):
                return

    def tap(self, part: Part, look: Callable[[], float], *, start: float, interval_s: float, count: int) -> Tap:
        """Sample `look`, which looks at `part`, every `interval_s` from bench time `start` on, `count` times.

        The samples are there when the circuit is advanced past them; take the tap off with `untap`.
        """
        self._connected()
        tap = Tap(look, start, interval_s, count)
        self._of_part[part].taps.append(tap)
        self._taps.append((part, tap))
        return tap

    def untap(self, tap: Tap) -> None:
        """Take no more samples for `tap`."""
        for part, each in self._taps:
            if each is tap:
                self._of_part[part].taps.remove(tap)
        self._taps = [(part, each) for part, each in self._taps if each is not tap]

    def period(self, part: Part) -> float:
        """Return the longest period in s of the waves that drive what is connected to `part`; 0 without any."""
        self._connected()
        return max((each.period_s for each in self._of_part[part].parts), default=0.0)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every edit."""
        self._listeners.append(listener)

    @contextmanager
    def edit(self, now: float, part: Part) -> Generator[None]:
        """Change attributes of `part` inside of this, at bench time `now`."""
        self.advance(now, part)
        yield
        self.touch(part)
        for listener in self._listeners:
            listener()

    def touch(self, part: Part) -> None:
        """Say that attributes of `part` have changed at the time of the last solution."""
        self._connected()
        self._of_part[part].touched = True

    def voltage(self, first: str, second: str = GROUND) -> float:
        """Return the voltage between two nodes in V as of the last `advance`."""
        return self._potential(first) - self._potential(second)

    def _potential(self, node: str) -> float:
        if node == GROUND:
            return 0.0
        self._connected()
        if node not in self._of_node:
            raise InstrumentError(f"the circuit has no node {node!r}; it has {', '.join(sorted(self._of_node))}")
        return self._of_node[node].potential(node)

    def _connected(self) -> "list[_Island]":
        if self._islands is None:
            self._islands = [_Island(parts, self._now) for parts in _groups(self._parts)]
            self._of_part = {part: island for island in self._islands for part in island.parts}
            self._of_node = {node: island for island in self._islands for node in island.columns}
            for part, tap in self._taps:
                self._of_part[part].taps.append(tap)
        return self._islands


def _groups(parts: list[Part]) -> list[list[Part]]:
    """Return the parts by island: those that are joined by nodes other than ground."""
    groups: list[tuple[set[str], list[Part]]] = []
    for part in parts:
        nodes, members = set(part.nodes) - {GROUND}, [part]
        apart: list[tuple[set[str], list[Part]]] = []
        for group in groups:
            if group[0] & nodes:
                nodes, members = nodes | group[0], group[1] + members
            else:
                apart.append(group)
        groups = [*apart, (nodes, members)]
    return [members for _, members in groups]


@final
class _Island:
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
        if period and now - self._now > 2 * _PERIODS * period:
            self._pass_with_means(now - (_PERIODS + _QUIET_PHASE) * period)
        self._follow(now)
        return True

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
        waves = [part.period_s for part in self.parts if part.period_s and not part.averaging]
        longest = min(waves) / _STEPS_A_PERIOD if waves else math.inf
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
            return _eliminate(rows, right, self._size)
        for _ in range(200):
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
        return _eliminate(rows, right, self._size)


def _eliminate(rows: Rows, right: Column, size: int) -> Column:
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
