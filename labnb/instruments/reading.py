"""What a measurement returns."""

from dataclasses import dataclass

from labnb.instruments.action import Action


@dataclass(frozen=True, slots=True)
class Reading(Action["Reading"]):
    """Measured `values` in `unit`, taken at `timestamp` (seconds since 1970-01-01 UTC)."""

    values: float
    unit: str
    timestamp: float

    def result(self) -> "Reading":
        """Return the reading itself: it is there."""
        return self

    def __float__(self) -> float:
        return self.values

    def __str__(self) -> str:
        return f"{self.values:.7g} {self.unit}"
