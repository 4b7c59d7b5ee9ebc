"""How quantum dots answer to their gates: the constant-interaction model, with thermal occupation and slow charge noise.

Sources: van der Wiel et al., Rev. Mod. Phys. 75 (2003) 1 (double dot, section II); Beenakker, Phys. Rev. B 44 (1991)
1646 (sequential tunnelling through one dot). Energies are in meV, gate voltages in V, currents in A.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from labnb.sim.parts import Column, Part, Rows

ELEMENTARY_CHARGE_C = 1.602176634e-19
_STATES = 2


@final
@dataclass(frozen=True, slots=True)
class Dot:
    """One dot between two leads: Coulomb blockade, and diamonds over gate and bias."""

    charging_mev: float = 2.0
    gate_period_v: float = 0.04
    """How much more on its gate brings one electron more."""
    thermal_mev: float = 0.02
    tunnel_rate_hz: float = 2e9

    def current(self, gate_v: float, bias_v: float) -> float:
        """Return the current from source to drain in A, by the master equation of its electron number."""
        induced = gate_v / self.gate_period_v
        first = math.floor(induced) - _STATES
        half_bias = bias_v * 1e3 / 2.0
        weights, flows, weight = [1.0], list[tuple[float, float]](), 1.0
        for number in range(first, first + 2 * _STATES + 1):
            level = self.charging_mev * (number + 0.5 - induced)
            source, drain = self._filled(level - half_bias), self._filled(level + half_bias)
            flows.append((source, 1.0 - source))
            weight *= max(source + drain, 1e-30) / max(2.0 - source - drain, 1e-30)
            weights.append(weight)
        total = math.fsum(weights)
        net = math.fsum(
            (into * weights[k] - out * weights[k + 1]) / total for k, (into, out) in enumerate(flows)
        )  # fmt: skip
        return ELEMENTARY_CHARGE_C * self.tunnel_rate_hz * net

    def _filled(self, mev: float) -> float:
        return 1.0 / (1.0 + math.exp(min(max(mev / self.thermal_mev, -300.0), 300.0)))


@final
@dataclass(frozen=True, slots=True)
class DoubleDot:
    """Two dots that feel each other and both gates; a sensor beside them feels their electrons."""

    charging_mev: tuple[float, float] = (2.0, 2.2)
    mutual_mev: float = 0.5
    gate_period_v: tuple[float, float] = (0.04, 0.042)
    cross_talk: float = 0.15
    """How much of one gate's effect the other gate has on its dot."""
    thermal_mev: float = 0.05

    def electrons(self, gates_v: tuple[float, float]) -> tuple[float, float]:
        """Return the mean numbers of electrons on both dots; never less than none."""
        first_v, second_v = gates_v
        wanted = (
            max((first_v + self.cross_talk * second_v) / self.gate_period_v[0], 0.0),
            max((second_v + self.cross_talk * first_v) / self.gate_period_v[1], 0.0),
        )
        pairs = [(n, m) for n in _around(wanted[0]) for m in _around(wanted[1])]
        energies = [self._energy(n - wanted[0], m - wanted[1]) for n, m in pairs]
        least = min(energies)
        weights = [math.exp(-(energy - least) / self.thermal_mev) for energy in energies]
        total = math.fsum(weights)
        first = math.fsum(weight * n for weight, (n, _) in zip(weights, pairs, strict=True)) / total
        second = math.fsum(weight * m for weight, (_, m) in zip(weights, pairs, strict=True)) / total
        return first, second

    def _energy(self, first: float, second: float) -> float:
        one, two = self.charging_mev
        return 0.5 * one * first**2 + 0.5 * two * second**2 + self.mutual_mev * first * second


def _around(number: float) -> range:
    return range(max(math.floor(number) - 1, 0), math.floor(number) + 3)


