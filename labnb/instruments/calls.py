"""How a function of anybody's driver becomes something that acts at once and may be awaited.

Three kinds: one that blocks is called in the lane of its connection, one that returns a coroutine on its event loop,
and one of labnb's own returns an action already.
"""

import inspect
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Protocol, TypeVar, cast

from labnb.core import LifecycleError
from labnb.instruments.action import Action, Deferred, Done, Number, act, done, start
from labnb.instruments.connections import lane_of
from labnb.instruments.lane import Lane
from labnb.instruments.turns import Turns

T = TypeVar("T")

# What a foreign driver takes and returns is its own business: Any.
Function = Callable[..., Any]


class Read(Protocol):
    """How a channel is read."""

    def begin(self) -> Action[Any]:
        """Begin. Raises what went wrong before on this connection and nobody has heard of."""
        ...


class Write(Protocol):
    """How a channel is set."""

    def begin(self, value: Any, /) -> Action[Any]:
        """Begin. Raises what went wrong before on this connection and nobody has heard of."""
        ...

    def force(self, value: Any, /) -> Action[Any]:
        """Begin, whatever happened before: to make safe."""
        ...

    def block(self, timeout_s: float, value: Any, /) -> None:
        """Do it and block for it, whatever this thread runs. Raises LinkTimeout after `timeout_s`."""
        ...


class InLane:
    """A function that blocks, or one that may: it is called in the lane of the connection `owner`."""

    def __init__(self, function: Function, owner: object, turns: Turns) -> None:
        self._function, self._owner, self._turns = function, owner, turns
        self._lane: Lane | None = None

    def begin(self, *values: Any) -> Action[Any]:
        """Queue the call. Raises what an earlier one in the lane has failed with unnoticed."""
        return act(self._own_lane(), partial(self._do, *values))

    def force(self, *values: Any) -> Action[Any]:
        """Queue the call, whatever happened before."""
        return start(self._own_lane(), partial(self._do, *values))

    def block(self, timeout_s: float, *values: Any) -> None:
        """Do it behind what is queued. Raises LinkTimeout if the lane does not get to it."""
        self._own_lane().submit(self._do, *values).wait(timeout_s)

    def _own_lane(self) -> Lane:
        if self._lane is None or self._lane.closed:  # not before it is used: a lane is a thread
            self._lane = lane_of(self._owner)
        return self._lane

    def _do(self, *values: Any) -> Any:
        value = self._function(*values)
        if isinstance(value, Action):
            return cast(Action[Any], value).result()
        if inspect.isawaitable(value):  # it was not known to be a coroutine function, such as a lambda around one
            return self._turns.force(lambda: value).result()
        return value


class OnLoop:
    """A coroutine function, or one whose result is awaited."""

    def __init__(self, function: Function, turns: Turns) -> None:
        self._function, self._turns = function, turns

    def begin(self, *values: Any) -> Action[Any]:
        """Begin it behind what the channel is told before. Raises what that failed with unnoticed."""
        return self._turns.begin(partial(self._function, *values))

    def force(self, *values: Any) -> Action[Any]:
        """Begin it behind what the channel is told before, whatever came of that."""
        return self._turns.force(partial(self._function, *values))

    def block(self, timeout_s: float, *values: Any) -> None:
        """Do it on an event loop of its own. Raises LinkTimeout."""
        self._turns.block(partial(self._function, *values), timeout_s)


class Direct:
    """A function that returns an action: labnb's own."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def begin(self, *values: Any) -> Action[Any]:
        """Call it."""
        return done(self._function(*values))

    force = begin

    def block(self, timeout_s: float, *values: Any) -> None:
        """Call it and block for it; its own link decides how long it may take."""
        self.begin(*values).result()


class Followed(Deferred[T]):
    """An action whose result is worked on as soon as somebody takes it; what it failed with gets a note."""

    __slots__ = ("_action", "_known", "_note", "_work")

    def __init__(self, action: Action[Any], work: Callable[[Any], T], note: Callable[[], str]) -> None:
        self._action, self._work, self._note = action, work, note

    def result(self) -> T:
        """Return the result; block until it is there."""
        try:
            return self._work(self._action.result())
        except Exception as error:
            add_note(error, self._note())
            raise

    def __await__(self) -> Generator[Any, None, T]:  # asyncio's protocol has Any here
        """Wait for the result without blocking the loop."""
        try:
            return self._work((yield from self._action.__await__()))
        except Exception as error:
            add_note(error, self._note())
            raise

    def __repr__(self) -> str:
        try:
            return repr(self.result())
        except LifecycleError:
            return "<under way: await it>"


def followed(
    begin: Callable[..., Action[Any]], values: tuple[Any, ...], work: Callable[[Any], T], note: Callable[[], str]
) -> Action[T]:
    """Begin, and return the action with `work` done on its result: at once if that is there."""
    try:
        action = begin(*values)
        if isinstance(action, Number | Done) or not isinstance(action, Deferred):
            return done(work(action.result()))
    except Exception as error:
        add_note(error, note())
        raise
    return Followed(action, work, note)


def add_note(error: BaseException, note: str) -> None:
    """Add `note` to `error`, once."""
    if note not in getattr(error, "__notes__", ()):
        error.add_note(note)


def has_action(function: Function) -> bool:
    """Whether a function says that it returns an action."""
    try:
        returned: object = inspect.signature(function).return_annotation
    except (TypeError, ValueError):
        return False
    returned = getattr(returned, "__origin__", returned)
    return isinstance(returned, type) and issubclass(returned, Action)


def is_awaited(function: Function) -> bool:
    """Whether calling `function` gives something to await."""
    while isinstance(function, partial):
        function = cast("partial[Any]", function).func
    if inspect.iscoroutinefunction(function):
        return True
    of_class: object = getattr(type(function), "__call__", None)  # noqa: B004  an object may be called, and be awaited
    return inspect.iscoroutinefunction(of_class)


def call_of(function: Function, owner: object, turns: Turns) -> InLane | OnLoop | Direct:
    """Return how `function` is called."""
    if is_awaited(function):
        return OnLoop(function, turns)
    return Direct(function) if has_action(function) else InLane(function, owner, turns)
