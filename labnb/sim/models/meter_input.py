"""What a multimeter's input sees: what it connects to the circuit for each function, and what it makes of that."""

import math
import statistics
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, ClassVar

from labnb.sim.instrument import Operation
from labnb.sim.models.meter_functions import OVERRANGE, RANGED, noise_sigma
from labnb.sim.models.meter_readings import frequency
from labnb.sim.models.meter_sensors import in_unit, rtd_kelvin, thermistor_kelvin
from labnb.sim.models.meter_triggers import MeterTriggers
from labnb.sim.parts import Part, Resistor
from labnb.sim.scpi import OVERLOAD
from labnb.sim.settings import Key
from labnb.sim.sources import CLAMP_V, TestCurrent
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

SHUNT_OHM = 0.1
"""The ammeter's burden, in all ranges and also when another function is chosen."""
INPUT_OHM = 10e6
"""Input resistance while the function is VOLT and `VOLT:IMP:AUTO` is off."""
ALTERNATING_INPUT_OHM = 1e6
"""Input resistance while the function is VOLT:AC, FREQ or PER; with another function the voltage input is open."""
DISCHARGE_OHM, DISCHARGE_S, CHARGE_S = 1e3, 0.05, 0.05
"""A capacitance is first discharged, then charged with a constant current."""
RANGE_CHANGE_S = 0.02
WAVE_SAMPLES = 64
COUNTED_PERIODS = 4
FREQUENCY_NOISE = 3e-8
"""Parts of a frequency that its readings scatter by with a gate of 1 s."""


