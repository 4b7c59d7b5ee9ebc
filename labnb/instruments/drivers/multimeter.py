"""Multimeters of the Keysight 34470A family."""

import math
import time

from labnb.instruments.action import Action
from labnb.instruments.instrument import Instrument
from labnb.instruments.limits import Bounds
from labnb.instruments.reading import Reading

_OVERLOAD = 9.9e37  # SCPI's "more than the range can show" (volume 2, 7.2.1)
_NPLC = Bounds(0.001, 100.0, kind="range")


class Multimeter(Instrument):
    """A multimeter: each method takes one reading.

    `range` is the largest value expected (None: autorange); `nplc` the integration time in power line cycles: longer
    is quieter. An overload reads as an infinity, never as a number that looks measured.
    """

    models = ("34470A", "34465A", "34461A", "34460A", "34410A", "34411A")

    _configured: tuple[str, float | None, float] | None = None

    def measure_voltage_dc(self, range: float | None = None, nplc: float = 1.0) -> Action[Reading]:  # noqa: A002  the word on the instrument
        """Measure a DC voltage, in V."""
        return self._measure("VOLT:DC", "V", range, nplc)

    def measure_current_dc(self, range: float | None = None, nplc: float = 1.0) -> Action[Reading]:  # noqa: A002
        """Measure a DC current, in A."""
        return self._measure("CURR:DC", "A", range, nplc)

    def measure_resistance(self, range: float | None = None, nplc: float = 1.0) -> Action[Reading]:  # noqa: A002
        """Measure a resistance by two wires, in Ohm."""
        return self._measure("RES", "Ohm", range, nplc)

    def measure_resistance_4w(self, range: float | None = None, nplc: float = 1.0) -> Action[Reading]:  # noqa: A002
        """Measure a resistance by four wires, in Ohm."""
        return self._measure("FRES", "Ohm", range, nplc)

    def forget(self) -> None:
        """Configure anew before the next reading."""
        super().forget()
        self._configured = None

    def _measure(self, function: str, unit: str, limit: float | None, nplc: float) -> Action[Reading]:
        nplc = _NPLC.check(nplc, f"{self.name} nplc")
        if limit is not None:
            limit = Bounds(0.0, math.inf, unit, "range").check(limit, f"{self.name} range")
        return self.act(self._read, (function, limit, nplc), unit)

    def _read(self, wanted: tuple[str, float | None, float], unit: str) -> Reading:
        if wanted != self._configured:
            self._configure(*wanted)
        value = self.ask_number(
            "READ?"
        )  # should it have been switched off and on, the link says so, and `forget` is called
        if abs(value) >= _OVERLOAD:
            value = math.copysign(math.inf, value)
        self.known[f"last {unit}"] = (value, unit)
        return Reading(value, unit, time.time())

    def _configure(self, function: str, limit: float | None, nplc: float) -> None:
        self._configured = None
        expected = "" if limit is None else f" {limit:.9g}"
        self.send(f"CONF:{function}{expected}", f"{function}:NPLC {nplc:g}")
        self._configured = (function, limit, nplc)
