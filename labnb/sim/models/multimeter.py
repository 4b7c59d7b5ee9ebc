"""What a 7 1/2 digit multimeter does, after Keysight's Truevolt Operating and Service Guide (34460-90901)."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from labnb.sim.instrument import Instrument, Operation, command
from labnb.sim.parts import CurrentSource, Resistor
from labnb.sim.scpi import OVERLOAD, Call, encode_block, format_number, parse_number, parse_switch
from labnb.sim.settings import Choice, Key, Number, Switch, Text, Whole
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

LINE_HZ = 50.0
SHUNT_OHM = 0.1
"""The ammeter's burden, in all ranges and also when another function is chosen."""
INPUT_OHM = 10e6
"""Input resistance while the function is VOLT and `VOLT:IMP:AUTO` is off; otherwise the voltage input is open."""
OVERRANGE = 1.2
DOWNRANGE = 0.1
RANGE_CHANGE_S = 0.02
MEMORY = 2_000_000


@dataclass(frozen=True, slots=True)
class _Function:
    """What can be measured: its header, and its ranges in its unit."""

    header: str
    ranges: tuple[float, ...]
    default: float
    unit: str
    test_currents: tuple[float, ...] = ()


_OHMS = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
_OHM_AMPS = (1e-3, 1e-3, 1e-4, 1e-5, 5e-6, 5e-7, 5e-8, 5e-9)
_FUNCTIONS = {
    "VOLT": _Function("VOLTage[:DC]", (0.1, 1.0, 10.0, 100.0, 1000.0), 10.0, "V"),
    "CURR": _Function("CURRent[:DC]", (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 3.0, 10.0), 0.1, "A"),
    "RES": _Function("RESistance", _OHMS, 1e3, "OHM", _OHM_AMPS),
    "FRES": _Function("FRESistance", _OHMS, 1e3, "OHM", _OHM_AMPS),
}
_NAMES = {
    "VOLT": "VOLT", "VOLT:DC": "VOLT", "VOLTAGE": "VOLT", "VOLTAGE:DC": "VOLT",
    "CURR": "CURR", "CURR:DC": "CURR", "CURRENT": "CURR", "CURRENT:DC": "CURR",
    "RES": "RES", "RESISTANCE": "RES", "FRES": "FRES", "FRESISTANCE": "FRES",
}  # fmt: skip
_EACH = tuple(function.header for function in _FUNCTIONS.values())


def noise_sigma(range_: float, nplc: float) -> float:
    """Return the standard deviation of one reading in `range_`, in its unit, integrated over `nplc` line cycles.

    0.2 ppm of range at one cycle, falling with the root of the time; below one cycle the line is not rejected, which
    adds 3 ppm of range.
    """
    return range_ * (2e-7 / math.sqrt(nplc) + (3e-6 if nplc < 1 else 0.0))


