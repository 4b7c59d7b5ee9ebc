"""How PyVISA reaches a simulated bench: the 24 methods of its library interface that instruments use.

Signatures and names are PyVISA's (`pyvisa.highlevel.VisaLibraryBase`); so are `Any` and the loose types.
PyVISA keeps one library for each class and path, so the bench is looked up when it is used, not when it is opened.
"""

import itertools
import math
from typing import Any, final

from pyvisa import attributes, constants, errors, highlevel, rname
from pyvisa.constants import EventType, InterfaceType, ResourceAttribute, SerialTermination, StatusCode
from pyvisa.util import LibraryPath

from labnb.sim.bench import Bench
from labnb.sim.port import Port, Reason
from labnb.sim.registry import DEFAULT, bench_names, find_bench, full_name

_STATUS: dict[Reason, StatusCode] = {
    "end": StatusCode.success,
    "termination": StatusCode.success_termination_character_read,
    "count": StatusCode.success_max_count_read,
    "timeout": StatusCode.error_timeout,
    "lost": StatusCode.error_connection_lost,
}
_DISCARDS_INPUT = (
    constants.BufferOperation.discard_read_buffer
    | constants.BufferOperation.discard_read_buffer_no_io
    | constants.BufferOperation.discard_receive_buffer
    | constants.BufferOperation.discard_receive_buffer2
)


@final
class _Session:
    """One opened instrument."""

    def __init__(self, name: rname.ResourceName, port: Port) -> None:
        self.port = port
        self.kind = (name.interface_type_const, name.resource_class)
        self.enabled: set[EventType] = set()
        self.handlers: list[tuple[EventType, Any, Any]] = []  # Any: PyVISA's callbacks
        self.locks = 0
        self.attributes: dict[int, Any] = {  # Any: an attribute may be anything
            ResourceAttribute.resource_name: str(name),
            ResourceAttribute.resource_class: name.resource_class,
            ResourceAttribute.interface_type: name.interface_type_const,
            ResourceAttribute.interface_number: _board(name),
            ResourceAttribute.resource_manufacturer_name: "labnb",
        }

    @property
    def timeout_s(self) -> float:
        value = self.attributes.get(ResourceAttribute.timeout_value, 2000)
        return math.inf if value == constants.VI_TMO_INFINITE else value / 1000

    @property
    def marks_end(self) -> bool:
        """Raw sockets and serial lines have no END; elsewhere a write ends its message unless told not to."""
        return self.port.instrument.discards_unread and bool(
            self.attributes.get(ResourceAttribute.send_end_enabled, True)
        )

    @property
    def termination(self) -> bytes | None:
        """The character that ends a read; a serial line has one unless its END is set otherwise."""
        get = self.attributes.get
        serial = self.kind[0] == InterfaceType.asrl and (
            get(ResourceAttribute.asrl_end_in, SerialTermination.termination_char) == SerialTermination.termination_char
        )
        if not serial and not get(ResourceAttribute.termchar_enabled):
            return None
        return bytes([get(ResourceAttribute.termchar, 10)])

    @property
    def shut_out(self) -> bool:
        """Another session has locked the instrument."""
        return self.port.locked_by not in (None, self)


def _board(name: rname.ResourceName) -> int:
    board = getattr(name, "board", 0)
    return int(board) if str(board).isdigit() else 0


