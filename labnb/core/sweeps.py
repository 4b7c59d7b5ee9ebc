"""What `sweep(...)` makes: the values of one loop, not yet named, and the order in which they are visited."""

import math
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, cast, final, overload

from labnb.core.axes import Axis
from labnb.core.errors import PlanError
from labnb.core.traversal import AS_GIVEN, Traversal, Visit
from labnb.core.values import Value, check_unit, listed, plain_values, values_text

if TYPE_CHECKING:
    from labnb.core.adaptive import AdaptiveSweep


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
    visit: Visit = AS_GIVEN
    others: "tuple[Sweep, ...]" = ()
    target: object = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", plain_values(self.values, "sweep"))
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
        others = "".join(f"; {values_text(other.values, other.unit)}" for other in self.others)
        return f"sweep({values_text(self.values, self.unit)}{others}{order})"


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
    num = listed(num)
    if isinstance(num, bool) or not isinstance(num, int):
        raise PlanError(f"sweep: the number of points must be a whole number, got {num!r}")
    if num < 1:
        raise PlanError(f"sweep: the number of points must be at least 1, got {num}")
    return num


def _number(value: object, what: str) -> float:
    value = listed(value)
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
"""Declare what a loop goes over: `sweep(0, 1, 11, "V")`, `sweep([1, 2, 5], "V")`, `step=`, `log=True`.

`.snake()`, `.shuffled(seed)` and `.there_and_back()` change the order, `sweep.zip(xs, ys)` goes in lock-step,
`sweep.adaptive(0, 1, "V", on="current")` chooses its points. Raises PlanError for what is no sweep.
"""


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
