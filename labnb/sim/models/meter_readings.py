"""What a multimeter does with its readings: memory, formats, statistics and limits (34460-90901, CALCulate, DATA)."""

import itertools
import math
import statistics
import struct
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from labnb.sim.instrument import command
from labnb.sim.models.meter_settings import MEMORY, MeterSettings
from labnb.sim.scpi import OVERLOAD, Call, encode_block, format_number, parse_number
from labnb.sim.settings import Choice, Number, Switch
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

_LOW_FAILED, _HIGH_FAILED = 1 << 11, 1 << 12
"""Bits of the questionable data register."""


class MeterReadings(MeterSettings):
    """The memory of a multimeter: the last two million readings."""

    averaging = Switch("CALCulate:AVERage[:STATe]", default=False)
    limiting = Switch("CALCulate:LIMit[:STATe]", default=False)
    low_limit = Number("CALCulate:LIMit:LOWer[:DATA]", default=0.0, low=-1e15, high=1e15)
    high_limit = Number("CALCulate:LIMit:UPPer[:DATA]", default=0.0, low=-1e15, high=1e15)
    byte_order = Choice("FORMat:BORDer", default="NORM", choices=("NORMal", "SWAPped"))
    data_form = Choice(default="ASC", choices=("ASCii", "REAL"))

    def __init__(self, bench: "Bench", name: str, address: str) -> None:
        super().__init__(bench, name, address)
        self._readings: deque[float] = deque(maxlen=MEMORY)
        self._averaged: list[float] = []
        self._questionable = 0

    def reset(self) -> None:
        """Forget all readings."""
        super().reset()
        self._readings.clear()
        self._averaged.clear()
        self._questionable = 0

    def keep(self, reading: float) -> None:
        """Store `reading`; count it in statistics and limits if they are on."""
        self._readings.append(reading)
        if self.averaging() and abs(reading) < OVERLOAD:
            self._averaged.append(reading)
        if self.limiting():
            self._questionable |= _LOW_FAILED if reading < self.low_limit() else 0
            self._questionable |= _HIGH_FAILED if reading > self.high_limit() else 0

    def written(self, readings: Iterable[float]) -> str | bytes:
        """Return `readings` in the chosen format."""
        if self.data_form() == "ASC":
            return ",".join(map(format_number, readings))
        numbers = list(readings)
        return encode_block(struct.pack(f"{'>' if self.byte_order() == 'NORM' else '<'}{len(numbers)}d", *numbers))

    @command("FORMat[:DATA]")
    def _set_form(self, call: Call) -> None:
        """`ASCii`, or `REAL,64`: doubles in a block."""
        call.require(1, 2)
        if call.arguments[0].upper() == "REAL" and call.arguments[1:] not in ([], ["64"]):
            raise ScpiError(-224, call.arguments[1])
        type(self).data_form.write(self, "", call.arguments[0])

    @command("FORMat[:DATA]?")
    def _ask_form(self, call: Call) -> str:
        return "ASC,9" if self.data_form() == "ASC" else "REAL,64"

    def _taken(self, call: Call) -> list[float]:
        """Remove the oldest readings, as many as the first argument says, or all."""
        call.require(0, 2)
        count = round(parse_number(call.arguments[0])) if call.arguments else len(self._readings)
        if count < 0:
            raise ScpiError(-222, call.arguments[0])
        return [self._readings.popleft() for _ in range(min(count, len(self._readings)))]

    @command("R?")
    def _remove(self, call: Call) -> bytes:
        """Answer the readings so far, or the oldest ones, as a block, and forget them."""
        answer = self.written(self._taken(call))
        return encode_block(answer.encode("ascii")) if isinstance(answer, str) else answer

    @command("DATA:REMove?")
    def _remove_exactly(self, call: Call) -> str | bytes:
        """Answer that many readings and forget them. Raises -222 when there are fewer."""
        call.require(1, 2)
        if parse_number(call.arguments[0]) > len(self._readings):
            raise ScpiError(-222, f"{len(self._readings)} readings")
        return self.written(self._taken(call))

    @command("DATA:LAST?")
    def _ask_last(self, call: Call) -> str:
        if not self._readings:
            raise ScpiError(-230)
        return format_number(self._readings[-1])

    @command("DATA:POINts?")
    def _ask_points(self, call: Call) -> str:
        return str(len(self._readings))

    # --- statistics and limits ---

    @command("CALCulate:AVERage:CLEar[:IMMediate]")
    def _clear_averages(self, call: Call) -> None:
        self._averaged.clear()

    @command("CALCulate:AVERage:{}?", each=("AVERage", "SDEViation", "MINimum", "MAXimum", "PTPeak", "COUNt"))
    def _ask_average(self, call: Call) -> str:
        return format_number(self._statistic(call.key))

    @command("CALCulate:AVERage:ALL?")
    def _ask_averages(self, call: Call) -> str:
        """Answer average, standard deviation, minimum and maximum."""
        return ",".join(format_number(self._statistic(name)) for name in ("AVER", "SDEV", "MIN", "MAX"))

    def _statistic(self, name: str) -> float:
        values = self._averaged
        if name == "COUN":
            return float(len(values))
        if not values:
            return OVERLOAD
        if name == "SDEV":
            return statistics.stdev(values) if len(values) > 1 else 0.0
        if name == "PTP":
            return max(values) - min(values)
        return {"MIN": min, "MAX": max}.get(name, statistics.fmean)(values)

    @command("CALCulate:LIMit:CLEar[:IMMediate]")
    def _clear_limits(self, call: Call) -> None:
        self._questionable = 0

    @command("STATus:QUEStionable:CONDition?")
    def _ask_questionable(self, call: Call) -> str:
        return str(self._questionable)

    @command("STATus:QUEStionable[:EVENt]?")
    def _take_questionable(self, call: Call) -> str:
        """Answer which limits have failed: bit 11 the lower, bit 12 the upper one."""
        events, self._questionable = self._questionable, 0
        return str(events)


def crosses(before: float, after: float, level: float, slope: str) -> bool:
    """Return whether a signal that was `before` and is `after` has passed `level` in the direction of `slope`."""
    return before < level <= after if slope == "POS" else before > level >= after


def frequency(samples: list[float], interval_s: float) -> float:
    """Return the frequency of `samples` from where they rise through their mean; 0 with fewer than two such places."""
    mean = statistics.fmean(samples)
    hysteresis = 0.1 * (max(samples) - min(samples))
    rises: list[float] = []
    armed = False
    for k, (before, after) in enumerate(itertools.pairwise(samples)):
        armed = armed or before < mean - hysteresis
        if armed and before < mean <= after:
            rises.append(k + (mean - before) / (after - before))
            armed = False
    if len(rises) < 2 or math.isclose(hysteresis, 0.0, abs_tol=1e-9):
        return 0.0
    return (len(rises) - 1) / ((rises[-1] - rises[0]) * interval_s)
