"""How an instrument works off what it is sent: one message after another, each unit in turn, answers in order.

    port ──receive──> inbox ──one at a time──> units ──grammar──> settings and commands
    port <──outbox── answers, joined by ';', each with the bench time from which it can be read

A message waits until the pending operation (`INIT`) is over when a command of it yields None (`*OPC?`, `*WAI`); a
pending operation that yields None waits until `proceed`.

Output is never full here, so that a deadlock (-430) cannot come to pass: the outbox holds whatever is not read.
"""

import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from labnb.core import InstrumentError
from labnb.sim.commands import Execute, Operation
from labnb.sim.faults import Fault
from labnb.sim.headers import Grammar
from labnb.sim.interface import Interface
from labnb.sim.messages import resolve_header, split_arguments, split_messages, split_units
from labnb.sim.scpi import Call
from labnb.sim.status import MESSAGE_AVAILABLE, ScpiError, Status

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

LOG_LENGTH = 10_000
MAX_INPUT = 64_000_000


@dataclass(slots=True)
class Outgoing:
    """An answer, how much of it has been read, and the bench time from which it can be."""

    ready: float
    data: bytes
    whole: bool = True
    """END marks its last byte; half an answer has none."""
    read: int = 0


class Executor:
    """An instrument's parser, execution control and output queue (IEEE 488.2, chapter 6)."""

    setting_time_s: ClassVar[float] = 0.3e-3
    query_time_s: ClassVar[float] = 0.5e-3
    _grammar: ClassVar[Grammar[tuple[Execute, str]]]

    def __init__(self, bench: "Bench", interface: Interface) -> None:
        self.bench = bench
        self.interface = interface
        self.status = Status()
        self.outbox: deque[Outgoing] = deque()
        self.spoil: Callable[[Fault, bytes], list[tuple[bytes, bool]]] = lambda _fault, answer: [(answer, True)]
        """What a fault makes of an answer: what arrives, and whether its end is marked."""
        self.on_request: Callable[[], None] = lambda: None
        """What is called when a service request begins."""
        self._log: deque[str] = deque(maxlen=LOG_LENGTH)
        self._input = ""
        self._inbox: deque[tuple[str, Fault | None]] = deque()
        self._running: Operation | None = None
        self._pending: Operation | None = None
        self._waits_for_completion = False
        self._tell_completion = False

    @property
    def log(self) -> tuple[str, ...]:
        """The messages that have arrived, oldest first; the last 10 000."""
        return tuple(self._log)

    @property
    def now(self) -> float:
        """Bench time in s."""
        return self.bench.timeline.now

    # --- receiving ---

    def feed(self, data: bytes, *, end: bool) -> list[str]:
        """Take bytes from the bus; return the messages that they complete."""
        if len(self._input) + len(data) > MAX_INPUT:
            self._input = ""
            self.status.error(-223)
            return []
        text = data.decode("latin-1")
        stream = not self.interface.messages
        messages, self._input = split_messages(self._input + text, end=end, stream=stream)
        return messages

    def receive(self, message: str, fault: Fault | None = None) -> None:
        """Execute `message` when what came before it is done."""
        self._log.append(message[:200].rstrip())
        self._inbox.append((message, fault))
        if self._running is None:
            self._next_message()

    def device_clear(self) -> None:
        """Forget input, output and what is going on; settings and errors stay (IEEE 488.2, 5.8)."""
        self._input = ""
        self._inbox.clear()
        self.outbox.clear()
        self._tell_completion = False
        running, self._running = self._running, None
        if running is not None:
            running.close()
        self.abort()
        self.notice()

    def abort(self) -> None:
        """End the pending operation."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.close()
            self._completed()

    @property
    def idle(self) -> bool:
        """Nothing is being executed and no answer waits."""
        return self._running is None and not self.outbox

    # --- status ---

    def status_byte(self) -> int:
        """Return what `*STB?` answers."""
        return self.status.byte(message_available=self._answers_wait())

    def poll(self) -> int:
        """Return what a serial poll reads, which takes a service request back."""
        return self.status.poll(message_available=self._answers_wait())

    def notice(self) -> None:
        """Request service if there is a new reason to."""
        status = self.status
        if (status.service_enable or status.requesting) and status.notice(message_available=self._answers_wait()):
            self.on_request()

    def _answers_wait(self) -> bool:
        return bool(self.outbox) and self.outbox[0].ready <= self.now

    # --- executing ---

    def _next_message(self) -> None:
        while self._inbox and self._running is None:
            message, fault = self._inbox.popleft()
            if self.outbox and self.interface.messages:
                self.outbox.clear()
                self.status.error(-410)
            self._waits_for_completion = False
            self._running = self._execute(message, fault)
            self._go_on(self._running)

    def _go_on(self, operation: Operation) -> None:
        """Run `operation` until it waits or ends."""
        if operation is not self._running and operation is not self._pending:
            return  # cleared meanwhile
        try:
            until = next(operation)
        except StopIteration:
            self._ended(operation)
            return
        except (ScpiError, InstrumentError) as error:
            self.refuse(error)
            self._ended(operation)
            return
        if operation is self._running:
            self._waits_for_completion = until is None
        if until is not None and math.isfinite(until):
            self.bench.timeline.at(until, lambda: self._go_on(operation))

    def _ended(self, operation: Operation) -> None:
        if operation is self._running:
            self._running = None
            self._next_message()
        else:
            self._pending = None
            self._completed()
        self.notice()

    def _completed(self) -> None:
        if self._tell_completion:
            self._tell_completion = False
            self.status.operation_complete()
        if self._running is not None and self._waits_for_completion:
            self._waits_for_completion = False
            self._go_on(self._running)

    def begin(self, operation: Operation) -> None:
        """Start `operation` in the background; `*OPC?` and `*WAI` wait for it."""
        self._pending = operation
        self._go_on(operation)

    def proceed(self) -> None:
        """Let a pending operation go on that waits for an event."""
        if self._pending is not None:
            self._go_on(self._pending)

    @property
    def busy(self) -> bool:
        """An operation is pending."""
        return self._pending is not None

    def until_complete(self) -> Operation:
        """Wait until no operation is pending."""
        while self._pending is not None:
            yield None
        return None

    def _execute(self, message: str, fault: Fault | None) -> Operation:
        answers: list[bytes] = []
        try:
            path = ""
            for unit in split_units(message):
                header, arguments, path = resolve_header(unit, path)
                answer = yield from self._unit(header, arguments)
                if answer is not None:
                    answers.append(answer)
                if self.status.service_enable:
                    self.notice()
        except ScpiError as error:  # what the parser does not understand ends the message (IEEE 488.2, 6.1.6.1.1)
            self.refuse(error)
        if answers:
            self._answer(b";".join(answers) + b"\n", fault)
        return None

    def _unit(self, header: str, arguments: str) -> Generator[float | None, None, bytes | None]:
        (execute, key), suffixes = self._grammar.find(header)
        words, channels, block = split_arguments(arguments)
        call = Call(words, channels, suffixes, block, key)
        try:
            answer = execute(self, call)
            if isinstance(answer, Generator):
                answer = yield from answer
        except (ScpiError, InstrumentError) as error:
            if isinstance(error, ScpiError) and error.code > -200:
                raise
            self.refuse(error)
            return None
        return answer.encode("latin-1", "replace") if isinstance(answer, str) else answer

    def refuse(self, error: ScpiError | InstrumentError) -> None:
        """Queue what has gone wrong; an InstrumentError says that the circuit has no solution."""
        if isinstance(error, ScpiError):
            self.status.error(error.code, error.detail)
        else:
            self.status.error(-300, str(error))

    def _answer(self, data: bytes, fault: Fault | None) -> None:
        ready = self.now + self.query_time_s - self.setting_time_s
        if fault is None:
            self.outbox.append(Outgoing(ready, data))
        else:
            ready += fault.delay_s if fault.kind == "slow" else 0.0
            self.outbox.extend(Outgoing(ready, each, whole) for each, whole in self.spoil(fault, data))
        timeline = self.bench.timeline
        if self.status.service_enable & MESSAGE_AVAILABLE:
            timeline.at(ready, self.notice)
        timeline.changed.notify_all()
