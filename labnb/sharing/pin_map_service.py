"""The pin map service: upload pin maps, and ask what they say."""

from labnb.sharing.desk import Desk
from labnb.sharing.messages import Message, pin_map_messages
from labnb.sharing.resolving import UnknownSite


class SiteNotFound(UnknownSite):
    """A query is for a site that the pin map does not have; this one procedure calls that not found."""


class PinMapService:
    """Pin maps by their id."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def create_pin_map_from_xml(self, request: Message, peer: str) -> Message:
        """Keep a pin map whose id is new."""
        await self._desk.registry.keep_pin_map(request.pin_map_id, request.pin_map_xml, new=True)
        return pin_map_messages.PinMap(pin_map_id=request.pin_map_id)

    async def update_pin_map_from_xml(self, request: Message, peer: str) -> Message:
        """Keep a pin map, new or instead of an earlier one."""
        await self._desk.registry.keep_pin_map(request.pin_map_id, request.pin_map_xml)
        return pin_map_messages.PinMap(pin_map_id=request.pin_map_id)

    async def get_pin_map(self, request: Message, peer: str) -> Message:
        """Tell whether a pin map is here."""
        self._desk.registry.wiring(request.pin_map_id)
        return pin_map_messages.PinMap(pin_map_id=request.pin_map_id)

    async def query_pins(self, request: Message, peer: str) -> Message:
        """List pins and their groups, of one instrument type if it is given."""
        pin_map = self._desk.registry.wiring(request.pin_map_id).pin_map
        types = {each.name: each.type_id for each in pin_map.instruments}
        of_type = {each.name for each in pin_map.connections if types[each.instrument] == request.instrument_type_id}
        shown = of_type if request.instrument_type_id else set(pin_map.pins)
        response = pin_map_messages.QueryPinsResponse()
        for name, system in pin_map.pins.items():
            if name in shown:
                response.pins.add(display_name=name, is_system_pin=system)
        for name, references in pin_map.pin_groups.items():
            members = pin_map.expand(name)
            if shown.issuperset(members):
                response.pin_groups.add(display_name=name, pin_or_group_references=references, resolved_pins=members)
        return response

    async def query_relays(self, request: Message, peer: str) -> Message:
        """List relays and their groups."""
        pin_map = self._desk.registry.wiring(request.pin_map_id).pin_map
        response = pin_map_messages.QueryRelaysResponse()
        for name, system in pin_map.relays.items():
            response.relays.add(display_name=name, is_system_relay=system)
        for name, references in pin_map.relay_groups.items():
            response.relay_groups.add(
                display_name=name, relay_or_group_references=references, resolved_relays=pin_map.expand(name)
            )
        return response

    async def query_resource_access_information(self, request: Message, peer: str) -> Message:
        """Tell what a reservation would need, without reserving."""
        wiring = self._desk.registry.wiring(request.pin_map_id)
        try:
            resolution = wiring.resolve(request.pin_or_relay_names, request.sites, request.instrument_type_id)
        except UnknownSite as error:
            raise SiteNotFound(str(error), error.name) from error
        response = pin_map_messages.QueryResourceAccessInformationResponse()
        for group, members in resolution.groups.items():
            response.group_mappings[group].pin_or_relay_names.extend(members)
        for each in resolution.sessions:
            told = response.resource_access_information.add(
                resource_name=each.session.name,
                channel_list=each.channel_list,
                instrument_type_id=each.session.type_id,
            )
            for wire in each.wires:
                multiplexer = wire.connection.multiplexer
                told.channel_mappings.add(
                    pin_or_relay_name=wire.connection.name,
                    site=wire.connection.site,
                    channel=wire.channel,
                    multiplexer_resource_name=multiplexer,
                    multiplexer_route=wire.connection.route,
                    multiplexer_type_id=wiring.pin_map.multiplexers.get(multiplexer, ""),
                )
        return response
