"""What the outputs of a three-output supply give: ratings, levels, slopes, delays, protections, sensing."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from labnb.sim.models.supply_status import (
    ALL,
    CONSTANT_CURRENT,
    CONSTANT_VOLTAGE,
    OVERCURRENT,
    OVERVOLTAGE,
    SupplyStatus,
)  # fmt: skip
from labnb.sim.parts import Resistor, Source
from labnb.sim.scpi import OVERLOAD
from labnb.sim.settings import Key, Number

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

SENSE_OHM = 1e6
"""Between each sense terminal and its output, so that open sense leads sense locally."""
_MODES = {"cc": CONSTANT_CURRENT, "cv": CONSTANT_VOLTAGE}
_LEVEL = "[:LEVel][:IMMediate][:AMPLitude]"


class Ratings(NamedTuple):
    """What each of three outputs gives."""

    volts: tuple[float, float, float]
    amps: tuple[float, float, float]

    def voltage(self) -> Number:
        """Return the setting of the voltage: up to 3 % more than rated."""
        high = tuple(1.03 * volts for volts in self.volts)
        return Number(f"[SOURce:]VOLTage{_LEVEL}", unit="V", keys=ALL, default=0.0, low=0.0, high=high)

    def current(self) -> Number:
        """Return the setting of the current limit: up to 3 % more than rated."""
        high = tuple(1.03 * amps for amps in self.amps)
        return Number(
            f"[SOURce:]CURRent{_LEVEL}", unit="A", keys=ALL, default=self.amps, low=(0.002, 0.001, 0.001), high=high
        )  # fmt: skip

    def triggered(self) -> tuple[Number, Number]:
        """Return the settings of the triggered voltage and current."""
        volts, amps = (tuple(1.03 * each for each in ratings) for ratings in (self.volts, self.amps))
        return (
            Number(
                "[SOURce:]VOLTage[:LEVel]:TRIGgered[:AMPLitude]", unit="V", keys=ALL, default=0.0, low=0.0, high=volts
            ),
            Number(
                "[SOURce:]CURRent[:LEVel]:TRIGgered[:AMPLitude]",
                unit="A",
                keys=ALL,
                default=self.amps,
                low=0.001,
                high=amps,
            ),
        )

    def protection(self) -> Number:
        """Return the setting of the overvoltage protection: up to 10 % more than rated."""
        high = tuple(1.1 * volts for volts in self.volts)
        return Number(
            "[SOURce:]VOLTage:PROTection[:LEVel]", unit="V", keys=ALL, low=0.0, default=high, high=high
        )  # fmt: skip


EDU36311A = Ratings((6.0, 30.0, 30.0), (5.0, 1.0, 1.0))
E36312A = Ratings((6.0, 25.0, 25.0), (5.0, 1.0, 1.0))
E36313A = Ratings((6.0, 25.0, 25.0), (10.0, 2.0, 2.0))


class SupplyOutputs(SupplyStatus):
    """The outputs of a supply."""

    voltage = EDU36311A.voltage()
    current = EDU36311A.current()
    protection_voltage = EDU36311A.protection()
    trigger_voltage, trigger_current = EDU36311A.triggered()

    def __init__(
        self, bench: "Bench", name: str, address: str, *,
        outputs: Sequence[tuple[str, str]], senses: Mapping[int, tuple[str, str]] | None = None,
    ) -> None:  # fmt: skip
        """Connect each output's plus and minus terminals to two nodes of the bench's circuit.

        `senses`: where the sense terminals of an output go; by default to the output itself.
        """
        if len(outputs) != self.channels:
            raise ValueError(f"{name}: {len(outputs)} pairs of nodes for {self.channels} outputs")
        super().__init__(bench, name, address)
        far = senses or {}
        self._sources = {k: Source(*pair, sense=far.get(k)) for k, pair in enumerate(outputs, 1)}
        self.tripped = dict.fromkeys(self._sources, 0)
        self.live = dict.fromkeys(self._sources, False)
        self._limited_since: dict[int, float] = {}
        self.coupled: set[int] = set()
        bench.circuit.add(*self._sources.values())
        for channel, nodes in far.items():
            bench.circuit.add(
                *(Resistor(*pair, ohms=SENSE_OHM) for pair in zip(outputs[channel - 1], nodes, strict=True))
            )
        bench.circuit.watch(self._protect)
        bench.circuit.listen(self._look)
        self.drive_all()

    def reset(self) -> None:
        """All outputs off, 0 V, rated current, protections off."""
        super().reset()
        self.tripped = dict.fromkeys(self._sources, 0)
        self.live = dict.fromkeys(self._sources, False)
        self.coupled = set()
        self.drive_all()

    def changed(self, name: str, key: Key) -> None:
        """Drive the output that a setting concerns, and those that follow it."""
        if not isinstance(key, int):
            return
        if self.tracking() and key in (2, 3) and name in ("voltage", "current"):
            self.values[name, 5 - key] = self.values[name, key]
            self.drive(5 - key)
        if name != "output":
            self.drive(key)
            return
        for channel in sorted(self.coupled | {key}) if key in self.coupled else [key]:
            self.values["output", channel] = self.output(key)
            self._switch(channel)

    def _switch(self, channel: int) -> None:
        """Switch an output after its delay."""
        wanted = self.output(channel)
        delay_s = self.rise_delay(channel) if wanted else self.fall_delay(channel)
        if delay_s and wanted != self.live[channel]:
            self.bench.timeline.at(self.now + delay_s, lambda: self._switched(channel, wanted=wanted))
        else:
            self._switched(channel, wanted=wanted)

    def _switched(self, channel: int, *, wanted: bool) -> None:
        if self.output(channel) == wanted:  # it has not been switched again meanwhile
            self.live[channel] = wanted
            self.drive(channel)

    def drive_all(self) -> None:
        """Let all outputs give what is set."""
        for channel in self._sources:
            self.drive(channel)

    def drive(self, channel: int) -> None:
        """Let an output give what is set."""
        circuit, source = self.bench.circuit, self._sources[channel]
        with circuit.edit(self.now, source):
            self._steer(channel, source)
            source.limit_a = self.current(channel)
            source.remote = self.sensing(channel) == "EXT"
            live = self.live[channel] and not self.tripped[channel]
            source.mode = ("cv" if source.mode == "off" else source.mode) if live else "off"
        if self._is_protected(channel):
            circuit.advance(self.now, source)  # it trips at once; all else is found when somebody looks

    def _steer(self, channel: int, source: Source) -> None:
        """Go to the programmed voltage with the programmed slope; an output that is off is there at once."""
        volts = self.voltage(channel)
        slew = self.slew_up(channel) if volts > source.volts else self.slew_down(channel)
        source.approach(volts, math.inf if source.mode == "off" or slew >= OVERLOAD else slew, self.now)

    # --- protection ---

    def _is_protected(self, channel: int) -> bool:
        return self.voltage_protection(channel) or self.current_protection(channel)

    def _look(self) -> None:
        """Look at once when something on the bench is changed, so that a protection acts in time."""
        for channel, source in self._sources.items():
            if source.mode != "off" and self._is_protected(channel):
                self.bench.circuit.advance(self.now, source)

    def _protect(self) -> bool:
        """Switch off what exceeds its protection; return whether anything did."""
        acted = False
        for channel, source in self._sources.items():
            reason = self._trips(channel, source)
            self.latch(channel, reason | _MODES.get(source.mode, 0))
            if reason:
                self.tripped[channel] |= reason
                source.mode = "off"
                self.bench.circuit.touch(source)
                acted = True
        return acted

    def _trips(self, channel: int, source: Source) -> int:
        if source.mode == "off":
            return 0
        over = self.voltage_protection(channel) and source.voltage > self.protection_voltage(channel) * (1 + 1e-9)
        return (OVERVOLTAGE if over else 0) | (OVERCURRENT if self._limited_too_long(channel, source) else 0)

    def _limited_too_long(self, channel: int, source: Source) -> bool:
        if not self.current_protection(channel) or source.mode != "cc":
            self._limited_since.pop(channel, None)
            return False
        delay_s = self.protection_delay(channel)
        if channel not in self._limited_since:
            self._limited_since[channel] = self.now
            if delay_s:
                self.bench.timeline.at(self.now + delay_s, lambda: self._look_again(source))
        return self.now - self._limited_since[channel] >= delay_s * (1 - 1e-9)

    def _look_again(self, source: Source) -> None:
        self.bench.circuit.touch(source)
        self.bench.circuit.advance(self.now, source)

    def condition(self, channel: int) -> int:
        """Return whether `channel` limits its current or holds its voltage, and what has tripped it."""
        return _MODES.get(self.settled(channel).mode, 0) | self.tripped[channel]

    def settled(self, channel: int) -> Source:
        """Return the source of `channel` as of now."""
        source = self._sources[channel]
        self.bench.circuit.advance(self.now, source)
        return source
