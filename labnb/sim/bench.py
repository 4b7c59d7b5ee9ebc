"""Which instruments and which circuit share one bench."""

import random
from typing import final

from labnb.core import InstrumentError
from labnb.sim.circuit import Circuit
from labnb.sim.clock import ClockKind, Timeline
from labnb.sim.faults import Fault, FaultKind
from labnb.sim.instrument import Instrument
from labnb.sim.parts import Part
from labnb.sim.port import Port


@final
class Bench:
    """A clock, a circuit, and the instruments that are wired to it.

    `clock`: with `"real"` latencies are slept (in a virtual loop: waited for in its time), with `"skip"` they only
    move the bench's clock.
    `seed` decides all noise and all chances: two benches with the same seed and the same messages at the same bench
    times (`clock="skip"`, or a virtual loop) give the same answers, byte by byte.
    """

    def __init__(self, *, clock: ClockKind = "real", seed: int = 0) -> None:
        self.seed = seed
        self.timeline = Timeline(clock)
        self.circuit = Circuit()
        self.parts: dict[str, Part] = {}
        """The parts that have a name, as those of a bench file have."""
        self._ports: dict[str, Port] = {}

    def connect(self, instrument: Instrument) -> None:
        """Put `instrument` on the bench; it does this itself when it is made."""
        addresses = {port.instrument.address.upper() for port in self._ports.values()}
        if instrument.name in self._ports or instrument.address.upper() in addresses:
            raise ValueError(
                f"{instrument.name!r} at {instrument.address}: this name or address is taken; the bench has {self}"
            )
        rng = random.Random(f"{self.seed}/{instrument.name}/faults")  # noqa: S311 - chances, not secrets
        self._ports[instrument.name] = Port(instrument, self.timeline, rng)

    def __getitem__(self, name: str) -> Instrument:
        """Return the instrument itself, as of now, to look at what is really set."""
        port = self.port(name)
        with self.timeline.changed:
            self.timeline.catch_up()
        return port.instrument

    def __contains__(self, name: object) -> bool:
        return name in self._ports

    def __str__(self) -> str:
        return ", ".join(f"{name} at {port.instrument.address}" for name, port in self._ports.items()) or "nothing"

    @property
    def ports(self) -> tuple[Port, ...]:
        """The sockets of all instruments, in the order in which they were put there."""
        return tuple(self._ports.values())

    def port(self, name: str) -> Port:
        """Return the socket of the instrument `name`. Raises InstrumentError if there is none."""
        try:
            return self._ports[name]
        except KeyError:
            raise InstrumentError(f"the bench has no instrument {name!r}; it has {self}") from None

    def fault(
        self,
        device: str | Instrument,
        kind: FaultKind,
        *,
        match: str = "",
        after: int = 0,
        times: int | None = 1,
        delay_s: float = 1.0,
        chance: float = 1.0,
    ) -> Fault:
        """Plan a fault for the messages of `device`; see `Fault` for what each kind does."""
        fault = Fault(kind, match, after, times, delay_s, chance)
        self._port_of(device).add_fault(fault)
        return fault

    def reconnect(self, device: str | Instrument) -> None:
        """Put the plug back that a `disconnect` fault has pulled; see `labnb.sim.interface` for what lives on."""
        self._port_of(device).plug()

    def _port_of(self, device: str | Instrument) -> Port:
        return self.port(device if isinstance(device, str) else device.name)

    @property
    def now(self) -> float:
        """Bench time in s."""
        with self.timeline.changed:
            return self.timeline.now

    def wait(self, seconds: float) -> None:
        """Let `seconds` of bench time pass."""
        with self.timeline.changed:
            self.timeline.wait_until(self.timeline.now + seconds)
        self.timeline.let_go()
