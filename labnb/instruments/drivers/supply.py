"""Power supplies of the Keysight EDU36311A and E3631xA families."""

import math
from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Self

from labnb.instruments.action import Action
from labnb.instruments.drivers.part import Part
from labnb.instruments.facet import Facet
from labnb.instruments.guard import Setting
from labnb.instruments.instrument import Instrument
from labnb.instruments.limits import Bounds, exact_text, to_number

# Volts and amperes that each channel can be set to (data sheets: rating + 3 %).
_RATINGS: dict[str, tuple[tuple[float, float], ...]] = {
    "EDU36311A": ((6.18, 5.15), (30.9, 1.03), (30.9, 1.03)),
    "E36311A": ((6.18, 5.15), (25.75, 1.03), (25.75, 1.03)),
    "E36312A": ((6.18, 5.15), (25.75, 1.03), (25.75, 1.03)),
    "E36313A": ((6.18, 10.3), (25.75, 2.06), (25.75, 2.06)),
}


_UNITS = {"voltage": "V", "current": "A"}


class PowerSupply(Instrument):
    """A supply with three channels.

    ```python
    psu.channel(1).limit(voltage=(0, 3.3), current=0.5)
    await psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
    ```
    Its safe state: every output off. Limits at connect: `limits={1: {"voltage": (0, 3.3), "current": 0.5}}`.
    """

    models = tuple(_RATINGS)
    safe_state = ("OUTP OFF,(@1:3)",)
    channel_numbers = (1, 2, 3)
    limitable: ClassVar[Mapping[str, str]] = {f"channel {{}} {quantity}": unit for quantity, unit in _UNITS.items()}
    settings = (
        Setting("VOLTage", "channel {} voltage"),
        Setting("CURRent", "channel {} current"),
        Setting("APPLy", "channel {} voltage", "channel {} current"),
        Setting("OUTPut", "channel {} output", switch=True),
    )
    unseen = ("*TRG", "TRIGger", "INITiate", "LIST", "PAIR", "TRACk", "COUPle")
    """They bring into force what was prepared before, or set other outputs along."""

    def channel(self, number: int) -> "SupplyChannel":
        """Return channel 1, 2 or 3."""
        self.check_channel(number)
        return SupplyChannel(self, number)

    def range_of(self, name: str) -> Bounds | None:
        """Return what a channel can be set to: its rating."""
        _, number, quantity, *measured = name.split()
        if measured or quantity not in _UNITS:
            return None
        rating = _RATINGS[self.identity.model][int(number) - 1][quantity == "current"]
        return Bounds(0.0, rating, _UNITS[quantity], "range")

    @property
    def facets(self) -> Mapping[str, Facet]:
        """What can be set and measured of each channel."""
        words = ("voltage", "current_limit", "output", "voltage_out", "current_out")
        return {f"channel({k}).{word}": getattr(self.channel(k), word) for k in self.channel_numbers for word in words}

    def weigh(self, name: str, value: object) -> None:
        """Raise LimitError if what is set in the supply may not be put out."""
        if name.endswith(" output") and value is True:
            self.channel(int(name.split()[1])).check_present()


def _switch(channel: "SupplyChannel", on: bool) -> "SupplyChannel":
    return channel.on() if on else channel.off()


