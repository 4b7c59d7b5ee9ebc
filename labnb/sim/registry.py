"""Which benches can be opened by name, as in `pyvisa.ResourceManager("demo@labnb")`, or by the path of their file.

A file is one bench, however its path is written, as long as it says the same: saving it unchanged changes nothing.
When it says something else, or a class that it names has been made anew (a notebook's cell has run again), the next
opening reads it anew; but as long as an instrument of the bench before is open, that is refused, because half of a
program would go on with the old bench and half with the new.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from labnb.core import LinkError, WorkClock, nearest, present_clock
from labnb.sim.bench import Bench
from labnb.sim.bench_file import OpenFile
from labnb.sim.demo import demo_bench
from labnb.sim.dots import dots_bench

DEFAULT = "demo"

_lock = threading.RLock()
_benches: dict[str, Bench | Callable[[], Bench]] = {
    DEFAULT: demo_bench,
    "dots": dots_bench,
    "fast": lambda: demo_bench(clock="skip"),
}
_made: dict[tuple[WorkClock, str], Bench] = {}  # by factories: another one for each virtual loop, its own time
_files: dict[tuple[WorkClock, str], OpenFile] = {}


def register(name: str, bench: Bench | Callable[[], Bench]) -> None:
    """Let `name@labnb` open `bench`; a factory is called once, when the name is first opened.

    Each virtual loop has its own benches, so there the factory is called once more. Whoever had opened
    this name before keeps the instruments that are open, and finds the new bench with the next.
    """
    if not name or "@" in name or name == "unset":  # PyVISA takes these for something else
        raise ValueError(f"{name!r} cannot name a bench: it must not be empty, 'unset', or contain '@'")
    with _lock:
        _benches[name] = bench
        for key in [key for key in _made if key[1] == name]:
            del _made[key]


def find_bench(name: str | os.PathLike[str]) -> Bench:
    """Return the bench that is registered as `name`, or whose YAML file has this path; the same one each time.

    Raises LinkError for a name that there is not, and for a file that has changed while its instruments are open;
    BenchFileError for what is wrong in a file.
    """
    with _lock:
        key = full_name(os.fspath(name))
        bench = _benches.get(key)
        if bench is None:
            return _of_file(key)
        if isinstance(bench, Bench):
            return bench
        place = (present_clock(), key)
        if place not in _made:
            _made[place] = bench()
        return _made[place]


def forget_benches(clock: WorkClock) -> None:
    """Let go of the benches that factories have made, and files described, under `clock`."""
    with _lock:
        for benches in (_made, _files):
            for place in [place for place in benches if place[0] is clock]:
                del benches[place]


def full_name(name: str) -> str:
    """Return `name` if a bench is registered as such, and the full path if it is one of a file. Raises LinkError."""
    with _lock:
        if name in _benches:
            return name
        if _is_path(name):
            return str(Path(name).expanduser().resolve())
        raise LinkError(
            f"no simulated bench is called {name!r}; {nearest(name, sorted(_benches))}; open a file by its path (my_bench.yaml), or make "
            "your bench known with labnb.sim.register(name, bench)"
        )


def _is_path(name: str) -> bool:
    return Path(name).suffix.lower() in (".yaml", ".yml") or "/" in name or os.sep in name


def _of_file(path: str) -> Bench:
    place = (present_clock(), path)
    known = _files.get(place)
    if known is not None and known.is_current():
        return known.bench
    if known is not None and known.in_use():
        raise LinkError(
            f"{path}, or a class that it names, has changed, while instruments of the bench before are open: "
            f"{', '.join(known.in_use())}; close them (or the resource manager), then open it again"
        )
    opened = _files[place] = OpenFile.read(Path(path))
    return opened.bench


def bench_names() -> tuple[str, ...]:
    """Return the names that can be opened."""
    with _lock:
        return tuple(sorted(_benches))
