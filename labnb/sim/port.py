"""How bytes travel between a computer and one instrument, in bench time."""

import math
import random
from collections.abc import Callable
from typing import final

from labnb.core import InstrumentError
from labnb.sim.clock import Timeline
from labnb.sim.faults import Fault, FaultPlan
from labnb.sim.instrument import Instrument
from labnb.sim.interface import Reason
from labnb.sim.messages import asks
from labnb.sim.sharing import Locks
from labnb.sim.status import ScpiError

__all__ = ["Port", "Reason"]

SEARCH_S = 0.1
"""How long the computer looks for an instrument that does not answer."""


@final
class Port:
    """The socket at the back of an instrument, with its faults. All its methods may be called from any thread.

    A `connection` is what `connect` has returned; without one, the methods use whatever connection there is.
    """

    def __init__(self, instrument: Instrument, timeline: Timeline, rng: random.Random) -> None:
        self.instrument = instrument
        self.interface = instrument.interface
        self.timeline = timeline
        self.locks = Locks()
        self.sessions: set[object] = set()
        """The sessions that have the instrument open."""
        self.shared: dict[int, object] = {}
        """What all sessions share: VISA's global attributes."""
        self.on_request: list[Callable[[], None]] = []
        """What is called, with the bench held, when a service request begins."""
        self._plugged = True
        self._connection = 0
        self._faults = FaultPlan(rng)
        instrument.spoil = self._faults.spoil
        instrument.on_request = self._tell

    def _tell(self) -> None:
        for listener in tuple(self.on_request):
            listener()

    def add_fault(self, fault: Fault) -> None:
        """Arm `fault`."""
        with self.timeline.changed:
            self._faults.add(fault)

    # --- the plug ---

    @property
    def plugged(self) -> bool:
        """Whether the instrument can be found now."""
        with self.timeline.changed:
            self.timeline.catch_up()
            return self._plugged

    def connect(self) -> int | None:
        """Return a connection, or None after a while when nobody is there."""
        with self.timeline.changed:
            self.timeline.catch_up()
            if self._plugged:
                return self._connection
            self.timeline.wait_until(self.timeline.now + SEARCH_S)
            return None

    def unplug(self) -> None:
        """Pull the plug: what was going on is lost, settings stay."""
        self._break_off()
        self.instrument.device_clear()

    def plug(self) -> None:
        """Put the plug back."""
        with self.timeline.changed:
            self._plugged = True
            self.timeline.changed.notify_all()

    def _break_off(self) -> None:
        self._plugged = False
        self._connection += 1
        self.timeline.changed.notify_all()

    def _reboot(self, off_s: float) -> None:
        self._break_off()
        self.instrument.power_cycle()
        self.timeline.at(self.timeline.now + off_s, self.plug)

    def _reaches(self, connection: int | None) -> bool:
        if not self._plugged:
            return False
        return connection is None or connection == self._connection or not self.interface.connects

    # --- messages ---

    def send(self, data: bytes, *, end: bool, timeout_s: float, connection: int | None = None) -> Reason:
        """Bring `data` to the instrument; `end` marks its last byte as the end of a message."""
        timeline = self.timeline
        with timeline.changed:
            timeline.wait_until(timeline.now + self.instrument.setting_time_s)
            if not self._reaches(connection):
                return self.interface.absent
            for message in self.instrument.feed(data, end=end):
                reason = self._deliver(message, timeout_s)
                if reason != "end" or not self._plugged:
                    return reason
            return "end"

    def _deliver(self, message: str, timeout_s: float) -> Reason:
        fault = self._faults.strike(message)
        if fault is None:
            self.instrument.receive(message)
        elif fault.kind == "disconnect":
            self.unplug()
            return self.interface.absent
        elif fault.kind == "reboot":
            self._reboot(fault.delay_s)
            return self.interface.absent
        elif fault.kind == "timeout" and not asks(message):
            self.timeline.wait_until(self.timeline.now + min(timeout_s, 1e6))
            return "timeout"
        elif fault.kind != "drop":
            self.instrument.receive(message, fault)
        return "end"

    def receive(
        self, count: int, *, timeout_s: float, termination: bytes | None, connection: int | None = None
    ) -> tuple[bytes, Reason]:
        """Return at most `count` bytes of what the instrument says, and why there are not more."""
        timeline = self.timeline
        data = b""
        with timeline.changed:
            deadline = timeline.now + timeout_s
            while True:
                timeline.catch_up()
                reaches = self._reaches(connection)
                if not reaches and self.interface.connects:
                    return data, "lost"
                data, reason = self._take(data, count, termination) if reaches else (data, None)
                if reason is not None:
                    self.instrument.notice()
                    return data, reason
                if timeline.now >= deadline or not timeline.wait_once(self._wake(deadline)):
                    if reaches and not data:
                        self._nothing_came()
                    return data, "timeout"

    def _wake(self, deadline: float) -> float:
        outbox = self.instrument.outbox
        ready = outbox[0].ready if outbox else math.inf
        return min(deadline, self.timeline.next_event(), ready)

    def _nothing_came(self) -> None:
        if self.interface.messages and self.instrument.idle:
            self.instrument.status.error(-420)
            self.instrument.notice()

    def _take(self, data: bytes, count: int, termination: bytes | None) -> tuple[bytes, Reason | None]:
        """Add what can be read now to `data`; a stream goes on through several answers."""
        outbox, now, messages = self.instrument.outbox, self.timeline.now, self.interface.messages
        while outbox and outbox[0].ready <= now:
            answer = outbox[0]
            stop = min(answer.read + count - len(data), len(answer.data))
            found = answer.data.find(termination, answer.read, stop) if termination else -1
            stop = found + 1 if found >= 0 else stop
            data += answer.data[answer.read : stop]
            answer.read = stop
            if stop == len(answer.data):
                outbox.popleft()
                if messages and answer.whole:
                    return data, "end" if found < 0 else "termination"
            if found >= 0:
                return data, "termination"
            if len(data) >= count:
                return data, "count"
        return data, None

    def clear(self, *, connection: int | None = None) -> Reason:
        """Clear the instrument's input and output; of a stream, throw away what has come so far."""
        with self.timeline.changed:
            self.timeline.catch_up()
            if not self._reaches(connection):
                return self.interface.absent
            if self.interface.messages:
                self.instrument.device_clear()
                self.timeline.changed.notify_all()
            else:
                self._drop_arrived()
            return "end"

    def discard_arrived(self) -> None:
        """Throw away what has come and nobody has read."""
        with self.timeline.changed:
            self.timeline.catch_up()
            self._drop_arrived()

    def _drop_arrived(self) -> None:
        """Drop what is there once an answer that is on its way has had the time to come."""
        self.timeline.wait_until(self.timeline.now + self.instrument.query_time_s)
        outbox = self.instrument.outbox
        while outbox and outbox[0].ready <= self.timeline.now:
            outbox.popleft()

    def arrived(self) -> int:
        """Return how many bytes can be read at once."""
        with self.timeline.changed:
            self.timeline.catch_up()
            ready = [each for each in self.instrument.outbox if each.ready <= self.timeline.now]
            return sum(len(each.data) - each.read for each in ready)

    # --- the bus ---

    def poll(self, *, timeout_s: float, connection: int | None = None) -> tuple[int, Reason]:
        """Return the status byte of a serial poll, which takes a service request back."""
        timeline = self.timeline
        with timeline.changed:
            timeline.catch_up()
            if self._reaches(connection):
                return self.instrument.poll(), "end"
            if self.interface.connects:
                return 0, "lost"
            timeline.wait_until(timeline.now + min(timeout_s, 1e6))
            return 0, "timeout"

    def trigger(self, *, connection: int | None = None) -> Reason:
        """Send a bus trigger."""
        with self.timeline.changed:
            self.timeline.catch_up()
            if not self._reaches(connection):
                return self.interface.absent
            try:
                self.instrument.trigger()
            except (ScpiError, InstrumentError) as error:
                self.instrument.refuse(error)
            self.instrument.notice()
            return "end"
