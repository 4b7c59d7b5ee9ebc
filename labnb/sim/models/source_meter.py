"""What a source-measure unit does, after Keithley's Series 2400 SourceMeter User's Manual (2400S-900-01)."""

import math
from typing import TYPE_CHECKING, ClassVar, final

from labnb.sim.instrument import Operation, command
from labnb.sim.models.source_meter_buffer import NOT_A_NUMBER, Reading, SourceMeterBuffer
from labnb.sim.parts import Resistor, Source
from labnb.sim.scpi import Call, parse_number
from labnb.sim.settings import Key
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

LINE_HZ = 50.0
CYCLE_S = 5e-3
"""What a source-measure cycle takes besides delay and integration."""
SENSE_OHM = 1e6
"""Between each sense terminal and its output, so that open sense leads sense locally."""
_FILTER, _FRONT, _COMPLIANCE = 1 << 1, 1 << 2, 1 << 3
_VOLTS_MEASURED, _AMPS_MEASURED, _OHMS_MEASURED = 1 << 11, 1 << 12, 1 << 13
_VOLTS_SOURCED, _AMPS_SOURCED, _REMOTE_SENSE = 1 << 14, 1 << 15, 1 << 22
"""Bits of the status element (manual, section 18, FORMat:ELEMents)."""
_SIGMA = {"VOLT": 5e-7, "CURR": 1e-6}
"""Noise in parts of the range at one line cycle."""
_QUANTITIES = ("VOLTage[:DC]", "CURRent[:DC]", "RESistance")
_LONGEST_LIST = 100


