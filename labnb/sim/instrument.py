"""What every simulated instrument does: it reads messages, keeps settings, and answers in order.

    port ──receive──> inbox ──one at a time──> units ──grammar──> settings and commands
    port <──outbox── answers, joined by ';', each with the bench time from which it can be read

A command is a plain method, or a generator when it takes time: what it yields is the bench time at which it goes on,
or None to wait for an event: a message waits until the pending operation (`INIT`) is over, a pending operation until
`proceed`. What a command returns is its answer.
"""

import math
import random
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from labnb.core import InstrumentError
from labnb.sim.faults import Fault
from labnb.sim.scpi import Call, Grammar, parse_number, resolve_header, split_arguments, split_messages, split_units
from labnb.sim.settings import Key, Setting, spellings
from labnb.sim.status import ScpiError, Status

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

Answer = str | bytes | None
Operation = Generator[float | None, None, Answer]
Terminals = str | tuple["Terminals", ...]
"""Names of terminals, nested as the nodes that a constructor takes."""
_Handler = Callable[[Any, Call], Answer | Operation]  # Any: each command takes its own class of instrument
_C = TypeVar("_C", bound=_Handler)

LOG_LENGTH = 10_000
MAX_INPUT = 64_000_000


def command(*headers: str, each: Iterable[str] = ()) -> Callable[[_C], _C]:
    """Let a method execute `headers`; those that end in `?` answer. `each` are spellings of a `{}` in them."""

    def declare(method: _C) -> _C:
        method.__dict__["scpi"] = (headers, tuple(each))
        return method

    return declare


@dataclass(slots=True)
class Outgoing:
    """An answer and the bench time from which it can be read."""

    ready: float
    data: bytes


