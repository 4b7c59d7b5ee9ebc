"""The body of a session's run: nested loops over its parameters, or a schedule, with every function in its place."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, final

from labnb.core import AdaptiveAxis, Axis, PlanError, SchemaError
from labnb.core.adaptive import POINT
from labnb.session._acquire import Acquire, Warn
from labnb.session._channels import Reader, has_channels
from labnb.session._function import Registered, settled
from labnb.session._gate import Order
from labnb.session._labelled import has_labels, with_labels
from labnb.session.outline import Loop, Outline, Record, Section
from labnb.session.steps import Steps, Yielded

Call = tuple[Registered, Callable[[], Any]]  # a function, and how it is called: what it returns is the user's business


@dataclass(frozen=True, slots=True)
class Hook(Registered):
    """A function that is called at each value of the parameter `axis` (None: once a run), or when that is over."""

    axis: str | None = None
    late: bool = False

    @property
    def kind(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]  two words for one class
        """What people call it."""
        return "after" if self.late else "before"


@dataclass(frozen=True, slots=True)
class Functions:
    """What is called during a run, and what it may ask for."""

    acquires: Sequence[Acquire]
    hooks: Sequence[Hook] = ()
    until: Registered | None = None
    constants: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def awaiting(self) -> bool:
        """Whether one of them must be awaited."""
        return any(f.awaiting for f in (*self.acquires, *self.hooks, *([self.until] if self.until else [])))


@final
class Row:
    """What the functions of one level measure: their row in one section, declared by the first results."""

    def __init__(self, section: int, calls: Sequence[Call], setpoints: dict[str, object], axes: frozenset[str]) -> None:
        self.section, self.calls, self._setpoints, self._axes = section, tuple(calls), setpoints, axes
        self._names: tuple[str, ...] = ()
        self._extra: tuple[Record, ...] = ()
        self._reader: Reader | None = None
        self._labelled = False  # whether there is more to record than the functions return by name
        self.plain: bool | None = None  # whether functions return values, no channels; not known before the first point

    def declare_extra(self, *records: Record) -> None:
        """Say which variables come from the engine, on top of what functions return."""
        self._extra = records

    def collect(self) -> dict[str, object]:
        """Call the functions; return what they measured."""
        if len(self.calls) == 1 and self.plain:
            acquire, call = self.calls[0]
            return self._alone(acquire, call())
        found = dict[str, object]()
        for acquire, call in self.calls:
            results = _results(acquire, call())
            reader = self._reader_of(results)
            self._merge(found, acquire, results if reader is None else reader.read(results))
        self.plain = self._reader is None
        return found

    async def collect_async(self, steps: Steps) -> dict[str, object]:
        """Do the same; blocking functions run aside."""
        found = dict[str, object]()
        for acquire, call in self.calls:
            results = _results(acquire, await settled(call()) if acquire.awaiting else await steps.aside(call))
            reader = self._reader_of(results)
            self._merge(found, acquire, results if reader is None else await reader.read_async(results))
        self.plain = self._reader is None
        return found

    def _reader_of(self, results: Mapping[str, object]) -> Reader | None:
        """Return what reads the channels in `results`; None if functions return values only, as most do."""
        if self.plain is None and self._reader is None and has_channels(results):
            self._reader = Reader()
        return self._reader

    def _alone(self, acquire: Registered, value: object) -> dict[str, object]:
        return value if type(value) is dict else dict(_results(acquire, value))

    def _merge(self, found: dict[str, object], acquire: Registered, results: Mapping[str, object]) -> None:
        for name, result in results.items():
            if name in found:
                raise SchemaError(f"acquire {acquire.name!r} returned {name!r}, which another one measured already")
            if name in self._axes:
                raise SchemaError(f"acquire {acquire.name!r} returned {name!r}, which is a parameter")
            found[name] = result
        self._setpoints.update(results)

    def store(self, steps: Steps, results: dict[str, object]) -> None:
        """Write `results` into the row. Raises SchemaError if they are not those of the first time."""
        names = self._names
        if not names:
            self._labelled = has_labels(results)
        if self._labelled:
            results = with_labels(results, self._axes)
        if not names:
            self._names = names = self._declare(steps, results)
        try:
            steps.slots[self.section].row[:] = [results[name] for name in names]
        except KeyError as error:
            raise SchemaError(
                f"this point has no value for {error}; the first one measured {', '.join(names)}"
            ) from None
        if len(results) != len(names):
            new = sorted(set(results) - set(names))
            raise SchemaError(f"this point measured {', '.join(new)} in addition; the first one had {', '.join(names)}")

    def _declare(self, steps: Steps, results: dict[str, object]) -> tuple[str, ...]:
        if not results:
            raise SchemaError("the measurement functions returned no value; return a mapping such as {'voltage': v}")
        for name in results:
            if name in self._axes:
                raise SchemaError(f"a measurement function returned {name!r}, which is a parameter")
        units = {} if self._reader is None else self._reader.units
        units |= {f.name: f.unit or units.get(f.name, "") for f, _ in self.calls if isinstance(f, Acquire)}
        units |= {f.name: f.channel.unit for f, _ in self.calls if isinstance(f, Acquire) and f.channel is not None}
        extra = {record.name: record for record in self._extra}
        records = [extra.get(name) or Record(name, units.get(name) or _unit_of(v)) for name, v in results.items()]
        steps.slots[self.section].define(records)
        return tuple(results)


def _results(acquire: Registered, value: object) -> Mapping[str, object]:
    if not isinstance(acquire, Acquire):
        raise TypeError(f"{acquire.name} measures nothing")
    return acquire.results(value)


def _unit_of(value: object) -> str:
    unit: object = getattr(value, "unit", None) or getattr(value, "attrs", {}).get("units", "")
    return unit if isinstance(unit, str) else ""


class _Body:
    """What grid and schedule have in common: the functions, bound to what they ask for."""

    def __init__(self, functions: Functions, warn: Warn) -> None:
        self.setpoints: dict[str, object] = {}
        self.ctx = MappingProxyType(self.setpoints)
        self._constants = {**functions.constants, "ctx": self.ctx}
        self._warn = warn
        self._until = None if functions.until is None else self.bound(functions.until)
        self._first = tuple(self.bound(h) for h in functions.hooks if h.axis is None and not h.late)
        self._last = tuple(self.bound(h) for h in functions.hooks if h.axis is None and h.late)

    def bound(self, function: Registered) -> Call:
        call = function.bind(self._constants, self.setpoints)
        return function, function.insistent(call, self._warn) if isinstance(function, Acquire) else call

    def blocking(self, steps: Steps) -> None:
        try:
            _call_all(self._first)
            self.walk(steps)
        except Exception as error:
            with _noting(error):
                _call_all(self._last)
            raise
        except BaseException:  # an order to stop, or a cancellation: a hook that fails now is the first failure
            _call_all(self._last)
            raise
        _call_all(self._last)

    async def awaiting(self, steps: Steps) -> None:
        try:
            await _await_all(self._first, steps)
            await self.walk_async(steps)
        except Exception as error:
            with _noting(error):
                await self._leave(steps)
            raise
        except BaseException:  # as above
            await self._leave(steps)
            raise
        await self._leave(steps)

    async def _leave(self, steps: Steps) -> None:
        steps.gate.leaving = True
        await _await_all(self._last, steps)

    def walk(self, steps: Steps) -> None:
        raise NotImplementedError

    async def walk_async(self, steps: Steps) -> None:
        raise NotImplementedError

    def _keep(self, steps: Steps, row: Row, results: dict[str, object]) -> None:
        """Write what was measured into its row, and show it to the functions that are called later."""
        row.store(steps, results)
        self.setpoints.update(results)

    def stop_if_asked(self, steps: Steps) -> None:
        """End the run after this point if the session's condition is met."""
        if self._until is not None and self._until[1]():
            steps.gate.give(Order.STOP)

    async def stop_if_asked_async(self, steps: Steps) -> None:
        """Do the same where functions are awaited."""
        if self._until is not None:
            function, call = self._until
            if await settled(call()) if function.awaiting else await steps.aside(call):
                steps.gate.give(Order.STOP)


