"""Multimeters of the Keysight 34470A family."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from labnb.core import LimitError, present_clock, unknown
from labnb.instruments.action import Action
from labnb.instruments.drivers.halting import HaltingInstrument
from labnb.instruments.limits import Bounds
from labnb.instruments.reading import Reading, to_numbers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Of each model the shortest integration in line cycles, and the largest ranges of current in A and resistance in Ohm.
_RATINGS = {
    "34470A": (0.001, 10.0, 1e9), "34465A": (0.001, 10.0, 1e9), "34461A": (0.02, 10.0, 1e8),
    "34460A": (0.02, 3.0, 1e8), "34411A": (0.001, 3.0, 1e9), "34410A": (0.006, 3.0, 1e9), "34401A": (0.02, 3.0, 1e8),
}  # fmt: skip
_PROBES = {"thermistor": "FTH,5000", "rtd": "RTD,100", "rtd 4w": "FRTD,100", "type K": "TC,K", "type J": "TC,J"}
_SLOWEST_LINE_HZ = 50.0
_PIECE_S = 1.0  # a burst is read in pieces, so that each answer comes long before the link's timeout
_MEMORY = 50_000


@dataclass(frozen=True, slots=True)
class _Kind:
    """What is configured: SCPI's function with its arguments, and its settings; `reading_s` is what one takes."""

    name: str
    unit: str
    configure: str
    settings: tuple[str, ...] = ()
    reading_s: float = _PIECE_S


