"""How a long history is sent with few points: the lowest and the highest of every bucket survive, and every gap."""

import asyncio

import numpy as np
from numpy.typing import NDArray

from labnb.remote.wire import Floats

Places = NDArray[np.int64]

BUCKETS = 600
"""Three points of a bucket at most: as many columns as a chart has."""

_AT_ONCE = 50_000
"""Points between two looks at the loop: a millisecond's work."""


async def thin(ts: Floats, values: Floats, buckets: int = BUCKETS) -> tuple[Floats, Floats]:
    """Return at most `3 * buckets` points of a curve, in their order; the first and the last are among them.

    NaN is a gap: of a bucket with one, the first stays too. The loop goes on between pieces of the work.
    """
    size = -(-len(ts) // buckets)
    if size <= 3:
        return ts, values
    kept: list[Places] = [np.zeros(1, np.int64)]
    step = max(1, _AT_ONCE // size) * size
    for begin in range(0, len(ts), step):
        kept.append(begin + _outstanding(values[begin : begin + step], size))
        await asyncio.sleep(0)
    kept.append(np.array([len(ts) - 1]))
    picks = np.unique(np.concatenate(kept))
    return ts[picks], values[picks]


def _outstanding(values: Floats, size: int) -> Places:
    """Return the places of the lowest, the highest and the first NaN of every bucket of `size` values."""
    short = -len(values) % size
    padded = np.append(values, np.full(short, values[-1])) if short else values
    rows = padded.reshape(-1, size)
    missing = np.isnan(rows)
    begins = np.arange(len(rows)) * size
    lowest = begins + np.where(missing, np.inf, rows).argmin(axis=1)
    highest = begins + np.where(missing, -np.inf, rows).argmax(axis=1)
    gaps = (begins + missing.argmax(axis=1))[missing.any(axis=1)]
    return np.minimum(np.concatenate((lowest, highest, gaps)), len(values) - 1)
