"""Which semiconductors there are besides the diode: LED, solar cell, bipolar transistor, MOSFET.

Sources: Ebers and Moll, Proc. IRE 42 (1954) 1761, in the transport form of SPICE2 (Nagel 1975, section A1);
Shichman and Hodges, IEEE JSSC 3 (1968) 285 (SPICE's level 1).
"""

from collections.abc import Callable
from typing import final

from labnb.sim.diode_law import BOLTZMANN_V_PER_K, T0_K, Junction
from labnb.sim.parts import Column, Diode, Part, Rows


@final
class Led(Diode):
    """A light-emitting diode, by default a red one: 1.8 V at 10 mA; `lumens` are proportional to its current."""

    def __init__(
        self,
        first: str,
        second: str = "gnd",
        *,
        saturation_a: float = 1e-17,
        ideality: float = 2.0,
        gap_ev: float = 1.9,
        lumens_per_amp: float = 60.0,
        temperature: float | Callable[[float], float] = T0_K,
    ) -> None:
        super().__init__(
            first, second, saturation_a=saturation_a, ideality=ideality, gap_ev=gap_ev, temperature=temperature
        )  # fmt: skip
        self._lumens_per_amp = lumens_per_amp

    @property
    def lumens(self) -> float:
        """The light that it gives now."""
        return max(self.current, 0.0) * self._lumens_per_amp


@final
class SolarCell(Part):
    """`cells` in series: a junction that light drives backwards, i = cells' diode(v) - light * `photo_a`.

    `light` is in suns (1 kW/m2): a number, or a function of bench time. Current that it gives leaves the first node,
    so `current` (into it) is negative in the sun. It has no series or shunt resistance: add resistors.
    """

    terminal_names = ("+", "-")
    nonlinear = True

    def __init__(
        self,
        first: str,
        second: str = "gnd",
        *,
        photo_a: float = 0.1,
        saturation_a: float = 1e-9,
        ideality: float = 1.3,
        cells: int = 1,
        kelvin: float = T0_K,
        light: float | Callable[[float], float] = 1.0,
    ) -> None:
        super().__init__(first, second)
        self.photo_a = photo_a
        self._follow = light if callable(light) else None
        self.light = light(0.0) if callable(light) else light
        self._junction = Junction(saturation_a, cells * ideality * BOLTZMANN_V_PER_K * kelvin)

    def prepare(self, now: float) -> bool:
        """Take the light at `now`."""
        before = self.light
        if self._follow:
            self.light = self._follow(now)
        return self.light != before

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add the junction's tangent and the light's current."""
        siemens, amps = self._junction.tangent(self.across(guess))
        self._add_conductance(rows, siemens)
        self._add_current(right, amps - self.light * self.photo_a)

    def limited(self, guess: Column) -> bool:
        """Return whether the last stamp was taken elsewhere than at `guess`."""
        return abs(self._junction.volts - self.across(guess)) > 1e-12

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        self.voltage = self._junction.volts = self.across(solution)
        self.current = self._junction.current(self.voltage) - self.light * self.photo_a


class _ThreeTerminal(Part):
    """A part with a third node."""

    nonlinear = True

    def __init__(self, first: str, second: str, third: str) -> None:
        super().__init__(first, second, third)
        self.third = 0

    def place(self, columns: list[int], branch: int) -> None:
        """Take over the columns of three nodes."""
        super().place(columns, branch)
        self.third = columns[2]


@final
class BipolarTransistor(_ThreeTerminal):
    """An npn transistor, or with `polarity=-1` a pnp one. `current` is the collector's, `base_current` the base's."""

    terminal_names = ("collector", "base", "emitter")

    def __init__(
        self,
        collector: str,
        base: str,
        emitter: str = "gnd",
        *,
        polarity: int = 1,
        saturation_a: float = 1e-14,
        gain: float = 200.0,
        reverse_gain: float = 4.0,
        kelvin: float = T0_K,
    ) -> None:
        super().__init__(collector, base, emitter)
        self._sign = float(polarity)
        self._gains = (gain, reverse_gain)
        scale = BOLTZMANN_V_PER_K * kelvin
        self._forward, self._reverse = Junction(saturation_a, scale), Junction(saturation_a, scale)
        self.base_current = 0.0

    def _across(self, column: Column) -> tuple[float, float]:
        base = column[self.second]
        return self._sign * (base - column[self.third]), self._sign * (base - column[self.first])

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add both junctions' base currents, and the transport current from collector to emitter."""
        gain, reverse_gain = self._gains
        emitter_v, collector_v = self._across(guess)
        c, b, e = self.first, self.second, self.third
        forward_g, forward_a = self._forward.tangent(emitter_v)
        reverse_g, reverse_a = self._reverse.tangent(collector_v)
        self._branch(rows, right, (b, e), (b, e), forward_g / gain, forward_a / gain)
        self._branch(rows, right, (b, c), (b, c), reverse_g / reverse_gain, reverse_a / reverse_gain)
        self._branch(rows, right, (c, e), (b, e), forward_g, forward_a)
        self._branch(rows, right, (c, e), (b, c), -reverse_g, -reverse_a)

    def _branch(
        self, rows: Rows, right: Column, path: tuple[int, int], control: tuple[int, int], siemens: float, amps: float
    ) -> None:
        """Add a current along `path` that is `siemens` times the voltage over `control`, plus `amps`."""
        for node, sign in zip(path, (1.0, -1.0), strict=True):
            rows[node][control[0]] += sign * siemens
            rows[node][control[1]] -= sign * siemens
            right[node] -= sign * self._sign * amps

    def limited(self, guess: Column) -> bool:
        """Return whether the last stamp was taken elsewhere than at `guess`."""
        emitter_v, collector_v = self._across(guess)
        return abs(self._forward.volts - emitter_v) > 1e-12 or abs(self._reverse.volts - collector_v) > 1e-12

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        gain, reverse_gain = self._gains
        self._forward.volts, self._reverse.volts = self._across(solution)
        forward = self._forward.current(self._forward.volts)
        reverse = self._reverse.current(self._reverse.volts)
        self.voltage = solution[self.first] - solution[self.third]
        self.base_current = self._sign * (forward / gain + reverse / reverse_gain)
        self.current = self._sign * (forward - reverse - reverse / reverse_gain)


