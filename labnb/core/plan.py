"""What is going to be measured: axes, and the grid that they span, as frozen values.

```
Axis("temperature", (280.0, 300.0), "K")  ×  Axis("voltage", (0.0, 0.1, 0.2), "V")

    index  0 1 2 | 3 4 5        first axis outermost, last axis fastest (C order)
```
"""

import math
import random
import re
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, cast, final, overload

from labnb.core.errors import PlanError

if TYPE_CHECKING:
    from labnb.core.adaptive import AdaptiveSweep

Value = bool | int | float | str

_NAME = re.compile(r"[^\W\d][\w.\- ]*")


def check_name(name: object, what: str) -> str:
    """Return `name` if it can name a dimension or variable on disk; raise PlanError if not."""
    if isinstance(name, str) and _NAME.fullmatch(name) and name == name.strip():
        return name
    raise PlanError(
        f"{what} name {name!r} cannot be used: expected a text that begins with a letter and goes on with letters, "
        f"digits, '_', '-', '.' or spaces (it becomes a folder of the zarr store, so no '/')"
    )


def check_unit(unit: object, what: str) -> str:
    """Return `unit` as text (None is dimensionless, ""); raise PlanError for anything but text."""
    if unit is None:
        return ""
    if isinstance(unit, str):
        return unit
    raise PlanError(f'{what}: unit must be a text such as "V" (or "" for none), got {unit!r} ({type(unit).__name__})')


def _listed(value: object) -> object:
    """Return numpy's and xarray's values as Python's own, others as they are."""
    tolist: object = getattr(value, "tolist", None)
    return tolist() if callable(tolist) else value


def _plain(values: object, what: str) -> tuple[Value, ...]:
    """Return `values` (any iterable, numpy arrays too) as a tuple of plain Python values of one kind."""
    listed = _listed(values)
    if isinstance(listed, str | bytes) or not isinstance(listed, Iterable):
        raise PlanError(f"{what}: expected values to sweep (a list, an array, a range), got {values!r}")
    plain = tuple(cast(Iterable[object], listed))
    kinds = set(map(type, plain))
    if not kinds <= _KINDS:
        plain = tuple(_listed(value) for value in plain)
        kinds = set(map(type, plain))
    if not plain:
        raise PlanError(f"{what} is empty: there is nothing to measure; give it at least one value")
    if not kinds <= _KINDS:
        _refuse(plain, what)
    if float in kinds and not all(map(math.isfinite, cast(tuple[float, ...], plain))):
        _refuse(plain, what)
    if len(kinds - {int}) > 1 or (int in kinds and kinds - {int, float}):
        names = sorted({"number" if kind in (int, float) else kind.__name__ for kind in kinds})
        raise PlanError(f"{what} mixes {' and '.join(names)} values; use one kind")
    return cast(tuple[Value, ...], plain)


_KINDS: frozenset[type] = frozenset({bool, int, float, str})


def _refuse(plain: tuple[object, ...], what: str) -> None:
    """Raise PlanError for the first value that is no finite number and no text."""
    for position, value in enumerate(plain):
        if type(value) not in _KINDS:
            raise PlanError(
                f"{what}: value {position} is {value!r} ({type(value).__name__}); expected numbers or texts in one "
                "dimension"
            )
        if isinstance(value, float) and not math.isfinite(value):
            raise PlanError(f"{what}: value {position} is {value!r}; a setpoint must be a finite number")


class Traversal(StrEnum):
    """In which order the values of an axis are visited. They are stored in the order in which they were given.

    ```
    straight          0 1 2 | 0 1 2 | ...
    snake             0 1 2 | 2 1 0 | ...         back and forth, from one pass of the outer loop to the next
    shuffled          2 0 1 | 1 2 0 | ...         each pass in an order of its own, decided by the seed
    there and back    0 1 2 2 1 0 | ...           one more dimension in front: `direction`, forward and backward
    ```
    """

    STRAIGHT = "straight"
    SNAKE = "snake"
    SHUFFLED = "shuffled"
    THERE_AND_BACK = "there and back"


