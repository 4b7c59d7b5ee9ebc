"""Benches that no other test shares, and PyVISA sessions on them."""

import itertools

import pytest
import pyvisa

from labnb.sim import Bench, demo_bench, register

_NAMES = itertools.count()


@pytest.fixture
def bench() -> Bench:
    return demo_bench(clock="skip", seed=7)


@pytest.fixture
def visa():
    """Open a bench by PyVISA: `visa(bench)` returns its resource manager."""
    managers = []

    def open_bench(bench: Bench) -> pyvisa.ResourceManager:
        name = f"test{next(_NAMES)}"
        register(name, bench)
        managers.append(pyvisa.ResourceManager(f"{name}@labnb"))
        return managers[-1]

    yield open_bench
    for manager in managers:
        manager.close()


@pytest.fixture
def ask(bench):
    """Send a message to an instrument of the bench without PyVISA; return the answer, or None without one."""

    def exchange(name: str, message: str) -> str | None:
        port = bench.port(name)
        port.send(message.encode("latin-1") + b"\n", end=True, timeout_s=2.0)
        if "?" not in message:
            return None
        data, _ = port.receive(1_000_000, timeout_s=1000.0, termination=None)
        return data.decode("latin-1").removesuffix("\n")

    return exchange
