import uuid
from collections.abc import Iterator

import pytest

from labnb.instruments import DemoBench, demo
from labnb.sim import Bench, demo_bench, register


@pytest.fixture
def bench_name() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def bench(bench_name: str) -> Bench:
    """A simulated bench of its own, without waiting."""
    made = demo_bench(clock="skip")
    register(bench_name, made)
    return made


@pytest.fixture
def lab(bench: Bench, bench_name: str) -> Iterator[DemoBench]:
    """The instruments of `bench`, connected through PyVISA."""
    opened = demo(bench_name)
    yield opened
    opened.close()