@dataclass(frozen=True, slots=True)
class Visit:
    """An order, and the seed that decides a shuffled one."""

    traversal: Traversal = Traversal.STRAIGHT
    seed: int = 0

    def places(self, size: int, turn: int) -> Sequence[int]:
        """Return the places of `size` values in the order of pass number `turn` (0, 1, ...) of their loop.

        There and back has 2 * size places: those of the way forward, then those of the way back.
        """
        if self.traversal is Traversal.SNAKE and turn % 2:
            return range(size - 1, -1, -1)
        if self.traversal is Traversal.SHUFFLED:
            places = list(range(size))
            random.Random(f"{self.seed}/{turn}").shuffle(places)  # noqa: S311  an order, not a secret
            return places
        if self.traversal is Traversal.THERE_AND_BACK:
            return [*range(size), *range(2 * size - 1, size - 1, -1)]
        return range(size)


class Setting(Awaitable[Any], Protocol):  # Any: nobody looks at what setting returns
    """A setting under way: awaited on a loop, `result()` blocks for it elsewhere."""

    def result(self) -> Any:
        """Block until it is done; raise what it failed with."""
        ...


class Target(Protocol):
    """What an axis sets at each of its steps: a channel, of which this room knows no more."""

    @property
    def name(self) -> str:
        """What it is called in errors."""
        ...

    @property
    def unit(self) -> str:
        """The unit of what it is set to; "" if it has none or does not tell."""
        ...

    def check(self, value: Any) -> object:
        """Raise LimitError if it may not be set to `value`; nothing is sent either way."""
        ...

    def set(self, value: Any) -> Setting:
        """Begin to set it."""
        ...


@dataclass(frozen=True, slots=True)
class Sweep:
    """Values of one loop, not yet named. Make it by `sweep(...)`.

    `visit` is the order in which they are visited; `others` are swept in lock-step with it (`sweep.zip`). `target` is
    what a measurement sets to them, if anything.
    """

    values: tuple[Value, ...]
    unit: str = ""
    visit: Visit = Visit()
    others: "tuple[Sweep, ...]" = ()
    target: object = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _plain(self.values, "sweep"))
        object.__setattr__(self, "unit", check_unit(self.unit, "sweep"))

    @property
    def targets(self) -> tuple[object, ...]:
        """What it sets, and what those in lock-step with it set; None for each that sets nothing."""
        return (self.target, *(other.target for other in self.others))

    def snake(self) -> "Sweep":
        """Return the same sweep, visited backwards in every other pass of the outer loop: no long way back."""
        return self._visited(Visit(Traversal.SNAKE))

    def shuffled(self, seed: int = 0) -> "Sweep":
        """Return the same sweep, visited in a random order that `seed` decides, so that drift does not look like a slope."""
        return self._visited(Visit(Traversal.SHUFFLED, seed))

    def there_and_back(self) -> "Sweep":
        """Return the same sweep, visited forward and then backward: one more dimension, `direction`, shows hysteresis."""
        return self._visited(Visit(Traversal.THERE_AND_BACK))

    def _visited(self, visit: Visit) -> "Sweep":
        if self.visit.traversal is not Traversal.STRAIGHT:
            raise PlanError(f"this sweep is {self.visit.traversal} already; it cannot be {visit.traversal} as well")
        return replace(self, visit=visit)

    def named(self, name: str, *others: str, unit: str | None = None, notes: str = "") -> "Axis":
        """Return the axis of this sweep; `others` are the names of what is swept in lock-step.

        Raises PlanError if there are more or fewer names than sweeps, or a name cannot be used.
        """
        if len(others) != len(self.others):
            raise PlanError(
                f"{1 + len(self.others)} sweep{'s' if self.others else ''} in lock-step for the names "
                f"{', '.join((name, *others))}: give each sweep one name"
            )
        together = tuple(sweep.named(other) for other, sweep in zip(others, self.others, strict=True))
        return Axis(name, self.values, self.unit if unit is None else unit, notes, self.visit, together)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Value]:
        if any(target is not None for target in self.targets):
            raise PlanError(
                f"{self!r} sets an instrument at each step, which only a measurement does: iterate it by a `for` of a "
                "%%measure cell or give it to session.parameter(); its bare values are .values"
            )
        return iter(self.values)

    def __repr__(self) -> str:
        order = "" if self.visit.traversal is Traversal.STRAIGHT else f", {self.visit.traversal}"
        others = "".join(f"; {_values_text(other.values, other.unit)}" for other in self.others)
        return f"sweep({_values_text(self.values, self.unit)}{others}{order})"


