"""What the numbered parts of an instrument have in common: steps that chain, and limits by channel."""

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, Self

from labnb.instruments.action import Action, then
from labnb.instruments.facet import Facet
from labnb.instruments.instrument import Instrument
from labnb.instruments.limits import Limit


class Part(Action["Part"]):
    """Part `number` of an instrument. Setting methods act at once, chain, and may be awaited.

    A step that follows another in a chain is left undone if that one fails.
    """

    def __init__(self, owner: Instrument, number: int, earlier: Action[None] | None = None) -> None:
        self._owner, self._number, self._earlier = owner, number, earlier

    def limit(self, **limits: Limit) -> Self:
        """Forbid values outside of (low, high), or beyond a magnitude, from now on; by quantity, in its unit.

        None leaves a limit as it is.
        """
        self._owner.set_limits({self._number: limits})
        return self

    def result(self) -> Self:
        """Return the part; block until everything in the chain is done. Raises what failed first."""
        if self._earlier is not None:
            self._earlier.result()
        return type(self)(self._owner, self._number)

    def __await__(self) -> Generator[Any, None, Self]:  # asyncio's protocol has Any here
        """Wait without blocking the loop."""
        if self._earlier is not None:
            yield from self._earlier.__await__()
        return type(self)(self._owner, self._number)

    def _step(self, work: Callable[[], None]) -> Self:
        earlier = self._earlier
        begun = self._owner.act(work) if earlier is None else then(earlier, self._owner.lane, work)
        return type(self)(self._owner, self._number, begun)

    def _safe(self, quantity: str, value: float) -> None:
        """Raise LimitError if a safety limit or an interlock forbids the value."""
        name = self._name(quantity)
        self._owner.permit(name, value, f"{self._owner.name} {name}")

    def _switch_on(self, command: str) -> Self:
        """Switch `output` on by `command`, if interlocks allow it and what the instrument would give is allowed."""
        name = self._name("output")
        self._owner.unlocked(name, True, f"{self._owner.name} {name}")
        return self._step(partial(self._switched_on, name, command))

    def _switched_on(self, name: str, command: str) -> None:
        self._owner.weigh(name, True)
        self._owner.send(command)

    def _remember(self, values: Mapping[str, tuple[float, str]]) -> None:
        self._owner.known.update({self._name(quantity): pair for quantity, pair in values.items()})

    def _doubt(self, *quantities: str) -> None:
        """Forget what these were, before they are set: a command may fail."""
        for quantity in quantities:
            self._owner.known.pop(self._name(quantity), None)

    def facet(
        self,
        quantity: str,
        unit: str = "",
        *,
        read: Callable[[], Action[Any]] | None = None,  # Any: whatever this driver's methods take and return
        write: Callable[[Any], Action[Any]] | None = None,
        switch: bool = False,
        doc: str = "",
    ) -> Facet:
        """Return the one Facet that stands for `quantity` of this part."""
        name = self._name(quantity)
        return self._owner.bound(
            name, lambda: Facet(self._owner, name, unit, read=read, write=write, switch=switch, doc=doc)
        )

    def _name(self, quantity: str) -> str:
        return f"channel {self._number} {quantity}"

    def __repr__(self) -> str:
        self.result()
        start = self._name("")
        known = {name: pair for name, pair in self._owner.known.items() if name.startswith(start)}
        values = ", ".join(
            f"{name.removeprefix(start)} {value:g} {unit}".rstrip() for name, (value, unit) in known.items()
        )
        return f"<{self._owner.name} channel {self._number}: {values or 'not set yet'}>"