@final
class Grid(_Body):
    """Every combination of the parameters' values, the first parameter outermost."""

    def __init__(self, axes: Sequence[Axis], functions: Functions, warn: Warn) -> None:
        super().__init__(functions, warn)
        self._axes = tuple(axes)
        self._names = tuple(axis.name for axis in axes)
        names = frozenset(name for axis in axes for name in axis.names)
        last = len(axes) - 1
        inner = [a for a in functions.acquires if a.per is None or self._level_of(a.per, a) == last]
        outer = [[a for a in functions.acquires if a.per == name] for name in self._names[:last]]
        self._rows: dict[int, Row] = {}
        sections = list[Section]()
        for level, acquires in (*enumerate(outer), (last, inner)):
            if acquires:
                self._rows[level] = Row(len(sections), [self.bound(a) for a in acquires], self.setpoints, names)
                sections.append(Section(len(sections), level if axes else None, ()))
        if last not in self._rows:
            raise PlanError(
                f"nothing is measured at each {self._names[last]!r}: every acquire belongs to an outer parameter "
                "(per=...); register one without per"
            )
        self._entering = [self._hooks_at(functions, name, late=False) for name in self._names]
        self._leaving = [self._hooks_at(functions, name, late=True) for name in self._names]
        self.outline = self._outline(tuple(sections), last)

    def _level_of(self, name: str, function: Registered) -> int:
        if name not in self._names:
            raise PlanError(
                f"{function.kind} {function.name!r} belongs to {name!r}, which is no parameter of this session "
                f"(parameters: {', '.join(self._names) or 'none'})"
            )
        return self._names.index(name)

    def _hooks_at(self, functions: Functions, name: str, *, late: bool) -> tuple[Call, ...]:
        for hook in functions.hooks:
            if hook.axis is not None:
                self._level_of(hook.axis, hook)
        return tuple(self.bound(h) for h in functions.hooks if h.axis == name and h.late is late)

    def _outline(self, sections: tuple[Section, ...], last: int) -> Outline:
        loops = tuple(
            Loop(
                level,
                axis.name,
                level - 1 if level else None,
                self._rows[level - 1].section if level - 1 in self._rows else None,
                self._rows[level].section if level == last else None,
                axis.notes,
                axis.names[1:],
            )
            for level, axis in enumerate(self._axes)
        )
        return Outline(loops, sections, None if self._axes else self._rows[last].section)

    def _go_to(self, level: int, value: Yielded) -> None:
        """Tell the functions the setpoints of this place."""
        names = self._axes[level].names
        self.setpoints.update(zip(names, value if isinstance(value, tuple) else (value,), strict=True))

    def walk(self, steps: Steps) -> None:
        if not self._axes:
            self._rows[-1].store(steps, self._rows[-1].collect())
            return
        self._nest(steps, 0)

    async def walk_async(self, steps: Steps) -> None:
        if not self._axes:
            self._rows[-1].store(steps, await self._rows[-1].collect_async(steps))
            return
        await self._nest_async(steps, 0)

    def _nest(self, steps: Steps, level: int) -> None:
        if level == len(self._axes) - 1:
            self._innermost(steps, level)
            return
        row = self._rows.get(level)
        for value in steps.loop(level):
            self._go_to(level, value)
            _call_all(self._entering[level])
            if row is not None:
                self._keep(steps, row, row.collect())
            self._nest(steps, level + 1)
            _call_all(self._leaving[level])

    def _innermost(self, steps: Steps, level: int) -> None:
        name, row, setpoints = self._names[level], self._rows[level], self.setpoints
        entering, leaving = self._entering[level], self._leaving[level]
        collect, store = row.collect, row.store
        plain = not (entering or leaving or self._until or self._axes[level].others)
        for value in steps.loop(level):
            setpoints[name] = value
            if plain:  # the usual case: this runs a million times
                store(steps, collect())
                continue
            self._go_to(level, value)
            _call_all(entering)
            self._keep(steps, row, collect())
            _call_all(leaving)
            self.stop_if_asked(steps)

    async def _nest_async(self, steps: Steps, level: int) -> None:
        if level == len(self._axes) - 1:
            await self._innermost_async(steps, level)
            return
        row = self._rows.get(level)
        for value in steps.loop(level):
            if steps.due:
                await steps.rest()
            self._go_to(level, value)
            await _await_all(self._entering[level], steps)
            if row is not None:
                self._keep(steps, row, await row.collect_async(steps))
            await self._nest_async(steps, level + 1)
            await _await_all(self._leaving[level], steps)

    async def _innermost_async(self, steps: Steps, level: int) -> None:
        name, row, setpoints = self._names[level], self._rows[level], self.setpoints
        entering, leaving, store = self._entering[level], self._leaving[level], row.store
        acquire, call = row.calls[0]
        plain = not (entering or leaving or self._until or self._axes[level].others)
        alone = plain and len(row.calls) == 1 and acquire.awaiting
        for value in steps.loop(level):
            if steps.due:
                await steps.rest()
            setpoints[name] = value
            if alone and row.plain:  # the usual case, without a coroutine of our own around the user's
                result = await call()
                store(steps, result if type(result) is dict else dict(_results(acquire, await settled(result))))
                continue
            self._go_to(level, value)
            await _await_all(entering, steps)
            self._keep(steps, row, await row.collect_async(steps))
            await _await_all(leaving, steps)
            await self.stop_if_asked_async(steps)


