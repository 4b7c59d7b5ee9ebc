"""Runs in an environment with a published client and without labnb: every step that such a client can take.

`ADDRESS PINMAP` are its arguments; it prints a JSON object with what became of each step ("" is good), and with the
fields of the published messages.
"""

import inspect
import json
import sys
import threading
import time
import traceback

import grpc

address, path = sys.argv[1:]
channel = grpc.insecure_channel(address)
second = grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])

try:
    from ni.measurementlink.discovery.v1 import discovery_service_pb2 as discovery_pb2
    from ni.measurementlink.discovery.v1 import discovery_service_pb2_grpc
    from ni.measurementlink.discovery.v1.client import DiscoveryClient, ServiceInfo, ServiceLocation
    from ni.measurementlink.pinmap.v1 import pin_map_service_pb2 as pins_pb2
    from ni.measurementlink.pinmap.v1.client import PinMapClient
    from ni.measurementlink.sessionmanagement.v1 import session_management_service_pb2 as sessions_pb2
    from ni.measurementlink.sessionmanagement.v1.client import PinMapContext, SessionManagementClient

    NEW = True
    pin_map_id = PinMapClient(grpc_channel=channel).update_pin_map(path)
except ImportError:
    from ni_measurementlink_service._internal.stubs.ni.measurementlink.pinmap.v1 import pin_map_service_pb2 as pins_pb2
    from ni_measurementlink_service._internal.stubs.ni.measurementlink.pinmap.v1 import pin_map_service_pb2_grpc
    from ni_measurementlink_service.session_management import PinMapContext, SessionManagementClient

    NEW = False
    from ni_measurementlink_service import session_management

    with open(path, encoding="utf-8-sig") as file:
        text = file.read()
    request = pins_pb2.UpdatePinMapFromXmlRequest(pin_map_id=path, pin_map_xml=text)
    pin_map_id = pin_map_service_pb2_grpc.PinMapServiceStub(channel).UpdatePinMapFromXml(request).pin_map_id

client = SessionManagementClient(grpc_channel=channel)
other = SessionManagementClient(grpc_channel=second)
context = PinMapContext(pin_map_id, None)


