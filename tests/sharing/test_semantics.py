"""What the service answers, row by row, over a plain channel."""

import threading
import time
from pathlib import Path

import grpc
import pytest

from labnb.core import PinMapError, ReservationError, ReservationLost, Reserved
from labnb.session_management import (
    INSTRUMENT_TYPE_NI_DMM,
    INSTRUMENT_TYPE_NI_SCOPE,
    ChannelMapping,
    PinMapContext,
    SessionInformation,
    SessionManagementClient,
)
from labnb.sharing.calls import kind_of, procedures
from labnb.sharing.messages import (
    DISCOVERY_SERVICE,
    PIN_MAP_SERVICE,
    SESSION_SERVICE,
    discovery_messages,
    pin_map_messages,
    session_messages,
)

Code = grpc.StatusCode
FULL_MAP = Path(__file__).parent / "full.pinmap"


@pytest.fixture
def sessions(channel):
    return SessionManagementClient(grpc_channel=channel)


@pytest.fixture
def raw(channel):
    """All published procedures, by name, below any client."""
    return {
        name: call
        for each in (SESSION_SERVICE, PIN_MAP_SERVICE, DISCOVERY_SERVICE)
        for name, call in procedures(channel, each).items()
    }


@pytest.fixture
def everything(pin_map):
    return PinMapContext(pin_map, None)


def request(pin_map_id, *names, sites=(), timeout=0, **more):
    return session_messages.ReserveSessionsRequest(
        pin_map_context={"pin_map_id": pin_map_id, "sites": sites},
        pin_or_relay_names=names,
        timeout_in_milliseconds=timeout,
        **more,
    )


def information(name, type_id="niDMM"):
    return SessionInformation(name, name, "", type_id, False, [])


def refusal(call, *arguments):
    with pytest.raises(grpc.RpcError) as refused:
        call(*arguments)
    return refused.value.code(), refused.value.details()


@pytest.mark.parametrize(
    ("names", "sites", "timeout", "told"),
    [
        (["Vdd"], [], 0, "unknown pin, relay or group 'Vdd'"),
        (["Load", "NoRelay"], [], 0, "'NoRelay'"),
        (["AllOfThem"], [], 0, "'AllOfThem'"),
        (["Vcc"], [7], 0, "site 7"),
        (["Vcc"], [], -2, "-2"),
    ],
)
def test_unknown_names_unknown_sites_and_timeouts_below_minus_1_are_invalid_arguments(
    raw, pin_map, names, sites, timeout, told
):
    code, details = refusal(raw["ReserveSessions"], request(pin_map, *names, sites=sites, timeout=timeout))
    assert code is Code.INVALID_ARGUMENT
    assert told in details


def test_a_bad_site_is_not_found_where_access_is_only_queried(raw, pin_map):
    query = pin_map_messages.QueryResourceAccessInformationRequest
    code, details = refusal(raw["QueryResourceAccessInformation"], query(pin_map_id=pin_map, sites=[7]))
    assert (code, "site 7" in details) == (Code.NOT_FOUND, True)
    bad_pin = query(pin_map_id=pin_map, pin_or_relay_names=["Vdd"])
    assert refusal(raw["QueryResourceAccessInformation"], bad_pin)[0] is Code.INVALID_ARGUMENT


def test_an_unknown_pin_map_is_not_found(raw):
    code, details = refusal(raw["ReserveSessions"], request("nowhere.pinmap"))
    assert (code, "nowhere.pinmap" in details) == (Code.NOT_FOUND, True)
    assert refusal(raw["GetPinMap"], pin_map_messages.GetPinMapRequest(pin_map_id="no"))[0] is Code.NOT_FOUND


@pytest.mark.parametrize("timeout", [0, 0.3])
def test_what_another_keeps_is_unavailable_and_the_holder_is_named(sessions, everything, holder, timeout):
    other = holder("DMM1")
    assert other.reads().startswith("holds")
    began = time.monotonic()
    with pytest.raises(
        Reserved, match=rf"DMM1 is reserved by .+@.+, process {other.pid} \(holder\) for [0-9.]+ s"
    ) as no:
        sessions.reserve_session(everything, "Sense", timeout=timeout)
    assert no.value.code() is Code.UNAVAILABLE
    assert timeout <= time.monotonic() - began < timeout + 1