@final
class Chosen(_Body):
    """Points that are chosen by what was measured at those before: one loop over `point`."""

    def __init__(self, axis: AdaptiveAxis, functions: Functions, warn: Warn) -> None:
        super().__init__(functions, warn)
        _refuse_levels(functions, "an adaptive parameter is the only one")
        self._names = axis.chosen
        self._row = Row(0, [self.bound(a) for a in functions.acquires], self.setpoints, frozenset({POINT}))
        self._row.declare_extra(*(Record(name, unit) for name, unit in zip(axis.chosen, axis.sweep.units, strict=True)))
        self.outline = Outline((Loop(0, POINT, None, None, 0, chosen=axis.chosen),), (Section(0, 0, ()),))

    def walk(self, steps: Steps) -> None:
        for value in steps.loop(0):
            chosen = self._go_to(value)
            self._keep(steps, self._row, self._with(chosen, self._row.collect()))
            self.stop_if_asked(steps)

    async def walk_async(self, steps: Steps) -> None:
        for value in steps.loop(0):
            if steps.due:
                await steps.rest()
            chosen = self._go_to(value)
            self._keep(steps, self._row, self._with(chosen, await self._row.collect_async(steps)))
            await self.stop_if_asked_async(steps)

    def _go_to(self, value: Yielded) -> dict[str, object]:
        chosen = dict[str, object](zip(self._names, value if isinstance(value, tuple) else (value,), strict=True))
        self.setpoints.update(chosen)
        return chosen

    def _with(self, chosen: dict[str, object], results: dict[str, object]) -> dict[str, object]:
        for name in chosen:
            if name in results:
                raise SchemaError(f"a measurement function returned {name!r}, which is a parameter")
        return {**chosen, **results}