@final
class Multimeter(Instrument):
    """Keysight 34470A: DC voltage, DC current and resistance, with noise that falls with NPLC.

    `voltage_input` is the pair of nodes of its HI and LO terminals, `current_input` that of its ammeter. A reading is
    the value at the end of its aperture; its error is noise alone (`noise_sigma`), as the unit is freshly calibrated.
    """

    identity = "Keysight Technologies,34470A,MY57701234,A.03.01-03.15-03.01-00.52-03-02"

    cycles = Number("[SENSe:]{}:NPLCycles", keys=_EACH, default=10.0, low=0.001, high=100.0)
    autorange = Switch(keys=_EACH, default=True)
    range = Number(
        keys=_EACH, low=tuple(function.ranges[0] for function in _FUNCTIONS.values()),
        default=tuple(function.default for function in _FUNCTIONS.values()),
        high=tuple(function.ranges[-1] for function in _FUNCTIONS.values()),
    )  # fmt: skip
    autozero = Switch(keys=_EACH[:3], default=True)
    auto_impedance = Switch("[SENSe:]VOLTage[:DC]:IMPedance:AUTO", "INPut:IMPedance:AUTO", default=False)
    samples = Whole("SAMPle:COUNt", default=1.0, low=1.0, high=float(MEMORY))
    triggers = Whole("TRIGger:COUNt", default=1.0, low=1.0, high=float(MEMORY))
    trigger_source = Choice("TRIGger:SOURce", choices=("IMMediate", "BUS", "EXTernal"), default="IMM")
    trigger_delay = Number("TRIGger:DELay", unit="S", default=0.0, low=0.0, high=3600.0)
    trigger_auto_delay = Switch("TRIGger:DELay:AUTO", default=True)
    display = Switch("DISPlay[:WINDow#][:STATe]", default=True)
    display_text = Text("DISPlay[:WINDow#]:TEXT[:DATA]", default="")

    def __init__(
        self,
        bench: "Bench",
        name: str,
        address: str,
        *,
        voltage_input: tuple[str, str],
        current_input: tuple[str, str],
    ) -> None:
        super().__init__(bench, name, address)
        self._function = "VOLT"
        self._readings: list[float] = []
        self._armed = False
        self._terminals = Resistor(*voltage_input, ohms=INPUT_OHM)
        self._probe = CurrentSource(*voltage_input)
        self._shunt = Resistor(*current_input, ohms=SHUNT_OHM)
        bench.circuit.add(self._terminals, self._probe, self._shunt)

    # --- state ---

    def reset(self) -> None:
        """Volts, automatic range, 10 line cycles, one reading."""
        super().reset()
        self._readings = []
        self._armed = False
        self._choose("VOLT")

    def changed(self, name: str, key: Key) -> None:
        """Follow what concerns the input; a new delay is not automatic."""
        if name == "trigger_delay":
            self.values["trigger_auto_delay", ""] = False
        if name == "auto_impedance":
            self._connect_input()

    def function(self) -> str:
        """Return what is measured: VOLT, CURR, RES or FRES."""
        return self._function

    def _choose(self, function: str) -> None:
        self._function = function
        self._connect_input()

    def _connect_input(self) -> None:
        """Connect the input resistance, or the test current, as the function needs it."""
        circuit, function = self.bench.circuit, self._function
        with circuit.edit(self.now, self._terminals):
            self._terminals.ohms = INPUT_OHM if function == "VOLT" and not self.auto_impedance() else math.inf
        with circuit.edit(self.now, self._probe):
            self._probe.amps = self._test_current()

    def _test_current(self) -> float:
        function = _FUNCTIONS[self._function]
        if not function.test_currents:
            return 0.0
        return function.test_currents[function.ranges.index(self.range(self._function))]

    # --- measuring ---

    def _true_value(self) -> float:
        self.bench.circuit.advance(self.now)
        if self._function == "VOLT":
            return self._terminals.voltage
        if self._function == "CURR":
            return self._shunt.current
        return self._terminals.voltage / self._probe.amps

    def _set_range(self, function: str, value: float) -> None:
        self.values["range", function] = value
        if function == self._function:
            self._connect_input()

    def _wanted_range(self, value: float) -> float:
        """Return the range that autoranging takes for `value`: up at 120 %, down at 10 %."""
        ranges, present = _FUNCTIONS[self._function].ranges, self.range(self._function)
        if DOWNRANGE * present <= abs(value) <= OVERRANGE * present:
            return present
        return next((each for each in ranges if abs(value) <= OVERRANGE * each), ranges[-1])

    def _find_range(self) -> Operation:
        """Change ranges until the value fits; resistance changes with its test current, so look again."""
        for _ in _FUNCTIONS[self._function].ranges:
            wanted = self._wanted_range(self._true_value())
            if wanted == self.range(self._function):
                return None
            self._set_range(self._function, wanted)
            yield self.now + RANGE_CHANGE_S
        return None

    def _reading_time_s(self) -> float:
        return self.cycles(self._function) / LINE_HZ * (2.0 if self._zeroes(self._function) else 1.0)

    def _zeroes(self, function: str) -> bool:
        return function != "FRES" and self.autozero(function)

    def _sample(self) -> float:
        value, range_ = self._true_value(), self.range(self._function)
        if abs(value) > OVERRANGE * range_:
            return math.copysign(OVERLOAD, value)
        return value + self.rng.gauss(0.0, noise_sigma(range_, self.cycles(self._function)))

    def _acquire(self) -> Operation:
        while self._armed:
            yield None
        for _ in range(int(self.triggers())):
            if not self.trigger_auto_delay():
                yield self.now + self.trigger_delay()
            for _ in range(int(self.samples())):
                if self.autorange(self._function):
                    yield from self._find_range()
                yield self.now + self._reading_time_s()
                self._readings.append(self._sample())
        return None

    def _initiate(self) -> None:
        if self.busy:
            raise ScpiError(-213)
        if self.samples() * self.triggers() > MEMORY:
            raise ScpiError(-221, "more readings than memory")
        self._readings = []
        self._armed = self.trigger_source() != "IMM"
        self.begin(self._acquire())

    def trigger(self) -> None:
        """Begin what `INIT` has armed for a bus trigger."""
        if not self._armed or self.trigger_source() != "BUS":
            raise ScpiError(-211)
        self._armed = False
        self.proceed()

    def _complete_readings(self) -> Operation:
        if self._armed:
            raise ScpiError(-214)
        yield from self.until_complete()
        if not self._readings:
            raise ScpiError(-230)
        return ",".join(map(format_number, self._readings))

    @command("INITiate[:IMMediate]")
    def _command_initiate(self, call: Call) -> None:
        self._initiate()

    @command("FETCh?")
    def _fetch(self, call: Call) -> Operation:
        return self._complete_readings()

    @command("READ?")
    def _read(self, call: Call) -> Operation:
        if self.trigger_source() != "IMM":
            raise ScpiError(-214)
        self._initiate()
        return self._complete_readings()

    @command("R?")
    def _remove(self, call: Call) -> bytes:
        """Answer the readings so far as a block, and forget them."""
        readings, self._readings = self._readings, []
        return encode_block(",".join(map(format_number, readings)).encode("ascii"))

    @command("DATA:POINts?")
    def _ask_points(self, call: Call) -> str:
        return str(len(self._readings))

    @command("ABORt")
    def _command_abort(self, call: Call) -> None:
        self.abort()

    def abort(self) -> None:
        """Disarm, too."""
        self._armed = False
        super().abort()

    # --- configuring ---

    def _configure(self, call: Call) -> None:
        """Choose function and range and go back to one immediate reading of 10 line cycles."""
        call.require(0, 2)
        function = call.key
        words = [word for word in call.arguments[:1] if word.upper() not in ("AUTO", "DEF", "DEFAULT")]
        fixed = self._parse_range(function, words[0]) if words else None
        self.abort()
        for name, key in (("cycles", function), ("autozero", function), ("samples", ""), ("triggers", ""),
                          ("trigger_source", ""), ("trigger_delay", ""), ("trigger_auto_delay", "")):  # fmt: skip
            self.values.pop((name, key), None)
        self.values["autorange", function] = fixed is None
        if fixed is not None:
            self.values["range", function] = fixed
        self._choose(function)

    def _parse_range(self, function: str, word: str) -> float:
        """Return the smallest range that holds what `word` says."""
        known = _FUNCTIONS[function]
        value = _named_range(known, word.upper())
        value = abs(parse_number(word, known.unit)) if value is None else value
        if value > OVERRANGE * known.ranges[-1]:
            raise ScpiError(-222, word)
        return next(each for each in known.ranges if value <= OVERRANGE * each)

    @command("CONFigure:{}", each=_EACH)
    def _command_configure(self, call: Call) -> None:
        self._configure(call)

    @command("MEASure:{}?", each=_EACH)
    def _measure(self, call: Call) -> Operation:
        self._configure(call)
        return self._read(call)

    @command("CONFigure?")
    def _ask_configuration(self, call: Call) -> str:
        range_ = self.range(self._function)
        return f'"{self._function} {range_:+.6E},{range_ * 1e-7:+.6E}"'

    @command("[SENSe:]FUNCtion[:ON]")
    def _command_function(self, call: Call) -> None:
        call.require(1, 1)
        word = call.arguments[0].strip("\"'").upper()
        if word not in _NAMES:
            raise ScpiError(-224, call.arguments[0])
        self._choose(_NAMES[word])

    @command("[SENSe:]FUNCtion[:ON]?")
    def _ask_function(self, call: Call) -> str:
        return f'"{self._function}"'

    @command("[SENSe:]{}:RANGe[:UPPer]", each=_EACH)
    def _command_range(self, call: Call) -> None:
        call.require(1, 1)
        value = self._parse_range(call.key, call.arguments[0])
        self.values["autorange", call.key] = False
        self._set_range(call.key, value)

    @command("[SENSe:]{}:RANGe[:UPPer]?", each=_EACH)
    def _ask_range(self, call: Call) -> str:
        return type(self).range.query(self, call)

    @command("[SENSe:]{}:RANGe:AUTO", each=_EACH)
    def _command_autorange(self, call: Call) -> Operation:
        """ON, OFF, or ONCE: find the range now and stay in it."""
        call.require(1, 1)
        once = call.arguments[0].upper() == "ONCE"
        on = not once and parse_switch(call.arguments[0])
        if once and call.key == self._function:
            yield from self._find_range()
        self.values["autorange", call.key] = on
        return None

    @command("[SENSe:]{}:RANGe:AUTO?", each=_EACH)
    def _ask_autorange(self, call: Call) -> str:
        return type(self).autorange.query(self, call)

    @command("[SENSe:]{}:ZERO:AUTO", each=_EACH[:3])
    def _command_autozero(self, call: Call) -> None:
        """ON, OFF, or ONCE, which zeroes now and is OFF from then on."""
        call.require(1, 1)
        self.values["autozero", call.key] = _zero_mode(call.arguments[0])

    @command("[SENSe:]{}:ZERO:AUTO?", each=_EACH[:3])
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
        return "1" if self._zeroes(self._function) else "0"

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


def _named_range(function: _Function, word: str) -> float | None:
    named = {"MIN": function.ranges[0], "MAX": function.ranges[-1], "DEF": function.default}
    return named.get(word[:3]) if word in ("MIN", "MINIMUM", "MAX", "MAXIMUM", "DEF", "DEFAULT") else None
