"""How limits hold for commands that people write themselves, where the driver cannot tell what a command amounts to.

The highest voltage of a wave is made of offset, amplitude, load and function; what a load draws, of its mode and four
levels. So while there are limits, whatever may move these is refused by hand; the driver's methods do it.
"""

import re
from collections.abc import Iterator
from typing import ClassVar

from labnb.core import LimitError
from labnb.instruments.action import Action
from labnb.instruments.instrument import Instrument

_MNEMONIC = re.compile(r"[A-Z]+")
_OFF = re.compile(r"\S+\s+(?:OFF|0)\s*", re.IGNORECASE)


class LimitedByHand(Instrument):
    """An instrument that, while it has limits, refuses raw commands with one of the words `reaching` in their header.

    Questions pass, but for `reaching_questions`; so does whatever switches off.
    """

    reaching: ClassVar[tuple[str, ...]] = ()
    reaching_questions: ClassVar[tuple[str, ...]] = ()

    def write(self, command: str) -> Action[None]:
        """Send a command of your own. Raises LimitError if it may reach what has a limit."""
        self._refuse_blind(command)
        return super().write(command)

    def query(self, command: str) -> Action[str]:
        """Send a query of your own; return its answer. Raises LimitError if it may reach what has a limit."""
        self._refuse_blind(command)
        return super().query(command)

    def _refuse_blind(self, message: str) -> None:
        if not self.safety and not self.interlocks:
            return
        for unit, header in _units(message):
            words = self.reaching_questions if header.endswith("?") else self.reaching
            if not _OFF.fullmatch(unit) and any(word.startswith(words) for word in _MNEMONIC.findall(header) if words):
                raise LimitError(
                    f"{self.name}: limits cannot see into {unit!r}; use the methods of {type(self).__name__}; nothing was sent"
                )


def _units(message: str) -> Iterator[tuple[str, str]]:
    """Yield each unit of a message and its full header: without a colon it goes on where the last one ended."""
    path = ""
    for unit in filter(None, (each.strip() for each in re.split(r"[;\n]", message))):
        header = unit.split()[0].upper()
        full = header if header.startswith((":", "*")) else path + header
        if not header.startswith("*"):
            path = full[: full.rfind(":") + 1]
        yield unit, full
