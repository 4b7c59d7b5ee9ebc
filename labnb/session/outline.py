"""What a measurement looks like before it runs: its loops, and which variables are recorded where, as frozen values.

A section is a stretch of a loop's body between two inner loops; what it records is committed as one row:

```
for temperature in sweep(...):           loop 0
    stage: "K" = ...                     section 0 (loop 0), committed when loop 1 is entered
    for voltage in sweep(...):           loop 1, before=0
        current: "A" = ...               section 1 (loop 1), committed at the end of each pass
    drift: "K" = ...                     section 2 (loop 0), committed at the end of each pass
```
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from labnb.core import LoopAxis, PlanError


@dataclass(frozen=True, slots=True)
class Record:
    """A variable that a section records."""

    name: str
    unit: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Variables committed as one row. `conditional`: a pass may record only some of them, or none."""

    key: int
    loop: int | None
    records: tuple[Record, ...]
    conditional: bool = False


@dataclass(frozen=True, slots=True)
class Loop:
    """One sweep loop: `before` is the section to commit when it is entered, `after` at the end of each pass.

    `others` are the names of what is swept in lock-step with `name`; `chosen`, in an adaptive sweep over `point`, what
    is chosen at each point, which its body records.
    """

    key: int
    name: str
    parent: int | None = None
    before: int | None = None
    after: int | None = None
    notes: str = ""
    others: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Outline:
    """All loops and sections of a body. `last` is the section that is committed when the body has ended."""

    loops: tuple[Loop, ...]
    sections: tuple[Section, ...]
    last: int | None = None

    def __post_init__(self) -> None:
        seen = dict[str, str]()
        for loop in self.loops:
            for name in (loop.name, *loop.others):
                _unique(seen, name, "axis")
        for section in self.sections:
            for record in section.records:
                _unique(seen, record.name, "variable")

    def chain(self, loop: int | None) -> tuple[Loop, ...]:
        """Return the loops around and including `loop`, outermost first."""
        found = list[Loop]()
        while loop is not None:
            found.append(self.loops[loop])
            loop = self.loops[loop].parent
        return tuple(reversed(found))

    def points(self, axes: Mapping[int, LoopAxis]) -> int | None:
        """Return how many points the main section has over `axes`; None if nobody knows yet."""
        if self.main is None:
            return None
        found = [axes.get(loop.key) for loop in self.chain(self.main.loop)]
        sizes = [None if axis is None or axis.size is None else axis.size * axis.turns for axis in found]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    @property
    def main(self) -> Section | None:
        """The section whose points are counted as progress: the first of the most deeply nested ones."""
        # What a session records is known with its first results; a section that a loop commits will have some.
        committed = {self.last, *(key for loop in self.loops for key in (loop.before, loop.after))}
        filled = [section for section in self.sections if section.records or section.key in committed]
        return max(filled, key=lambda section: len(self.chain(section.loop)), default=None)


def _unique(seen: dict[str, str], name: str, what: str) -> None:
    if name in seen:
        raise PlanError(f"{what} {name!r}: the name is already that of another {seen[name]}; every name is used once")
    seen[name] = what
