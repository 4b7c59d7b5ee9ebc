"""What an electronic load does, after Keysight's EL30000 Series Programming Guide (EL33133-90002)."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, cast, final

from labnb.sim.instrument import Instrument, Operation, command
from labnb.sim.parts import Part
from labnb.sim.scpi import OVERLOAD, Call, format_number, parse_number
from labnb.sim.settings import Choice, Key, Number, Switch
from labnb.sim.sources import LoadMode, Sink
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

MEASURING_S = 5e-3
VOLTAGE_READBACK_V = 1e-3
CURRENT_READBACK_A = 2e-4
_RANGES = {"CURR": (4.08, 40.8), "VOLT": (15.3, 153.0), "RES": (30.0, 1250.0, 4000.0), "POW": (5.1, 25.5, 255.0)}
_EACH = ("CURRent", "VOLTage", "RESistance", "POWer")
_UNITS = {"CURR": "A", "VOLT": "V", "RES": "OHM", "POW": "W"}
_HIGHEST = tuple(_RANGES[name][-1] for name in ("CURR", "VOLT", "RES", "POW"))


@final
class ElectronicLoad(Instrument):
    """Keysight EL33133A: 150 V, 40 A, 250 W; it holds current, voltage, power or resistance while its input is on.

    A level beyond the chosen range is refused. What it measures is what really flows, with a readback's noise.
    """

    identity = "Keysight Technologies,EL33133A,MY61001234,1.2.6-1.0.4-1.02"
    terminal_names: ClassVar = {"terminals": ("+", "-")}

    function = Choice(
        "[SOURce:]FUNCtion", "[SOURce:]MODE", default="CURR", choices=("CURRent", "VOLTage", "POWer", "RESistance")
    )
    level = Number(keys=_EACH, default=(0.0, 153.0, 4000.0, 0.0), low=(0.0, 0.0, 0.08, 0.0), high=_HIGHEST)
    trigger_level = Number(
        "[SOURce:]{}[:LEVel]:TRIGgered[:AMPLitude]",
        "[SOURce:]{}:TLEVel",
        keys=_EACH,
        default=(0.0, 153.0, 4000.0, 0.0),
        low=0.0,
        high=_HIGHEST,
    )
    range = Number(keys=_EACH, default=_HIGHEST, low=0.0, high=_HIGHEST)
    slew = Number("[SOURce:]{}:SLEW[:POSitive]", keys=_EACH, default=OVERLOAD, low=1e-3, high=OVERLOAD)
    slew_down = Number("[SOURce:]{}:SLEW:NEGative", keys=_EACH, default=OVERLOAD, low=1e-3, high=OVERLOAD)
    input = Switch("INPut[:STATe]", "OUTPut[:STATe]", default=False)
    short = Switch("INPut:SHORt[:STATe]", "OUTPut:SHORt[:STATe]", default=False)
    sensing = Choice("[SOURce:]VOLTage:SENSe[:SOURce]", default="INT", choices=("INTernal", "EXTernal"))
    transient_mode = Choice("[SOURce:]TRANsient:MODE", default="CONT", choices=("CONTinuous", "PULSe", "TOGGle"))
    remote = Choice("SYSTem:COMMunicate:RLSTate", default="LOC", choices=("LOCal", "REMote", "RWLock"))

    def __init__(self, bench: "Bench", name: str, address: str, *, terminals: tuple[str, str]) -> None:
        super().__init__(bench, name, address)
        self._sink = Sink(*terminals)
        self._waits_for_trigger = False
        bench.circuit.add(self._sink)

    def reset(self) -> None:
        """Input off, constant current, 0 A."""
        super().reset()
        self._waits_for_trigger = False
        self._drive()

    def changed(self, name: str, key: Key) -> None:
        """Drive the input."""
        self._drive()

    def _drive(self) -> None:
        with self.bench.circuit.edit(self.now, self._sink):
            sink, function = self._sink, self.function()
            level = self.level(function)
            slew = self.slew(function) if level > sink.level else self.slew_down(function)
            at_once = slew >= OVERLOAD or not sink.live or sink.law != function
            sink.live, sink.short = self.input(), self.short()
            sink.law = cast(LoadMode, function)  # its choices are these words
            sink.approach(level, math.inf if at_once else slew, self.now)

    def _settled(self) -> Sink:
        self.bench.circuit.advance(self.now, self._sink)
        return self._sink

    @command("[SOURce:]{}[:LEVel][:IMMediate][:AMPLitude]", each=_EACH)
    def _set_level(self, call: Call) -> None:
        """Set a level within the chosen range."""
        call.require(1, 1)
        value = self._parsed(call, call.arguments[0])
        if value > self.range(call.key) * (1 + 1e-9):
            raise ScpiError(-222, call.arguments[0])
        self.values["level", call.key] = value
        self._drive()

    def _parsed(self, call: Call, word: str) -> float:
        unit = _UNITS[call.key]
        plain = word if word.isalpha() else repr(parse_number(word, unit))
        return type(self).level.parse(plain, call.key)

    @command("[SOURce:]{}[:LEVel][:IMMediate][:AMPLitude]?", each=_EACH)
    def _ask_level(self, call: Call) -> str:
        return type(self).level.query(self, call)

    @command("[SOURce:]{}:RANGe", each=_EACH)
    def _set_range(self, call: Call) -> None:
        """Choose the smallest range that holds a value; a level beyond it comes down to it."""
        call.require(1, 1)
        ranges = _RANGES[call.key]
        word = call.arguments[0].upper()
        named = {"MIN": ranges[0], "MAX": ranges[-1], "DEF": ranges[-1]}.get(word[:3])
        value = parse_number(word) if named is None else named
        chosen = next((each for each in ranges if abs(value) <= each * (1 + 1e-9)), None)
        if chosen is None:
            raise ScpiError(-222, word)
        self.values["range", call.key] = chosen
        self.values["level", call.key] = min(self.level(call.key), chosen)
        self._drive()

    @command("[SOURce:]{}:RANGe?", each=_EACH)
    def _ask_range(self, call: Call) -> str:
        if call.arguments:
            ends = {"MIN": _RANGES[call.key][0], "MAX": _RANGES[call.key][-1]}
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
        """Wait for a trigger, which puts the triggered level of the present function in force."""
        self._waits_for_trigger = True

    @command("TRIGger:TRANsient[:IMMediate]")
    def _trigger_transient(self, call: Call) -> None:
        self.trigger()

    @command("ABORt:TRANsient")
    def _disarm(self, call: Call) -> None:
        self._waits_for_trigger = False

    def trigger(self) -> None:
        """Take the triggered level."""
        if not self._waits_for_trigger:
            raise ScpiError(-211)
        self._waits_for_trigger = False
        function = self.function()
        self.values["level", function] = min(self.trigger_level(function), self.range(function))
        self._drive()
