"""How PyVISA reaches a simulated bench: the 24 methods of its library interface that instruments use.

Signatures and names are PyVISA's (`pyvisa.highlevel.VisaLibraryBase`); so are `Any` and the loose types. Sessions and
locks are in `labnb.sim.visa_library`. Whatever goes wrong on the bench is a `VisaIOError`, as with any VISA library.
"""

import logging
from typing import Any, final

from pyvisa import attributes, constants, highlevel
from pyvisa.constants import EventType, InterfaceType, StatusCode
from pyvisa.util import LibraryPath

from labnb.sim.registry import DEFAULT, bench_names, find_bench, full_name
from labnb.sim.visa_attributes import known_attribute, package_version, takes
from labnb.sim.visa_events import HANDLER, QUEUE, SUSPENDED, Handler
from labnb.sim.visa_library import SessionTable
from labnb.sim.visa_session import seconds

_log = logging.getLogger(__name__)

_FLUSHES = [  # one of each line at most: discard or flush what is read, or written; formatted, or not
    (constants.VI_READ_BUF, constants.VI_READ_BUF_DISCARD),
    (constants.VI_WRITE_BUF, constants.VI_WRITE_BUF_DISCARD),
    (constants.VI_IO_IN_BUF, constants.VI_IO_IN_BUF_DISCARD),
    (constants.VI_IO_OUT_BUF, constants.VI_IO_OUT_BUF_DISCARD),
]
_DISCARDS_INPUT = sum(_FLUSHES[0] + _FLUSHES[2])
_EVENTS = {EventType.service_request, EventType.exception, EventType.io_completion}


