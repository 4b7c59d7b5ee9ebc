"""What a pin map says, as values; one that contradicts itself cannot be made.

Names follow the file: pins and relays of a device under test, the instruments they are wired to, and the sites at which
several such devices are measured at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from labnb.core import PinMapError, unknown

SYSTEM_SITE = -1
"""The site of what belongs to no site."""

DCPOWER, DAQMX, DIGITAL, RELAYS, SCOPE = "niDCPower", "niDAQmx", "niDigitalPattern", "niRelayDriver", "niScope"
DMM, FGEN = "niDMM", "niFGen"

MOST_CHANNELS = 100_000
"""How many channels an instrument may have; a file of a few bytes could claim any number."""


@dataclass(frozen=True, slots=True)
class MappedInstrument:
    """One instrument, task or module. `channels` are all that it has (None: not said).

    `channel_groups` says which group a channel belongs to; `group` is that of the whole instrument.
    """

    name: str
    type_id: str
    channels: tuple[str, ...] | None = None
    channel_groups: Mapping[str, str] = field(default_factory=dict[str, str])
    group: str = ""


@dataclass(frozen=True, slots=True)
class Connection:
    """One pin (or relay) of one site at one channel, by way of a multiplexer's route or directly."""

    name: str
    site: int
    instrument: str
    channel: str
    multiplexer: str = ""
    route: str = ""


@dataclass(frozen=True, slots=True)
class PinMap:
    """A whole pin map. `pins` and `relays` say of each name whether it is the system's (else it is there at each site).

    Raises PinMapError, with the name at fault, for names that are there twice, references that lead nowhere or in a
    circle, channels that an instrument does not have, and a pin that two channels of one instrument type claim.
    """

    instruments: tuple[MappedInstrument, ...] = ()
    multiplexers: Mapping[str, str] = field(default_factory=dict[str, str])
    pins: Mapping[str, bool] = field(default_factory=dict[str, bool])
    pin_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    relays: Mapping[str, bool] = field(default_factory=dict[str, bool])
    relay_groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    relay_configurations: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    sites: tuple[int, ...] = ()
    connections: tuple[Connection, ...] = ()

    def __post_init__(self) -> None:
        refuse_doubles("instrument", [*(each.name for each in self.instruments), *self.multiplexers])
        refuse_doubles("pin, relay or group of them", [*self.pins, *self.pin_groups, *self.relays, *self.relay_groups])
        self._check_groups("pin", self.pins, self.pin_groups)
        self._check_groups("relay", self.relays, self.relay_groups)
        self._check_configurations()
        self._check_connections()

    def instrument(self, name: str) -> MappedInstrument:
        """Return an instrument. Raises PinMapError for one that is not in the map."""
        return self._found({each.name: each for each in self.instruments}, name)

    def _found(self, instruments: Mapping[str, MappedInstrument], name: str) -> MappedInstrument:
        if name in instruments:
            return instruments[name]
        if name in self.multiplexers:
            raise PinMapError(f"{name!r} is a multiplexer, an instrument is needed here", name)
        raise PinMapError(unknown(name, [each.name for each in self.instruments], "instrument"), name)

    def is_system(self, name: str) -> bool:
        """Tell whether a pin or relay is the system's."""
        return self.pins.get(name, False) or self.relays.get(name, False)

    def expand(self, name: str) -> tuple[str, ...]:
        """Return the pins or relays that a name stands for, each once, in order. Raises PinMapError for an unknown one."""
        found: list[str] = []
        seen: set[str] = set()  # groups of groups may name one thing more often than there are atoms
        todo = [name]
        while todo:
            each = todo.pop()
            if each in seen:
                continue
            seen.add(each)
            if each in self.pins or each in self.relays:
                found.append(each)
            else:
                todo.extend(reversed(self._members(each)))
        return tuple(found)

    def _members(self, name: str) -> tuple[str, ...]:
        members = self.pin_groups.get(name, self.relay_groups.get(name))
        if members is None:
            known = [*self.pins, *self.pin_groups, *self.relays, *self.relay_groups]
            raise PinMapError(unknown(name, known, "pin, relay or group"), name)
        return members

    def _check_groups(self, kind: str, names: Mapping[str, bool], groups: Mapping[str, tuple[str, ...]]) -> None:
        for group, members in groups.items():
            for member in members:
                if member not in names and member not in groups:
                    what = unknown(member, [*names, *groups], f"{kind} or {kind} group")
                    raise PinMapError(f"{kind} group {group!r}: {what}", member)
        try:
            TopologicalSorter(groups).prepare()
        except CycleError as error:
            circle = set(error.args[1])
            group = next(each for each in groups if each in circle)
            raise PinMapError(f"{kind} group {group!r} contains itself", group) from error

    def _check_configurations(self) -> None:
        for name, positions in self.relay_configurations.items():
            for relay in positions:
                if relay not in self.relays and relay not in self.relay_groups:
                    what = unknown(relay, [*self.relays, *self.relay_groups], "relay or relay group")
                    raise PinMapError(f"relay configuration {name!r}: {what}", relay)

    def _check_connections(self) -> None:
        instruments = {each.name: each for each in self.instruments}
        channels = {each.name: frozenset(map(str.casefold, each.channels or ())) for each in self.instruments}
        sites = {SYSTEM_SITE, *self.sites}
        claimed: dict[tuple[str, int, str], Connection] = {}
        for each in self.connections:
            instrument = self._found(instruments, each.instrument)
            self._check_connection(each, instrument, sites)
            if instrument.channels is not None and each.channel.casefold() not in channels[instrument.name]:
                raise _no_channel(each, instrument.name, instrument.channels)
            type_id = instrument.type_id
            other = claimed.setdefault((each.name, each.site, type_id), each)
            if other is not each:
                raise PinMapError(
                    f"{each.name!r} at {_at(each.site)} is connected to two channels of {type_id}: {other.instrument} "
                    f"channel {other.channel} and {each.instrument} channel {each.channel}; one only can be meant",
                    each.name,
                )

    def _check_connection(self, connection: Connection, instrument: MappedInstrument, sites: set[int]) -> None:
        name = connection.name
        kind, names = ("relay", self.relays) if instrument.type_id == RELAYS else ("pin", self.pins)
        if name not in names:
            raise PinMapError(f"connection to {instrument.name!r}: {unknown(name, list(names), kind)}", name)
        if names[name] != (connection.site == SYSTEM_SITE):
            belongs = "belongs to no site" if names[name] else "belongs to sites"
            raise PinMapError(f"{kind} {name!r} {belongs}, but is connected at {_at(connection.site)}", name)
        if connection.site not in sites:
            raise PinMapError(
                f"{kind} {name!r} is connected at site {connection.site}, which is not among the sites {list(self.sites)}",
                str(connection.site),
            )
        if connection.multiplexer and connection.multiplexer not in self.multiplexers:
            what = unknown(connection.multiplexer, list(self.multiplexers), "multiplexer")
            raise PinMapError(f"route of {kind} {name!r}: {what}", connection.multiplexer)


