"""How an oscilloscope takes sweeps: sampling, trigger, averaging, peak detection."""

import math
import statistics
from collections.abc import Generator
from typing import TYPE_CHECKING

from labnb.sim.circuit import Tap
from labnb.sim.instrument import Operation
from labnb.sim.models.scope_generator import ScopeGenerator
from labnb.sim.models.scope_record import CODES_A_DIVISION, MIDDLE, Trace, crossings
from labnb.sim.parts import Resistor

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

INPUT_OHM = 1e6
SAMPLES = 1000
"""Of one sweep. The converter has 8 bits; averaged and high-resolution sweeps have 12."""
OVERSAMPLING = 4
"""How many looks peak detection and high resolution have for each sample."""
NOISE_LSB, NOISE_V = 0.05, 1.5e-4
"""Standard deviations of the converter and of the amplifier before it."""
HIGH_RESOLUTION_AVERAGES = 16
REAL_AVERAGES = 4
"""An average of more sweeps looks at so many, and takes as long and has as little noise as if it had looked at all."""
_REFERENCE = {"LEFT": 0.1, "CENT": 0.5, "RIGH": 0.9}

_Seen = dict[int, list[float]]


class ScopeSweeps(ScopeGenerator):
    """The sweeps of a four-channel oscilloscope."""

    def __init__(
        self, bench: "Bench", name: str, address: str, *,
        inputs: tuple[tuple[str, str], ...], generator: tuple[str, str] | None,
    ) -> None:  # fmt: skip
        if len(inputs) != self.channels:
            raise ValueError(f"{name}: {len(inputs)} pairs of nodes for {self.channels} inputs")
        super().__init__(bench, name, address, generator=generator)
        self.inputs = {channel: Resistor(*nodes, ohms=INPUT_OHM) for channel, nodes in enumerate(inputs, 1)}
        self.traces: dict[int, Trace] = {}
        self._triggered = False
        self._forced = False
        self._asleep = False
        bench.circuit.add(*self.inputs.values())
        bench.circuit.listen(self._wake)

    def reset(self) -> None:
        """Forget all sweeps."""
        super().reset()
        self.traces = {}
        self._triggered = self._forced = False

    def take_triggered(self) -> bool:
        """Return whether there was a trigger since this was asked last."""
        triggered, self._triggered = self._triggered, False
        return triggered

    def force(self) -> None:
        """Let the sweep that waits for its trigger wait no more."""
        self._forced = True
        self._wake()

    def _wanted(self) -> list[int]:
        """Return the channels that a sweep takes: those shown, and those that something is asked of."""
        named = {self.trigger_source(), self.measure_source(), *self.sources_of(self.wave_source())}
        return [channel for channel in self.inputs if self.shown(channel) or f"CHAN{channel}" in named]

    def sources_of(self, name: str) -> tuple[str, ...]:
        """Return the channels that a trace of this name is made of."""
        if name.startswith("CHAN"):
            return (name,)
        if name == "FFT":
            return (self.spectrum_source(),)
        if name in ("FUNC", "MATH"):
            return (self.operand(),) if self.operation() == "FFT" else (self.operand(), self.second_operand())
        return ()

    # --- sweeps ---

    def sweep(self) -> Operation:
        """Take sweeps until one counts; of an average as many as it needs."""
        count = int(self.averages()) if self.acquisition() == "AVER" else 1
        taken: list[_Seen] = []
        starts: list[float] = []
        for _ in range(min(count, REAL_AVERAGES)):
            seen, start = yield from self._one_sweep()
            taken.append(seen)
            starts.append(start)
        if count > len(taken):
            yield self.now + (count - len(taken)) * 2 * self.time_range()
        start = statistics.fmean(starts)
        self.traces = {
            channel: self._quantised(channel, [statistics.fmean(each) for each in zip(*(one[channel] for one in taken), strict=True)], start)
            for channel in taken[0]
            if all(channel in one for one in taken)
        }  # fmt: skip
        return None

    def _one_sweep(self) -> Generator[float | None, None, tuple[_Seen, float]]:
        """Return the samples of a sweep by channel, and the first one's time from the trigger."""
        began, self._asleep, self._forced = self.now, False, False
        lead: _Seen = {}
        while True:
            samples = yield from self._samples()
            seen = {channel: self._seen(channel, lead.get(channel, []) + volts) for channel, volts in samples.items()}
            edge = self._edge(seen[int(self.trigger_source()[-1])])
            self._triggered |= edge is not None
            if edge is not None or self._forced or self.trigger_sweep() == "AUTO":
                return self._screen(seen, edge)
            lead = yield from self._rest(began)

    def _samples(self) -> Generator[float | None, None, _Seen]:
        """Return what stands at the inputs for twice the time that the screen shows."""
        circuit, fine = self.bench.circuit, OVERSAMPLING if self.acquisition() in ("PEAK", "HRES") else 1
        taps = self._tapped(self.time_range() / SAMPLES / fine, 2 * SAMPLES * fine)
        try:
            yield self.now + 2 * self.time_range()
            for part in self.inputs.values():
                circuit.advance(self.now, part)
        finally:
            for tap in taps.values():
                circuit.untap(tap)
        return {channel: self._thinned(tap.samples, fine) for channel, tap in taps.items()}

    def _thinned(self, looks: list[float], fine: int) -> list[float]:
        """Return one value for each sample: the look itself, the mean of several, or their ends in turn."""
        if fine == 1:
            return looks
        if self.acquisition() == "HRES":
            return [statistics.fmean(looks[k : k + fine]) for k in range(0, len(looks), fine)]
        pairs = [looks[k : k + 2 * fine] for k in range(0, len(looks), 2 * fine)]
        return [end for pair in pairs for end in (min(pair), max(pair))]

    def _rest(self, began: float) -> Generator[float | None, None, _Seen]:
        """Wait before the next sweep; return what is known of the time before it.

        While no wave is connected nothing can trigger until something is changed, so sleep until then, and remember
        the steady voltages. A wave that does not reach the level is looked at ever more rarely.
        """
        if any(self.bench.circuit.period(self.inputs[channel]) for channel in self._wanted()):
            yield self.now + 0.5 * (self.now - began)
            return {}
        steady = {channel: [self.inputs[channel].voltage] * SAMPLES for channel in self._wanted()}
        self._asleep = True
        while self._asleep:
            yield None
        return steady

    def _wake(self) -> None:
        """Go on with a sleeping sweep: something has been changed on the bench."""
        if self._asleep:
            self._asleep = False
            self.proceed()

    def abort(self) -> None:
        """End the sweep."""
        self._asleep = False
        super().abort()

    def _tapped(self, interval_s: float, count: int) -> dict[int, Tap]:
        taps: dict[int, Tap] = {}
        for channel in self._wanted():
            part = self.inputs[channel]
            taps[channel] = self.bench.circuit.tap(
                part, lambda part=part: part.voltage, start=self.now, interval_s=interval_s, count=count
            )  # fmt: skip
        return taps

    def _seen(self, channel: int, volts: list[float]) -> list[float]:
        """Return what the channel makes of its input: coupling, probe, polarity."""
        mean = sum(volts) / len(volts) if self.coupling(channel) == "AC" else 0.0
        factor = self.probe(channel) * (-1.0 if self.inverted(channel) else 1.0)
        return [factor * (each - mean) for each in volts]

    # --- trigger ---

    def _before(self) -> int:
        """Return how many samples come before the trigger."""
        early = _REFERENCE[self.time_reference()] * SAMPLES - self.time_position() / self.time_range() * SAMPLES
        return round(min(max(early, 0.0), float(SAMPLES - 1)))

    def _edge(self, volts: list[float]) -> float | None:
        """Return where the first trigger is that leaves room for a screen around it."""
        slope, level = self.trigger_slope(), self.trigger_level()
        level += 0.0 if self.trigger_coupling() == "DC" else statistics.fmean(volts)
        hysteresis = 0.1 * self.scale(int(self.trigger_source()[-1]))
        found: list[float] = []
        if slope != "NEG":
            found += crossings(volts, level, hysteresis)
        if slope != "POS":
            found += crossings([-each for each in volts], -level, hysteresis)
        first = self._before()
        return min((edge for edge in found if first <= edge < first + SAMPLES), default=None)

    def _screen(self, seen: _Seen, edge: float | None) -> tuple[_Seen, float]:
        """Return the samples around the trigger, and the first one's time from it."""
        before = self._before()
        first = 0 if edge is None else int(edge) - before
        start = (first - (edge if edge is not None else float(before))) * self.time_range() / SAMPLES
        return {channel: volts[first : first + SAMPLES] for channel, volts in seen.items()}, start

    # --- converter ---

    def _averages(self) -> int:
        kind = self.acquisition()
        return int(self.averages()) if kind == "AVER" else HIGH_RESOLUTION_AVERAGES if kind == "HRES" else 1

    def _quantised(self, channel: int, volts: list[float], start: float) -> Trace:
        lsb, offset = self.scale(channel) / CODES_A_DIVISION, self.offset(channel)
        step = lsb / (16.0 if self.acquisition() in ("HRES", "AVER") else 1.0)
        sigma = math.hypot(NOISE_LSB * lsb, NOISE_V * self.probe(channel)) / math.sqrt(self._averages())
        low, high = -MIDDLE * lsb, (255 - MIDDLE) * lsb
        levels = tuple(
            offset + min(max(round((each - offset + self.rng.gauss(0.0, sigma)) / step) * step, low), high)
            for each in volts
        )
        count = self._averages() if self.acquisition() == "AVER" else 1
        return Trace(levels, start, self.time_range() / SAMPLES, lsb, offset, self.acquisition(), count)
