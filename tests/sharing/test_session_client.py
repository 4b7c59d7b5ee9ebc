"""The session management client: names and behaviour of the reference, and its asynchronous twin."""

import abc
import math
from inspect import Signature, signature
from operator import attrgetter

import grpc
import pytest

import labnb.session_management as session_management
from labnb.core import PinMapError, ReservationError, Reserved
from labnb.session_management import (
    AsyncSessionManagementClient,
    MultiSessionReservation,
    PinMapContext,
    SessionInformation,
    SessionManagementClient,
    SingleSessionReservation,
)
from labnb.sharing import AsyncPinMapClient, PinMapClient
from labnb.sharing.calls import milliseconds

from_reference = {
    "BaseReservation", "ChannelMapping", "Client", "GRPC_SERVICE_CLASS", "GRPC_SERVICE_INTERFACE_NAME",
    "MultiSessionReservation", "PinMapContext", "SessionInformation", "SessionManagementClient",
    "SingleSessionReservation",
}  # fmt: skip
TYPES = {
    "NONE": "", "NI_DCPOWER": "niDCPower", "NI_HSDIO": "niHSDIO", "NI_RFSA": "niRFSA", "NI_RFMX": "niRFmx",
    "NI_RFSG": "niRFSG", "NI_RFPM": "niRFPM", "NI_DMM": "niDMM", "NI_DIGITAL_PATTERN": "niDigitalPattern",
    "NI_SCOPE": "niScope", "NI_FGEN": "niFGen", "NI_DAQMX": "niDAQmx", "NI_RELAY_DRIVER": "niRelayDriver",
    "NI_MODEL_BASED_INSTRUMENT": "niModelBasedInstrument",
    "NI_SWITCH_EXECUTIVE_VIRTUAL_DEVICE": "niSwitchExecutiveVirtualDevice",
}  # fmt: skip


@pytest.fixture
def sessions(channel):
    return SessionManagementClient(grpc_channel=channel)


def test_the_references_names_are_here():
    assert from_reference <= set(session_management.__all__)
    assert session_management.Client is SessionManagementClient
    assert session_management.GRPC_SERVICE_CLASS == "ni.measurementlink.sessionmanagement.v1.SessionManagementService"
    assert session_management.GRPC_SERVICE_INTERFACE_NAME == session_management.GRPC_SERVICE_CLASS
    assert PinMapContext._fields == ("pin_map_id", "sites")
    assert session_management.ChannelMapping._fields == ("pin_or_relay_name", "site", "channel")
    assert SessionInformation._fields == (
        "session_name", "resource_name", "channel_list", "instrument_type_id", "session_exists", "channel_mappings",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("place", "parameters"),
    [
        ("SessionManagementClient", "*, grpc_channel"),
        ("SessionManagementClient.reserve_session", "self, context, pin_or_relay_names=None, instrument_type_id=None, timeout=None"),
        ("SessionManagementClient.reserve_sessions", "self, context, pin_or_relay_names=None, instrument_type_id=None, timeout=None"),
        ("SessionManagementClient.register_sessions", "self, session_info"),
        ("SessionManagementClient.unregister_sessions", "self, session_info"),
        ("SessionManagementClient.reserve_all_registered_sessions", "self, instrument_type_id=None, timeout=None"),
        ("BaseReservation", "session_manager, session_info"),
        ("SingleSessionReservation", "session_manager, session_info"),
        ("MultiSessionReservation", "session_manager, session_info"),
        ("BaseReservation.__enter__", "self"),
        ("BaseReservation.__exit__", "self, exc_type, exc_val, traceback"),
        ("BaseReservation.unreserve", "self"),
    ],
)  # fmt: skip
def test_the_references_calls_take_the_same_parameters(place, parameters):
    found = attrgetter(place)(session_management)
    bare = [each.replace(annotation=each.empty) for each in signature(found).parameters.values()]
    assert str(Signature(bare)) == f"({parameters})"


def test_the_references_classes_are_related_as_there():
    for kind in (session_management.SingleSessionReservation, session_management.MultiSessionReservation):
        assert issubclass(kind, session_management.BaseReservation)
    assert issubclass(session_management.BaseReservation, abc.ABC)
    for kind in (PinMapContext, session_management.ChannelMapping, SessionInformation):
        assert issubclass(kind, tuple)


@pytest.mark.parametrize("name", TYPES)
def test_the_type_ids_are_the_references(name):
    assert getattr(session_management, f"INSTRUMENT_TYPE_{name}") == TYPES[name]


def test_reservation_is_deprecated_for_multi_session_reservation():
    with pytest.warns(DeprecationWarning, match="MultiSessionReservation"):
        assert session_management.Reservation is MultiSessionReservation
    with pytest.raises(AttributeError, match="Nothing"):
        session_management.Nothing  # noqa: B018


