"""Which terminals are one node of the circuit? Those that wires join, whatever the order of the wires."""

from collections.abc import Iterable, Iterator, Mapping
from typing import final

from labnb.core import unknown
from labnb.sim.circuit import GROUND
from labnb.sim.instrument import Terminals
from labnb.sim.yaml_bench.document import Document, Place
from labnb.sim.yaml_bench.schema import Wire


def names_in(terminals: Terminals) -> Iterator[str]:
    """Yield the names in a nest of them, in order."""
    if isinstance(terminals, str):
        yield terminals
    else:
        for each in terminals:
            yield from names_in(each)


@final
class Wiring:
    """What each instrument and part can be wired with, and what is wired.

    A node is called as its first terminal, in the order in which the things stand in `things`, or `gnd`.
    What is `absent` has no terminals that are known, and a reason to be told, or "" if that was told already.
    """

    def __init__(
        self, document: Document, things: Mapping[str, Iterable[str]], absent: Mapping[str, str] | None = None
    ) -> None:
        self._document = document
        self._absent = absent or {}
        self._things = {name: tuple(terminals) for name, terminals in things.items()}
        every = (f"{name}.{terminal}" for name, terminals in self._things.items() for terminal in terminals)
        self._order = {terminal: index for index, terminal in enumerate((GROUND, *every))}
        self._node = {terminal: terminal for terminal in self._order}
        self._wired = {GROUND}

    def join(self, wire: Wire, place: Place) -> None:
        """Add a wire; note in the document what is wrong with it."""
        start = self._terminal(wire.start, (*place, "from"))
        for index, text in enumerate(wire.ends):
            end = self._terminal(text, (*place, "to", index))
            self._wired |= {start, end}  # also if the other end is a mistake, which is told
            if start and start == end:
                self._document.mistake(place, f"a wire from {start} to itself")
            elif start and end:
                self._merge(start, end)

    def _merge(self, one: str, other: str) -> None:
        first, second = sorted((self._node[one], self._node[other]), key=self._order.__getitem__)
        for terminal, node in self._node.items():
            if node == second:
                self._node[terminal] = first

    def _terminal(self, text: str, place: Place) -> str:
        """Return the terminal that `text` says, or "" after noting why there is none."""
        name, dot, terminal = text.partition(".")
        if text in self._order:
            return text
        if name in self._absent:
            if self._absent[name]:
                self._document.mistake(place, self._absent[name])
            return ""
        if not dot and name not in self._things:
            told = f"{unknown(text, [*self._things, GROUND], 'name')}; a wire ends at NAME.TERMINAL or {GROUND}"
        elif name not in self._things:
            told = unknown(name, list(self._things), "instrument or part")
        elif not self._things[name]:
            told = f"{name} has no terminals; a part follows it by its name, as in 'temperature: {name}'"
        else:
            told = f"{name}: {unknown(terminal, self._things[name], 'terminal')}"
        self._document.mistake(place, told)
        return ""

    def is_wired(self, name: str, terminal: str) -> bool:
        """Return whether a wire ends there."""
        return f"{name}.{terminal}" in self._wired

    def node(self, name: str, terminal: str) -> str:
        """Return the node of a terminal; a return that is not wired is at ground."""
        returns = terminal == "lo" or terminal.endswith("-")
        return GROUND if returns and not self.is_wired(name, terminal) else self._node[f"{name}.{terminal}"]

    def nodes(self, name: str, terminals: Terminals) -> Terminals:
        """Return the nodes of a nest of terminals, nested in the same way."""
        if isinstance(terminals, str):
            return self.node(name, terminals)
        return tuple(self.nodes(name, each) for each in terminals)
