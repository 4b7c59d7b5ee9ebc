"""One thing that a driver's methods set or measure, by itself: what a sweep sets and a panel shows.

`psu.channel(1).set(voltage=1.0, current_limit=0.1)` sets two things; `psu.channel(1).voltage` is one of them, with the
same checks, and can be swept, read and limited like a declared quantity.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, final

from labnb.core import InstrumentError
from labnb.instruments.action import Action
from labnb.instruments.lane import Lane
from labnb.instruments.limits import Bounds, to_number
from labnb.instruments.validators import Bool

if TYPE_CHECKING:
    from labnb.instruments.instrument import Instrument

# What a facet holds is its driver's business: Any.
Read = Callable[[], Action[Any]]
Write = Callable[[Any], Action[Any]]

_SWITCH = Bool()


@final
class Facet:
    """One thing of one instrument that can be read or set, or both; `labnb.channel` takes it.

    `name` is what limits call it ("channel 1 voltage"); `switch`: it is on or off.
    """

    def __init__(
        self,
        instrument: "Instrument",
        name: str,
        unit: str = "",
        *,
        read: Read | None = None,
        write: Write | None = None,
        switch: bool = False,
        doc: str = "",
    ) -> None:
        self.name, self.unit, self.switch, self.__doc__ = name, unit, switch, doc
        self._instrument, self._read, self._write = instrument, read, write

    @property
    def owner(self) -> Lane:
        """The lane of its connection."""
        return self._instrument.lane

    @property
    def readable(self) -> bool:
        """Whether it can be asked."""
        return self._read is not None

    @property
    def writable(self) -> bool:
        """Whether it can be set."""
        return self._write is not None

    @property
    def bounds(self) -> Bounds | None:
        """Its safety limit."""
        return self._instrument.safety.get(self.name)

    @property
    def range(self) -> Bounds | None:
        """What the instrument can be set to; None if the driver does not say."""
        return None if self.switch else self._instrument.range_of(self.name)

    @property
    def expected(self) -> str:
        """What it takes: `a number from 0 to 10`."""
        if self.switch:
            return _SWITCH.expected
        whole = self.range
        return "a number" if whole is None else f"a number from {whole.low:g} to {whole.high:g}"

    def get(self) -> Action[Any]:
        """Ask for it, in `unit`. Raises InstrumentError if it can only be set."""
        if self._read is None:
            raise InstrumentError(f"{self} can only be set")
        return self._read()

    def set(self, value: Any) -> Action[Any]:
        """Set it, in `unit`. Raises LimitError before anything is sent, InstrumentError if it can only be read."""
        if self._write is None:
            raise InstrumentError(f"{self} can only be read")
        return self._write(self.check(value))

    def check(self, value: object) -> Any:
        """Return `value` if it may be set now. Raises LimitError if not; nothing is sent."""
        if self.switch:
            wanted = _SWITCH.check(value, str(self))
            if wanted:
                self._instrument.unlocked(self.name, True, str(self))
            return wanted
        number = to_number(value, str(self), self.unit)
        self._instrument.permit(self.name, number, str(self))
        return (self.range or Bounds(-math.inf, math.inf)).check(number, str(self))

    def __str__(self) -> str:
        return f"{self._instrument.name} {self.name}"

    def __repr__(self) -> str:
        ways = "read and set" if self.readable and self.writable else "read only" if self.readable else "set only"
        return f"<{self}{f' ({self.unit})' if self.unit else ''}: {ways}>"