@pytest.mark.parametrize(
    ("timeout", "sent"),
    [(None, 0), (0, 0), (0.5, 500), (-1, -1), (-0.001, -1), (-7, -1), (math.inf, -1), (0.0004, 0), (1.2345, 1234)],
)
def test_timeouts_go_over_the_wire_in_milliseconds(timeout, sent):
    assert milliseconds(timeout) == sent


@pytest.mark.parametrize("timeout", [math.nan, 3e6])
def test_what_is_no_time_is_refused(timeout):
    with pytest.raises(ReservationError, match="timeout"):
        milliseconds(timeout)


def test_a_single_session_is_reserved_for_a_block(sessions, pin_map, client):
    context = PinMapContext(pin_map, [0])
    with sessions.reserve_session(context, ["Vcc"], "niDCPower", 0) as reservation:
        assert isinstance(reservation, SingleSessionReservation)
        assert reservation.session_info.resource_name == "SMU1/0, SMU1/1"
        assert client.situation().of("SMU1/0, SMU1/1")
    assert client.situation().reservations == ()


def test_a_block_that_fails_unreserves_and_its_error_is_told(sessions, pin_map, client):
    with pytest.raises(ZeroDivisionError), sessions.reserve_sessions(PinMapContext(pin_map, [])):
        raise ZeroDivisionError
    assert client.situation().reservations == ()


def test_one_name_may_be_a_text(sessions, pin_map):
    with sessions.reserve_session(PinMapContext(pin_map, None), "Trig") as reservation:
        assert reservation.session_info.channel_list == "SMU1/1"


def test_none_or_several_sessions_are_no_single_session_and_stay_free(sessions, pin_map, client):
    context = PinMapContext(pin_map, None)
    with pytest.raises(ValueError, match=r"^No sessions reserved. Expected single session, got 0 sessions.$"):
        sessions.reserve_session(context, "Vcc", "niDMM")
    with pytest.raises(ValueError, match=r"^Too many sessions reserved. Expected single session, got 8 sessions.$"):
        sessions.reserve_session(context)
    assert client.situation().reservations == ()


def test_an_error_is_ours_and_the_transports(sessions, pin_map):
    with pytest.raises(PinMapError, match="'Vdd'") as ours:
        sessions.reserve_session(PinMapContext(pin_map, None), "Vdd")
    assert isinstance(ours.value, grpc.RpcError)
    assert ours.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "Vdd" in ours.value.details()


def test_a_service_that_is_not_there_is_told_with_what_to_do(service):
    service.end()
    with grpc.insecure_channel(service.address) as channel:
        lonely = SessionManagementClient(grpc_channel=channel)
        with pytest.raises(ReservationError, match=r"cannot be reached .*labnb serve") as gone:
            lonely.reserve_sessions(PinMapContext("x", None))
    assert not isinstance(gone.value, Reserved)


def test_a_pin_map_that_cannot_be_read_is_refused_before_anything_is_sent(channel, tmp_path):
    maps = PinMapClient(grpc_channel=channel)
    with pytest.raises(PinMapError, match="cannot be read"):
        maps.update_pin_map(tmp_path / "none.pinmap")
    (tmp_path / "binary.pinmap").write_bytes(b"\xff\x00")
    with pytest.raises(PinMapError, match="not UTF-8"):
        maps.update_pin_map(tmp_path / "binary.pinmap")
    (tmp_path / "wide.pinmap").write_text("<PinMap/>", "utf-16")
    with pytest.raises(PinMapError, match=r"wide.pinmap is not UTF-8: .*; save it as UTF-8"):
        maps.update_pin_map(tmp_path / "wide.pinmap")
    (tmp_path / "bad.pinmap").write_text("<PinMap/>", "utf-8-sig")
    with pytest.raises(PinMapError, match="outermost element"):
        maps.update_pin_map(tmp_path / "bad.pinmap")


async def test_the_asynchronous_client_does_the_same(service, pin_map):
    async with grpc.aio.insecure_channel(service.address) as channel:
        sessions = AsyncSessionManagementClient(grpc_channel=channel)
        assert await AsyncPinMapClient(grpc_channel=channel).update_pin_map(pin_map) == pin_map
        context = PinMapContext(pin_map, None)
        async with await sessions.reserve_session(context, "Sense") as one:
            assert one.session_info.session_name == "DMM1"
            with pytest.raises(Reserved):
                await sessions.reserve_sessions(context)
            await sessions.register_sessions([one.session_info])
        async with await sessions.reserve_all_registered_sessions(timeout=-1) as every:
            assert [each.session_name for each in every.session_info] == ["DMM1"]
        await sessions.unregister_sessions(every.session_info)
        async with await sessions.reserve_sessions(context, timeout=0.5) as all_of_them:
            assert len(all_of_them.session_info) == 8
        with pytest.raises(ValueError, match="got 8 sessions"):
            await sessions.reserve_session(context)
        with pytest.raises(ValueError, match="got 0 sessions"):
            await sessions.reserve_session(context, [], "none")
        with pytest.raises(PinMapError):
            await AsyncPinMapClient(grpc_channel=channel).update_pin_map("none.pinmap")
