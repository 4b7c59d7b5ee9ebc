"""How a long history is sent with few points: the lowest and the highest of every bucket survive, and every gap."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from labnb.remote.wire import Floats

Places = NDArray[np.int64]
Read = Callable[[int, int], tuple[Floats, Floats]]

BUCKETS = 600
"""Three points of a bucket at most: as many columns as a chart has."""

PIECE = 1 << 16
"""As many points are in memory at once, or one bucket of more."""


def thin(read: Read, begin: int, end: int, buckets: int = BUCKETS) -> tuple[Floats, Floats]:
    """Return at most `3 * buckets + 2` of the points `begin` … `end`, in their order; the first and last are among them.

    `read` gives the points between two places. NaN is a gap: of a bucket with one, the first stays too.
    """
    size = -(-(end - begin) // buckets)
    if size <= 3:
        return read(begin, end)
    step = max(1, PIECE // size) * size
    kept = [_outstanding(*read(low, min(low + step, end)), size) for low in range(begin, end, step)]
    return np.concatenate([ts for ts, _ in kept]), np.concatenate([values for _, values in kept])


def _outstanding(ts: Floats, values: Floats, size: int) -> tuple[Floats, Floats]:
    """Return the ends, and the lowest, the highest and the first NaN of every bucket of `size` points."""
    short = -len(values) % size
    padded = np.append(values, np.full(short, values[-1])) if short else values
    rows = padded.reshape(-1, size)
    missing = np.isnan(rows)
    begins = np.arange(len(rows)) * size
    lowest = begins + np.where(missing, np.inf, rows).argmin(axis=1)
    highest = begins + np.where(missing, -np.inf, rows).argmax(axis=1)
    gaps = (begins + missing.argmax(axis=1))[missing.any(axis=1)]
    ends = np.array([0, len(values) - 1])
    places: Places = np.unique(np.minimum(np.concatenate((ends, lowest, highest, gaps)), len(values) - 1))
    return ts[places], values[places]