def test_a_timeout_of_minus_1_waits_until_it_is_free(sessions, everything, holder, until):
    other = holder("DMM1")
    other.reads()
    got = []
    waiting = threading.Thread(target=lambda: got.append(sessions.reserve_session(everything, "Sense", timeout=-1)))
    waiting.start()
    until(lambda now: now.queue)
    other.says("release")
    waiting.join(10)
    assert got[0].session_info.session_name == "DMM1"


def test_what_matches_no_type_is_no_session_and_no_error(sessions, everything):
    with sessions.reserve_sessions(everything, ["Vcc"], INSTRUMENT_TYPE_NI_DMM) as reservation:
        assert reservation.session_info == []


def test_unreserving_what_is_not_reserved_is_resource_exhausted(raw):
    told = session_messages.UnreserveSessionsRequest(sessions=[{"session": {"name": "DMM1"}}])
    code, details = refusal(raw["UnreserveSessions"], told)
    assert (code, "DMM1" in details) == (Code.RESOURCE_EXHAUSTED, True)


def test_unreserving_twice_is_refused_the_second_time(sessions, everything):
    reservation = sessions.reserve_session(everything, "Sense")
    reservation.unreserve()
    with pytest.raises(ReservationLost) as lost:
        reservation.unreserve()
    assert lost.value.code() is Code.RESOURCE_EXHAUSTED


def test_unreserving_gives_back_what_is_ours_and_refuses_the_rest(sessions, raw, everything, pin_map):
    both = raw["ReserveSessions"](request(pin_map, "Sense", "Gate"))
    raw["UnreserveSessions"](session_messages.UnreserveSessionsRequest(sessions=both.sessions[:1]))
    code, details = refusal(raw["UnreserveSessions"], session_messages.UnreserveSessionsRequest(sessions=both.sessions))
    assert (code, "DMM1" in details, "TCPIP0" in details) == (Code.RESOURCE_EXHAUSTED, True, False)
    sessions.reserve_sessions(everything, ["Sense", "Gate"]).unreserve()


def test_registering_is_all_or_nothing(sessions, raw):
    sessions.register_sessions([information("A")])
    with pytest.raises(ReservationError, match="'A' is registered already") as twice:
        sessions.register_sessions([information("B"), information("A")])
    assert twice.value.code() is Code.ALREADY_EXISTS
    with pytest.raises(ReservationError, match="'C'"):
        sessions.register_sessions([information("C"), information("C")])
    with pytest.raises(PinMapError, match="no name") as empty:
        sessions.register_sessions([information("B"), information("")])
    assert empty.value.code() is Code.INVALID_ARGUMENT
    listed = raw["GetSessions"](session_messages.GetSessionsRequest())
    assert [each.session.name for each in listed.sessions] == ["A"]


def test_unregistering_the_unknown_is_no_error(sessions):
    sessions.unregister_sessions([information("A")])
    sessions.register_sessions([information("A")])
    sessions.unregister_sessions([information("A"), information("A")])
    sessions.register_sessions([information("A")])


def test_a_registered_session_exists_for_who_reserves_it_and_its_annotations_are_told_but_for_ours(
    sessions, raw, everything, pin_map
):
    with sessions.reserve_session(everything, "Sense") as first:
        assert first.session_info.session_exists is False
    registered = session_messages.RegisterSessionsRequest(
        sessions=[{"session": {"name": "DMM1"}, "annotations": {"mine": "kept", "labnb/token": "5", "labnb/x": "5"}}]
    )
    raw["RegisterSessions"](registered)
    (session,) = raw["ReserveSessions"](request(pin_map, "Sense")).sessions
    assert session.session_exists
    assert session.session_reserved
    assert session.annotations["mine"] == "kept"
    assert session.annotations["labnb/token"] != "5"
    assert "labnb/x" not in session.annotations


