"""What a session is told of a service request, in VISA's two ways: events in a queue, and handlers that are called.

A request is told once, when it begins; the next one begins when the status byte has been polled (`read_stb`) and a new
reason comes. With the clock `skip`, or in virtual time, handlers are called by whoever let the time pass, after his own
call is done; with the `real` clock by a thread that watches the bench as long as a session has handlers enabled.

Sources: VPP-4.3, section 3.7; IEEE 488.2, 11.3.3.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, final

from pyvisa.constants import EventMechanism, EventType, StatusCode

from labnb.sim.clock import Timeline
from labnb.sim.port import Port

QUEUE, HANDLER, SUSPENDED = (
    int(EventMechanism.queue),
    int(EventMechanism.handler),
    int(EventMechanism.suspend_handler),
)
JOIN_S = 2.0

Handler = tuple[EventType, Any, Any]
"""Type of event, function and user's handle; Any: PyVISA's callbacks."""


@final
class Events:
    """The service requests of one session."""

    def __init__(self, port: Port, call: Callable[[Handler], object]) -> None:
        """Take the instrument's port, and what calls a handler."""
        self.handlers: list[Handler] = []
        self.longest = 50
        self._port = port
        self._call = call
        self._enabled: dict[EventType, int] = {}
        self._queue: deque[EventType] = deque()
        self._suspended = 0
        self._watch: _Watch | None = None

    def enabled(self, event: EventType) -> bool:
        """Return whether events of a type are told in any way; with `all_enabled`, of any type."""
        return bool(self._enabled) if event == EventType.all_enabled else event in self._enabled

    # --- enabling ---

    def enable(self, event: EventType, mechanism: int) -> None:
        """Tell events of a type by `mechanism`, too; a request that stands already is one."""
        timeline = self._port.timeline
        with timeline.changed:
            timeline.catch_up()
            known = self._enabled.get(event, 0)
            known &= ~(HANDLER | SUSPENDED) if mechanism & (HANDLER | SUSPENDED) else ~0
            fresh = not self._enabled.get(event)
            self._enabled[event] = known | mechanism
            if event != EventType.service_request:
                return
            if self._arrive not in self._port.on_request:
                self._port.on_request.append(self._arrive)
            if fresh and self._port.instrument.status.requesting:
                self._arrive()
            if mechanism & HANDLER:
                self._resume()

    def _resume(self) -> None:
        for _ in range(self._suspended):
            self._port.timeline.afterwards(self._handle)
        self._suspended = 0
        if self._port.timeline.watchable and self._watch is None:
            self._watch = _Watch(self._port.timeline)

    def disable(self, event: EventType, mechanism: int) -> None:
        """Undo `enable`, for all types with `all_enabled`."""
        for each in tuple(self._enabled) if event == EventType.all_enabled else (event,):
            left = self._enabled.pop(each, 0) & ~mechanism
            if left:
                self._enabled[each] = left
        mechanisms = self._enabled.get(EventType.service_request, 0)
        if not mechanisms:
            self._stop_listening()
        if not mechanisms & HANDLER and self._watch is not None:
            watch, self._watch = self._watch, None
            watch.stop()

    def _stop_listening(self) -> None:
        with self._port.timeline.changed:
            if self._arrive in self._port.on_request:
                self._port.on_request.remove(self._arrive)

    def close(self) -> None:
        """Tell nothing any more."""
        self.disable(EventType.all_enabled, int(EventMechanism.all))
        self.handlers.clear()
        self.discard(int(EventMechanism.all))

    def discard(self, mechanism: int) -> None:
        """Forget the events that wait."""
        if mechanism & QUEUE:
            self._queue.clear()
        if mechanism & SUSPENDED:
            self._suspended = 0

    # --- telling ---

    def _arrive(self) -> None:
        """Note a request; the bench is held."""
        mechanisms = self._enabled.get(EventType.service_request, 0)
        if mechanisms & QUEUE and len(self._queue) < self.longest:
            self._queue.append(EventType.service_request)
            self._port.timeline.changed.notify_all()
        if mechanisms & HANDLER:
            self._port.timeline.afterwards(self._handle)
        elif mechanisms & SUSPENDED:
            self._suspended += 1

    def _handle(self) -> None:
        """Call the handlers, the last installed first, until one says that this is enough."""
        for handler in reversed(tuple(self.handlers)):
            if (
                handler[0] == EventType.service_request
                and self._call(handler) == StatusCode.success_no_more_handler_calls_in_chain
            ):
                return

    def wait(self, timeout_s: float) -> bool:
        """Take the oldest event from the queue, and wait for it; return False when none comes in time."""
        timeline = self._port.timeline
        with timeline.changed:
            if not timeline.wait_for(lambda: bool(self._queue), timeout_s):
                return False
            self._queue.popleft()
            return True


@final
class _Watch:
    """A thread that lets a bench with the real clock go on when nobody talks to it, and calls handlers."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="labnb-service-requests", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        timeline = self._timeline
        while True:
            with timeline.changed:
                if self._stopped:
                    return
                if not timeline.unsettled:
                    timeline.wait_once(timeline.next_event())
                timeline.catch_up()
            timeline.settle()

    def stop(self) -> None:
        """End the thread; wait for a handler that runs, unless it is the caller."""
        with self._timeline.changed:
            self._stopped = True
            self._timeline.changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(JOIN_S)
