"""What a source-measure unit does, after Keithley's Series 2400 SourceMeter User's Manual (2400S-900-01)."""

import math
import statistics
from typing import TYPE_CHECKING, ClassVar, final

from labnb.sim.instrument import Operation, command
from labnb.sim.models.source_meter_settings import SourceMeterSettings
from labnb.sim.parts import Source
from labnb.sim.scpi import Call
from labnb.sim.settings import Key
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

LINE_HZ = 50.0
NOT_A_NUMBER = 9.91e37
CYCLE_S = 5e-3
"""What a source-measure cycle takes besides delay and integration."""
_ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT")
_OUTPUT_ON, _FRONT, _COMPLIANCE = 1 << 1, 1 << 2, 1 << 3
_SIGMA = {"VOLT": 5e-7, "CURR": 1e-6}
"""Noise in parts of the range at one line cycle."""


@final
class SourceMeter(SourceMeterSettings):
    """Keithley 2400: it sources voltage or current, up to a compliance, and measures both; 200 V, 1 A, 20 W.

    What it sources is exact; a reading has noise that falls with the root of NPLC. `READ?` with the output off is
    refused (error 803). In compliance it holds the compliance, and status bit 3 says so.
    """

    identity = "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C30   Mar 17 2006 09:29:29/A02  /K/J"
    terminal_names: ClassVar = {"terminals": ("hi", "lo")}

    def __init__(self, bench: "Bench", name: str, address: str, *, terminals: tuple[str, str]) -> None:
        super().__init__(bench, name, address)
        self._source = Source(*terminals, sinks=True)
        self._sensed = ["CURR"]
        self._elements = list(_ELEMENTS)
        self._buffer: list[tuple[float, ...]] = []
        bench.circuit.add(self._source)

    def reset(self) -> None:
        """Output off, 0 V, compliance 105 uA, current measured."""
        super().reset()
        self._sensed = ["CURR"]
        self._elements = list(_ELEMENTS)
        self._buffer = []
        self._drive()

    def changed(self, name: str, key: Key) -> None:
        """Drive the output; a range that is chosen is no more automatic."""
        if name in ("source_range", "range"):
            self.values[f"auto_{name}", key] = False
        self._drive()

    def _drive(self) -> None:
        source = self._source
        with self.bench.circuit.edit(self.now, source):
            if self.source_function() == "VOLT":
                source.volts, source.limit_a = self.source_level("VOLT"), abs(self.compliance("CURR"))
            else:
                amps = self.source_level("CURR")
                source.volts, source.limit_a = math.copysign(self.compliance("VOLT"), amps), abs(amps)
            source.mode = ("cv" if source.mode == "off" else source.mode) if self.output() else "off"

    # --- measuring ---

    @property
    def _in_compliance(self) -> bool:
        return self._source.mode == ("cc" if self.source_function() == "VOLT" else "cv") and self.output()

    def _noise(self, kind: str) -> float:
        span = self.range(kind)
        return self.rng.gauss(0.0, _SIGMA[kind] * span / math.sqrt(self.cycles(kind)))

    def _cycle_s(self) -> float:
        count = self.average_count() if self.averaging() else 1.0
        delay = 1e-3 if self.auto_delay() else self.delay()
        return delay + self.trigger_delay() + CYCLE_S + count * self.cycles("CURR") / LINE_HZ

    def _measured(self) -> tuple[float, ...]:
        """Return voltage, current, resistance, time and status."""
        self.bench.circuit.advance(self.now, self._source)
        self._find_ranges()
        volts = self._source.voltage + self._noise("VOLT")
        amps = self._source.supplied + self._noise("CURR")
        ohms = volts / amps if "RES" in self._sensed and amps else NOT_A_NUMBER
        status = _OUTPUT_ON | _FRONT | (_COMPLIANCE if self._in_compliance else 0)
        return volts, amps, ohms, self.now, float(status)

    def _find_ranges(self) -> None:
        for kind, value, ranges in (
            ("VOLT", self._source.voltage, (0.21, 2.1, 21.0, 210.0)),
            ("CURR", self._source.supplied, (1.05e-6, 1.05e-5, 1.05e-4, 1.05e-3, 1.05e-2, 0.105, 1.05)),
        ):
            if self.auto_range(kind):
                self.values["range", kind] = next((each for each in ranges if abs(value) <= each), ranges[-1])

    def _text(self, reading: tuple[float, ...]) -> str:
        known: dict[str, float] = dict(zip(_ELEMENTS, reading, strict=True))
        return ",".join(f"{known[element]:+.6E}" for element in self._elements)

    def _acquire(self) -> Operation:
        if self.clears():
            self.values["output", ""] = True
            self._drive()
        for _ in range(int(self.triggers() * self.arms())):
            yield self.now + self._cycle_s()
            self._buffer.append(self._measured())
        if self.clears():
            self.values["output", ""] = False
            self._drive()
        return None

    @command("INITiate[:IMMediate]")
    def _initiate(self, call: Call) -> None:
        if self.busy:
            raise ScpiError(-213)
        if not self.output() and not self.clears():
            raise ScpiError(803)
        self._buffer = []
        self.begin(self._acquire())

    @command("FETCh?", "TRACe:DATA?", "DATA?")
    def _fetch(self, call: Call) -> Operation:
        yield from self.until_complete()
        if not self._buffer:
            raise ScpiError(-230)
        return ",".join(map(self._text, self._buffer))

    @command("READ?", "MEASure?")
    def _read(self, call: Call) -> Operation:
        self._initiate(call)
        return self._fetch(call)

    @command("MEASure:{}?", each=("VOLTage[:DC]", "CURRent[:DC]", "RESistance"))
    def _measure(self, call: Call) -> Operation:
        """Measure one quantity, with the output on."""
        self._sensed = [call.key]
        self.values["output", ""] = True
        self._drive()
        return self._read(call)

    @command("CONFigure:{}", each=("VOLTage[:DC]", "CURRent[:DC]", "RESistance"))
    def _configure(self, call: Call) -> None:
        self._sensed = [call.key]
        self.values["output", ""] = True
        self._drive()

    @command("ABORt", "TRIGger:CLEar")
    def _command_abort(self, call: Call) -> None:
        self.abort()

    def trigger(self) -> None:
        """Refuse: it never waits for the bus."""
        raise ScpiError(-211)

    # --- what is measured, and how it is written ---

    @command("[SENSe:]FUNCtion[:ON]")
    def _choose(self, call: Call) -> None:
        call.require(1, 3)
        self._sensed = [_named(word) for word in call.arguments]

    @command("[SENSe:]FUNCtion[:ON]?")
    def _ask_chosen(self, call: Call) -> str:
        return ",".join('"RES"' if name == "RES" else f'"{name}:DC"' for name in self._sensed)

    @command("[SENSe:]FUNCtion[:ON]:ALL")
    def _choose_all(self, call: Call) -> None:
        self._sensed = ["VOLT", "CURR", "RES"]

    @command("[SENSe:]FUNCtion:OFF:ALL")
    def _choose_none(self, call: Call) -> None:
        self._sensed = []

    @command("FORMat:ELEMents[:SENSe[#]]")
    def _set_elements(self, call: Call) -> None:
        call.require(1, len(_ELEMENTS))
        words = [_named(word) for word in call.arguments]
        self._elements = [element for element in _ELEMENTS if element in words]

    @command("FORMat:ELEMents[:SENSe[#]]?")
    def _ask_elements(self, call: Call) -> str:
        return ",".join(self._elements)

    @command("FORMat[:DATA]", "FORMat:BORDer")
    def _set_format(self, call: Call) -> None:
        """Accept ASCii, which is all that there is."""
        if call.arguments and call.arguments[0].upper() not in ("ASC", "ASCII", "NORM", "SWAP"):
            raise ScpiError(-224, call.arguments[0])

    @command("CALCulate3:FORMat")
    def _set_statistic(self, call: Call) -> None:
        call.require(1, 1)
        self.values["statistic", ""] = call.arguments[0].upper()[:4]

    @command("CALCulate3:DATA?")
    def _ask_statistic(self, call: Call) -> str:
        """Answer a statistic of the buffer, of voltage, current and resistance."""
        if not self._buffer:
            raise ScpiError(-230)
        compute = {"MEAN": statistics.fmean, "MAX": max, "MIN": min, "MAXI": max, "MINI": min}.get(
            str(self.values.get(("statistic", ""), "MEAN")), statistics.pstdev
        )
        return ",".join(f"{compute([reading[k] for reading in self._buffer]):+.6E}" for k in range(3))

    @command("TRACe:CLEar", "DATA:CLEar")
    def _clear_buffer(self, call: Call) -> None:
        self._buffer = []

    @command("TRACe:POINts:ACTual?")
    def _ask_stored(self, call: Call) -> str:
        return str(len(self._buffer))

    @command("DISPlay:CNDisplay")
    def _restore_display(self, call: Call) -> None:
        """Accept: there is no display."""


def _named(word: str) -> str:
    """Return the short name of a quantity that `word` says in quotes or without."""
    name = word.strip("\"'").upper().removesuffix(":DC")
    short = {"VOLTAGE": "VOLT", "CURRENT": "CURR", "RESISTANCE": "RES", "STATUS": "STAT"}.get(name, name)
    if short not in _ELEMENTS:
        raise ScpiError(-224, word)
    return short
