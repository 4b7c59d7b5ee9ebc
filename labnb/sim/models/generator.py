"""What a two-channel waveform generator does, after Keysight's EDU33210 Series Programming Guide (EDU33212-90004)."""

import math
import struct
from typing import TYPE_CHECKING, ClassVar, final

from labnb.sim.instrument import command
from labnb.sim.models.generator_settings import DBM, GeneratorSettings
from labnb.sim.scpi import OVERLOAD, Call, format_number, parse_number
from labnb.sim.settings import Key
from labnb.sim.sources import WaveSource
from labnb.sim.status import ScpiError
from labnb.sim.waves import Shape, Wave, points, pulse, ramp, sine, square

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

SOURCE_OHM = 50.0
SHORTEST_ARB, LONGEST_ARB = 8, 1_000_000
NOISE_POINTS = 4096
_CREST_FACTORS = {"SIN": math.sqrt(2.0), "SQU": 1.0, "PULS": 1.0, "RAMP": math.sqrt(3.0), "TRI": math.sqrt(3.0)}


class Generator(GeneratorSettings):
    """Keysight EDU33212A: two outputs, 1 uHz to 20 MHz: sine, square, ramp, triangle, pulse, noise, DC, arbitrary.

    An output is a source of 50 ohm. What is programmed is what stands across `OUTP:LOAD`, by default 50 ohm, so that
    it is twice as much across an open end. Bursts repeat by `BURS:INT:PER`; a triggered one waits for `*TRG`.
    """

    identity = "Keysight Technologies,EDU33212A,CN61310123,K-01.00.05-01.00-01.00-02.00-01.00"
    terminal_names: ClassVar = {"outputs": (("1", "1-"), ("2", "2-"))}

    def __init__(self, bench: "Bench", name: str, address: str, *, outputs: tuple[tuple[str, str], ...]) -> None:
        """Connect each output to two nodes of the bench's circuit."""
        if len(outputs) != self.channels:
            raise ValueError(f"{name}: {len(outputs)} pairs of nodes for {self.channels} outputs")
        super().__init__(bench, name, address)
        self._sources = {
            channel: WaveSource(plus, minus, ohms=SOURCE_OHM) for channel, (plus, minus) in enumerate(outputs, 1)
        }
        self._arbitrary: dict[int, dict[str, tuple[float, ...]]] = {channel: {} for channel in self._sources}
        self._fired = dict.fromkeys(self._sources, math.inf)
        bench.circuit.add(*self._sources.values())
        self._drive_all()

    def reset(self) -> None:
        """Go to outputs off, sine of 1 kHz and 0.1 V peak to peak into 50 ohm."""
        super().reset()
        self._fired = dict.fromkeys(self._sources, math.inf)
        self._drive_all()

    def changed(self, name: str, key: Key) -> None:
        """Drive the output that a setting concerns."""
        if isinstance(key, int):
            self._drive(key)

    def _drive_all(self) -> None:
        for channel in self._sources:
            self._drive(channel)

    def doubling(self, channel: int) -> float:
        """Return how many times the voltage across the load the source's own is."""
        ohms = self.load(channel)
        return 1.0 if ohms >= OVERLOAD else (SOURCE_OHM + ohms) / ohms

    def _drive(self, channel: int) -> None:
        source = self._sources[channel]
        with self.bench.circuit.edit(self.now, source):
            source.live = self.output(channel)
            source.drive(self._wave(channel), self._offset(channel))

    def _offset(self, channel: int) -> float:
        sign = -1.0 if self.polarity(channel) == "INV" else 1.0
        return sign * self.doubling(channel) * self.offset(channel)

    def _wave(self, channel: int) -> Wave | None:
        """Return what the output gives when it is on; None for a constant voltage."""
        if self.function(channel) == "DC":
            return None
        sign = -1.0 if self.polarity(channel) == "INV" else 1.0
        bursts = self.burst(channel) and self.burst_mode(channel) == "TRIG"
        waits = bursts and self.trigger_source(channel) in ("BUS", "EXT")
        return Wave(
            shape=self._shape(channel),
            frequency=self._frequency(channel),
            amplitude=sign * self.doubling(channel) * self.amplitude(channel) / 2.0,
            offset=self._offset(channel),
            phase=self.phase(channel) / 360.0,
            start=self._fired[channel] if waits else 0.0,
            cycles=self.burst_cycles(channel) if bursts else math.inf,
            burst_s=self.burst_period(channel) if bursts and not waits else 0.0,
        )

    def _frequency(self, channel: int) -> float:
        if self.function(channel) == "ARB":
            return self.arb_rate(channel) / len(self._levels(channel))
        if self.function(channel) == "NOIS":
            return 1e6 / NOISE_POINTS
        return self.frequency(channel)

    def _shape(self, channel: int) -> Shape:
        function = self.function(channel)
        if function == "SIN":
            return sine
        if function == "SQU":
            return square(self.duty(channel) / 100.0)
        if function in ("RAMP", "TRI"):
            return ramp(self.symmetry(channel) / 100.0 if function == "RAMP" else 0.5)
        if function == "PULS":
            frequency = self.frequency(channel)
            return pulse(self.pulse_width_s(channel) * frequency, self.pulse_edge(channel) * frequency)
        if function == "NOIS":
            return points([max(-1.0, min(1.0, self.rng.gauss(0.0, 0.3))) for _ in range(NOISE_POINTS)])
        return points(self._levels(channel))

    def _levels(self, channel: int) -> tuple[float, ...]:
        """Return the points of the chosen arbitrary wave; the built-in one is an exponential rise."""
        built_in = tuple(1.0 - 2.0 * math.exp(-k / 20.0) for k in range(100))
        return self._arbitrary[channel].get(self.arb_name(channel).upper(), built_in)

    # --- levels in other words ---

    @command("[SOURce#:]VOLTage:HIGH")
    def _set_high(self, call: Call) -> None:
        channel = self._level_channel(call)
        low = self.offset(channel) - self.amplitude(channel) / 2.0
        self._set_levels(channel, low, parse_number(call.arguments[0], "V"))

    @command("[SOURce#:]VOLTage:LOW")
    def _set_low(self, call: Call) -> None:
        channel = self._level_channel(call)
        high = self.offset(channel) + self.amplitude(channel) / 2.0
        self._set_levels(channel, parse_number(call.arguments[0], "V"), high)

    def _level_channel(self, call: Call) -> int:
        call.require(1, 1)
        return self.channels_of(call)[0]

    def _set_levels(self, channel: int, low: float, high: float) -> None:
        """Set amplitude and offset, or neither; the high level stays above the low one."""
        if high - low < 1e-3:
            raise ScpiError(-221, "the high level must be above the low one")
        amplitude = type(self).amplitude.parse(repr(high - low), channel)
        type(self).offset.write(self, channel, repr((high + low) / 2.0))
        self.values["amplitude", channel] = amplitude
        self._drive(channel)

    @command("[SOURce#:]VOLTage:HIGH?")
    def _ask_high(self, call: Call) -> str:
        channel = self.channels_of(call)[0]
        return format_number(self.offset(channel) + self.amplitude(channel) / 2.0)

    @command("[SOURce#:]VOLTage:LOW?")
    def _ask_low(self, call: Call) -> str:
        channel = self.channels_of(call)[0]
        return format_number(self.offset(channel) - self.amplitude(channel) / 2.0)

    def _volts_a_unit(self, channel: int) -> float:
        """Return how many volts from peak to peak one volt RMS is."""
        return 2.0 * _CREST_FACTORS.get(self.function(channel), 1.0)

    @command("[SOURce#:]VOLTage[:LEVel][:IMMediate][:AMPLitude]")
    def _set_amplitude(self, call: Call) -> None:
        """Set the amplitude in `VOLT:UNIT`."""
        call.require(1, 1)
        channel = self.channels_of(call)[0]
        word, unit = call.arguments[0], self.unit(channel)
        if unit != "VPP" and not word.isalpha():
            value = parse_number(word)
            volts = value if unit == "VRMS" else math.sqrt(10.0 ** (value / 10.0) * DBM * self._dbm_ohms(channel))
            word = repr(volts * self._volts_a_unit(channel))
        type(self).amplitude.write(self, channel, word)

    @command("[SOURce#:]VOLTage[:LEVel][:IMMediate][:AMPLitude]?")
    def _ask_amplitude(self, call: Call) -> str:
        channel = self.channels_of(call)[0]
        answer = float(type(self).amplitude.answer(self, channel, call.arguments))
        unit = self.unit(channel)
        if unit == "VPP":
            return format_number(answer)
        volts = answer / self._volts_a_unit(channel)
        return format_number(volts if unit == "VRMS" else 10.0 * math.log10(volts**2 / DBM / self._dbm_ohms(channel)))

    def _dbm_ohms(self, channel: int) -> float:
        return min(self.load(channel), 1e6)

    @command("OUTPut#:LOAD")
    def _set_load(self, call: Call) -> None:
        """Say what stands at the output: what it gives stays, so its levels are now other numbers."""
        call.require(1, 1)
        channel = self.channels_of(call)[0]
        before = self.doubling(channel)
        word = "9.9E37" if call.arguments[0].upper() in ("INF", "INFINITY") else call.arguments[0]
        type(self).load.write(self, channel, word)
        ratio = before / self.doubling(channel)
        self.values["amplitude", channel] = self.amplitude(channel) * ratio
        self.values["offset", channel] = self.offset(channel) * ratio

    @command("OUTPut#:LOAD?")
    def _ask_load(self, call: Call) -> str:
        return type(self).load.query(self, call)

    # --- arbitrary waves ---

    @command("[SOURce#:]DATA:ARBitrary")
    def _upload_volts(self, call: Call) -> None:
        """Take `name,-1.0,...,1.0`, or a block of big endian floats."""
        block = call.block
        floats = struct.unpack(f">{len(block) // 4}f", block[: len(block) // 4 * 4]) if block is not None else None
        self._upload(call, floats, 1.0)

    @command("[SOURce#:]DATA:ARBitrary:DAC")
    def _upload_dac(self, call: Call) -> None:
        """Take `name,-32767,...,32767`, or a block of big endian 16 bit numbers."""
        block = call.block
        counts = struct.unpack(f">{len(block) // 2}h", block[: len(block) // 2 * 2]) if block is not None else None
        self._upload(call, counts, 32767.0)

    def _upload(self, call: Call, levels: tuple[float, ...] | None, full: float) -> None:
        call.require(1, LONGEST_ARB + 1)
        channel = self.channels_of(call)[0]
        numbers = levels if levels is not None else tuple(parse_number(word) for word in call.arguments[1:])
        if not SHORTEST_ARB <= len(numbers) <= LONGEST_ARB or not all(abs(number) <= full for number in numbers):
            raise ScpiError(-222, f"{len(numbers)} points")
        name = call.arguments[0].strip("\"'").upper()
        self._arbitrary[channel][name] = tuple(number / full for number in numbers)
        self._drive(channel)

    @command("[SOURce#:]FUNCtion:ARBitrary")
    def _choose_arbitrary(self, call: Call) -> None:
        call.require(1, 1)
        channel = self.channels_of(call)[0]
        name = call.arguments[0].strip("\"'").upper()
        if name != "EXP_RISE" and name not in self._arbitrary[channel]:
            raise ScpiError(-224, name)
        self.values["arb_name", channel] = name
        self._drive(channel)

    @command("[SOURce#:]FUNCtion:ARBitrary?")
    def _ask_arbitrary(self, call: Call) -> str:
        return f'"{self.arb_name(self.channels_of(call)[0])}"'

    @command("[SOURce#:]FUNCtion:ARBitrary:POINts?")
    def _ask_points(self, call: Call) -> str:
        return str(len(self._levels(self.channels_of(call)[0])))

    @command("[SOURce#:]DATA:VOLatile:CLEar")
    def _forget_arbitrary(self, call: Call) -> None:
        channel = self.channels_of(call)[0]
        self._arbitrary[channel].clear()
        self.values.pop(("arb_name", channel), None)
        self._drive(channel)

    @command("[SOURce#:]DATA:VOLatile:CATalog?")
    def _ask_catalogue(self, call: Call) -> str:
        return ",".join(f'"{name}"' for name in ("EXP_RISE", *self._arbitrary[self.channels_of(call)[0]]))

    # --- all at once ---

    @command(
        "[SOURce#:]APPLy:{}",
        each=("SINusoid", "SQUare", "RAMP", "PULSe", "TRIangle", "NOISe", "DC", "ARBitrary"),
    )
    def _apply(self, call: Call) -> None:
        """`APPL:SIN 1000,0.5,0.1`: function, frequency, amplitude, offset, and the output on."""
        call.require(0, 3)
        channel = self.channels_of(call)[0]
        settings = (type(self).frequency, type(self).amplitude, type(self).offset)
        pairs = list(zip(settings, call.arguments, strict=False))
        for setting, word in pairs:
            setting.parse(word, channel)
        for setting, word in pairs:
            setting.write(self, channel, word)
        self.values["function", channel] = call.key
        self.values["output", channel] = True
        self._drive(channel)

    @command("[SOURce#:]APPLy?")
    def _ask_applied(self, call: Call) -> str:
        channel = self.channels_of(call)[0]
        levels = (self.frequency(channel), self.amplitude(channel), self.offset(channel))
        return f'"{self.function(channel)} {",".join(format_number(level) for level in levels)}"'

    @command("[SOURce#:]PHASe:SYNChronize")
    def _synchronise(self, call: Call) -> None:
        """Do nothing: the outputs share one clock and always begin their phase together."""

    def trigger(self) -> None:
        """Begin the bursts that wait for a bus trigger."""
        waiting = [channel for channel in self._sources if self.trigger_source(channel) == "BUS"]
        if not waiting:
            raise ScpiError(-211)
        for channel in waiting:
            self._fired[channel] = self.now + self.trigger_delay(channel)
            self._drive(channel)


@final
class Generator33512B(Generator):
    """Agilent 33512B: the same outputs and words."""

    identity = "Agilent Technologies,33512B,MY52700123,3.03-1.19-2.00-52-00"
