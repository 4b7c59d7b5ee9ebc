"""Power supplies of the Keysight EDU36311A and E3631xA families."""

import math
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, ClassVar

from labnb.core import LimitError, unknown
from labnb.instruments.action import Action, then
from labnb.instruments.guard import Setting
from labnb.instruments.instrument import Instrument
from labnb.instruments.limits import Bounds, Limit, exact_text, to_bounds, to_number

# Volts and amperes that each channel can be set to (data sheets: rating + 3 %).
_RATINGS: dict[str, tuple[tuple[float, float], ...]] = {
    "EDU36311A": ((6.18, 5.15), (30.9, 1.03), (30.9, 1.03)),
    "E36311A": ((6.18, 5.15), (25.75, 1.03), (25.75, 1.03)),
    "E36312A": ((6.18, 5.15), (25.75, 1.03), (25.75, 1.03)),
    "E36313A": ((6.18, 10.3), (25.75, 2.06), (25.75, 2.06)),
}


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
    settings = (
        Setting("VOLTage", "channel {} voltage"),
        Setting("CURRent", "channel {} current"),
        Setting("APPLy", "channel {} voltage", "channel {} current"),
        Setting("OUTPut", "channel {} output", switch=True),
    )

    def channel(self, number: int) -> "SupplyChannel":
        """Return channel 1, 2 or 3."""
        if number not in (1, 2, 3):
            raise LimitError(f"{self.name} has channels 1, 2 and 3, no channel {number!r}")
        return SupplyChannel(self, number)

    def range_of(self, name: str) -> Bounds | None:
        """Return what a channel can be set to: its rating."""
        _, number, quantity = name.split()
        rating = _RATINGS[self.identity.model][int(number) - 1][quantity == "current"]
        return Bounds(0.0, rating, SupplyChannel.units[quantity], "range")

    def set_limits(self, limits: Mapping[Any, Any]) -> None:  # Any: as people write it; checked here
        """Declare safety limits by channel: `{1: {"voltage": (0, 3.3), "current": 0.5}}`."""
        for number, quantities in limits.items():
            if not isinstance(quantities, Mapping):
                raise LimitError(f"{self.name}: limits are given as {{1: {{'voltage': (0, 3.3)}}}}, got {limits!r}")
            for quantity in quantities:
                if quantity not in ("voltage", "current"):
                    raise LimitError(f"{self.name}: {unknown(quantity, ('voltage', 'current'), 'quantity to limit')}")
            self.channel(number).limit(**quantities)


