"""Which wave a generator's settings mean, with its bursts, sweeps, modulation and sync pulses."""

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from labnb.sim.models.generator_arbitrary import GeneratorArbitrary
from labnb.sim.waves import Course, Shape, Sweep, Wave, modulated_turns, points, pulse, ramp, sine, square

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

NOISE_POINTS = 4096
SYNC_V = 3.3
_MODULATING: dict[str, Shape] = {
    "SIN": sine, "SQU": square(), "TRI": ramp(0.5), "RAMP": ramp(1.0), "NRAM": ramp(0.0),
}  # fmt: skip


class GeneratorWaves(GeneratorArbitrary):
    """The waves of a generator."""

    def __init__(self, bench: "Bench", name: str, address: str) -> None:
        super().__init__(bench, name, address)
        self.fired = {1: math.inf, 2: math.inf}
        """When the burst or sweep that waits for a trigger has begun."""
        self.gates: dict[int, tuple[float, float]] = {}
        """When the gate of a channel was opened and closed last."""

    def signed_offset(self, channel: int) -> float:
        """Return the offset in V that the source itself has."""
        sign = -1.0 if self.polarity(channel) == "INV" else 1.0
        return sign * self.doubling(channel) * self.offset(channel)

    def wave(self, channel: int) -> Wave | None:
        """Return what the output gives when it is on; None for a constant voltage."""
        if self.function(channel) == "DC":
            return None
        sign = -1.0 if self.polarity(channel) == "INV" else 1.0
        plain = Wave(
            shape=self._shape(channel),
            frequency=self._frequency(channel),
            amplitude=sign * self.doubling(channel) * self.amplitude(channel) / 2.0,
            offset=self.signed_offset(channel),
            phase=self.phase(channel) / 360.0,
        )
        return self._changed_wave(channel, plain)

    def _changed_wave(self, channel: int, plain: Wave) -> Wave:
        """Return `plain` as a burst, swept or modulated."""
        if self.burst(channel):
            start, cycles, again_s = self._burst(channel, plain.frequency)
            phase = plain.phase + self.burst_phase(channel) / 360.0
            return replace(plain, phase=phase, start=start, cycles=cycles, burst_s=again_s)
        if self.sweep(channel):
            return self._swept_wave(channel, plain)
        if self.am(channel):
            envelope = self._envelope(channel)
            return replace(plain, repeats_s=max(1.0 / self.am_frequency(channel), plain.period_s), envelope=envelope)
        if self.fm(channel):
            rate, deviation = self.fm_frequency(channel), min(self.fm_deviation(channel), plain.frequency)
            turns = modulated_turns(plain.frequency, deviation, _MODULATING[self.fm_shape(channel)], rate)
            repeats_s = max(1.0 / rate, 1.0 / plain.frequency)
            return replace(plain, frequency=plain.frequency + deviation, turns=turns, repeats_s=repeats_s)
        return plain

    def _envelope(self, channel: int) -> Course:
        """Return by what AM multiplies the amplitude: half of it without modulation, all of it at its height."""
        shape, rate = _MODULATING[self.am_shape(channel)], self.am_frequency(channel)
        depth = self.am_depth(channel) / 100.0

        def envelope(since: float) -> float:
            return 0.5 * (1.0 + depth * shape((since * rate) % 1.0))

        return envelope

    def _swept_wave(self, channel: int, plain: Wave) -> Wave:
        sweep = Sweep(
            self.sweep_start(channel), self.sweep_stop(channel), self.sweep_time(channel), self.sweep_hold(channel),
            self.sweep_return(channel), self.sweep_spacing(channel) == "LOG",
            once=self.trigger_source(channel) in ("BUS", "EXT"),
        )  # fmt: skip
        start = self.fired[channel] if sweep.once and self.fired[channel] < math.inf else 0.0
        waits = sweep.once and self.fired[channel] == math.inf
        return replace(
            plain, frequency=sweep.begin if waits else max(sweep.begin, sweep.end), start=start,
            turns=None if waits else sweep.turns, repeats_s=0.0 if waits else sweep.cycle_s,
        )  # fmt: skip

    def _burst(self, channel: int, frequency: float) -> tuple[float, float, float]:
        """Return when a burst begins, how many cycles it has, and after how long it begins again; 0 for never."""
        if self.burst_mode(channel) == "GAT":
            opened, closed = self.gates.get(channel, (math.inf, math.inf))
            length = math.ceil((closed - opened) * frequency - 1e-9) if closed < math.inf else math.inf
            return opened, length if opened < math.inf else 1.0, 0.0
        cycles, source = self.burst_cycles(channel), self.trigger_source(channel)
        if source in ("BUS", "EXT"):
            fired = self.fired[channel]
            return fired, cycles if fired < math.inf else 1.0, 0.0
        again_s = self.trigger_timer(channel) if source == "TIM" else self.burst_period(channel)
        return 0.0, cycles, max(again_s, cycles / frequency) if cycles < math.inf else 0.0

    def _frequency(self, channel: int) -> float:
        if self.function(channel) == "ARB":
            return self.arb_rate(channel) / len(self.levels(channel))
        if self.function(channel) == "NOIS":
            return 1e6 / NOISE_POINTS
        return self.frequency(channel)

    def _shape(self, channel: int) -> Shape:
        function = self.function(channel)
        if function == "SIN":
            return sine
        if function == "SQU":
            return square(self.duty(channel) / 100.0)
        if function in ("RAMP", "TRI"):
            return ramp(self.symmetry(channel) / 100.0 if function == "RAMP" else 0.5)
        if function == "PULS":
            frequency = self.frequency(channel)
            return pulse(self.pulse_width_s(channel) * frequency, self.pulse_edge(channel) * frequency)
        if function == "NOIS":
            return points([max(-1.0, min(1.0, self.rng.gauss(0.0, 0.3))) for _ in range(NOISE_POINTS)])
        return points(self.levels(channel))

    # --- sync ---

    def sync_wave(self) -> Wave:
        """Return the sync output's wave: high in the first half of a period, a burst or a sweep."""
        channel = int(self.sync_source()[-1])
        wave = self.wave(channel)
        sign = -1.0 if self.sync_polarity() == "INV" else 1.0
        amplitude, offset = sign * SYNC_V / 2.0, SYNC_V / 2.0
        if wave is None:
            return Wave(square(), 1e-6, amplitude, offset)
        if wave.burst_s:
            high = wave.cycles / wave.frequency / wave.burst_s
            return Wave(square(high), 1.0 / wave.burst_s, amplitude, offset)
        if self.sweep(channel) and wave.turns is not None:
            return Wave(square(), 1.0 / wave.period_s, amplitude, offset, start=wave.start)
        if wave.cycles < math.inf:
            return Wave(_low_at_rest, wave.frequency / wave.cycles, amplitude, offset, start=wave.start, cycles=1.0)
        return Wave(square(), self._frequency(channel), amplitude, offset, phase=wave.phase)

    def next_sync(self, after: float, *, rising: bool) -> float:
        """Return the bench time of the first edge of the sync output later than `after`; infinity without one."""
        wave = self.sync_wave()
        if not self.sync() or math.isinf(wave.start):
            return math.inf
        rising = rising == (self.sync_polarity() == "NORM")
        channel = int(self.sync_source()[-1])
        driven = self.wave(channel)
        if driven is None:
            return math.inf
        if driven.cycles < math.inf and not driven.burst_s:  # one burst
            edge = driven.start + (0.0 if rising else driven.cycles / driven.frequency)
            return edge if edge > after else math.inf
        duty = driven.cycles / driven.frequency / driven.burst_s if driven.burst_s else 0.5
        period = 1.0 / wave.frequency
        first = wave.start + (-wave.phase % 1.0 + (0.0 if rising else duty)) * period
        whole = math.floor((after - first) / period + 1e-9) + 1
        return first + whole * period


def _low_at_rest(phase: float) -> float:
    return 1.0 if phase else -1.0
