"""What an instrument's method returns: something that acts at once, and may be awaited.

```
await psu.channel(1).set(voltage=1.0)       in a coroutine: the loop goes on meanwhile
psu.channel(1).set(voltage=1.0)             in a script or thread: done when the call returns, errors raise here
dmm.measure_current_dc().values             in both: waits where it must
```
An action that nobody waits for and that fails does not vanish: the next call on the same connection raises it.
What follows an action whose result is thrown away, on whichever instrument, begins when that one is done, as in a
script; keep the results (`asyncio.gather(a.set(1), b.set(2))`) and they run side by side.
"""

import asyncio
import contextlib
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from labnb.core import InstrumentError, LinkError, LinkTimeout, present_clock
from labnb.instruments.lane import Job, Lane, adrift

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Action(ABC, Generic[T_co]):
    """A result that may still be on its way. It has begun already: awaiting it only waits."""

    __slots__ = ()

    @abstractmethod
    def result(self) -> T_co:
        """Return the result; block until it is there. Raises what the action raised."""

    def __await__(self) -> Generator[Any, None, T_co]:  # asyncio's protocol has Any here
        """Give the result to `await`."""
        yield from ()
        return self.result()


class Number(float, Action[float]):
    """A number that is there; it may be awaited like one that is not."""

    __slots__ = ()

    def result(self) -> float:
        """Return the number."""
        return float(self)


class Deferred(Action[T_co]):
    """A result that is used like the value itself: by attribute, comparison, arithmetic or text. Those block."""

    __slots__ = ()

    if not TYPE_CHECKING:  # a checker shall see `await` and `result()`; the rest is for people at a prompt

        def __getattr__(self, name: str) -> object:
            if name.startswith("_"):
                raise AttributeError(name)  # whoever asks whether it is, say, an array must not wait
            return getattr(self.result(), name)

    def __repr__(self) -> str:
        return repr(self.result())

    def __str__(self) -> str:
        return str(self.result())

    def __format__(self, spec: str) -> str:
        return format(self.result(), spec)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """Let a notebook show the result: as a picture or a table if it has one."""
        value = self.result()
        shown: dict[str, object] = {"text/plain": repr(value)}
        for kind, name in (("text/html", "_repr_html_"), ("image/png", "_repr_png_")):
            represent = getattr(value, name, None)
            if callable(represent) and (data := represent()) is not None:
                shown[kind] = data
        return shown

    def __bool__(self) -> bool:
        return bool(self.result())

    def __eq__(self, other: object) -> bool:
        return bool(self.result() == other)

    if not TYPE_CHECKING:

        def __getitem__(self, place: object) -> object:
            return self.result()[place]

        def __contains__(self, item: object) -> bool:
            return item in self.result()

        def __len__(self) -> int:
            return len(self.result())

        def __iter__(self) -> Iterator[object]:
            return iter(self.result())

    __hash__ = object.__hash__


def _forwarded(name: str) -> Callable[..., object]:
    def method(self: Deferred[object], *others: object) -> object:
        values = (other.result() if isinstance(other, Deferred) else other for other in others)
        return getattr(self.result(), name)(*values)

    return method


for _name in ("float", "int", "neg", "abs", "add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv"):
    setattr(Deferred, f"__{_name}__", _forwarded(f"__{_name}__"))
for _name in ("lt", "le", "gt", "ge", "pow", "rpow", "round", "getitem", "len", "iter"):
    setattr(Deferred, f"__{_name}__", _forwarded(f"__{_name}__"))


class Done(Deferred[T_co]):
    """A result that is there."""

    __slots__ = ("_value",)

    def __init__(self, value: T_co) -> None:
        self._value = value

    def result(self) -> T_co:
        """Return the result."""
        return self._value


class Pending(Deferred[T_co]):
    """A result that the lane is working on."""

    __slots__ = ("_job",)

    def __init__(self, lane: Lane, work: Callable[[], T_co]) -> None:
        self._job = lane.submit(work)

    def result(self) -> T_co:
        """Return the result; block until it is there."""
        return self._job.wait()

    def __await__(self) -> Generator[Any, None, T_co]:  # asyncio's protocol has Any here
        """Wait for the result without blocking the loop."""
        self._job.claimed = True  # now, not at the first step: a failure in between has an owner
        return self._job.wait_async().__await__()

    def followed_by(self, lane: Lane, work: Callable[[], T]) -> "Pending[T]":
        """Queue `work` behind this one; it fails like this one if this one fails."""
        earlier = self._job
        earlier.claimed = True  # whoever waits for the next one hears of this one
        return Pending(lane, lambda: (earlier.outcome(), work())[1])

    def __del__(self) -> None:
        job = getattr(self, "_job", None)  # absent if the lane refused the work
        if job is not None:
            job.drop()


