"""What a person may know about a run at one moment, as a frozen value that every view shows."""

from dataclasses import dataclass

from labnb.core import State


@dataclass(frozen=True, slots=True)
class Reading:
    """The latest value of one variable."""

    name: str
    value: float | complex | bool | str | None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One run at one moment. `total` is None when nobody knows how many points will come."""

    name: str
    run_id: str
    state: State
    points: int
    total: int | None
    elapsed_s: float
    setpoint: str = ""
    latest: tuple[Reading, ...] = ()
    path: str = ""
    started_ns: int = 0
    warnings: tuple[str, ...] = ()
    error: str = ""