class SupplyChannel(Part):
    """One output of a supply. Setting methods act at once, chain, and may be awaited."""

    def set(self, *, voltage: float | None = None, current_limit: float | None = None) -> Self:
        """Set volts and the current limit in amperes; the output stays on or off as it is.

        Raises LimitError before anything is sent, CommandError if the supply refuses.
        """
        settings = {
            quantity: self.check(quantity, value)
            for quantity, value in (("current", current_limit), ("voltage", voltage))
            if value is not None
        }
        return self._step(partial(self._set, settings))

    @property
    def voltage(self) -> Facet:
        """The voltage that is set, in V: `sweep(psu.channel(1).voltage, 0, 1, 11)`."""
        return self._level("voltage", "voltage", "Voltage that is set")

    @property
    def current_limit(self) -> Facet:
        """The current limit that is set, in A."""
        return self._level("current", "current_limit", "Current limit that is set")

    @property
    def output(self) -> Facet:
        """The output, on or off."""
        plain = SupplyChannel(self._owner, self._number)
        write = partial(_switch, plain)
        return self.facet("output", read=plain.get_output_state, write=write, switch=True, doc="The output")

    @property
    def voltage_out(self) -> Facet:
        """The voltage at the output, measured, in V."""
        return self.facet("voltage out", "V", read=SupplyChannel(self._owner, self._number).get_voltage, doc="Measured")

    @property
    def current_out(self) -> Facet:
        """The current at the output, measured, in A."""
        return self.facet("current out", "A", read=SupplyChannel(self._owner, self._number).get_current, doc="Measured")

    def _level(self, quantity: str, argument: str, doc: str) -> Facet:
        plain = SupplyChannel(self._owner, self._number)
        query = f"{quantity[:4].upper()}? (@{self._number})"
        return self.facet(
            quantity,
            _UNITS[quantity],
            read=lambda: self._owner.act(self._owner.ask_number, query),
            write=lambda value: plain.set(**{argument: value}),
            doc=doc,
        )

    def on(self) -> Self:
        """Switch the output on. If it has limits, what is set in the supply is checked against them before."""
        return self._switch_on(f"OUTP ON,(@{self._number})")

    def off(self) -> Self:
        """Switch the output off."""
        return self._step(partial(self._owner.send, f"OUTP OFF,(@{self._number})"))

    def get_voltage(self) -> Action[float]:
        """Measure the output voltage, in V."""
        return self._owner.act(self._owner.ask_number, f"MEAS:VOLT? (@{self._number})")

    def get_current(self) -> Action[float]:
        """Measure the output current, in A."""
        return self._owner.act(self._owner.ask_number, f"MEAS:CURR? (@{self._number})")

    def slew(self, *, rise: float | None = None, fall: float | None = None) -> Self:
        """Approach a higher voltage with `rise` V/s, a lower one with `fall`; `math.inf`: at once. None: as set."""
        commands = [
            f"VOLT:SLEW:{word} {self._slope(rate)},(@{self._number})"
            for word, rate in (("RIS", rise), ("FALL", fall))
            if rate is not None
        ]
        return self._step(partial(self._owner.send, *commands))

    def protect(self, *, over_voltage: float | None = None, over_current: bool | None = None) -> Self:
        """Switch off above `over_voltage` V, and (`over_current`) as soon as the current limit is reached.

        None leaves a protection as it is; `math.inf` ends that of the voltage. Raises LimitError before it is sent.
        """
        commands: list[str] = []
        if over_voltage == math.inf:
            commands.append(f"VOLT:PROT:STAT OFF,(@{self._number})")
        elif over_voltage is not None:
            highest = _RATINGS[self._owner.identity.model][self._number - 1][0] * 1.1 / 1.03
            name = f"{self._owner.name} {self._name('over-voltage')}"
            volts = Bounds(0.0, highest, "V", "range").check(over_voltage, name)
            commands += [f"VOLT:PROT {volts:.9g},(@{self._number})", f"VOLT:PROT:STAT ON,(@{self._number})"]
        if over_current is not None:
            commands.append(f"CURR:PROT:STAT {'ON' if over_current else 'OFF'},(@{self._number})")
        return self._step(partial(self._owner.send, *commands))

    def clear_protection(self) -> Self:
        """Let the output be on again after a protection has tripped."""
        return self._step(partial(self._owner.send, f"OUTP:PROT:CLE (@{self._number})"))

    def get_status(self) -> Action[str]:
        """Ask what the output does: "CV", "CC", "off", "over-voltage" or "over-current" (tripped), "unregulated"."""
        return self._owner.act(self._status)

    def get_output_state(self) -> Action[bool]:
        """Ask whether the output is on."""
        return self._owner.act(self._owner.ask_bool, f"OUTP? (@{self._number})")

    def check(self, quantity: str, value: object) -> float:
        """Return `value` if "voltage" or "current" may be set to it. Raises LimitError if not."""
        name = self._name(quantity)
        what, unit = f"{self._owner.name} {name}", _UNITS[quantity]
        number = to_number(value, what, unit)
        self._owner.permit(name, number, what)
        return (self._owner.range_of(name) or Bounds(0.0, math.inf)).check(number, what)

    def check_present(self) -> None:
        """Raise LimitError if limits or interlocks forbid what is set in the supply. Blocking, in the lane."""
        for quantity in _UNITS:
            name = self._name(quantity)
            if name in self._owner.safety or name in self._owner.interlocks:
                present = self._owner.ask_number(f"{quantity[:4].upper()}? (@{self._number})")
                self._owner.permit(name, present, f"{self._owner.name} {name}, as set in the supply,")

    def _slope(self, rate: float) -> str:
        if rate == math.inf:
            return "MAX"
        what = f"{self._owner.name} {self._name('slew')}"
        return f"{Bounds(1e-3, 1e6, 'V/s', 'range').check(rate, what):.9g}"

    def _status(self) -> str:
        for word, name in (("VOLT", "over-voltage"), ("CURR", "over-current")):
            if self._owner.ask_bool(f"{word}:PROT:TRIP? (@{self._number})"):
                return name
        if not self._owner.ask_bool(f"OUTP? (@{self._number})"):
            return "off"
        condition = int(self._owner.ask_number(f"STAT:QUES:INST:ISUM{self._number}:COND?"))
        return {1: "CC", 2: "CV"}.get(condition & 3, "unregulated")

    def _set(self, settings: Mapping[str, float]) -> None:
        self._doubt(*settings)  # unknown, should a command fail
        self._owner.send(
            *(f"{quantity[:4].upper()} {exact_text(value)},(@{self._number})" for quantity, value in settings.items())
        )
        self._remember({quantity: (value, _UNITS[quantity]) for quantity, value in settings.items()})
