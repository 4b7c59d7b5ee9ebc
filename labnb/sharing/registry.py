"""Which pin maps were uploaded, and which driver sessions are open."""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from labnb.core import PinMapError, ReservationError
from labnb.sharing.journal import Entry
from labnb.sharing.pin_map_xml import read_pin_map
from labnb.sharing.places import Place
from labnb.sharing.resolving import Wiring, session_places


class NotRegistered(PinMapError):
    """A request is for a pin map that nobody uploaded."""


class AlreadyRegistered(ReservationError):
    """A name is taken."""


class Registry:
    """Pin maps by id; open sessions and multiplexers by name, as they were told. `write` is given each change."""

    def __init__(self, write: Callable[[Entry], None]) -> None:
        self._write = write
        self.wirings: dict[str, Wiring] = {}
        self.registered: dict[str, dict[str, bytes]] = {"session": {}, "multiplexer": {}}
        self._pin_map_texts: dict[str, str] = {}

    async def keep_pin_map(self, pin_map_id: str, text: str, *, new: bool = False) -> None:
        """Keep a pin map under its name, instead of an earlier one if it need not be `new`.

        It is read beside the event loop: a large one takes a second. Raises PinMapError and leaves the earlier.
        """
        if not pin_map_id.strip():
            raise PinMapError("the pin map's id is empty", pin_map_id)
        if not new and self._pin_map_texts.get(pin_map_id) == text:
            return
        self._check_new(pin_map_id, new)
        wiring = await asyncio.to_thread(_wiring, text)
        self._check_new(pin_map_id, new)  # another may have been faster
        self.wirings[pin_map_id], self._pin_map_texts[pin_map_id] = wiring, text
        self._write({"do": "pin map", "name": pin_map_id, "text": text})

    def _check_new(self, pin_map_id: str, new: bool) -> None:
        if new and pin_map_id in self.wirings:
            raise AlreadyRegistered(f"the pin map {pin_map_id!r} is registered already; update it instead")

    def wiring(self, pin_map_id: str) -> Wiring:
        """Return a pin map's wiring. Raises NotRegistered."""
        try:
            return self.wirings[pin_map_id]
        except KeyError:
            known = ", ".join(self.wirings) or "none"
            raise NotRegistered(
                f"no pin map {pin_map_id!r} is registered; upload it first (there are: {known})", pin_map_id
            ) from None

    def register(self, kind: str, sessions: list[tuple[str, bytes]]) -> None:
        """Note that sessions are open, all or none. Raises AlreadyRegistered, and PinMapError for an empty name."""
        known, new = self.registered[kind], set[str]()
        for name, _ in sessions:
            if not name:
                raise PinMapError(f"a {kind} to register has no name", name)
            if name in known or name in new:
                raise AlreadyRegistered(f"the {kind} {name!r} is registered already")
            new.add(name)
        for name, data in sessions:
            known[name] = data
            self._write({"do": "register", "kind": kind, "name": name, "data": data.hex()})

    def unregister(self, kind: str, names: Iterable[str]) -> None:
        """Note that sessions are closed; those that were not open are left alone."""
        for name in names:
            if self.registered[kind].pop(name, None) is not None:
                self._write({"do": "unregister", "kind": kind, "name": name})

    def places(self, name: str, resource_name: str, type_id: str) -> frozenset[Place]:
        """Return what a registered session locks: what pin maps say of it, else what its resource name says."""
        found = [
            session.places
            for wiring in self.wirings.values()
            for session in wiring.sessions
            if (session.name, session.type_id) == (name, type_id)
        ]
        return frozenset[Place]().union(*found) or session_places(resource_name or name, type_id)

    def entries(self) -> Iterator[Entry]:
        """Yield what brings another registry to this state."""
        for name, text in self._pin_map_texts.items():
            yield {"do": "pin map", "name": name, "text": text}
        for kind, known in self.registered.items():
            for name, data in known.items():
                yield {"do": "register", "kind": kind, "name": name, "data": data.hex()}

    def replay(self, entry: Entry) -> bool:
        """Do again what an entry says; return whether it was one of ours."""
        match entry["do"]:
            case "pin map":
                name, text = str(entry["name"]), str(entry["text"])
                self.wirings[name], self._pin_map_texts[name] = _wiring(text), text
            case "register":
                self.registered[str(entry["kind"])][str(entry["name"])] = bytes.fromhex(str(entry["data"]))
            case "unregister":
                del self.registered[str(entry["kind"])][str(entry["name"])]
            case _:
                return False
        return True


def _wiring(text: str) -> Wiring:
    return Wiring(read_pin_map(text))
