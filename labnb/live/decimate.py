"""How a long curve is drawn with few points: the lowest and the highest of every bucket survive.

```
 raw      ·  ·   ·     ·           a bucket of 2^k points is two of them:
            ·      ·  ·   ·        its minimum and its maximum, in their order
 drawn       ╲__╱╲_╱╲__            ≤ 2000 points, as many as a screen has columns
```
"""

import numpy as np
from numpy.typing import NDArray

from labnb.live.si import OVERLOAD

Floats = NDArray[np.float64]

LIMIT = 2000


class Trail:
    """A growing curve of which at most `limit` points are kept; adding points costs what the new ones cost."""

    def __init__(self, limit: int = LIMIT) -> None:
        if limit < 8:
            raise ValueError(f"a decimated curve needs room for at least 8 points, got limit={limit}")
        self._most = (limit - 4) // 2
        self.clear()

    def clear(self) -> None:
        """Forget every point."""
        self._size = 2
        self._xs = np.empty((0, 2))
        self._ys = np.empty((0, 2))
        self._tail_x = np.empty(0)
        self._tail_y = np.empty(0)
        self._first: tuple[float, float] | None = None
        self._last = (0.0, 0.0)
        self.count = 0
        self.low, self.high = np.inf, -np.inf
        self.left, self.right = np.inf, -np.inf
        self.above_zero = np.inf  # the lowest value that a logarithmic axis can show

    def extend(self, x: Floats, y: Floats) -> bool:
        """Add points in the order in which they were measured; return whether any could be drawn.

        NaN (not measured) and overloads (SCPI's 9.9e37) are left out, whichever of both coordinates they are in.
        """
        good = (np.abs(x) < OVERLOAD) & (np.abs(y) < OVERLOAD)
        if not good.all():
            x, y = x[good], y[good]
        if not len(x):
            return False
        self._note(x, y)
        x, y = np.concatenate((self._tail_x, x)), np.concatenate((self._tail_y, y))
        while len(self._xs) + len(x) // self._size > self._most:
            x, y = self._halve(x, y)
        whole = len(x) // self._size * self._size
        xs, ys = _extremes(x[:whole].reshape(-1, self._size), y[:whole].reshape(-1, self._size))
        self._xs, self._ys = np.concatenate((self._xs, xs)), np.concatenate((self._ys, ys))
        self._tail_x, self._tail_y = x[whole:], y[whole:]
        return True

    def _note(self, x: Floats, y: Floats) -> None:
        if self._first is None:
            self._first = float(x[0]), float(y[0])
        self._last = float(x[-1]), float(y[-1])
        self.count += len(x)
        self.low, self.high = min(self.low, float(y.min())), max(self.high, float(y.max()))
        self.left, self.right = min(self.left, float(x.min())), max(self.right, float(x.max()))
        self.above_zero = min(self.above_zero, self.low if self.low > 0 else np.min(y, where=y > 0, initial=np.inf))

    def _halve(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Merge buckets by two; an odd last one goes back, as its two points, in front of the points to come."""
        self._size *= 2
        odd = len(self._xs) % 2
        if odd:
            x, y = np.concatenate((self._xs[-1], x)), np.concatenate((self._ys[-1], y))
        even = len(self._xs) - odd
        self._xs, self._ys = _extremes(self._xs[:even].reshape(-1, 4), self._ys[:even].reshape(-1, 4))
        return x, y

    def points(self) -> tuple[Floats, Floats]:
        """Return at most `limit` points in order: the first, the last, every bucket's lowest and highest."""
        if self._first is None:
            return np.empty(0), np.empty(0)
        xs, ys = [self._xs.ravel()], [self._ys.ravel()]
        if len(self._tail_x) > 1:
            tail_x, tail_y = _extremes(self._tail_x[None, :], self._tail_y[None, :])
            xs.append(tail_x[0])
            ys.append(tail_y[0])
        return self._with_ends(self._first, np.concatenate(xs), np.concatenate(ys))

    def _with_ends(self, first: tuple[float, float], x: Floats, y: Floats) -> tuple[Floats, Floats]:
        if not len(x) or (x[0], y[0]) != first:
            x, y = np.append(first[0], x), np.append(first[1], y)
        if self.count > 1 and (len(x) == 1 or (x[-1], y[-1]) != self._last):
            x, y = np.append(x, self._last[0]), np.append(y, self._last[1])
        return x, y


def _extremes(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return for each row its lowest and highest point in their order; of a flat row its first and last."""
    if not x.size:
        return np.empty((0, 2)), np.empty((0, 2))
    lowest, highest = y.argmin(axis=1), y.argmax(axis=1)
    flat = lowest == highest
    first = np.minimum(lowest, highest)
    last = np.where(flat, y.shape[1] - 1, np.maximum(lowest, highest))
    pick = np.stack((np.where(flat, 0, first), last), axis=1)
    return np.take_along_axis(x, pick, axis=1), np.take_along_axis(y, pick, axis=1)


def decimate(x: Floats, y: Floats, limit: int = LIMIT) -> tuple[Floats, Floats]:
    """Return at most `limit` of the points of a whole curve; see `Trail`."""
    trail = Trail(limit)
    trail.extend(np.asarray(x, np.float64), np.asarray(y, np.float64))
    return trail.points()
