"""How a function that people register is called: which arguments it wants, by name, resolved once."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from labnb.core import PlanError, nearest

# What a user's function takes and returns is his own business: Any.
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Registered:
    """A registered function: `wants` are its parameter names."""

    name: str
    function: Function
    wants: tuple[str, ...]
    awaiting: bool

    kind: ClassVar[str] = "function"

    def bind(self, constants: Mapping[str, object], setpoints: Mapping[str, object]) -> Callable[[], Any]:
        """Return a call without arguments: `constants` are fixed now, what else it wants is read at each call."""
        fixed = {name: constants[name] for name in self.wants if name in constants}
        varying = tuple(name for name in self.wants if name not in fixed)
        function = self.function
        if not varying:
            return lambda: function(**fixed)
        return lambda: function(**fixed, **{name: setpoints[name] for name in varying})

    def check(self, known: Mapping[str, object], what: str) -> None:
        """Raise PlanError if the function wants what is not among `known`, of which `what` says what they are."""
        for want in self.wants:
            if want not in known:
                raise PlanError(
                    f"{self.kind} {self.name!r} wants {want!r}, which is {what} of this session; "
                    f"{nearest(want, sorted(known))}"
                )


def wants_of(function: Function, kind: str, name: str | None) -> tuple[str, tuple[str, ...], bool]:
    """Return what `function` is called, the arguments that it wants, and whether it is awaited.

    Raises PlanError if it cannot be called by names.
    """
    if not callable(function):
        raise PlanError(f"{kind}: expected a function, got {function!r}")
    called = name or getattr(function, "__name__", "value")
    wants = list[str]()
    for parameter in _parameters(function, kind, called):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise PlanError(
                f"{kind} {called!r}: argument {parameter.name!r} is positional only; arguments come by name"
            )
        if parameter.default is parameter.empty:
            wants.append(parameter.name)
    awaiting = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  an object that is called, not whether it can be
    )
    return called, tuple(wants), awaiting


def check_named(new: Registered, old: Registered | None) -> None:
    """Raise PlanError if `new` has no name of its own and would take the place of another such function.

    A function of the same name replaces the one before, since cells are run again; `_` and lambdas share theirs.
    """
    if old is None or new.name not in ("_", "<lambda>") or _place(new.function) == _place(old.function):
        return
    raise PlanError(
        f"there is a {new.kind} called {new.name!r} already, which this one would replace; give each function a name of "
        "its own"
    )


def _place(function: Function) -> tuple[object, object]:
    code: object = getattr(function, "__code__", None)
    return getattr(code, "co_filename", None), getattr(code, "co_firstlineno", None)


def _parameters(function: Function, kind: str, called: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError as error:
        raise PlanError(f"{kind} {called!r} does not tell its arguments; wrap it in a function of your own") from error


async def settled(value: object) -> object:
    """Return `value`, awaited as often as it asks for."""
    while inspect.isawaitable(value) and (result := await cast(Awaitable[object], value)) is not value:
        value = result  # a reading gives itself
    return value


def source_of(function: Function) -> str:
    """Return the text of `function`, or nothing if there is none."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return ""
