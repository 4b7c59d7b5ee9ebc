"""Reads a pin map file: XML of TestStand's semiconductor module, schema versions 1.0 to 1.6.

Whoever uploads it need not be trusted: document types and entities are refused. Every mistake names what is at fault.
"""

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from labnb.core import PinMapError, unknown
from labnb.sharing.needs import need
from labnb.sharing.pin_map import (
    DAQMX,
    DCPOWER,
    DIGITAL,
    DMM,
    FGEN,
    MOST_CHANNELS,
    RELAYS,
    SCOPE,
    SYSTEM_SITE,
    Connection,
    MappedInstrument,
    PinMap,
    physical_channels,
    refuse_doubles,
)

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAMESPACE = "http://www.ni.com/TestStand/SemiconductorModule/PinMap.xsd"
_VERSIONS = tuple(f"1.{minor}" for minor in range(7))
_MOST_CHANNELS_OF_ALL = 1_000_000

_TYPES = {
    "NIDCPowerInstrument": DCPOWER,
    "NIDigitalPatternInstrument": DIGITAL,
    "NIScopeInstrument": SCOPE,
    "NIDmmInstrument": DMM,
    "NIFGenInstrument": FGEN,
    "NIDAQmxTask": DAQMX,
    "NIRelayDriverModule": RELAYS,
}
_SECTIONS = (
    "Instruments", "Pins", "PinGroups", "Relays", "RelayGroups", "RelayConfigurations", "Sites", "Connections",
)  # fmt: skip


def read_pin_map(text: str) -> PinMap:
    """Return the pin map that the XML `text` describes; a byte order mark may lead. Raises PinMapError."""
    sections = _sections(_root(text))
    instruments = [each for each in sections["Instruments"] if _tag(each) != "Multiplexer"]
    multiplexers = [each for each in sections["Instruments"] if _tag(each) == "Multiplexer"]
    refuse_doubles("instrument", [_required(each, "name") for each in sections["Instruments"]])
    names = [each for section in ("Pins", "PinGroups", "Relays", "RelayGroups") for each in sections[section]]
    refuse_doubles("pin, relay or group of them", [_required(each, "name") for each in names])
    refuse_doubles("relay configuration", [_required(each, "name") for each in sections["RelayConfigurations"]])
    return PinMap(
        instruments=tuple(_instruments(instruments)),
        multiplexers={_required(each, "name"): each.get("multiplexerTypeId", "") for each in multiplexers},
        pins=_kinds(sections["Pins"], "DUTPin", "SystemPin"),
        pin_groups=_groups(sections["PinGroups"], "PinGroup", "PinReference", "pin"),
        relays=_kinds(sections["Relays"], "SiteRelay", "SystemRelay"),
        relay_groups=_groups(sections["RelayGroups"], "RelayGroup", "RelayReference", "relay"),
        relay_configurations=dict(map(_configuration, sections["RelayConfigurations"])),
        sites=_sites(sections["Sites"]),
        connections=tuple(each for element in sections["Connections"] for each in _connections(element)),
    )


def _root(text: str) -> "Element":
    from xml.etree.ElementTree import ParseError

    safe = need("defusedxml.ElementTree", "reading a pin map")
    from defusedxml.common import DefusedXmlException, DTDForbidden, EntitiesForbidden

    bare = text.removeprefix("\ufeff").lstrip()
    try:
        try:
            root: Element = safe.fromstring(bare, forbid_dtd=True)
        except DTDForbidden:
            safe.fromstring(bare)  # names the entity, if the document type declares one
            raise
    except (DTDForbidden, EntitiesForbidden) as error:
        kind, name = ("entity" if isinstance(error, EntitiesForbidden) else "document type"), str(error.name)
        raise PinMapError(
            f"the pin map declares the {kind} {name!r}; none is read, write what it stands for", name
        ) from error
    except DefusedXmlException as error:
        raise PinMapError(f"the pin map uses what is not read from strangers' XML: {error}") from error
    except (ParseError, ValueError) as error:
        raise PinMapError(f"the pin map is not well-formed XML: {error}") from error
    return root


