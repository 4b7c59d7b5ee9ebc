"""Meta instruments: several channels, of whatever drivers, as one. They act at the same time.

```
gates = Meta("gates", both=[left.volt, right.volt], pair={"left": left.volt, "right": scaled(right.volt, 0.5)})
await gates.both.set(0.3)            two instruments of 10 s each take 10 s
await gates.pair.get()               {"left": 0.3, "right": 0.6}
```
Each of them is a channel: it can be swept, read, given limits and a safe value, and be a member of another one. Members
on one connection take turns. All of them finish, also if one fails.
"""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from labnb.core import InstrumentError, LimitError, PlanError
from labnb.instruments.action import Action, Deferred, done
from labnb.instruments.adapters import Source
from labnb.instruments.calls import Write, add_note, followed
from labnb.instruments.channel import Channel, channel
from labnb.instruments.instrument import Instrument
from labnb.instruments.turns import running_loop

T = TypeVar("T")

# What channels hold is their drivers' business: Any.
Collect = Callable[[tuple[Any, ...]], Any]


class MembersFailed(ExceptionGroup[Exception], InstrumentError):
    """Some members of a meta instrument failed; each error has a note that names its member. The others have finished."""

    def derive(self, excs: "Sequence[Exception]", /) -> "MembersFailed":  # pyright: ignore[reportIncompatibleMethodOverride]  typeshed has it generic
        """Return a group of the same kind with `excs`."""
        return MembersFailed(self.message, excs)


class Together(Deferred[T], Generic[T]):
    """Several actions under way, as one: it has ended when all of them have."""

    __slots__ = ("_actions", "_collect", "_name", "_notes")

    def __init__(
        self, name: str, begin: "Iterable[tuple[Callable[[], Action[Any]], str]]", collect: Callable[..., T]
    ) -> None:
        self._name, self._collect = name, collect
        begun = [(_begun(call), note) for call, note in begin]  # all of them, before anybody waits for one
        self._actions = [action for action, _ in begun]
        self._notes = [note for _, note in begun]

    def result(self) -> T:
        """Block until all have ended. Raises MembersFailed."""
        return self._end([_outcome(action) for action in self._actions])

    def __await__(self) -> Generator[Any, None, T]:  # asyncio's protocol has Any here
        """Wait for all of them. Raises MembersFailed."""
        return self._wait().__await__()

    async def _wait(self) -> T:
        return self._end([await _outcome_async(action) for action in self._actions])

    def _end(self, outcomes: "list[tuple[Any, Exception | None]]") -> T:
        failed = [(error, note) for (_, error), note in zip(outcomes, self._notes, strict=True) if error is not None]
        for error, note in failed:
            add_note(error, note)
        if failed:
            raise MembersFailed(
                f"{self._name}: {len(failed)} of {len(outcomes)} members failed", tuple(error for error, _ in failed)
            )
        return self._collect(tuple(value for value, _ in outcomes))


def _begun(call: Callable[[], Action[Any]]) -> "Action[Any] | Exception":
    try:
        return call()
    except Exception as error:  # noqa: BLE001  the other members shall begin all the same; it is raised with theirs
        return error


def _outcome(action: "Action[Any] | Exception") -> "tuple[Any, Exception | None]":
    if isinstance(action, Exception):
        return None, action
    try:
        return action.result(), None
    except Exception as error:  # noqa: BLE001  raised with those of the other members
        return None, error


async def _outcome_async(action: "Action[Any] | Exception") -> "tuple[Any, Exception | None]":
    if isinstance(action, Exception):
        return None, action
    try:
        return await action, None
    except Exception as error:  # noqa: BLE001  raised with those of the other members
        return None, error


def _together(
    name: str, begin: "Iterable[tuple[Callable[[], Action[Any]], str]]", collect: Callable[..., T]
) -> Action[T]:
    """Begin all; where no event loop runs, on one of their own, for there each call would last until it is done."""
    if running_loop() is not None:
        return Together(name, begin, collect)
    return done(asyncio.run(_until_all(name, begin, collect)))


