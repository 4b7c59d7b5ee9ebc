"""What is locked: physical channels of physical instruments, whatever a pin map calls them."""

from collections.abc import Iterable
from typing import NamedTuple


class Place(NamedTuple):
    """One channel of one instrument; the whole instrument where `channel` is empty.

    Names are compared without regard to case, as VISA and vendors' configuration programs do; make one with `place`.
    """

    instrument: str
    channel: str = ""


def place(instrument: str, channel: str = "") -> Place:
    """Return the place of these names."""
    return Place(instrument.casefold(), channel.casefold())


def meet(some: Iterable[Place], others: frozenset[Place]) -> bool:
    """Tell whether any of `some` is one of `others`, or contains or is a part of one.

    >>> meet([place("SMU1")], frozenset({place("smu1", "0")}))
    True
    >>> meet([place("SMU1", "1")], frozenset({place("SMU1", "0")}))
    False
    """
    whole = {each.instrument for each in others if not each.channel}
    parts = {each.instrument for each in others}
    return any(
        each in others or each.instrument in whole or (not each.channel and each.instrument in parts) for each in some
    )
