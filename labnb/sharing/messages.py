"""What goes over the wire: message types from a table of fields, in a pool of their own.

They are compatible with those of the published services, but share no generated code with them: one process can use
both, since each pool knows only its own files. A line is `message`, or `type name=number` with `repeated`, `map` (from
text) or `oneof` before it.
"""

from typing import TYPE_CHECKING, Any

from labnb.sharing.needs import need

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto

SESSIONS = "ni.measurementlink.sessionmanagement.v1"
PIN_MAPS = "ni.measurementlink.pinmap.v1"
DISCOVERY = "ni.measurementlink.discovery.v1"
SHARING = "labnb.sharing.v1"

_CONTEXT = ".ni.measurementlink.PinMapContext"
_FIELDS = {
    "nidevice_grpc": """
        Session
            oneof string name=1; oneof uint32 id=2
    """,
    "ni.measurementlink": """
        PinMapContext
            string pin_map_id=1; repeated int32 sites=2
    """,
    SESSIONS: f"""
        SessionInformation
            .nidevice_grpc.Session session=1; string resource_name=2; string channel_list=3
            string instrument_type_id=4; bool session_exists=5; repeated ChannelMapping channel_mappings=6
            bool session_reserved=7; map string annotations=8
        ChannelMapping
            string pin_or_relay_name=1; int32 site=2; string channel=3; string multiplexer_resource_name=4
            string multiplexer_route=5
        MultiplexerSessionInformation
            .nidevice_grpc.Session session=1; string resource_name=2; string multiplexer_type_id=3
            bool session_exists=4; map string annotations=5
        ReserveSessionsRequest
            {_CONTEXT} pin_map_context=1; repeated string pin_or_relay_names=2; string instrument_type_id=3
            int32 timeout_in_milliseconds=4; map string annotations=5
        ReserveSessionsResponse
            repeated SessionInformation sessions=1; repeated MultiplexerSessionInformation multiplexer_sessions=2
            map ResolvedPinsOrRelays group_mappings=3
        ResolvedPinsOrRelays
            repeated string pin_or_relay_names=1
        UnreserveSessionsRequest
            repeated SessionInformation sessions=1
        UnreserveSessionsResponse
        RegisterSessionsRequest
            repeated SessionInformation sessions=1
        RegisterSessionsResponse
        UnregisterSessionsRequest
            repeated SessionInformation sessions=1
        UnregisterSessionsResponse
        ReserveAllRegisteredSessionsRequest
            int32 timeout_in_milliseconds=1; string instrument_type_id=2; map string annotations=3
        ReserveAllRegisteredSessionsResponse
            repeated SessionInformation sessions=1
        RegisterMultiplexerSessionsRequest
            repeated MultiplexerSessionInformation multiplexer_sessions=1
        RegisterMultiplexerSessionsResponse
        UnregisterMultiplexerSessionsRequest
            repeated MultiplexerSessionInformation multiplexer_sessions=1
        UnregisterMultiplexerSessionsResponse
        GetMultiplexerSessionsRequest
            {_CONTEXT} pin_map_context=1; string multiplexer_type_id=2
        GetMultiplexerSessionsResponse
            repeated MultiplexerSessionInformation multiplexer_sessions=1
        GetAllRegisteredMultiplexerSessionsRequest
            string multiplexer_type_id=1
        GetAllRegisteredMultiplexerSessionsResponse
            repeated MultiplexerSessionInformation multiplexer_sessions=1
        GetSessionsRequest
            string instrument_type_id=1; string multiplexer_type_id=2
        GetSessionsResponse
            repeated SessionInformation sessions=1; repeated MultiplexerSessionInformation multiplexer_sessions=2
    """,
    PIN_MAPS: """
        PinMap
            string pin_map_id=1
        CreatePinMapFromXmlRequest
            string pin_map_id=1; string pin_map_xml=2
        UpdatePinMapFromXmlRequest
            string pin_map_id=1; string pin_map_xml=2
        GetPinMapRequest
            string pin_map_id=1
        QueryPinsRequest
            string pin_map_id=1; string instrument_type_id=2
        QueryPinsResponse
            repeated PinDefinition pins=1; repeated PinGroupDefinition pin_groups=2
        PinDefinition
            string display_name=1; bool is_system_pin=2
        PinGroupDefinition
            string display_name=1; repeated string pin_or_group_references=2; repeated string resolved_pins=3
        QueryRelaysRequest
            string pin_map_id=1
        QueryRelaysResponse
            repeated RelayDefinition relays=1; repeated RelayGroupDefinition relay_groups=2
        RelayDefinition
            string display_name=1; bool is_system_relay=2
        RelayGroupDefinition
            string display_name=1; repeated string relay_or_group_references=2; repeated string resolved_relays=3
        QueryResourceAccessInformationRequest
            string pin_map_id=1; repeated int32 sites=2; repeated string pin_or_relay_names=3
            string instrument_type_id=4
        QueryResourceAccessInformationResponse
            repeated ResourceAccessInformation resource_access_information=1
            map ResolvedPinsOrRelays group_mappings=2
        ResourceAccessInformation
            string resource_name=1; string channel_list=2; string instrument_type_id=3
            repeated ChannelMapping channel_mappings=4
        ChannelMapping
            string pin_or_relay_name=1; int32 site=2; string channel=3; string multiplexer_resource_name=4
            string multiplexer_route=5; string multiplexer_type_id=6
        ResolvedPinsOrRelays
            repeated string pin_or_relay_names=1
    """,
    DISCOVERY: """
        ServiceDescriptor
            string display_name=1; string description_url=2; repeated string provided_interfaces=3
            string service_class=4; map string annotations=5; repeated string versions=6
        ServiceLocation
            string location=1; string insecure_port=2; string ssl_authenticated_port=3
        RegisterServiceRequest
            ServiceDescriptor service_description=1; ServiceLocation location=2
        RegisterServiceResponse
            string registration_id=1
        UnregisterServiceRequest
            string registration_id=1
        UnregisterServiceResponse
        EnumerateServicesRequest
            string provided_interface=1; string service_class=2
        EnumerateServicesResponse
            repeated ServiceDescriptor available_services=1; repeated string unreachable=2
        ResolveServiceRequest
            string provided_interface=1; string service_class=2; string deployment_target=3; string version=4
        ResolveServiceWithInformationRequest
            string provided_interface=1; string service_class=2; string deployment_target=3; string version=4
        ResolveServiceWithInformationResponse
            ServiceLocation service_location=1; ServiceDescriptor service_descriptor=2
        EnumerateActiveServicesRequest
            string provided_interface=1; string service_class=2
        EnumerateActiveServicesResponse
            repeated ActiveServiceInformation active_services=1
        ActiveServiceInformation
            ServiceDescriptor service_descriptor=1; ServiceLocation service_location=2
    """,
    SHARING: """
        Resource
            string instrument=1; string channel=2
        Holder
            string host=1; string user=2; int32 pid=3; string note=4
        Hold
            string token=1; repeated string sessions=2; string mode=3; Holder holder=4; int64 since_ns=5
        Waiting
            repeated string sessions=1; string mode=2; Holder holder=3; int32 position=4
        ReserveRequest
            repeated Resource resources=1; string mode=2; int32 timeout_in_milliseconds=3; map string annotations=4
        ReserveUpdate
            string token=1; int32 position=2; repeated Hold in_the_way=3
        ReleaseRequest
            string token=1
        ReleaseResponse
        KeepAliveRequest
            string token=1
        KeepAliveUpdate
        ForceReleaseRequest
            string token=1; string reason=2; map string annotations=3
        ForceReleaseResponse
        WatchRequest
        Situation
            repeated Hold holds=1; repeated Waiting queue=2
    """,
}

