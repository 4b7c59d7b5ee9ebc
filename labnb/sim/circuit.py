"""Which voltages and currents a circuit has now.

Nodal analysis with Newton's method, pure Python, evaluated only when somebody looks. Parts that share no node but
ground make islands of their own, so that a meter on one output does not pay for the other outputs.
"""

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import final

from labnb.core import InstrumentError
from labnb.sim.parts import Capacitor, Column, Diode, Part, Rows

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

    def add(self, *parts: Part) -> None:
        """Connect `parts`."""
        self._parts += parts
        self._islands = None

    def watch(self, watcher: Callable[[], bool]) -> None:
        """Call `watcher` after every solution; it returns True when it has changed a part (a protection tripped)."""
        self._watchers.append(watcher)

    def advance(self, now: float) -> None:
        """Bring the circuit to bench time `now` (s). Raises InstrumentError if it has no stable solution."""
        islands = self._connected()  # new ones begin at the time of the last solution
        self._now = max(self._now, now)
        for _ in range(10):
            solved = [island.advance(self._now) for island in islands]
            acted = [watcher() for watcher in self._watchers] if any(solved) else []
            if not any(acted):
                return

    @contextmanager
    def edit(self, now: float, part: Part) -> Generator[None]:
        """Change attributes of `part` inside of this, at bench time `now`."""
        self.advance(now)
        yield
        self.touch(part)

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
        self._capacitors = [part for part in parts if isinstance(part, Capacitor)]
        self._diodes = [part for part in parts if isinstance(part, Diode)]
        self._linear = not any(part.nonlinear for part in parts)
        self._now = now
        self._step_s = _FIRST_STEP_S
        self._number(parts)

    def _number(self, parts: list[Part]) -> None:
        branch = self._nodes
        for part in parts:
            part.first, part.second = (self.columns.get(node, self._size) for node in part.nodes)
            part.branch = branch
            branch += part.branches

    def potential(self, node: str) -> float:
        return self._solution[self.columns[node]]

    def advance(self, now: float) -> bool:
        """Solve for `now` if anything is new; return whether it was."""
        if self._capacitors:
            return self._integrate(now)
        changed = [part.prepare(now) for part in self.parts]
        if not self.touched and not any(changed):
            return False
        self._accept(self._solve(0.0), 0.0)
        self.touched = False
        return True

    def _integrate(self, now: float) -> bool:
        if now <= self._now and not self.touched:
            return False
        if self.touched:  # something jumped: find the currents just after it
            self._restart()
        for _ in range(_MOST_STEPS):
            if self._now >= now:
                return True
            self._one_step(min(self._step_s, now - self._now))
        raise InstrumentError(f"the circuit of {', '.join(self.columns)} changes too fast to be followed to {now} s")

    def _restart(self) -> None:
        """Take two backward Euler steps: the first may hold the pulse that charges a capacitor, the second forgets it.

        The trapezoidal rule would carry that pulse on for ever, with alternating sign.
        """
        for _ in range(2):
            for capacitor in self._capacitors:
                capacitor.settled = False
            self._accept(self._solve(_FIRST_STEP_S), _FIRST_STEP_S)
        self._step_s = _FIRST_STEP_S
        self.touched = False

    def _one_step(self, step_s: float) -> None:
        for part in self.parts:
            part.prepare(self._now + step_s)
        modes = [part.mode for part in self.parts]
        solution = self._solve(step_s)
        jumped = modes != [part.mode for part in self.parts]
        error = 0.0 if jumped else max(capacitor.error(solution, step_s) for capacitor in self._capacitors)
        factor = 0.2 if jumped else min(2.0, max(0.2, 0.9 / (error + 1e-9) ** (1 / 3)))
        self._step_s = max(step_s * factor, _LEAST_STEP_S)
        if (jumped and step_s > _CROSSING_S) or (error > 1.0 and step_s > _LEAST_STEP_S):
            for part, mode in zip(self.parts, modes, strict=True):
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
            changes = [part.remode(solution) for part in self.parts]  # all of them, not until the first
            if not any(changes):
                break
            solution = self._newton(step_s)
        return solution

    def _newton(self, step_s: float) -> Column:
        guess = self._solution
        for _ in range(200):
            solution = self._linearised(guess, step_s)
            if self._linear or self._converged(guess, solution):
                return solution
            guess = solution
        raise InstrumentError(f"the circuit of {', '.join(self.columns)} has no solution that Newton's method finds")

    def _converged(self, guess: Column, solution: Column) -> bool:
        for column in range(self._nodes):
            if not abs(solution[column] - guess[column]) <= _NEWTON_V + 1e-9 * abs(guess[column]):
                return False
        return not any(diode.limited(guess) for diode in self._diodes)

    def _linearised(self, guess: Column, step_s: float) -> Column:
        size = self._size
        rows = [[0.0] * (size + 1) for _ in range(size + 1)]
        right = [0.0] * (size + 1)
        for node in range(self._nodes):
            rows[node][node] = _LEAK_S
        for part in self.parts:
            part.stamp(rows, right, guess, step_s)
        return _eliminate(rows, right, size)


def _eliminate(rows: Rows, right: Column, size: int) -> Column:
    """Solve the first `size` equations by elimination with row pivots; what stands after them is ground's."""
    for k in range(size):
        pivot = max(range(k, size), key=lambda row: abs(rows[row][k]))
        if rows[pivot][k] == 0:
            raise InstrumentError("the circuit contradicts itself: two ideal sources in parallel, or a shorted one")
        rows[k], rows[pivot], right[k], right[pivot] = rows[pivot], rows[k], right[pivot], right[k]
        _subtract_below(rows, right, k, size)
    for k in range(size - 1, -1, -1):
        row = rows[k]
        total = right[k]
        for c in range(k + 1, size):
            total -= row[c] * right[c]
        right[k] = total / row[k]
    right[size] = 0.0
    return right


def _subtract_below(rows: Rows, right: Column, k: int, size: int) -> None:
    top, lead = rows[k], rows[k][k]
    for r in range(k + 1, size):
        row = rows[r]
        if row[k]:
            factor = row[k] / lead
            right[r] -= factor * right[k]
            for c in range(k + 1, size):
                row[c] -= factor * top[c]