def test_reserving_all_registered_gives_sessions_without_channels(sessions, everything):
    assert sessions.reserve_all_registered_sessions().session_info == []
    sessions.register_sessions([information("DMM1"), information("SCOPE1,SCOPE2", "niScope")])
    with sessions.reserve_all_registered_sessions() as every:
        assert every.session_info == [
            SessionInformation("DMM1", "DMM1", "", "niDMM", True, []),
            SessionInformation("SCOPE1,SCOPE2", "SCOPE1,SCOPE2", "", "niScope", True, []),
        ]
        with pytest.raises(Reserved, match="DMM1"):
            sessions.reserve_session(everything, "Sense")
    with sessions.reserve_all_registered_sessions(INSTRUMENT_TYPE_NI_SCOPE) as scopes:
        assert [each.session_name for each in scopes.session_info] == ["SCOPE1,SCOPE2"]
        sessions.reserve_session(everything, "Sense").unreserve()


def test_several_sessions_are_reserved_at_once_or_not_at_all(sessions, everything, client):
    with client.reserve("SMU1"), pytest.raises(Reserved):
        sessions.reserve_sessions(everything)
    with client.reserve("dmm1"), pytest.raises(Reserved):
        sessions.reserve_sessions(everything)
    assert client.situation().reservations == ()
    with sessions.reserve_sessions(everything) as every:
        assert len(every.session_info) == 8


def test_two_pin_maps_that_name_one_channel_differently_still_meet(sessions, everything, channel, tmp_path):
    from labnb.sharing import PinMapClient

    text = (
        '<PinMap xmlns="http://www.ni.com/TestStand/SemiconductorModule/PinMap.xsd" schemaVersion="1.5"><Instruments>'
        '<NIDCPowerInstrument name="smu1" numberOfChannels="4"/></Instruments><Pins><SystemPin name="Bias"/>'
        '<SystemPin name="Free"/></Pins><Connections><SystemConnection pin="Bias" instrument="smu1" channel="1"/>'
        '<SystemConnection pin="Free" instrument="smu1" channel="3"/></Connections></PinMap>'
    )
    (tmp_path / "other.pinmap").write_text(text, "utf-8")
    other = PinMapContext(PinMapClient(grpc_channel=channel).update_pin_map(tmp_path / "other.pinmap"), [])
    with sessions.reserve_session(everything, "Trig"):
        with pytest.raises(Reserved):
            sessions.reserve_session(other, "Bias")
        sessions.reserve_session(other, "Free").unreserve()


def test_those_who_only_read_share(raw, pin_map):
    readers = [raw["ReserveSessions"](request(pin_map, "Sense", annotations={"labnb/mode": "read"})) for _ in range(2)]
    assert refusal(raw["ReserveSessions"], request(pin_map, "Sense"))[0] is Code.UNAVAILABLE
    for each in readers:
        raw["UnreserveSessions"](session_messages.UnreserveSessionsRequest(sessions=each.sessions))
    raw["ReserveSessions"](request(pin_map, "Sense"))
    code, details = refusal(raw["ReserveSessions"], request(pin_map, "Gate", annotations={"labnb/mode": "look"}))
    assert (code, "'look'" in details) == (Code.INVALID_ARGUMENT, True)


def test_a_stale_holder_that_unreserves_late_is_refused_and_frees_nothing(raw, pin_map, client):
    stale = raw["ReserveSessions"](request(pin_map, "Sense"))
    client.force_release(stale.sessions[0].annotations["labnb/token"], "needed elsewhere")
    fresh = raw["ReserveSessions"](request(pin_map, "Sense"))
    assert int(fresh.sessions[0].annotations["labnb/token"]) > int(stale.sessions[0].annotations["labnb/token"])
    told = session_messages.UnreserveSessionsRequest(sessions=stale.sessions)
    code, details = refusal(raw["UnreserveSessions"], told)
    assert (code, "DMM1: it is reserved by" in details) == (Code.RESOURCE_EXHAUSTED, True)
    assert refusal(raw["ReserveSessions"], request(pin_map, "Sense"))[0] is Code.UNAVAILABLE
    with pytest.raises(ReservationLost, match="needed elsewhere"):
        client.force_release(stale.sessions[0].annotations["labnb/token"])