@final
class SourceMeter(SourceMeterBuffer):
    """Keithley 2400: it sources voltage or current, up to a compliance, and measures both; 200 V, 1 A, 20 W.

    What it sources is exact; a reading has noise that falls with the root of NPLC. `READ?` with the output off is
    refused (error 803). In compliance it holds the compliance, and status bit 3 says so. With `SYST:RSEN ON` it holds
    and measures the voltage at `sense`. A sweep (`SOUR:VOLT:MODE SWE` or `LIST`) takes a new level with each trigger,
    again from the first one when there are more triggers than levels, and returns to the programmed level.
    """

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C30   Mar 17 2006 09:29:29/A02  /K/J"
    terminal_names: ClassVar = {"terminals": ("hi", "lo"), "sense": ("sense", "sense-")}

    def __init__(
        self, bench: "Bench", name: str, address: str, *,
        terminals: tuple[str, str], sense: tuple[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Connect the output to `terminals`, and the sense terminals to `sense`, by default to the same nodes."""
        super().__init__(bench, name, address)
        self._source = Source(*terminals, sinks=True, sense=sense)
        self._swept: float | None = None
        self._waits = ""
        self._lists: dict[str, list[float]] = {"VOLT": [], "CURR": []}
        bench.circuit.add(self._source)
        for near, far in zip(terminals, sense or terminals, strict=True):
            if near != far:
                bench.circuit.add(Resistor(near, far, ohms=SENSE_OHM))

    def reset(self) -> None:
        """Output off, 0 V, compliance 105 uA, current measured."""
        super().reset()
        self._swept = None
        self._waits = ""
        self._lists = {"VOLT": [], "CURR": []}
        self._drive()

    def abort(self) -> None:
        """End the sweep, too: the programmed level returns."""
        super().abort()
        self._waits = ""
        self._end_sweep()

    def changed(self, name: str, key: Key) -> None:
        """Drive the output; start, stop and either step or number of points make a sweep."""
        super().changed(name, key)
        if name in ("sweep_step", "sweep_points"):
            self.values["sweep_by_step", ""] = name == "sweep_step"
        self._drive()

    # --- sourcing ---

    def _drive(self) -> None:
        source = self._source
        level = self.source_level(self.source_function()) if self._swept is None else self._swept
        with self.bench.circuit.edit(self.now, source):
            if self.source_function() == "VOLT":
                most = self.voltage_protection()
                source.volts, source.limit_a = max(-most, min(level, most)), abs(self.compliance("CURR"))
            else:
                most = min(abs(self.compliance("VOLT")), self.voltage_protection())
                source.volts, source.limit_a = math.copysign(most, level), abs(level)
            source.remote = self.remote_sensing()
            source.mode = ("cv" if source.mode == "off" else source.mode) if self.output() else "off"

    def _levels(self) -> list[float]:
        """Return the levels that the triggers step through; one when nothing is swept. Raises -221."""
        function = self.source_function()
        mode = self.source_mode(function)
        if mode == "FIX":
            return [self.source_level(function)]
        levels = self._lists[function] if mode == "LIST" else self._staircase(function)
        if not levels:
            raise ScpiError(-221, "the list is empty")
        return levels[::-1] if self.sweep_direction() == "DOWN" else levels

    def _staircase(self, function: str) -> list[float]:
        start, stop = self.sweep_start(function), self.sweep_stop(function)
        count = int(self.sweep_points())
        if self.values.get(("sweep_by_step", ""), False) and self.sweep_spacing() == "LIN":
            step = abs(self.sweep_step(function))
            if not step:
                raise ScpiError(-221, "the sweep's step is zero")
            count = int(abs(stop - start) / step + 1.5)
            if count > 2500:
                raise ScpiError(-221, f"the sweep has {count} points; it may have 2500")
            stop = start + math.copysign(step, stop - start) * (count - 1)
        if self.sweep_spacing() == "LIN":
            return [start + (stop - start) * k / max(count - 1, 1) for k in range(count)]
        if start * stop <= 0:
            raise ScpiError(-221, "a logarithmic sweep needs two ends of the same sign")
        return [start * (stop / start) ** (k / (count - 1)) for k in range(count)]

    def _end_sweep(self) -> None:
        if self._swept is not None:
            self._swept = None
            self._drive()

    @command("SOURce#:LIST:{}", each=("VOLTage", "CURRent"))
    def _set_list(self, call: Call) -> None:
        """Set the levels of a list sweep, at most 100 in one message."""
        self._lists[call.key] = self._list_of(call)

    @command("SOURce#:LIST:{}:APPend", each=("VOLTage", "CURRent"))
    def _append_list(self, call: Call) -> None:
        self._lists[call.key] += self._list_of(call)

    def _list_of(self, call: Call) -> list[float]:
        call.require(1, _LONGEST_LIST)
        return [type(self).source_level.parse(repr(parse_number(word)), call.key) for word in call.arguments]

    @command("SOURce#:LIST:{}?", each=("VOLTage", "CURRent"))
    def _ask_list(self, call: Call) -> str:
        return ",".join(f"{level:+.6E}" for level in self._lists[call.key])

    @command("SOURce#:LIST:{}:POINts?", each=("VOLTage", "CURRent"))
    def _ask_list_length(self, call: Call) -> str:
        return str(len(self._lists[call.key]))

    @command("SOURce#:CLEar[:IMMediate]")
    def _clear_source(self, call: Call) -> None:
        self.values["output", ""] = False
        self._drive()

    # --- measuring ---

    @property
    def _in_compliance(self) -> bool:
        return self._source.mode == ("cc" if self.source_function() == "VOLT" else "cv") and self.output()

    @command("[SENSe#:]{}:PROTection:TRIPped?", each=_QUANTITIES[:2])
    def _ask_compliance(self, call: Call) -> str:
        """Answer whether the source is held back by this quantity's compliance."""
        self.bench.circuit.advance(self.now, self._source)
        return "1" if self._in_compliance and call.key != self.source_function() else "0"

    def _noise(self, kind: str) -> float:
        span = self.range(kind)
        count = self.average_count() if self.averaging() else 1.0
        return self.rng.gauss(0.0, _SIGMA[kind] * span / math.sqrt(self.cycles(kind) * count))

    def _cycle_s(self) -> float:
        count = self.average_count() if self.averaging() else 1.0
        delay = 1e-3 if self.auto_delay() else self.delay()
        return delay + self.trigger_delay() + CYCLE_S + count * self.cycles("CURR") / LINE_HZ

    def _measured(self) -> Reading:
        self.bench.circuit.advance(self.now, self._source)
        self._find_ranges()
        volts = self._source.sensed + self._noise("VOLT")
        amps = self._source.supplied + self._noise("CURR")
        ohms = volts / amps if "RES" in self._sensed and amps else NOT_A_NUMBER
        return volts, amps, ohms, self.now - self._time_zero, float(self._status_element())

    def _status_element(self) -> int:
        sources_volts = self.source_function() == "VOLT"
        flags = {
            _FILTER: self.averaging(), _FRONT: self.terminals() == "FRON", _COMPLIANCE: self._in_compliance,
            _VOLTS_MEASURED: "VOLT" in self._sensed, _AMPS_MEASURED: "CURR" in self._sensed,
            _OHMS_MEASURED: "RES" in self._sensed, _VOLTS_SOURCED: sources_volts, _AMPS_SOURCED: not sources_volts,
            _REMOTE_SENSE: self.remote_sensing(),
        }  # fmt: skip
        return sum(bit for bit, there in flags.items() if there)

    def _find_ranges(self) -> None:
        for kind, value, ranges in (
            ("VOLT", self._source.sensed, (0.21, 2.1, 21.0, 210.0)),
            ("CURR", self._source.supplied, (1.05e-6, 1.05e-5, 1.05e-4, 1.05e-3, 1.05e-2, 0.105, 1.05)),
        ):
            if self.auto_range(kind):
                self.values["range", kind] = next((each for each in ranges if abs(value) <= each), ranges[-1])

    # --- triggers ---

    def _acquire(self, levels: list[float]) -> Operation:
        if self.clears():
            self.values["output", ""] = True
        taken = 0
        started = self.now
        for arm in range(int(self.arms())):
            yield from self._armed(arm, started)
            for _ in range(int(self.triggers())):
                if self.trigger_source() == "TLIN":
                    yield from self._event("TLIN")
                if len(levels) > 1:
                    self._swept = levels[taken % len(levels)]
                self._drive()
                yield self.now + self._cycle_s()
                reading = self._measured()
                self.take(reading, in_compliance=bool(int(reading[4]) & _COMPLIANCE))
                taken += 1
        if self.clears():
            self.values["output", ""] = False
        self._swept = None
        self._drive()
        return None

    def _armed(self, arm: int, started: float) -> Operation:
        source = self.arm_source()
        if source == "TIM":
            yield max(self.now, started + arm * self.arm_timer())
        elif source != "IMM":
            yield from self._event(source)
        return None

    def _event(self, source: str) -> Operation:
        """Wait for an event of `source`: BUS, MAN (a key) or TLIN (a trigger line)."""
        self._waits = source
        while self._waits:
            yield None
        return None

    def _fire(self, *sources: str) -> None:
        if self._waits not in sources:
            raise ScpiError(-211)
        self._waits = ""
        self.proceed()

    def trigger(self) -> None:
        """Give the bus event that the arm layer waits for."""
        self._fire("BUS")

    def external_trigger(self) -> None:
        """Give a pulse on the trigger link, or press TRIG; without effect unless it is waited for."""
        with self.bench.timeline.changed:
            if self._waits in ("TLIN", "MAN"):
                self._fire("TLIN", "MAN")

    @command("INITiate[:IMMediate]")
    def _initiate(self, call: Call) -> None:
        if self.busy:
            raise ScpiError(-213)
        if not self.output() and not self.clears():
            raise ScpiError(803)
        if self.arms() * self.triggers() > 2500:
            raise ScpiError(-221, "more than 2500 readings")
        levels = self._levels()
        self._samples = []
        self.begin(self._acquire(levels))

    @command("READ?", "MEASure?")
    def _read(self, call: Call) -> Operation:
        if self.arm_source() == "BUS":
            raise ScpiError(-214)
        self._initiate(call)
        return self._fetch(call)

    @command("MEASure:{}?", each=_QUANTITIES)
    def _measure(self, call: Call) -> Operation:
        """Measure one quantity, with the output on."""
        self._configure(call)
        return self._read(call)

    @command("CONFigure:{}", each=_QUANTITIES)
    def _configure(self, call: Call) -> None:
        self._sensed = [call.key]
        self.values["output", ""] = True
        self._drive()

    @command("ABORt", "TRIGger:CLEar", "ARM:CLEar")
    def _command_abort(self, call: Call) -> None:
        self.abort()
