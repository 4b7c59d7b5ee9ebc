"""What a three-output DC supply does, after Keysight's EDU36311A Programming Guide (EDU36311-90003)."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, final

from labnb.sim.instrument import Instrument, Operation, command
from labnb.sim.parts import Source
from labnb.sim.scpi import OVERLOAD, Call, format_number, parse_number
from labnb.sim.settings import Key, Number, Switch, Text
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

VOLTAGE_READBACK_V = 5e-4
CURRENT_READBACK_A = 1e-4
"""Standard deviations of the readback; its meters are no multimeter."""
MEASURING_S = 5e-3
_CONSTANT_CURRENT, _CONSTANT_VOLTAGE, _OVERVOLTAGE, _OVERCURRENT = 1, 2, 512, 1024

_LEVEL = "[:LEVel][:IMMediate][:AMPLitude]"
_ALL = (1, 2, 3)


class Ratings(NamedTuple):
    """What each of three outputs gives."""

    volts: tuple[float, float, float]
    amps: tuple[float, float, float]

    def voltage(self) -> Number:
        """Return the setting of the voltage: up to 3 % more than rated."""
        high = tuple(1.03 * volts for volts in self.volts)
        return Number(f"[SOURce:]VOLTage{_LEVEL}", unit="V", keys=_ALL, default=0.0, low=0.0, high=high)

    def current(self) -> Number:
        """Return the setting of the current limit: up to 3 % more than rated."""
        high = tuple(1.03 * amps for amps in self.amps)
        return Number(
            f"[SOURce:]CURRent{_LEVEL}", unit="A", keys=_ALL, default=self.amps, low=(0.002, 0.001, 0.001), high=high
        )  # fmt: skip

    def protection(self) -> Number:
        """Return the setting of the overvoltage protection: up to 10 % more than rated."""
        high = tuple(1.1 * volts for volts in self.volts)
        return Number(
            "[SOURce:]VOLTage:PROTection[:LEVel]", unit="V", keys=_ALL, low=0.0, default=high, high=high
        )  # fmt: skip


_EDU36311A = Ratings((6.0, 30.0, 30.0), (5.0, 1.0, 1.0))
_E36312A = Ratings((6.0, 25.0, 25.0), (5.0, 1.0, 1.0))
_E36313A = Ratings((6.0, 25.0, 25.0), (10.0, 2.0, 2.0))


class PowerSupply(Instrument):
    """Keysight EDU36311A: 6 V 5 A, 30 V 1 A, 30 V 1 A, each 3 % more; an output limits its current (CV/CC).

    What it really gives is exactly what is programmed; only its readback is noisy. An output that is off is open.
    A voltage is approached with `VOLT:SLEW` volts a second, by default at once.
    """

    identity = "Keysight Technologies,EDU36311A,CN6123,1.0.4-1.0.0-1.02"
    channels = 3
    terminal_names: ClassVar = {"outputs": (("1", "1-"), ("2", "2-"), ("3", "3-"))}

    voltage = _EDU36311A.voltage()
    current = _EDU36311A.current()
    slew_up = Number("[SOURce:]VOLTage:SLEW[:RISing]", keys=_ALL, default=OVERLOAD, low=1e-3, high=OVERLOAD)
    slew_down = Number("[SOURce:]VOLTage:SLEW:FALLing", keys=_ALL, default=OVERLOAD, low=1e-3, high=OVERLOAD)
    output = Switch("OUTPut[:STATe]", keys=_ALL, default=False)
    protection_voltage = _EDU36311A.protection()
    voltage_protection = Switch("[SOURce:]VOLTage:PROTection:STATe", keys=_ALL, default=False)
    current_protection = Switch("[SOURce:]CURRent:PROTection:STATe", keys=_ALL, default=False)
    display = Switch("DISPlay[:WINDow][:STATe]", default=True)
    display_text = Text("DISPlay[:WINDow]:TEXT[:DATA]", default="")

    def __init__(self, bench: "Bench", name: str, address: str, *, outputs: Sequence[tuple[str, str]]) -> None:
        """Connect each output's plus and minus terminals to two nodes of the bench's circuit."""
        if len(outputs) != self.channels:
            raise ValueError(f"{name}: {len(outputs)} pairs of nodes for {self.channels} outputs")
        super().__init__(bench, name, address)
        self._sources = {channel: Source(plus, minus) for channel, (plus, minus) in enumerate(outputs, 1)}
        self._tripped = dict.fromkeys(self._sources, 0)
        bench.circuit.add(*self._sources.values())
        bench.circuit.watch(self._protect)
        self._drive_all()

    def reset(self) -> None:
        """All outputs off, 0 V, rated current, protections off."""
        super().reset()
        self._tripped = dict.fromkeys(self._sources, 0)
        self._drive_all()

    def changed(self, name: str, key: Key) -> None:
        """Drive the output that a setting concerns."""
        if isinstance(key, int):
            self._drive(key)

    def _drive_all(self) -> None:
        for channel in self._sources:
            self._drive(channel)

    def _drive(self, channel: int) -> None:
        circuit, source = self.bench.circuit, self._sources[channel]
        with circuit.edit(self.now, source):
            self._steer(channel, source)
            source.limit_a = self.current(channel)
            live = self.output(channel) and not self._tripped[channel]
            source.mode = ("cv" if source.mode == "off" else source.mode) if live else "off"
        circuit.advance(self.now, source)

    def _steer(self, channel: int, source: Source) -> None:
        """Go to the programmed voltage with the programmed slope; an output that is off is there at once."""
        volts = self.voltage(channel)
        slew = self.slew_up(channel) if volts > source.volts else self.slew_down(channel)
        source.approach(volts, math.inf if source.mode == "off" or slew >= OVERLOAD else slew, self.now)

    def _protect(self) -> bool:
        """Switch off what exceeds its protection; return whether anything did."""
        acted = False
        for channel, source in self._sources.items():
            reason = self._trips(channel, source)
            if reason:
                self._tripped[channel] |= reason
                source.mode = "off"
                self.bench.circuit.touch(source)
                acted = True
        return acted

    def _trips(self, channel: int, source: Source) -> int:
        if source.mode == "off":
            return 0
        over = self.voltage_protection(channel) and source.voltage > self.protection_voltage(channel) * (1 + 1e-9)
        limited = self.current_protection(channel) and source.mode == "cc"
        return (_OVERVOLTAGE if over else 0) | (_OVERCURRENT if limited else 0)

    def _settled(self, channel: int) -> Source:
        source = self._sources[channel]
        self.bench.circuit.advance(self.now, source)
        return source

    @command("MEASure[:SCALar]:VOLTage[:DC]?", "MEASure[:SCALar]?")
    def _measure_voltage(self, call: Call) -> Operation:
        channels = self.channels_of(call)
        yield self.now + MEASURING_S
        return ",".join(
            format_number(self._settled(channel).voltage + self.rng.gauss(0.0, VOLTAGE_READBACK_V))
            for channel in channels
        )

    @command("MEASure[:SCALar]:CURRent[:DC]?")
    def _measure_current(self, call: Call) -> Operation:
        channels = self.channels_of(call)
        yield self.now + MEASURING_S
        return ",".join(
            format_number(self._settled(channel).supplied + self.rng.gauss(0.0, CURRENT_READBACK_A))
            for channel in channels
        )

    @command("INSTrument[:SELect]")
    def _select(self, call: Call) -> None:
        call.require(1, 1)
        self.selected = self._named(call.arguments[0])

    @command("INSTrument[:SELect]?")
    def _ask_selected(self, call: Call) -> str:
        return f"CH{self.selected}"

    @command("INSTrument:NSELect")
    def _select_number(self, call: Call) -> None:
        call.require(1, 1)
        number = parse_number(call.arguments[0])
        if number not in _ALL:
            raise ScpiError(-222, call.arguments[0])
        self.selected = int(number)

    @command("INSTrument:NSELect?")
    def _ask_selected_number(self, call: Call) -> str:
        return str(self.selected)

    def _named(self, word: str) -> int:
        names = {f"CH{channel}": channel for channel in _ALL}
        try:
            return names[word.upper()]
        except KeyError:
            raise ScpiError(-224, word) from None

    @command("APPLy")
    def _apply(self, call: Call) -> None:
        """`APPL CH2,5,0.1` or `APPL 5,0.1,(@2)`: voltage and current at once, or neither if one is refused."""
        channels, words = self._addressed(call)
        settings = (type(self).voltage, type(self).current)
        if len(words) > len(settings):
            raise ScpiError(-108, words[-1])
        for channel in channels:
            for setting, word in zip(settings, words, strict=False):
                setting.parse(word, channel)
        for channel in channels:
            for setting, word in zip(settings, words, strict=False):
                setting.write(self, channel, word)

    @command("APPLy?")
    def _ask_applied(self, call: Call) -> str:
        channels, _ = self._addressed(call)
        return ",".join(f'"{self.voltage(channel):+.6E},{self.current(channel):+.6E}"' for channel in channels)

    def _addressed(self, call: Call) -> tuple[tuple[int, ...], list[str]]:
        words = call.arguments
        if words and words[0][:2].upper() == "CH":
            return (self._named(words[0]),), words[1:]
        return self.channels_of(call), words

    @command("[SOURce:]VOLTage:PROTection:TRIPped?")
    def _ask_overvoltage(self, call: Call) -> str:
        return self._ask_trip(call, _OVERVOLTAGE)

    @command("[SOURce:]CURRent:PROTection:TRIPped?")
    def _ask_overcurrent(self, call: Call) -> str:
        return self._ask_trip(call, _OVERCURRENT)

    def _ask_trip(self, call: Call, reason: int) -> str:
        self.bench.circuit.advance(self.now)
        return ",".join("1" if self._tripped[channel] & reason else "0" for channel in self.channels_of(call))

    @command("OUTPut:PROTection:CLEar", "[SOURce:]VOLTage:PROTection:CLEar", "[SOURce:]CURRent:PROTection:CLEar")
    def _clear_trip(self, call: Call) -> None:
        for channel in self.channels_of(call):
            self._tripped[channel] = 0
            self._drive(channel)

    @command("STATus:QUEStionable:INSTrument:ISUMmary#:CONDition?")
    def _ask_condition(self, call: Call) -> str:
        """Bit 0: the current is limited (CC), bit 1: the voltage is held (CV), bits 9 and 10: a protection tripped."""
        channel = self.channels_of(call)[0]
        mode = self._settled(channel).mode
        return str({"cc": _CONSTANT_CURRENT, "cv": _CONSTANT_VOLTAGE}.get(mode, 0) | self._tripped[channel])


@final
class PowerSupplyE36312A(PowerSupply):
    """Keysight E36312A: 6 V 5 A, 25 V 1 A, 25 V 1 A."""

    identity = "Keysight Technologies,E36312A,MY57900123,1.0.6-1.0.4-1.00"
    voltage = _E36312A.voltage()
    current = _E36312A.current()
    protection_voltage = _E36312A.protection()


@final
class PowerSupplyE36313A(PowerSupply):
    """Keysight E36313A: 6 V 10 A, 25 V 2 A, 25 V 2 A."""

    identity = "Keysight Technologies,E36313A,MY57900456,1.0.6-1.0.4-1.00"
    voltage = _E36313A.voltage()
    current = _E36313A.current()
    protection_voltage = _E36313A.protection()
