"""Which settings a multimeter of Keysight's family keeps, whatever it does with them."""

import math
from typing import ClassVar

from labnb.sim.instrument import Instrument, command
from labnb.sim.models.meter_functions import (
    ALTERNATING,
    COUNTED,
    DIRECT,
    EACH,
    FIXED_CYCLES,
    RANGED,
    RESOLUTIONS_34470A,
    TRUEVOLT,
    ZEROING,
    Functions,
    Resolutions,
    cycles_for,
    resolution,
)
from labnb.sim.scpi import OVERLOAD, Call, format_number, parse_number, parse_switch
from labnb.sim.settings import Choice, Key, Number, Switch, Text, Whole

LINE_HZ = 50.0
MEMORY = 2_000_000
ALTERNATING_CYCLES = 20.0


class Count(Whole):
    """A whole number, or INFinity."""

    def parse(self, text: str, key: Key) -> float:
        """Understand INF, too."""
        return math.inf if text.upper() in ("INF", "INFINITY") else super().parse(text, key)

    def format(self, value: float) -> str:
        """Write infinity as SCPI does."""
        return format_number(OVERLOAD) if math.isinf(value) else super().format(value)


def range_setting(functions: Functions) -> Number:
    """Return the setting that holds the range of each of `functions`."""
    known = functions.values()
    return Number(
        keys=EACH, low=tuple(each.ranges[0] for each in known), default=tuple(each.default for each in known),
        high=tuple(each.ranges[-1] for each in known),
    )  # fmt: skip


