"""Which instruments a piece of work has used, however it got hold of them.

A run watches its body: whatever instrument the body, its tasks or its threads have told to do something is made safe
at the end, also one that was connected half-way or is buried in an object.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labnb.instruments.instrument import Instrument

_watch: "ContextVar[dict[Instrument, None] | None]" = ContextVar("labnb_touched", default=None)


@contextmanager
def touching(found: "dict[Instrument, None]") -> Generator[None]:
    """Add to `found` every instrument that is used inside, in the order of first use; context variables carry it on."""
    token = _watch.set(found)
    try:
        yield
    finally:
        _watch.reset(token)


def touch(instrument: "Instrument") -> None:
    """Take note that `instrument` is told to do something."""
    found = _watch.get()
    if found is not None:
        found[instrument] = None
