"""What every instrument has: an identity, declared quantities, limits, a safe state, a snapshot and one lane."""

import html
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from types import TracebackType
from typing import Any, ClassVar, ParamSpec, Self, TypeVar, cast

from labnb.core import CommandError, InstrumentError, LimitError, LinkError
from labnb.instruments.action import Action, act, start
from labnb.instruments.lane import Lane
from labnb.instruments.limits import Bounds, unknown
from labnb.instruments.link import Link
from labnb.instruments.parameter import Parameter, Quantity
from labnb.instruments.touch import touch

P = ParamSpec("P")
T = TypeVar("T")

_QUEUE_DEPTH = 32  # SCPI error queues hold some 20 entries; an instrument that never says "no error" must not hang us


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


class Instrument:
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
    """

    models: ClassVar[tuple[str, ...]] = ()
    safe_state: ClassVar[tuple[str, ...]] = ()
    error_query: ClassVar[str | None] = "SYST:ERR?"

    def __init__(
        self,
        link: Link,
        *,
        name: str,
        address: str = "",
        limits: Mapping[Any, Any] | None = None,  # Any: each driver has its own keys, and checks them
        leave_on: bool = False,
    ) -> None:
        self.name, self.address, self.leave_on = name, address, leave_on
        self.known: dict[str, tuple[float, str]] = {}  # what was last set or read: name -> (value, unit)
        self.safety: dict[str, Bounds] = {}  # limits that people have set, on top of the instrument's ranges
        self.link = link
        self.lane = Lane(name)
        self._bound: dict[str, object] = {}
        try:
            self.set_limits(limits or {})
            self.identity = self.lane.call(self._greet)
        except BaseException:
            self.lane.call(link.close)
            self.lane.close()
            raise

    def _greet(self) -> Identity:
        self.link.clear()
        identity = Identity.parse(self.link.query("*IDN?"))
        if self.models and identity.model not in self.models:
            raise LinkError(
                f"{self.name} ({self.address}): this is a {identity}, but {type(self).__name__} drives "
                f"{', '.join(self.models)}; check the address, or connect it by the address alone"
            )
        if self.error_query:
            self.link.write("*CLS")  # what went wrong before us is not our commands' fault
        return identity

    # ---- for drivers: blocking, in the lane (from elsewhere they queue up in it)

    def send(self, *commands: str) -> None:
        """Send commands, then read the error queue. Raises CommandError with what the instrument complains about."""
        self.lane.call(self._send, commands)

    def ask(self, command: str) -> str:
        """Send a query; return its answer."""
        return self.lane.call(self.link.query, command)

    def ask_number(self, command: str) -> float:
        """Send a query; return its answer as a number. Raises LinkError if it is none."""
        answer = self.ask(command)
        try:
            return float(answer)
        except ValueError:
            raise LinkError(
                f"{self.name} ({self.address}): {command!r} was answered by {answer!r}, no number"
            ) from None

    def ask_bool(self, command: str) -> bool:
        """Send a query; return whether its answer says on. Raises LinkError if it says neither."""
        answer = self.ask(command)
        if answer in ("1", "ON"):
            return True
        if answer in ("0", "OFF"):
            return False
        raise LinkError(f"{self.name} ({self.address}): {command!r} was answered by {answer!r}, neither 0 nor 1")

    def act(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Action[T]:
        """Start the blocking function `fn` in the lane: see `labnb.instruments.Action`."""
        touch(self)
        return act(self.lane, partial(fn, *args, **kwargs))

    def bound(self, name: str, make: Callable[[], T]) -> T:
        """Return the one object that stands for the part `name` of this instrument; `make` it the first time."""
        return cast(T, self._bound.get(name) or self._bound.setdefault(name, make()))

    def _send(self, commands: tuple[str, ...]) -> None:
        for command in commands:
            self.link.write(command)
        complaints = self._complaints()
        if complaints:
            raise CommandError(f"{self.name} ({self.address}) refused {'; '.join(commands)!r}: {', '.join(complaints)}")

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
                    f"{self.name} ({self.address}): {self.error_query!r} was answered by {answer!r}, no error code"
                ) from None
            complaints.append(answer)
        return complaints

    # ---- for everybody

    def write(self, command: str) -> Action[None]:
        """Send a command of your own; the error queue is read behind it. Limits do not see into it."""
        return self.act(self._write, command)

    def _write(self, command: str) -> None:
        self.forget()
        self._send((command,))

    def forget(self) -> None:
        """Take nothing for granted that was set or read before: a command of unknown meaning follows."""
        self.known.clear()

    def query(self, command: str) -> Action[str]:
        """Send a query of your own; return its answer."""
        return self.act(self.link.query, command)

    def set_limits(self, limits: Mapping[Any, Any]) -> None:  # Any: see __init__
        """Declare safety limits by quantity: `{"setpoint": (4, 320)}`. Raises LimitError if one cannot be understood."""
        known = [name for name in dir(type(self)) if isinstance(getattr(type(self), name), Parameter)]
        for name, limit in limits.items():
            if name not in known:
                raise LimitError(f"{self.name}: {unknown(name, known, 'quantity to limit')}")
            cast(Quantity, getattr(self, name)).limit(limit)

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
        if self.safe_state and not self.leave_on:
            self._send_safe_state()
        if lost is not None:
            raise InstrumentError(f"{self.name} is in its safe state, but had failed before: {lost}") from lost

    def _send_safe_state(self) -> None:
        self.forget()
        try:
            try:
                self._send(self.safe_state)
            except LinkError:  # a disturbance is not a reason to leave an output on: once more from a clean state
                self.link.clear()
                self._send(self.safe_state)
        except InstrumentError as error:
            raise LinkError(f"{self.name} may still be on: {error}; switch it off by hand") from error

    def close(self) -> None:
        """Finish what is queued and end the connection; outputs stay as they are. Closing twice does no harm.

        Raises what an earlier action failed with if nobody has awaited it.
        """
        if not self.lane.closed:
            self.lane.call(self.link.close)
            self.lane.close()
            if (lost := self.lane.unclaimed()) is not None:
                raise lost

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

    def snapshot(self) -> dict[str, object]:
        """Return identity and the values last set or read, without asking the instrument."""
        return {
            "name": self.name,
            "driver": type(self).__name__,
            "address": self.address,
            "identity": asdict(self.identity),
            "values": {name: {"value": value, "unit": unit} for name, (value, unit) in dict(self.known).items()},
            "limits": {name: (bounds.low, bounds.high) for name, bounds in self.safety.items()},
            "leave_on": self.leave_on,
        }

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<{type(self).__name__} {self.name}: {self.identity} at {self.address}{state}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td>{value:.6g} {html.escape(unit)}</td></tr>"
            for name, (value, unit) in dict(self.known).items()
        )
        title = html.escape(f"{self.name}: {self.identity}")
        where = html.escape(self.address + (" (closed)" if self.closed else ""))
        return f"<table><caption><b>{title}</b><br><code>{where}</code></caption>{rows}</table>"