async def _until_all(
    name: str, begin: "Iterable[tuple[Callable[[], Action[Any]], str]]", collect: Callable[..., T]
) -> T:
    return await Together(name, begin, collect)


class _ReadAll:
    """How a group is read."""

    def __init__(self, name: str, members: tuple[Channel, ...], collect: Collect) -> None:
        self._name, self._members, self._collect = name, members, collect

    def begin(self) -> Action[Any]:
        begin = [(member.get, f"{member.name}, as a part of {self._name}") for member in self._members]
        return _together(self._name, begin, self._collect)


class _SetAll:
    """How a group is set."""

    def __init__(self, name: str, members: tuple[Channel, ...]) -> None:
        self._name, self._members = name, members

    def begin(self, value: Any, /) -> Action[None]:
        return self._all(value, lambda member: member.set)

    def force(self, value: Any, /) -> Action[None]:
        return self._all(value, lambda member: cast(Write, member.source.write).force)

    def block(self, timeout_s: float, value: Any, /) -> None:
        failed = list[Exception]()
        for member in self._members:
            try:
                cast(Write, member.source.write).block(timeout_s, value)
            except Exception as error:  # noqa: BLE001  the others come first; raised below
                failed.append(error)
        if failed:
            raise MembersFailed(f"{self._name}: {len(failed)} of {len(self._members)} members failed", failed)

    def check(self, value: Any) -> None:
        """Raise LimitError if one of the members may not be set to `value`."""
        for member in self._members:
            try:
                member.check(value)
            except LimitError as error:
                raise LimitError(f"as a part of {self._name}: {error}") from error

    def _all(self, value: Any, way: Callable[[Channel], Callable[[Any], Action[Any]]]) -> Action[None]:
        begin = [
            (partial(way(member), value), f"{member.name} = {value!r}, as a part of {self._name}")
            for member in self._members
        ]
        return _together(self._name, begin, _nothing)


def _nothing(_: tuple[Any, ...]) -> None:
    return None


def group(
    members: "Iterable[object] | Mapping[str, object]", /, *, name: str = "group", unit: str | None = None
) -> Channel:
    """Return one channel that sets all `members`, anything that `channel` takes, at the same time.

    It is set to one value; `scaled` and `through` make a member take something else. Reading it gives a tuple, or for
    a mapping a mapping. The limits of all members are checked before any is set. Raises MembersFailed, once all have
    ended, if one fails; PlanError for no members, or two of different units.
    """
    if isinstance(members, Mapping):
        named = cast(Mapping[str, object], members)
        found = tuple(channel(member, name=key) for key, member in named.items())
        collect: Collect = lambda values: dict(zip(named, values, strict=True))  # noqa: E731
    else:
        found, collect = tuple(channel(member) for member in members), tuple
    if not found:
        raise PlanError(f"{name} has no members")
    setter = _SetAll(name, found)
    source = Source(
        ("group", *(member.source.key for member in found), object()),
        name,
        _ReadAll(name, found, collect) if all(member.readable for member in found) else None,
        setter if all(member.writable for member in found) else None,
        _common_unit(name, found),
        guessed=True,
        validate=setter.check,
        devices=tuple(dict.fromkeys(device for member in found for device in member.devices)),
        below=found,
    )
    return Channel(source, name, source.unit if unit is None else unit)


def _common_unit(name: str, members: tuple[Channel, ...]) -> str:
    units = {member.unit: member.name for member in members if member.unit}
    if len(units) > 1:
        told = ", ".join(f"{member} in {unit}" for unit, member in units.items())
        raise PlanError(f"{name}: one value cannot be {told}; give the member another unit by scaled(...)")
    return next(iter(units), "")


def scaled(
    x: object, factor: float, offset: float = 0.0, *, name: str | None = None, unit: str | None = None
) -> Channel:
    """Return a channel that sets `x` to `factor * value + offset`, and reads back accordingly.

    A divider of 10 at a gate: `scaled(smu.volt, 10, name="gate")`. `unit` is that of the value; left out, it is `x`'s.
    """
    if factor == 0:
        raise PlanError("scaled: with a factor of 0 nothing could be read back")
    shown = f"scaled {channel(x).name}" if name is None else name  # not the name of what has another value
    return through(x, lambda v: factor * v + offset, lambda v: (v - offset) / factor, name=shown, unit=unit)


