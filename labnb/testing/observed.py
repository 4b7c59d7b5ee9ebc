"""What every `Observed` promises, as a suite to subclass, and a session that is nothing but its numbers."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from labnb.remote import Observed

Floats = NDArray[np.float64]


class PlainSession:
    """Keeps what is logged in lists; all that a server can show of it may be set."""

    def __init__(self, name: str = "plain") -> None:
        self.name = name
        self.kept: dict[str, tuple[list[float], list[float]]] = {}
        self.values: dict[str, float] = {}
        self.unit_of: dict[str, str] = {}
        self.phase = "running"
        self.exceeded: dict[str, list[str]] = {}
        self.folders: dict[str, Path] = {}

    def log(self, ts: float, **values: float) -> None:
        """Keep values of one time."""
        for name, value in values.items():
            times, kept = self.kept.setdefault(name, ([], []))
            times.append(ts)
            kept.append(value)

    def logged_variables(self) -> set[str]:
        """Return the names of what was logged."""
        return set(self.kept)

    def logged_last_values(self) -> dict[str, tuple[float, float]]:
        """Return the newest time and value of each."""
        return {name: (ts[-1], float(values[-1])) for name, (ts, values) in self.kept.items()}

    def logged_count(self, name: str) -> int:
        """Return how many entries a variable has."""
        return len(self.kept.get(name, ([], []))[0])

    def logged_piece(self, name: str, begin: int, end: int) -> tuple[Floats, Floats]:
        """Return the entries of some places."""
        times, values = self.kept.get(name, ([], []))
        return np.array(times[begin:end], np.float64), np.array(values[begin:end], np.float64)

    def place_from(self, name: str, ts: float) -> int:
        """Return the place of the first entry that is not older than `ts`."""
        times = self.kept.get(name, ([], []))[0]
        return next((place for place, time in enumerate(times) if time >= ts), len(times))

    def parameters(self) -> dict[str, float]:
        """Return a copy of `values`."""
        return dict(self.values)

    def units(self) -> dict[str, str]:
        """Return a copy of `unit_of`."""
        return dict(self.unit_of)

    def alarms(self) -> dict[str, list[str]]:
        """Return a copy of `exceeded`."""
        return dict(self.exceeded)

    def state(self) -> str:
        """Return `phase`."""
        return self.phase

    def stores(self) -> dict[str, Path]:
        """Return a copy of `folders`."""
        return dict(self.folders)


class ObservedContract:
    """Subclass as `class TestMySession(ObservedContract)`; implement `make_observed` and `log`."""

    @pytest.fixture
    def observed(self, request: pytest.FixtureRequest) -> Observed:
        """Give a new session in which nothing is logged."""
        return self.make_observed(request)

    def make_observed(self, request: pytest.FixtureRequest) -> Observed:
        """Return a new session; fixtures are had by `request.getfixturevalue`."""
        raise NotImplementedError

    def log(self, observed: Observed, ts: float, values: Mapping[str, float]) -> None:
        """Log values at a time of the suite's choice."""
        raise NotImplementedError

    def test_a_new_session_shows_nothing_and_runs(self, observed: Observed) -> None:
        """Be empty without an error."""
        assert isinstance(observed, Observed)
        assert observed.logged_variables() == set()
        assert observed.logged_last_values() == {}
        assert observed.name
        assert observed.state() in ("running", "stopping", "ended")
        assert isinstance(observed.parameters(), dict)
        assert isinstance(observed.units(), dict)
        assert observed.alarms() == {}
        assert all(path.is_dir() for path in observed.stores().values())

    def test_an_unknown_variable_has_no_data(self, observed: Observed) -> None:
        """Return empty arrays instead of an error."""
        ts, values = observed.logged_piece("nobody", 0, 10)
        assert len(ts) == len(values) == observed.logged_count("nobody") == observed.place_from("nobody", 0.0) == 0

    def test_entries_have_places_in_the_order_in_which_they_were_logged(self, observed: Observed) -> None:
        """Include the entry at `ts`, every one of a time that several share, and all after a clock was set back."""
        for ts, value in ((1000.0, 1.0), (1001.0, 2.0), (1001.0, 3.0), (1002.5, 4.0), (900.0, 5.0)):
            self.log(observed, ts, {"a": value})
        assert observed.logged_count("a") == 5
        ts, values = observed.logged_piece("a", observed.place_from("a", 1001.0), 4)
        assert (list(ts), list(values)) == ([1001.0, 1001.0, 1002.5], [2.0, 3.0, 4.0])
        assert list(observed.logged_piece("a", 4, 99)[0]) == [900.0]
        assert [observed.place_from("a", ts) for ts in (0.0, 1002.0, 1002.6)] == [0, 3, 5]
        assert observed.logged_last_values() == {"a": (900.0, 5.0)}

    def test_nan_and_infinities_are_values(self, observed: Observed) -> None:
        """Show what was logged, whatever it is."""
        for ts, value in ((1000.0, math.nan), (1001.0, math.inf), (1002.0, -math.inf)):
            self.log(observed, ts, {"a": value, "late" if ts > 1000 else "b": 0.0})
        np.testing.assert_array_equal(observed.logged_piece("a", 0, 3)[1], np.array([np.nan, np.inf, -np.inf]))
        assert observed.logged_variables() == {"a", "b", "late"}
        assert observed.logged_last_values()["late"] == (1002.0, 0.0)
