"""What a temperature controller with its stage does: a first-order lag behind a set point that may ramp."""

import math
from typing import TYPE_CHECKING, final

from labnb.sim.instrument import Instrument, Operation, command
from labnb.sim.models.meter_sensors import ZERO_C, rtd_ohms
from labnb.sim.parts import Approach
from labnb.sim.scpi import Call
from labnb.sim.settings import Key, Number, Switch, Whole
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

AMBIENT_K = 300.0
TIME_CONSTANT_S = 0.13
"""At full heater range; 20 K are then within the band after 0.9 s."""
DRIFT_S = 2.0
"""Time constant towards ambient when the heater is off."""
BAND_K = 0.02
DWELL_S = 0.1
"""How long the stage must have been within the band to count as stable."""
CONVERSION_S = 0.05
"""The sensor is converted 20 times a second; `STAB?` answers with the next conversion, so that it may be polled."""
SENSOR_NOISE_K = 5e-3


@final
class Thermostat(Instrument):
    """LABNB TC100: `SETP 320`, `OUTP ON`, `KRDG?`, `STAB?`; 77 to 400 K. `OUTP OFF` is its safe state.

    `RANG 1|2|3` slows the loop by 4, 2, 1; `RANG 0` is a heater without power. With `RAMP 1` the set point goes to its
    goal with `RAMP:RATE` kelvin a minute, from where the stage is when it is set. `CRDG?` and `SRDG?` read degrees
    Celsius and the ohms of its sensor, a platinum resistor of 100 ohm at 0 degrees.
    """

    identity = "LABNB,TC100,SIM0003,1.0"
    influences = ("temperature",)

    setpoint = Number("SETP", unit="K", default=AMBIENT_K, low=77.0, high=400.0)
    output = Switch("OUTPut[:STATe]", default=False)
    heater_range = Whole("RANGe", default=3.0, low=0.0, high=3.0)
    ramping = Switch("RAMP[:STATe]", default=False)
    ramp_rate = Number("RAMP:RATE", default=10.0, low=0.1, high=1000.0)

    def __init__(self, bench: "Bench", name: str, address: str) -> None:
        super().__init__(bench, name, address)
        self._start = (bench.timeline.now, AMBIENT_K)
        self._goal = (AMBIENT_K, DRIFT_S)
        self._ramp: Approach | None = None

    def working_setpoint(self, now: float) -> float:
        """Return where a ramp has brought the set point at bench time `now`."""
        return self._ramp.at(now) if self._ramp else self._goal[0]

    def temperature(self, now: float) -> float:
        """Return the stage's true temperature in K at bench time `now`."""
        since, kelvin = self._start
        if now <= since:
            return kelvin
        target, time_constant = self._goal
        if self._ramp is not None:
            arrives = self._arrives()
            if now < arrives:
                return self._behind(self._ramp, now)
            since, kelvin = arrives, self._behind(self._ramp, arrives)
        return target + (kelvin - target) * math.exp(-(now - since) / time_constant)

    def _arrives(self) -> float:
        """Return when the set point reaches its goal."""
        ramp = self._ramp
        return ramp.since + abs(ramp.goal - ramp.start) / ramp.slew if ramp else self._start[0]

    def _behind(self, ramp: Approach, now: float) -> float:
        """Return the lag's answer to a ramp: it follows a time constant behind, once it has settled."""
        since, kelvin = self._start
        time_constant = self._goal[1]
        lag = math.copysign(ramp.slew * time_constant, ramp.goal - ramp.start)
        return ramp.at(now) - lag + (kelvin - ramp.start + lag) * math.exp(-(now - since) / time_constant)

    def reset(self) -> None:
        """Heater off, 300 K."""
        super().reset()
        self._steer()

    def changed(self, name: str, key: Key) -> None:
        """Go for the new target from where the stage is."""
        self._steer()

    def _steer(self) -> None:
        now = self.now
        self.bench.circuit.advance(now)
        self._start = (now, self.temperature(now))
        power = self.heater_range()
        heated = self.output() and power > 0
        self._goal = (self.setpoint(), TIME_CONSTANT_S * 2.0 ** (3.0 - power)) if heated else (AMBIENT_K, DRIFT_S)
        ramps = heated and self.ramping()
        self._ramp = Approach(now, self._start[1], self.setpoint(), self.ramp_rate() / 60.0) if ramps else None

    @command("KRDG?")
    def _ask_temperature(self, call: Call) -> str:
        call.require(0, 1)
        if call.arguments and call.arguments[0].upper() != "A":
            raise ScpiError(-224, call.arguments[0])
        return f"{self.temperature(self.now) + self.rng.gauss(0.0, SENSOR_NOISE_K):+.4f}"

    @command("CRDG?")
    def _ask_celsius(self, call: Call) -> str:
        return f"{float(self._ask_temperature(call)) - ZERO_C:+.4f}"

    @command("SRDG?")
    def _ask_sensor(self, call: Call) -> str:
        """Answer the sensor's resistance, by IEC 60751."""
        return f"{rtd_ohms(float(self._ask_temperature(call)), 100.0):+.5f}"

    @command("RAMPST?")
    def _ask_ramping(self, call: Call) -> str:
        """Answer 1 while the set point is on its way."""
        return "1" if self.now < self._arrives() else "0"

    @command("STAB?")
    def _ask_stable(self, call: Call) -> Operation:
        call.require(0, 0)
        yield self.now + CONVERSION_S
        return "1" if self.stable(self.now) else "0"

    def stable(self, now: float) -> bool:
        """Return whether the heated stage has been within 0.02 K of the set point for 0.1 s."""
        if not self.output() or self.heater_range() == 0:
            return False
        settled_for = now - max(self._start[0], self._arrives())
        return settled_for >= DWELL_S and abs(self.temperature(now - DWELL_S) - self.setpoint()) <= BAND_K
