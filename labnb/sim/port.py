"""How bytes travel between a computer and one instrument, in bench time."""

import math
import random
from typing import Literal, final

from labnb.sim.clock import Timeline
from labnb.sim.faults import Fault, FaultPlan
from labnb.sim.instrument import Instrument, Outgoing
from labnb.sim.status import ScpiError

Reason = Literal["end", "termination", "count", "timeout", "lost"]
"""Why a transfer ended: END came, the termination character came, enough bytes, too late, or the plug is out."""


@final
class Port:
    """The socket at the back of an instrument, with its faults. All its methods may be called from any thread."""

    def __init__(self, instrument: Instrument, timeline: Timeline, rng: random.Random) -> None:
        self.instrument = instrument
        self.plugged = True
        self.locked_by: object | None = None
        """The session that has locked the instrument, if one has."""
        self.sessions: set[object] = set()
        """The sessions that have the instrument open."""
        self._timeline = timeline
        self._faults = FaultPlan(rng)
        instrument.spoil = self._faults.spoil

    def add_fault(self, fault: Fault) -> None:
        """Arm `fault`."""
        with self._timeline.changed:
            self._faults.add(fault)

    def send(self, data: bytes, *, end: bool, timeout_s: float) -> Reason:
        """Bring `data` to the instrument; `end` marks its last byte as the end of a message."""
        timeline = self._timeline
        with timeline.changed:
            timeline.wait_until(timeline.now + self.instrument.setting_time_s)
            if not self.plugged:
                return "lost"
            for message in self.instrument.feed(data, end=end):
                reason = self._deliver(message, timeout_s)
                if reason != "end":
                    return reason
            return "end"

    def _deliver(self, message: str, timeout_s: float) -> Reason:
        fault = self._faults.strike(message)
        if fault is None:
            self.instrument.receive(message)
            return "end"
        if fault.kind == "disconnect":
            self.unplug()
            return "lost"
        if fault.kind == "timeout" and "?" not in message:
            self._timeline.wait_until(self._timeline.now + min(timeout_s, 1e6))
            return "timeout"
        if fault.kind != "drop":
            self.instrument.receive(message, fault)
        return "end"

    def receive(self, count: int, *, timeout_s: float, termination: bytes | None) -> tuple[bytes, Reason]:
        """Return at most `count` bytes of what the instrument says, and why there are not more."""
        timeline = self._timeline
        data = b""
        with timeline.changed:
            deadline = timeline.now + timeout_s
            while True:
                timeline.catch_up()
                if not self.plugged:
                    return data, "lost"
                data, reason = self._take(data, count, termination)
                if reason is not None:
                    return data, reason
                if timeline.now >= deadline or not timeline.wait_once(self._wake(deadline)):
                    self._nothing_came(data)
                    return data, "timeout"

    def _wake(self, deadline: float) -> float:
        outbox = self.instrument.outbox
        ready = outbox[0].ready if outbox else math.inf
        return min(deadline, self._timeline.next_event(), ready)

    def _nothing_came(self, data: bytes) -> None:
        if self.instrument.discards_unread and self.instrument.idle and not data:
            self.instrument.status.error(-420)

    def _take(self, data: bytes, count: int, termination: bytes | None) -> tuple[bytes, Reason | None]:
        """Add what can be read now to `data`; a stream goes on through several answers."""
        outbox = self.instrument.outbox
        while outbox and outbox[0].ready <= self._timeline.now:
            taken, rest = _cut(outbox[0].data, count - len(data), termination)
            data += taken
            if rest:
                outbox[0] = Outgoing(outbox[0].ready, rest)
            else:
                outbox.popleft()
            if termination and taken.endswith(termination):
                return data, "termination"
            if not rest and self.instrument.discards_unread:
                return data, "end"
            if len(data) >= count:
                return data, "count"
        return data, None

    def clear(self) -> bool:
        """Clear the instrument's input and output; return False when the plug is out."""
        with self._timeline.changed:
            self._timeline.catch_up()
            if self.plugged:
                self.instrument.device_clear()
                self._timeline.changed.notify_all()
            return self.plugged

    def discard_input(self) -> None:
        """Throw away what the instrument has said and nobody has read."""
        with self._timeline.changed:
            self._timeline.catch_up()
            self.instrument.outbox.clear()

    def poll(self) -> int:
        """Return the status byte."""
        with self._timeline.changed:
            self._timeline.catch_up()
            return self.instrument.status_byte()

    def trigger(self) -> None:
        """Send a bus trigger."""
        with self._timeline.changed:
            self._timeline.catch_up()
            try:
                self.instrument.trigger()
            except ScpiError as error:
                self.instrument.status.error(error.code, error.detail)

    def wait_for_service(self, timeout_s: float) -> bool:
        """Wait until the instrument requests service; return False when it does not in time."""
        timeline = self._timeline
        with timeline.changed:
            deadline = timeline.now + timeout_s
            while True:
                timeline.catch_up()
                if self.instrument.status_byte() & 64:
                    return True
                if timeline.now >= deadline or not timeline.wait_once(self._wake(deadline)):
                    return False

    def unplug(self) -> None:
        """Pull the plug: what was going on is lost, settings stay."""
        self.plugged = False
        self.instrument.device_clear()
        self._timeline.changed.notify_all()

    def plug(self) -> None:
        """Put the plug back."""
        with self._timeline.changed:
            self.plugged = True


def _cut(data: bytes, count: int, termination: bytes | None) -> tuple[bytes, bytes]:
    found = data.find(termination, 0, count) if termination else -1
    stop = found + 1 if found >= 0 else count
    return data[:stop], data[stop:]
