"""The client of the session management service, with the names and the behaviour of the published one."""

import abc
from collections.abc import Iterable, Sequence
from functools import cached_property
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from labnb.sharing.callers import introduction
from labnb.sharing.calls import milliseconds, procedures, translated
from labnb.sharing.messages import SESSION_SERVICE, Message, session_messages
from labnb.sharing.transport import grpc

GRPC_SERVICE_INTERFACE_NAME = SESSION_SERVICE
GRPC_SERVICE_CLASS = SESSION_SERVICE
INSTRUMENT_TYPE_NONE = ""
INSTRUMENT_TYPE_NI_DCPOWER = "niDCPower"
INSTRUMENT_TYPE_NI_HSDIO = "niHSDIO"
INSTRUMENT_TYPE_NI_RFSA = "niRFSA"
INSTRUMENT_TYPE_NI_RFMX = "niRFmx"
INSTRUMENT_TYPE_NI_RFSG = "niRFSG"
INSTRUMENT_TYPE_NI_RFPM = "niRFPM"
INSTRUMENT_TYPE_NI_DMM = "niDMM"
INSTRUMENT_TYPE_NI_DIGITAL_PATTERN = "niDigitalPattern"
INSTRUMENT_TYPE_NI_SCOPE = "niScope"
INSTRUMENT_TYPE_NI_FGEN = "niFGen"
INSTRUMENT_TYPE_NI_DAQMX = "niDAQmx"
INSTRUMENT_TYPE_NI_RELAY_DRIVER = "niRelayDriver"
INSTRUMENT_TYPE_NI_MODEL_BASED_INSTRUMENT = "niModelBasedInstrument"
INSTRUMENT_TYPE_NI_SWITCH_EXECUTIVE_VIRTUAL_DEVICE = "niSwitchExecutiveVirtualDevice"

Names = str | Iterable[str] | None


class PinMapContext(NamedTuple):
    """A pin map, by the id that it was uploaded with, and the sites to be measured (None or empty: all)."""

    pin_map_id: str
    sites: list[int] | None


class ChannelMapping(NamedTuple):
    """Which pin or relay a channel is connected to; `site` is -1 for the system's."""

    pin_or_relay_name: str
    site: int
    channel: str


class SessionInformation(NamedTuple):
    """One driver session.

    `session_name` is its name for everybody, `resource_name` and `channel_list` are what a driver is opened with;
    `session_exists` says that somebody has opened and registered it. `channel_mappings` are in the order of
    `channel_list`. Both are empty from `reserve_all_registered_sessions`.
    """

    session_name: str
    resource_name: str
    channel_list: str
    instrument_type_id: str
    session_exists: bool
    channel_mappings: Iterable[ChannelMapping]


class BaseReservation(abc.ABC):  # noqa: B024  the published one is abstract in name
    """Sessions that are reserved until `unreserve`, or until the end of a `with` block."""

    def __init__(self, session_manager: "SessionManagementClient", session_info: Sequence[Message]) -> None:
        self._session_manager = session_manager
        self._session_info = session_info

    def __enter__(self) -> Self:
        """Return this."""
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        """Unreserve."""
        self.unreserve()
        return False

    def unreserve(self) -> None:
        """Give the sessions back. Raises ReservationLost if they were taken away meanwhile."""
        self._session_manager._unreserve_sessions(self._session_info)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  one class in two


class SingleSessionReservation(BaseReservation):
    """One session that is reserved."""

    @cached_property
    def session_info(self) -> SessionInformation:
        """The session."""
        return _from_message(self._session_info[0])


class MultiSessionReservation(BaseReservation):
    """Sessions that are reserved."""

    @cached_property
    def session_info(self) -> list[SessionInformation]:
        """The sessions."""
        return [_from_message(each) for each in self._session_info]