def _sections(root: "Element") -> dict[str, list["Element"]]:
    """Return the elements of each section, after a look at what the file says that it is."""
    if root.tag != f"{{{NAMESPACE}}}PinMap":
        raise PinMapError(
            f'the outermost element is {root.tag!r}, expected <PinMap xmlns="{NAMESPACE}">', str(root.tag)
        )
    version = _required(root, "schemaVersion")
    if version not in _VERSIONS:
        raise PinMapError(
            f"schemaVersion is {version!r}, expected one of {_VERSIONS[0]} to {_VERSIONS[-1]}; "
            "save the pin map for an older version",
            version,
        )
    sections: dict[str, list[Element]] = {name: [] for name in _SECTIONS}
    for section in _children(root):
        name = _expect(section, *_SECTIONS)
        sections[name].extend(_children(section))
    return sections


# ---- elements


def _children(element: "Element") -> Iterator["Element"]:
    """Yield what is in an element; the parser leaves comments out."""
    yield from element


def _tag(element: "Element") -> str:
    """Return the element's name; one of another namespace keeps its namespace."""
    return element.tag.removeprefix(f"{{{NAMESPACE}}}")


def _expect(element: "Element", *tags: str) -> str:
    tag = _tag(element)
    if tag not in tags:
        named = f" (name {element.get('name')!r})" if element.get("name") else ""
        raise PinMapError(unknown(tag, tags, "element") + named, element.get("name") or tag)
    return tag


def _required(element: "Element", attribute: str) -> str:
    value = (element.get(attribute) or "").strip()
    if not value:
        shown = ", ".join(f'{name}="{text}"' for name, text in element.items())
        raise PinMapError(
            f"<{_tag(element)}{' ' if shown else ''}{shown}> needs the attribute {attribute!r}", _tag(element)
        )
    return value


def _whole_number(text: str, what: str) -> int:
    if re.fullmatch(r"\s*[0-9]{1,9}\s*", text) and int(text) <= MOST_CHANNELS:
        return int(text)
    shown = text if len(text) <= 40 else f"{text[:37]}..."
    raise PinMapError(f"{what} is {shown!r}, expected a whole number from 0 to {MOST_CHANNELS}", shown)


# ---- sections


def _instruments(elements: list["Element"]) -> Iterator[MappedInstrument]:
    left = _MOST_CHANNELS_OF_ALL
    for element in elements:
        instrument = _instrument(element)
        left -= len(instrument.channels or ())
        if left < 0:
            raise PinMapError(
                f"up to {instrument.name!r} the instruments have more than {_MOST_CHANNELS_OF_ALL} channels; "
                "write the number that they really have",
                instrument.name,
            )
        yield instrument


def _instrument(element: "Element") -> MappedInstrument:
    tag = _expect(element, *_TYPES, "Instrument")
    name = _required(element, "name")
    type_id = _TYPES.get(tag) or _required(element, "instrumentTypeId")
    channels = _CHANNELS.get(type_id, _counted)(element) if tag in _TYPES else _listed(element)
    groups: dict[str, str] = {}
    known = frozenset(channels or ())
    for group in (child for child in _children(element) if _tag(child) == "ChannelGroup"):
        for channel in _grouped(group, channels):
            if channel in groups:
                raise PinMapError(f"channel {channel!r} of {name!r} is in two channel groups", channel)
            groups[channel] = _required(group, "name")
            if channels is not None and channel not in known:
                raise PinMapError(f"channel group {groups[channel]!r}: {name!r} has no channel {channel!r}", channel)
    return MappedInstrument(name, type_id, channels, groups, (element.get("group") or "").strip())


def _grouped(group: "Element", channels: tuple[str, ...] | None) -> Iterator[str]:
    """Yield a channel group's channels; a group that lists none has all."""
    listed = [*physical_channels(group.get("channels") or ""), *(_listed(group) or ())]
    yield from listed or channels or ()


