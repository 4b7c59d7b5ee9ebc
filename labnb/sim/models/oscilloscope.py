"""What a four-channel oscilloscope does, after Keysight's InfiniiVision 1200 X-Series Programmer's Guide."""

import json
from collections.abc import Generator
from typing import TYPE_CHECKING, ClassVar, final

from labnb.sim.circuit import Tap
from labnb.sim.instrument import Operation, command
from labnb.sim.models.scope_record import CODES_A_DIVISION, MEASUREMENTS, MIDDLE, Trace, crossings, picture
from labnb.sim.models.scope_settings import ScopeSettings
from labnb.sim.parts import Resistor
from labnb.sim.scpi import OVERLOAD, Call, encode_block, format_number
from labnb.sim.settings import Setting
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

INPUT_OHM = 1e6
SAMPLES = 1000
"""Of one sweep. The converter has 8 bits; averaged and high-resolution sweeps have 12."""
NOISE_LSB = 0.05
_RUNNING = 8
_REFERENCE = {"LEFT": 0.1, "CENT": 0.5, "RIGH": 0.9}


@final
class Oscilloscope(ScopeSettings):
    """Keysight DSOX1204G: four inputs of 1 Mohm; 8 divisions of 25 codes, 10 divisions of 100 samples.

    A sweep looks for its trigger for twice the time that the screen shows; without one it is shown as it is (`TRIG:SWE
    AUTO`) or another is begun (`NORM`). While the scope runs, each question about its data is answered by a new sweep.
    """

    identity = "KEYSIGHT TECHNOLOGIES,DSOX1204G,CN61200123,02.12.2021071625"
    terminal_names: ClassVar = {"inputs": (("1", "1-"), ("2", "2-"), ("3", "3-"), ("4", "4-"))}

    def __init__(self, bench: "Bench", name: str, address: str, *, inputs: tuple[tuple[str, str], ...]) -> None:
        """Connect each input to two nodes of the bench's circuit."""
        if len(inputs) != self.channels:
            raise ValueError(f"{name}: {len(inputs)} pairs of nodes for {self.channels} inputs")
        super().__init__(bench, name, address)
        self._inputs = {channel: Resistor(*nodes, ohms=INPUT_OHM) for channel, nodes in enumerate(inputs, 1)}
        self._traces: dict[int, Trace] = {}
        self._sweeps = True
        self._triggered = False
        self._asleep = False
        bench.circuit.add(*self._inputs.values())
        bench.circuit.listen(self._wake)

    def reset(self) -> None:
        """Run with channel 1 shown, 1 V and 0.1 ms a division."""
        super().reset()
        self._traces = {}
        self._sweeps = True
        self._triggered = False

    # --- sweeps ---

    def _wanted(self) -> list[int]:
        """Return the channels that a sweep takes: those shown, and those that something is asked of."""
        named = {self.trigger_source(), self.wave_source(), self.measure_source()}
        return [channel for channel in self._inputs if self.shown(channel) or f"CHAN{channel}" in named]

    def _sweep(self) -> Operation:
        """Take sweeps until one counts."""
        circuit = self.bench.circuit
        interval_s = self.time_range() / SAMPLES
        self._asleep = False
        began = self.now
        lead: dict[int, list[float]] = {}
        while True:
            taps = self._tapped(interval_s)
            try:
                yield self.now + 2 * self.time_range()
                for part in self._inputs.values():
                    circuit.advance(self.now, part)
            finally:
                for tap in taps.values():
                    circuit.untap(tap)
            seen = {channel: self._seen(channel, lead.get(channel, []) + tap.samples) for channel, tap in taps.items()}
            edge = self._edge(seen[int(self.trigger_source()[-1])])
            self._triggered |= edge is not None
            if edge is not None or self.trigger_sweep() == "AUTO":
                self._keep(seen, edge, interval_s)
                return None
            lead = yield from self._rest(began)

    def _rest(self, began: float) -> Generator[float | None, None, dict[int, list[float]]]:
        """Wait before the next sweep; return what is known of the time before it.

        While no wave is connected nothing can trigger until something is changed, so sleep until then, and remember
        the steady voltages. A wave that does not reach the level is looked at ever more rarely.
        """
        if any(self.bench.circuit.period(self._inputs[channel]) for channel in self._wanted()):
            yield self.now + 0.5 * (self.now - began)
            return {}
        steady = {channel: [self._inputs[channel].voltage] * SAMPLES for channel in self._wanted()}
        self._asleep = True
        yield None
        return steady

    def _wake(self) -> None:
        """Go on with a sleeping sweep: something has been changed on the bench."""
        if self._asleep:
            self._asleep = False
            self.proceed()

    def _tapped(self, interval_s: float) -> dict[int, Tap]:
        taps: dict[int, Tap] = {}
        for channel in self._wanted():
            part = self._inputs[channel]
            taps[channel] = self.bench.circuit.tap(
                part, lambda part=part: part.voltage, start=self.now, interval_s=interval_s, count=2 * SAMPLES
            )  # fmt: skip
        return taps

    def _seen(self, channel: int, volts: list[float]) -> list[float]:
        """Return what the channel makes of its input: coupling, probe, polarity."""
        mean = sum(volts) / len(volts) if self.coupling(channel) == "AC" else 0.0
        factor = self.probe(channel) * (-1.0 if self.inverted(channel) else 1.0)
        return [factor * (each - mean) for each in volts]

    def _before(self) -> int:
        """Return how many samples come before the trigger."""
        early = _REFERENCE[self.time_reference()] * SAMPLES - self.time_position() / self.time_range() * SAMPLES
        return round(min(max(early, 0.0), float(SAMPLES - 1)))

    def _edge(self, volts: list[float]) -> float | None:
        """Return where the first trigger is that leaves room for a screen around it."""
        slope, level = self.trigger_slope(), self.trigger_level()
        hysteresis = 0.1 * self.scale(int(self.trigger_source()[-1]))
        found: list[float] = []
        if slope != "NEG":
            found += crossings(volts, level, hysteresis)
        if slope != "POS":
            found += crossings([-each for each in volts], -level, hysteresis)
        first = self._before()
        return min((edge for edge in found if first <= edge < first + SAMPLES), default=None)

    def _keep(self, seen: dict[int, list[float]], edge: float | None, interval_s: float) -> None:
        before = self._before()
        first = 0 if edge is None else int(edge) - before
        start = (first - (edge if edge is not None else float(before))) * interval_s
        self._traces = {
            channel: self._quantised(channel, volts[first : first + SAMPLES], start, interval_s)
            for channel, volts in seen.items()
        }

    def _quantised(self, channel: int, volts: list[float], start: float, interval_s: float) -> Trace:
        lsb, offset = self.scale(channel) / CODES_A_DIVISION, self.offset(channel)
        fine = 16.0 if self.acquisition() in ("HRES", "AVER") else 1.0
        step = lsb / fine
        low, high = -MIDDLE * lsb, (255 - MIDDLE) * lsb
        levels = tuple(
            offset + min(max(round((each - offset) / step + self.rng.gauss(0.0, NOISE_LSB)) * step, low), high)
            for each in volts
        )
        return Trace(levels, start, interval_s, lsb, offset, self.acquisition())

    def _fresh(self, channel: int) -> Operation:
        """Wait for the sweep that is going on; take one if the scope runs, or has not looked at `channel`."""
        yield from self.until_complete()
        if self._sweeps or channel not in self._traces:
            self.begin(self._sweep())
            yield from self.until_complete()
        return None

    @command("RUN")
    def _run(self, call: Call) -> None:
        self.abort()
        self._sweeps = True

    @command("STOP")
    def _stop(self, call: Call) -> Operation:
        """Keep the last sweep."""
        if self._sweeps and not self.busy:
            self.begin(self._sweep())
            yield from self.until_complete()
        self.abort()
        self._sweeps = False
        return None

    @command("SINGle", "DIGitize")
    def _single(self, call: Call) -> None:
        """Take one sweep; `DIGitize` may name the channels to show."""
        self.abort()
        names = [word.upper() for word in call.arguments]
        chosen = [channel for channel in self._inputs if {f"CHAN{channel}", f"CHANNEL{channel}"} & set(names)]
        if len(chosen) != len(names):
            raise ScpiError(-224, ",".join(names))
        for channel in chosen:
            self.values["shown", channel] = True
        self._sweeps = False
        self.begin(self._sweep())

    @command("AUToscale")
    def _autoscale(self, call: Call) -> Operation:
        """Show four periods of the slowest wave that is connected, and every channel in half the height."""
        period = max(self.bench.circuit.period(part) for part in self._inputs.values())
        self.values["time_range", ""] = min(max(4 * period, 5e-8), 500.0) if period else 1e-3
        for channel in self._inputs:
            self.values["scale", channel], self.values["offset", channel] = 100.0, 0.0
            self.values["shown", channel] = True
        self.values["acquisition", ""] = "HRES"
        yield from self._sweep()
        for channel, trace in self._traces.items():
            low, high = min(trace.volts), max(trace.volts)
            self.values["shown", channel] = high - low > 0.5
            self.values["scale", channel] = max((high - low) / 4.0, 5e-3)
            self.values["offset", channel] = (high + low) / 2.0
        source = next((channel for channel in self._inputs if self.shown(channel)), 1)
        self.values["trigger_source", ""] = f"CHAN{source}"
        self.values["trigger_level", ""] = self.offset(source)
        self.values["acquisition", ""] = "NORM"
        self._sweeps = True
        return None

    # --- what is asked of a sweep ---

    def _wave(self) -> Trace:
        trace = self._traces[int(self.wave_source()[-1])]
        return trace.thinned(int(self.wave_points()))

    @command("WAVeform:PREamble?")
    def _ask_preamble(self, call: Call) -> Operation:
        yield from self._fresh(int(self.wave_source()[-1]))
        return self._wave().preamble(self.wave_form())

    @command("WAVeform:DATA?")
    def _ask_data(self, call: Call) -> Operation:
        """Answer the samples as a block whose length has 8 digits."""
        yield from self._fresh(int(self.wave_source()[-1]))
        data = self._wave().data(
            self.wave_form(), big_endian=self.wave_order() == "MSBF", unsigned=self.wave_unsigned()
        )  # fmt: skip
        return encode_block(data, 8)

    @command("MEASure:{}?", each=("VPP", "VMAX", "VMIN", "VAMPlitude", "VAVerage", "VRMS", "FREQuency", "PERiod"))
    def _measure(self, call: Call) -> Operation:
        """Answer a measurement of a channel; 9.9E37 of a clipped one."""
        names = [word.upper() for word in call.arguments if word.upper().startswith("CHAN")]
        source = type(self).measure_source.parse(names[-1], "") if names else self.measure_source()
        channel = int(source[-1])
        self.values["measure_source", ""] = source
        yield from self._fresh(channel)
        trace = self._traces[channel]
        return format_number(OVERLOAD if trace.clipped else MEASUREMENTS[call.key](trace))

    @command("ACQuire:POINts?")
    def _ask_samples(self, call: Call) -> str:
        return str(SAMPLES)

    @command("ACQuire:SRATe?")
    def _ask_rate(self, call: Call) -> str:
        return format_number(SAMPLES / self.time_range())

    @command("DISPlay:DATA?")
    def _ask_picture(self, call: Call) -> Operation:
        """Answer the screen as a PNG file in a block."""
        if call.arguments and call.arguments[0].upper() != "PNG":
            raise ScpiError(-224, call.arguments[0])
        yield from self._fresh(int(self.wave_source()[-1]))
        shown = {channel: trace for channel, trace in self._traces.items() if self.shown(channel)}
        return encode_block(picture(shown), 8)

    # --- state ---

    @command("OPERegister:CONDition?")
    def _ask_condition(self, call: Call) -> str:
        """Answer bit 3 while it runs or takes a sweep."""
        return str(_RUNNING if self._sweeps or self.busy else 0)

    @command("TER?")
    def _ask_triggered(self, call: Call) -> str:
        """Answer whether there was a trigger since this was asked last."""
        triggered, self._triggered = self._triggered, False
        return "+1" if triggered else "+0"

    @command("SYSTem:PRESet")
    def _preset(self, call: Call) -> None:
        self.abort()
        self.reset()

    @command("SYSTem:SETup?")
    def _ask_setup(self, call: Call) -> bytes:
        stored = [[name, key, value] for (name, key), value in self.values.items()]
        return encode_block(json.dumps(stored).encode("ascii"), 8)

    @command("SYSTem:SETup")
    def _restore_setup(self, call: Call) -> None:
        """Take what `SYST:SET?` has answered."""
        if call.block is None:
            raise ScpiError(-109)
        try:
            stored = {(name, key): value for name, key, value in json.loads(call.block)}
        except (ValueError, TypeError) as error:
            raise ScpiError(-161) from error
        if not all(isinstance(getattr(type(self), name, None), Setting) for name, _ in stored):
            raise ScpiError(-161)
        self.values = stored