def _linear(start: float, stop: float, count: int) -> tuple[float, ...]:
    if count == 1:
        return (float(start),)
    span = stop - start
    inner = tuple(start + span * k / (count - 1) for k in range(count - 1))
    return (*inner, float(stop))


def _logarithmic(start: float, stop: float, count: int) -> tuple[float, ...]:
    if start * stop <= 0:
        raise PlanError(f"sweep({start!r}, {stop!r}, log=True): both ends must be other than zero and of one sign")
    if count == 1:
        return (float(start),)
    ratio = stop / start
    inner = tuple(start * ratio ** (k / (count - 1)) for k in range(count - 1))
    return (*inner, float(stop))


def _count_of(num: object) -> int:
    num = _listed(num)
    if isinstance(num, bool) or not isinstance(num, int):
        raise PlanError(f"sweep: the number of points must be a whole number, got {num!r}")
    if num < 1:
        raise PlanError(f"sweep: the number of points must be at least 1, got {num}")
    return num


def _number(value: object, what: str) -> float:
    value = _listed(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PlanError(f"sweep: {what} must be a number, got {value!r} ({type(value).__name__})")
    if not math.isfinite(value):
        raise PlanError(f"sweep: {what} is {value!r}; the limits of a sweep must be finite numbers")
    return value


@final
class Sweeps:
    """Makes sweeps: `sweep(0, 1, 11, "V")`, `sweep([1, 2, 5], "V")`, `sweep.zip(...)`."""

    @overload
    def __call__(self, values: Iterable[object], unit: str | None = None, /) -> Sweep: ...
    @overload
    def __call__(
        self, start: float, stop: float, num: int, unit: str | None = None, /, *, step: None = None, log: bool = False
    ) -> Sweep: ...
    @overload
    def __call__(
        self, start: float, stop: float, unit: str | None = None, /, *, step: float, log: bool = False
    ) -> Sweep: ...
    @overload
    def __call__(self, target: object, /, *values: object, step: float | None = None, log: bool = False) -> Sweep: ...
    def __call__(self, first: object, /, *rest: object, step: float | None = None, log: bool = False) -> Sweep:
        """Return the values of one measurement loop.

        `sweep(values, "V")` takes any list, array or range; `sweep(start, stop, num, "V")` makes `num` evenly spaced
        values with both ends (`log=True`: evenly spaced ratios); `sweep(start, stop, "V", step=0.1)` steps.
        `sweep(smu.volt, 0, 1, 21)`: what comes first may be anything that `labnb.channel` takes; a measurement sets it
        to each value before the body of the step, and takes the unit from it.

        Raises PlanError for an empty sweep, limits that are not finite numbers, or a unit that is not text.

        >>> sweep(0, 1, 3, "V").values
        (0.0, 0.5, 1.0)
        >>> sweep([1, 2], "K").unit
        'K'
        """
        if not _is_target(first):
            return _sweep(*_padded((first, *rest)), step=step, log=log)
        if not rest:
            raise PlanError(
                f"sweep({first!r}): to which values? sweep(channel, start, stop, num) or sweep(channel, [...])"
            )
        if isinstance(rest[0], Sweep):
            return replace(rest[0], target=first)
        return replace(_sweep(*_padded(rest), step=step, log=log), target=first)

    def zip(self, *sweeps: object) -> Sweep:
        """Return sweeps in lock-step, for `for (x, y) in sweep.zip(...)`: one dimension, with a coordinate for each.

        Each is a sweep or a list of values; all have the same length. Raises PlanError if not.
        """
        if len(sweeps) < 2:
            raise PlanError("sweep.zip: give at least two sweeps, such as sweep.zip(sweep(0, 1, 5), sweep(2, 3, 5))")
        first, *others = (each if isinstance(each, Sweep) else self(each) for each in sweeps)
        for each in (first, *others):
            if each.visit.traversal is not Traversal.STRAIGHT or each.others:
                raise PlanError(
                    f"sweep.zip: {each!r} cannot be in lock-step; zip plain sweeps, then .snake() the result"
                )
            if len(each) != len(first):
                raise PlanError(
                    f"sweep.zip: {first!r} has {len(first)} values and {each!r} {len(each)}; they must agree"
                )
        return replace(first, others=tuple(others))

    def adaptive(
        self,
        start: object,
        stop: object,
        unit: str | Sequence[str] = "",
        *,
        on: str | None = None,
        goal: float = 0.01,
        most: int = 1000,
    ) -> "AdaptiveSweep":
        """Return a sweep from `start` to `stop` whose points are chosen where `on` (a recorded number) changes most.

        `sweep.adaptive(0, 1, "V", on="current")` chooses one value; with pairs, two:
        `for x, y in sweep.adaptive((0, 1), (-2, 2), ("V", "T"))`. `on` may be left out if one number is recorded in the
        loop. It ends when the loss is below `goal`, or after `most` points. Needs the `adaptive` extra.
        Raises PlanError for ranges that are empty or not finite.
        """
        from labnb.core.adaptive import adaptive  # it builds on this module

        return adaptive(start, stop, unit, on=on, goal=goal, most=most)


sweep = Sweeps()
"""Returns the values of one measurement loop: see Sweeps."""


def _padded(given: tuple[object, ...]) -> tuple[object, object, object, object]:
    if len(given) > 4:
        raise PlanError(f"sweep takes start, stop, number of points and unit; got {len(given)} of them")
    start, stop, num, unit, *_ = (*given, None, None, None, None)
    return start, stop, num, unit


def _sweep(start: object, stop: object, num: object, unit: object, *, step: float | None, log: bool) -> Sweep:
    if _has_many(start):
        return _sweep_values(start, stop, num, unit, step, log)
    if isinstance(num, str) and unit is None:
        num, unit = None, num
    if stop is None:
        raise PlanError(f"sweep({start!r}) has no end: give sweep(start, stop, num, unit) or sweep([values], unit)")
    first, last = _number(start, "start"), _number(stop, "stop")
    if (num is None) == (step is None):
        raise PlanError(f"sweep({start!r}, {stop!r}): give either the number of points or step=, not both or neither")
    if step is not None:
        values = _stepped(first, last, step, log)
    else:
        values = (_logarithmic if log else _linear)(first, last, _count_of(num))
    return Sweep(values, check_unit(unit, "sweep"))


def _is_target(thing: object) -> bool:
    """Whether `thing` can be something to set, as opposed to numbers; what exactly, `labnb.channel` finds out."""
    if isinstance(thing, type | str | bytes):
        return False
    if isinstance(thing, tuple):
        pair = cast(tuple[object, ...], thing)
        return len(pair) == 2 and (
            any(map(callable, pair)) or (isinstance(pair[1], str) and not isinstance(pair[0], bool | int | float | str))
        )
    if isinstance(thing, Iterable):
        return False
    return callable(thing) or callable(getattr(thing, "set", None)) or callable(getattr(thing, "get", None))


def _has_many(start: object) -> bool:
    if isinstance(start, str | bytes):
        raise PlanError(f"sweep: expected numbers, or a list of values to sweep, got {start!r}")
    return isinstance(start, Iterable) and getattr(start, "ndim", 1) != 0


def _sweep_values(values: object, stop: object, num: object, unit: object, step: float | None, log: bool) -> Sweep:
    if num is not None or unit is not None or step is not None or log:
        raise PlanError("sweep(values, unit): with a list of values only the unit may follow")
    return Sweep(cast(tuple[Value, ...], values), check_unit(stop, "sweep"))


def _stepped(first: float, last: float, step: object, log: bool) -> tuple[float, ...]:
    size = _number(step, "step")
    if log:
        raise PlanError("sweep: step= and log=True do not go together; give the number of points")
    if size == 0 or (last - first) * size < 0:
        raise PlanError(f"sweep: step={size!r} never leads from {first!r} to {last!r}")
    count = math.floor((last - first) / size * (1 + 1e-12) + 1e-9) + 1
    return tuple(first + k * size for k in range(count))


def _values_text(values: Sequence[Value], unit: str) -> str:
    shown = (
        ", ".join(format_value(v) for v in values)
        if len(values) <= 4
        else (f"{format_value(values[0])} … {format_value(values[-1])}, {len(values)} values")
    )
    return f"{shown} {unit}".rstrip()


def format_value(value: object) -> str:
    """Return `value` as people write a setpoint: six significant digits, texts as they are."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True, slots=True)
class Axis:
    """A named dimension with its setpoints.

    `others` are in lock-step with it: they become further coordinates of the same dimension.
    """

    name: str
    values: tuple[Value, ...]
    unit: str = ""
    notes: str = ""
    visit: Visit = Visit()
    others: "tuple[Axis, ...]" = ()

    def __post_init__(self) -> None:
        check_name(self.name, "axis")
        object.__setattr__(self, "values", _plain(self.values, f"axis {self.name!r}"))
        object.__setattr__(self, "unit", check_unit(self.unit, f"axis {self.name!r}"))
        for other in self.others:
            if other.size != self.size:
                raise PlanError(
                    f"{self.name!r} has {self.size} values and {other.name!r} {other.size}: what is swept in lock-step "
                    "has one value of each at each point"
                )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def size(self) -> int:
        """Number of setpoints."""
        return len(self.values)

    @property
    def names(self) -> tuple[str, ...]:
        """Its name and those of what is in lock-step with it."""
        return (self.name, *(other.name for other in self.others))

    @property
    def turns(self) -> int:
        """How often one pass of its loop goes through all values: 2 there and back, else 1."""
        return 2 if self.visit.traversal is Traversal.THERE_AND_BACK else 1

    def yielded(self) -> "Sequence[Value | tuple[Value, ...]]":
        """Return what its loop gives to the body at each place: a value, or one of each that are in lock-step."""
        values: Sequence[Value | tuple[Value, ...]] = self.values
        if self.others:
            values = tuple(zip(self.values, *(other.values for other in self.others), strict=True))
        return (*values, *values) if self.turns == 2 else values

    def values_text(self) -> str:
        """Return e.g. `0 … 0.8, 81 values V`."""
        return _values_text(self.values, self.unit)

    def setpoint_text(self, place: int) -> str:
        """Return e.g. `voltage=0.31 V`, with what is in lock-step: `x=1 mm, y=2 mm`."""
        return ", ".join(
            f"{axis.name}={format_value(axis.values[place])} {axis.unit}".rstrip() for axis in (self, *self.others)
        )


@dataclass(frozen=True, slots=True)
class OpenAxis:
    """A named dimension whose length is known only at the end; its k-th coordinate is `k * step`."""

    name: str
    step: float
    unit: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "axis")
        if not (math.isfinite(self.step) and self.step > 0):
            raise PlanError(f"axis {self.name!r}: the step must be a positive number, got {self.step!r}")
        object.__setattr__(self, "unit", check_unit(self.unit, f"axis {self.name!r}"))

    @property
    def size(self) -> None:
        """Unknown until the end."""
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, as of an Axis."""
        return (self.name,)

    @property
    def turns(self) -> int:
        """How often its loop goes through it, as of an Axis."""
        return 1

    def values_text(self) -> str:
        """Return e.g. `every 0.25 s`."""
        return f"every {format_value(self.step)} {self.unit}".rstrip()

    def setpoint_text(self, place: int) -> str:
        """Return e.g. `time=0.25 s`."""
        return f"{self.name}={format_value(place * self.step)} {self.unit}".rstrip()


LoopAxis = Axis | OpenAxis

DIRECTION = ("forward", "backward")


def dimensions(axes: Iterable[LoopAxis]) -> tuple[LoopAxis, ...]:
    """Return the dimensions that loops over `axes` (outermost first) have: those there and back have two.

    >>> [axis.name for axis in dimensions([sweep([1, 2]).there_and_back().named("field")])]
    ['direction', 'field']
    """
    found = list[LoopAxis]()
    for axis in axes:
        if axis.turns == 2:
            taken = any(other.name == "direction" for other in found)
            found.append(Axis(f"{axis.name}_direction" if taken else "direction", DIRECTION))
        found.append(axis)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Span:
    """A dimension of a recorded array that has a length but no coordinate."""

    name: str
    size: int

    def __post_init__(self) -> None:
        check_name(self.name, "dimension")
        if self.size < 1:
            raise PlanError(f"dimension {self.name!r} has length {self.size}; an empty array cannot be recorded")


@dataclass(frozen=True, slots=True)
class Setpoint:
    """One place of the plan: which values every axis has there."""

    index: int
    names: tuple[str, ...]
    values: tuple[Value, ...]
    units: tuple[str, ...]

    def __str__(self) -> str:
        """Return e.g. `temperature=300 K, voltage=0.31 V`."""
        return ", ".join(
            f"{n}={format_value(v)} {u}".rstrip() for n, v, u in zip(self.names, self.values, self.units, strict=True)
        )

    def as_dict(self) -> dict[str, Value]:
        """Return the values by axis name."""
        return dict(zip(self.names, self.values, strict=True))


@dataclass(frozen=True, slots=True)
class Plan:
    """The grid of a measurement: the product of its axes, first axis outermost. No axis: a single point."""

    axes: tuple[Axis, ...] = ()

    def __post_init__(self) -> None:
        names = [name for axis in self.dimensions for name in axis.names]
        for name in names:
            if names.count(name) > 1:
                raise PlanError(f"axis {name!r} is used {names.count(name)} times; every axis needs a name of its own")

    @property
    def dimensions(self) -> tuple[Axis, ...]:
        """Its dimensions, outermost first: an axis that is swept there and back has two."""
        return cast(tuple[Axis, ...], dimensions(self.axes))

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of the dimensions, outermost first."""
        return tuple(axis.name for axis in self.dimensions)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of setpoints along every dimension."""
        return tuple(axis.size for axis in self.dimensions)

    @property
    def size(self) -> int:
        """Number of points of the whole grid."""
        return math.prod(self.shape)

    def setpoint(self, index: int) -> Setpoint:
        """Return the setpoint of the C-order `index`. Raises IndexError outside of 0 … size-1."""
        if not 0 <= index < self.size:
            raise IndexError(f"point {index} is outside of this plan of {self.size} points")
        rest, found = index, list[tuple[str, Value, str]]()
        for axis in reversed(self.dimensions):
            rest, place = divmod(rest, axis.size)
            found[:0] = [(each.name, each.values[place], each.unit) for each in (axis, *axis.others)]
        names, values, units = zip(*found, strict=True) if found else ((), (), ())
        return Setpoint(index, names, values, units)

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Setpoint]:
        """Yield the setpoints in the order in which they are visited."""
        return map(self.setpoint, self._visited(0, 0, [0] * len(self.axes)))

    def _visited(self, level: int, base: int, turns: list[int]) -> Iterator[int]:
        if level == len(self.axes):
            yield base
            return
        axis = self.axes[level]
        turn, turns[level] = turns[level], turns[level] + 1
        for place in axis.visit.places(axis.size, turn):
            yield from self._visited(level + 1, base * axis.size * axis.turns + place, turns)

    def __str__(self) -> str:
        """Return e.g. `temperature 3 × voltage 81 = 243 points`."""
        if not self.axes:
            return "1 point"
        return " × ".join(f"{a.name} {a.size}" for a in self.dimensions) + f" = {self.size} points"
