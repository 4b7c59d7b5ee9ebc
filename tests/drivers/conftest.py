"""Benches for other people's drivers, each with one instrument and what it is connected to."""

import itertools
from collections.abc import Callable

import pytest

from labnb.sim import Bench, Instrument, register

_NAMES = itertools.count()


@pytest.fixture
def stand() -> Callable[[Callable[[Bench], Instrument]], tuple[Bench, str]]:
    """Put an instrument on a bench of its own: `stand(make)` returns the bench and `name@labnb`."""

    def put(make: Callable[[Bench], Instrument]) -> tuple[Bench, str]:
        bench = Bench(clock="skip", seed=3)
        make(bench)
        name = f"test-drivers{next(_NAMES)}"
        register(name, bench)
        return bench, f"{name}@labnb"

    return put


@pytest.fixture
def no_errors() -> Callable[[Bench], None]:
    """Check that no instrument of a bench has an error in its queue: a driver has sent nothing that it refuses."""

    def check(bench: Bench) -> None:
        for port in bench.ports:
            waiting = [port.instrument.status.next_error() for _ in range(port.instrument.status.error_count())]
            assert waiting == [], f"{port.instrument.name} has refused: {waiting}"

    return check
