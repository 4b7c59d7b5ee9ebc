"""What a person hands to `monitor`, as tasks with names: what is called again and again, once, or only goes along."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any, cast, final

from labnb.core import PlanError, describe_value
from labnb.session._function import settled
from labnb.session._task import Task

# What users' functions take and return is their own business: Any.


@final
class Accompaniment:
    """A task that goes along as long as others run (a plot, mail), and by itself until somebody stops.

    Give it to `monitor`; `await` does it right here. `load` imports what it needs: in a thread, before tasks begin,
    because an import, even in a thread, holds up a loop for tens of milliseconds.
    """

    def __init__(
        self, name: str, go: Callable[[], Coroutine[Any, Any, None]], load: Callable[[], object] | None = None
    ) -> None:
        self.name = name
        self.go = go
        self.load = load

    def __await__(self) -> Generator[Any, None, None]:
        return self.go().__await__()

    def __repr__(self) -> str:
        return f"<{self.name}: give it to monitor()>"


@dataclass(frozen=True, slots=True)
class Work:
    """One task of a monitor. `beside`: whether it only goes along."""

    task: Task
    beside: bool = False
    load: Callable[[], object] | None = None


def works_of(tasks: Sequence[object], session: object, stopping: Callable[[], bool]) -> list[Work]:
    """Return what `tasks` mean. Raises PlanError for what is no task; the coroutines among them are closed then."""
    if not tasks:
        raise PlanError("monitor: there is no task to run; give it at least one async function")
    works = list[Work]()
    try:
        for number, task in enumerate(tasks, 1):
            works.append(_work_of(task, number, session, stopping))
    except BaseException:
        for task in tasks:
            if inspect.iscoroutine(task):
                task.close()
        raise
    return works


def _work_of(task: object, number: int, session: object, stopping: Callable[[], bool]) -> Work:
    if isinstance(task, Accompaniment):
        return Work(Task(task.name, task.go, (), True), beside=True, load=task.load)
    if inspect.isawaitable(task):
        awaited = task

        async def once() -> None:
            await settled(awaited)

        return Work(Task(_name_of(task, number), once, (), True))
    call = caller_of(task, f"monitor: task {number}", (session,))

    async def again() -> None:
        while not stopping():
            await call()
            await asyncio.sleep(0)  # a task that never waits must not hold up the others

    return Work(Task(_name_of(task, number), again, (), True))


def caller_of(function: object, what: str, optional: tuple[object, ...], *fixed: str) -> Callable[..., Awaitable[Any]]:
    """Return `function`, an async one, called with `optional` before what it is called with, if it takes that many.

    `fixed` names what it always gets. Raises PlanError for what is no async function, or takes something else.
    """
    if not (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))):  # noqa: B004  an object that is called
        raise PlanError(
            f"{what} is {describe_value(function)}; expected an async function, or what calling one returns{_advice(function)}"
        )
    called = cast("Callable[..., Awaitable[Any]]", function)
    least, most = _places(called)
    count = len(fixed)
    if least <= count + len(optional) <= most and (most > count):
        return lambda *args: called(*optional, *args)
    if least <= count <= most:
        return called
    wanted = ", ".join(("session", *fixed))
    raise PlanError(
        f"{what}, {getattr(function, '__name__', function)!r}, takes {least} arguments; expected ({wanted}) or ({', '.join(fixed)})"
    )


def _advice(function: object) -> str:
    name = getattr(function, "__name__", "")
    if name in ("plot", "send_email", "sweep"):
        return f"; call it: `{name}(...)`"
    if callable(function):
        return "; make it `async def`, and call a blocking driver by `await asyncio.to_thread(...)`"
    return ""


def _places(function: Callable[..., object]) -> tuple[int, int]:
    """Return how many positional arguments it needs, and how many it takes."""
    least, most = 0, 0
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            most = 99
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            most += 1
            least += parameter.default is parameter.empty
    return least, most


def _name_of(task: object, number: int) -> str:
    name: object = getattr(task, "__name__", None) or getattr(getattr(task, "func", None), "__name__", None)
    return str(name) if name else f"task {number}"
