"""How a class of instruments declares what it understands.

A command is a plain method, or a generator when it takes time: what it yields is the bench time at which it goes on,
or None to wait for an event. What a command returns is its answer.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Any, TypeVar

from labnb.sim.scpi import Call
from labnb.sim.settings import Setting, spellings

Answer = str | bytes | None
Operation = Generator[float | None, None, Answer]
Execute = Callable[[Any, Call], Answer | Operation]  # Any: each command takes its own class of instrument
_E = TypeVar("_E", bound=Execute)


def command(*headers: str, each: Iterable[str] = ()) -> Callable[[_E], _E]:
    """Let a method execute `headers`; those that end in `?` answer. `each` are spellings of a `{}` in them."""

    def declare(method: _E) -> _E:
        method.__dict__["scpi"] = (headers, tuple(each))
        return method

    return declare


def declared(cls: type) -> list[tuple[str, tuple[Execute, str]]]:
    """Return every header of `cls` and its bases with what executes it; a subclass's come last and win."""
    entries: list[tuple[str, tuple[Execute, str]]] = []
    for owner in reversed(cls.__mro__):
        for member in vars(owner).values():
            entries += _entries(member)
    return entries


def _entries(member: object) -> list[tuple[str, tuple[Execute, str]]]:
    if isinstance(member, Setting):
        pairs = [pair for header in member.headers for pair in spellings(header, member.patterns)]
        return [
            entry
            for header, key in pairs
            for entry in ((header, (member.command, str(key))), (header + "?", (member.query, str(key))))
        ]
    headers, each = getattr(member, "scpi", ((), ()))
    return [(header, (member, str(key))) for pattern in headers for header, key in spellings(pattern, each)]  # type: ignore[misc]
