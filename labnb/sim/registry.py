"""Which benches can be opened by name, as in `pyvisa.ResourceManager("demo@labnb")`."""

import threading
from collections.abc import Callable

from labnb.core import LinkError
from labnb.sim.bench import Bench
from labnb.sim.demo import demo_bench
from labnb.sim.dots import dots_bench

DEFAULT = "demo"

_lock = threading.RLock()
_benches: dict[str, Bench | Callable[[], Bench]] = {
    DEFAULT: demo_bench,
    "dots": dots_bench,
    "fast": lambda: demo_bench(clock="skip"),
}


def register(name: str, bench: Bench | Callable[[], Bench]) -> None:
    """Let `name@labnb` open `bench`; a factory is called once, when the name is first opened.

    Whoever had opened this name before keeps the instruments that are open, and finds the new bench with the next.
    """
    if not name or "@" in name or name == "unset":  # PyVISA takes these for something else
        raise ValueError(f"{name!r} cannot name a bench: it must not be empty, 'unset', or contain '@'")
    with _lock:
        _benches[name] = bench


def find_bench(name: str) -> Bench:
    """Return the bench that is registered as `name`, the same one each time. Raises LinkError."""
    with _lock:
        bench = _benches.get(name)
        if bench is None:
            raise LinkError(
                f"no simulated bench is called {name!r}; there are {', '.join(sorted(_benches))}; "
                "make yours known with labnb.sim.register(name, bench)"
            )
        if not isinstance(bench, Bench):
            bench = _benches[name] = bench()
        return bench


def bench_names() -> tuple[str, ...]:
    """Return the names that can be opened."""
    with _lock:
        return tuple(sorted(_benches))
