"""What every instrument has: an identity, declared quantities, limits, a safe state, a snapshot and one lane."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, Literal, ParamSpec, Self, TypeVar, cast, overload

from labnb.core import CommandError, InstrumentError, LinkError, SettingsLost, unknown
from labnb.instruments.action import Action, act, start
from labnb.instruments.describe import Snapshot, html_of, snapshot_of
from labnb.instruments.facet import Facet
from labnb.instruments.guarded import only_asks
from labnb.instruments.holding import Holding
from labnb.instruments.lane import Lane
from labnb.instruments.link import Link
from labnb.instruments.quantity import Quantity
from labnb.instruments.steady import SteadyLink
from labnb.instruments.touch import touch
from labnb.instruments.unlinked import NoLink

P = ParamSpec("P")
T = TypeVar("T")

_QUEUE_DEPTH = 32  # SCPI error queues hold some 20 entries; an instrument that never says "no error" must not hang us
_QUERY_ERROR = re.compile(r"-4\d\d\b")  # SCPI-99 volume 2, 21.8.12: -400 to -499


@dataclass(frozen=True, slots=True)
class Identity:
    """What an instrument says of itself (`*IDN?`)."""

    manufacturer: str
    model: str
    serial: str = ""
    firmware: str = ""

    @classmethod
    def parse(cls, answer: str) -> Self:
        """Return the identity in a reply to `*IDN?`: up to four fields with commas between."""
        fields = [field.strip() for field in answer.split(",", 3)]
        return cls(*fields) if len(fields) > 1 else cls("", answer.strip())

    def __str__(self) -> str:
        return f"{self.manufacturer} {self.model}".strip()


class Instrument(Holding):
    """An instrument that speaks SCPI, or something like it, over one link.

    A driver declares quantities by `Parameter` and `Switch`, the commands that make it safe, and the models it knows;
    what needs more than one command is a method that hands a blocking function to `act`:

    ```python
    class Thermostat(Instrument):
        models = ("TC100",)
        setpoint = Parameter("SETP {:.3f}", "SETP?", unit="K", within=(4.0, 300.0), doc="Target of loop 1.")
        heater = Switch("OUTP ON", "OUTP OFF", "OUTP?")
        safe_state = (heater.off,)

        def spread(self) -> Action[float]:
            return self.act(lambda: self.ask_number("KRDG? A") - self.ask_number("KRDG? B"))
    ```
    Connecting asks `*IDN?` and empties the error queue; it never changes an output. Raises LinkError if the instrument
    is none of `models`.

    Without a link, `Instrument("one")`, it is virtual: made of functions by `add_parameter`.
    """

    models: ClassVar[tuple[str, ...]] = ()
    safe_state: ClassVar[tuple[str, ...]] = ()
    error_query: ClassVar[str | None] = "SYST:ERR?"
    main_reading: ClassVar[str] = ""
    """The parameter, or the method without arguments, that `aget()` asks for; "": the only one that can be read."""
    asked_once: ClassVar[tuple[str, ...]] = ()
    """Queries that do more than read, so that they are never repeated after a fault, as manuals write them."""

    def __init__(
        self,
        link: Link | str | None = None,
        *,
        name: str = "",
        address: str = "",
        limits: Mapping[Any, Any] | None = None,  # Any: each driver has its own keys, and checks them
        leave_on: bool = False,
        server_name: str | None = None,  # QCoDeS's instrument servers: here each has its lane anyway
    ) -> None:
        """Take a link and a name, or a name alone for a virtual instrument."""
        self.name = _name_of(link, name)
        self.address, self.leave_on = address, leave_on
        super().__init__()
        self.link: Link = NoLink(self.name) if link is None or isinstance(link, str) else link
        self.lane = Lane(self.name)
        self._bound: dict[str, object] = {}
        self.identity = Identity("", type(self).__name__)
        if isinstance(link, SteadyLink):
            link.attend(when_lost=self.forget, asked_once=self.asked_once)
        try:
            self.set_limits(limits or {})
            if not isinstance(self.link, NoLink):
                self.identity = self.lane.call(self._greet)
        except BaseException:
            self.lane.call(self.link.close)
            self.lane.close()
            raise
        self._fixed = frozenset(vars(self))

    @property
    def _grows(self) -> bool:
        return type(self).__init__ is not Instrument.__init__

    def _greet(self) -> Identity:
        self.link.clear()
        identity = Identity.parse(self.link.query("*IDN?"))
        if self.models and identity.model not in self.models:
            raise LinkError(
                f"{self.where}: this is a {identity}, but {type(self).__name__} drives "
                f"{', '.join(self.models)}; check the address, or connect it by the address alone"
            )
        if self.error_query:
            self.link.write("*CLS")  # what went wrong before us is not our commands' fault
        return identity

    # ---- for drivers: blocking, in the lane (from elsewhere they queue up in it)

    def send(self, *commands: str) -> None:
        """Send commands, then read the error queue. Raises CommandError with what the instrument complains about.

        Raises LimitError, and sends nothing, if one of them would set what a limit forbids.
        """
        for command in commands:
            self.judge(command)
            self.doubt_ramps(command)
        self.lane.call(self._send, commands)

    def ask(self, command: str) -> str:
        """Send a query; return its answer."""
        self.judge(command)
        return self.lane.call(self.link.query, command)

    def ask_number(self, command: str) -> float:
        """Send a query; return its answer as a number. Raises LinkError if it is none."""
        answer = self.ask(command)
        try:
            return float(answer)
        except ValueError:
            raise LinkError(f"{self.where}: {command!r} was answered by {answer!r}, no number") from None

    def ask_bool(self, command: str) -> bool:
        """Send a query; return whether its answer says on. Raises LinkError if it says neither."""
        answer = self.ask(command)
        if answer in ("1", "ON"):
            return True
        if answer in ("0", "OFF"):
            return False
        raise LinkError(f"{self.where}: {command!r} was answered by {answer!r}, neither 0 nor 1")

    def act(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Action[T]:
        """Start the blocking function `fn` in the lane: see `labnb.instruments.Action`."""
        self.check_late_limits()
        touch(self)
        return act(self.lane, partial(fn, *args, **kwargs))

    def bound(self, name: str, make: Callable[[], T]) -> T:
        """Return the one object that stands for the part `name` of this instrument; `make` it the first time."""
        return cast(T, self._bound.get(name) or self._bound.setdefault(name, make()))

    def _send(self, commands: tuple[str, ...]) -> None:
        for command in commands:
            self.link.write(command)
        complaints = self._complaints()
        if not any("?" in command for command in commands):  # then query errors are traces of a disturbed link
            complaints = [each for each in complaints if not _QUERY_ERROR.match(each)]
        if complaints:
            raise CommandError(f"{self.where} refused {'; '.join(commands)!r}: {', '.join(complaints)}")

    def _complaints(self) -> list[str]:
        complaints: list[str] = []
        while self.error_query and len(complaints) < _QUEUE_DEPTH:
            answer = self.link.query(self.error_query)
            code = answer.partition(",")[0]
            try:
                if int(code) == 0:
                    break
            except ValueError:
                raise LinkError(
                    f"{self.where}: {self.error_query!r} was answered by {answer!r}, no error code"
                ) from None
            complaints.append(answer)
        return complaints

    # ---- for everybody

    def write(self, command: str) -> Action[None]:
        """Send a command of your own; the error queue is read behind it.

        Raises LimitError, and sends nothing, if it sets what a limit forbids or touches it in a way that cannot be
        judged.
        """
        self._check_text(command)
        self.judge(command, by_hand=True)
        return self.act(self._write, command)

    def _write(self, command: str) -> None:
        self._judge_now(command)
        self.forget()
        self._send((command,))

    @property
    def facets(self) -> Mapping[str, Facet]:
        """What can be set or read beyond the parameters, by how it is written: `channel(1).voltage`."""
        return {}

    def forget(self) -> None:
        """Take nothing for granted that was set or read before: a command of unknown meaning follows."""
        self.known.clear()

    def query(self, command: str) -> Action[str]:
        """Send a query of your own; return its answer."""
        self._check_text(command)
        self.judge(command, by_hand=True)
        return self.act(self._query, command)

    def _query(self, command: str) -> str:
        self._judge_now(command)
        if not only_asks(command):
            self.forget()
        return self.link.query(command)

    def _check_text(self, command: object) -> None:
        if not isinstance(command, str):
            raise InstrumentError(
                f"{self.name}: a command is a text, such as '*RST', got {command!r}; nothing was sent"
            )

    def _judge_now(self, command: str) -> None:
        """Judge a command of people's own just before it is sent: a limit may be new, and what is set may matter."""
        for name, value in self.judge(command, by_hand=True):
            self.weigh(name, value)

    def get(self, parameter: str) -> Action[Any]:  # Any: the type of that parameter's values
        """Ask for a quantity by its name: `instrument.get("x")` is `instrument.x.get()`."""
        return self._quantity(parameter).get()

    def aget(self, parameter: str | None = None) -> Action[Any]:  # Any: as above
        """Ask for a quantity by its name, or for what the instrument mainly reads: `await meter.aget()`.

        Raises InstrumentError, which lists the names, if it reads several and none of them mainly.
        """
        known = self.parameters
        readable = [name for name, each in known.items() if each.readable]
        name = parameter or self.main_reading or (readable[0] if len(readable) == 1 else "")
        if not name:
            raise InstrumentError(
                f"{self.name}: aget() needs the name of what to read; there {'are' if readable else 'is'} "
                f"{', '.join(readable) or 'none'}"
            )
        if parameter is None and name not in known:
            return cast("Action[Any]", getattr(self, name)())
        return self._quantity(name).get()

    def set(self, parameter: str, value: object) -> Action[None]:
        """Set a quantity by its name: `instrument.set("x", 1)` is `instrument.x.set(1)`."""
        return self._quantity(parameter).set(value)

    def _quantity(self, name: str) -> Quantity[Any]:
        known = self.parameters
        if name not in known:
            raise InstrumentError(f"{self.name}: {unknown(name, list(known), 'parameter')}")
        return known[name]

    def make_safe(self) -> Action[None]:
        """Bring the instrument into its safe state, behind what is queued; with `leave_on`, leave it as it is.

        Raises LinkError if it may not be safe, and InstrumentError if it is but an earlier action that nobody awaited
        had failed.
        """
        return start(self.lane, self._be_safe)

    def make_safe_now(self, timeout_s: float = 5.0) -> None:
        """Do the same and block for it, whatever this thread runs. Raises LinkTimeout if the lane does not get to it."""
        self.lane.submit(self._be_safe).wait(timeout_s)

    def _be_safe(self) -> None:
        lost = self.lane.unclaimed()
        self.turns.clear()  # what is on its way to somewhere stops here
        if self.safe_state and not self.leave_on:
            self._send_safe_state()
        if lost is not None:
            raise InstrumentError(f"{self.name} is in its safe state, but had failed before: {lost}") from lost

    def _send_safe_state(self) -> None:
        self.forget()
        try:
            try:
                self._send(self.safe_state)
            except (LinkError, SettingsLost):
                # a disturbance is not a reason to leave an output on: once more from a clean state
                self.link.clear()
                self._send(self.safe_state)
        except InstrumentError as error:
            raise LinkError(f"{self.name} may still be on: {error}; switch it off by hand") from error

    def close(self) -> None:
        """Finish what is queued and end the connection; outputs stay as they are. Closing twice does no harm.

        Raises what an earlier action failed with if nobody has awaited it.
        """
        if not self.lane.closed:
            self.lane.call_anyway(self.link.close)
            self.lane.close()
            if (lost := self.lane.unclaimed()) is not None:
                raise lost

    @property
    def owner(self) -> Lane:
        """The lane of its connection."""
        return self.lane

    @property
    def closed(self) -> bool:
        """Whether the connection has been closed."""
        return self.lane.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.make_safe_now()
        finally:
            self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.lane.submit(self._be_safe).wait_async()  # queued at once: it happens though this be cancelled
        finally:
            await asyncio.to_thread(self.close)

    @overload
    def snapshot(self, update: Literal[False] = False) -> Snapshot: ...
    @overload
    def snapshot(self, update: bool) -> Action[Snapshot]: ...
    def snapshot(self, update: bool = False) -> Action[Snapshot]:
        """Return identity, limits and the values last set or read; with `update`, ask for all of them in one batch."""
        if not update:
            return snapshot_of(self)
        return self.act(self._updated)

    def _updated(self) -> Snapshot:
        for quantity in self.parameters.values():
            if quantity.readable:
                quantity.read_now()
        return snapshot_of(self)

    @property
    def where(self) -> str:
        """Name and address, for messages."""
        return f"{self.name} ({self.address})" if self.address else self.name

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<{type(self).__name__} {self.name}: {self.identity} at {self.address or 'no address'}{state}>"

    def _repr_html_(self) -> str:
        return html_of(self)


def _name_of(link: object, name: str) -> str:
    named = link if isinstance(link, str) else name
    if isinstance(link, str) and name and name != link:
        raise InstrumentError(f"an instrument has one name, got {link!r} and {name!r}")
    if isinstance(link, str) and "::" in link:
        raise InstrumentError(f"{link!r} is an address: connect({link!r}, driver=...) opens it")
    if not named:
        raise InstrumentError('an instrument needs a name: Instrument(link, name="oven"), or Instrument("one")')
    return named