class Multimeter(HaltingInstrument):
    """A multimeter: each method takes one reading, or with `samples` a burst of them as an array.

    `range` is the largest value expected (None: autorange); `nplc` the integration time in power line cycles: longer
    is quieter. An overload reads as an infinity, never as a number that looks measured. A burst follows as fast as
    the meter goes; one that is longer than a second is taken in pieces of a second, with gaps of some ms.
    """

    models = tuple(_RATINGS)
    main_reading = "measure_voltage_dc"

    _configured: _Kind | None = None
    _samples = 1

    def measure_voltage_dc(self, range: float | None = None, nplc: float = 1.0, samples: int = 1) -> Action[Reading]:  # noqa: A002  the word on the instrument
        """Measure a DC voltage, in V."""
        return self._integrate("voltage_dc", "VOLT:DC", "V", 1000.0, range, nplc, samples)

    def measure_current_dc(self, range: float | None = None, nplc: float = 1.0, samples: int = 1) -> Action[Reading]:  # noqa: A002
        """Measure a DC current, in A."""
        return self._integrate("current_dc", "CURR:DC", "A", self._rating[1], range, nplc, samples)

    def measure_resistance(self, range: float | None = None, nplc: float = 1.0, samples: int = 1) -> Action[Reading]:  # noqa: A002
        """Measure a resistance by two wires, in Ohm."""
        return self._integrate("resistance", "RES", "Ohm", self._rating[2], range, nplc, samples)

    def measure_resistance_4w(self, range: float | None = None, nplc: float = 1.0, samples: int = 1) -> Action[Reading]:  # noqa: A002
        """Measure a resistance by four wires, in Ohm."""
        return self._integrate("resistance_4w", "FRES", "Ohm", self._rating[2], range, nplc, samples)

    def measure_voltage_ac(self, range: float | None = None, samples: int = 1) -> Action[Reading]:  # noqa: A002
        """Measure an AC voltage, in V RMS without its mean."""
        return self._measure(_Kind("voltage_ac", "V", f"VOLT:AC{self._expected('V', 750.0, range)}"), samples)

    def measure_current_ac(self, range: float | None = None, samples: int = 1) -> Action[Reading]:  # noqa: A002
        """Measure an AC current, in A RMS without its mean."""
        expected = self._expected("A", self._rating[1], range)
        return self._measure(_Kind("current_ac", "A", f"CURR:AC{expected}"), samples)

    def measure_frequency(self, samples: int = 1) -> Action[Reading]:
        """Measure the frequency at the voltage input, in Hz."""
        return self._measure(_Kind("frequency", "Hz", "FREQ"), samples)

    def measure_period(self, samples: int = 1) -> Action[Reading]:
        """Measure the period at the voltage input, in s."""
        return self._measure(_Kind("period", "s", "PER"), samples)

    def measure_diode(self, samples: int = 1) -> Action[Reading]:
        """Measure the forward voltage of a diode at the meter's test current, in V."""
        return self._measure(_Kind("diode", "V", "DIOD"), samples)

    def measure_capacitance(self, range: float | None = None, samples: int = 1) -> Action[Reading]:  # noqa: A002
        """Measure a capacitance, in F. Raises CommandError with a model that cannot."""
        return self._measure(_Kind("capacitance", "F", f"CAP{self._expected('F', 1e-4, range)}"), samples)

    def measure_temperature(self, probe: str = "thermistor", samples: int = 1) -> Action[Reading]:
        """Measure a temperature, in degC, by "thermistor" (5 kOhm), "rtd", "rtd 4w" (100 Ohm), "type K" or "type J"."""
        if probe not in _PROBES:
            raise LimitError(f"{self.name}: {unknown(probe, tuple(_PROBES), 'probe')}; nothing was sent")
        kind = _Kind("temperature", "degC", f"TEMP {_PROBES[probe]}", ("UNIT:TEMP C",))
        return self._measure(kind, samples)

    def forget(self) -> None:
        """Configure anew before the next reading."""
        super().forget()
        self._configured = None

    @property
    def _rating(self) -> tuple[float, float, float]:
        return _RATINGS[self.identity.model]

    def _expected(self, unit: str, largest: float, limit: float | None) -> str:
        if limit is None:
            return ""
        return f" {Bounds(0.0, largest, unit, 'range').check(limit, f'{self.name} range'):.9g}"

    def _integrate(
        self, name: str, function: str, unit: str, largest: float, limit: float | None, nplc: float, samples: int
    ) -> Action[Reading]:
        nplc = Bounds(self._rating[0], 100.0, kind="range").check(nplc, f"{self.name} nplc")
        configure = f"{function}{self._expected(unit, largest, limit)}"
        reading_s = 2 * nplc / _SLOWEST_LINE_HZ  # each is followed by one of zero
        return self._measure(_Kind(name, unit, configure, (f"{function}:NPLC {nplc:g}",), reading_s), samples)

    def _measure(self, kind: _Kind, samples: int) -> Action[Reading]:
        count = Bounds(1, 1_000_000, kind="range").check(samples, f"{self.name} samples")
        if count != int(count):
            raise LimitError(f"{self.name} samples must be a whole number, got {samples!r}; nothing was sent")
        return self.act(self._read, kind) if count == 1 else self.act(self._burst, kind, int(count))

    def _read(self, kind: _Kind) -> Reading:
        value = self._piece(kind, 1)[0]
        self.known[kind.name] = (value, kind.unit)
        return Reading(value, kind.unit, present_clock().time_ns() / 1e9)

    def _burst(self, kind: _Kind, samples: int) -> Reading:
        return Reading(self._pieces(kind, samples), kind.unit, present_clock().time_ns() / 1e9)

    def _pieces(self, kind: _Kind, samples: int) -> "NDArray[np.float64]":
        import numpy as np

        values: list[float] = []
        piece = min(max(int(_PIECE_S / kind.reading_s), 1), _MEMORY)
        while len(values) < samples:
            self.pause(0.0)
            values += self._piece(kind, min(piece, samples - len(values)))
        return np.array(values)

    def _piece(self, kind: _Kind, samples: int) -> list[float]:
        if kind != self._configured:
            self._configured, self._samples = None, 1  # CONFigure goes back to one sample
            self.send(f"CONF:{kind.configure}", *kind.settings)
            self._configured = kind
        if samples != self._samples:
            self._samples = 0  # unknown, should the command fail
            self.send(f"SAMP:COUN {samples}")
            self._samples = samples
        # Should it have been switched off and on, the link says so, and `forget` is called.
        return to_numbers(self.ask("READ?"), samples, f"{self.name} ({self.address}): 'READ?'")