class SupplyChannel:
    """One output of a supply. Setting methods act at once, chain, and may be awaited."""

    units: ClassVar[dict[str, str]] = {"voltage": "V", "current": "A"}

    def __init__(self, supply: PowerSupply, number: int) -> None:
        self._supply, self._number = supply, number

    def limit(self, *, voltage: Limit = None, current: Limit = None) -> "SupplyChannel":
        """Forbid settings outside of (low, high), or beyond a magnitude, from now on. None leaves a limit as it is."""
        for quantity, limit in (("voltage", voltage), ("current", current)):
            if limit is not None:
                name = self._name(quantity)
                bounds = to_bounds(limit, self.units[quantity], f"{self._supply.name} {name}")
                self._supply.restrict(name, bounds)
        return self

    def set(self, *, voltage: float | None = None, current_limit: float | None = None) -> "ChannelStep":
        """Set volts and the current limit in amperes; the output stays on or off as it is.

        Raises LimitError before anything is sent, CommandError if the supply refuses.
        """
        settings = {
            quantity: self.check(quantity, value)
            for quantity, value in (("current", current_limit), ("voltage", voltage))
            if value is not None
        }
        return self._step(partial(self._set, settings))

    def on(self) -> "ChannelStep":
        """Switch the output on. If it has limits, what is set in the supply is checked against them before."""
        self._supply.unlocked(self._name("output"), True, f"{self._supply.name} {self._name('output')}")
        return self._step(self._switch_on)

    def off(self) -> "ChannelStep":
        """Switch the output off."""
        return self._step(partial(self._supply.send, f"OUTP OFF,(@{self._number})"))

    def get_voltage(self) -> Action[float]:
        """Measure the output voltage, in V."""
        return self._supply.act(self._supply.ask_number, f"MEAS:VOLT? (@{self._number})")

    def get_current(self) -> Action[float]:
        """Measure the output current, in A."""
        return self._supply.act(self._supply.ask_number, f"MEAS:CURR? (@{self._number})")

    def slew(self, *, rise: float | None = None, fall: float | None = None) -> "ChannelStep":
        """Approach a higher voltage with `rise` V/s, a lower one with `fall`; `math.inf`: at once. None: as set."""
        commands = [
            f"VOLT:SLEW:{word} {self._slope(rate)},(@{self._number})"
            for word, rate in (("RIS", rise), ("FALL", fall))
            if rate is not None
        ]
        return self._step(partial(self._supply.send, *commands))

    def protect(self, *, over_voltage: float | None = None, over_current: bool | None = None) -> "ChannelStep":
        """Switch off above `over_voltage` V, and (`over_current`) as soon as the current limit is reached.

        None leaves a protection as it is; `math.inf` ends that of the voltage. Raises LimitError before it is sent.
        """
        commands: list[str] = []
        if over_voltage == math.inf:
            commands.append(f"VOLT:PROT:STAT OFF,(@{self._number})")
        elif over_voltage is not None:
            highest = _RATINGS[self._supply.identity.model][self._number - 1][0] * 1.1 / 1.03
            name = f"{self._supply.name} {self._name('over-voltage')}"
            volts = Bounds(0.0, highest, "V", "range").check(over_voltage, name)
            commands += [f"VOLT:PROT {volts:.9g},(@{self._number})", f"VOLT:PROT:STAT ON,(@{self._number})"]
        if over_current is not None:
            commands.append(f"CURR:PROT:STAT {'ON' if over_current else 'OFF'},(@{self._number})")
        return self._step(partial(self._supply.send, *commands))

    def clear_protection(self) -> "ChannelStep":
        """Let the output be on again after a protection has tripped."""
        return self._step(partial(self._supply.send, f"OUTP:PROT:CLE (@{self._number})"))

    def get_status(self) -> Action[str]:
        """Ask what the output does: "CV", "CC", "off", "over-voltage" or "over-current" (tripped), "unregulated"."""
        return self._supply.act(self._status)

    def get_output_state(self) -> Action[bool]:
        """Ask whether the output is on."""
        return self._supply.act(self._supply.ask_bool, f"OUTP? (@{self._number})")

    def check(self, quantity: str, value: object) -> float:
        """Return `value` if "voltage" or "current" may be set to it. Raises LimitError if not."""
        name = self._name(quantity)
        what, unit = f"{self._supply.name} {name}", self.units[quantity]
        number = to_number(value, what, unit)
        self._supply.permit(name, number, what)
        return (self._supply.range_of(name) or Bounds(0.0, math.inf)).check(number, what)

    def _slope(self, rate: float) -> str:
        if rate == math.inf:
            return "MAX"
        what = f"{self._supply.name} {self._name('slew')}"
        return f"{Bounds(1e-3, 1e6, 'V/s', 'range').check(rate, what):.9g}"

    def _status(self) -> str:
        for word, name in (("VOLT", "over-voltage"), ("CURR", "over-current")):
            if self._supply.ask_bool(f"{word}:PROT:TRIP? (@{self._number})"):
                return name
        if not self._supply.ask_bool(f"OUTP? (@{self._number})"):
            return "off"
        condition = int(self._supply.ask_number(f"STAT:QUES:INST:ISUM{self._number}:COND?"))
        return {1: "CC", 2: "CV"}.get(condition & 3, "unregulated")

    def _step(self, work: Callable[[], None]) -> "ChannelStep":
        return ChannelStep(self._supply, self._number, self._supply.act(work))

    def _set(self, settings: Mapping[str, float]) -> None:
        known, names = self._supply.known, {quantity: self._name(quantity) for quantity in settings}
        for name in names.values():
            known.pop(name, None)  # unknown, should a command fail
        self._supply.send(
            *(f"{quantity[:4].upper()} {exact_text(value)},(@{self._number})" for quantity, value in settings.items())
        )
        known.update({names[quantity]: (value, self.units[quantity]) for quantity, value in settings.items()})

    def _switch_on(self) -> None:
        for quantity in ("voltage", "current"):
            if (limit := self._supply.safety.get(self._name(quantity))) is not None:
                present = self._supply.ask_number(f"{quantity[:4].upper()}? (@{self._number})")
                limit.check(present, f"{self._supply.name} {self._name(quantity)}, as set in the supply,")
        self._supply.send(f"OUTP ON,(@{self._number})")

    def _name(self, quantity: str) -> str:
        return f"channel {self._number} {quantity}"

    def __repr__(self) -> str:
        known = [self._supply.known.get(self._name(quantity)) for quantity in ("voltage", "current")]
        values = ", ".join(f"{pair[0]:g} {pair[1]}" for pair in known if pair)
        return f"<{self._supply.name} channel {self._number}: {values or 'not set yet'}>"


class ChannelStep(SupplyChannel, Action[SupplyChannel]):
    """A channel on which something is being done: await it, or chain what shall be done if it succeeds."""

    def __init__(self, supply: PowerSupply, number: int, action: Action[None]) -> None:
        super().__init__(supply, number)
        self._action = action

    def result(self) -> SupplyChannel:
        """Return the channel; block until everything in the chain is done. Raises what failed first."""
        self._action.result()
        return SupplyChannel(self._supply, self._number)

    def __await__(self) -> Generator[Any, None, SupplyChannel]:  # asyncio's protocol has Any here
        """Wait without blocking the loop."""
        yield from self._action.__await__()
        return SupplyChannel(self._supply, self._number)

    def _step(self, work: Callable[[], None]) -> "ChannelStep":
        return ChannelStep(self._supply, self._number, then(self._action, self._supply.lane, work))

    def __repr__(self) -> str:
        return repr(self.result())
