"""Which value of a map has which colour."""

import numpy as np
from numpy.typing import NDArray

from labnb.live.decimate import Floats
from labnb.live.si import Scaling, scaling

_SAMPLE = 20_000
_MOVE = 0.02  # of the colour range: smaller changes of its ends do not recolour the map


class ColourRange:
    """Which value has which colour: robust against outliers, symmetric around zero for signed data, and calm."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self.low, self.high = 0.0, 1.0
        self.signed = False
        self.known = False
        self.scaling = Scaling(unit=unit)

    def fit(self, values: Floats) -> None:
        """Follow the data; small movements are ignored, so that the map does not flicker."""
        found = values[np.isfinite(values)]
        if not len(found):
            return
        low, high = _robust(found[:: max(1, len(found) // _SAMPLE)])
        small, large = sorted((abs(low), abs(high)))
        self.signed = low < 0 < high and small > 0.1 * large
        if self.signed:
            low, high = -large, large
        calm = _MOVE * (self.high - self.low)
        if self.known and abs(low - self.low) < calm and abs(high - self.high) < calm:
            return
        self.low, self.high = low, high
        self.scaling = scaling(low, high, self._unit, self.scaling if self.known else None)
        self.known = True

    def shades(self, values: Floats) -> NDArray[np.uint8]:
        """Return colour indices 0 … 254; 255 for NaN."""
        span = self.high - self.low or 1.0
        with np.errstate(invalid="ignore"):
            shade = np.clip((values - self.low) * (254 / span) + 0.5, 0, 254)
        return np.where(np.isnan(shade), 255, shade).astype(np.uint8)


def _robust(values: Floats) -> tuple[float, float]:
    """Return the whole range, or that of the inner 98 % if a few outliers would take more than half of the colours."""
    low, high = float(values.min()), float(values.max())
    if len(values) < 50:
        return low, high
    inner_low, inner_high = (float(v) for v in np.percentile(values, (1, 99)))
    return (inner_low, inner_high) if 0 < inner_high - inner_low < 0.5 * (high - low) else (low, high)
