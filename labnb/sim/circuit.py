"""Which voltages and currents a circuit has now.

Nodal analysis with Newton's method, pure Python, evaluated only when somebody looks. Parts that share no node but
ground make islands of their own, so that a meter on one output does not pay for the other outputs.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import final

from labnb.core import InstrumentError
from labnb.sim.island import GROUND, Island, Tap
from labnb.sim.parts import Part


@final
class Circuit:
    """Parts between named nodes; `"gnd"` is the reference."""

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._islands: list[Island] | None = None
        self._of_part: dict[Part, Island] = {}
        self._of_node: dict[str, Island] = {}
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

    def _connected(self) -> "list[Island]":
        if self._islands is None:
            self._islands = [Island(parts, self._now) for parts in _groups(self._parts)]
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