class Instrument:
    """An instrument on a bench. A subclass declares settings and commands; making one connects it to the bench."""

    identity: ClassVar[str] = "LABNB,GENERIC,SIM0001,1.0"
    channels: ClassVar[int] = 0
    terminal_names: ClassVar[Mapping[str, Terminals]] = {}
    """What a bench file can wire: for each keyword of the constructor that takes nodes, what its terminals are called.

    A return, whose name is `lo` or ends in `-`, is at ground unless it is wired.
    """
    influences: ClassVar[tuple[str, ...]] = ()
    """Which of its methods, functions of bench time, a part in a bench file may follow (a stage's temperature)."""
    setting_time_s: ClassVar[float] = 0.3e-3
    query_time_s: ClassVar[float] = 0.5e-3
    _grammar: ClassVar[Grammar[tuple[_Handler, str]]]

    def __init_subclass__(cls) -> None:
        cls._grammar = Grammar(_declared(cls))

    def __init__(self, bench: "Bench", name: str, address: str) -> None:
        self.bench = bench
        self.name = name
        self.address = address
        self.rng = random.Random(f"{bench.seed}/{name}")  # noqa: S311 - noise, not a secret
        self.values: dict[tuple[str, Key], object] = {}
        self.status = Status()
        self.selected = 1
        self.outbox: deque[Outgoing] = deque()
        self.discards_unread = not (address.upper().endswith("::SOCKET") or address.upper().startswith("ASRL"))
        """Message based interfaces drop an unread answer when a new message comes; streams keep it."""
        self.spoil: Callable[[Fault, bytes], list[bytes]] = lambda _fault, answer: [answer]
        self._log: deque[str] = deque(maxlen=LOG_LENGTH)
        self._input = ""
        self._inbox: deque[tuple[str, Fault | None]] = deque()
        self._running: Operation | None = None
        self._pending: Operation | None = None
        self._waits_for_completion = False
        self._tell_completion = False
        bench.connect(self)

    # --- what a subclass may override ---

    def reset(self) -> None:
        """Go to the state after `*RST`."""
        self.values.clear()
        self.selected = 1

    def changed(self, name: str, key: Key) -> None:
        """Act on the setting `name`, which has just been set for `key`."""

    def trigger(self) -> None:
        """Act on a bus trigger. Raises ScpiError -211 when none is waited for."""
        raise ScpiError(-211)

    # --- looking at it ---

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
        messages, self._input = split_messages(self._input + text, end=end)
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
        running, self._running = self._running, None
        if running is not None:
            running.close()
        self.abort()
        self._tell_completion = False

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

    def status_byte(self) -> int:
        """Return what a serial poll reads."""
        available = bool(self.outbox) and self.outbox[0].ready <= self.now
        return self.status.byte(message_available=available)

    # --- executing ---

    def _next_message(self) -> None:
        while self._inbox and self._running is None:
            message, fault = self._inbox.popleft()
            if self.outbox and self.discards_unread:
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
        except ScpiError as error:  # what the parser does not understand ends the message (IEEE 488.2, 6.1.6.1.1)
            self.status.error(error.code, error.detail)
        if answers:
            self._answer(b";".join(answers) + b"\n", fault)
        return None

    def _unit(self, header: str, arguments: str) -> Generator[float | None, None, bytes | None]:
        (handler, key), suffixes = self._grammar.find(header)
        words, channels, block = split_arguments(arguments)
        call = Call(words, channels, suffixes, block, key)
        try:
            answer = handler(self, call)
            if isinstance(answer, Generator):
                answer = yield from answer
        except ScpiError as error:
            if error.code > -200:
                raise
            self.status.error(error.code, error.detail)
            return None
        except InstrumentError as error:  # the circuit has no solution
            self.status.error(-300, str(error))
            return None
        return answer.encode("latin-1", "replace") if isinstance(answer, str) else answer

    def _answer(self, data: bytes, fault: Fault | None) -> None:
        ready = self.now + self.query_time_s - self.setting_time_s
        if fault is None:
            self.outbox.append(Outgoing(ready, data))
        else:
            ready += fault.delay_s if fault.kind == "slow" else 0.0
            self.outbox.extend(Outgoing(ready, each) for each in self.spoil(fault, data))
        self.bench.timeline.changed.notify_all()

    # --- channels ---

    def keys_of(self, keys: tuple[Key, ...], call: Call) -> tuple[Key, ...]:
        """Return the keys of a setting that `call` means."""
        first = keys[0]
        if isinstance(first, int):
            return self.channels_of(call)
        if call.channels is not None:
            raise ScpiError(-108, "channel list")
        return (call.key,)

    def channels_of(self, call: Call) -> tuple[int, ...]:
        """Return the channels that `call` means: its list, else its suffix, else the selected one."""
        if call.channels is not None:
            return self._checked(call.channels, -222)
        return self._checked(call.suffixes[-1:], -114) if call.suffixes else (self.selected,)

    def _checked(self, channels: tuple[int, ...], code: int) -> tuple[int, ...]:
        for channel in channels:
            if not 1 <= channel <= self.channels:
                raise ScpiError(code, f"channel {channel}")
        return channels

    # --- common commands, IEEE 488.2 chapter 10 ---

    @command("*IDN?")
    def _identify(self, call: Call) -> str:
        return self.identity

    @command("*RST")
    def _reset(self, call: Call) -> None:
        self.abort()
        self._tell_completion = False
        self.reset()

    @command("*CLS")
    def _clear_status(self, call: Call) -> None:
        self.status.clear()
        self._tell_completion = False

    @command("*OPC")
    def _operation_complete(self, call: Call) -> None:
        self._tell_completion = self.busy
        if not self.busy:
            self.status.operation_complete()

    @command("*OPC?")
    def _ask_complete(self, call: Call) -> Operation:
        yield from self.until_complete()
        return "1"

    @command("*WAI")
    def _wait(self, call: Call) -> Operation:
        return self.until_complete()

    @command("*ESR?")
    def _ask_events(self, call: Call) -> str:
        return str(self.status.take_events())

    @command("*ESE")
    def _enable_events(self, call: Call) -> None:
        self.status.event_enable = _mask(call)

    @command("*ESE?")
    def _ask_enabled_events(self, call: Call) -> str:
        return str(self.status.event_enable)

    @command("*SRE")
    def _enable_service(self, call: Call) -> None:
        self.status.service_enable = _mask(call) & ~64

    @command("*SRE?")
    def _ask_enabled_service(self, call: Call) -> str:
        return str(self.status.service_enable)

    @command("*STB?")
    def _ask_status_byte(self, call: Call) -> str:
        return str(self.status_byte())

    @command("*TST?", "*OPT?")
    def _ask_self_test(self, call: Call) -> str:
        return "0"

    @command("*TRG")
    def _trigger(self, call: Call) -> None:
        self.trigger()

    @command("SYSTem:ERRor[:NEXT]?")
    def _ask_error(self, call: Call) -> str:
        return self.status.next_error()

    @command("SYSTem:ERRor:COUNt?")
    def _ask_error_count(self, call: Call) -> str:
        return str(self.status.error_count())

    @command("SYSTem:VERSion?")
    def _ask_version(self, call: Call) -> str:
        return "1999.0"

    @command("SYSTem:BEEPer[:IMMediate]", "SYSTem:LOCal", "SYSTem:REMote", "SYSTem:RWLock")
    def _front_panel(self, call: Call) -> None:
        """Accept what concerns only a front panel, which there is none of."""


def _mask(call: Call) -> int:
    call.require(1, 1)
    value = parse_number(call.arguments[0])
    if not 0 <= value <= 255:
        raise ScpiError(-222, call.arguments[0])
    return round(value)


def _declared(cls: type[Instrument]) -> list[tuple[str, tuple[_Handler, str]]]:
    """Return every header of `cls` and its bases with what executes it; a subclass's come last and win."""
    entries: list[tuple[str, tuple[_Handler, str]]] = []
    for owner in reversed(cls.__mro__):
        for member in vars(owner).values():
            entries += _entries(member)
    return entries


def _entries(member: object) -> list[tuple[str, tuple[_Handler, str]]]:
    if isinstance(member, Setting):
        pairs = [pair for header in member.headers for pair in spellings(header, member.patterns)]
        return [
            entry
            for header, key in pairs
            for entry in ((header, (member.command, str(key))), (header + "?", (member.query, str(key))))
        ]
    headers, each = getattr(member, "scpi", ((), ()))
    return [(header, (member, str(key))) for pattern in headers for header, key in spellings(pattern, each)]  # type: ignore[misc]
