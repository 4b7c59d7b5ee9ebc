"""Which places of a run that is resumed have been measured already, so that its loops pass over them."""

from collections.abc import Mapping
from typing import final

import numpy as np

from labnb.core import Axis, LoopAxis, PlanError, dimensions
from labnb.record import Kept
from labnb.session.outline import Loop, Outline


@final
class Measured:
    """What is there already, by section and place."""

    def __init__(self, kept: Mapping[int, Kept], outline: Outline) -> None:
        self.counts = {key: len(each.rows) for key, each in kept.items()}
        self._done = {key: _marks(each) for key, each in kept.items()}
        self._outline = outline
        self._children = {
            loop.key: [inner for inner in outline.loops if inner.parent == loop.key] for loop in outline.loops
        }
        self._sections = {loop.key: self._sections_of(loop) for loop in outline.loops}

    def has(self, section: int, place: int) -> bool:
        """Whether `section` has a row at `place`."""
        marks = self._done.get(section)
        return marks is not None and place < len(marks) and bool(marks[place])

    def whole(self, loop: Loop, place: int, axes: Mapping[int, LoopAxis]) -> bool:
        """Whether nothing is left to measure at `place` of `loop`, nor in the loops inside of it.

        A loop whose axis is not among `axes` yet counts as unfinished: it will see for itself.
        """
        sections = self._sections[loop.key]
        if not all(self.has(section, place) for section in sections):
            return False
        children = self._children[loop.key]
        if not sections and not children:
            return self._has_something(loop, place)
        return all(self._whole_inside(child, place, axes) for child in children)

    def _whole_inside(self, loop: Loop, place: int, axes: Mapping[int, LoopAxis]) -> bool:
        axis = axes.get(loop.key)
        if not isinstance(axis, Axis):
            return False
        count = axis.size * axis.turns
        return all(self.whole(loop, place * count + k, axes) for k in range(count))

    def _sections_of(self, loop: Loop) -> list[int]:
        """Return the sections that every pass of `loop` records."""
        named = [loop.after, *(inner.before for inner in self._children[loop.key])]
        return [key for key in named if key is not None and not self._outline.sections[key].conditional]

    def _has_something(self, loop: Loop, place: int) -> bool:
        return any(self.has(s.key, place) for s in self._outline.sections if s.loop == loop.key)


def _marks(kept: Kept) -> bytes:
    marks = np.zeros(kept.group.size or 0, np.uint8)
    marks[kept.places] = 1
    return marks.tobytes()


def check_same(kept: Mapping[int, Kept], outline: Outline, axes: Mapping[int, LoopAxis]) -> None:
    """Raise PlanError if what is going to be measured does not fit what a run has, as far as that is known yet."""
    for key, each in kept.items():
        if key >= len(outline.sections):
            raise PlanError(f"{_of(each)} is not measured any more; {_ADVICE}")
        section = outline.sections[key]
        chain = outline.chain(section.loop)
        if all(loop.key in axes for loop in chain):
            _check_axes(each, dimensions(axes[loop.key] for loop in chain))
        if section.records:
            wanted = [(record.name, record.unit) for record in section.records]
            found = [(variable.name, variable.unit) for variable in each.group.variables]
            if wanted != found:
                raise PlanError(f"{_of(each)} is there already, but now {_listed(wanted)} is measured; {_ADVICE}")


def _check_axes(kept: Kept, axes: tuple[LoopAxis, ...]) -> None:
    known = [(a.name, a.values, a.unit) for a in kept.group.axes if isinstance(a, Axis)]
    for axis, was in zip(axes, known, strict=False):
        if isinstance(axis, Axis) and (axis.name, axis.values, axis.unit) != was:
            raise PlanError(
                f"the axis {axis.name!r} ({axis.size} values in {axis.unit!r}) is not the one that the run has: "
                f"{was[0]!r} ({len(was[1])} values in {was[2]!r}); {_ADVICE}"
            )
    if len(axes) != len(known):
        raise PlanError(f"{_of(kept)} was measured over {len(known)} axes, now it is over {len(axes)}; {_ADVICE}")


_ADVICE = "a run can only be resumed by the measurement that began it; start a new run"


def _of(kept: Kept) -> str:
    return _listed([(v.name, v.unit) for v in kept.group.variables])


def _listed(records: list[tuple[str, str]]) -> str:
    return ", ".join(f"{name} in {unit!r}" for name, unit in records) or "nothing"
