"""What a server shows of a session, and nothing of how the session does it."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Observed(Protocol):
    """What the server shows of a session; every method is quick and may be called on the loop at any moment."""

    @property
    def name(self) -> str:
        """The session's name, as people call it."""
        ...

    def logged_variables(self) -> set[str]:
        """Return the names of all variables that were logged so far."""
        ...

    def logged_last_values(self) -> dict[str, tuple[float, float]]:
        """Return for each variable its newest (timestamp in s since 1970, value)."""
        ...

    def logged_data_fromtimestamp(self, name: str, ts: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (timestamps in s, values) from `ts` on, inclusive; two empty arrays for an unknown `name`."""
        ...

    def parameters(self) -> dict[str, float]:
        """Return the session's parameters, those whose name starts with `_` among them."""
        ...

    def units(self) -> dict[str, str]:
        """Return the units of the variables that have one."""
        ...

    def state(self) -> str:
        """Return "running", "stopping" or "ended"."""
        ...

    def stores(self) -> dict[str, Path]:
        """Return the live zarr store folder of each run, by the run's name."""
        ...