class MeterInput(MeterTriggers):
    """The input of a multimeter: terminals, shunt, test current, converter."""

    noise: ClassVar[float] = 1.0
    """How many times `noise_sigma` its readings scatter."""
    lacks: ClassVar[tuple[str, ...]] = ()
    """What it does not measure."""

    def __init__(
        self,
        bench: "Bench",
        name: str,
        address: str,
        *,
        voltage_input: tuple[str, str],
        current_input: tuple[str, str],
        sense_input: tuple[str, str] | None = None,
        trigger_input: str = "",
    ) -> None:
        super().__init__(bench, name, address, trigger_input=trigger_input)
        self._function = "VOLT"
        self._last: float | None = None
        self._still = False
        self._terminals = Resistor(*voltage_input, ohms=INPUT_OHM)
        self._probe = TestCurrent(*voltage_input)
        self._shunt = Resistor(*current_input, ohms=SHUNT_OHM)
        self._sense = Resistor(*sense_input, ohms=math.inf) if sense_input else None
        bench.circuit.add(self._terminals, self._probe, self._shunt, *([self._sense] if self._sense else []))

    # --- state ---

    def reset(self) -> None:
        """Volts, automatic range, 10 line cycles, one reading."""
        super().reset()
        self.choose("VOLT")

    def changed(self, name: str, key: Key) -> None:
        """Follow what concerns the input."""
        super().changed(name, key)
        if name == "auto_impedance":
            self._connect_input()

    def present_function(self) -> str:
        """Return what is measured: VOLT, CURR, RES, FRES, VOLT:AC, CURR:AC, CAP, FREQ, PER, DIOD, CONT, TEMP, VOLT:RAT."""
        return self._function

    def choose(self, function: str) -> None:
        """Measure `function`. Raises -224 if this model does not know it."""
        if function in self.lacks:
            raise ScpiError(-224, function)
        self._function = function
        self._connect_input()

    def _connect_input(self) -> None:
        """Connect the input resistance, or the test current, as the function needs it."""
        charges = self._function == "CAP"
        self._drive_input(
            DISCHARGE_OHM if charges else self._input_ohms(self._function), 0.0 if charges else self._test_current()
        )

    def _drive_input(self, ohms: float, amps: float) -> None:
        circuit = self.bench.circuit
        with circuit.edit(self.now, self._terminals):
            self._terminals.ohms = ohms
        with circuit.edit(self.now, self._probe):
            self._probe.amps = amps

    def _input_ohms(self, function: str) -> float:
        if function in ("VOLT:AC", "FREQ", "PER"):
            return ALTERNATING_INPUT_OHM
        return INPUT_OHM if function in ("VOLT", "VOLT:RAT") and not self.auto_impedance() else math.inf

    def _test_current(self) -> float:
        function = self.functions[self._function]
        if not function.test_currents:
            return 0.0
        return function.test_currents[function.ranges.index(self.range(self._function))]

    # --- looking at the input ---

    def _sensor(self) -> Part:
        return self._shunt if self._function.startswith("CURR") else self._terminals

    def _present_value(self) -> float:
        """Return what the input sees now, in the function's unit; a temperature still as a resistance."""
        self.bench.circuit.advance(self.now, self._sensor())
        if self._sense:
            self.bench.circuit.advance(self.now, self._sense)
        return self._converted()

    def _converted(self) -> float:
        function = self._function
        if function.startswith("CURR"):
            return self._shunt.current
        four_wires = function == "FRES" or (function == "TEMP" and self.probe().startswith("F"))
        volts = self._sense.voltage if four_wires and self._sense else self._terminals.voltage
        if function == "VOLT:RAT":
            reference = self._sense.voltage if self._sense else 0.0
            return volts / reference if reference else math.copysign(OVERLOAD, volts)
        return volts / (self._probe.amps if function in ("RES", "FRES", "CONT", "TEMP") else 1.0)

    def changes(self) -> bool:
        """Return whether a wave is connected, or the last two readings were of different values."""
        return self.bench.circuit.period(self._sensor()) > 0 or not self._still

    def _tapped(
        self, until: float, period: float, count: int, look: Callable[[], float]
    ) -> Generator[float | None, None, list[float]]:
        """Return `count` samples a period of what `look` sees in the `period` before `until`."""
        circuit, part = self.bench.circuit, self._sensor()
        until = max(until, self.now + period)
        if until - period > self.now:
            yield until - period
        tap = circuit.tap(part, look, start=until - period, interval_s=period / count, count=count)
        try:
            yield until
            circuit.advance(self.now, part)
        finally:
            circuit.untap(tap)
        return tap.samples

    def _look(self, until: float, aperture_s: float) -> Generator[float | None, None, float]:
        """Return the value at `until`; of a wave with a period within the aperture its mean, or its RMS."""
        if self._function == "CAP":
            return (yield from self._look_at_charge())
        if self._sense:
            self.bench.circuit.advance(self.now, self._sense)
        alternating = self.functions[self._function].alternating or self._function in ("FREQ", "PER")
        period = self.bench.circuit.period(self._sensor())
        if not 0 < period <= aperture_s:
            if until > self.now:
                yield until
            return 0.0 if alternating else self._present_value()
        samples = yield from self._tapped(until, period, WAVE_SAMPLES, self._converted)
        return statistics.pstdev(samples) if alternating else statistics.fmean(samples)

    def _look_at_charge(self) -> Generator[float | None, None, float]:
        """Return the capacitance by how fast a constant current charges it; 0 when it is full too soon."""
        amps = self._test_current()
        try:
            self._drive_input(DISCHARGE_OHM, 0.0)
            yield self.now + DISCHARGE_S
            self._drive_input(math.inf, amps)
            yield self.now + CHARGE_S / 2
            start = self._present_value()
            yield self.now + CHARGE_S
            end = self._present_value()
        finally:
            self._connect_input()
        if end >= CLAMP_V:
            return 0.0
        rise = end - start
        return amps * CHARGE_S / rise if rise > 1e-6 else OVERLOAD

    def _count(self, until: float) -> Generator[float | None, None, float]:
        """Return the frequency, or the period, of the wave at the input."""
        period = self.bench.circuit.period(self._sensor())
        hertz = 0.0
        if 0 < period <= 1.0:
            span = COUNTED_PERIODS * period
            samples = yield from self._tapped(until, span, 2 * WAVE_SAMPLES * COUNTED_PERIODS, self._converted)
            hertz = frequency(samples, span / len(samples))
        elif until > self.now:
            yield until
        hertz *= 1.0 + self.rng.gauss(0.0, self.noise * FREQUENCY_NOISE / self.gate(self._function))
        if self._function == "FREQ":
            return hertz
        return 1.0 / hertz if hertz else OVERLOAD

    # --- ranges and readings ---

    def set_range(self, function: str, value: float) -> None:
        """Take the range `value` for `function`."""
        self.values["range", function] = value
        if function == self._function:
            self._connect_input()

    def find_range(self) -> Operation:
        """Change ranges until the value fits; resistance changes with its test current, so look again."""
        for _ in self.functions[self._function].ranges:
            present = self.range(self._function)
            value = yield from self._look(self.now, self.aperture_s(self._function))
            wanted = self.functions[self._function].wanted_range(value, present)
            if wanted == present:
                return None
            self.set_range(self._function, wanted)
            yield self.now + RANGE_CHANGE_S
        return None

    def one_reading(self) -> Generator[float | None, None, float]:
        """Find the range if that is automatic, integrate, and return how the value reads."""
        function = self._function
        started = self.now
        if function in ("FREQ", "PER"):
            return (yield from self._count(started + self.reading_time_s(function)))
        if self.autorange(function):
            yield from self.find_range()
            started = self.now
        value = yield from self._look(started + self.reading_time_s(function), self.aperture_s(function))
        self._still, self._last = value == self._last, value
        return self._reading(value)

    def _reading(self, value: float) -> float:
        """Return how `value` reads: with noise, as overload, as a temperature, or as the difference to null."""
        function = self._function
        range_ = 10.0 if function == "VOLT:RAT" else self.range(function)
        if abs(value) > OVERRANGE * range_:
            return math.copysign(OVERLOAD, value)
        value += self.rng.gauss(0.0, self.noise * noise_sigma(range_, self.nplc(function)))
        if function == "TEMP":
            return in_unit(self._kelvin(value), self.temperature_unit())
        header = self.functions[function].header
        return value - (self.null_value(function) if header in RANGED and self.null(function) else 0.0)

    def _kelvin(self, ohms: float) -> float:
        if self.probe().endswith("RTD"):
            return rtd_kelvin(ohms, self.rtd_ohms())
        return thermistor_kelvin(ohms, self.thermistor())
