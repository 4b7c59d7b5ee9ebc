"""Who shows runs, and who knows cells: the notebook registers itself here, so that this room need not know it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labnb.session.job import View
    from labnb.session.run import Run

_makers: "list[Callable[[Run], View | None]]" = []


def register_view(make: "Callable[[Run], View | None]") -> None:
    """Let `make` give each new run of a session its view, or None. The latest one registered is asked."""
    if make not in _makers:
        _makers.append(make)


def forget_view(make: "Callable[[Run], View | None]") -> None:
    """Undo `register_view`."""
    if make in _makers:
        _makers.remove(make)


def make_view(run: "Run") -> "View | None":
    """Return the view of `run`, or None where nobody looks."""
    return _makers[-1](run) if _makers else None


_resumers: "list[Callable[[Path], Awaitable[Run]]]" = []


def register_cells(resume: "Callable[[Path], Awaitable[Run]] | None") -> None:
    """Let `resume` go on with runs that a cell began; None: nobody can."""
    _resumers[:] = [] if resume is None else [resume]


def resume_cell(path: Path) -> "Awaitable[Run] | None":
    """Go on with the run in `path` by the cell that began it; None where there are no cells."""
    return _resumers[0](path) if _resumers else None
