"""What a quiet multichannel voltage source does, as it drives the gates of a quantum device."""

from typing import TYPE_CHECKING, ClassVar, final

from labnb.sim.instrument import Instrument, command
from labnb.sim.parts import Source
from labnb.sim.scpi import Call, format_number
from labnb.sim.settings import Key, Number

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

_FOUR = (1, 2, 3, 4)


@final
class GateSource(Instrument):
    """LABNB VS4: four outputs of -10 to 10 V, always on, each with its slope: `VOLT 0.1,(@1)`, `VOLT:SLEW 1,(@1)`.

    `VOLT?` answers what is set, `MEAS:VOLT?` what there is on the way to it.
    """

    identity = "LABNB,VS4,SIM0011,1.0"
    channels = 4
    terminal_names: ClassVar = {"outputs": ("1", "2", "3", "4")}

    voltage = Number("[SOURce#:]VOLTage[:LEVel]", unit="V", keys=_FOUR, default=0.0, low=-10.0, high=10.0)
    slew = Number("[SOURce#:]VOLTage:SLEW", keys=_FOUR, default=1000.0, low=1e-3, high=1000.0)

    def __init__(self, bench: "Bench", name: str, address: str, *, outputs: tuple[str, str, str, str]) -> None:
        """Connect each output to a node of the bench's circuit."""
        super().__init__(bench, name, address)
        self._sources = {channel: Source(node, sinks=True) for channel, node in zip(_FOUR, outputs, strict=True)}
        for source in self._sources.values():
            source.mode = "cv"
        bench.circuit.add(*self._sources.values())

    def reset(self) -> None:
        """Go to 0 V on all outputs."""
        super().reset()
        for channel in _FOUR:
            self.changed("voltage", channel)

    def changed(self, name: str, key: Key) -> None:
        """Go to what is set."""
        if isinstance(key, int):
            source = self._sources[key]
            with self.bench.circuit.edit(self.now, source):
                source.approach(self.voltage(key), self.slew(key), self.now)

    @command("MEASure:VOLTage?")
    def _measure(self, call: Call) -> str:
        channels = self.channels_of(call)
        self.bench.circuit.advance(self.now, self._sources[channels[0]])
        return ",".join(format_number(self._sources[channel].voltage) for channel in channels)