def _listed(element: "Element") -> tuple[str, ...] | None:
    listed = tuple(_required(child, "id") for child in _children(element) if _tag(child) == "Channel")
    for group in _children(element):
        if _tag(group) == "ChannelGroup":
            listed += _listed(group) or ()
    return listed or None


def _counted(element: "Element") -> tuple[str, ...] | None:
    count = element.get("numberOfChannels")
    if count is None:
        return None
    number = _whole_number(count, f"numberOfChannels of {element.get('name')!r}")
    return tuple(map(str, range(number)))


def _lines(element: "Element") -> tuple[str, ...] | None:
    count = element.get("numberOfControlLines")
    if count is None:
        return None
    number = _whole_number(count, f"numberOfControlLines of {element.get('name')!r}")
    return tuple(f"K{line}" for line in range(number))


_CHANNELS: dict[str, Callable[["Element"], tuple[str, ...] | None]] = {
    DMM: lambda _element: ("0",),
    DAQMX: lambda element: tuple(physical_channels(element.get("channelList") or "")) or None,
    RELAYS: _lines,
}


def _kinds(elements: list["Element"], of_sites: str, of_system: str) -> dict[str, bool]:
    return {_required(each, "name"): _expect(each, of_sites, of_system) == of_system for each in elements}


def _groups(elements: list["Element"], tag: str, reference: str, attribute: str) -> dict[str, tuple[str, ...]]:
    groups: dict[str, tuple[str, ...]] = {}
    for element in elements:
        _expect(element, tag)
        members = [_required(child, attribute) for child in _children(element) if _expect(child, reference)]
        groups[_required(element, "name")] = tuple(members)
    return groups


def _configuration(element: "Element") -> tuple[str, dict[str, str]]:
    _expect(element, "RelayConfiguration")
    name = _required(element, "name")
    positions: dict[str, str] = {}
    for child in _children(element):
        _expect(child, "RelayPosition")
        relay, position = _required(child, "relay"), _required(child, "position")
        if position.casefold() not in ("open", "closed"):
            raise PinMapError(f"relay {relay!r} in {name!r} is {position!r}, expected Open or Closed", relay)
        positions[relay] = position
    return name, positions


def _sites(elements: list["Element"]) -> tuple[int, ...]:
    sites: list[int] = []
    for element in elements:
        _expect(element, "Site")
        site = _whole_number(_required(element, "siteNumber"), "siteNumber")
        if site in sites:
            raise PinMapError(f"site {site} is given twice", str(site))
        sites.append(site)
    return tuple(sites)


def _connections(element: "Element") -> Iterator[Connection]:
    tag = _expect(
        element, "Connection", "SystemConnection", "RelayConnection", "SystemRelayConnection", "MultiplexedConnection"
    )
    if tag == "MultiplexedConnection":
        for route in _children(element):
            name = _required(route, "pin")
            system = (
                _expect(route, "MultiplexedDUTPinRoute", "MultiplexedSystemPinRoute") == "MultiplexedSystemPinRoute"
            )
            for site in _at_sites(route, system=system):
                yield Connection(
                    name, site, _required(element, "instrument"), _required(element, "channel"),
                    _required(route, "multiplexer"), _required(route, "routeName"),
                )  # fmt: skip
        return
    relay = "Relay" in tag
    name, instrument, channel = (
        ("relay", "relayDriverModule", "controlLine") if relay else ("pin", "instrument", "channel")
    )
    for site in _at_sites(element, system=tag.startswith("System")):
        yield Connection(_required(element, name), site, _required(element, instrument), _required(element, channel))


def _at_sites(element: "Element", *, system: bool) -> list[int]:
    if system:
        return [SYSTEM_SITE]
    texts = _required(element, "siteNumber").split(",")
    of = element.get("pin") or element.get("relay") or _tag(element)
    return [_whole_number(text, f"siteNumber of {of!r}") for text in texts]
