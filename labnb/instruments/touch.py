"""Which instruments a piece of work has used, however it got hold of them.

A run watches its body: whatever instrument the body, its tasks or its threads have told to do something is made safe
at the end, also one that was connected half-way or is buried in an object.
"""

from collections.abc import Generator, Hashable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, final

from labnb.core import InstrumentError
from labnb.instruments.action import Action


class Touched(Protocol):
    """What a run makes safe: an instrument of labnb's, or a foreign channel that has a safe value."""

    @property
    def name(self) -> str:
        """What it is called in errors."""
        ...

    @property
    def owner(self) -> Hashable:
        """What tells its connection from others: no two runs use one; None if it has none."""
        ...

    def make_safe(self) -> Action[None]:
        """Bring it into its safe state, behind what is queued."""
        ...

    def make_safe_now(self, timeout_s: float = 5.0) -> None:
        """Do the same and block for it. Raises LinkTimeout."""
        ...


@final
class Watch:
    """The instruments that one piece of work has `used`, in the order of first use."""

    def __init__(self, used: dict[Touched, None]) -> None:
        self.used = used
        self._over = False

    def end(self) -> None:
        """Refuse the work, which should have ended, all instruments from now on."""
        self._over = True

    def note(self, instrument: Touched) -> None:
        """Take note of `instrument`. Raises InstrumentError after `end`."""
        if self._over:
            raise InstrumentError(f"{instrument.name}: the run that this task belongs to has ended; nothing was sent")
        self.used[instrument] = None


_watch: ContextVar[Watch | None] = ContextVar("labnb_touched", default=None)


@contextmanager
def watching(used: dict[Touched, None]) -> Generator[Watch]:
    """Add to `used` every instrument that is used inside; context variables carry it on to tasks and threads."""
    watch = Watch(used)
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


def touch(instrument: Touched) -> None:
    """Take note that `instrument` is told to do something."""
    watch = _watch.get()
    if watch is not None:
        watch.note(instrument)