@final
class LabnbVisaLibrary(highlevel.VisaLibraryBase):
    """PyVISA's view of one bench."""

    def __new__(cls, library_path: str | LibraryPath = "") -> highlevel.VisaLibraryBase:
        """Return the library of a bench, one for each file however its path is written; take a changed file anew."""
        if library_path == "":
            return super().__new__(cls, library_path)
        name = full_name(str(library_path))
        find_bench(name)
        return super().__new__(cls, LibraryPath(name, "user specified"))

    @staticmethod
    def get_library_paths() -> tuple[LibraryPath, ...]:
        """Return the bench that `@labnb` alone opens."""
        return (LibraryPath(DEFAULT),)

    @staticmethod
    def get_debug_info() -> dict[str, str]:
        """Return the benches' names, for `pyvisa-info`."""
        return {"Benches": ", ".join(bench_names())}

    def _init(self) -> None:
        find_bench(str(self.library_path))
        self._sessions: dict[int, _Session | None] = {}  # None: a resource manager's
        self._numbers = itertools.count(1)

    @property
    def bench(self) -> Bench:
        """The bench behind this library."""
        return find_bench(str(self.library_path))

    def _session(self, session: Any) -> _Session:
        found = self._sessions.get(session)
        if found is None:
            raise errors.InvalidSession
        return found

    def _open_session(self, session: Any) -> _Session:
        found = self._session(session)
        if found.shut_out:
            self.handle_return_value(session, StatusCode.error_resource_locked)
        return found

    def _ok(self, session: Any) -> StatusCode:
        return self.handle_return_value(session, StatusCode.success)

    # --- sessions ---

    def open_default_resource_manager(self) -> tuple[Any, StatusCode]:
        """Open the bench."""
        number = next(self._numbers)
        self._sessions[number] = None
        return number, self._ok(number)

    def list_resources(self, session: Any, query: str = "?*::INSTR") -> tuple[str, ...]:
        """Return the addresses of what is plugged in, as they were given."""
        return rname.filter([port.instrument.address for port in self.bench.ports if port.plugged], query)

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
        except rname.InvalidResourceName:
            return 0, self.handle_return_value(session, StatusCode.error_invalid_resource_name)
        port = next((port for port in self.bench.ports if _same(port.instrument.address, str(name))), None)
        if port is None or not port.plugged:
            return 0, self.handle_return_value(session, StatusCode.error_resource_not_found)
        number = next(self._numbers)
        opened = self._sessions[number] = _Session(name, port)
        port.sessions.add(opened)
        if access_mode & constants.AccessModes.exclusive_lock:
            try:
                self.lock(number, constants.Lock.exclusive, open_timeout)
            except errors.VisaIOError:
                self.close(number)
                raise
        return number, self._ok(number)

    def close(self, session: Any) -> StatusCode:
        """Close an instrument or the bench; a lock is given back."""
        if session not in self._sessions:
            raise errors.InvalidSession
        closed = self._sessions.pop(session)
        if closed is not None:
            closed.port.sessions.discard(closed)
            if closed.port.locked_by is closed:
                closed.port.locked_by = None
        return self.handle_return_value(None, StatusCode.success)

    # --- messages ---

    def write(self, session: Any, data: bytes) -> tuple[int, StatusCode]:
        """Send bytes."""
        found = self._open_session(session)
        reason = found.port.send(bytes(data), end=found.marks_end, timeout_s=found.timeout_s)
        status = self.handle_return_value(session, _STATUS[reason])
        self._call_handlers(session, found)
        return len(data), status

    def read(self, session: Any, count: int) -> tuple[bytes, StatusCode]:
        """Receive at most `count` bytes."""
        found = self._open_session(session)
        data, reason = found.port.receive(count, timeout_s=found.timeout_s, termination=found.termination)
        return data, self.handle_return_value(session, _STATUS[reason])

    def clear(self, session: Any) -> StatusCode:
        """Clear the instrument's buffers."""
        plugged = self._open_session(session).port.clear()
        return self.handle_return_value(session, StatusCode.success if plugged else StatusCode.error_connection_lost)

    def flush(self, session: Any, mask: Any) -> StatusCode:
        """Discard what has not been read, if `mask` says so; nothing waits to be written."""
        if int(mask) & int(_DISCARDS_INPUT):
            self._session(session).port.discard_input()
        return self._ok(session)

    def read_stb(self, session: Any) -> tuple[int, StatusCode]:
        """Poll the status byte."""
        found = self._open_session(session)
        if not found.port.plugged:
            self.handle_return_value(session, StatusCode.error_connection_lost)
        return found.port.poll(), self._ok(session)

    def assert_trigger(self, session: Any, protocol: Any) -> StatusCode:
        """Send a bus trigger."""
        self._open_session(session).port.trigger()
        return self._ok(session)

    def gpib_control_ren(self, session: Any, mode: Any) -> StatusCode:
        """Accept remote and local: there is no front panel to lock."""
        self._session(session)
        return self._ok(session)

    # --- attributes ---

    def get_attribute(self, session: Any, attribute: Any) -> tuple[Any, StatusCode]:
        """Return an attribute, by default PyVISA's."""
        found = self._session(session)
        known = attributes.AttributesByID.get(attribute)
        if known is None or not known.in_resource(found.kind):
            return 0, self.handle_return_value(session, StatusCode.error_nonsupported_attribute)
        return found.attributes.setdefault(attribute, known.default), self._ok(session)

    def set_attribute(self, session: Any, attribute: Any, attribute_state: Any) -> StatusCode:
        """Set an attribute."""
        found = self._session(session)
        known = attributes.AttributesByID.get(attribute)
        if known is None or not known.in_resource(found.kind):
            return self.handle_return_value(session, StatusCode.error_nonsupported_attribute)
        if not known.write:
            return self.handle_return_value(session, StatusCode.error_attribute_read_only)
        found.attributes[attribute] = attribute_state
        return self._ok(session)

    # --- locks ---

    def lock(self, session: Any, lock_type: Any, timeout: int, requested_key: str | None = None) -> tuple[str, Any]:
        """Lock the instrument for this session, at once or not at all; may be nested."""
        found = self._session(session)
        if lock_type != constants.Lock.exclusive:
            return "", self.handle_return_value(session, StatusCode.error_nonsupported_operation)
        if found.shut_out:
            return "", self.handle_return_value(session, StatusCode.error_resource_locked)
        found.port.locked_by = found
        found.locks += 1
        return "", self._ok(session)

    def unlock(self, session: Any) -> StatusCode:
        """Undo one lock."""
        found = self._session(session)
        if found.locks == 0:
            return self.handle_return_value(session, StatusCode.error_session_not_locked)
        found.locks -= 1
        if found.locks == 0:
            found.port.locked_by = None
        return self._ok(session)

    # --- events: the service request ---

    def enable_event(self, session: Any, event_type: Any, mechanism: Any, context: None = None) -> StatusCode:
        """Let events of a type be waited for or handled."""
        self._session(session).enabled.add(event_type)
        return self._ok(session)

    def disable_event(self, session: Any, event_type: Any, mechanism: Any) -> StatusCode:
        """Undo `enable_event`."""
        enabled = self._session(session).enabled
        enabled.clear() if event_type == EventType.all_enabled else enabled.discard(event_type)
        return self._ok(session)

    def discard_events(self, session: Any, event_type: Any, mechanism: Any) -> StatusCode:
        """Do nothing: events are not queued, the status byte itself is looked at."""
        self._session(session)
        return self._ok(session)

    def install_handler(self, session: Any, event_type: Any, handler: Any, user_handle: Any) -> Any:
        """Call `handler` when a write leaves the instrument requesting service."""
        self._session(session).handlers.append((event_type, handler, user_handle))
        return handler, user_handle, handler, self._ok(session)

    def uninstall_handler(self, session: Any, event_type: Any, handler: Any, user_handle: Any = None) -> StatusCode:
        """Undo `install_handler`."""
        found = self._session(session)
        found.handlers = [each for each in found.handlers if each[:2] != (event_type, handler)]
        return self._ok(session)

    def _call_handlers(self, session: Any, found: _Session) -> None:
        if found.handlers and EventType.service_request in found.enabled and found.port.poll() & 64:
            for event_type, handler, user_handle in found.handlers:
                handler(session, event_type, None, user_handle)

    def wait_on_event(self, session: Any, in_event_type: Any, timeout: int) -> tuple[Any, Any, StatusCode]:
        """Wait until the instrument requests service."""
        found = self._session(session)
        if in_event_type not in found.enabled:
            self.handle_return_value(session, StatusCode.error_not_enabled)
        timeout_s = math.inf if timeout == constants.VI_TMO_INFINITE else timeout / 1000
        came = found.port.wait_for_service(timeout_s)
        status = self.handle_return_value(session, StatusCode.success if came else StatusCode.error_timeout)
        return in_event_type, None, status


def _same(address: str, canonical: str) -> bool:
    return str(rname.ResourceName.from_string(address)).upper() == canonical.upper()
