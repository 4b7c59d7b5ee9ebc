"""What one sweep of an oscilloscope holds, and what can be read off it."""

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from labnb.sim.png import Colour, Screen

DIVISIONS = 8
CODES_A_DIVISION = 25
MIDDLE = 128
_TYPES = {"NORM": 0, "PEAK": 1, "AVER": 2, "HRES": 3}
_FORMATS = {"BYTE": 0, "WORD": 1, "ASC": 4}
_COLOURS: tuple[Colour, ...] = (
    (0, 0, 0), (70, 70, 70), (240, 220, 60), (90, 220, 90), (90, 150, 255), (255, 110, 160),
)  # fmt: skip


@final
@dataclass(frozen=True, slots=True)
class Trace:
    """The samples of one channel in V, quantised, and how they were taken."""

    volts: tuple[float, ...]
    start: float
    """The first sample's time from the trigger in s."""
    interval_s: float
    lsb: float
    """What one step of the 8 bit converter is in V."""
    offset: float
    kind: str = "NORM"
    averages: int = 1

    def thinned(self, points: int) -> "Trace":
        """Return at most `points` of the samples, evenly."""
        count = len(self.volts)
        if points >= count:
            return self
        volts = tuple(self.volts[k * count // points] for k in range(points))
        interval_s = self.interval_s * count / points
        return replace(self, volts=volts, interval_s=interval_s)

    def preamble(self, form: str) -> str:
        """Return the ten fields of `WAVeform:PREamble?`."""
        step = self.lsb / 256 if form == "WORD" else self.lsb
        middle = MIDDLE * 256 if form == "WORD" else MIDDLE
        return (
            f"{_FORMATS[form]:+d},{_TYPES[self.kind]:+d},{len(self.volts):+d},{self.averages:+d},{self.interval_s:+.8E},"
            f"{self.start:+.8E},+0,{step:+.8E},{self.offset:+.8E},{middle:+d}"
        )

    def data(self, form: str, *, big_endian: bool, unsigned: bool) -> bytes:
        """Return the samples as BYTE, WORD or ASC."""
        if form == "ASC":
            return ",".join(f"{volts:+.5E}" for volts in self.volts).encode("ascii")
        shift = 0 if unsigned else -1
        if form == "BYTE":
            codes = self._codes(self.lsb, MIDDLE, 255)
            return bytes((code + shift * MIDDLE) & 0xFF for code in codes)
        codes = self._codes(self.lsb / 256, MIDDLE * 256, 65535)
        words = [(code + shift * MIDDLE * 256) & 0xFFFF for code in codes]
        return struct.pack(f"{'>' if big_endian else '<'}{len(words)}H", *words)

    def _codes(self, step: float, middle: int, top: int) -> list[int]:
        return [min(max(round((volts - self.offset) / step) + middle, 0), top) for volts in self.volts]

    @property
    def clipped(self) -> bool:
        """Some sample is at the converter's end."""
        low, high = self.offset - (MIDDLE - 0.5) * self.lsb, self.offset + (255 - MIDDLE - 0.5) * self.lsb
        return min(self.volts) < low or max(self.volts) > high


def crossings(volts: Sequence[float], level: float, hysteresis: float) -> list[float]:
    """Return where `volts` rises through `level` after having been below it by `hysteresis`."""
    found: list[float] = []
    armed = False
    for k, (before, after) in enumerate(itertools.pairwise(volts)):
        armed = armed or before < level - hysteresis
        if armed and before < level <= after:
            found.append(k + (level - before) / (after - before))
            armed = False
    return found


def picture(traces: dict[int, Trace]) -> bytes:
    """Return the screen with a grid of 10 x 8 divisions and the traces, as a PNG file."""
    screen = Screen(640, 480, _COLOURS)
    for k in range(11):
        screen.column(min(k * 64, 639), 0, 479, 1)
    for x in range(640):
        for k in range(9):
            screen.dot(x, min(k * 60, 479), 1)
    for channel, trace in traces.items():
        _draw(screen, trace, channel + 1)
    return screen.encode()


def _draw(screen: Screen, trace: Trace, colour: int) -> None:
    count = len(trace.volts)
    scale = 60.0 / (CODES_A_DIVISION * trace.lsb)
    rows = [round(240 - (volts - trace.offset) * scale) for volts in trace.volts]
    for x in range(screen.width):
        piece = rows[
            x * count // screen.width : max((x + 1) * count // screen.width, x * count // screen.width + 1) + 1
        ]
        screen.column(x, min(piece), max(piece), colour)
