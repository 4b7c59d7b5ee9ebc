"""Who draws stored runs: the notebook registers itself here, so that this room need not know it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from labnb.core import LabnbError

if TYPE_CHECKING:
    from labnb.record.stored import StoredRun

_explorers: "list[Callable[[StoredRun, Sequence[StoredRun], Sequence[str] | None], object]]" = []


def register_explorer(
    explore: "Callable[[StoredRun, Sequence[StoredRun], Sequence[str] | None], object] | None",
) -> None:
    """Let `explore` show a run, with others over it; None: nobody can."""
    _explorers[:] = [] if explore is None else [explore]


def explore(run: "StoredRun", others: "Sequence[StoredRun]", plot: Sequence[str] | None) -> object:
    """Show a run with others over it. Raises LabnbError outside of a notebook."""
    if not _explorers:
        raise LabnbError(
            f"run {run.run_id}: explore() draws in a notebook whose kernel has labnb; run `%load_ext labnb` there, or draw "
            "with .data.labnb.plot()"
        )
    return _explorers[0](run, others, plot)
