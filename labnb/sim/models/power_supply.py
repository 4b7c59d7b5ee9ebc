"""What a three-output DC supply does, after Keysight's EDU36311A Programming Guide (EDU36311-90003)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, final

from labnb.sim.instrument import Operation, command
from labnb.sim.models.supply_outputs import E36312A, E36313A, SupplyOutputs
from labnb.sim.models.supply_status import ALL, OVERCURRENT, OVERVOLTAGE
from labnb.sim.scpi import Call, format_number, parse_number
from labnb.sim.settings import Key
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

VOLTAGE_READBACK_V = 5e-4
CURRENT_READBACK_A = 1e-4
"""Standard deviations of the readback; its meters are no multimeter."""
MEASURING_S = 5e-3


class PowerSupply(SupplyOutputs):
    """Keysight EDU36311A: 6 V 5 A, 30 V 1 A, 30 V 1 A, each 3 % more; an output limits its current (CV/CC).

    What it really gives is exactly what is programmed; only its readback is noisy. An output that is off is open.
    A voltage is approached with `VOLT:SLEW` volts a second, by default at once. With `VOLT:SENS EXT` the voltage is held
    at the sense terminals. Coupled outputs (`OUTP:COUP`) are switched together, each after its own delay; with
    `OUTP:TRAC` outputs 2 and 3 have the same levels. Protections look whenever something on the bench is changed or
    asked: what happens by itself (a capacitor that charges) trips them when somebody looks.
    """

    identity = "Keysight Technologies,EDU36311A,CN6123,1.0.4-1.0.0-1.02"
    terminal_names: ClassVar = {"outputs": (("1", "1-"), ("2", "2-"), ("3", "3-"))}

    def __init__(
        self, bench: "Bench", name: str, address: str, *,
        outputs: Sequence[tuple[str, str]], senses: Mapping[int, tuple[str, str]] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(bench, name, address, outputs=outputs, senses=senses)
        self._armed = False
        self._memories: dict[int, dict[tuple[str, Key], object]] = {}

    def reset(self) -> None:
        """All outputs off, 0 V, rated current, protections off."""
        super().reset()
        self._armed = False

    @command("MEASure[:SCALar]:VOLTage[:DC]?", "MEASure[:SCALar]?")
    def _measure_voltage(self, call: Call) -> Operation:
        channels = self.channels_of(call)
        yield self.now + MEASURING_S
        return ",".join(
            format_number(self.settled(channel).sensed + self.rng.gauss(0.0, VOLTAGE_READBACK_V))
            for channel in channels
        )

    @command("MEASure[:SCALar]:CURRent[:DC]?")
    def _measure_current(self, call: Call) -> Operation:
        channels = self.channels_of(call)
        yield self.now + MEASURING_S
        return ",".join(
            format_number(self.settled(channel).supplied + self.rng.gauss(0.0, CURRENT_READBACK_A))
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
        if number not in ALL:
            raise ScpiError(-222, call.arguments[0])
        self.selected = int(number)

    @command("INSTrument:NSELect?")
    def _ask_selected_number(self, call: Call) -> str:
        return str(self.selected)

    def _named(self, word: str) -> int:
        names = {f"CH{channel}": channel for channel in ALL}
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
        return self._ask_trip(call, OVERVOLTAGE)

    @command("[SOURce:]CURRent:PROTection:TRIPped?")
    def _ask_overcurrent(self, call: Call) -> str:
        return self._ask_trip(call, OVERCURRENT)

    def _ask_trip(self, call: Call, reason: int) -> str:
        self.bench.circuit.advance(self.now)
        return ",".join("1" if self.tripped[channel] & reason else "0" for channel in self.channels_of(call))

    @command("OUTPut:PROTection:CLEar", "[SOURce:]VOLTage:PROTection:CLEar", "[SOURce:]CURRent:PROTection:CLEar")
    def _clear_trip(self, call: Call) -> None:
        for channel in self.channels_of(call):
            self.tripped[channel] = 0
            self.drive(channel)

    # --- coupling, triggers, memories ---

    @command("OUTPut[:STATe]:COUPle[:CHANnel]")
    def _couple(self, call: Call) -> None:
        """`ALL`, `NONE`, or `CH1,CH3`: switch these outputs together."""
        call.require(1, 3)
        words = [word.upper() for word in call.arguments]
        everything = {"ALL": set(ALL), "NONE": set[int]()}
        self.coupled = everything[words[0]] if words[0] in everything else {self._named(word) for word in words}

    @command("OUTPut[:STATe]:COUPle[:CHANnel]?")
    def _ask_coupled(self, call: Call) -> str:
        if self.coupled in (set(ALL), set[int]()):
            return "ALL" if self.coupled else "NONE"
        return ",".join(f"CH{channel}" for channel in sorted(self.coupled))

    @command("INITiate[:IMMediate][:TRANsient]")
    def _arm(self, call: Call) -> None:
        """Wait for a trigger, which puts the triggered levels in force where `VOLT:MODE STEP` asks for it."""
        self._armed = True
        if self.trigger_source() == "IMM":
            self.trigger()

    @command("ABORt", "ABORt:TRANsient")
    def _disarm(self, call: Call) -> None:
        self._armed = False

    def trigger(self) -> None:
        """Put the triggered levels in force. Raises -211 when that is not waited for."""
        if not self._armed:
            raise ScpiError(-211)
        self._armed = False
        for channel in ALL:
            if self.stepping("VOLT") == "STEP":
                self.values["voltage", channel] = self.trigger_voltage(channel)
            if self.stepping("CURR") == "STEP":
                self.values["current", channel] = self.trigger_current(channel)
            self.drive(channel)

    @command("*SAV")
    def _save(self, call: Call) -> None:
        """Keep all settings in one of ten memories."""
        self._memories[_memory(call)] = dict(self.values)

    @command("*RCL")
    def _recall(self, call: Call) -> None:
        """Take the settings of a memory; outputs are off then."""
        place = _memory(call)
        if place not in self._memories:
            raise ScpiError(-221, f"memory {place} is empty")
        stored = self._memories[place]
        self.values = {key: value for key, value in stored.items() if key[0] != "output"}
        self.live = dict.fromkeys(self.live, False)
        self.drive_all()


def _memory(call: Call) -> int:
    call.require(1, 1)
    place = parse_number(call.arguments[0])
    if place not in range(10):
        raise ScpiError(-222, call.arguments[0])
    return int(place)


@final
class PowerSupplyE36312A(PowerSupply):
    """Keysight E36312A: 6 V 5 A, 25 V 1 A, 25 V 1 A."""

    identity = "Keysight Technologies,E36312A,MY57900123,1.0.6-1.0.4-1.00"
    voltage = E36312A.voltage()
    current = E36312A.current()
    protection_voltage = E36312A.protection()
    trigger_voltage, trigger_current = E36312A.triggered()


@final
class PowerSupplyE36313A(PowerSupply):
    """Keysight E36313A: 6 V 10 A, 25 V 2 A, 25 V 2 A."""

    identity = "Keysight Technologies,E36313A,MY57900456,1.0.6-1.0.4-1.00"
    voltage = E36313A.voltage()
    current = E36313A.current()
    protection_voltage = E36313A.protection()
    trigger_voltage, trigger_current = E36313A.triggered()
