"""Who shows runs: the notebook registers itself here, so that this room need not know it."""

from collections.abc import Callable
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