class Polled(Deferred[None]):
    """A wait for a condition, asked for again and again, so that other calls get through in between.

    `met` is one short blocking question; `what` names the awaited state in the LinkTimeout that is raised when
    `timeout_s` is over.
    """

    __slots__ = ("_deadline", "_lane", "_met", "_timeout_s", "_waited", "_what")

    def __init__(self, lane: Lane, met: Callable[[], bool], timeout_s: float, what: str) -> None:
        self._lane, self._met, self._timeout_s, self._what = lane, met, timeout_s, what
        self._deadline = present_clock().monotonic() + timeout_s
        self._waited = False

    def result(self) -> None:
        """Block until the condition is met."""
        self._waited = True
        while not self._lane.call(self._met):
            present_clock().latch().acquire(timeout=self._pause())

    def __await__(self) -> Generator[Any, None, None]:  # asyncio's protocol has Any here
        """Wait until the condition is met without blocking the loop."""
        self._waited = True
        return self._poll().__await__()

    async def _poll(self) -> None:
        while not await self._lane.run(self._met):  # noqa: ASYNC110  instruments have no events to wait for
            await asyncio.sleep(self._pause())

    def __del__(self) -> None:
        if not self._waited:  # unlike an exchange it cannot go on alone: what follows would not know when it ends
            warnings.warn(f"nobody waited: {self._what}; write `await` before it", RuntimeWarning, stacklevel=2)

    def _pause(self) -> float:
        if present_clock().monotonic() >= self._deadline:
            raise LinkTimeout(f"{self._what} within {self._timeout_s:g} s; allow more by timeout_s")
        return 0.05


class Stepped(Deferred[None]):
    """A way that is gone in steps, so that other calls get through in between.

    `step` is one short blocking exchange that returns for how many seconds to pause before the next one, or None when
    it was the last. It goes on only while somebody waits: cancelled, it stays where it is. Thrown away without that,
    it has not moved, and the next call on the lane raises an InstrumentError that says so, with `what` in it.
    """

    __slots__ = ("_ended", "_lane", "_step", "_waited", "_what")

    def __init__(self, lane: Lane, step: Callable[[], float | None], what: str) -> None:
        if (lost := lane.unclaimed()) is not None:
            raise lost
        self._lane, self._what, self._waited, self._ended = lane, what, False, False
        before = adrift()
        self._step = partial(_in_order, lane, before, step) if before else step

    def result(self) -> None:
        """Block until the way is gone."""
        self._waited = True
        while not self._ended:
            pause_s = self._lane.call(self._step)
            self._ended = pause_s is None
            present_clock().latch().acquire(timeout=pause_s or 0.0)

    def __await__(self) -> Generator[Any, None, None]:  # asyncio's protocol has Any here
        """Go the way without blocking the loop."""
        self._waited = True
        return self._go().__await__()

    async def _go(self) -> None:
        while not self._ended:
            pause_s = await self._lane.run(self._step)
            self._ended = pause_s is None
            await asyncio.sleep(pause_s or 0.0)

    def __del__(self) -> None:
        if getattr(self, "_waited", True):  # absent if an earlier failure was raised instead
            return
        with contextlib.suppress(LinkError):  # the lane is closed: nobody can be misled any more
            self._lane.submit(
                _raise, InstrumentError(f"{self._what}: nobody waited for it; write `await` before it")
            ).drop()


def _raise(error: Exception) -> None:
    raise error


def act(lane: Lane, work: Callable[[], T]) -> Action[T]:
    """Start `work`. Raises, before anything is queued, what an earlier action on this lane failed with unnoticed."""
    if (lost := lane.unclaimed()) is not None:
        raise lost
    return start(lane, partial(_in_order, lane, adrift(), work))


def then(earlier: Action[object], lane: Lane, work: Callable[[], T]) -> Action[T]:
    """Start `work` as the next step of a chain: if `earlier` fails, so does this, and `work` is left undone."""
    if not isinstance(earlier, Pending):
        return act(lane, work)
    return earlier.followed_by(lane, work)


def start(lane: Lane, work: Callable[[], T]) -> Action[T]:
    """Do `work` in the lane: before returning if this thread runs no event loop, and behind what is queued otherwise."""
    if lane.inside or not _loop_is_running():
        return done(lane.call(work))
    return Pending(lane, work)


def done(value: T) -> Action[T]:
    """Return `value` as an action that has ended; it keeps behaving like the value."""
    if isinstance(value, Action):
        return cast(Action[T], value)
    if isinstance(value, float):
        return cast(Action[T], Number(value))
    return Done(value)


W = TypeVar("W", Polled, Stepped)


def finished(waiting: W) -> W:
    """Wait for `waiting` here if this thread runs no event loop; return it."""
    if not _loop_is_running():
        waiting.result()
    return waiting


def _in_order(lane: Lane, before: "tuple[Job[Any], ...]", work: Callable[[], T]) -> T:  # Any: jobs of any result
    """Do `work` after what was started before and dropped: without `await`, statements still follow each other.

    No lane waits for ever: each waits only for jobs that were queued earlier, and does what those ask of it. If one of
    them failed in this lane, and nobody can ask for it any more, `work` fails like that one.
    """
    for job in before:
        job.settle()
    if (lost := lane.unclaimed(only_dropped=True)) is not None:
        raise lost
    return work()


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
