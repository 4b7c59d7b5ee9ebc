"""One parameter of one instrument: what can be asked, set, limited and locked."""

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

from labnb.core import InstrumentError, LimitError, LinkError, format_value, present_clock
from labnb.instruments.action import Action, Stepped, finished
from labnb.instruments.arrays import Arrays
from labnb.instruments.lane import Lane
from labnb.instruments.limits import Bounds, Limit, to_bounds
from labnb.instruments.message import number_of
from labnb.instruments.ramp import Pace
from labnb.instruments.touch import touch
from labnb.instruments.validators import Ints, Numbers

if TYPE_CHECKING:
    from labnb.instruments.instrument import Instrument
    from labnb.instruments.parameter import Parameter

T = TypeVar("T")

_EXTREMES = {"MIN": "low", "MINIMUM": "low", "MAX": "high", "MAXIMUM": "high"}


class Quantity(Generic[T]):
    """One parameter of one connected instrument."""

    def __init__(self, instrument: "Instrument", declared: "Parameter[T]") -> None:
        self.name, self.unit, self.__doc__ = declared.name, declared.unit, declared.help
        self._instrument = instrument
        self._declared = declared
        self._ready_at = 0.0  # when the pace allows the next step, by the present clock
        if declared.pace:
            instrument.paces.setdefault(self.name, declared.pace)

    @property
    def owner(self) -> Lane:
        """The lane of its connection."""
        return self._instrument.lane

    @property
    def cached(self) -> T | None:
        """The value last set or read, in `unit`; None if there is none."""
        return cast(T | None, self._instrument.known.get(self.name, (None, ""))[0])

    @property
    def readable(self) -> bool:
        """Whether it can be asked."""
        return self._declared.getter is not None

    @property
    def writable(self) -> bool:
        """Whether it can be set."""
        return self._declared.setter is not None

    @property
    def expected(self) -> str:
        """What it takes: `a number from 0 to 10`."""
        return self._declared.vals.expected

    def get(self) -> Action[T]:
        """Ask the instrument for the value, in `unit`. Raises LinkError if the answer is none."""
        if not self.readable:
            raise AttributeError(f"{self} can only be set")
        return self._instrument.act(self.read_now)

    aget = get

    def set(self, value: T | str) -> Action[None]:
        """Set the value, in `unit`; with a pace, in steps that stop where they are when this is cancelled.

        Numbers may bring a unit (`"5 mV"`, pint, a Reading) that differs by an SI prefix. Raises LimitError before
        anything is sent, CommandError if it is refused.
        """
        if not self.writable:
            raise AttributeError(f"{self} can only be read")
        kept = self.check(value)
        self._instrument.check_late_limits()
        touch(self._instrument)  # before it takes over from what may be on its way: a run that is over must not
        turn = self._instrument.turns[self.name] = object()
        if not self.pace:
            return self._instrument.act(self._set, kept)
        what = f"{self} has not moved to {format_value(kept)} {self.unit}".rstrip()
        step = partial(self._advance, cast(float, kept), turn)
        return finished(Stepped(self._instrument.lane, step, what))

    aset = set  # noqa: A003  the method above is meant

    @overload
    def __call__(self) -> Action[T]: ...
    @overload
    def __call__(self, value: T | str, /) -> Action[None]: ...
    def __call__(self, *value: T | str) -> Action[T] | Action[None]:
        """Get, or set, as in QCoDeS: `x()` is `x.get()`, `x(1)` is `x.set(1)`."""
        return self.set(*value) if value else self.get()

    def check(self, value: object) -> T:
        """Return `value` as it would be kept, if it may be set now. Raises LimitError if not; nothing is sent.

        This is the one entry for whoever wants to know beforehand, a sweep for instance.
        """
        kept = self._declared.vals.check(value, str(self), self.unit)
        self._permit(kept)
        self._render(kept)
        return kept

    def limit(self, limit: Limit = None, *, max_step: float | None = None, max_rate: float | None = None) -> Self:
        """Forbid values outside of `limit`, (low, high) or a largest magnitude, on top of the instrument's own range.

        `max_step` and `max_rate` (in `unit` a second) make it move in steps. What is left out stays as it is. The
        limit holds from now on; if the value last known lies outside, a UserWarning says so, and nothing is sent.
        """
        if limit is None and max_step is None and max_rate is None:
            raise LimitError(f"limit of {self}: give (low, high), a largest magnitude, max_step or max_rate")
        if limit is not None:
            if not self._declared.vals.numeric:
                raise LimitError(f"{self} takes {self.expected}: limits have no meaning; use an interlock")
            self._instrument.restrict(self.name, to_bounds(limit, self.unit, str(self)))
        if max_step is not None or max_rate is not None:
            self._declared.check_pace()
            self._instrument.paces[self.name] = self.pace.tightened(max_step, max_rate)
        return self

    def interlock(self, allows: Callable[[T], object], otherwise: str) -> Self:
        """Refuse to set a value unless `allows(value)`; `otherwise` says what to do: "close the lid".

        It is asked when the value is given and again just before it is sent, in whatever thread that is.
        """
        self._instrument.interlock(self.name, allows, otherwise)
        return self

    @property
    def pace(self) -> Pace:
        """How it moves."""
        return self._instrument.paces.get(self.name, self._declared.pace)

    @property
    def bounds(self) -> Bounds | None:
        """Its safety limit."""
        return self._instrument.safety.get(self.name)

    # ---- for the instrument: blocking, in the lane

    def read_now(self) -> T:
        """Ask and return the value."""
        getter = self._declared.getter
        if callable(getter):
            answer = self._instrument.run_own(self.name, getter)
        elif isinstance(self._declared.vals, Arrays) and self._declared.vals.block:
            answer = self._instrument.lane.call(self._instrument.link.query_block, str(getter))
        else:
            answer = self._instrument.ask(str(getter))
        value = self._read(answer)
        self._instrument.known[self.name] = (value, self.unit)
        return value

    def meant_by(self, text: str) -> T:
        """Return the value that the argument `text` of a command stands for. Raises ValueError if that is not sure."""
        vals, scale = self._declared.vals, self._declared.scale
        if not vals.numeric:
            return vals.read(text)
        if isinstance(vals, Numbers | Ints) and (end := _EXTREMES.get(text.upper())):
            number: float | None = getattr(vals, end)
            if number is None or math.isinf(number):
                raise ValueError("how much that is, is not declared")
            return cast(T, number)
        number = number_of(text, self.unit if scale == 1.0 else "")
        if number is None:
            raise ValueError("it is no number")
        return cast(T, self._snapped(number / scale))

    def _read(self, answer: object) -> T:
        declared = self._declared
        try:
            value = declared.vals.read(answer if declared.parse is None else declared.parse(answer))
        except ValueError as error:
            asked = repr(declared.getter) if isinstance(declared.getter, str) else f"the function behind {self}"
            shown = repr(answer) if len(repr(answer)) <= 80 else repr(answer)[:77] + "..."
            raise LinkError(f"{self._instrument.where}: {asked} was answered by {shown}, {error}") from None
        return value if declared.scale == 1.0 else cast(T, cast(Any, value) / declared.scale)  # Any: has arithmetic

    def _set(self, value: T) -> None:
        self._permit(value)  # a lid may have been opened, or a limit set, since it was queued
        known = self._instrument.known
        known.pop(self.name, None)  # unknown, should the command fail
        if callable(self._declared.setter):
            self._instrument.run_own(self.name, self._declared.setter, self._declared.vals.give(self._scaled(value)))
        else:
            self._instrument.send(self._render(value))
        known[self.name] = (value, self.unit)

    def _advance(self, target: float, turn: object) -> float | None:
        """Do one step; return for how long to pause before the next, None at the target."""
        if self._instrument.turns.get(self.name) is not turn:
            raise InstrumentError(
                f"{self} stopped on its way to {format_value(target)} {self.unit}".rstrip()
                + f" at {self.cached!r}: it was set anew, or the instrument made safe"
            )
        now = present_clock().monotonic()
        if now < self._ready_at:
            return self._ready_at - now
        present = cast(float, self.read_now() if self.cached is None else self.cached)
        if not math.isfinite(present):
            raise LinkError(f"{self._instrument.where}: {self} reads {present}: where it would move from is unknown")
        step = self._step(present, target)
        self._ready_at = now + self.pace.pause_s(step - present)
        self._set(cast(T, step))
        return None if step == target else max(self._ready_at - present_clock().monotonic(), 0.0)

    def _step(self, present: float, target: float) -> float:
        """Return where the next step goes, so that with the digits that are sent it is not too large either."""
        step, most = self.pace.next(present, target), self.pace.max_step
        if most is None or callable(self._declared.setter):
            return step
        has = self._sent(cast(T, present))
        while (excess := abs(self._sent(cast(T, step)) - has) - most) > 1e-9 * most:
            shorter = step - math.copysign(excess, target - present)
            if abs(target - shorter) >= abs(target - present) or shorter == step:
                raise LimitError(
                    f"{self}: {self._declared.setter!r} writes too few digits for steps of {most:g} {self.unit}; "
                    "let it write more, or allow larger steps; it stays where it is"
                )
            step = shorter
        return step

    def _permit(self, value: T) -> None:
        bounds = self.bounds
        if bounds is not None:
            for number in self._declared.vals.extremes(value):
                bounds.check(number, str(self))
        self._instrument.unlocked(self.name, value, str(self))

    def _render(self, value: T) -> str:
        """Return the command; rounding to the digits that it has must not step over a limit. "" for functions."""
        declared = self._declared
        if not isinstance(declared.setter, str):
            return ""
        command = declared.command(declared.vals.write(self._scaled(value)))
        if isinstance(declared.vals, Numbers):
            sent = self._sent(value)
            for bounds in (self.bounds, Bounds(declared.vals.low, declared.vals.high, self.unit, "range")):
                if bounds is not None and not bounds.low <= sent <= bounds.high:
                    raise LimitError(
                        f"{self} = {value!r} would be sent as {command!r}: {sent!r} {self.unit}".rstrip()
                        + f" is outside of its {bounds.kind} {bounds}; nothing was sent"
                    )
        return command

    def _sent(self, value: T) -> float:
        """Return the number that the command really says."""
        try:
            text = self._declared.written(self._declared.vals.write(self._scaled(value)))
            return self._snapped(float(text) / self._declared.scale)
        except ValueError:
            return cast(float, value)  # a form that only the instrument reads

    def _snapped(self, number: float) -> float:
        """Return a number that went through text and scale; one that only lost its last bit is the limit it was."""
        vals = self._declared.vals
        ends = [self.bounds] if self.bounds else []
        ends += [Bounds(vals.low, vals.high)] if isinstance(vals, Numbers) else []
        for bounds in ends:
            for end in (bounds.low, bounds.high):
                if self._declared.scale != 1.0 and math.isclose(number, end, rel_tol=1e-14):
                    return end
        return number

    def _scaled(self, value: T) -> T:
        scale = self._declared.scale
        return value if scale == 1.0 else cast(T, cast(Any, value) * scale)  # Any: has arithmetic

    def __str__(self) -> str:
        return f"{self._instrument.name}.{self.name}"

    def __repr__(self) -> str:
        value = "not read yet" if self.cached is None else f"{shown(self.cached)} {self.unit}".rstrip()
        return f"<{self}: {value}>"


class Relay(Quantity[bool]):
    """One switch of one connected instrument."""

    def on(self) -> Action[None]:
        """Switch on. Raises LimitError if an interlock forbids it."""
        return self.set(True)

    def off(self) -> Action[None]:
        """Switch off; no interlock forbids that."""
        return self.set(False)

    def _permit(self, value: bool) -> None:
        if value:
            super()._permit(value)


def shown(value: object) -> str:
    """Return a value as people read it: six digits, arrays by their shape."""
    shape = getattr(value, "shape", ())
    if shape:
        return f"array of shape {shape}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
