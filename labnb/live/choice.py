"""Which figure shows a run best: a pure function of what is recorded over which axes.

```
axes of the group      figure
none                   no figure, the values are enough      (an array variable: its newest trace)
any, and a picture     its newest frame                      (a variable with two dimensions of its own: a camera)
open (time)            strip chart
adaptive               lines over what is chosen             (two are chosen: a mesh of triangles)
one                    lines                                 (an array variable: a waterfall, if it is of one length, and its newest trace)
two, outer <= 12       family: one line per outer value
two                    map, outer axis upwards, with a cut along a row
more                   the same of the two innermost, at the current or a chosen setpoint of the others
```
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from labnb.core import AdaptiveAxis, Axis, Group, OpenAxis, PlanError, Span, Variable, nearest
from labnb.live.raster import is_logarithmic

FAMILY_MOST = 12
"""Curves that an eye still tells apart by colour; with more outer values a map says more."""


class Kind(StrEnum):
    """What is drawn."""

    NONE = "none"
    LINES = "lines"
    FAMILY = "family"
    MAP = "map"
    STRIP = "strip"
    TRACE = "trace"
    WATERFALL = "waterfall"
    MESH = "mesh"
    IMAGE = "image"

    @property
    def is_picture(self) -> bool:
        """Whether values are shown as colours."""
        return self in {Kind.MAP, Kind.WATERFALL, Kind.MESH, Kind.IMAGE}


class Part(StrEnum):
    """What of a value is drawn: a complex one has a magnitude and a phase."""

    VALUE = ""
    MAGNITUDE = "magnitude"
    PHASE = "phase"
    REAL = "real"
    IMAGINARY = "imaginary"


_PART_NAMES = {Part.VALUE: "{}", Part.MAGNITUDE: "|{}|", Part.PHASE: "∠{}", Part.REAL: "Re {}", Part.IMAGINARY: "Im {}"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A recorded number, or one part of a complex one."""

    variable: Variable
    part: Part = Part.VALUE

    @property
    def name(self) -> str:
        """Return the name at the axis: `current`, `|s21|`, `∠s21`."""
        return _PART_NAMES[self.part].format(self.variable.name)

    @property
    def unit(self) -> str:
        """Return the unit of this part."""
        return "°" if self.part is Part.PHASE else self.variable.unit


@dataclass(frozen=True, slots=True)
class Choice:
    """One figure: `ys` over `x`; `outer` tells the curves of a family apart, or is the upward axis of a map.

    `x` is an axis of the group, a dimension of an array, or another variable. `pages` are what can be shown
    instead: the quantities that do not fit on one axis, one page each; `page` is the one on show. `held` are the
    indices of the axes that are not shown (outermost first; None: those of the newest point), `bounds` those of a mesh.
    """

    kind: Kind
    group: int = 0
    x: Axis | OpenAxis | Span | Variable | None = None
    outer: Axis | OpenAxis | Span | Variable | None = None
    pages: tuple[tuple[Quantity, ...], ...] = ()
    page: int = 0
    log_x: bool = False
    log_y: bool = False
    held: tuple[int, ...] | None = None
    bounds: tuple[tuple[float, float], ...] = ()

    @property
    def ys(self) -> tuple[Quantity, ...]:
        """Return the quantities on show."""
        return self.pages[self.page] if self.pages else ()

    def turned_to(self, page: int) -> "Choice":
        """Return the same figure of other quantities."""
        if not 0 <= page < len(self.pages):
            raise ValueError(f"this figure has {len(self.pages)} pages; there is no page {page}")
        return replace(self, page=page)


NOTHING = Choice(Kind.NONE)
"""No figure."""


def choose(groups: Sequence[Group], plot: Sequence[str] | None = None) -> Choice:
    """Return the figure for `groups`; `plot=("y",)`, `("x", "y")` or `("x", "y", "z")` asks for one by names.

    Without `plot` the group inside of the most loops is shown, of equals the last. Raises PlanError if `plot` names
    something that is not measured, or that cannot be drawn together.
    """
    if plot is not None:
        return _with_scales(_asked(groups, tuple(plot)))
    shown = [replace(group, variables=known) for group in groups if (known := _known(group))]
    if not shown:
        return NOTHING
    deepest = max(len(group.axes) for group in shown)
    group = [g for g in shown if len(g.axes) == deepest][-1]
    return next(iter(_figures(group)), NOTHING)