@final
class Mosfet(_ThreeTerminal):
    """An n-channel MOSFET, or with `polarity=-1` a p-channel one; `current` flows from drain to source.

    i = k (vgs - Vt)^2 / 2 (1 + lambda vds) in saturation. Drain and source change roles when vds is negative.
    """

    terminal_names = ("drain", "gate", "source")

    def __init__(
        self,
        drain: str,
        gate: str,
        source: str = "gnd",
        *,
        polarity: int = 1,
        threshold_v: float = 2.0,
        k_a_per_v2: float = 0.1,
        lambda_per_v: float = 0.0,
    ) -> None:
        super().__init__(drain, gate, source)
        self._sign = float(polarity)
        self._law = (threshold_v, k_a_per_v2, lambda_per_v)

    def _drain_current(self, gate_v: float, drain_v: float) -> tuple[float, float, float]:
        """Return the current and its slopes over gate and drain voltage, for `drain_v` >= 0."""
        threshold_v, k, modulation = self._law
        over = gate_v - threshold_v
        if over <= 0:
            return 0.0, 0.0, 0.0
        rise = 1.0 + modulation * drain_v
        if drain_v >= over:
            flat = 0.5 * k * over**2
            return flat * rise, k * over * rise, flat * modulation
        bent = k * (over * drain_v - 0.5 * drain_v**2)
        return bent * rise, k * drain_v * rise, k * (over - drain_v) * rise + bent * modulation

    def _at(self, column: Column) -> tuple[int, int, float, float]:
        """Return which column is the drain and which the source now, and the voltages over the source."""
        drain, source, sign = self.first, self.third, self._sign
        if sign * (column[drain] - column[source]) < 0:
            drain, source = source, drain
        return drain, source, sign * (column[self.second] - column[source]), sign * (column[drain] - column[source])

    def stamp(self, rows: Rows, right: Column, guess: Column, step_s: float) -> None:
        """Add the tangent at the guess."""
        drain, source, gate_v, drain_v = self._at(guess)
        amps, gate_slope, drain_slope = self._drain_current(gate_v, drain_v)
        rest = self._sign * (amps - gate_slope * gate_v - drain_slope * drain_v)
        for node, sign in ((drain, 1.0), (source, -1.0)):
            rows[node][self.second] += sign * gate_slope
            rows[node][drain] += sign * drain_slope
            rows[node][source] -= sign * (gate_slope + drain_slope)
            right[node] -= sign * rest

    def commit(self, solution: Column, step_s: float) -> None:
        """Take over the solution."""
        drain, _, gate_v, drain_v = self._at(solution)
        amps = self._sign * self._drain_current(gate_v, drain_v)[0]
        self.current = amps if drain == self.first else -amps
        self.voltage = solution[self.first] - solution[self.third]