def test_without_a_token_only_the_process_itself_gives_back(raw, pin_map, holder):
    holder("DMM1").reads()
    told = session_messages.UnreserveSessionsRequest(sessions=[{"session": {"name": "DMM1"}}])
    assert refusal(raw["UnreserveSessions"], told)[0] is Code.RESOURCE_EXHAUSTED
    raw["ReserveSessions"](request(pin_map, "Gate"))
    own = session_messages.UnreserveSessionsRequest(sessions=[{"session": {"name": "TCPIP0::10.0.0.7::INSTR"}}])
    raw["UnreserveSessions"](own)


def test_multiplexers_are_registered_and_listed(raw, pin_map):
    context = {"pin_map_id": pin_map, "sites": [0]}
    asked = session_messages.GetMultiplexerSessionsRequest(pin_map_context=context)
    (told,) = raw["GetMultiplexerSessions"](asked).multiplexer_sessions
    assert (told.session.name, told.multiplexer_type_id, told.session_exists) == ("MUX1", "MyMux", False)
    register = session_messages.RegisterMultiplexerSessionsRequest(multiplexer_sessions=[told])
    raw["RegisterMultiplexerSessions"](register)
    assert refusal(raw["RegisterMultiplexerSessions"], register)[0] is Code.ALREADY_EXISTS
    every = session_messages.GetAllRegisteredMultiplexerSessionsRequest()
    (told,) = raw["GetAllRegisteredMultiplexerSessions"](every).multiplexer_sessions
    assert (told.session.name, told.session_exists) == ("MUX1", True)
    (told,) = raw["ReserveSessions"](request(pin_map, "Sense")).multiplexer_sessions
    assert told.session_exists
    other = session_messages.GetMultiplexerSessionsRequest(pin_map_context=context, multiplexer_type_id="Other")
    assert not raw["GetMultiplexerSessions"](other).multiplexer_sessions
    raw["UnregisterMultiplexerSessions"](
        session_messages.UnregisterMultiplexerSessionsRequest(multiplexer_sessions=[told])
    )
    assert not raw["GetAllRegisteredMultiplexerSessions"](every).multiplexer_sessions
    wrong_site = session_messages.GetMultiplexerSessionsRequest(pin_map_context={"pin_map_id": pin_map, "sites": [5]})
    assert refusal(raw["GetMultiplexerSessions"], wrong_site)[0] is Code.INVALID_ARGUMENT


def test_pins_relays_and_access_can_be_queried(raw, pin_map):
    pins = raw["QueryPins"](pin_map_messages.QueryPinsRequest(pin_map_id=pin_map))
    assert [each.display_name for each in pins.pins if each.is_system_pin] == ["Trig", "Gate"]
    assert {each.display_name: list(each.resolved_pins) for each in pins.pin_groups} == {
        "Analog": ["Vcc", "Out"],
        "All": ["Vcc", "Out", "Data"],
    }
    some = raw["QueryPins"](pin_map_messages.QueryPinsRequest(pin_map_id=pin_map, instrument_type_id="niDCPower"))
    assert [each.display_name for each in some.pins] == ["Vcc", "Trig"]
    relays = raw["QueryRelays"](pin_map_messages.QueryRelaysRequest(pin_map_id=pin_map))
    assert [(each.display_name, each.is_system_relay) for each in relays.relays] == [("Load", False), ("Main", True)]
    access = raw["QueryResourceAccessInformation"](
        pin_map_messages.QueryResourceAccessInformationRequest(
            pin_map_id=pin_map, sites=[1], pin_or_relay_names=["Sense", "Analog"]
        )
    )
    told = {each.resource_name: each.channel_list for each in access.resource_access_information}
    assert told == {"SMU1/2": "SMU1/2", "SCOPE1,SCOPE2": "SCOPE2/0", "DMM1": "0"}
    routed = access.resource_access_information[2].channel_mappings[0]
    assert (routed.multiplexer_resource_name, routed.multiplexer_type_id) == ("MUX1", "MyMux")
    assert list(access.group_mappings["Analog"].pin_or_relay_names) == ["Vcc", "Out"]


