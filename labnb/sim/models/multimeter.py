"""What a 7 1/2 digit multimeter does, after Keysight's Truevolt Operating and Service Guide (34460-90901)."""

import math
import statistics
from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar

from labnb.sim.instrument import Operation, command
from labnb.sim.models.meter_functions import EACH, NAMES, OVERRANGE, noise_sigma
from labnb.sim.models.meter_settings import MEMORY, MeterSettings
from labnb.sim.parts import CurrentSource, Part, Resistor
from labnb.sim.scpi import OVERLOAD, Call, encode_block, format_number, parse_switch
from labnb.sim.settings import Key
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

SHUNT_OHM = 0.1
"""The ammeter's burden, in all ranges and also when another function is chosen."""
INPUT_OHM = 10e6
"""Input resistance while the function is VOLT and `VOLT:IMP:AUTO` is off."""
ALTERNATING_INPUT_OHM = 1e6
"""Input resistance while the function is VOLT:AC; with another function the voltage input is open."""
RANGE_CHANGE_S = 0.02
WAVE_SAMPLES = 64


class Multimeter(MeterSettings):
    """Keysight 34470A: DC voltage, DC current and resistance, with noise that falls with NPLC.

    `voltage_input` is the pair of nodes of its HI and LO terminals, `current_input` that of its ammeter. A reading is
    the value at the end of its aperture; its error is noise alone (`noise_sigma`), as the unit is freshly calibrated.
    """

    identity = "Keysight Technologies,34470A,MY57701234,A.03.01-03.15-03.01-00.52-03-02"
    terminal_names: ClassVar = {"voltage_input": ("hi", "lo"), "current_input": ("i", "i-")}

    noise: ClassVar[float] = 1.0
    """How many times `noise_sigma` its readings scatter."""

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
        """Follow what concerns the input."""
        super().changed(name, key)
        if name == "auto_impedance":
            self._connect_input()

    def present_function(self) -> str:
        """Return what is measured: VOLT, CURR, RES, FRES, VOLT:AC or CURR:AC."""
        return self._function

    def _choose(self, function: str) -> None:
        self._function = function
        self._connect_input()

    def _connect_input(self) -> None:
        """Connect the input resistance, or the test current, as the function needs it."""
        circuit, function = self.bench.circuit, self._function
        with circuit.edit(self.now, self._terminals):
            self._terminals.ohms = self._input_ohms(function)
        with circuit.edit(self.now, self._probe):
            self._probe.amps = self._test_current()

    def _input_ohms(self, function: str) -> float:
        if function == "VOLT:AC":
            return ALTERNATING_INPUT_OHM
        return INPUT_OHM if function == "VOLT" and not self.auto_impedance() else math.inf

    def _test_current(self) -> float:
        function = self.functions[self._function]
        if not function.test_currents:
            return 0.0
        return function.test_currents[function.ranges.index(self.range(self._function))]

    # --- measuring ---

    def _sensor(self) -> Part:
        return self._shunt if self._function.startswith("CURR") else self._terminals

    def _present_value(self) -> float:
        """Return what the input sees now, in the function's unit."""
        self.bench.circuit.advance(self.now, self._sensor())
        return self._converted()

    def _converted(self) -> float:
        if self._function.startswith("CURR"):
            return self._shunt.current
        return self._terminals.voltage / (self._probe.amps or 1.0)

    def _look(self, until: float, aperture_s: float) -> Generator[float | None, None, float]:
        """Return the value at `until`; of a wave with a period within the aperture its mean, or its RMS."""
        alternating = self.functions[self._function].alternating
        part = self._sensor()
        period = self.bench.circuit.period(part)
        if not 0 < period <= aperture_s:
            if until > self.now:
                yield until
            return 0.0 if alternating else self._present_value()
        until = max(until, self.now + period)
        if until - period > self.now:
            yield until - period
        circuit = self.bench.circuit
        tap = circuit.tap(
            part, self._converted, start=until - period, interval_s=period / WAVE_SAMPLES, count=WAVE_SAMPLES
        )  # fmt: skip
        try:
            yield until
            circuit.advance(self.now, part)
        finally:
            circuit.untap(tap)
        return statistics.pstdev(tap.samples) if alternating else statistics.fmean(tap.samples)

    def _set_range(self, function: str, value: float) -> None:
        self.values["range", function] = value
        if function == self._function:
            self._connect_input()

    def _find_range(self) -> Operation:
        """Change ranges until the value fits; resistance changes with its test current, so look again."""
        for _ in self.functions[self._function].ranges:
            present = self.range(self._function)
            value = yield from self._look(self.now, self.aperture_s(self._function))
            wanted = self.functions[self._function].wanted_range(value, present)
            if wanted == present:
                return None
            self._set_range(self._function, wanted)
            yield self.now + RANGE_CHANGE_S
        return None

    def _reading(self, value: float) -> float:
        """Return how `value` reads: with noise, or as overload."""
        range_ = self.range(self._function)
        if abs(value) > OVERRANGE * range_:
            return math.copysign(OVERLOAD, value)
        return value + self.rng.gauss(0.0, self.noise * noise_sigma(range_, self.nplc(self._function)))

    def _acquire(self) -> Operation:
        while self._armed:
            yield None
        for _ in range(int(self.triggers())):
            if not self.trigger_auto_delay():
                yield self.now + self.trigger_delay()
            samples = int(self.samples())
            for sample in range(samples):
                if self.autorange(self._function):
                    yield from self._find_range()
                started = self.now
                until = started + self.reading_time_s(self._function)
                value = yield from self._look(until, self.aperture_s(self._function))
                self._readings.append(self._reading(value))
                if self.sample_source() == "TIM" and sample < samples - 1:
                    yield max(self.now, started + self.sample_timer())
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
        fixed = self.functions[function].range_for(words[0]) if words else None
        self.abort()
        for name, key in (("cycles", function), ("aperture_enabled", function), ("autozero", function), ("samples", ""), ("triggers", ""),
                          ("trigger_source", ""), ("sample_source", ""), ("trigger_delay", ""), ("trigger_auto_delay", "")):  # fmt: skip
            self.values.pop((name, key), None)
        self.values["autorange", function] = fixed is None
        if fixed is not None:
            self.values["range", function] = fixed
        for word in call.arguments[1:]:
            if word.upper() not in ("DEF", "DEFAULT"):
                self.resolve(function, word)
        self._choose(function)

    @command("CONFigure:{}", each=EACH)
    def _command_configure(self, call: Call) -> None:
        self._configure(call)

    @command("MEASure:{}?", each=EACH)
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
        if word not in NAMES:
            raise ScpiError(-224, call.arguments[0])
        self._choose(NAMES[word])

    @command("[SENSe:]FUNCtion[:ON]?")
    def _ask_function(self, call: Call) -> str:
        return f'"{self._function}"'

    @command("[SENSe:]{}:RANGe[:UPPer]", each=EACH)
    def _command_range(self, call: Call) -> None:
        call.require(1, 1)
        value = self.functions[call.key].range_for(call.arguments[0])
        self.values["autorange", call.key] = False
        self._set_range(call.key, value)

    @command("[SENSe:]{}:RANGe[:UPPer]?", each=EACH)
    def _ask_range(self, call: Call) -> str:
        return type(self).range.query(self, call)

    @command("[SENSe:]{}:RANGe:AUTO", each=EACH)
    def _command_autorange(self, call: Call) -> Operation:
        """ON, OFF, or ONCE: find the range now and stay in it."""
        call.require(1, 1)
        once = call.arguments[0].upper() == "ONCE"
        on = not once and parse_switch(call.arguments[0])
        if once and call.key == self._function:
            yield from self._find_range()
        self.values["autorange", call.key] = on
        return None

    @command("[SENSe:]{}:RANGe:AUTO?", each=EACH)
    def _ask_autorange(self, call: Call) -> str:
        return type(self).autorange.query(self, call)
