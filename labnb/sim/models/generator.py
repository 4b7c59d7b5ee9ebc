"""What a two-channel waveform generator does, after Keysight's EDU33210 Series Programming Guide (EDU33212-90004)."""

import math
from typing import TYPE_CHECKING, ClassVar, final

from labnb.sim.instrument import command
from labnb.sim.models.generator_levels import SOURCE_OHM
from labnb.sim.models.generator_waves import GeneratorWaves
from labnb.sim.scpi import Call, format_number
from labnb.sim.settings import Key
from labnb.sim.sources import WaveSource
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench


class Generator(GeneratorWaves):
    """Keysight EDU33212A: two outputs, 1 uHz to 20 MHz: sine, square, ramp, triangle, pulse, noise, DC, arbitrary.

    An output is a source of 50 ohm. What is programmed is what stands across `OUTP:LOAD`, by default 50 ohm, so that
    it is twice as much across an open end; more than 10 V open is a settings conflict. Bursts repeat by
    `BURS:INT:PER` or `TRIG:TIM`, or wait for `*TRG`, `TRIG` or `external_trigger()`; gated ones for `external_gate()`.
    Sweeps and internal AM and FM; both channels share one clock and their phases begin together. The sync output is
    high in the first half of a period, or during a burst, and rises when a sweep begins.
    """

    identity = "Keysight Technologies,EDU33212A,CN61310123,K-01.00.05-01.00-01.00-02.00-01.00"
    terminal_names: ClassVar = {"outputs": (("1", "1-"), ("2", "2-")), "sync_output": ("sync", "sync-")}
    fastest: ClassVar[dict[str, float]] = {"SQU": 10e6, "PULS": 10e6, "RAMP": 200e3, "TRI": 200e3}
    """The highest frequency in Hz of those shapes that do not reach 20 MHz."""

    def __init__(
        self, bench: "Bench", name: str, address: str, *,
        outputs: tuple[tuple[str, str], ...], sync_output: tuple[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Connect each output, and the sync output if it is used, to two nodes of the bench's circuit."""
        if len(outputs) != self.channels:
            raise ValueError(f"{name}: {len(outputs)} pairs of nodes for {self.channels} outputs")
        super().__init__(bench, name, address)
        self._sources = {
            channel: WaveSource(plus, minus, ohms=SOURCE_OHM) for channel, (plus, minus) in enumerate(outputs, 1)
        }
        self._sync = WaveSource(*sync_output, ohms=SOURCE_OHM) if sync_output else None
        bench.circuit.add(*self._sources.values(), *([self._sync] if self._sync else []))
        self._drive_all()

    def reset(self) -> None:
        """Go to outputs off, sine of 1 kHz and 0.1 V peak to peak into 50 ohm."""
        super().reset()
        self.fired = dict.fromkeys(self._sources, math.inf)
        self.gates = {}
        self._drive_all()

    def changed(self, name: str, key: Key) -> None:
        """Drive the output that a setting concerns; a shape that is not so fast lowers the frequency (-221)."""
        if not isinstance(key, int):
            self.drive(1)
            return
        most = self._fastest(self.function(key))
        if name == "function" and self.frequency(key) > most:
            self.values["frequency", key] = most
            self.status.error(-221, "frequency reduced for this function")
        if name == "frequency_mode":
            self.values["sweep", key] = self.frequency_mode(key) == "SWE"
        if name in ("sweep", "burst"):
            self.values["frequency_mode", key] = "SWE" if self.sweep(key) else "CW"
            self.fired[key] = math.inf
        self.drive(key)

    def _fastest(self, function: str) -> float:
        return self.fastest.get(function, 20e6)

    @command("[SOURce#:]FREQuency[:CW]")
    def _set_frequency(self, call: Call) -> None:
        call.require(1, 1)
        channel = self.channels_of(call)[0]
        most = self._fastest(self.function(channel))
        word = repr(most) if call.arguments[0].upper() in ("MAX", "MAXIMUM") else call.arguments[0]
        if type(self).frequency.parse(word, channel) > most:
            raise ScpiError(-222, word)
        type(self).frequency.write(self, channel, word)

    # --- waves ---

    def _drive_all(self) -> None:
        for channel in self._sources:
            self.drive(channel)

    def drive(self, channel: int) -> None:
        """Let the output of `channel`, and the sync output, give what is set."""
        source = self._sources[channel]
        with self.bench.circuit.edit(self.now, source):
            source.live = self.output(channel)
            source.drive(self.wave(channel), self.signed_offset(channel))
        if self._sync is not None:
            with self.bench.circuit.edit(self.now, self._sync):
                self._sync.live = self.sync()
                self._sync.drive(self.sync_wave())

    # --- triggers ---

    def trigger(self) -> None:
        """Begin the bursts and sweeps that wait for a bus trigger. Raises -211 when none does."""
        if not self._fire("BUS"):
            raise ScpiError(-211)

    def external_trigger(self) -> None:
        """Give an edge on the trigger input: bursts and sweeps that wait for it begin."""
        timeline = self.bench.timeline
        with timeline.changed:
            timeline.catch_up()
            self._fire("EXT")

    def external_gate(self, *, high: bool) -> None:
        """Set the level of the trigger input for gated bursts, which finish the cycle in which it is closed."""
        timeline = self.bench.timeline
        with timeline.changed:
            timeline.catch_up()
            for channel in self._sources:
                opens = high == (self.burst_gate(channel) == "NORM")
                opened = self.now if opens else self.gates.get(channel, (math.inf, math.inf))[0]
                self.gates[channel] = (opened, math.inf if opens else self.now)
                self.drive(channel)

    def _fire(self, *sources: str) -> bool:
        waiting = [channel for channel in self._sources if self.trigger_source(channel) in sources]
        for channel in waiting:
            self._begin(channel)
        return bool(waiting)

    def _begin(self, channel: int) -> None:
        self.fired[channel] = self.now + self.trigger_delay(channel)
        self.drive(channel)

    @command("TRIGger#[:IMMediate]")
    def _trigger_channel(self, call: Call) -> None:
        """Begin the burst or sweep of a channel, whatever it waits for."""
        self._begin(self.channels_of(call)[0])

    # --- all at once ---

    @command(
        "[SOURce#:]APPLy:{}",
        each=("SINusoid", "SQUare", "RAMP", "PULSe", "TRIangle", "NOISe", "DC", "ARBitrary"),
    )
    def _apply(self, call: Call) -> None:
        """`APPL:SIN 1000,0.5,0.1`: function, frequency, amplitude, offset, and the output on; all or nothing."""
        call.require(0, 3)
        channel, words = self.channels_of(call)[0], call.arguments
        new = {
            "frequency": self.frequency(channel),
            "amplitude": self.amplitude(channel),
            "offset": self.offset(channel),
        }
        for setting, word in zip((type(self).frequency, type(self).amplitude, type(self).offset), words, strict=False):
            amplitude = setting.name == "amplitude" and word.upper()[:3] != "DEF"
            new[setting.name] = self.parse_amplitude(channel, word) if amplitude else setting.parse(word, channel)
        if new["frequency"] > self._fastest(call.key):
            raise ScpiError(-222, words[0] if words else "frequency")
        self.check_levels(channel, 0.0 if call.key == "DC" else new["amplitude"], new["offset"])
        for name, value in new.items():
            self.values[name, channel] = value
        self.values["function", channel] = call.key
        self.values["output", channel] = True
        self.drive(channel)

    @command("[SOURce#:]APPLy?")
    def _ask_applied(self, call: Call) -> str:
        channel = self.channels_of(call)[0]
        levels = (self.frequency(channel), self.amplitude(channel), self.offset(channel))
        return f'"{self.function(channel)} {",".join(format_number(level) for level in levels)}"'

    @command("[SOURce#:]PHASe:SYNChronize")
    def _synchronise(self, call: Call) -> None:
        """Do nothing: the outputs share one clock and always begin their phase together."""


@final
class Generator33512B(Generator):
    """Agilent 33512B: the same outputs and words; squares and pulses reach 20 MHz."""

    identity = "Agilent Technologies,33512B,MY52700123,3.03-1.19-2.00-52-00"
    fastest: ClassVar[dict[str, float]] = {"RAMP": 200e3, "TRI": 200e3}