def test_a_pin_map_is_created_once_updated_often_and_a_bad_update_leaves_the_good_one(raw, pin_map):
    create = pin_map_messages.CreatePinMapFromXmlRequest
    update = pin_map_messages.UpdatePinMapFromXmlRequest
    assert refusal(raw["CreatePinMapFromXml"], create(pin_map_id=pin_map))[0] is Code.ALREADY_EXISTS
    code, details = refusal(raw["UpdatePinMapFromXml"], update(pin_map_id=pin_map, pin_map_xml="<PinMap"))
    assert (code, "not well-formed" in details) == (Code.INVALID_ARGUMENT, True)
    assert refusal(raw["UpdatePinMapFromXml"], update(pin_map_xml="<PinMap/>"))[0] is Code.INVALID_ARGUMENT
    assert len(raw["ReserveSessions"](request(pin_map)).sessions) == 8


def test_services_are_found_and_others_can_be_registered(raw, service):
    resolve = discovery_messages.ResolveServiceRequest
    port = service.address.rpartition(":")[2]
    assert raw["ResolveService"](resolve(provided_interface=SESSION_SERVICE)).insecure_port == port
    assert refusal(raw["ResolveService"], resolve(provided_interface="no.Such"))[0] is Code.NOT_FOUND
    assert refusal(raw["ResolveService"], resolve())[0] is Code.INVALID_ARGUMENT
    for name in ("one", "two"):
        raw["RegisterService"](
            discovery_messages.RegisterServiceRequest(
                service_description={"display_name": name, "service_class": name, "provided_interfaces": ["a.B"]},
                location={"location": "localhost", "insecure_port": f"1{len(name)}"},
            )
        )
    assert refusal(raw["ResolveService"], resolve(provided_interface="a.B"))[0] is Code.FAILED_PRECONDITION
    assert raw["ResolveService"](resolve(provided_interface="a.B", service_class="two")).insecure_port == "13"
    bare = discovery_messages.RegisterServiceRequest()
    assert refusal(raw["RegisterService"], bare)[0] is Code.INVALID_ARGUMENT
    listed = raw["EnumerateServices"](discovery_messages.EnumerateServicesRequest(provided_interface="a.B"))
    assert [each.display_name for each in listed.available_services] == ["one", "two"]
    active = raw["EnumerateActiveServices"](discovery_messages.EnumerateActiveServicesRequest(provided_interface="a.B"))
    assert [each.service_location.insecure_port for each in active.active_services] == ["13", "13"]


def test_other_compute_nodes_are_unimplemented(channel):
    call = channel.unary_unary(f"/{DISCOVERY_SERVICE}/EnumerateComputeNodes")
    assert refusal(call, b"")[0] is Code.UNIMPLEMENTED


def test_mappings_and_lists_come_through_whole(sessions, everything):
    with sessions.reserve_session(everything, ["Sense"]) as one:
        assert one.session_info.channel_list == "0"
        assert one.session_info.channel_mappings == [ChannelMapping("Sense", 0, "0"), ChannelMapping("Sense", 1, "0")]


def test_an_error_of_the_service_keeps_its_kind_for_any_client(raw, pin_map):
    with pytest.raises(grpc.RpcError) as refused:
        raw["ReserveSessions"](request(pin_map, "Vdd"))
    assert kind_of(refused.value) == "PinMapError"


def test_the_service_answers_while_a_large_pin_map_is_read(raw, pin_map):
    groups = "".join(f'<DUTPin name="p{n}"/>' for n in range(100_000))
    text = FULL_MAP.read_text("utf-8").replace("<Pins>", f"<Pins>{groups}", 1)
    update = pin_map_messages.UpdatePinMapFromXmlRequest(pin_map_id="large", pin_map_xml=text)
    reading = raw["UpdatePinMapFromXml"].future(update)
    answers = 0
    while not reading.done():
        raw["GetPinMap"](pin_map_messages.GetPinMapRequest(pin_map_id=pin_map))
        answers += 1
    assert reading.result().pin_map_id == "large"
    assert answers > 2
