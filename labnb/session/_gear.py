"""The instruments of one session: by alias, whoever has connected them."""

from collections.abc import Collection, Mapping
from typing import Any, final

from labnb.core import PlanError
from labnb.instruments import Device, Instrument, connect, connect_async
from labnb.session._active import close_all, held, make_all_safe, unused
from labnb.session.reserving import Reserving, resource_of

RESERVED = ("ctx", "stop")
"""What functions get by these names is no instrument and no parameter."""


@final
class Gear:
    """What functions get by alias. Connected here or elsewhere, labnb's or other people's: Any."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        """`known` are those of a bench, which closes them itself."""
        self._known: dict[str, tuple[object, Any]] = {alias: (id(each), each) for alias, each in known.items()}
        self._owned: dict[str, object] = {}
        self._reserving = Reserving()

    def __contains__(self, alias: object) -> bool:
        return alias in self._known

    @property
    def by_alias(self) -> dict[str, Any]:
        """All of them."""
        return {alias: each for alias, (_, each) in self._known.items()}

    @property
    def ours(self) -> tuple[Instrument, ...]:
        """Those that labnb drives."""
        return tuple(each for each in self.by_alias.values() if isinstance(each, Instrument))

    @property
    def foreign(self) -> list[Device]:
        """Those that other people's drivers drive."""
        return [Device(alias, each) for alias, each in self.by_alias.items() if not isinstance(each, Instrument)]

    def connect(self, alias: str, key: object, options: dict[str, Any], taken: Collection[str]) -> Any:
        """Return the instrument `alias`, connected if it is not there yet. `taken` are names of other things."""
        found, known = self._find(alias, key, options, taken)
        if found:
            return known
        resource, patience, rest = _to_reserve(key, options)
        if resource:
            self._reserving.take_now([resource], patience)
        instrument = self._admit(alias, key, options, held(), connect(key, **_named(alias, key, rest)))
        self._guard(instrument, resource)
        return instrument

    async def connect_async(self, alias: str, key: object, options: dict[str, Any], taken: Collection[str]) -> Any:
        """Do the same without blocking the loop."""
        found, known = self._find(alias, key, options, taken)
        if found:
            return known
        resource, patience, rest = _to_reserve(key, options)
        if resource:
            await self._reserving.take([resource], patience)
        held_by_others = held()
        instrument = await connect_async(key, **_named(alias, key, rest))
        self._guard(self._admit(alias, key, options, held_by_others, instrument), resource)
        return instrument

    def _guard(self, instrument: Any, resource: str) -> None:
        if resource:
            self._reserving.guard(instrument, resource)

    def _find(self, alias: str, key: object, options: dict[str, Any], taken: Collection[str]) -> tuple[bool, Any]:
        if not alias.isidentifier():
            raise PlanError(f"instrument alias {alias!r} cannot be an argument name; use letters, digits and '_'")
        if alias in taken:
            raise PlanError(f"{alias!r} is a parameter of this session already; choose another alias")
        if alias in RESERVED:
            raise PlanError(f"instrument alias {alias!r}: functions get something else by this name; choose another")
        if alias not in self._known:
            return False, None
        identity, instrument = self._known[alias]
        if identity != _identity(key, options):
            raise PlanError(
                f"instrument {alias!r} is {instrument!r} already; choose another alias for {key!r}, or close the session"
            )
        return True, instrument

    def _admit(
        self, alias: str, key: object, options: dict[str, Any], held_by_others: frozenset[int], instrument: Any
    ) -> Any:
        self._known[alias] = (_identity(key, options), instrument)
        if _opens(key) and id(instrument) not in held_by_others:
            self._owned[alias] = instrument
        return instrument

    async def close(self) -> None:
        """Make all safe, close those that were connected here. What a run still uses is left to that run.

        Raises InstrumentError if one could not be made safe or closed, after all others were.
        """
        instruments = unused(self.ours)  # the run needs the others, and makes them safe
        owned = {
            alias: each for alias, each in self._owned.items() if not isinstance(each, Instrument) or unused([each])
        }
        self._owned = {}
        self._known.clear()
        failures = await make_all_safe(instruments)
        failures += await close_all(owned)
        await self._reserving.leave()
        for other in failures[1:]:
            failures[0].add_note(f"and: {other}")
        if failures:
            raise failures[0]


def _opens(key: object) -> bool:
    """Whether `key` stands for an instrument that is to be connected, as opposed to a connected one."""
    return isinstance(key, str | type)


def _to_reserve(key: object, options: dict[str, Any]) -> tuple[str, bool | float, dict[str, Any]]:
    """Return what to reserve ("": nothing), how long to queue for it, and the options that are left for `connect`."""
    rest = dict(options)
    patience = rest.pop("reserve", False)
    return (resource_of(key, **rest) if patience is not False else ""), patience, rest


def _identity(key: object, options: dict[str, Any]) -> object:
    return (key, tuple(sorted(options.items(), key=lambda item: item[0]))) if _opens(key) else id(key)


def _named(alias: str, key: object, options: dict[str, Any]) -> dict[str, Any]:
    return {"name": alias, **options} if _opens(key) else options
