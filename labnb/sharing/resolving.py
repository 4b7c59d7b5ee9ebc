"""Which driver sessions the pins of a request need, and what each is called.

A session is what a driver opens: a DC power channel group, which may span instruments (else one channel); a group of
oscilloscopes or digital pattern instruments; else one instrument, task or relay module.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from labnb.core import PinMapError
from labnb.sharing.pin_map import (
    DAQMX,
    DCPOWER,
    DIGITAL,
    SCOPE,
    SYSTEM_SITE,
    Connection,
    MappedInstrument,
    PinMap,
)
from labnb.sharing.places import Place, place

_T = TypeVar("_T", str, int)


@dataclass(frozen=True, slots=True)
class MappedSession:
    """A session of a pin map, whatever is asked: its name, its type, what it locks, and what is wired to it.

    A driver that opens single channels locks those; any other opens the whole instrument, and locks all of it.
    """

    name: str
    type_id: str
    places: frozenset[Place]
    connections: tuple[Connection, ...]


@dataclass(frozen=True, slots=True)
class Wire:
    """One pin or relay at one site, and what the session calls the channel that it is connected to."""

    connection: Connection
    channel: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """A session as one request needs it: `wires` in the request's order, sites first."""

    session: MappedSession
    wires: tuple[Wire, ...]

    @property
    def channel_list(self) -> str:
        """The channels, each once, as the driver takes them."""
        return ", ".join(dict.fromkeys(wire.channel for wire in self.wires))


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a request needs. `multiplexers` by name with their type, `groups` as they were expanded."""

    sessions: tuple[Resolved, ...]
    multiplexers: Mapping[str, str]
    groups: Mapping[str, tuple[str, ...]]


class UnknownSite(PinMapError):
    """A request is for a site that the pin map does not have."""


class Wiring:
    """A pin map with its sessions worked out."""

    def __init__(self, pin_map: PinMap) -> None:
        self.pin_map = pin_map
        self.sessions = tuple(_sessions(pin_map))

    def resolve(self, names: Sequence[str] = (), sites: Sequence[int] = (), type_id: str = "") -> Resolution:
        """Return what pins, relays and groups of `names` (none: all) need at `sites` (none: all).

        `type_id` keeps the sessions of one instrument type. Raises PinMapError for unknown names and UnknownSite.
        """
        pin_map = self.pin_map
        groups = {name: pin_map.expand(name) for name in names if self._is_group(name)}
        wanted = names or (*pin_map.pins, *pin_map.relays)
        name_ranks = _ranks(each for name in wanted for each in pin_map.expand(name))
        site_ranks = _ranks([*self.checked_sites(sites), SYSTEM_SITE])
        sessions: list[Resolved] = []
        for session in self.sessions:
            if type_id in ("", session.type_id):
                found = [each for each in session.connections if each.name in name_ranks and each.site in site_ranks]
                found.sort(key=lambda each: (site_ranks[each.site], name_ranks[each.name]))
                if found:
                    sessions.append(Resolved(session, tuple(Wire(each, _channel(each, session)) for each in found)))
        touched = (wire.connection.multiplexer for each in sessions for wire in each.wires)
        multiplexers = {name: pin_map.multiplexers[name] for name in dict.fromkeys(touched) if name}
        return Resolution(tuple(sessions), multiplexers, groups)

    def multiplexers(self, sites: Sequence[int] = ()) -> dict[str, str]:
        """Return the multiplexers that are used at `sites`, by name with their type."""
        chosen = (*self.checked_sites(sites), SYSTEM_SITE)
        used = {each.multiplexer for each in self.pin_map.connections if each.site in chosen}
        return {name: type_id for name, type_id in self.pin_map.multiplexers.items() if name in used}

    def checked_sites(self, sites: Sequence[int]) -> tuple[int, ...]:
        """Return the sites that are meant, each once. Raises UnknownSite."""
        for site in sites:
            if site not in self.pin_map.sites:
                raise UnknownSite(
                    f"site {site} is not in the pin map, whose sites are {list(self.pin_map.sites)}", str(site)
                )
        return tuple(dict.fromkeys(sites)) or self.pin_map.sites

    def _is_group(self, name: str) -> bool:
        return name in self.pin_map.pin_groups or name in self.pin_map.relay_groups


def session_places(resource_name: str, type_id: str) -> frozenset[Place]:
    """Return what a session locks that no pin map here describes, from its resource name alone."""
    if type_id == DCPOWER:
        parts = [part.strip().rpartition("/") for part in resource_name.split(",")]
        return frozenset(
            place(instrument or channel, channel if instrument else "") for instrument, _, channel in parts
        )
    if type_id in (SCOPE, DIGITAL):
        return frozenset(place(part.strip()) for part in resource_name.split(","))
    return frozenset({place(resource_name)})


def _sessions(pin_map: PinMap) -> list[MappedSession]:
    order = {each.name: index for index, each in enumerate(pin_map.instruments)}
    instruments = {each.name: each for each in pin_map.instruments}
    gathered: dict[tuple[str, ...], list[Connection]] = {}
    for each in sorted(pin_map.connections, key=lambda each: (order[each.instrument], _natural(each.channel))):
        gathered.setdefault(_key(instruments[each.instrument], each.channel), []).append(each)
    return [_session(pin_map, instruments[found[0].instrument], found) for found in gathered.values()]


def _key(instrument: MappedInstrument, channel: str) -> tuple[str, ...]:
    """Return what the channels of one session have in common."""
    if instrument.type_id == DCPOWER:
        group = instrument.channel_groups.get(channel)
        return ("channels", group) if group else ("channel", instrument.name, channel)
    if instrument.group and instrument.type_id in (SCOPE, DIGITAL):
        return ("group", instrument.type_id, instrument.group)
    return ("instrument", instrument.name)


def _session(pin_map: PinMap, first: MappedInstrument, connections: list[Connection]) -> MappedSession:
    found = tuple(connections)
    if first.type_id == DCPOWER:
        channels = dict.fromkeys((each.instrument, each.channel) for each in found)
        name = ", ".join(f"{instrument}/{channel}" for instrument, channel in channels)
        return MappedSession(name, first.type_id, frozenset(place(*each) for each in channels), found)
    members = [first.name]
    if _key(first, "")[0] == "group":
        alike = (each for each in pin_map.instruments if (each.type_id, each.group) == (first.type_id, first.group))
        members = [each.name for each in alike]
    places = {place(name) for name in members}
    if first.type_id == DAQMX:
        lines = (*(first.channels or ()), *(each.channel for each in found))
        places |= {place(device, line) for device, slash, line in (each.partition("/") for each in lines) if slash}
    return MappedSession(",".join(members), first.type_id, frozenset(places), found)


def _channel(connection: Connection, session: MappedSession) -> str:
    if session.type_id == DIGITAL:
        return connection.name if connection.site == SYSTEM_SITE else f"site{connection.site}/{connection.name}"
    if session.type_id == DCPOWER or (session.type_id == SCOPE and "," in session.name):
        return f"{connection.instrument}/{connection.channel}"
    return connection.channel


def _ranks(values: Iterable[_T]) -> dict[_T, int]:
    return {value: rank for rank, value in enumerate(dict.fromkeys(values))}


def _natural(text: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts channel 2 before channel 10."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", text)  # a number of any length: int() refuses long ones
    numbers = ((number.lstrip("0"), rest) for number, rest in parts)
    return [(1, 0, rest) if rest else (0, len(number), number) for number, rest in numbers]
