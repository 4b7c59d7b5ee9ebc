"""What one output of a waveform generator gives, as numbers, and whether it can."""

import math
from dataclasses import dataclass

from labnb.core import LimitError
from labnb.instruments.limits import Bounds

SOURCE_OHM = 50.0
OPEN_V = 10.0  # the largest voltage at an open output; half of it at 50 Ohm
FUNCTIONS = {
    "sine": "SIN", "square": "SQU", "ramp": "RAMP", "triangle": "TRI", "pulse": "PULS", "noise": "NOIS", "dc": "DC",
    "arbitrary": "ARB",
}  # fmt: skip
"""Our names of waveforms and the instrument's."""

UNTIMED = ("dc", "noise", "arbitrary")
"""Those that have no frequency of their own."""

_SLOW_HZ = 200e3  # of ramp and triangle


@dataclass(frozen=True, slots=True)
class Wave:
    """A waveform: `amplitude` in V from peak to peak and `offset` in V are those across `load` Ohm."""

    function: str
    frequency: float
    amplitude: float
    offset: float
    load: float = SOURCE_OHM

    @property
    def low(self) -> float:
        """The lowest voltage at the load."""
        return self.offset - self._swing

    @property
    def high(self) -> float:
        """The highest voltage at the load."""
        return self.offset + self._swing

    @property
    def _swing(self) -> float:
        return 0.0 if self.function == "dc" else self.amplitude / 2

    @property
    def share(self) -> float:
        """The part of the source's own voltage that stands across the load."""
        return 1.0 if math.isinf(self.load) else self.load / (SOURCE_OHM + self.load)

    def check(self, where: str, fastest: dict[str, float]) -> None:
        """Raise LimitError if the generator cannot give it; `fastest` are the highest frequencies by waveform, in Hz."""
        highest = fastest.get(self.function, _SLOW_HZ)
        if self.function not in UNTIMED:
            Bounds(1e-6, highest, "Hz", "range").check(self.frequency, f"{where} frequency of {self.function}")
        if self.function != "dc":
            largest = Bounds(2e-3 * self.share, 2 * OPEN_V * self.share, "V", "range")
            largest.check(self.amplitude, f"{where} amplitude into {self.load:g} Ohm")
        peak = OPEN_V * self.share
        if max(abs(self.low), abs(self.high)) > peak * (1 + 1e-6):
            raise LimitError(
                f"{where}: {self.offset:g} V offset and {self.amplitude:g} V amplitude reach {self.low:g} to "
                f"{self.high:g} V; into {self.load:g} Ohm it gives {-peak:g} to {peak:g} V; nothing was sent"
            )
