"""The session management service: the published procedures, on top of the desk."""

from collections.abc import Iterable, Mapping

from labnb.core import ReservationError, ReservationLost
from labnb.sharing.callers import MODE, OWN_PREFIX, TOKEN, identify
from labnb.sharing.desk import Desk
from labnb.sharing.messages import Message, session_messages
from labnb.sharing.peers import Peers
from labnb.sharing.places import Place
from labnb.sharing.table import Claim, Hold, Mode


class InvalidRequest(ReservationError):
    """A request says what cannot be."""


class SessionService:
    """Reserve, register, list sessions. `peer` is the name that gRPC gives to the caller's connection."""

    def __init__(self, desk: Desk, peers: Peers) -> None:
        self._desk = desk
        self._peers = peers

    async def reserve_sessions(self, request: Message, peer: str) -> Message:
        """Reserve what pins and relays need, all or nothing."""
        timeout_s = timeout_of(request)
        context = request.pin_map_context
        resolution = self._desk.registry.wiring(context.pin_map_id).resolve(
            request.pin_or_relay_names, context.sites, request.instrument_type_id
        )
        response = session_messages.ReserveSessionsResponse()
        for group, members in resolution.groups.items():
            response.group_mappings[group].pin_or_relay_names.extend(members)
        hold = await self._reserve(
            {each.session.name: each.session.places for each in resolution.sessions},
            timeout_s, request.annotations, peer,
        )  # fmt: skip
        for each in resolution.sessions:
            name = each.session.name
            told = response.sessions.add(channel_list=each.channel_list)
            self._tell(told, name, name, each.session.type_id, hold)
            for wire in each.wires:
                told.channel_mappings.add(
                    pin_or_relay_name=wire.connection.name,
                    site=wire.connection.site,
                    channel=wire.channel,
                    multiplexer_resource_name=wire.connection.multiplexer,
                    multiplexer_route=wire.connection.route,
                )
        for name, type_id in resolution.multiplexers.items():
            self._tell_multiplexer(response.multiplexer_sessions.add(), name, type_id)
        return response

    async def unreserve_sessions(self, request: Message, peer: str) -> Message:
        """Give back what is the caller's; what is not is refused after the rest was given back."""
        refused: list[str] = []
        for session in {
            (each.session.name, each.annotations.get(TOKEN, "")): each for each in request.sessions
        }.values():
            name = session.session.name
            try:
                self._desk.release(self._token(name, session.annotations.get(TOKEN), peer), [name])
            except ReservationLost as error:
                refused.append(f"{name}: {error}")
        if refused:
            raise ReservationLost("not reserved by you: " + "; ".join(refused))
        return session_messages.UnreserveSessionsResponse()

    async def register_sessions(self, request: Message, peer: str) -> Message:
        """Note that sessions are open."""
        self._register("session", request.sessions)
        return session_messages.RegisterSessionsResponse()

    async def unregister_sessions(self, request: Message, peer: str) -> Message:
        """Note that sessions are closed."""
        self._desk.registry.unregister("session", [each.session.name for each in request.sessions])
        return session_messages.UnregisterSessionsResponse()

    async def reserve_all_registered_sessions(self, request: Message, peer: str) -> Message:
        """Reserve the sessions that are open, without their channels."""
        timeout_s = timeout_of(request)
        open_ones = {
            name: session
            for name, session in self._registered("session").items()
            if request.instrument_type_id in ("", session.instrument_type_id)
        }
        places = {
            name: self._desk.registry.places(name, session.resource_name, session.instrument_type_id)
            for name, session in open_ones.items()
        }
        hold = await self._reserve(places, timeout_s, request.annotations, peer)
        response = session_messages.ReserveAllRegisteredSessionsResponse()
        still = self._desk.registry.registered["session"]
        for name, session in open_ones.items():
            if name in still:
                self._tell(response.sessions.add(), name, session.resource_name, session.instrument_type_id, hold)
            elif hold is not None:  # it was closed while we waited for it
                self._desk.release(hold.token, [name])
        return response

    async def register_multiplexer_sessions(self, request: Message, peer: str) -> Message:
        """Note that sessions of multiplexers are open."""
        self._register("multiplexer", request.multiplexer_sessions)
        return session_messages.RegisterMultiplexerSessionsResponse()

    async def unregister_multiplexer_sessions(self, request: Message, peer: str) -> Message:
        """Note that sessions of multiplexers are closed."""
        self._desk.registry.unregister("multiplexer", [each.session.name for each in request.multiplexer_sessions])
        return session_messages.UnregisterMultiplexerSessionsResponse()

    async def get_multiplexer_sessions(self, request: Message, peer: str) -> Message:
        """List the multiplexers of a pin map's sites."""
        context = request.pin_map_context
        response = session_messages.GetMultiplexerSessionsResponse()
        for name, type_id in self._desk.registry.wiring(context.pin_map_id).multiplexers(context.sites).items():
            if request.multiplexer_type_id in ("", type_id):
                self._tell_multiplexer(response.multiplexer_sessions.add(), name, type_id)
        return response

    async def get_all_registered_multiplexer_sessions(self, request: Message, peer: str) -> Message:
        """List the multiplexers whose sessions are open."""
        response = session_messages.GetAllRegisteredMultiplexerSessionsResponse()
        self._tell_open_multiplexers(response, request.multiplexer_type_id)
        return response

    async def get_sessions(self, request: Message, peer: str) -> Message:
        """List the sessions that are open or reserved."""
        response = session_messages.GetSessionsResponse()
        known: dict[str, tuple[str, str]] = {}
        for hold in self._desk.table.holds.values():
            known |= {name: (name, self._type_of(name)) for name in hold.claim.sessions}
        for name, session in self._registered("session").items():
            known[name] = (session.resource_name, session.instrument_type_id)
        for name, (resource_name, type_id) in known.items():
            if request.instrument_type_id in ("", type_id):
                hold = next(self._desk.table.holding(name), None)
                self._tell(response.sessions.add(), name, resource_name, type_id, hold, show_token=False)
        self._tell_open_multiplexers(response, request.multiplexer_type_id)
        return response

    # ---- inside

    async def _reserve(
        self, sessions: Mapping[str, frozenset[Place]], timeout_s: float | None, said: Mapping[str, str], peer: str
    ) -> Hold | None:
        if not sessions:
            return None
        return await self._desk.reserve(claim_of(sessions, dict(said), peer, self._peers), timeout_s)

    def _token(self, name: str, told: str | None, peer: str) -> int:
        """Return the hold that a caller means; one that brings no token can mean its own process's only."""
        holds = list(self._desk.table.holding(name))
        if told is not None:
            hold = next((each for each in holds if str(each.token) == told), None)
        else:
            pid = self._peers.pid(peer)
            hold = next((each for each in holds if pid and each.claim.lease.pid == pid), None)
        if hold is None:
            by = f"it is reserved by {holds[0].claim.holder}" if holds else "nobody has reserved it"
            raise ReservationLost(by)
        return hold.token

    def _register(self, kind: str, sessions: Iterable[Message]) -> None:
        kept: list[tuple[str, bytes]] = []
        for session in sessions:
            for key in [key for key in session.annotations if key.startswith(OWN_PREFIX)]:
                del session.annotations[key]
            kept.append((session.session.name, session.SerializeToString()))
        self._desk.registry.register(kind, kept)

    def _registered(self, kind: str) -> dict[str, Message]:
        made = (
            session_messages.SessionInformation if kind == "session" else session_messages.MultiplexerSessionInformation
        )
        return {name: made.FromString(data) for name, data in self._desk.registry.registered[kind].items()}

    def _type_of(self, name: str) -> str:
        return next(
            (
                each.type_id
                for wiring in self._desk.registry.wirings.values()
                for each in wiring.sessions
                if each.name == name
            ),
            "",
        )

    def _tell(
        self, told: Message, name: str, resource_name: str, type_id: str, hold: Hold | None, *, show_token: bool = True
    ) -> None:
        told.session.name = name
        told.resource_name = resource_name
        told.instrument_type_id = type_id
        told.session_reserved = hold is not None
        known = self._desk.registry.registered["session"].get(name)
        if known is not None:
            told.session_exists = True
            told.annotations.update(session_messages.SessionInformation.FromString(known).annotations)
        if hold is not None:
            told.annotations.update(hold.claim.annotations)
            if show_token:
                told.annotations[TOKEN] = str(hold.token)

    def _tell_multiplexer(self, told: Message, name: str, type_id: str) -> None:
        told.session.name = told.resource_name = name
        told.multiplexer_type_id = type_id
        known = self._desk.registry.registered["multiplexer"].get(name)
        if known is not None:
            told.session_exists = True
            told.annotations.update(session_messages.MultiplexerSessionInformation.FromString(known).annotations)

    def _tell_open_multiplexers(self, response: Message, type_id: str) -> None:
        for name, session in self._registered("multiplexer").items():
            if type_id in ("", session.multiplexer_type_id):
                told = response.multiplexer_sessions.add()
                self._tell_multiplexer(told, name, session.multiplexer_type_id)
                told.resource_name = session.resource_name


def timeout_of(request: Message) -> float | None:
    """Return how long a request waits, None for ever. Raises InvalidRequest below -1 ms."""
    milliseconds = request.timeout_in_milliseconds
    if milliseconds < -1:
        raise InvalidRequest(f"timeout_in_milliseconds is {milliseconds}; expected 0, a time, or -1 to wait for ever")
    return None if milliseconds == -1 else milliseconds / 1000


def claim_of(sessions: Mapping[str, frozenset[Place]], said: dict[str, str], peer: str, peers: Peers) -> Claim:
    """Return the claim of a caller. Raises InvalidRequest for a mode that is none."""
    holder, lease = identify(peer, said, peers)
    return Claim(sessions, holder, mode_of(said.get(MODE, "")), lease, said)


def mode_of(text: str) -> Mode:
    """Return the mode that a text names; "" is exclusive. Raises InvalidRequest."""
    if text in ("", "exclusive"):
        return "exclusive"
    if text == "read":
        return "read"
    raise InvalidRequest(f"the mode of a reservation is {text!r}, expected 'exclusive' or 'read'")