Message = Any  # its classes are made at run time: protobuf has no static type for their fields


class Messages:
    """The message classes of one package, by name as attributes."""

    def __init__(self, package: str, classes: dict[str, Any]) -> None:  # Any: as for Message
        self._package = package
        self._classes = classes

    def __getattr__(self, name: str) -> Message:
        try:
            return self._classes[name]
        except KeyError:
            raise AttributeError(f"{self._package} has no message {name!r}") from None


def _build() -> dict[str, Messages]:
    need("google.protobuf", "sharing instruments")
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.DescriptorPool()
    built: dict[str, Messages] = {}
    for package, table in _FIELDS.items():
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.labnb", package=package, syntax="proto3")
        file.dependency.extend(f"{each}.labnb" for each in _FIELDS if f" .{each}." in table)
        for line in filter(None, map(str.strip, table.splitlines())):
            if "=" not in line:
                file.message_type.add(name=line)
                continue
            for field in line.split(";"):
                _add_field(file.message_type[-1], package, *field.split())
        pool.AddSerializedFile(file.SerializeToString())
        names = [each.name for each in file.message_type]
        described = {name: pool.FindMessageTypeByName(f"{package}.{name}") for name in names}
        built[package] = Messages(
            package, {name: message_factory.GetMessageClass(each) for name, each in described.items()}
        )
    return built