@final
class Drift:
    """Charge noise with a spectrum like 1/f, from 0.5 s to an hour: the same for the same seed."""

    def __init__(self, seed: str, amplitude: float) -> None:
        rng = random.Random(seed)  # noqa: S311 - noise, not a secret
        periods = [0.5 * 2.0**k for k in range(14)]
        self._tones = [(2.0 * math.pi / (period * rng.uniform(0.8, 1.2)), rng.uniform(0, 6.3)) for period in periods]
        self._scale = amplitude * math.sqrt(2.0 / len(periods))

    def at(self, now: float) -> float:
        """Return its value at bench time `now`; its standard deviation is the amplitude."""
        return self._scale * math.fsum(math.sin(rate * now + phase) for rate, phase in self._tones)


class Transfer(Part):
    """A box with an amplifier in it: the voltage of its output is a law of its inputs' voltages (to ground) and time.

    Its inputs draw no current; its output has 50 ohm.
    """

    nonlinear = True

    def __init__(self, output: str, inputs: Sequence[str], law: Callable[[Sequence[float], float], float]) -> None:
        super().__init__(output, "gnd", *inputs)
        self._law = law
        self._now = 0.0
        self._inputs: list[int] = []
        self._volts = 0.0

    def place(self, columns: list[int], branch: int) -> None:
        """Take over the columns of the inputs, too."""
        super().place(columns, branch)
        self._inputs = columns[2:]

    def prepare(self, now: float) -> bool:
        """Follow the time."""
        before, self._now = self._now, now
        return now != before

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add a source of what the guessed inputs give."""
        self._volts = self._law([guess[column] for column in self._inputs], self._now)
        self._add_conductance(rows, 0.02)
        self._add_current(right, -0.02 * self._volts)

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self.across(solution)
        self.current = 0.02 * (self.voltage - self._volts)


@final
class QuantumDot(Transfer):
    """A dot with an amplifier behind it: `out` is `volts_per_amp` times the current that gate and bias let through.

    The dot sees `bias_divider` of the voltage at its bias terminal. Parts that name the same `drift` share one slow
    charge noise, of `drift_v` (standard deviation, at the gate); `seed` repeats it.
    """

    terminal_names = ("out", "gate", "bias")

    def __init__(
        self,
        out: str,
        gate: str,
        bias: str,
        *,
        volts_per_amp: float = 1e9,
        bias_divider: float = 1e-3,
        charging_mev: float = 2.0,
        gate_period_v: float = 0.04,
        thermal_mev: float = 0.02,
        tunnel_rate_hz: float = 2e9,
        drift_v: float = 0.0,
        drift: str = "charge",
        seed: int = 0,
    ) -> None:
        dot = Dot(charging_mev, gate_period_v, thermal_mev, tunnel_rate_hz)
        noise = Drift(f"{seed}/{drift}", drift_v)

        def current(inputs: Sequence[float], now: float) -> float:
            gate_v, bias_v = inputs
            return volts_per_amp * dot.current(gate_v + noise.at(now), bias_v * bias_divider)

        super().__init__(out, (gate, bias), current)


@final
class ChargeSensor(Transfer):
    """A sensor beside a double dot: `out` falls by `step_v` for each electron that comes to dot 1 or 2.

    It also sees `slope` of the gates' voltages by itself. `drift_v`, `drift` and `seed` as for `QuantumDot`.
    """

    terminal_names = ("out", "gate1", "gate2")

    def __init__(
        self,
        out: str,
        gate1: str,
        gate2: str,
        *,
        step_v: tuple[float, float] = (0.02, 0.015),
        slope: float = 0.1,
        charging_mev: tuple[float, float] = (2.0, 2.2),
        mutual_mev: float = 0.5,
        gate_period_v: tuple[float, float] = (0.04, 0.042),
        cross_talk: float = 0.15,
        thermal_mev: float = 0.05,
        drift_v: float = 0.0,
        drift: str = "charge",
        seed: int = 0,
    ) -> None:
        pair = DoubleDot(charging_mev, mutual_mev, gate_period_v, cross_talk, thermal_mev)
        noise = Drift(f"{seed}/{drift}", drift_v)

        def charge(inputs: Sequence[float], now: float) -> float:
            first_v, second_v = inputs
            shift = noise.at(now)
            first, second = pair.electrons((first_v + shift, second_v))
            return 1.0 + slope * (first_v + second_v + shift) - step_v[0] * first - step_v[1] * second

        super().__init__(out, (gate1, gate2), charge)
