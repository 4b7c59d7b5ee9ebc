"""Which of the sessions on one instrument may use it: VISA's locks.

A session with the exclusive lock is alone. Sessions with the shared lock, which one key gives them, share the
instrument among themselves. Locks are counted, and who shares one may take the exclusive one on top of it.

Source: VPP-4.3, section 3.6.
"""

import itertools
from typing import Literal, final

LockState = Literal["none", "exclusive", "shared"]

_KEYS = itertools.count(1)


@final
class Locks:
    """The locks on one instrument; a session is any object."""

    def __init__(self) -> None:
        self._alone: object | None = None
        self._depth = 0
        self._sharers: dict[object, int] = {}
        self._key = ""

    @property
    def state(self) -> LockState:
        """What the instrument is locked with."""
        if self._alone is not None:
            return "exclusive"
        return "shared" if self._sharers else "none"

    def allows(self, session: object) -> bool:
        """Return whether `session` may use the instrument."""
        if self._alone is not None:
            return self._alone is session
        return not self._sharers or session in self._sharers

    def take_exclusive(self, session: object) -> bool:
        """Lock for `session` alone, once more if it is already; return whether that could be."""
        if not self.allows(session):
            return False
        self._alone = session
        self._depth += 1
        return True

    def take_shared(self, session: object, key: str | None) -> str | None:
        """Lock for `session` and others that know the key, which is made up if it is None.

        Return the key, or None when that cannot be: the instrument is locked with another key, or for somebody alone.
        """
        if self._alone not in (None, session):
            return None
        if not self._sharers:
            self._key = key or f"labnb-{next(_KEYS)}"
        elif key != self._key and not (key is None and session in self._sharers):
            return None
        self._sharers[session] = self._sharers.get(session, 0) + 1
        return self._key

    def release(self, session: object) -> LockState | None:
        """Undo the last lock of `session`; return what it still has, or None if it had none at all."""
        if self._alone is session:
            self._depth -= 1
            if self._depth == 0:
                self._alone = None
        elif session in self._sharers:
            self._sharers[session] -= 1
            if self._sharers[session] == 0:
                del self._sharers[session]
        else:
            return None
        return self._held_by(session)

    def _held_by(self, session: object) -> LockState:
        if self._alone is session:
            return "exclusive"
        return "shared" if session in self._sharers else "none"

    def drop(self, session: object) -> None:
        """Undo all locks of `session`."""
        if self._alone is session:
            self._alone, self._depth = None, 0
        self._sharers.pop(session, None)