def refused(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError("it was not refused")


def upload():
    assert pin_map_id == path


def reserve_one():
    with client.reserve_session(context, ["Sense"], "niDMM", 0) as reservation:
        info = reservation.session_info
        assert (info.session_name, info.resource_name, info.channel_list) == ("DMM1", "DMM1", "0"), info
        assert info.instrument_type_id == "niDMM"
        assert info.session_exists is False
        assert [tuple(each)[:3] for each in info.channel_mappings] == [("Sense", 0, "0"), ("Sense", 1, "0")]


def reserve_several():
    with client.reserve_sessions(context) as reservation:
        told = [(each.session_name, each.channel_list) for each in reservation.session_info]
    assert told == [
        ("SMU1/0, SMU1/1", "SMU1/0, SMU1/1"), ("SMU1/2", "SMU1/2"), ("SCOPE1,SCOPE2", "SCOPE1/0, SCOPE2/0"),
        ("DIG1", "site0/Data, site1/Data"), ("DMM1", "0"), ("Task1", "Dev1/ai0"), ("RLY1", "K0, K1, K9"),
        ("TCPIP0::10.0.0.7::INSTR", "1"),
    ], told  # fmt: skip


def sites():
    with client.reserve_session(PinMapContext(pin_map_id, [1]), ["Vcc"]) as reservation:
        assert reservation.session_info.channel_list == "SMU1/2"
    code, details = refused(client.reserve_session, PinMapContext(pin_map_id, [9]), ["Vcc"])
    assert code == "INVALID_ARGUMENT", code
    assert "site 9" in details, details


def mistakes():
    assert refused(client.reserve_session, context, ["Vdd"])[0] == "INVALID_ARGUMENT"
    assert refused(client.reserve_session, PinMapContext("nowhere", None))[0] == "NOT_FOUND"
    for names, count in ((["Vcc"], 2), (None, 8)):
        try:
            client.reserve_session(context, names)
        except ValueError as error:
            said = str(error)
        else:
            raise AssertionError("several sessions are no single one")
        assert f"got {count} sessions" in said, said
    with other.reserve_sessions(context):
        pass


def conflict_and_timeout_0():
    with client.reserve_sessions(context, ["Sense", "Gate"]):
        code, details = refused(other.reserve_sessions, context, ["Gate", "Vcc"], timeout=0)
        assert code == "UNAVAILABLE", code
        assert "TCPIP0::10.0.0.7::INSTR is reserved by" in details, details
        assert "process" in details, details
        with other.reserve_sessions(context, ["Vcc"], timeout=0):
            pass
    with other.reserve_session(context, ["Gate"]):
        pass


def timeout_a_half():
    with client.reserve_session(context, ["Sense"]):
        began = time.monotonic()
        assert refused(other.reserve_session, context, ["Sense"], timeout=0.5)[0] == "UNAVAILABLE"
        assert 0.5 <= time.monotonic() - began < 1.5


def timeout_minus_1():
    reservation = client.reserve_session(context, ["Sense"])
    got = threading.Event()

    def wait():
        with other.reserve_session(context, ["Sense"], timeout=-1):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not got.wait(0.3)
    reservation.unreserve()
    assert got.wait(10)
    waiting.join()


def register_and_unregister():
    with client.reserve_session(context, ["Sense"]) as reservation:
        client.register_sessions([reservation.session_info])
        assert refused(other.register_sessions, [reservation.session_info])[0] == "ALREADY_EXISTS"
    with other.reserve_session(context, ["Sense"]) as reservation:
        assert reservation.session_info.session_exists is True
        other.unregister_sessions([reservation.session_info])
        other.unregister_sessions([reservation.session_info])
    with client.reserve_session(context, ["Sense"]) as reservation:
        assert reservation.session_info.session_exists is False


def reserve_all():
    with client.reserve_all_registered_sessions(timeout=0) as reservation:
        assert list(reservation.session_info) == []
    with client.reserve_sessions(context, ["Sense", "Out"]) as reservation:
        infos = reservation.session_info
        client.register_sessions(infos)
        assert refused(other.reserve_all_registered_sessions, timeout=0)[0] == "UNAVAILABLE"
    with other.reserve_all_registered_sessions("niScope", timeout=1) as reservation:
        (info,) = reservation.session_info
        assert (info.session_name, info.channel_list, list(info.channel_mappings)) == ("SCOPE1,SCOPE2", "", [])
        assert info.session_exists is True
    with other.reserve_all_registered_sessions(timeout=-1) as reservation:
        assert len(reservation.session_info) == 2
    client.unregister_sessions(infos)


def groups():
    with client.reserve_sessions(context, ["All", "Relays"]) as reservation:
        names = [each.session_name for each in reservation.session_info]
        assert names == ["SMU1/0, SMU1/1", "SMU1/2", "SCOPE1,SCOPE2", "DIG1", "RLY1"], names
    if not NEW:
        return

    class Driver:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    with client.reserve_sessions(context, ["Analog", "Gate"]) as reservation:
        assert len(reservation.session_info) == 4
        with (
            reservation.initialize_sessions(lambda info: Driver(), "niScope"),
            reservation.initialize_sessions(lambda info: Driver(), "niDCPower"),
        ):
            connections = reservation.get_connections(Driver, ["Analog"])
            assert [(each.pin_or_relay_name, each.site, each.channel_name) for each in connections] == [
                ("Vcc", 0, "SMU1/0"), ("Out", 0, "SCOPE1/0"), ("Vcc", 1, "SMU1/2"), ("Out", 1, "SCOPE2/0"),
            ], connections  # fmt: skip


def multiplexers():
    with client.reserve_session(context, ["Sense"]) as reservation:
        if not NEW:
            assert len(list(reservation.session_info.channel_mappings)) == 2
            return
        (mux,) = reservation.multiplexer_session_info
        assert (mux.session_name, mux.resource_name, mux.multiplexer_type_id) == ("MUX1", "MUX1", "MyMux"), mux
        routes = [each.multiplexer_route for each in reservation.session_info.channel_mappings]
        assert routes == ["c0->r0", "c1->r0"], routes
    found = client.get_multiplexer_sessions(context, "MyMux").multiplexer_session_info
    assert [each.session_exists for each in found] == [False]
    client.register_multiplexer_sessions(found)
    assert refused(other.register_multiplexer_sessions, found)[0] == "ALREADY_EXISTS"
    found = other.get_all_registered_multiplexer_sessions().multiplexer_session_info
    assert [(each.session_name, each.session_exists) for each in found] == [("MUX1", True)]
    other.unregister_multiplexer_sessions(found)
    assert not list(client.get_all_registered_multiplexer_sessions().multiplexer_session_info)


def late_release():
    reservation = client.reserve_session(context, ["Sense"])
    reservation.unreserve()
    assert refused(reservation.unreserve)[0] == "RESOURCE_EXHAUSTED"
    with other.reserve_session(context, ["Sense"]):
        code, details = refused(reservation.unreserve)
        assert code == "RESOURCE_EXHAUSTED", "its token is not that of who holds it now"
        assert "DMM1" in details, details
        assert refused(client.reserve_session, context, ["Sense"])[0] == "UNAVAILABLE"


def discovery():
    if not NEW:
        return
    found = DiscoveryClient(stub=discovery_service_pb2_grpc.DiscoveryServiceStub(channel))
    location = found.resolve_service("ni.measurementlink.pinmap.v1.PinMapService")
    assert location.insecure_address == f"localhost:{address.rpartition(':')[2]}", location
    assert found.enumerate_compute_nodes() == []
    service = ServiceInfo(service_class="mine", description_url="", provided_interfaces=["a.B"], display_name="Mine")
    number = found.register_service(service, ServiceLocation("localhost", "1", ""))
    assert found.resolve_service_with_information("a.B")[1].display_name == "Mine"
    assert [each.display_name for each in found.enumerate_services("a.B")] == ["Mine"]
    assert found.unregister_service(number)
    pooled = SessionManagementClient(discovery_client=found)
    with pooled.reserve_session(context, ["Sense"]):
        pass


STEPS = [
    upload, reserve_one, reserve_several, sites, mistakes, conflict_and_timeout_0, timeout_a_half, timeout_minus_1,
    register_and_unregister, reserve_all, groups, multiplexers, late_release, discovery,
]  # fmt: skip


def fields():
    files = [pins_pb2, sessions_pb2, discovery_pb2] if NEW else [pins_pb2]
    return {
        message.full_name: sorted(
            [field.name, field.number, field.type, field.message_type.full_name if field.message_type else ""]
            for field in message.fields
        )
        for file in files
        for message in file.DESCRIPTOR.message_types_by_name.values()
    }


def parameters(function):
    return [[each.name, each.kind.name, repr(each.default)] for each in inspect.signature(function).parameters.values()]


def described(module):
    """Return what is public in a module: texts as they are, classes by their fields and their methods' parameters."""
    told = {}
    for name, value in vars(module).items():
        if name.isupper() and isinstance(value, str):
            told[name] = value
        elif isinstance(value, type) and issubclass(value, tuple):
            told[name] = list(value._fields)
        elif isinstance(value, type) and {"reserve_session", "unreserve"} & set(dir(value)):
            told[name] = {
                each: parameters(attribute) if inspect.isfunction(attribute) else type(attribute).__name__
                for each, attribute in ((each, inspect.getattr_static(value, each)) for each in dir(value))
                if each in ("__init__", "__enter__", "__exit__") or not each.startswith("_")
            }
    return told


became = {}
for step in STEPS:
    try:
        step()
        became[step.__name__] = ""
    except Exception:
        became[step.__name__] = traceback.format_exc()
print(json.dumps({"steps": became, "fields": fields(), "api": {} if NEW else described(session_management)}))