def alternatives(groups: Sequence[Group], first: Choice) -> tuple[Choice, ...]:
    """Return every figure that could be shown, `first` in front: a person turns from one to the other."""
    found = [first]
    for group in sorted(groups, key=lambda group: group.key != first.group):
        for choice in _figures(group):
            if all((choice.kind, choice.group, choice.pages) != (one.kind, one.group, one.pages) for one in found):
                found.append(choice)
    return tuple(found)


def _figures(group: Group) -> list[Choice]:
    """Return what can be drawn of one group, the best first."""
    group = replace(group, variables=_known(group))
    scalars = tuple(v for v in group.variables if not v.dims and v.dtype != "str")
    found = [_scalar_figure(group, scalars)] if scalars and group.axes else []
    if found and found[0].kind is Kind.FAMILY:
        found.append(replace(found[0], kind=Kind.MAP))
    found += _trace_figures(group)
    return [_with_scales(choice) for choice in found]


def _with_scales(choice: Choice) -> Choice:
    """Return the choice with logarithmic axes where the sweep itself is."""
    upwards = choice.kind is Kind.MAP or choice.kind is Kind.WATERFALL
    return replace(choice, log_x=is_logarithmic(choice.x), log_y=upwards and is_logarithmic(choice.outer))


def _known(group: Group) -> tuple[Variable, ...]:
    """Return the variables that have had a value, so that it is known what they are."""
    return tuple(variable for variable in group.variables if not variable.undecided)


def _scalar_figure(group: Group, scalars: Sequence[Variable]) -> Choice:
    x = group.axes[-1]
    outer = group.axes[-2] if len(group.axes) > 1 else None
    if isinstance(x, AdaptiveAxis) and len(x.chosen) == 1:
        along = next(v for v in scalars if v.name == x.chosen[0])
        return Choice(Kind.LINES, group.key, along, None, _by_unit(v for v in scalars if v is not along))
    if isinstance(x, AdaptiveAxis) and len(x.chosen) == 2:
        across, up = (next(v for v in scalars if v.name == name) for name in x.chosen)
        pages = _one_each(v for v in scalars if v is not across and v is not up)
        return Choice(Kind.MESH, group.key, across, up, pages, bounds=x.sweep.bounds)
    if isinstance(x, OpenAxis):
        return Choice(Kind.STRIP, group.key, x, None, _by_unit(scalars))
    if not isinstance(outer, Axis):
        return Choice(Kind.LINES, group.key, x, None, _by_unit(scalars))
    kind = Kind.FAMILY if outer.size <= FAMILY_MOST else Kind.MAP
    return Choice(kind, group.key, x, outer, _one_each(scalars))


def _trace_figures(group: Group) -> list[Choice]:
    """Return what can be drawn of arrays: those with the same last dimensions share a figure."""
    arrays = [v for v in group.variables if v.dims and v.dtype != "str"]
    alike: dict[tuple[object, ...], list[Variable]] = {}
    for variable in arrays:
        alike.setdefault(variable.dims[-2:] if _is_image(variable) else variable.dims[-1:], []).append(variable)
    return [choice for dims, found in alike.items() for choice in _array_figures(group, dims, found)]


def _array_figures(group: Group, dims: Sequence[Any], found: Sequence[Variable]) -> list[Choice]:  # Axis or Span
    if len(dims) == 2:
        return [Choice(Kind.IMAGE, group.key, dims[1], dims[0], _one_each(found))]
    newest = Choice(Kind.TRACE, group.key, dims[0], None, _by_unit(found))
    if not group.axes or isinstance(group.axes[-1], AdaptiveAxis) or any(v.ragged for v in found):
        return [newest]
    return [Choice(Kind.WATERFALL, group.key, dims[0], group.axes[-1], _one_each(found)), newest]


def _is_image(variable: Variable) -> bool:
    """Whether the last two dimensions of an array make a picture, such as a camera's."""
    return len(variable.dims) > 1 and not variable.ragged


