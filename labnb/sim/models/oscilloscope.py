"""What a four-channel oscilloscope does, after Keysight's InfiniiVision 1200 X-Series Programmer's Guide."""

import json
from typing import TYPE_CHECKING, ClassVar, cast, final

from labnb.sim.instrument import Operation, command
from labnb.sim.models.scope_measurements import HEADERS, MEASUREMENTS, combined, delay, phase, spectrum
from labnb.sim.models.scope_record import Trace, picture
from labnb.sim.models.scope_sweeps import SAMPLES, ScopeSweeps
from labnb.sim.scpi import OVERLOAD, Call, encode_block, format_number
from labnb.sim.settings import Key, Setting
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

_RUNNING = 8
_FIELDS = ("COUNt", "XINCrement", "XORigin", "XREFerence", "YINCrement", "YORigin", "YREFerence")  # fmt: skip
_TIMED = ("FREQ", "PER", "RIS", "FALL", "PWID", "NWID", "DUTY", "NDUT")
"""What can be measured of a clipped trace, too."""


@final
class Oscilloscope(ScopeSweeps):
    """Keysight DSOX1204G: four inputs of 1 Mohm; 8 divisions of 25 codes, 10 divisions of 100 samples.

    A sweep looks for its trigger for twice the time that the screen shows; without one it is shown as it is (`TRIG:SWE
    AUTO`) or another is begun (`NORM`). While the scope runs, each question about its data is answered by a new sweep.
    `generator` are the nodes of the generator inside (`:WGEN`).
    """

    identity = "KEYSIGHT TECHNOLOGIES,DSOX1204G,CN61200123,02.12.2021071625"
    terminal_names: ClassVar = {
        "inputs": (("1", "1-"), ("2", "2-"), ("3", "3-"), ("4", "4-")), "generator": ("wgen", "wgen-"),
    }  # fmt: skip

    def __init__(
        self, bench: "Bench", name: str, address: str, *,
        inputs: tuple[tuple[str, str], ...], generator: tuple[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Connect each input, and the generator if it is used, to two nodes of the bench's circuit."""
        super().__init__(bench, name, address, inputs=inputs, generator=generator)
        self._sweeps = True
        self._memories: dict[str, Trace] = {}

    def reset(self) -> None:
        """Run with channel 1 shown, 1 V and 0.1 ms a division."""
        super().reset()
        self._sweeps = True

    # --- sweeps ---

    def _fresh(self, *sources: str) -> Operation:
        """Wait for the sweep that is going on; take one if the scope runs, or has not looked at `sources`."""
        channels = [int(source[-1]) for source in sources]
        yield from self.until_complete()
        if self._sweeps or any(channel not in self.traces for channel in channels):
            self.begin(self.sweep())
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
            self.begin(self.sweep())
            yield from self.until_complete()
        self.abort()
        self._sweeps = False
        return None

    @command("SINGle", "DIGitize")
    def _single(self, call: Call) -> None:
        """Take one sweep; `DIGitize` may name the channels to show, and computed traces."""
        self.abort()
        names = [word.upper() for word in call.arguments]
        chosen: set[str] = set()
        for name in names:
            chosen |= set(self.sources_of(type(self).wave_source.parse(name, "")))
        self.values |= {("shown", int(source[-1])): True for source in chosen}
        self._sweeps = False
        self.begin(self.sweep())

    @command("TRIGger:FORCe")
    def _force(self, call: Call) -> None:
        """Trigger now."""
        self.force()

    @command("AUToscale")
    def _autoscale(self, call: Call) -> Operation:
        """Show four periods of the slowest wave that is connected, and every channel in half the height."""
        self.abort()
        period = max(self.bench.circuit.period(part) for part in self.inputs.values())
        self.values["time_range", ""] = min(max(4 * period, 5e-8), 500.0) if period else 1e-3
        for channel in self.inputs:
            self.values["scale", channel], self.values["offset", channel] = 100.0, 0.0
            self.values["shown", channel] = True
        self.values["acquisition", ""], self.values["trigger_sweep", ""] = "HRES", "AUTO"
        yield from self.sweep()
        for channel, trace in self.traces.items():
            low, high = min(trace.volts), max(trace.volts)
            self.values["shown", channel] = high - low > 0.5
            self.values["scale", channel] = max((high - low) / 4.0, 5e-3)
            self.values["offset", channel] = (high + low) / 2.0
        source = next((channel for channel in self.inputs if self.shown(channel)), 1)
        self.values["trigger_source", ""] = f"CHAN{source}"
        self.values["trigger_level", ""] = self.offset(source)
        self.values["acquisition", ""] = "NORM"
        self._sweeps = True
        return None

    # --- what is asked of a sweep ---

    def _trace(self, source: str) -> Trace:
        """Return the trace of that name: a channel, a computed one or a memory. Raises -230."""
        if source.startswith("WMEM"):
            if source not in self._memories:
                raise ScpiError(-230, source)
            return self._memories[source]
        parts = [self.traces[int(each[-1])] for each in self.sources_of(source)]
        if source.startswith("CHAN"):
            return parts[0]
        if len(parts) == 1:
            return spectrum(parts[0], self.spectrum_window())
        return combined(self.operation(), *parts)

    def _wave(self) -> Trace:
        return self._trace(self.wave_source()).thinned(int(self.wave_points()))

    @command("WAVeform:PREamble?")
    def _ask_preamble(self, call: Call) -> Operation:
        yield from self._fresh(*self.sources_of(self.wave_source()))
        return self._wave().preamble(self.wave_form())

    @command("WAVeform:{}?", each=_FIELDS)
    def _ask_preamble_field(self, call: Call) -> Operation:
        """Answer one field of the preamble."""
        yield from self._fresh(*self.sources_of(self.wave_source()))
        fields = self._wave().preamble(self.wave_form()).split(",")
        names = ("COUN", "XINC", "XOR", "XREF", "YINC", "YOR", "YREF")
        return fields[3 + names.index(call.key)]

    @command("WAVeform:TYPE?")
    def _ask_type(self, call: Call) -> str:
        return self.acquisition()

    @command("WAVeform:DATA?")
    def _ask_data(self, call: Call) -> Operation:
        """Answer the samples as a block whose length has 8 digits."""
        yield from self._fresh(*self.sources_of(self.wave_source()))
        data = self._wave().data(
            self.wave_form(), big_endian=self.wave_order() == "MSBF", unsigned=self.wave_unsigned()
        )  # fmt: skip
        return encode_block(data, 8)

    @command("WMEMory#:SAVE")
    def _save(self, call: Call) -> None:
        """Keep a trace in reference memory 1 or 2."""
        call.require(1, 1)
        source = type(self).wave_source.parse(call.arguments[0], "")
        if not all(int(each[-1]) in self.traces for each in self.sources_of(source)):
            raise ScpiError(-230, source)
        self._memories[self._memory(call)] = self._trace(source)

    @command("WMEMory#:CLEar")
    def _forget(self, call: Call) -> None:
        self._memories.pop(self._memory(call), None)

    def _memory(self, call: Call) -> str:
        if call.suffixes[-1] not in (1, 2):
            raise ScpiError(-114, str(call.suffixes[-1]))
        return f"WMEM{call.suffixes[-1]}"

    def _measured_sources(self, call: Call, count: int) -> list[str]:
        """Return the channels that a measurement names; the chosen one if it names none."""
        names = [word for word in call.arguments if word.upper().startswith("CHAN")]
        sources = [type(self).measure_source.parse(name, "") for name in names[:count]]
        if not sources:
            sources = [self.measure_source()]
        self.values["measure_source", ""] = sources[0]
        return sources

    @command("MEASure:{}?", each=HEADERS)
    def _measure(self, call: Call) -> Operation:
        """Answer a measurement of a channel; 9.9E37 of a voltage that is clipped."""
        source = self._measured_sources(call, 1)[0]
        yield from self._fresh(source)
        trace = self._trace(source)
        if trace.clipped and call.key not in _TIMED:
            return format_number(OVERLOAD)
        value = MEASUREMENTS[call.key](trace)
        if call.key == "VRMS" and "AC" in [word.upper() for word in call.arguments]:
            value = max(value**2 - MEASUREMENTS["VAV"](trace) ** 2, 0.0) ** 0.5
        return format_number(value)

    @command("MEASure:{}?", each=("PHASe", "DELay"))
    def _measure_two(self, call: Call) -> Operation:
        """Answer how much the second channel is behind the first one."""
        sources = self._measured_sources(call, 2)
        if len(sources) < 2:
            sources.append("CHAN2" if sources[0] == "CHAN1" else "CHAN1")
        self.values |= {("shown", int(source[-1])): True for source in sources}
        yield from self._fresh(*sources)
        first, second = (self._trace(source) for source in sources)
        return format_number((phase if call.key == "PHAS" else delay)(first, second))

    @command("MEASure:{}", each=(*HEADERS, "PHASe", "DELay", "CLEar"))
    def _show_measurement(self, call: Call) -> None:
        """Accept: measurements are made when they are asked for."""

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
        yield from self._fresh(*self.sources_of(self.wave_source()))
        shown = {channel: trace for channel, trace in self.traces.items() if self.shown(channel)}
        return encode_block(picture(shown), 8)

    # --- state ---

    @command("OPERegister:CONDition?")
    def _ask_condition(self, call: Call) -> str:
        """Answer bit 3 while it runs or takes a sweep."""
        return str(_RUNNING if self._sweeps or self.busy else 0)

    @command("TER?")
    def _ask_triggered(self, call: Call) -> str:
        """Answer whether there was a trigger since this was asked last."""
        return "+1" if self.take_triggered() else "+0"

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
        """Take what `SYST:SET?` has answered, all of it or nothing."""
        if call.block is None:
            raise ScpiError(-109)
        try:
            stored = json.loads(call.block)
            values = {(str(name), key): self._checked_value(str(name), key, value) for name, key, value in stored}
        except (ValueError, TypeError) as error:
            raise ScpiError(-161) from error
        self.values = values
        self.drive_generator()

    def _checked_value(self, name: str, key: Key, value: object) -> object:
        """Return `value` if it is one that the setting `name` can have. Raises ValueError, ScpiError."""
        setting = getattr(type(self), name, None)
        if not isinstance(setting, Setting) or key not in setting.keys:
            raise ValueError(name)
        known = cast("Setting[object]", setting)  # values of several types stand in one file
        if type(value) is not type(known.default(key)):
            raise ValueError(name)
        return known.parse(known.format(value), key)
