"""The cells of a picture, and which of them a page has not seen yet: it gets rows, a few bytes each, never the whole.

```
 a patch     row  start  count   low  step    count bytes
             u16    u16    u16   f64   f64    0 … 254: low + step · byte; 255: not measured
```
"""

import struct

import numpy as np
from numpy.typing import NDArray

from labnb.live.decimate import Floats

_HEAD = struct.Struct("<HHHdd")
UNMEASURED = 255


class Cells:
    """Values of a picture, lowest row first; NaN is not measured. `epoch` counts how often all were cleared.

    What was `touch`ed since waits to be sent; `patches` takes as much of it as fits, what is new first.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.values: Floats = np.full((rows, columns), np.nan)
        self.epoch = 0
        self.newest = 0
        self._turn = 0
        self._first = np.full(rows, columns, np.int64)
        self._last = np.full(rows, -1, np.int64)

    @property
    def is_waiting(self) -> bool:
        """Whether some cells were not sent yet."""
        return bool((self._last >= self._first).any())

    def clear(self) -> None:
        """Forget all values."""
        self.values[:] = np.nan
        self.epoch += 1
        self._sent(slice(None))

    def put(self, rows: NDArray[np.int64], columns: NDArray[np.int64], values: Floats) -> None:
        """Set some cells; the last one is the newest."""
        if not len(rows):
            return
        self.values[rows, columns] = values
        np.minimum.at(self._first, rows, columns)
        np.maximum.at(self._last, rows, columns)
        self.newest = int(rows[-1])

    def touch_all(self) -> None:
        """Send everything again, to a page that was opened anew."""
        self._first[:], self._last[:] = 0, self.values.shape[1] - 1

    def patches(self, budget: int | None = None) -> bytes:
        """Return what was not sent yet, in some `budget` bytes, and take it as sent."""
        waiting = np.flatnonzero(self._last >= self._first)
        if not len(waiting):
            return b""
        # Round robin: where everything changes all the time (a shuffled sweep), each row has its turn.
        order = np.concatenate((waiting[waiting >= self._turn], waiting[waiting < self._turn]))
        if self.newest in waiting:
            order = np.concatenate(([self.newest], order[order != self.newest]))
        parts, size, row = list[bytes](), 0, 0
        for row in map(int, order):
            part = self._patch(row)
            parts.append(part)
            size += len(part)
            if budget is not None and size >= budget:
                break
        self._turn = row + 1
        return b"".join(parts)

    def _patch(self, row: int) -> bytes:
        start, stop = int(self._first[row]), int(self._last[row]) + 1
        self._sent(row)
        values = self.values[row, start:stop]
        low, high = float(np.fmin.reduce(values)), float(np.fmax.reduce(values))
        if np.isnan(low):
            low = high = 0.0
        step = (high - low) / (UNMEASURED - 1)
        with np.errstate(invalid="ignore"):
            codes = (values - low) / (step or 1.0)
        shades = np.where(np.isnan(codes), UNMEASURED, np.rint(np.nan_to_num(codes))).astype(np.uint8)
        return _HEAD.pack(row, start, stop - start, low, step) + shades.tobytes()

    def _sent(self, rows: int | slice) -> None:
        self._first[rows], self._last[rows] = self.values.shape[1], -1


def unpack(patches: bytes, into: Floats) -> None:
    """Write patches into cells, as a page does."""
    at = 0
    while at < len(patches):
        row, start, count, low, step = _HEAD.unpack_from(patches, at)
        at += _HEAD.size
        shades = np.frombuffer(patches, np.uint8, count, at)
        into[row, start : start + count] = np.where(shades == UNMEASURED, np.nan, low + step * shades)
        at += count
