"""What labnb adds to a foreign channel: limits, a safe value, and the value that it was last seen at.

It belongs to what is set, not to the `Channel` that stands for it: limits that one cell has declared hold in all others.
"""

import threading
import weakref
from collections.abc import Hashable
from typing import Any

from labnb.core import InstrumentError, LimitError
from labnb.instruments.action import Action, done
from labnb.instruments.adapters import Source
from labnb.instruments.connections import key_of
from labnb.instruments.limits import Bounds, Limit, to_bounds

# What a foreign channel is set to is its driver's business: Any.


class Safeguard:
    """Limits and safe value of one source, whatever channels there are of it."""

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self.name = name
        self.bounds: Bounds | None = None
        self.safe: Any = None
        self.known: object = None

    @property
    def owner(self) -> Hashable:
        """What tells its connection from others."""
        return key_of(self._source.owner)

    def check(self, value: Any) -> Any:
        """Return `value` if it may be set. Raises LimitError if a limit, or the driver, forbids it."""
        if self.bounds is not None:
            value = self.bounds.check(value, self.name)
        if self._source.validate is not None:
            try:
                self._source.validate(value)
            except LimitError:
                raise
            except Exception as error:
                raise LimitError(
                    f"{self.name} = {value!r} is refused by its driver: {error}; nothing was sent"
                ) from error
        return value

    def limit(self, limits: Limit, unit: str) -> None:
        """Forbid values outside of `limits` from now on."""
        self.bounds = to_bounds(limits, unit, self.name)
        _keep(self)

    def make_safe(self) -> Action[None]:
        """Set the safe value, if there is one, behind what is under way. Raises LinkError if that fails twice."""
        if self.safe is None or self._source.write is None:
            return done(None)
        return self._source.write.force(self.safe)

    def make_safe_now(self, timeout_s: float = 5.0) -> None:
        """Do the same and block for it, whatever this thread runs. Raises LinkTimeout."""
        if self.safe is not None and self._source.write is not None:
            self._source.write.block(timeout_s, self.safe)

    def keep_safe(self, value: Any) -> None:
        """Set this value at the end of each run that uses the channel, from now on. Raises LimitError if it may not be."""
        if self._source.write is None:
            raise InstrumentError(f"{self.name} can only be read; it has no safe value")
        self.safe = self.check(value)
        _keep(self)

    def __repr__(self) -> str:
        return f"<limits and safe value of {self.name}>"


_lock = threading.Lock()
_safeguards: "weakref.WeakValueDictionary[Hashable, Safeguard]" = weakref.WeakValueDictionary()
_kept: set[Safeguard] = set()  # what a person has declared holds until the end of the process


def safeguard_of(source: Source, name: str) -> Safeguard:
    """Return the one guard of what `source` sets."""
    with _lock:
        safeguard = _safeguards.get(source.key)
        if safeguard is None:
            safeguard = _safeguards[source.key] = Safeguard(source, name)
        return safeguard


def _keep(safeguard: Safeguard) -> None:
    _kept.add(safeguard)