class SessionManagementClient:
    """Reserves and registers driver sessions at the service behind `grpc_channel`.

    What the service refuses is raised as labnb's own error (Reserved, ReservationLost, PinMapError, ReservationError),
    which is a `grpc.RpcError` with `code()` and `details()` as well.
    """

    def __init__(self, *, grpc_channel: grpc.Channel) -> None:
        self._procedures = procedures(grpc_channel, SESSION_SERVICE)
        self._introduction = introduction()

    def reserve_session(
        self,
        context: PinMapContext,
        pin_or_relay_names: Names = None,
        instrument_type_id: str | None = None,
        timeout: float | None = None,
    ) -> SingleSessionReservation:
        """Reserve the one session that pins, relays or groups need at the sites of `context`.

        Without names all are meant, without a type all types. `timeout` in s: 0 (or None) fails at once, any below 0
        waits for ever. Raises ValueError if it is not one session, Reserved if others keep it.
        """
        request = _reserve_request(context, pin_or_relay_names, instrument_type_id, timeout, self._introduction)
        sessions = self._call("ReserveSessions", request).sessions
        if len(sessions) > 1:
            self._unreserve_sessions(sessions)
        return SingleSessionReservation(self, _only(sessions))

    def reserve_sessions(
        self,
        context: PinMapContext,
        pin_or_relay_names: Names = None,
        instrument_type_id: str | None = None,
        timeout: float | None = None,
    ) -> MultiSessionReservation:
        """Reserve, all or none, the sessions that pins, relays or groups need; see `reserve_session`."""
        request = _reserve_request(context, pin_or_relay_names, instrument_type_id, timeout, self._introduction)
        return MultiSessionReservation(self, self._call("ReserveSessions", request).sessions)

    def register_sessions(self, session_info: Iterable[SessionInformation]) -> None:
        """Tell that sessions are open, and must be closed later. Raises if one of that name is registered."""
        self._call("RegisterSessions", _register_request(session_info))

    def unregister_sessions(self, session_info: Iterable[SessionInformation]) -> None:
        """Tell that sessions are closed, and must be opened anew before they are used."""
        self._call("UnregisterSessions", _unregister_request(session_info))

    def reserve_all_registered_sessions(
        self, instrument_type_id: str | None = None, timeout: float | None = None
    ) -> MultiSessionReservation:
        """Reserve, all or none, the sessions that are registered (of one type); see `reserve_session`."""
        request = _reserve_all_request(instrument_type_id, timeout, self._introduction)
        return MultiSessionReservation(self, self._call("ReserveAllRegisteredSessions", request).sessions)

    def _unreserve_sessions(self, session_info: Iterable[Message]) -> None:
        self._call("UnreserveSessions", session_messages.UnreserveSessionsRequest(sessions=session_info))

    def _call(self, name: str, request: Message) -> Message:
        try:
            return self._procedures[name](request)
        except grpc.RpcError as error:
            raise translated(error) from error


Client = SessionManagementClient
"""The same, under the name of older programs."""


class AsyncBaseReservation:
    """Sessions that are reserved until `unreserve`, or until the end of an `async with` block."""

    def __init__(self, session_manager: "AsyncSessionManagementClient", session_info: Sequence[Message]) -> None:
        self._session_manager = session_manager
        self._session_info = session_info

    async def __aenter__(self) -> Self:
        """Return this."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Unreserve."""
        await self.unreserve()

    async def unreserve(self) -> None:
        """Give the sessions back. Raises ReservationLost if they were taken away meanwhile."""
        await self._session_manager._unreserve_sessions(self._session_info)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  one class in two


class AsyncSingleSessionReservation(AsyncBaseReservation):
    """One session that is reserved."""

    @cached_property
    def session_info(self) -> SessionInformation:
        """The session."""
        return _from_message(self._session_info[0])


class AsyncMultiSessionReservation(AsyncBaseReservation):
    """Sessions that are reserved."""

    @cached_property
    def session_info(self) -> list[SessionInformation]:
        """The sessions."""
        return [_from_message(each) for each in self._session_info]