@final
class LabnbVisaLibrary(SessionTable):
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
    def get_debug_info() -> dict[str, str | list[str]]:
        """Return version and benches, for `pyvisa-info`."""
        return {"Version": package_version(), "Benches": list(bench_names())}

    # --- messages ---

    def write(self, session: Any, data: bytes) -> tuple[int, StatusCode]:
        """Send bytes."""
        found = self._usable(session)
        return len(data), self._done(session, found, found.send(bytes(data)))

    def read(self, session: Any, count: int) -> tuple[bytes, StatusCode]:
        """Receive at most `count` bytes."""
        found = self._usable(session)
        data, reason = found.receive(count)
        return data, self._done(session, found, reason)

    def clear(self, session: Any) -> StatusCode:
        """Clear the instrument's buffers."""
        found = self._usable(session)
        return self._done(session, found, found.clear())

    def flush(self, session: Any, mask: Any) -> StatusCode:
        """Discard what a stream has brought and nobody has read, if `mask` says so; nothing waits to be written.

        Where messages end, an answer waits in the instrument and not in the computer: only `clear` discards it.
        """
        found, bits = self._usable(session), int(mask)
        if bits <= 0 or bits > sum(map(sum, _FLUSHES)) or any(bits & one and bits & two for one, two in _FLUSHES):
            return self._fail(session, StatusCode.error_invalid_mask)
        if bits & _DISCARDS_INPUT and not found.port.interface.messages:
            found.port.discard_arrived()
        return self._ok(session)

    def read_stb(self, session: Any) -> tuple[int, StatusCode]:
        """Poll the status byte."""
        found = self._usable(session)
        try:
            byte, reason = found.poll()
        except LookupError:
            self._fail(session, StatusCode.error_invalid_setup)
        return byte, self._done(session, found, reason)

    def assert_trigger(self, session: Any, protocol: Any) -> StatusCode:
        """Send a bus trigger."""
        found = self._usable(session)
        try:
            reason = found.trigger()
        except LookupError:
            self._fail(session, StatusCode.error_invalid_setup)
        return self._done(session, found, reason)

    def gpib_control_ren(self, session: Any, mode: Any) -> StatusCode:
        """Set the remote line, which locks no front panel as there is none."""
        found = self._usable(session)
        if found.kind[0] not in (InterfaceType.gpib, InterfaceType.usb):
            return self._fail(session, StatusCode.error_nonsupported_operation)
        if mode != constants.RENLineOperation.address_gtl:
            off = mode in (constants.RENLineOperation.deassert, constants.RENLineOperation.deassert_gtl)
            found.port.shared[constants.VI_ATTR_GPIB_REN_STATE] = int(not off)
        return self._ok(session)

    # --- attributes ---

    def get_attribute(self, session: Any, attribute: Any) -> tuple[Any, StatusCode]:
        """Return an attribute of an instrument or of an event."""
        event = self._contexts.get(session)
        if event is not None and attribute == constants.VI_ATTR_EVENT_TYPE:
            return event, self._ok(session)
        found = self._session(session)
        known = known_attribute(attribute, found.kind)
        value = attributes.NotAvailable if known is None else found.get(known)
        if value is attributes.NotAvailable:
            self._fail(session, StatusCode.error_nonsupported_attribute)
        return value, self._ok(session)

    def set_attribute(self, session: Any, attribute: Any, attribute_state: Any) -> StatusCode:
        """Set an attribute."""
        found = self._session(session)
        known = known_attribute(attribute, found.kind)
        if known is None:
            return self._fail(session, StatusCode.error_nonsupported_attribute)
        if not known.write:
            return self._fail(session, StatusCode.error_attribute_read_only)
        if not takes(known, attribute_state):
            return self._fail(session, StatusCode.error_nonsupported_attribute_state)
        if not known.local:
            self._usable(session)
        found.set(known, attribute_state)
        return self._ok(session)

    # --- events: the service request ---

    def enable_event(self, session: Any, event_type: Any, mechanism: Any, context: None = None) -> StatusCode:
        """Let events of a type be waited for, handled, or kept for being handled later."""
        found = self._session(session)
        if event_type not in _EVENTS or not found.port.interface.messages:
            return self._fail(session, StatusCode.error_invalid_event)
        if int(mechanism) not in (QUEUE, HANDLER, SUSPENDED, QUEUE | HANDLER, QUEUE | SUSPENDED):
            return self._fail(session, StatusCode.error_invalid_mechanism)
        if int(mechanism) & HANDLER and not any(each[0] == event_type for each in found.events.handlers):
            return self._fail(session, StatusCode.error_handler_not_installed)
        found.events.enable(event_type, int(mechanism))
        found.port.timeline.let_go()
        return self._ok(session)

    def disable_event(self, session: Any, event_type: Any, mechanism: Any) -> StatusCode:
        """Undo `enable_event`."""
        self._session(session).events.disable(event_type, int(mechanism))
        return self._ok(session)

    def discard_events(self, session: Any, event_type: Any, mechanism: Any) -> StatusCode:
        """Forget the events that wait."""
        found = self._session(session)
        if event_type in (EventType.service_request, EventType.all_enabled):
            found.events.discard(int(mechanism))
        return self._ok(session)

    def install_handler(self, session: Any, event_type: Any, handler: Any, user_handle: Any) -> Any:
        """Let `handler` be called for events of a type once they are enabled."""
        found = self._session(session)
        if event_type not in _EVENTS or not found.port.interface.messages:
            self._fail(session, StatusCode.error_invalid_event)
        found.events.handlers.append((event_type, handler, user_handle))
        return handler, user_handle, handler, self._ok(session)

    def uninstall_handler(self, session: Any, event_type: Any, handler: Any, user_handle: Any = None) -> StatusCode:
        """Undo `install_handler`."""
        handlers = self._session(session).events.handlers
        for place, each in enumerate(handlers):
            if each[:2] == (event_type, handler) and each[2] is user_handle:
                del handlers[place]
                return self._ok(session)
        return self._fail(session, StatusCode.error_invalid_handler_reference)

    def _handle(self, session: int, handler: Handler) -> object:
        """Call a handler; what it raises is logged, as there is nobody whom it could be raised to."""
        if session not in self._sessions:
            return None
        context = self._new_context(handler[0])
        try:
            return handler[1](session, handler[0], context, handler[2])
        except Exception:  # noqa: BLE001 - whatever a user's function raises, and it is shown
            _log.exception("the handler %r of a service request has failed", handler[1])
            return None
        finally:
            self._contexts.pop(context, None)

    def _new_context(self, event: EventType) -> int:
        context = next(self._numbers)
        self._contexts[context] = event
        return context

    def wait_on_event(self, session: Any, in_event_type: Any, timeout: Any) -> tuple[Any, Any, StatusCode]:
        """Take an event from the queue, and wait for it up to `timeout` ms."""
        found = self._session(session)
        if not found.events.enabled(in_event_type):
            self._fail(session, StatusCode.error_not_enabled)
        came = found.events.wait(seconds(constants.VI_TMO_INFINITE if timeout is None else timeout))
        found.port.timeline.let_go()
        if not came:
            self._fail(session, StatusCode.error_timeout)
        return EventType.service_request, self._new_context(EventType.service_request), self._ok(session)
