"""What a Keithley 2400 does with its readings: sample memory, buffer, statistics, formats, measurement events.

Sources: Series 2400 SourceMeter User's Manual (2400S-900-01), sections 9 (buffer), 15 (status structure), 18 (SCPI).
"""

import statistics
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from labnb.sim.instrument import Operation, command
from labnb.sim.models.source_meter_settings import SourceMeterSettings
from labnb.sim.scpi import Call, parse_number
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

NOT_A_NUMBER = 9.91e37
ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT")
_MEASUREMENT_SUMMARY = 1
"""Bit 0 of the status byte."""
_READING_AVAILABLE, _BUFFER_AVAILABLE, _BUFFER_FULL, _IN_COMPLIANCE = 1 << 6, 1 << 8, 1 << 9, 1 << 14

Reading = tuple[float, float, float, float, float]
"""Voltage, current, resistance, time, status."""


class SourceMeterBuffer(SourceMeterSettings):
    """The memory of a source-measure unit.

    `TRAC:FEED:CONT NEXT` lets readings into the buffer until it holds `TRAC:POIN` of them; then bit 9 of the
    measurement event register is set, which `STAT:MEAS:ENAB 512;*SRE 1` turns into a service request.
    """

    def __init__(self, bench: "Bench", name: str, address: str) -> None:
        super().__init__(bench, name, address)
        self._forget_all()
        self._measurement_enable = 0
        self._time_zero = bench.timeline.now

    def _forget_all(self) -> None:
        self._sensed = ["CURR"]
        self._elements = list(ELEMENTS)
        self._samples: list[Reading] = []
        self._stored: list[Reading] = []
        self._measurement_events = 0

    def reset(self) -> None:
        """Voltage, current, resistance, time and status of every reading; nothing in memory."""
        super().reset()
        self._forget_all()
        self._summarise()

    def take(self, reading: Reading, *, in_compliance: bool) -> None:
        """Keep `reading`, and let it into the buffer if that is open."""
        self._samples.append(reading)
        events = _READING_AVAILABLE | (_IN_COMPLIANCE if in_compliance else 0)
        if self.trace_control() == "NEXT":
            self._stored.append(reading)
            events |= _BUFFER_AVAILABLE if len(self._stored) >= 2 else 0
            if len(self._stored) >= self.trace_points():
                self.values["trace_control", ""] = "NEV"
                events |= _BUFFER_FULL
        self._measurement_events |= events
        self._summarise()

    # --- answering readings ---

    def written(self, readings: Sequence[Reading]) -> str | bytes:
        """Return the chosen elements of `readings` in the chosen format."""
        chosen = [ELEMENTS.index(element) for element in self._elements]
        numbers = [reading[k] for reading in readings for k in chosen]
        if self.data_form() == "ASC":
            return ",".join(f"{number:+.6E}" for number in numbers)
        order = ">" if self.byte_order() == "NORM" else "<"
        return b"#0" + struct.pack(f"{order}{len(numbers)}f", *numbers)

    @command("FETCh?", "DATA[:LATest]?")
    def _fetch(self, call: Call) -> Operation:
        yield from self.until_complete()
        if not self._samples:
            raise ScpiError(-230)
        return self.written(self._samples)

    @command("TRACe:DATA?")
    def _ask_stored(self, call: Call) -> str | bytes:
        if not self._stored:
            raise ScpiError(-230)
        delta = self.trace_stamp() == "DELT"
        times = [reading[3] for reading in self._stored]
        since = [times[0], *times[:-1]] if delta else [0.0] * len(times)
        return self.written([(r[0], r[1], r[2], r[3] - t, r[4]) for r, t in zip(self._stored, since, strict=True)])

    @command("TRACe:CLEar", "DATA:CLEar")
    def _clear_buffer(self, call: Call) -> None:
        self._stored = []

    @command("TRACe:POINts:ACTual?")
    def _ask_count(self, call: Call) -> str:
        return str(len(self._stored))

    @command("TRACe:FREE?")
    def _ask_room(self, call: Call) -> str:
        """Answer how many bytes are free and how many are used; a reading takes 24."""
        return f"{(2500 - len(self._stored)) * 24},{len(self._stored) * 24}"

    # --- what is measured, and how it is written ---

    @command("[SENSe:]FUNCtion[:ON]")
    def _choose(self, call: Call) -> None:
        call.require(1, 3)
        self._sensed = [quantity(word) for word in call.arguments]

    @command("[SENSe:]FUNCtion[:ON]?")
    def _ask_chosen(self, call: Call) -> str:
        return ",".join('"RES"' if name == "RES" else f'"{name}:DC"' for name in self._sensed)

    @command("[SENSe:]FUNCtion[:ON]:ALL")
    def _choose_all(self, call: Call) -> None:
        self._sensed = ["VOLT", "CURR", "RES"]

    @command("[SENSe:]FUNCtion:OFF")
    def _choose_less(self, call: Call) -> None:
        call.require(1, 3)
        less = [quantity(word) for word in call.arguments]
        self._sensed = [name for name in self._sensed if name not in less]

    @command("[SENSe:]FUNCtion:OFF:ALL")
    def _choose_none(self, call: Call) -> None:
        self._sensed = []

    @command("FORMat:ELEMents[:SENSe[#]]")
    def _set_elements(self, call: Call) -> None:
        call.require(1, len(ELEMENTS))
        words = [quantity(word) for word in call.arguments]
        self._elements = [element for element in ELEMENTS if element in words]

    @command("FORMat:ELEMents[:SENSe[#]]?")
    def _ask_elements(self, call: Call) -> str:
        return ",".join(self._elements)

    # --- statistics of the buffer ---

    @command("CALCulate3:FORMat")
    def _set_statistic(self, call: Call) -> None:
        call.require(1, 1)
        word = call.arguments[0].upper()[:4]
        if word not in ("MEAN", "SDEV", "MAX", "MAXI", "MIN", "MINI", "PKPK"):
            raise ScpiError(-224, call.arguments[0])
        self.values["statistic", ""] = word[:3] if word.startswith(("MAX", "MIN")) else word

    @command("CALCulate3:FORMat?")
    def _ask_statistic_name(self, call: Call) -> str:
        return str(self.values.get(("statistic", ""), "MEAN"))

    @command("CALCulate3:DATA?")
    def _ask_statistic(self, call: Call) -> str:
        """Answer a statistic of voltage, current and resistance in the buffer, or in the sample memory if it is empty."""
        readings = self._stored or self._samples
        if not readings:
            raise ScpiError(-230)
        return ",".join(f"{self._statistic([reading[k] for reading in readings]):+.6E}" for k in range(3))

    def _statistic(self, values: list[float]) -> float:
        name = self.values.get(("statistic", ""), "MEAN")
        if name == "PKPK":
            return max(values) - min(values)
        if name == "SDEV":
            return statistics.stdev(values) if len(values) > 1 else 0.0
        return {"MAX": max, "MIN": min}.get(str(name), statistics.fmean)(values)

    # --- measurement events ---

    def _summarise(self) -> None:
        """Let the status byte say whether an event is there that is asked for, and request service if that is new."""
        there = self._measurement_events & self._measurement_enable
        self.status.summaries = _MEASUREMENT_SUMMARY if there else 0
        self.notice()

    @command("STATus:MEASurement[:EVENt]?")
    def _take_measurement_events(self, call: Call) -> str:
        events, self._measurement_events = self._measurement_events, 0
        self._summarise()
        return str(events)

    @command("STATus:MEASurement:CONDition?")
    def _ask_measurement_condition(self, call: Call) -> str:
        full = len(self._stored) >= self.trace_points()
        return str((_BUFFER_FULL if full else 0) | (_BUFFER_AVAILABLE if len(self._stored) >= 2 else 0))

    @command("STATus:MEASurement:ENABle")
    def _enable_measurement_events(self, call: Call) -> None:
        call.require(1, 1)
        mask = parse_number(call.arguments[0])
        if not 0 <= mask <= 65535:
            raise ScpiError(-222, call.arguments[0])
        self._measurement_enable = round(mask)
        self._summarise()

    @command("STATus:MEASurement:ENABle?")
    def _ask_enabled_measurement_events(self, call: Call) -> str:
        return str(self._measurement_enable)

    @command("STATus:PRESet")
    def _preset_status(self, call: Call) -> None:
        self._measurement_enable = 0
        self._summarise()

    @command("*CLS")
    def _clear_status(self, call: Call) -> None:
        super()._clear_status(call)
        self._measurement_events = 0
        self._summarise()

    @command("SYSTem:TIME:RESet")
    def _reset_time(self, call: Call) -> None:
        self._time_zero = self.now

    @command("SYSTem:TIME?")
    def _ask_time(self, call: Call) -> str:
        return f"{self.now - self._time_zero:.3f}"


def quantity(word: str) -> str:
    """Return the short name of the reading's element that `word` says in quotes or without. Raises -224."""
    name = word.strip("\"'").upper().removesuffix(":DC")
    long = {"VOLTAGE": "VOLT", "CURRENT": "CURR", "RESISTANCE": "RES", "STATUS": "STAT"}
    short = long.get(name, name)
    if short not in ELEMENTS:
        raise ScpiError(-224, word)
    return short
