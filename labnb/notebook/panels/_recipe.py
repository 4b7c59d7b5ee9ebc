"""A sweep that was put together in a panel, as a value, and the `%%measure` cell that says the same.

```
%%measure iv
await bench.psu.channel(1).output.set(True)
for voltage in sweep(bench.psu.channel(1).voltage, 0, 1, 11):
    current: bench.dmm.measure_current_dc
```
The panel runs this very text, so that a copied cell cannot differ from what the panel does.
"""

import keyword
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labnb.core import PlanError, check_name
from labnb.notebook.panels._offers import Offer

_INDENT = "    "


@dataclass(frozen=True, slots=True)
class SweptAxis:
    """One axis: from `start` to `stop` with `points`, or by `step`; exactly one of the two is given."""

    offer: Offer
    start: float
    stop: float
    points: int | None = None
    step: float | None = None

    @property
    def values_code(self) -> str:
        """What stands behind the channel in `sweep(channel, ...)`."""
        how = f"{self.points}" if self.points is not None else f"step={number_text(self.step or 0.0)}"
        return f"{number_text(self.start)}, {number_text(self.stop)}, {how}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What to sweep (outermost first), what to read at each point, what to switch on first, how long to wait."""

    name: str
    axes: tuple[SweptAxis, ...]
    reads: tuple[Offer, ...]
    switches: tuple[Offer, ...] = ()
    dwell_s: float = 0.0

    def __post_init__(self) -> None:
        check_name(self.name, "run")
        if not self.name.isidentifier() or keyword.iskeyword(self.name):
            raise PlanError(f"run name {self.name!r}: it becomes a variable; use letters, digits and '_' only")
        if not self.axes:
            raise PlanError("choose what to sweep: a fast axis")
        if not self.reads:
            raise PlanError("choose at least one thing to read")
        if len({axis.offer.code for axis in self.axes}) < len(self.axes):
            raise PlanError(f"both axes sweep {self.axes[0].offer.label}; choose another one for one of them")
        if not 0 <= self.dwell_s <= 3600:
            raise PlanError(f"dwell: expected 0 to 3600 s, got {self.dwell_s:g}")

    @property
    def source(self) -> str:
        """The body of the cell."""
        return "\n".join(self._lines()) + "\n"

    @property
    def cell(self) -> str:
        """The whole cell, to be pasted into a notebook."""
        return f"%%measure {self.name}\n{self.source}"

    def _lines(self) -> Iterator[str]:
        names = _names([axis.offer for axis in self.axes] + list(self.reads))
        if self.dwell_s:
            yield "import asyncio"
        yield from self._switching_on()
        for depth, (axis, name) in enumerate(zip(self.axes, names, strict=False)):
            yield f"{_INDENT * depth}for {name} in sweep({axis.offer.code}, {axis.values_code}):"
        inner = _INDENT * len(self.axes)
        if self.dwell_s:
            yield f"{inner}await asyncio.sleep({number_text(self.dwell_s)})"
        for offer, name in zip(self.reads, names[len(self.axes) :], strict=True):
            yield f"{inner}{name}: {offer.code}"

    def _switching_on(self) -> Iterator[str]:
        """Yield the lines that bring what is swept to its first value, and only then switch on."""
        owners = {id(switch.instrument) for switch in self.switches}
        for axis in self.axes:
            if axis.offer.instrument is not None and id(axis.offer.instrument) in owners:
                yield f"await {axis.offer.code}.set({number_text(axis.start)})"
        for switch in self.switches:
            yield f"await {switch.code}.set(True)"


def number_text(number: float) -> str:
    """Return the shortest text that Python reads as exactly `number`."""
    return repr(float(number)).removesuffix(".0")


def _names(offers: Iterable[Offer]) -> list[str]:
    """Return a variable for each: a short one where that is the only one, never twice the same."""
    chosen = list(offers)
    short = [offer.name for offer in chosen]
    found = list[str]()
    for offer, word in zip(chosen, short, strict=True):
        name = offer.long_name if short.count(word) > 1 or keyword.iskeyword(word) or word == "sweep" else word
        place = 2
        unique = name
        while unique in found:
            unique, place = f"{name}_{place}", place + 1
        found.append(unique)
    return found
