"""How a waveform generator's levels are said: amplitude and offset, high and low, in volts, RMS or dBm, into a load."""

import math

from labnb.sim.instrument import command
from labnb.sim.models.generator_settings import DBM, GeneratorSettings
from labnb.sim.scpi import OVERLOAD, Call, format_number, parse_number
from labnb.sim.status import ScpiError

SOURCE_OHM = 50.0
HIGHEST_V = 10.0
"""What the source itself can give, at most, in both directions."""
_CREST_FACTORS = {"SIN": math.sqrt(2.0), "SQU": 1.0, "PULS": 1.0, "RAMP": math.sqrt(3.0), "TRI": math.sqrt(3.0)}


class GeneratorLevels(GeneratorSettings):
    """The levels of a waveform generator. What is more than the source can give is a settings conflict (-221)."""

    def doubling(self, channel: int) -> float:
        """Return how many times the voltage across the load the source's own is."""
        ohms = self.load(channel)
        return 1.0 if ohms >= OVERLOAD else (SOURCE_OHM + ohms) / ohms

    def check_levels(self, channel: int, amplitude: float, offset: float) -> None:
        """Refuse with -221 what the source cannot give into its load, or what `VOLT:LIM` forbids."""
        peak = HIGHEST_V / self.doubling(channel)
        high, low = offset + amplitude / 2.0, offset - amplitude / 2.0
        if max(high, -low) > peak * (1 + 1e-9):
            raise ScpiError(-221, f"amplitude and offset need {max(high, -low):g} V; there are {peak:g} V")
        if self.limited(channel) and not (
            self.lowest(channel) - 1e-12 <= low and high <= self.highest(channel) + 1e-12
        ):
            raise ScpiError(-221, "beyond the voltage limits")

    @command("[SOURce#:]VOLTage:OFFSet")
    def _set_offset(self, call: Call) -> None:
        call.require(1, 1)
        channel = self.channels_of(call)[0]
        word, peak = call.arguments[0], HIGHEST_V / self.doubling(channel) - self.amplitude(channel) / 2.0
        ends = {"MAX": peak, "MIN": -peak}
        offset = ends[word.upper()[:3]] if word.upper()[:3] in ends else type(self).offset.parse(word, channel)
        self.check_levels(channel, 0.0 if self.function(channel) == "DC" else self.amplitude(channel), offset)
        self.values["offset", channel] = offset
        self.drive(channel)

    @command("[SOURce#:]VOLTage:OFFSet?")
    def _ask_offset(self, call: Call) -> str:
        return type(self).offset.query(self, call)

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
        offset = type(self).offset.parse(repr((high + low) / 2.0), channel)
        self.check_levels(channel, amplitude, offset)
        self.values["amplitude", channel], self.values["offset", channel] = amplitude, offset
        self.drive(channel)

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
        """Set the amplitude in `VOLT:UNIT`, or in the unit that is written behind it."""
        call.require(1, 1)
        channel = self.channels_of(call)[0]
        amplitude = self.parse_amplitude(channel, call.arguments[0])
        self.check_levels(channel, amplitude, self.offset(channel))
        self.values["amplitude", channel] = amplitude
        self.drive(channel)

    def parse_amplitude(self, channel: int, word: str) -> float:
        """Return the amplitude from peak to peak that `word` says; MAX is what fits beside the offset."""
        if word.upper() in ("MAX", "MAXIMUM"):
            return 2.0 * (HIGHEST_V / self.doubling(channel) - abs(self.offset(channel)))
        unit = next((each for each in ("VPP", "VRMS", "DBM") if word.upper().endswith(each)), "")
        word = word[: len(word) - len(unit)].rstrip()
        unit = unit or self.unit(channel)
        if unit != "VPP" and not word.isalpha():
            value = parse_number(word)
            volts = value if unit == "VRMS" else math.sqrt(10.0 ** (value / 10.0) * DBM * self._dbm_ohms(channel))
            word = repr(volts * self._volts_a_unit(channel))
        return type(self).amplitude.parse(word, channel)

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
