"""What a pin map says, as values; one that contradicts itself cannot be made.

Names follow the file: pins and relays of a device under test, the instruments they are wired to, and the sites at which
several such devices are measured at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from labnb.core import PinMapError, unknown

SYSTEM_SITE = -1
"""The site of what belongs to no site."""

DCPOWER, DAQMX, DIGITAL, RELAYS, SCOPE = "niDCPower", "niDAQmx", "niDigitalPattern", "niRelayDriver", "niScope"
DMM, FGEN = "niDMM", "niFGen"


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
        for each in self.instruments:
            if each.name == name:
                return each
        if name in self.multiplexers:
            raise PinMapError(f"{name!r} is a multiplexer, an instrument is needed here", name)
        raise PinMapError(unknown(name, [each.name for each in self.instruments], "instrument"), name)

    def is_system(self, name: str) -> bool:
        """Tell whether a pin or relay is the system's."""
        return self.pins.get(name, False) or self.relays.get(name, False)

    def expand(self, name: str) -> tuple[str, ...]:
        """Return the pins or relays that a name stands for, each once, in order. Raises PinMapError for an unknown one."""
        if name in self.pins or name in self.relays:
            return (name,)
        members = self.pin_groups.get(name, self.relay_groups.get(name))
        if members is None:
            known = [*self.pins, *self.pin_groups, *self.relays, *self.relay_groups]
            raise PinMapError(unknown(name, known, "pin, relay or group"), name)
        return tuple(dict.fromkeys(each for member in members for each in self.expand(member)))

    def _check_groups(self, kind: str, names: Mapping[str, bool], groups: Mapping[str, tuple[str, ...]]) -> None:
        for group, members in groups.items():
            for member in members:
                if member not in names and member not in groups:
                    what = unknown(member, [*names, *groups], f"{kind} or {kind} group")
                    raise PinMapError(f"{kind} group {group!r}: {what}", member)
            if group in _reached(members, groups):
                raise PinMapError(f"{kind} group {group!r} contains itself", group)

    def _check_configurations(self) -> None:
        for name, positions in self.relay_configurations.items():
            for relay in positions:
                if relay not in self.relays and relay not in self.relay_groups:
                    what = unknown(relay, [*self.relays, *self.relay_groups], "relay or relay group")
                    raise PinMapError(f"relay configuration {name!r}: {what}", relay)

    def _check_connections(self) -> None:
        claimed: dict[tuple[str, int, str], Connection] = {}
        for each in self.connections:
            self._check_connection(each)
            type_id = self.instrument(each.instrument).type_id
            other = claimed.setdefault((each.name, each.site, type_id), each)
            if other is not each:
                raise PinMapError(
                    f"{each.name!r} at {_at(each.site)} is connected to two channels of {type_id}: {other.instrument} "
                    f"channel {other.channel} and {each.instrument} channel {each.channel}; one only can be meant",
                    each.name,
                )

    def _check_connection(self, connection: Connection) -> None:
        name, instrument = connection.name, self.instrument(connection.instrument)
        kind, names = ("relay", self.relays) if instrument.type_id == RELAYS else ("pin", self.pins)
        if name not in names:
            raise PinMapError(f"connection to {instrument.name!r}: {unknown(name, list(names), kind)}", name)
        if names[name] != (connection.site == SYSTEM_SITE):
            belongs = "belongs to no site" if names[name] else "belongs to sites"
            raise PinMapError(f"{kind} {name!r} {belongs}, but is connected at {_at(connection.site)}", name)
        if connection.site not in (SYSTEM_SITE, *self.sites):
            raise PinMapError(
                f"{kind} {name!r} is connected at site {connection.site}, which is not among the sites {list(self.sites)}",
                str(connection.site),
            )
        if connection.multiplexer and connection.multiplexer not in self.multiplexers:
            what = unknown(connection.multiplexer, list(self.multiplexers), "multiplexer")
            raise PinMapError(f"route of {kind} {name!r}: {what}", connection.multiplexer)
        _check_channel(connection, instrument)


def refuse_doubles(kind: str, names: Iterable[str]) -> None:
    """Raise PinMapError for a name that is empty or there twice."""
    seen: set[str] = set()
    for name in names:
        if not name.strip():
            raise PinMapError(f"there is a {kind} without a name", name)
        if name in seen:
            raise PinMapError(f"the name {name!r} is given twice; each {kind} needs one of its own", name)
        seen.add(name)


def _check_channel(connection: Connection, instrument: MappedInstrument) -> None:
    known = instrument.channels
    if known is None or connection.channel.casefold() in {each.casefold() for each in known}:
        return
    shown = ", ".join(known) if len(known) <= 8 else f"{known[0]} to {known[-1]}"
    raise PinMapError(
        f"{connection.name!r} is connected to channel {connection.channel!r} of {instrument.name!r}, "
        f"which has the channels {shown or 'none'}",
        connection.channel,
    )


def _reached(members: Iterable[str], groups: Mapping[str, tuple[str, ...]]) -> set[str]:
    reached: set[str] = set()
    todo = list(members)
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo.extend(groups.get(name, ()))
    return reached


def _at(site: int) -> str:
    return "no site" if site == SYSTEM_SITE else f"site {site}"


def physical_channels(text: str) -> Iterator[str]:
    """Yield the channels of a list, with its ranges.

    >>> list(physical_channels("0:2, 5"))
    ['0', '1', '2', '5']
    >>> list(physical_channels("Dev1/ai0:1"))
    ['Dev1/ai0', 'Dev1/ai1']
    """
    for part in filter(None, (each.strip() for each in text.split(","))):
        first, colon, last = part.rpartition(":")
        stem = first.rstrip("0123456789")
        begin, end = first[len(stem) :], last.removeprefix(stem)
        if colon and begin.isdecimal() and end.isdecimal():
            step = 1 if int(begin) <= int(end) else -1
            yield from (f"{stem}{number}" for number in range(int(begin), int(end) + step, step))
        else:
            yield part