def refuse_doubles(kind: str, names: Iterable[str]) -> None:
    """Raise PinMapError for a name that is empty or there twice."""
    seen: set[str] = set()
    for name in names:
        if not name.strip():
            raise PinMapError(f"there is a {kind} without a name", name)
        if name in seen:
            raise PinMapError(f"the name {name!r} is given twice; each {kind} needs one of its own", name)
        seen.add(name)


def _no_channel(connection: Connection, instrument: str, known: tuple[str, ...]) -> PinMapError:
    shown = ", ".join(known) if len(known) <= 8 else f"{known[0]} to {known[-1]}"
    return PinMapError(
        f"{connection.name!r} is connected to channel {connection.channel!r} of {instrument!r}, "
        f"which has the channels {shown or 'none'}",
        connection.channel,
    )


def _at(site: int) -> str:
    return "no site" if site == SYSTEM_SITE else f"site {site}"


def physical_channels(text: str) -> Iterator[str]:
    """Yield the channels of a list, with its ranges. Raises PinMapError for more than MOST_CHANNELS.

    >>> list(physical_channels("0:2, 5"))
    ['0', '1', '2', '5']
    >>> list(physical_channels("Dev1/ai0:1"))
    ['Dev1/ai0', 'Dev1/ai1']
    """
    left = MOST_CHANNELS
    for part in filter(None, (each.strip() for each in text.split(","))):
        first, colon, last = part.rpartition(":")
        stem = first.rstrip("0123456789")
        begin, end = first[len(stem) :], last.removeprefix(stem)
        if colon and begin.isdecimal() and end.isdecimal():
            numbers = _range(begin, end, part)
            left -= len(numbers)
            yield from (f"{stem}{number}" for number in numbers if left >= 0)
        else:
            left -= 1
            yield part
        if left < 0:
            raise _too_many(text)


def _range(begin: str, end: str, part: str) -> range:
    if max(len(begin), len(end)) < 16:
        first, last = int(begin), int(end)
        if abs(first - last) < MOST_CHANNELS:
            return range(first, last + 1) if first <= last else range(first, last - 1, -1)
    raise _too_many(part)


def _too_many(text: str) -> PinMapError:
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return PinMapError(f"the channels {shown!r} are more than the {MOST_CHANNELS} that an instrument may have", shown)
