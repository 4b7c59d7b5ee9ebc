"""What an electronic load does, after Keysight's EL30000 Series Programming Guide (EL33133-90002)."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast, final

from labnb.sim.instrument import Operation, command
from labnb.sim.models.load_settings import EACH, RANGES, UNITS, LoadSettings
from labnb.sim.parts import Part
from labnb.sim.scpi import OVERLOAD, Call, format_number, parse_number
from labnb.sim.settings import Key
from labnb.sim.sources import LoadMode, Pulses, Sink
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

MEASURING_S = 5e-3
VOLTAGE_READBACK_V = 1e-3
CURRENT_READBACK_A = 2e-4
_MOST_VOLTS, _MOST_AMPS, _MOST_WATTS = 165.0, 44.0, 275.0
"""Where the input protects itself: 10 % above its rating."""
_OVERVOLTAGE, _OVERCURRENT, _OVERPOWER = 1 << 0, 1 << 1, 1 << 3
"""Bits of the questionable condition register; they are from memory of the manual and are not verified."""


@final
class ElectronicLoad(LoadSettings):
    """Keysight EL33133A: 150 V, 40 A, 250 W; it holds current, voltage, power or resistance while its input is on.

    A level beyond the chosen range is refused. A transient (`INIT:TRAN`, then `*TRG`) goes to `TLEV`: once for `TWID`
    (PULS), for ever (CONT), or to and fro with each trigger (TOGG); with `CURR:MODE STEP` it is the triggered level
    that stays. What exceeds a protection switches the input off until `INP:PROT:CLE`. Its sense terminals are
    connected to its input. What it measures is what really flows, with a readback's noise.
    """

    identity = "Keysight Technologies,EL33133A,MY61001234,1.2.6-1.0.4-1.02"
    terminal_names: ClassVar = {"terminals": ("+", "-")}

    def __init__(self, bench: "Bench", name: str, address: str, *, terminals: tuple[str, str]) -> None:
        super().__init__(bench, name, address)
        self._sink = Sink(*terminals)
        self._waits_for_trigger = False
        self._toggled = False
        self._tripped = 0
        bench.circuit.add(self._sink)
        bench.circuit.watch(self._protect)
        bench.circuit.listen(self._look)

    def reset(self) -> None:
        """Input off, constant current, 0 A."""
        super().reset()
        self._waits_for_trigger = self._toggled = False
        self._tripped = 0
        self._drive()

    def changed(self, name: str, key: Key) -> None:
        """Drive the input; a transient ends."""
        self._toggled = False
        self._drive()

    def _drive(self) -> None:
        function = self.function()
        level = self.transient_level(function) if self._toggled else self.level(function)
        with self.bench.circuit.edit(self.now, self._sink):
            sink = self._sink
            slew = self.slew(function) if level > sink.level else self.slew_down(function)
            at_once = slew >= OVERLOAD or not sink.live or sink.law != function
            sink.live, sink.short = self.input() and not self._tripped, self.short()
            sink.law = cast(LoadMode, function)  # its choices are these words
            sink.approach(level, math.inf if at_once else slew, self.now)

    # --- protection ---

    def _look(self) -> None:
        """Look at once when something on the bench is changed, so that a protection acts in time."""
        if self._sink.live:
            self.bench.circuit.advance(self.now, self._sink)

    def _protect(self) -> bool:
        """Switch the input off when it exceeds a protection; return whether it did."""
        sink = self._sink
        if not sink.live:
            return False
        watts = sink.voltage * sink.current
        most_amps = self.current_protection() if self.current_protected() else _MOST_AMPS
        most_watts = self.power_protection() if self.power_protected() else _MOST_WATTS
        trips = _OVERVOLTAGE if sink.voltage > _MOST_VOLTS else 0
        trips |= _OVERCURRENT if sink.current > most_amps * (1 + 1e-9) else 0
        trips |= _OVERPOWER if watts > most_watts * (1 + 1e-9) else 0
        if not trips:
            return False
        self._tripped |= trips
        sink.live = False
        self.bench.circuit.touch(sink)
        return True

    @command("STATus:QUEStionable:CONDition?")
    def _ask_condition(self, call: Call) -> str:
        """Answer bit 0 for overvoltage, 1 for overcurrent, 3 for overpower."""
        self.bench.circuit.advance(self.now, self._sink)
        return str(self._tripped)

    @command("[SOURce:]{}:PROTection:TRIPped?", each=("VOLTage", "CURRent", "POWer"))
    def _ask_trip(self, call: Call) -> str:
        self.bench.circuit.advance(self.now, self._sink)
        bit = {"VOLT": _OVERVOLTAGE, "CURR": _OVERCURRENT, "POW": _OVERPOWER}[call.key]
        return "1" if self._tripped & bit else "0"

    @command("INPut:PROTection:CLEar", "OUTPut:PROTection:CLEar")
    def _clear_trips(self, call: Call) -> None:
        self._tripped = 0
        self._drive()

    def _settled(self) -> Sink:
        self.bench.circuit.advance(self.now, self._sink)
        return self._sink

    @command("[SOURce:]{}[:LEVel][:IMMediate][:AMPLitude]", each=EACH)
    def _set_level(self, call: Call) -> None:
        """Set a level within the chosen range."""
        call.require(1, 1)
        value = self._parsed(call, call.arguments[0])
        if value > self.range(call.key) * (1 + 1e-9):
            raise ScpiError(-222, call.arguments[0])
        self.values["level", call.key] = value
        self._drive()

    def _parsed(self, call: Call, word: str) -> float:
        unit = UNITS[call.key]
        plain = word if word.isalpha() else repr(parse_number(word, unit))
        return type(self).level.parse(plain, call.key)

    @command("[SOURce:]{}[:LEVel][:IMMediate][:AMPLitude]?", each=EACH)
    def _ask_level(self, call: Call) -> str:
        return type(self).level.query(self, call)

    @command("[SOURce:]{}:RANGe", each=EACH)
    def _set_range(self, call: Call) -> None:
        """Choose the smallest range that holds a value; a level beyond it comes down to it."""
        call.require(1, 1)
        ranges = RANGES[call.key]
        word = call.arguments[0].upper()
        named = {"MIN": ranges[0], "MAX": ranges[-1], "DEF": ranges[-1]}.get(word[:3])
        value = parse_number(word) if named is None else named
        chosen = next((each for each in ranges if abs(value) <= each * (1 + 1e-9)), None)
        if chosen is None:
            raise ScpiError(-222, word)
        self.values["range", call.key] = chosen
        self.values["level", call.key] = min(self.level(call.key), chosen)
        self._drive()

    @command("[SOURce:]{}:RANGe?", each=EACH)
    def _ask_range(self, call: Call) -> str:
        if call.arguments:
            ends = {"MIN": RANGES[call.key][0], "MAX": RANGES[call.key][-1]}
            return format_number(ends.get(call.arguments[0].upper()[:3], self.range(call.key)))
        return format_number(self.range(call.key))

    # --- measuring ---

    def _measured(self, value: Callable[[Part], float], sigma: float) -> Operation:
        yield self.now + MEASURING_S
        return format_number(value(self._settled()) + self.rng.gauss(0.0, sigma))

    @command("MEASure[:SCALar]:VOLTage[:DC]?", "MEASure[:SCALar]?")
    def _measure_voltage(self, call: Call) -> Operation:
        return self._measured(lambda part: part.voltage, VOLTAGE_READBACK_V)

    @command("MEASure[:SCALar]:CURRent[:DC]?")
    def _measure_current(self, call: Call) -> Operation:
        return self._measured(lambda part: part.current, CURRENT_READBACK_A)

    @command("MEASure[:SCALar]:POWer[:DC]?")
    def _measure_power(self, call: Call) -> Operation:
        return self._measured(lambda part: part.voltage * part.current, CURRENT_READBACK_A)

    # --- transients ---

    @command("INITiate[:IMMediate]:TRANsient")
    def _arm(self, call: Call) -> None:
        """Wait for a trigger, or begin at once."""
        self._waits_for_trigger = True
        if self.trigger_source() == "IMM":
            self._transient()

    @command("TRIGger:TRANsient[:IMMediate]")
    def _trigger_transient(self, call: Call) -> None:
        self._transient()

    @command("ABORt:TRANsient", "ABORt")
    def _disarm(self, call: Call) -> None:
        """End a transient; the programmed level returns."""
        self._waits_for_trigger = self._toggled = False
        self._drive()

    def trigger(self) -> None:
        """Begin the transient that waits for a bus trigger. Raises -211 when none does."""
        if self.trigger_source() != "BUS":
            raise ScpiError(-211)
        self._transient()

    def external_trigger(self) -> None:
        """Give an edge on the trigger input; without effect unless the load is armed for it."""
        timeline = self.bench.timeline
        with timeline.changed:
            timeline.catch_up()
            if self._armed and self.trigger_source() == "EXT":
                self._transient()

    @property
    def _armed(self) -> bool:
        return self._waits_for_trigger or self.continuous()

    def _transient(self) -> None:
        if not self._armed:
            raise ScpiError(-211)
        self._waits_for_trigger = False
        function, mode = self.function(), self.transient_mode()
        if self.stepping(function) == "STEP":
            self.values["level", function] = min(self.trigger_level(function), self.range(function))
            self._drive()
        elif mode == "TOGG":
            self._toggled = not self._toggled
            self._waits_for_trigger = True
            self._drive()
        else:
            self._pulse(function, for_ever=mode == "CONT")

    def _pulse(self, function: str, *, for_ever: bool) -> None:
        frequency = self.transient_frequency() if for_ever else 0.0
        width_s = self.transient_duty() / 100.0 / frequency if for_ever else self.transient_width()
        slews = [math.inf if slew >= OVERLOAD else slew for slew in (self.slew(function), self.slew_down(function))]
        with self.bench.circuit.edit(self.now, self._sink):
            top = min(self.transient_level(function), self.range(function))
            self._sink.pulse(Pulses(self.now, self.level(function), top, width_s, frequency, slews[0], slews[1]))