class MeterSettings(Instrument):
    """The settings of a multimeter, except those that say what its input does."""

    functions: ClassVar[Functions] = TRUEVOLT
    resolutions: ClassVar[Resolutions] = RESOLUTIONS_34470A

    cycles = Number("[SENSe:]{}:NPLCycles", keys=DIRECT, default=10.0, low=0.001, high=100.0)
    aperture = Number("[SENSe:]{}:APERture", unit="S", keys=DIRECT, default=0.1, low=2e-5, high=1.0)
    aperture_enabled = Switch("[SENSe:]{}:APERture:ENABled", keys=DIRECT, default=False)
    gate = Number("[SENSe:]{}:APERture", unit="S", keys=COUNTED, default=0.1, low=1e-3, high=1.0)
    autorange = Switch(keys=EACH, default=True)
    range = range_setting(TRUEVOLT)
    autozero = Switch(keys=ZEROING, default=True)
    auto_impedance = Switch("[SENSe:]VOLTage[:DC]:IMPedance:AUTO", "INPut:IMPedance:AUTO", default=False)
    bandwidth = Number("[SENSe:]{}:BANDwidth", keys=ALTERNATING, unit="HZ", default=20.0, low=3.0, high=200.0)
    detector_bandwidth = Number("[SENSe:]DETector:BANDwidth", unit="HZ", default=20.0, low=3.0, high=200.0)
    samples = Whole("SAMPle:COUNt", default=1.0, low=1.0, high=float(MEMORY))
    pretrigger_samples = Whole("SAMPle:COUNt:PRETrigger", default=0.0, low=0.0, high=float(MEMORY - 1))
    sample_source = Choice("SAMPle:SOURce", choices=("IMMediate", "TIMer"), default="IMM")
    sample_timer = Number(default=1.0, low=0.0, high=3600.0, unit="S")
    triggers = Count("TRIGger:COUNt", default=1.0, low=1.0, high=float(MEMORY))
    trigger_source = Choice(
        "TRIGger:SOURce", choices=("IMMediate", "BUS", "EXTernal", "INTernal"), default="IMM"
    )  # fmt: skip
    trigger_delay = Number("TRIGger:DELay", unit="S", default=0.0, low=0.0, high=3600.0)
    trigger_auto_delay = Switch("TRIGger:DELay:AUTO", default=True)
    trigger_slope = Choice("TRIGger:SLOPe", choices=("POSitive", "NEGative"), default="NEG")
    trigger_level = Number("TRIGger:LEVel", default=0.0, low=-1000.0, high=1000.0, unit="V")
    probe = Choice(
        "[SENSe:]TEMPerature:TRANsducer:TYPE", default="FRTD", choices=("FRTD", "RTD", "FTHermistor", "THERmistor")
    )
    rtd_ohms = Number(
        "[SENSe:]TEMPerature:TRANsducer:RTD:RESistance[:REFerence]",
        "[SENSe:]TEMPerature:TRANsducer:FRTD:RESistance[:REFerence]",
        unit="OHM", default=100.0, low=49.0, high=2100.0,
    )  # fmt: skip
    thermistor = Choice(
        "[SENSe:]TEMPerature:TRANsducer:THERmistor:TYPE", "[SENSe:]TEMPerature:TRANsducer:FTHermistor:TYPE",
        default="5000", choices=("2252", "5000", "10000"),
    )  # fmt: skip
    temperature_unit = Choice("UNIT:TEMPerature", default="C", choices=("C", "F", "K"))
    null = Switch("[SENSe:]{}:NULL[:STATe]", keys=RANGED, default=False)
    null_value = Number("[SENSe:]{}:NULL:VALue", keys=RANGED, default=0.0, low=-1.2e15, high=1.2e15)
    display = Switch("DISPlay[:WINDow#][:STATe]", default=True)
    display_text = Text("DISPlay[:WINDow#]:TEXT[:DATA]", default="")
    beeper = Switch("SYSTem:BEEPer:STATe", default=True)

    def changed(self, name: str, key: Key) -> None:
        """Let line cycles and aperture exclude each other; a new delay is not automatic."""
        if name == "trigger_delay":
            self.values["trigger_auto_delay", ""] = False
        if name in ("cycles", "aperture"):
            self.values["aperture_enabled", key] = name == "aperture"

    def nplc(self, function: str) -> float:
        """Return over how many line cycles a reading of `function` integrates."""
        if self.functions[function].alternating:
            return ALTERNATING_CYCLES
        if function in ("FREQ", "PER"):
            return self.gate(function) * LINE_HZ
        if function in FIXED_CYCLES:
            return FIXED_CYCLES[function]
        if function == "VOLT:RAT":
            return self.cycles("VOLT")
        return self.aperture(function) * LINE_HZ if self.aperture_enabled(function) else self.cycles(function)

    def aperture_s(self, function: str) -> float:
        """Return how long the input is looked at for one reading of `function`."""
        return self.nplc(function) / LINE_HZ

    def zeroes(self, function: str) -> bool:
        """Return whether a reading of `function` is followed by one of zero."""
        return function in ("VOLT", "CURR", "RES", "TEMP") and self.autozero(function)

    def reading_time_s(self, function: str) -> float:
        """Return how long one reading of `function` takes."""
        return self.aperture_s(function) * (2.0 if self.zeroes(function) else 1.0)

    def present_function(self) -> str:
        """Return what is measured now."""
        raise NotImplementedError

    @command("[SENSe:]{}:RESolution", each=RANGED)
    def _command_resolution(self, call: Call) -> None:
        """Choose the integration time that resolves as much, in the unit of the function."""
        call.require(1, 1)
        self.resolve(call.key, call.arguments[0])

    def resolve(self, function: str, word: str) -> None:
        """Choose the integration time by the resolution that `word` says."""
        if function not in ("VOLT", "CURR", "RES", "FRES"):
            parse_number(word if not word.isalpha() else "0")  # those with a fixed integration time
            return
        ends = {"MIN": self.resolutions[-1][0], "MAX": self.resolutions[0][0], "DEF": 10.0}
        cycles = ends.get(word[:3].upper())
        if cycles is None:
            parts = parse_number(word, self.functions[function].unit) / self.range(function)
            cycles = cycles_for(self.resolutions, parts)
        self.values["cycles", function] = cycles
        self.changed("cycles", function)

    @command("[SENSe:]{}:RESolution?", each=RANGED)
    def _ask_resolution(self, call: Call) -> str:
        call.require(0, 1)
        parts = resolution(self.resolutions, self.nplc(call.key))
        if call.arguments:
            ends = {"MIN": self.resolutions[-1][1], "MAX": self.resolutions[0][1]}
            parts = ends.get(call.arguments[0][:3].upper(), parts)
        return format_number(parts * self.range(call.key))

    @command("SAMPle:TIMer")
    def _command_timer(self, call: Call) -> None:
        """Set the interval of readings; MIN is the time that one reading takes now."""
        call.require(1, 1)
        if call.arguments[0].upper() in ("MIN", "MINIMUM"):
            self.values["sample_timer", ""] = self.reading_time_s(self.present_function())
        else:
            type(self).sample_timer.write(self, "", call.arguments[0])

    @command("SAMPle:TIMer?")
    def _ask_timer(self, call: Call) -> str:
        if call.arguments and call.arguments[0].upper() in ("MIN", "MINIMUM"):
            return format_number(self.reading_time_s(self.present_function()))
        return type(self).sample_timer.answer(self, "", call.arguments)

    @command("[SENSe:]{}:ZERO:AUTO", each=ZEROING)
    def _command_autozero(self, call: Call) -> None:
        """ON, OFF, or ONCE, which zeroes now and is OFF from then on."""
        call.require(1, 1)
        self.values["autozero", call.key] = _zero_mode(call.arguments[0])

    @command("[SENSe:]{}:ZERO:AUTO?", each=ZEROING)
    def _ask_autozero(self, call: Call) -> str:
        return type(self).autozero.query(self, call)

    @command("[SENSe:]ZERO:AUTO")
    def _command_all_autozero(self, call: Call) -> None:
        """Set all functions that zero: the form of earlier meters."""
        call.require(1, 1)
        on = _zero_mode(call.arguments[0])
        for function in ("VOLT", "CURR", "RES"):
            self.values["autozero", function] = on

    @command("[SENSe:]ZERO:AUTO?")
    def _ask_present_autozero(self, call: Call) -> str:
        return "1" if self.zeroes(self.present_function()) else "0"

    @command("SYSTem:LFRequency?")
    def _ask_line(self, call: Call) -> str:
        return f"{LINE_HZ:.0f}"

    @command("ROUTe:TERMinals?")
    def _ask_terminals(self, call: Call) -> str:
        return "FRON"

    @command("SYSTem:LICense:CATalog?")
    def _ask_licences(self, call: Call) -> str:
        return '"DIG","MEM"'

    @command("*OPT?")
    def _ask_options(self, call: Call) -> str:
        return "DIG,MEM"

    @command("DISPlay[:WINDow#]:TEXT:CLEar")
    def _clear_text(self, call: Call) -> None:
        self.values.pop(("display_text", ""), None)


def _zero_mode(word: str) -> bool:
    return word.upper() != "ONCE" and parse_switch(word)
