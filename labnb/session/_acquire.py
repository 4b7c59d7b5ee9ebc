"""What a measurement function's result means, and how often it is asked for again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from labnb.core import InstrumentError, PlanError, SchemaError, check_name
from labnb.instruments import Channel, channel
from labnb.session._channels import recordable
from labnb.session._function import Function, Registered, settled, wants_of

Warn = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Acquire(Registered):
    """A registered measurement function; `unit` is that of a single value.

    `per` is the parameter at each of whose values it is called, before what is inside (None: at each point).
    `retries`: how often it is called again at a point where an instrument fails. Or it reads a `channel`.
    """

    unit: str = ""
    per: str | None = None
    retries: int = 0
    channel: Channel | None = None

    kind: ClassVar[str] = "acquire"

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

    def insistent(self, call: Callable[[], Any], warn: Warn) -> Callable[[], Any]:
        """Return `call`, which calls again as often as `retries` says while an instrument fails."""
        if not self.retries:
            return call
        return self._insist_async(call, warn) if self.awaiting else self._insist(call, warn)

    def _insist(self, call: Callable[[], Any], warn: Warn) -> Callable[[], Any]:
        def again() -> Any:
            for left in range(self.retries, 0, -1):
                try:
                    return call()
                except InstrumentError as error:
                    warn(self._failed(error, left))
            return call()

        return again

    def _insist_async(self, call: Callable[[], Any], warn: Warn) -> Callable[[], Any]:
        async def again() -> Any:
            for left in range(self.retries, 0, -1):
                try:
                    return await settled(call())
                except InstrumentError as error:
                    warn(self._failed(error, left))
            return await settled(call())

        return again

    def _failed(self, error: InstrumentError, left: int) -> str:
        return f"acquire {self.name!r} failed and is tried again ({left} left): {error}"


def acquire_of(function: Function, name: str | None, unit: str | None, per: str | None, retries: int) -> Acquire:
    """Return `function` as an Acquire. Raises PlanError if it cannot be called by names."""
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:  # pyright: ignore[reportUnnecessaryIsInstance]  people pass anything
        raise PlanError(f"acquire: retries must be a whole number, 0 or more, got {retries!r}")
    called, wants, awaiting = wants_of(function, "acquire", name)
    return Acquire(called, function, wants, awaiting, unit or "", per, retries)


def reading_of(thing: object, name: str | None, unit: str | None, per: str | None, retries: int) -> Acquire:
    """Return an Acquire that reads the channel `thing`. Raises PlanError if it cannot be read."""
    made = channel(thing, unit=unit)
    if not made.readable:
        raise PlanError(f"acquire: {made.name} can only be set; sweep it: session.parameter({made.name}, values)")
    called = check_name(name or made.name, "acquire")

    async def read() -> object:
        value = await made.get()
        return value if isinstance(value, dict) else recordable(value)

    return Acquire(called, read, (), True, unit or "", per, retries, made)
