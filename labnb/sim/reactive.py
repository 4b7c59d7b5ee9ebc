"""Which parts remember: capacitor, inductor, and a thermistor that heats itself.

Charge and flux are integrated by the trapezoidal rule, and after a jump by one backward Euler step that finds the new
currents. How long a step may be is judged by comparing it with a second-order prediction (Nagel 1975, section 4.4).
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import final

from labnb.sim.parts import Column, Part, Rows


class Reactive(Part):
    """What the solver asks of a part with a past."""

    def __init__(self, first: str, second: str = "gnd") -> None:
        super().__init__(first, second)
        self.settled = False
        """False after something jumped: its rate is then unknown, and one backward Euler step finds it."""

    @abstractmethod
    def error(self, solution: Column, step_s: float) -> float:
        """Return the truncation error of the step to `solution` in parts of what is tolerated."""
        raise NotImplementedError


class _Predictor:
    """A quantity's present value and the slopes before it, to foretell the next one."""

    def __init__(self) -> None:
        self.value = 0.0
        self._slopes = (0.0, 0.0)
        self._last_step = 0.0

    def error(self, value: float, step_s: float) -> float:
        """Return by how much the trapezoidal rule may have missed, in parts of 1e-6 + 10 ppm."""
        slope, before = self._slopes
        ratio = step_s / self._last_step if self._last_step else 0.0
        predicted = self.value + step_s * (slope + 0.5 * ratio * (slope - before))
        weight = 1.0 / (3.0 * (1.0 + 1.0 / ratio)) if ratio else 0.5
        return weight * abs(value - predicted) / (1e-6 + 1e-5 * abs(value))

    def take(self, value: float, slope: float, step_s: float, *, settled: bool) -> None:
        self.value = value
        self._slopes = (slope, self._slopes[0] if settled else slope)
        self._last_step = step_s if settled else 0.0


@final
class Capacitor(Reactive):
    """A capacitor; uncharged at the beginning."""

    def __init__(self, first: str, second: str = "gnd", *, farads: float) -> None:
        super().__init__(first, second)
        if not 0 < farads < math.inf:
            raise ValueError(f"capacitor {first}-{second}: farads={farads} must be above zero")
        self.farads = farads
        self._past = _Predictor()

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add i = C dv/dt as a conductance beside a current that holds the past."""
        siemens, amps = self._companion(step_s)
        self._add_conductance(rows, siemens)
        self._add_current(right, amps)

    def _companion(self, step_s: float) -> tuple[float, float]:
        if self.settled:
            siemens = 2.0 * self.farads / step_s
            return siemens, -siemens * self.voltage - self.current
        siemens = self.farads / step_s
        return siemens, -siemens * self.voltage

    def error(self, solution: Column, step_s: float) -> float:
        """Return the error of its voltage in parts of 1 uV + 10 ppm."""
        return self._past.error(self.across(solution), step_s)

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution as the past of the next step."""
        siemens, amps = self._companion(step_s)
        self.voltage = self.across(solution)
        self.current = siemens * self.voltage + amps
        self._past.take(self.voltage, self.current / self.farads, step_s, settled=self.settled)
        self.settled = True


@final
class Inductor(Reactive):
    """An inductor; without current at the beginning."""

    branches = 1

    def __init__(self, first: str, second: str = "gnd", *, henries: float) -> None:
        super().__init__(first, second)
        if not 0 < henries < math.inf:
            raise ValueError(f"inductor {first}-{second}: henries={henries} must be above zero")
        self.henries = henries
        self._past = _Predictor()

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add one row for the branch: v = L di/dt, with the past on the right."""
        ohms = (2.0 if self.settled else 1.0) * self.henries / step_s
        branch = self.branch
        rows[self.first][branch] += 1.0
        rows[self.second][branch] -= 1.0
        rows[branch][self.first] += 1.0
        rows[branch][self.second] -= 1.0
        rows[branch][branch] -= ohms
        right[branch] -= ohms * self.current + (self.voltage if self.settled else 0.0)

    def error(self, solution: Column, step_s: float) -> float:
        """Return the error of its current in parts of 1 uA + 10 ppm."""
        return self._past.error(solution[self.branch], step_s)

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution as the past of the next step."""
        self.voltage = self.across(solution)
        self.current = solution[self.branch]
        self._past.take(self.current, self.voltage / self.henries, step_s, settled=self.settled)
        self.settled = True


@final
class Thermistor(Reactive):
    """An NTC resistor that its own power heats: R = R25 exp(B (1/T - 1/298.15 K)).

    Its temperature goes with `time_constant_s` towards ambient plus power / `watts_per_kelvin` (the dissipation factor
    of data sheets). `ambient` is in K: a number, or a function of bench time.
    """

    def __init__(
        self,
        first: str,
        second: str = "gnd",
        *,
        ohms_at_25: float = 10e3,
        beta_k: float = 3950.0,
        watts_per_kelvin: float = 2e-3,
        time_constant_s: float = 5.0,
        ambient: float | Callable[[float], float] = 298.15,
    ) -> None:
        super().__init__(first, second)
        self._law = (ohms_at_25, beta_k)
        self._heat = (watts_per_kelvin, time_constant_s)
        self._follow = ambient if callable(ambient) else None
        self._ambient = ambient(0.0) if callable(ambient) else ambient
        self.kelvin = self._ambient
        self.watts = 0.0

    def ohms(self, kelvin: float) -> float:
        """Return its resistance at `kelvin`."""
        ohms_at_25, beta_k = self._law
        return ohms_at_25 * math.exp(beta_k * (1.0 / kelvin - 1.0 / 298.15))

    def prepare(self, now: float) -> bool:
        """Take the ambient temperature at `now`."""
        before = self._ambient
        if self._follow:
            self._ambient = self._follow(now)
        return self._ambient != before

    def _warmed(self, watts: float, step_s: float) -> float:
        """Return its temperature after `step_s` of constant power."""
        watts_per_kelvin, time_constant_s = self._heat
        goal = self._ambient + watts / watts_per_kelvin
        return goal + (self.kelvin - goal) * math.exp(-step_s / time_constant_s)

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add the resistance that it will have at the end of the step if its power stays."""
        self._add_conductance(rows, 1.0 / self.ohms(self._warmed(self.watts, step_s)))

    def _power(self, solution: Column, step_s: float) -> float:
        return self.across(solution) ** 2 / self.ohms(self._warmed(self.watts, step_s))

    def error(self, solution: Column, step_s: float) -> float:
        """Return by how much its temperature misses what the power at both ends gives, in parts of 1 mK."""
        if not self.settled:
            return 0.0
        mean = (self.watts + self._power(solution, step_s)) / 2.0
        return abs(self._warmed(mean, step_s) - self._warmed(self.watts, step_s)) / 1e-3

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution and become as warm as the mean power makes it."""
        watts = self._power(solution, step_s)
        self.voltage = self.across(solution)
        self.kelvin = self._warmed((self.watts + watts) / 2.0 if self.settled else watts, step_s)
        self.watts = watts
        self.current = self.voltage / self.ohms(self.kelvin)
        self.settled = True
