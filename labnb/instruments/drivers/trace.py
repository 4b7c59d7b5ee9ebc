"""What an oscilloscope has seen: samples as they come over the link, as labelled volts, and the screen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labnb.core import InstrumentError

if TYPE_CHECKING:
    import xarray as xr

_CLIPPED = 1 << 8, 255 << 8  # codes of a WORD at the ends of the converter (below: no sample)
_JITTER = 1.5  # samples; the trigger is between two of them


@dataclass(frozen=True, slots=True)
class Screenshot:
    """A picture of the screen, as a PNG file; a notebook shows it."""

    png: bytes

    def save(self, path: str | Path) -> Path:
        """Write the file; return where."""
        Path(path).write_bytes(self.png)
        return Path(path)

    def _repr_png_(self) -> bytes:
        return self.png


@dataclass(frozen=True, slots=True)
class Trace:
    """The samples of one channel as little-endian WORDs, and the ten fields of the preamble that explain them."""

    channel: int
    preamble: tuple[float, ...]
    data: bytes

    @property
    def time(self) -> tuple[float, ...]:
        """Number of samples, and interval, origin and reference of their times."""
        return (len(self.data) // 2, *self.preamble[4:7])


def traces_of(traces: Sequence[Trace], left: float) -> "xr.DataArray":
    """Return volts with the dims channel, time; `clipped` tells which channels left the screen.

    A sweep begins up to a sample beside the screen's `left` edge (s from the trigger), each time elsewhere. `time` is
    that of the screen, the same for each sweep, so that sweeps can be stacked and compared; the coordinate
    `time_shift` (s) added to it is the exact time. Raises InstrumentError if the traces are not of one sweep.
    """
    import numpy as np
    import xarray as xr

    count, interval, origin, reference = traces[0].time
    if any(trace.time != traces[0].time for trace in traces):
        channels = ", ".join(str(trace.channel) for trace in traces)
        raise InstrumentError(f"channels {channels} differ in time; stop the oscilloscope, and read them again")
    codes = np.stack([np.frombuffer(trace.data, "<u2").astype(float) for trace in traces])
    steps, zeros, middles = np.array([trace.preamble[7:10] for trace in traces]).T[:, :, None]
    begin = origin - reference * interval
    if abs(begin - left) > _JITTER * interval:  # it was taken with another screen
        left = begin
    return xr.DataArray(
        (codes - middles) * steps + zeros,
        dims=("channel", "time"),
        coords={
            "channel": ("channel", [trace.channel for trace in traces]),
            "time": ("time", left + np.arange(count) * interval, {"units": "s", "long_name": "time from the trigger"}),
            "time_shift": ((), begin - left, {"units": "s"}),
            "clipped": ("channel", ((codes <= _CLIPPED[0]) | (codes >= _CLIPPED[1])).any(axis=1)),
        },
        name="voltage",
        attrs={"units": "V"},
    )
