"""Which sessions on a bench are open, and who may use the instrument behind one.

The first half of PyVISA's library interface; the other one is `labnb.sim.backend`. PyVISA keeps one library for each
class and path, so the bench is looked up when it is used, not when it is opened.
"""

import itertools
from typing import Any, Never

from pyvisa import attributes, constants, errors, highlevel, rname
from pyvisa.constants import EventType, Lock, StatusCode

from labnb.sim.bench import Bench
from labnb.sim.interface import Reason
from labnb.sim.port import Port
from labnb.sim.registry import find_bench
from labnb.sim.sharing import LockState
from labnb.sim.visa_attributes import default_of, fixed_attributes, kind_of, known_attribute
from labnb.sim.visa_events import Handler
from labnb.sim.visa_names import Expression, InvalidExpression
from labnb.sim.visa_session import Session, seconds

_STATUS: dict[Reason, StatusCode] = {
    "end": StatusCode.success,
    "termination": StatusCode.success_termination_character_read,
    "count": StatusCode.success_max_count_read,
    "timeout": StatusCode.error_timeout,
    "lost": StatusCode.error_connection_lost,
    "unheard": StatusCode.error_no_listeners,
}
_NESTED: dict[LockState, StatusCode] = {
    "none": StatusCode.success,
    "exclusive": StatusCode.success_nested_exclusive,
    "shared": StatusCode.success_nested_shared,
}


class SessionTable(highlevel.VisaLibraryBase):
    """A VISA library that opens, closes and locks."""

    def _init(self) -> None:
        find_bench(str(self.library_path))
        self._sessions: dict[int, Session | None] = {}  # None: a resource manager's
        self._contexts: dict[int, EventType] = {}
        self._numbers = itertools.count(1)

    @property
    def bench(self) -> Bench:
        """The bench behind this library."""
        return find_bench(str(self.library_path))

    def _fail(self, session: Any, status: StatusCode) -> Never:
        self.handle_return_value(session, status)
        raise errors.VisaIOError(status)  # it has been raised above: the status is an error

    def _session(self, session: Any) -> Session:
        """Return an opened instrument. Raises VI_ERROR_INV_OBJECT."""
        found = self._sessions.get(session)
        return self._fail(None, StatusCode.error_invalid_object) if found is None else found

    def _usable(self, session: Any) -> Session:
        """Return an opened instrument that nobody else has locked. Raises VI_ERROR_RSRC_LOCKED."""
        found = self._session(session)
        if not found.port.locks.allows(found):
            self._fail(session, StatusCode.error_resource_locked)
        return found

    def _ok(self, session: Any) -> StatusCode:
        return self.handle_return_value(session, StatusCode.success)

    def _done(self, session: Any, found: Session, reason: Reason) -> StatusCode:
        """Call the handlers of what has happened; return how a transfer ended, or raise it."""
        found.port.timeline.let_go()
        return self.handle_return_value(session, _STATUS[reason])

    # --- sessions ---

    def open_default_resource_manager(self) -> tuple[Any, StatusCode]:
        """Open the bench."""
        number = next(self._numbers)
        self._sessions[number] = None
        return number, self._ok(number)

    def list_resources(self, session: Any, query: str = "?*::INSTR") -> tuple[str, ...]:
        """Return the addresses of what is plugged in and meant by a VISA expression, as they were given."""
        try:
            expression = Expression(query)
        except InvalidExpression:
            self._fail(session, StatusCode.error_invalid_expression)
        return tuple(port.instrument.address for port in self.bench.ports if port.plugged and _meant(port, expression))

    def open(
        self,
        session: Any,
        resource_name: str,
        access_mode: Any = constants.AccessModes.no_lock,
        open_timeout: int = constants.VI_TMO_IMMEDIATE,
    ) -> tuple[Any, StatusCode]:
        """Open an instrument."""
        try:
            name = rname.ResourceName.from_string(resource_name)
        except (rname.InvalidResourceName, ValueError):
            self._fail(session, StatusCode.error_invalid_resource_name)
        port = next((port for port in self.bench.ports if _same(port.instrument.address, str(name))), None)
        connection = port.connect() if port is not None else None
        if port is None or connection is None:
            self._fail(session, StatusCode.error_resource_not_found)
        number = next(self._numbers)
        opened = self._sessions[number] = Session(
            name, port, connection, session, lambda each: self._handle(number, each)
        )
        port.sessions.add(opened)
        for mode, kind in ((Lock.exclusive, Lock.exclusive), (Lock.shared, Lock.shared)):
            if int(access_mode) & mode:
                self._lock_or_close(number, kind, open_timeout)
        return number, self._ok(number)

    def _lock_or_close(self, number: int, kind: Lock, timeout: int) -> None:
        try:
            self.lock(number, kind, timeout)
        except errors.VisaIOError:
            self.close(number)
            raise

    def close(self, session: Any) -> StatusCode:
        """Close an instrument, an event, or the bench with all that was opened through it."""
        if self._contexts.pop(session, None) is not None:
            return self.handle_return_value(None, StatusCode.success)
        if session not in self._sessions:
            self._fail(None, StatusCode.error_invalid_object)
        closed = self._sessions.pop(session)
        if closed is not None:
            closed.port.sessions.discard(closed)
            closed.close()
        else:
            for number, each in tuple(self._sessions.items()):
                if each is not None and each.manager == session:
                    self.close(number)
        return self.handle_return_value(None, StatusCode.success)

    def _handle(self, session: int, handler: Handler) -> object:
        """Call a handler of `session`."""
        raise NotImplementedError

    # --- locks ---

    def lock(self, session: Any, lock_type: Any, timeout: int, requested_key: str | None = None) -> tuple[str, Any]:
        """Lock the instrument for this session, or for all that know a key; wait for it up to `timeout` ms."""
        found = self._session(session)
        if lock_type not in (Lock.exclusive, Lock.shared):
            self._fail(session, StatusCode.error_invalid_lock_type)
        locks, timeline, keys = found.port.locks, found.port.timeline, list[str]()

        def locked() -> bool:
            if lock_type == Lock.exclusive:
                return locks.take_exclusive(found)
            key = locks.take_shared(found, requested_key)
            keys.extend([] if key is None else [key])
            return key is not None

        with timeline.changed:
            done = timeline.wait_for(locked, seconds(timeout))
        timeline.let_go()
        if not done:
            self._fail(session, StatusCode.error_resource_locked)
        return "".join(keys), self._ok(session)

    def unlock(self, session: Any) -> StatusCode:
        """Undo one lock."""
        found = self._session(session)
        with found.port.timeline.changed:
            left = found.port.locks.release(found)
            found.port.timeline.changed.notify_all()
        return self.handle_return_value(session, StatusCode.error_session_not_locked if left is None else _NESTED[left])


def _same(address: str, canonical: str) -> bool:
    return str(rname.ResourceName.from_string(address)).upper() == canonical.upper()


def _meant(port: Port, expression: Expression) -> bool:
    name = rname.ResourceName.from_string(port.instrument.address)

    def lookup(attribute: int) -> object:
        known = known_attribute(attribute, kind_of(name))
        if known is None:
            return None
        value = port.shared.get(attribute, default_of(known, fixed_attributes(name, port)))
        return None if value is attributes.NotAvailable else value

    return expression.finds(port.instrument.address, lookup)
