"""Electronic loads of the Keysight EL30000 family."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from labnb.core import LimitError, LinkError, present_clock, unknown
from labnb.instruments.action import Action
from labnb.instruments.facet import Facet
from labnb.instruments.guard import Setting
from labnb.instruments.instrument import Instrument
from labnb.instruments.limits import Bounds, to_number
from labnb.instruments.reading import Reading, to_numbers


@dataclass(frozen=True, slots=True)
class _Mode:
    """What is held constant: its name, its SCPI word, and what it can be set to (data sheet of the EL33133A: + 2 %)."""

    quantity: str
    word: str
    range: Bounds


_MODES = {
    "CC": _Mode("current", "CURR", Bounds(0.0, 40.8, "A", "range")),
    "CV": _Mode("voltage", "VOLT", Bounds(0.0, 153.0, "V", "range")),
    "CP": _Mode("power", "POW", Bounds(0.0, 255.0, "W", "range")),
    "CR": _Mode("resistance", "RES", Bounds(0.08, 4000.0, "Ohm", "range")),
}


class ElectronicLoad(Instrument):
    """A load with one input: 150 V, 40 A, 250 W.

    ```python
    load = connect("keysight/EL33133A", simulate=True, limits={"current": 5})
    await load.set_mode("CC")          # "CC" A, "CV" V, "CP" W, "CR" Ohm
    await load.set_load(1.0)
    await load.enable_input(True)
    print(await load.measure_power())
    ```
    Its safe state: input off. Limits bound what is set, by "current", "voltage", "power" and "resistance".
    """

    models = ("EL33133A",)
    safe_state = ("INP OFF",)
    limitable: ClassVar[Mapping[str, str]] = {mode.quantity: mode.range.unit for mode in _MODES.values()}
    settings = (
        *(Setting(mode.word, mode.quantity) for mode in _MODES.values()),
        Setting("INPut", "input", switch=True),
        Setting("OUTPut", "input", switch=True),
    )
    unseen = (
        "CURRent", "VOLTage", "POWer", "RESistance", "FUNCtion", "MODE", "INPut", "OUTPut", "TRANsient", "TRIGger",
        "*TRG", "INITiate", "LIST", "BATTery",
    )  # fmt: skip
    """What is drawn is made of the mode and its level: `set_mode` and `enable_input` ask for both."""

    def range_of(self, name: str) -> Bounds | None:
        """Return what the load can be set to."""
        return next((mode.range for mode in _MODES.values() if mode.quantity == name), None)

    def weigh(self, name: str, value: object) -> None:
        """Raise LimitError if the level of the present mode may not be brought into force."""
        if name == "input" and (self.safety or self.interlocks):
            self._check_present(self._mode())

    @property
    def level(self) -> Facet:
        """What is set, in the unit of the mode: A, V, W or Ohm."""
        return self.bound(
            "level",
            lambda: Facet(
                self,
                "level",
                read=lambda: self.act(lambda: self.ask_number(f"{self._mode().word}?")),
                write=self.set_load,
                doc="Level of the present mode",
            ),
        )

    @property
    def input(self) -> Facet:
        """The input, on or off."""
        return self.bound(
            "input",
            lambda: Facet(
                self, "input", read=self.get_input_state, write=self.enable_input, switch=True, doc="The input"
            ),
        )

    @property
    def facets(self) -> Mapping[str, Facet]:
        """Its level and its input."""
        return {"level": self.level, "input": self.input}

    def set_mode(self, mode: str) -> Action[None]:
        """Hold current ("CC"), voltage ("CV"), power ("CP") or resistance ("CR") constant.

        If there are limits, the level that this brings into force is checked against them before. Raises LimitError.
        """
        if mode not in _MODES:
            raise LimitError(f"{self.name}: {unknown(mode, tuple(_MODES), 'mode')}; nothing was sent")
        return self.act(self._set_mode, _MODES[mode])

    def get_mode(self) -> Action[str]:
        """Ask what is held constant: "CC", "CV", "CP" or "CR"."""
        return self.act(lambda: next(name for name, mode in _MODES.items() if mode is self._mode()))

    def set_load(self, level: float) -> Action[None]:
        """Set the level in the unit of the mode: A, V, W or Ohm. Raises LimitError before it is sent."""
        return self.act(self._set_load, to_number(level, f"{self.name} load"))

    def set_range(self, largest: float) -> Action[None]:
        """Choose the smallest range of the mode that holds `largest`, in its unit; a level beyond it comes down."""
        return self.act(self._set_range, to_number(largest, f"{self.name} range"))

    def set_slew(self, rate: float | None) -> Action[None]:
        """Approach levels of the mode with `rate` units a second; None: as fast as it can."""
        word = "MAX" if rate is None else f"{Bounds(1e-3, 1e7, kind='range').check(rate, f'{self.name} slew'):.9g}"
        return self.act(lambda: self.send(*(f"{self._mode().word}:SLEW{end} {word}" for end in ("", ":NEG"))))

    def enable_input(self, on: bool = True) -> Action[None]:
        """Switch the input on or off. Before on, the level set in the load is checked against the limits."""
        if not on:
            return self.act(self.send, "INP OFF")
        self.unlocked("input", True, f"{self.name} input")
        return self.act(self._switch_on)

    def get_input_state(self) -> Action[bool]:
        """Ask whether the input is on."""
        return self.act(self.ask_bool, "INP?")

    def measure_current(self) -> Action[Reading]:
        """Measure the current that flows in, in A."""
        return self.act(self._measure, "MEAS:CURR?", "A")

    def measure_voltage(self) -> Action[Reading]:
        """Measure the voltage across the input, in V."""
        return self.act(self._measure, "MEAS:VOLT?", "V")

    def measure_power(self) -> Action[Reading]:
        """Measure the power taken, in W."""
        return self.act(self._measure, "MEAS:POW?", "W")

    def _mode(self) -> _Mode:
        """Ask for the mode: it may have been changed on the front panel."""
        word = self.ask("FUNC?")
        found = next((mode for mode in _MODES.values() if mode.word == word[: len(mode.word)]), None)
        if found is None:
            raise LinkError(f"{self.name} ({self.address}): 'FUNC?' was answered by {word!r}, no mode of a load")
        return found

    def _set_mode(self, mode: _Mode) -> None:
        self._check_present(mode)
        self.send(f"FUNC {mode.word}")

    def _switch_on(self) -> None:
        self.weigh("input", True)
        self.send("INP ON")

    def _set_load(self, level: float) -> None:
        mode = self._mode()
        self.permit(mode.quantity, level, f"{self.name} {mode.quantity}")
        mode.range.check(level, f"{self.name} {mode.quantity}")
        self.known.pop(mode.quantity, None)  # unknown, should the command fail
        self.send(f"{mode.word} {level!r}")
        self.known[mode.quantity] = (level, mode.range.unit)

    def _set_range(self, largest: float) -> None:
        mode = self._mode()
        mode.range.check(largest, f"{self.name} range of {mode.quantity}")
        self.known.pop(mode.quantity, None)
        self.send(f"{mode.word}:RANG {largest!r}")

    def _check_present(self, mode: _Mode) -> None:
        if mode.quantity in self.safety or mode.quantity in self.interlocks:
            level = self.ask_number(f"{mode.word}?")
            self.permit(mode.quantity, level, f"{self.name} {mode.quantity}, as set in the load,")

    def _measure(self, query: str, unit: str) -> Reading:
        return Reading(
            to_numbers(self.ask(query), 1, f"{self.name} ({self.address}): {query!r}")[0],
            unit,
            present_clock().time_ns() / 1e9,
        )
