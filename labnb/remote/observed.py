"""What a server shows of a session, and nothing of how the session does it."""

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Observed(Protocol):
    """What the server shows of a session. Every method may be called at any moment, from any thread.

    All are quick, and called on the loop, but `logged_piece` and `place_from`: what they ask for may lie on disk.
    Entries have places, in the order in which they were logged: a clock may be set back, places are not.
    """

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

    def logged_count(self, name: str) -> int:
        """Return how many entries a variable has; 0 for an unknown `name`."""
        ...

    def logged_piece(self, name: str, begin: int, end: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (timestamps in s, values) of the entries `begin` … `end`, as far as there are."""
        ...

    def place_from(self, name: str, ts: float) -> int:
        """Return the place of the first entry that was logged at `ts` or later, or of one shortly before; else the count."""
        ...

    def parameters(self) -> dict[str, float]:
        """Return the session's parameters, those whose name starts with `_` among them."""
        ...

    def units(self) -> dict[str, str]:
        """Return the units of the variables that have one."""
        ...

    def alarms(self) -> dict[str, list[str]]:
        """Return, by variable, the limits that are exceeded now, as they were written."""
        ...

    def state(self) -> str:
        """Return "running", "stopping" or "ended"."""
        ...

    def stores(self) -> dict[str, Path]:
        """Return the live zarr store folder of each run, by the run's name."""
        ...
