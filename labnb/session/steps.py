"""How a body walks through its loops: setpoints out, rows in, one point at a time. The hot path of labnb.

Both faces use it: a compiled cell and `Measurement` call `loop` and fill `rows`; nothing else makes points.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from labnb.core import (
    AdaptiveAxis,
    AdaptiveSweep,
    Axis,
    Group,
    LabnbError,
    LoopAxis,
    PlainPoint,
    PlanError,
    SchemaError,
    Sweep,
    Target,
    Traversal,
    Value,
    dimensions,
    present_clock,
)
from labnb.instruments import Action, Channel
from labnb.session._adaptive import Learner
from labnb.session._channels import aimed
from labnb.session._gate import Gate, Order
from labnb.session._labelled import warn_of_lost
from labnb.session._resumed import Measured
from labnb.session._slot import Put, Slot, declared, result, results
from labnb.session.outline import Loop, Outline, Record

Yielded = Value | tuple[Value, ...]
Setpoints = Iterator[tuple[int, Yielded]]

# What a user's function returns is his own business: Any.
Aside = Callable[[Callable[[], Any]], Awaitable[Any]]

_TURN_NS = 10_000_000  # an awaiting body gives the loop a turn at least this often (law: never 20 ms without)


class Steps:
    """The loops of one run.

    `rows[k]` is the row of section k: the body writes values into it, `loop` commits it. `due` tells an awaiting
    body to `await rest()` before it goes on, which also sets what the loop sweeps; a blocking body rests, and sets,
    inside of `loop`. `aside` does a blocking call of an awaiting body in the run's own lane.
    """

    def __init__(
        self,
        outline: Outline,
        axes: dict[int, LoopAxis],
        *,
        awaiting: bool,
        declare: Callable[[Group], None],
        put: Put,
        aside: Aside | None = None,
        measured: Measured | None = None,
        targets: Mapping[int, Sequence[Target | None]] | None = None,
        units: Mapping[str, Channel] | None = None,
    ) -> None:
        self._measured = measured
        self.aside = _here if aside is None else aside
        self.outline = outline
        self.axes = axes
        self.due = False
        self.gate = Gate(self._look_up)
        self.slots = tuple(Slot(section, self._first) for section in outline.sections)
        self.rows = tuple(slot.row for slot in self.slots)
        self._loose = {
            key: tuple(s.key for s in outline.sections if s.loop == key and s.conditional and s.records)
            for key in (None, *(loop.key for loop in outline.loops))
        }
        self.missed = self.held = 0
        self._interval_ns = self._start_ns = self._ticking = 0
        self._interval_s = 0.0
        self._awaiting = awaiting
        self._targets = {key: tuple(each) for key, each in (targets or {}).items()}
        self._units = dict(units or {})
        self._setting: list[tuple[Target, Value]] = []  # what an awaiting body has to set at its next rest
        self._declare = declare
        self._put = put if measured is None else self._put_missing(put, measured)
        for key, count in measured.counts.items() if measured is not None else ():
            self.slots[key].count = count
        self._places = [0] * len(outline.loops)
        self._entered = [-1] * len(outline.loops)
        self._turns = [0] * len(outline.loops)  # how many passes each loop has begun
        self._current: int | None = None
        self._turn_ns = 0
        clock = present_clock()
        self._time_ns, self._monotonic_ns = clock.time_ns, clock.monotonic_ns
        self._wall_ns = clock.time_ns() - clock.monotonic_ns()

    # ---- loops

    def loop(self, key: int, values: object = None) -> Iterator[Yielded]:
        """Yield the setpoints of loop `key`; commit its rows. `values` is needed if its axis is not known yet.

        What is swept in lock-step is yielded as a tuple.
        """
        loop = self.outline.loops[key]
        axis = self._axis(loop, values)
        if isinstance(axis, AdaptiveAxis):
            return self._seek(loop, axis)
        if not isinstance(axis, Axis):
            raise PlanError(f"axis {axis.name!r} follows the clock; it cannot be swept")
        base = self._enter(loop) * axis.size * axis.turns
        turn, self._turns[key] = self._turns[key], self._turns[key] + 1
        return self._walk(loop, self._missing(loop, _setpoints(axis, base, turn)))

    def _missing(self, loop: Loop, setpoints: Setpoints) -> Setpoints:
        """Leave out, in a run that is resumed, the setpoints at which everything is measured."""
        measured = self._measured
        if measured is None:
            return setpoints
        return (each for each in setpoints if not measured.whole(loop, each[0], self.axes))

    def _put_missing(self, put: Put, measured: Measured) -> Put:
        """Return `put` for a run that is resumed: what it has stays as it is."""

        def put_missing(point: PlainPoint) -> None:
            if not measured.has(point[0], point[1]):
                put(point)

        return put_missing

    def _walk(self, loop: Loop, setpoints: Setpoints) -> Iterator[Yielded]:
        key, slot = loop.key, None if loop.after is None else self.slots[loop.after]
        whole = slot is not None and not slot.section.conditional and not self._loose[key]
        targets = self._targets.get(key, ())
        leaf = not targets and all(inner.parent != key for inner in self.outline.loops)
        for place, value in setpoints:
            self._places[key], self._current = place, key
            if self._monotonic_ns() >= self._turn_ns:
                self._turn()
            if targets:
                self._set(targets, value)
            yield value
            if self._setting:
                raise LabnbError(f"{self._setting[0][0].name} was not set: the body goes on without its rest()")
            self._pass(loop)
            if whole and leaf and slot is not None:
                break
        if whole and leaf and slot is not None:
            yield from self._walk_fast(key, setpoints, slot)
        self._current = loop.parent

    def _seek(self, loop: Loop, axis: AdaptiveAxis) -> Iterator[Yielded]:
        """Yield setpoints that are chosen by what the body recorded at those before."""
        self._enter(loop)
        learner, place, on = Learner(axis), 0, ""
        self._name_units(loop, axis)
        while (chosen := learner.ask()) is not None:
            self._places[loop.key], self._current = place, loop.key
            self._turn()
            yield chosen
            self._pass(loop)
            on = on or self._wanted(loop, axis)  # what a session records is known by now
            learner.tell(chosen, self._recorded(loop, on), on)
            place += 1
        self._current = loop.parent

    def _wanted(self, loop: Loop, axis: AdaptiveAxis) -> str:
        """Return the name of the number that decides where to measure next."""
        records = [r.name for slot in self.slots if slot.section.loop == loop.key for r in slot.records]
        names = [name for name in records if name not in axis.chosen]
        if axis.sweep.on in names:
            return axis.sweep.on
        if axis.sweep.on is None and len(names) == 1:
            return names[0]
        said = "say which by on=" if axis.sweep.on is None else f"there is no {axis.sweep.on!r}"
        raise PlanError(
            f"the adaptive sweep over {', '.join(axis.chosen)} records {', '.join(names) or 'nothing'}: {said}"
        )

    def _name_units(self, loop: Loop, axis: AdaptiveAxis) -> None:
        """Give the chosen values, which are recorded as all others, the units of the sweep."""
        units = dict(zip(axis.chosen, axis.sweep.units, strict=True))
        for slot in self.slots:
            if slot.section.loop == loop.key:
                slot.records = tuple(replace(r, unit=units.get(r.name, r.unit)) for r in slot.records)

    def _recorded(self, loop: Loop, name: str) -> object:
        """Return what the last pass of `loop` recorded as `name`."""
        for slot in self.slots:
            if slot.section.loop == loop.key:
                for record, value in zip(slot.records, slot.shown, strict=True):
                    if record.name == name:
                        return result(value)
        raise PlanError(f"the adaptive sweep is steered by {name!r}, which is not recorded in its loop")

    def _set(self, targets: Sequence[Target | None], value: Yielded) -> None:
        """Set what the loop sweeps: here, in a thread; before the awaiting body goes on, by its `rest()`."""
        values = value if isinstance(value, tuple) else (value,)
        setting = [(to, each) for to, each in zip(targets, values, strict=True) if to is not None]
        if self._awaiting:
            self._setting, self.due = setting, True
            return
        for to, each in setting:
            to.set(each).result()

    def left(self, key: int) -> None:
        """Commit what loop `key` has recorded in a pass that a `break` has ended."""
        self._keep_loose(key)
        self._current = self.outline.loops[key].parent

    def _walk_fast(self, key: int, setpoints: Setpoints, slot: Slot) -> Iterator[Yielded]:
        """Do the same as `_walk` for an innermost loop after its first point: this runs a million times."""
        group, row, put, places = slot.key, slot.row, slot.fast, self._places
        clock = self._monotonic_ns
        now = clock()
        for place, value in setpoints:
            places[key] = place
            if now >= self._turn_ns:
                self._turn()
            yield value
            now = clock()
            point = (group, place, tuple(row), now + self._wall_ns)
            try:
                put(point)
            except SchemaError:
                put = slot.fast = self._late_results(point)
            slot.count += 1

    def ticks(self, key: int, axis: LoopAxis, interval_s: float) -> Iterator[Value]:
        """Yield the times k*interval of a drift-free schedule, as `loop` yields setpoints.

        The body waits for each of them by `wait_tick`, and breaks if that says so. A slot that has passed while the body
        was busy is left unmeasured and counted in `missed`, one that passed during the wait in `held`: points are never
        shifted.
        """
        loop = self.outline.loops[key]
        self.axes[key] = axis
        self._enter(loop)
        self._interval_s, self._interval_ns = interval_s, round(interval_s * 1e9)
        self._ticking = key
        self._start_ns = self._monotonic_ns()
        place, end = 0, axis.size
        while end is None or place < end:
            self._places[key], self._current = place, key
            self._turn()
            yield place * interval_s
            self._pass(loop)
            place = self._places[key]
            behind = (self._monotonic_ns() - self._start_ns) // self._interval_ns
            following = max(place + 1, behind)
            self.missed += (following if end is None else min(following, end)) - place - 1
            place = following
        self._current = loop.parent

    def until_tick(self) -> float:
        """Return how many seconds remain until the present tick of the schedule is due (0 if it is late)."""
        due = self._start_ns + self._places[self._ticking] * self._interval_ns
        return max(0.0, (due - self._monotonic_ns()) / 1e9)

    def until(self, elapsed_s: float) -> float:
        """Return how many seconds remain until `elapsed_s` after the schedule's beginning (0 if that is over)."""
        return max(0.0, elapsed_s - (self._monotonic_ns() - self._start_ns) / 1e9)

    def schedule(self) -> tuple[float, float]:
        """Return when the present tick was due, in s after the schedule's beginning, and how late it is now, in s."""
        place = self._places[self._ticking]
        late_ns = self._monotonic_ns() - self._start_ns - place * self._interval_ns
        return place * self._interval_s, max(0.0, late_ns / 1e9)

    def wait_tick(self) -> bool:
        """Block until the present tick is due; obey orders meanwhile. Return whether the schedule goes on."""
        self.gate.obey(self.until_tick())
        return self._catch_up()

    async def wait_tick_async(self) -> bool:
        """Wait until the present tick is due; obey orders meanwhile. Return whether the schedule goes on."""
        self.due = False
        await self.gate.obey_async(self.until_tick())
        return self._catch_up()

    def _catch_up(self) -> bool:
        """Go to the slot of this moment: a pause, or a loop that stood still, may have lasted over many."""
        key, end = self._ticking, self.axes[self._ticking].size
        now = (self._monotonic_ns() - self._start_ns) // self._interval_ns
        if now > (place := self._places[key]):
            self.held += (now if end is None else min(now, end)) - place
            self._places[key] = now
        return end is None or now < end

    def _axis(self, loop: Loop, values: object) -> LoopAxis:
        known = self.axes.get(loop.key)
        if values is None and known is not None:
            return known
        if isinstance(values, AdaptiveSweep):
            self.axes[loop.key] = adaptive = values.named(*loop.chosen)
            return adaptive
        if not isinstance(values, Sweep):
            raise PlanError(f"the loop over {loop.name!r} needs a sweep, got {values!r}")
        axis = values.named(loop.name, *loop.others, notes=loop.notes)
        if any(target is not None for target in values.targets):
            axis, self._targets[loop.key] = aimed(axis, values.targets)
        if known is not None and known != axis:
            raise PlanError(
                f"the sweep over {loop.name!r} changed from one pass of the outer loop to the next; a grid needs the "
                "same values in each: sweep over a fixed list and skip (continue) what you do not want"
            )
        self.axes[loop.key] = axis
        return axis

    def _enter(self, loop: Loop) -> int:
        """Commit what the parent recorded before this loop; return the parent's place."""
        place = 0 if loop.parent is None else self._places[loop.parent]
        if self._entered[loop.key] == place:
            raise PlanError(
                f"the sweep over {loop.name!r} ran twice{self._at(loop.parent)}: the second pass would overwrite the "
                "first; put it into a sweep of its own, such as `for repeat in sweep(range(2))`"
            )
        self._entered[loop.key] = place
        if loop.before is not None:
            self.keep(loop.before)
        self._keep_loose(loop.parent)
        for slot in self.slots:
            if slot.section.loop == loop.key:
                slot.row[:] = slot.blank
        return place

    # ---- rows

    def keep(self, section: int) -> None:
        """Commit the row of `section` at the present setpoint, unless this pass recorded nothing in it."""
        slot = self.slots[section]
        place = 0 if slot.section.loop is None else self._places[slot.section.loop]
        slot.commit(place, self._monotonic_ns() + self._wall_ns)

    def _keep_loose(self, loop: int | None) -> None:
        """Commit what the conditional sections of `loop` hold, wherever the body has come from."""
        for section in self._loose[loop]:
            self.keep(section)

    def _pass(self, loop: Loop) -> None:
        """End one pass of `loop`."""
        if loop.after is not None:
            self.keep(loop.after)
        self._keep_loose(loop.key)

    def finish(self) -> None:
        """Commit what the body recorded after its last loop."""
        self._current = None
        if self.outline.last is not None:
            self.keep(self.outline.last)
        self._keep_loose(None)

    def _first(self, point: PlainPoint) -> None:
        """Declare the group of a section with its first row, then let all others go the short way."""
        key, place, values, time_ns = point
        slot = self.slots[key]
        slot.fast = self._put
        if any(isinstance(value, Action) for value in values):
            slot.fast = self._put_results
            values = results(values)
        slot.records = tuple(self._in_unit(record) for record in slot.records)
        variables = tuple(declared(record, value) for record, value in zip(slot.records, values, strict=True))
        chain = self.outline.chain(slot.section.loop)
        group = Group(slot.key, dimensions(self.axes[loop.key] for loop in chain), variables)
        warn_of_lost([record.name for record in slot.records], values, group.dims)
        self._declare(group)
        slot.group = group
        self._put((key, place, values, time_ns))
        slot.put = self._put_undecided if slot.undecided else self._put_results

    def _put_undecided(self, point: PlainPoint) -> None:
        """Put a point of a section of which some variables have had no value so far."""
        key, place, values, time_ns = point
        slot, values = self.slots[key], results(values)
        slot.records = tuple(self._in_unit(record) for record in slot.records)
        group = slot.decided(values)
        if group is not None:
            warn_of_lost([record.name for record in slot.records], values, group.dims)
            self._declare(group)
            slot.group = group
        self._put((key, place, values, time_ns))
        if not slot.undecided:
            slot.put = self._put_results

    def _in_unit(self, record: Record) -> Record:
        """Return the record in the unit that its channel says; some channels know theirs once they are read."""
        known = self._units.get(record.name)
        return record if known is None or record.unit else replace(record, unit=known.unit)

    def _late_results(self, point: PlainPoint) -> Put:
        """Put a point with the first reading or action among plain numbers; return how the next ones are put.

        Called while the SchemaError is handled that refused it, which goes on if there is no reading.
        """
        if not any(isinstance(value, Action) for value in point[2]):
            raise  # noqa: PLE0704  what refused the point
        self._put_results(point)
        return self._put_results

    def _put_results(self, point: PlainPoint) -> None:
        """Put the numbers behind readings, and behind actions that nobody awaited."""
        key, place, values, time_ns = point
        self._put((key, place, results(values), time_ns))

    # ---- orders

    def _look_up(self) -> None:
        self._turn_ns = 0

    def _turn(self) -> None:
        """Do what is not needed at every point: obey orders, give the loop its turn, follow the wall clock."""
        now = self._monotonic_ns()
        self._turn_ns = now + _TURN_NS
        self._wall_ns = self._time_ns() - now
        if self._awaiting:
            self.due = True
        elif self.gate.order is not Order.GO:
            self.gate.obey()

    async def rest(self) -> None:
        """Give the loop a turn; wait while paused; set what is swept. Raises Halted when the run shall stop."""
        self.due = False
        await self.gate.obey_async()
        self._turn_ns = self._monotonic_ns() + _TURN_NS
        setting, self._setting = self._setting, []
        for under_way in [to.set(value) for to, value in setting]:
            await under_way

    # ---- where it is

    def where(self) -> str:
        """Return e.g. `at temperature=300 K, voltage=0.31 V (point 112 of 243)`; empty outside of all loops."""
        key = self._current
        if key is None:
            return ""
        chain = self.outline.chain(key)
        if any(loop.key not in self.axes for loop in chain):
            return ""
        group = Group(0, dimensions(self.axes[loop.key] for loop in chain), ())
        place = self._places[key]
        size = "" if group.size is None else f" of {group.size}"
        return f"at {group.setpoint_text(place)} (point {place + 1}{size})"

    def setpoint_text(self) -> str:
        """Return e.g. `temperature 300 K · voltage 0.31 V`, the present setpoints as the panel shows them."""
        return self.where().removeprefix("at ").rpartition(" (")[0].replace("=", " ").replace(", ", " · ")

    def _at(self, key: int | None) -> str:
        if key is None:
            return ""
        self._current = key
        return " " + self.where()

    @property
    def points(self) -> int:
        """How many points of the main section are acknowledged."""
        main = self.outline.main
        return 0 if main is None else self.slots[main.key].count

    @property
    def total(self) -> int | None:
        """How many points the main section will have; None if nobody knows yet."""
        return self.outline.points(self.axes)


def _setpoints(axis: Axis, base: int, turn: int) -> Setpoints:
    """Return the places and values of one pass of a loop, in the order in which they are visited."""
    if axis.visit.traversal is Traversal.STRAIGHT and not axis.others:
        return enumerate(axis.values, base)
    return ((base + place, value) for place, value in axis.yielded(turn))


async def _here(call: Callable[[], Any]) -> Any:
    return call()
