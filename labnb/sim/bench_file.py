"""How a YAML file becomes a simulated bench; the files that come with labnb are there to be copied and changed."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from labnb.core import BenchFileError, unknown
from labnb.sim.bench import Bench
from labnb.sim.catalogue import find_instrument, find_part
from labnb.sim.clock import ClockKind

if TYPE_CHECKING:
    from labnb.sim.yaml_bench import Built

_FOLDER = Path(__file__).parent / "benches"


def bench_file(name: str = "demo") -> Path:
    """Return where the YAML file of a bench that comes with labnb is ("demo", "dots"), to be copied and changed.

    Raises BenchFileError for a name that there is not.
    """
    path = _FOLDER / f"{name}.yaml"
    names = sorted(each.stem for each in _FOLDER.glob("*.yaml"))
    if name not in names:
        raise BenchFileError(f"{unknown(name, names, 'bench file')}; open your own by its path")
    return path


def load_bench(path: str | os.PathLike[str], clock: ClockKind | None = None, seed: int | None = None) -> Bench:
    """Return a new bench as the YAML file at `path` describes it; `clock` and `seed` override what it says.

    Raises BenchFileError with everything that is wrong with it, each mistake with its line.
    """
    return _built(Path(path), clock, seed).bench


def _built(path: Path, clock: ClockKind | None, seed: int | None) -> "Built":
    from labnb.sim.yaml_bench import BenchSchema, build, read_document, validate  # pydantic and PyYAML, when needed

    document = read_document(path)
    return build(document, validate(document, BenchSchema), path.absolute().parent, clock=clock, seed=seed)


@final
@dataclass(frozen=True, slots=True)
class OpenFile:
    """A bench that was made from a file, and what it was made of."""

    path: Path
    content: bytes
    built: "Built"

    @classmethod
    def read(cls, path: Path) -> "OpenFile":
        """Make the bench that is described at `path` now. Raises BenchFileError."""
        content = _content(path)
        return cls(path, content, _built(path, None, None))

    @property
    def bench(self) -> Bench:
        """The bench itself."""
        return self.built.bench

    def is_current(self) -> bool:
        """Return whether reading the file again would give the same bench: same bytes, same classes."""
        folder = self.path.parent
        return _content(self.path) == self.content and all(
            _same(find, classes, folder)
            for find, classes in ((find_instrument, self.built.instruments), (find_part, self.built.parts))
        )

    def in_use(self) -> tuple[str, ...]:
        """Return the names of the instruments that somebody has opened through PyVISA and not closed."""
        return tuple(port.instrument.name for port in self.bench.ports if port.sessions)


def _same(find: Callable[[str, Path], type], classes: Mapping[str, type], folder: Path) -> bool:
    try:
        return all(find(word, folder) is made for word, made in classes.items())
    except ValueError:
        return False


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchFileError(f"{path} cannot be read: {error.strerror}", str(path)) from error