def _refuse_levels(functions: Functions, why: str) -> None:
    """Raise PlanError if a function belongs to a parameter of a grid, where there is none."""
    for function in (*functions.acquires, *functions.hooks):
        axis = function.per if isinstance(function, Acquire) else function.axis
        if axis is not None:
            raise PlanError(f"{function.kind} {function.name!r} belongs to the parameter {axis!r}, but {why}")


LATENESS = Record("lateness", "s", "how long after its scheduled time the point was begun")


@final
class Series(_Body):
    """Points on a drift-free schedule, each with how late it was begun; then what remains of the duration."""

    def __init__(self, functions: Functions, interval_s: float, duration_s: float | None, warn: Warn) -> None:
        super().__init__(functions, warn)
        _refuse_levels(functions, "a run with duration= or interval= sweeps none")
        self._interval_s, self._duration_s = interval_s, duration_s
        calls = [self.bound(acquire) for acquire in functions.acquires]
        self._row = Row(0, calls, self.setpoints, frozenset({"time"}))
        self._row.declare_extra(LATENESS)
        self.outline = Outline((Loop(0, "time", None, None, 0),), (Section(0, 0, ()),))

    def walk(self, steps: Steps) -> None:
        for _ in steps.ticks(0, steps.axes[0], self._interval_s):
            if not steps.wait_tick():
                break
            self.setpoints["time"], late = steps.schedule()
            self._keep(steps, self._row, _with_lateness(self._row.collect(), late))
            self.stop_if_asked(steps)
        if self._duration_s is not None:
            steps.gate.obey(steps.until(self._duration_s))

    async def walk_async(self, steps: Steps) -> None:
        for _ in steps.ticks(0, steps.axes[0], self._interval_s):
            if not await steps.wait_tick_async():
                break
            self.setpoints["time"], late = steps.schedule()
            self._keep(steps, self._row, _with_lateness(await self._row.collect_async(steps), late))
            await self.stop_if_asked_async(steps)
        if self._duration_s is not None:
            await steps.gate.obey_async(steps.until(self._duration_s))


def _with_lateness(results: dict[str, object], late: float) -> dict[str, object]:
    if LATENESS.name in results:
        raise SchemaError(
            f"a measurement function returned {LATENESS.name!r}, which a run on a schedule records itself"
        )
    return {**results, LATENESS.name: late}


@contextmanager
def _noting(first: Exception) -> Generator[None]:
    """Let what fails after `first` not hide it: it becomes a note of it."""
    try:
        yield
    except Exception as later:  # noqa: BLE001  told with the first one, which is raised
        first.add_note(f"and then: {type(later).__name__}: {later}")


def _call_all(calls: Sequence[Call]) -> None:
    for _, call in calls:
        call()


async def _await_all(calls: Sequence[Call], steps: Steps) -> None:
    for function, call in calls:
        if function.awaiting:
            await settled(call())
        else:
            await steps.aside(call)