def _quantities(variable: Variable) -> tuple[Quantity, ...]:
    if variable.dtype[1:2] == "c":
        return tuple(Quantity(variable, part) for part in (Part.MAGNITUDE, Part.PHASE, Part.REAL, Part.IMAGINARY))
    return (Quantity(variable),)


def _one_each(variables: Iterable[Variable]) -> tuple[tuple[Quantity, ...], ...]:
    return tuple((q,) for v in variables for q in _quantities(v))


def _by_unit(variables: Iterable[Variable]) -> tuple[tuple[Quantity, ...], ...]:
    pages: dict[tuple[str, str], list[Quantity]] = {}
    for variable in variables:
        for quantity in _quantities(variable):
            # The real and the imaginary part belong together, the magnitude is a figure of its own.
            beside = "re, im" if quantity.part in {Part.REAL, Part.IMAGINARY} else ""
            pages.setdefault((quantity.unit, beside), []).append(quantity)
    return tuple(tuple(page) for page in pages.values())


def _asked(groups: Sequence[Group], names: tuple[str, ...]) -> Choice:
    if len(names) not in (1, 2, 3):
        raise PlanError(
            f"plot={','.join(names)}: give one name, what is shown, or two, x and y (lines of y over x), or three: x, y "
            f"and the colour of a map"
        )
    group, y = _find_variable(groups, names)
    if len(names) == 1:
        return next(iter(_figures(replace(group, variables=_chosen_with(group, y)))), NOTHING)
    if len(names) == 3:
        return _asked_map(group, names, y)
    x = _find_x(group, names[0], y)
    if y.dims:
        return Choice(Kind.TRACE, group.key, x, None, _one_each([y]))
    if isinstance(x, OpenAxis):
        return Choice(Kind.STRIP, group.key, x, None, _one_each([y]))
    outer = next((a for a in reversed(group.axes) if a.name != names[0]), None) if isinstance(x, Axis) else None
    if isinstance(outer, Axis) and outer.size <= FAMILY_MOST:
        return Choice(Kind.FAMILY, group.key, x, outer, _one_each([y]))
    return Choice(Kind.LINES, group.key, x, None, _one_each([y]))


def _asked_map(group: Group, names: tuple[str, ...], z: Variable) -> Choice:
    x, outer = (next((a for a in group.axes if a.name == name), None) for name in names[:2])
    if isinstance(x, Axis) and isinstance(outer, Axis) and x != outer and not z.dims:
        return Choice(Kind.MAP, group.key, x, outer, _one_each([z]))
    if _is_image(z) and names[:2] == (z.dims[-1].name, z.dims[-2].name):
        return Choice(Kind.IMAGE, group.key, z.dims[-1], z.dims[-2], _one_each([z]))
    raise PlanError(
        f"plot={','.join(names)}: a map needs two different axes and a number measured over them; "
        f"{z.name!r} is measured over {_listed(group.dims)}"
    )


def _chosen_with(group: Group, variable: Variable) -> tuple[Variable, ...]:
    """Return `variable`, and what an adaptive sweep chooses, without which it has no place."""
    innermost = group.axes[-1] if group.axes else None
    chosen = innermost.chosen if isinstance(innermost, AdaptiveAxis) else ()
    return tuple(v for v in group.variables if v is variable or v.name in chosen)


def _find_variable(groups: Sequence[Group], names: tuple[str, ...]) -> tuple[Group, Variable]:
    for group in groups:
        for variable in group.variables:
            if variable.name == names[-1]:
                return group, variable
    known = [v.name for g in groups for v in g.variables]
    raise PlanError(f"plot={','.join(names)}: {_unknown(names[-1], 'a recorded variable', known)}")


def _find_x(group: Group, name: str, y: Variable) -> Axis | OpenAxis | Span | Variable:
    candidates: list[Axis | OpenAxis | Span | Variable] = (
        [y.dims[-1]] if y.dims else [*group.axes, *(v for v in group.variables if not v.dims and v is not y)]
    )
    for candidate in candidates:
        if candidate.name == name:
            return candidate
    what = f"an axis of {y.name!r} or a variable that is recorded together with it"
    raise PlanError(f"plot={name},{y.name}: {_unknown(name, what, [c.name for c in candidates])}")


def _unknown(name: str, what: str, known: list[str]) -> str:
    return f"{name!r} is not {what}; {nearest(name, known)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "nothing yet"