def through(
    x: object,
    function: Callable[[Any], Any],
    inverse: Callable[[Any], Any] | None = None,
    *,
    name: str | None = None,
    unit: str | None = None,
) -> Channel:
    """Return a channel that sets `x` to `function(value)`; it can be read if there is the `inverse`."""
    below = channel(x)
    source = Source(
        ("through", below.source.key, object()),
        name or f"through {below.name}",
        None if inverse is None or not below.readable else _ReadThrough(below, inverse),
        _SetThrough(below, function) if below.writable else None,
        below.unit,
        guessed=True,
        owner=below.owner,
        validate=lambda value: below.check(function(value)),
        devices=below.devices,
        below=(below,),
    )
    return Channel(source, source.name, below.unit if unit is None else unit)


class _ReadThrough:
    def __init__(self, below: Channel, inverse: Callable[[Any], Any]) -> None:
        self._below, self._inverse = below, inverse

    def begin(self) -> Action[Any]:
        return followed(self._below.get, (), self._inverse, lambda: f"by way of {self._below.name}")


class _SetThrough:
    def __init__(self, below: Channel, function: Callable[[Any], Any]) -> None:
        self._below, self._function = below, function

    def begin(self, value: Any, /) -> Action[Any]:
        return self._below.set(self._function(value))

    def force(self, value: Any, /) -> Action[Any]:
        return cast(Write, self._below.source.write).force(self._function(value))

    def block(self, timeout_s: float, value: Any, /) -> None:
        cast(Write, self._below.source.write).block(timeout_s, self._function(value))


class Meta(Instrument):
    """An instrument made of other instruments' channels: each of its names is a `group`.

    ```python
    gates = Meta("gates", x=[a.x, b.x], all=[a.x, b.x, (dac, "voltage")])
    await gates.x.set(25)
    ```
    or as a class, with as many members as there are:

    ```python
    class Gates(Meta):
        def __init__(self, name, instruments):
            super().__init__(name)
            for k, instrument in enumerate(instruments):
                self.add(f"c{k}", [instrument.x])
            self.add("setBoth", [instrument.x for instrument in instruments])
    ```
    A single member is read and set as it is; several are read as a tuple, or, given as a mapping, as one. As an
    instrument of its own, without a connection, it has `add_parameter` too.
    """

    def __init__(self, name: str, /, **groups: "Iterable[object] | Mapping[str, object]") -> None:
        self._groups: dict[str, Channel] = {}
        super().__init__(name=name)
        for key, members in groups.items():
            self.add(key, members)

    def add(
        self, name: str, members: "Iterable[object] | Mapping[str, object]", /, *, unit: str | None = None
    ) -> Channel:
        """Add a group, and return it. Raises PlanError if the name is taken or there are no members."""
        if hasattr(type(self), name) or name in self.__dict__ or name in self._groups:
            raise PlanError(f"{self.name}: the name {name!r} is taken; choose another one")
        called = f"{self.name}.{name}"
        listed = members if isinstance(members, Mapping) else tuple(members)
        if isinstance(listed, tuple) and len(listed) == 1:
            made = channel(listed[0], name=called, unit=unit)
        else:
            made = group(listed, name=called, unit=unit)
        self._groups[name] = made
        return made

    @property
    def groups(self) -> Mapping[str, Channel]:
        """Its channels by name."""
        return MappingProxyType(self._groups)

    def snapshot(self, update: bool = False) -> Any:  # Any: as the instrument's, by overloads
        """Return what is known of it and its channels; the members are not asked."""
        if update:
            return super().snapshot(update=True)
        told = super().snapshot()
        told["channels"] = {name: made.snapshot() for name, made in self._groups.items()}
        return told

    if not TYPE_CHECKING:  # a checker takes added names for quantities, as of every instrument

        def __getattr__(self, name: str) -> object:
            found = self.__dict__.get("_groups", {}).get(name)
            return super().__getattr__(name) if found is None else found

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._groups])

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join((*self._groups, *self.declared())) or 'nothing yet'}>"
