"""How a measurement function is called: which arguments it wants, and what its result means."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, cast

from labnb.core import PlanError, SchemaError

# What a user's function takes and returns is his own business: Any.
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Acquire:
    """A registered function: `wants` are its parameter names, resolved once; `unit` is that of a single value."""

    name: str
    function: Function
    wants: tuple[str, ...]
    awaiting: bool
    unit: str = ""

    def bind(self, constants: Mapping[str, object], setpoints: dict[str, object]) -> Callable[[], Any]:
        """Return a call without arguments: instruments are constants, setpoints are read at each call."""
        fixed = {name: constants[name] for name in self.wants if name in constants}
        if "ctx" in self.wants:
            fixed["ctx"] = MappingProxyType(setpoints)
        varying = tuple(name for name in self.wants if name not in fixed)
        function = self.function
        if not varying:
            return lambda: function(**fixed)
        return lambda: function(**fixed, **{name: setpoints[name] for name in varying})

    def results(self, value: object) -> Mapping[str, object]:
        """Return what the function measured, by variable name."""
        if isinstance(value, Mapping):
            return cast(Mapping[str, object], value)
        if value is None:
            raise SchemaError(f"acquire {self.name!r} returned nothing; return a mapping such as {{'voltage': v}}")
        data_vars: object = getattr(value, "data_vars", None)
        if isinstance(data_vars, Mapping):  # an xarray.Dataset
            return {str(k): v for k, v in cast(Mapping[object, object], data_vars).items()}
        return {self.name: value}


def resolve(function: Function, name: str | None, unit: str | None) -> Acquire:
    """Return `function` as an Acquire. Raises PlanError if it cannot be called by names."""
    if not callable(function):
        raise PlanError(f"acquire: expected a function, got {function!r}")
    called = name or getattr(function, "__name__", "value")
    wants = list[str]()
    for parameter in _parameters(function, called):
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise PlanError(
                f"acquire {called!r}: argument {parameter.name!r} is positional only; arguments come by name"
            )
        if parameter.default is parameter.empty:
            wants.append(parameter.name)
    return Acquire(called, function, tuple(wants), inspect.iscoroutinefunction(function), unit or "")


def _parameters(function: Function, called: str) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except ValueError as error:
        raise PlanError(f"acquire {called!r} does not tell its arguments; wrap it in a function of your own") from error


def check(acquire: Acquire, known: Mapping[str, object]) -> None:
    """Raise PlanError if the function wants what the session does not have."""
    for want in acquire.wants:
        if want != "ctx" and want not in known:
            near = get_close_matches(want, [*known, "ctx"], 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise PlanError(
                f"acquire {acquire.name!r} wants {want!r}, which is neither an instrument nor a parameter of this "
                f"session (known: {', '.join(sorted([*known, 'ctx']))}){hint}"
            )


async def settled(value: object) -> object:
    """Return `value`, awaited as often as it asks for."""
    while inspect.isawaitable(value):
        value = await cast(Awaitable[object], value)
    return value