def _add_field(message: "DescriptorProto", package: str, *words: str) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    *before, kind, named = words
    label = before[0] if before else ""
    name, _, number = named.partition("=")
    field = message.field.add(name=name, number=int(number), label=Field.LABEL_OPTIONAL)
    if label == "oneof":
        if not message.oneof_decl:
            message.oneof_decl.add(name=message.name.lower())
        field.oneof_index = 0
    if label == "map":
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, label=Field.LABEL_OPTIONAL, type=Field.TYPE_STRING)
        _set_kind(entry.field.add(name="value", number=2, label=Field.LABEL_OPTIONAL), package, kind)
        kind = f".{package}.{message.name}.{entry.name}"
    if label in ("map", "repeated"):
        field.label = Field.LABEL_REPEATED
    _set_kind(field, package, kind)


def _set_kind(field: Any, package: str, kind: str) -> None:  # Any: protobuf's repeated composite yields no type
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field

    plain = {
        "string": Field.TYPE_STRING, "bool": Field.TYPE_BOOL, "int32": Field.TYPE_INT32, "int64": Field.TYPE_INT64,
        "uint32": Field.TYPE_UINT32,
    }  # fmt: skip
    field.type = plain.get(kind, Field.TYPE_MESSAGE)
    if kind not in plain:
        field.type_name = kind if kind.startswith(".") else f".{package}.{kind}"


_ALL = _build()
session_messages = _ALL[SESSIONS]
pin_map_messages = _ALL[PIN_MAPS]
discovery_messages = _ALL[DISCOVERY]
sharing_messages = _ALL[SHARING]
context_messages = _ALL["ni.measurementlink"]


class Method:
    """One remote procedure: its name, what it takes and returns, and whether it answers many times."""

    def __init__(self, name: str, takes: Message, returns: Message, *, streams: bool = False) -> None:
        self.name = name
        self.takes = takes
        self.returns = returns
        self.streams = streams


def _methods(messages: Messages, names: str, **returned: Message) -> tuple[Method, ...]:
    return tuple(
        Method(name, getattr(messages, f"{name}Request"), returned.get(name) or getattr(messages, f"{name}Response"))
        for name in names.split()
    )


SESSION_SERVICE = f"{SESSIONS}.SessionManagementService"
PIN_MAP_SERVICE = f"{PIN_MAPS}.PinMapService"
DISCOVERY_SERVICE = f"{DISCOVERY}.DiscoveryService"
SHARING_SERVICE = f"{SHARING}.SharingService"

METHODS: dict[str, tuple[Method, ...]] = {
    SESSION_SERVICE: _methods(
        session_messages,
        "ReserveSessions UnreserveSessions RegisterSessions UnregisterSessions ReserveAllRegisteredSessions "
        "RegisterMultiplexerSessions UnregisterMultiplexerSessions GetMultiplexerSessions "
        "GetAllRegisteredMultiplexerSessions GetSessions",
    ),
    PIN_MAP_SERVICE: _methods(
        pin_map_messages,
        "CreatePinMapFromXml UpdatePinMapFromXml GetPinMap QueryPins QueryRelays QueryResourceAccessInformation",
        CreatePinMapFromXml=pin_map_messages.PinMap,
        UpdatePinMapFromXml=pin_map_messages.PinMap,
        GetPinMap=pin_map_messages.PinMap,
    ),
    # EnumerateComputeNodes is left out on purpose: UNIMPLEMENTED tells a client that there are no others.
    DISCOVERY_SERVICE: _methods(
        discovery_messages,
        "RegisterService UnregisterService EnumerateServices ResolveService ResolveServiceWithInformation "
        "EnumerateActiveServices",
        ResolveService=discovery_messages.ServiceLocation,
    ),
    SHARING_SERVICE: (
        Method("Reserve", sharing_messages.ReserveRequest, sharing_messages.ReserveUpdate, streams=True),
        Method("KeepAlive", sharing_messages.KeepAliveRequest, sharing_messages.KeepAliveUpdate, streams=True),
        Method("Watch", sharing_messages.WatchRequest, sharing_messages.Situation, streams=True),
        *_methods(sharing_messages, "Release ForceRelease"),
    ),
}
