"""Source-measure units of the Keithley 2400 family."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from labnb.core import InstrumentError, LimitError, LinkError, present_clock
from labnb.instruments.action import Action
from labnb.instruments.drivers.halting import HaltingInstrument
from labnb.instruments.facet import Facet
from labnb.instruments.guard import Setting
from labnb.instruments.limits import Bounds, to_number
from labnb.instruments.parameter import Switch
from labnb.instruments.reading import Reading, to_numbers

if TYPE_CHECKING:
    import xarray as xr

# Volts and amperes that can be had together (data sheets: ranges + 5 %), and the largest voltage of the model.
_RATINGS = {"MODEL 2400": ((21.0, 1.05), (210.0, 0.105)), "MODEL 2401": ((21.0, 1.05),)}
_UNITS = {"voltage": "V", "current": "A"}
_WORDS = {"voltage": "VOLT", "current": "CURR"}
_OTHER = {"voltage": "current", "current": "voltage"}
_IN_COMPLIANCE = 1 << 3


@dataclass(frozen=True, slots=True)
class Measured:
    """Voltage in V and current in A of one source-measure cycle; `in_compliance`: the source was at its limit."""

    voltage: float
    current: float
    in_compliance: bool
    timestamp: float

    @property
    def resistance(self) -> float:
        """Voltage over current, in Ohm; NaN without a current."""
        return self.voltage / self.current if self.current else float("nan")


class SourceMeter(HaltingInstrument):
    """A source of voltage or current, up to a compliance, that measures both.

    ```python
    await smu.source_voltage(0.5, compliance=0.1)      # at most 0.1 A
    await smu.on()
    point = await smu.measure()                        # .voltage .current .in_compliance
    curve = await smu.sweep_voltage(np.linspace(0, 3, 31), compliance=0.1)
    ```
    Limits, `{"voltage": (0, 4), "current": 0.1}`, hold for the level and for the compliance in the direction of the
    level. Its safe state: output off.
    """

    models = tuple(_RATINGS)
    remote_sensing = Switch("SYST:RSEN ON", "SYST:RSEN OFF", "SYST:RSEN?", doc="Sense by four wires")
    safe_state = ("OUTP OFF",)
    limitable: ClassVar[Mapping[str, str]] = _UNITS
    settings = (
        *(Setting(f"SOURce:{word}", quantity, weighed=True) for quantity, word in _WORDS.items()),
        Setting("OUTPut", "output", switch=True),
    )
    unseen = ("SOURce", "PROTection", "OUTPut", "CONFigure", "TRIGger", "INITiate", "MEASure?", "CONFigure?")
    """A 2400 switches its output on to answer MEASure?, and a level means little without the compliance."""

    _cycles: float | None = None

    def range_of(self, name: str) -> Bounds | None:
        """Return what the instrument can be set to, in one direction or the other."""
        most = max((ratings[name == "current"] for ratings in _RATINGS[self.identity.model]), default=0.0)
        return Bounds(-most, most, _UNITS[name], "range") if name in _UNITS else None

    def reached(self, name: str) -> Iterable[float]:
        """Return the level, or the compliance in the direction of the level, that is known."""
        most, unit = self.known.get("compliance", (None, ""))
        if most is None or unit != _UNITS.get(name):
            return super().reached(name)
        return [-most if level < 0 else most for level in super().reached(_OTHER[name])]

    def weigh(self, name: str, value: object) -> None:
        """Raise LimitError if the level, set or to be brought into force, may not be given with the compliance set."""
        if name not in ("output", *_UNITS) or not (self.safety or self.interlocks):
            return
        if name == "output":
            function = self.ask("SOUR:FUNC?")
            name = "current" if function.startswith("CURR") else "voltage"
            value = self.ask_number(f"SOUR:{_WORDS[name]}?")
        self._allow(name, cast(float, value), self._compliance(name))

    def source_voltage(self, volts: float, *, compliance: float | None = None) -> Action[None]:
        """Hold `volts`, with at most `compliance` amperes (None: as set); the output stays on or off as it is.

        Raises LimitError before anything is set.
        """
        return self._source("voltage", volts, compliance)

    def source_current(self, amps: float, *, compliance: float | None = None) -> Action[None]:
        """Hold `amps`, with at most `compliance` volts (None: as set); the output stays on or off as it is.

        Raises LimitError before anything is set.
        """
        return self._source("current", amps, compliance)

    @property
    def voltage(self) -> Facet:
        """The voltage that is sourced, in V: `sweep(smu.voltage, 0, 0.5, 11)`; the compliance stays as it is set."""
        return self._level("voltage", self.source_voltage)

    @property
    def current(self) -> Facet:
        """The current that is sourced, in A."""
        return self._level("current", self.source_current)

    @property
    def output(self) -> Facet:
        """The output, on or off."""
        return self.bound(
            "output",
            lambda: Facet(
                self,
                "output",
                read=self.get_output_state,
                write=lambda on: self.on() if on else self.off(),
                switch=True,
                doc="The output",
            ),
        )

    @property
    def facets(self) -> Mapping[str, Facet]:
        """What it sources, and its output."""
        return {"voltage": self.voltage, "current": self.current, "output": self.output}

    def _level(self, quantity: str, write: Callable[[float], Action[None]]) -> Facet:
        query = f"SOUR:{_WORDS[quantity]}?"
        doc = f"{quantity} that is sourced".capitalize()
        return self.bound(
            f"{quantity} level",
            lambda: Facet(
                self,
                quantity,
                _UNITS[quantity],
                read=lambda: self.act(self.ask_number, query),
                write=write,
                doc=doc,
            ),
        )

    def on(self) -> Action[None]:
        """Switch the output on. If there are limits, what is set in the instrument is checked against them before."""
        self.unlocked("output", True, f"{self.name} output")
        return self.act(self._switch_on)

    def off(self) -> Action[None]:
        """Switch the output off."""
        return self.act(self.send, "OUTP OFF")

    def get_output_state(self) -> Action[bool]:
        """Ask whether the output is on."""
        return self.act(self.ask_bool, "OUTP?")

    def measure(self, nplc: float = 1.0) -> Action[Measured]:
        """Measure voltage and current over `nplc` power line cycles. Raises InstrumentError if the output is off."""
        return self.act(self._measure, self._nplc(nplc))

    def measure_voltage(self, nplc: float = 1.0) -> Action[Reading]:
        """Measure the voltage, in V. Raises InstrumentError if the output is off."""
        return self._reading("voltage", "V", nplc)

    def measure_current(self, nplc: float = 1.0) -> Action[Reading]:
        """Measure the current, in A. Raises InstrumentError if the output is off."""
        return self._reading("current", "A", nplc)

    def measure_resistance(self, nplc: float = 1.0) -> Action[Reading]:
        """Measure voltage over current, in Ohm. Raises InstrumentError if the output is off."""
        return self._reading("resistance", "Ohm", nplc)

    def sweep_voltage(
        self, volts: Iterable[float], *, compliance: float | None = None, nplc: float = 1.0
    ) -> "Action[xr.Dataset]":
        """Hold each of `volts` in turn and measure; return `voltage`, `current`, `in_compliance` over `source`.

        All values are checked before the first is set; the last one stays. Raises InstrumentError if the output is off.
        """
        return self._sweep("voltage", volts, compliance, nplc)

    def sweep_current(
        self, amps: Iterable[float], *, compliance: float | None = None, nplc: float = 1.0
    ) -> "Action[xr.Dataset]":
        """Hold each of `amps` in turn and measure, as `sweep_voltage` does."""
        return self._sweep("current", amps, compliance, nplc)

    def forget(self) -> None:
        """Configure anew before the next measurement."""
        super().forget()
        self._cycles = None

    # ---- checks

    def _nplc(self, nplc: float) -> float:
        return Bounds(0.01, 10.0, kind="range").check(nplc, f"{self.name} nplc")

    def _allow(self, quantity: str, level: float, compliance: float) -> None:
        """Raise LimitError if the instrument or a safety limit forbids the pair."""
        other = _OTHER[quantity]
        along = -compliance if level < 0 else compliance
        for name, value in ((quantity, level), (other, along)):
            what = f"{self.name} {name}" if name == quantity else f"{self.name} compliance, {name}"
            self.permit(name, value, what)
        pair = {quantity: abs(level), other: abs(compliance)}
        ratings = _RATINGS[self.identity.model]
        if not any(pair["voltage"] <= volts and pair["current"] <= amps for volts, amps in ratings):
            known = " or ".join(f"{volts:g} V with {amps:g} A" for volts, amps in ratings)
            raise LimitError(
                f"{self.name}: {pair['voltage']:g} V with {pair['current']:g} A is beyond its range, {known}; "
                "nothing was sent"
            )

    # ---- in the lane

    def _source(self, quantity: str, level: float, compliance: float | None) -> Action[None]:
        value = to_number(level, f"{self.name} {quantity}")
        most = None if compliance is None else self._positive(compliance)
        if most is not None:
            self._allow(quantity, value, most)
        return self.act(self._set, quantity, value, most)

    def _positive(self, compliance: float) -> float:
        return Bounds(1e-9, 210.0, kind="range").check(compliance, f"{self.name} compliance")

    def _compliance(self, quantity: str) -> float:
        return abs(self.ask_number(f"SENS:{_WORDS[_OTHER[quantity]]}:PROT?"))

    def _set(self, quantity: str, level: float, compliance: float | None) -> None:
        other, word = _OTHER[quantity], _WORDS[quantity]
        if compliance is None:
            self._allow(quantity, level, self._compliance(quantity))
        self.known.pop(quantity, None)  # unknown, should a command fail
        limit = [] if compliance is None else [f"SENS:{_WORDS[other]}:PROT {compliance!r}"]
        self.send(*limit, f"SOUR:{word}:RANG:AUTO ON", f"SOUR:{word} {level!r}", f"SOUR:FUNC {word}")
        self.known[quantity] = (level, _UNITS[quantity])
        self.known.pop(other, None)
        if compliance is not None:
            self.known["compliance"] = (compliance, _UNITS[other])

    def _switch_on(self) -> None:
        self.weigh("output", True)
        self.send("OUTP ON")

    def _prepare(self, nplc: float) -> None:
        if not self.ask_bool("OUTP?"):
            raise InstrumentError(f"{self.name} measures nothing: its output is off; {self.name}.on() first")
        if nplc != self._cycles:
            self._cycles = None
            self.send("SENS:FUNC:CONC ON", "SENS:FUNC 'VOLT','CURR'", "FORM:ELEM VOLT,CURR,STAT",
                      "ARM:COUN 1", "TRIG:COUN 1", f"SENS:CURR:NPLC {nplc:g}", f"SENS:VOLT:NPLC {nplc:g}")  # fmt: skip
            self._cycles = nplc

    def _take(self) -> Measured:
        try:
            volts, amps, status = to_numbers(self.ask("READ?"), 3, f"{self.name} ({self.address}): 'READ?'")
        except LinkError:
            self.forget()  # it may have been switched off and on
            raise
        return Measured(volts, amps, bool(int(status) & _IN_COMPLIANCE), present_clock().time_ns() / 1e9)

    def _measure(self, nplc: float) -> Measured:
        self._prepare(nplc)
        return self._take()

    def _reading(self, name: str, unit: str, nplc: float) -> Action[Reading]:
        def read(cycles: float) -> Reading:
            point = self._measure(cycles)
            return Reading(float(getattr(point, name)), unit, point.timestamp)

        return self.act(read, self._nplc(nplc))

    def _sweep(
        self, quantity: str, levels: Iterable[float], compliance: float | None, nplc: float
    ) -> "Action[xr.Dataset]":
        values = [to_number(level, f"{self.name} {quantity}") for level in levels]
        if not values:
            raise LimitError(f"{self.name}: a sweep of no values; nothing was sent")
        most = None if compliance is None else self._positive(compliance)
        return self.act(partial(self._swept, quantity, values, most, self._nplc(nplc)))

    def _swept(self, quantity: str, values: list[float], compliance: float | None, nplc: float) -> "xr.Dataset":
        most = self._compliance(quantity) if compliance is None else compliance
        for value in values:
            self._allow(quantity, value, most)
        self._prepare(nplc)
        points: list[Measured] = []
        for value in values:
            self.pause(0.0)
            self._set(quantity, value, most)
            points.append(self._take())
        return _dataset(quantity, values, points)


def _dataset(quantity: str, values: list[float], points: list[Measured]) -> "xr.Dataset":
    import xarray as xr

    unit = _UNITS[quantity]
    return xr.Dataset(
        {
            "voltage": ("source", [point.voltage for point in points], {"units": "V"}),
            "current": ("source", [point.current for point in points], {"units": "A"}),
            "in_compliance": ("source", [point.in_compliance for point in points]),
        },
        coords={"source": ("source", values, {"units": unit, "long_name": f"source {quantity}"})},
    )