class AsyncSessionManagementClient:
    """SessionManagementClient for event loops: the same methods, to be awaited."""

    def __init__(self, *, grpc_channel: "grpc.aio.Channel") -> None:
        self._procedures = procedures(grpc_channel, SESSION_SERVICE)
        self._introduction = introduction()

    async def reserve_session(
        self,
        context: PinMapContext,
        pin_or_relay_names: Names = None,
        instrument_type_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  the service waits, not we
    ) -> AsyncSingleSessionReservation:
        """Reserve the one session that pins, relays or groups need; see SessionManagementClient."""
        request = _reserve_request(context, pin_or_relay_names, instrument_type_id, timeout, self._introduction)
        sessions = (await self._call("ReserveSessions", request)).sessions
        if len(sessions) > 1:
            await self._unreserve_sessions(sessions)
        return AsyncSingleSessionReservation(self, _only(sessions))

    async def reserve_sessions(
        self,
        context: PinMapContext,
        pin_or_relay_names: Names = None,
        instrument_type_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> AsyncMultiSessionReservation:
        """Reserve, all or none, the sessions that pins, relays or groups need."""
        request = _reserve_request(context, pin_or_relay_names, instrument_type_id, timeout, self._introduction)
        return AsyncMultiSessionReservation(self, (await self._call("ReserveSessions", request)).sessions)

    async def register_sessions(self, session_info: Iterable[SessionInformation]) -> None:
        """Tell that sessions are open. Raises if one of that name is registered."""
        await self._call("RegisterSessions", _register_request(session_info))

    async def unregister_sessions(self, session_info: Iterable[SessionInformation]) -> None:
        """Tell that sessions are closed."""
        await self._call("UnregisterSessions", _unregister_request(session_info))

    async def reserve_all_registered_sessions(
        self,
        instrument_type_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  as above
    ) -> AsyncMultiSessionReservation:
        """Reserve, all or none, the sessions that are registered (of one type)."""
        request = _reserve_all_request(instrument_type_id, timeout, self._introduction)
        return AsyncMultiSessionReservation(self, (await self._call("ReserveAllRegisteredSessions", request)).sessions)

    async def _unreserve_sessions(self, session_info: Iterable[Message]) -> None:
        await self._call("UnreserveSessions", session_messages.UnreserveSessionsRequest(sessions=session_info))

    async def _call(self, name: str, request: Message) -> Message:
        try:
            return await self._procedures[name](request)
        except grpc.RpcError as error:
            raise translated(error) from error


# ---- requests and answers, for both clients


def _reserve_request(
    context: PinMapContext, names: Names, type_id: str | None, timeout: float | None, said: dict[str, str]
) -> Message:
    return session_messages.ReserveSessionsRequest(
        pin_map_context={"pin_map_id": context.pin_map_id, "sites": context.sites or []},
        pin_or_relay_names=[names] if isinstance(names, str) else list(names or ()),
        instrument_type_id=type_id or "",
        timeout_in_milliseconds=milliseconds(timeout),
        annotations=said,
    )


def _reserve_all_request(type_id: str | None, timeout: float | None, said: dict[str, str]) -> Message:
    return session_messages.ReserveAllRegisteredSessionsRequest(
        instrument_type_id=type_id or "", timeout_in_milliseconds=milliseconds(timeout), annotations=said
    )


def _register_request(sessions: Iterable[SessionInformation]) -> Message:
    return session_messages.RegisterSessionsRequest(sessions=map(_to_message, sessions))


def _unregister_request(sessions: Iterable[SessionInformation]) -> Message:
    return session_messages.UnregisterSessionsRequest(sessions=map(_to_message, sessions))


def _only(sessions: Sequence[Any]) -> Sequence[Message]:  # Any: protobuf's repeated fields have no static type
    """Return the sessions, if they are one."""
    if len(sessions) == 0:
        raise ValueError("No sessions reserved. Expected single session, got 0 sessions.")
    if len(sessions) > 1:
        raise ValueError(f"Too many sessions reserved. Expected single session, got {len(sessions)} sessions.")
    return sessions


def _from_message(message: Message) -> SessionInformation:
    return SessionInformation(
        session_name=message.session.name,
        resource_name=message.resource_name,
        channel_list=message.channel_list,
        instrument_type_id=message.instrument_type_id,
        session_exists=message.session_exists,
        channel_mappings=[
            ChannelMapping(each.pin_or_relay_name, each.site, each.channel) for each in message.channel_mappings
        ],
    )


def _to_message(information: SessionInformation) -> Message:
    return session_messages.SessionInformation(
        session={"name": information.session_name},
        resource_name=information.resource_name,
        channel_list=information.channel_list,
        instrument_type_id=information.instrument_type_id,
        session_exists=information.session_exists,
        channel_mappings=[
            {"pin_or_relay_name": each.pin_or_relay_name, "site": each.site, "channel": each.channel}
            for each in information.channel_mappings
        ],
    )
