"""Oscilloscopes of the Keysight InfiniiVision 1000 X-Series."""

from typing import TYPE_CHECKING

from labnb.core import LimitError, LinkTimeout, present_clock
from labnb.instruments.action import Action
from labnb.instruments.drivers.halting import HaltingInstrument
from labnb.instruments.drivers.scope_channel import ScopeChannel, choose
from labnb.instruments.drivers.trace import Screenshot, Trace, traces_of
from labnb.instruments.limits import Bounds, to_number
from labnb.instruments.reading import Reading, to_numbers

if TYPE_CHECKING:
    import xarray as xr

_RUNNING = 1 << 3  # of the operation condition register
_SLOPES = {"rising": "POS", "falling": "NEG", "either": "EITH"}
_REFERENCES = {"left": "LEFT", "center": "CENT", "right": "RIGH"}


class Oscilloscope(HaltingInstrument):
    """An oscilloscope with four channels.

    ```python
    await scope.channel(1).setup(scale=0.5, offset=0.0)
    await scope.timebase(range=2e-3)
    await scope.trigger(1, level=0.0, slope="rising")
    traces = await scope.read_channels(1, 2)             # xarray: volts, channel x time in s
    ripple = await scope.measure_voltage_peak_to_peak(1)
    ```
    What the screen cannot show is never a number: measurements of clipped or missing signals are NaN, clipped traces
    are marked. It drives nothing, so it is always safe.
    """

    models = ("DSOX1202A", "DSOX1202G", "DSOX1204A", "DSOX1204G")

    channel_numbers = (1, 2, 3, 4)

    _single = False  # what was begun last waits for one trigger

    def check_channel(self, number: object) -> None:
        """Raise LimitError if the oscilloscope has no channel `number`."""
        if self.identity.model.startswith("DSOX1202"):
            self.channel_numbers = (1, 2)
        super().check_channel(number)

    def channel(self, number: int) -> "ScopeChannel":
        """Return channel 1 to 4."""
        self.check_channel(number)
        return ScopeChannel(self, number)

    # ---- when to look

    def timebase(
        self,
        *,
        range: float | None = None,  # noqa: A002  the word on the instrument
        position: float | None = None,
        reference: str | None = None,
    ) -> Action[None]:
        """Show `range` seconds; `position` is the time at the `reference` ("left", "center", "right") from the trigger."""
        commands: list[str] = []
        values: dict[str, tuple[float, str]] = {}
        if range is not None:
            width = Bounds(2e-8, 500.0, "s", "range").check(range, f"{self.name} time range")
            commands.append(f":TIM:RANG {width!r}")
            values["time range"] = (width, "s")
        if reference is not None:
            commands.append(f":TIM:REF {choose(self, reference, _REFERENCES, 'time reference')}")
        if position is not None:
            start = Bounds(-500.0, 500.0, "s", "range").check(position, f"{self.name} time position")
            commands.append(f":TIM:POS {start!r}")
            values["time position"] = (start, "s")
        return self.act(self._apply, commands, values)

    def trigger(
        self, source: int, *, level: float | None = None, slope: str | None = None, wait: bool | None = None
    ) -> Action[None]:
        """Begin sweeps at an edge of channel `source` through `level` volts: "rising", "falling" or "either".

        `wait`: without such an edge, wait for ever (True), or show what there is (False). None leaves a setting as it is.
        """
        self.check_channel(source)
        commands = [":TRIG:MODE EDGE", f":TRIG:EDGE:SOUR CHAN{source}"]
        values: dict[str, tuple[float, str]] = {}
        if level is not None:
            volts = to_number(level, f"{self.name} trigger level")
            commands.append(f":TRIG:EDGE:LEV {volts!r}")
            values["trigger level"] = (volts, "V")
        if slope is not None:
            commands.append(f":TRIG:EDGE:SLOP {choose(self, slope, _SLOPES, 'slope')}")
        if wait is not None:
            commands.append(f":TRIG:SWE {'NORM' if wait else 'AUTO'}")
        return self.act(self._apply, commands, values)

    def run(self) -> Action[None]:
        """Take sweep after sweep."""
        return self.act(self._write, ":RUN")

    def stop(self) -> Action[None]:
        """Keep the last sweep."""
        return self.act(self._write, ":STOP")

    def single(self) -> Action[None]:
        """Take one sweep at the next trigger; reading waits for it."""
        return self.act(self._write, ":SINGle")

    def auto(self) -> Action[None]:
        """Find scales, timebase and trigger for what is connected."""
        return self.act(self._write, ":TRIG:SWE AUTO;:AUToscale")  # a sweep that waits would never end

    def _send_command(self, command: str) -> Action[None]:
        """Send a command of your own, as `write` does."""
        return self.write(command)

    def _write(self, command: str) -> None:
        super()._write(command)
        words = [unit.strip().lstrip(":").upper() for unit in command.split(";")]
        changes = [word for word in words if word.startswith(("SING", "RUN", "STOP", "DIG", "*RST", "AUT"))]
        if changes:
            self._single = changes[-1].startswith("SING")

    # ---- what was seen

    def read_channels(self, *channels: int, timeout_s: float = 4.0) -> "Action[xr.DataArray]":
        """Return one sweep of `channels` in V: dims channel, time; coordinates channel, time in s from the trigger.

        `time` is the screen's, the same for each sweep; `time + time_shift` is exact (see `traces_of`).

        All channels are of the same sweep: a scope that runs takes a new one and goes on, a single one is waited for,
        a stopped one gives what it holds. The coordinate `clipped` marks channels that went off the screen.
        Raises LinkTimeout if there is no trigger within `timeout_s`.
        """
        for number in channels:
            self.check_channel(number)
        if not channels or len(set(channels)) != len(channels):
            raise LimitError(f"{self.name}: read_channels(1, 2) takes different channels, got {channels}")
        return self.act(self._read, channels, timeout_s)

    def measure_voltage_peak_to_peak(self, channel: int) -> Action[Reading]:
        """Measure the voltage from peak to peak, in V."""
        return self._measure("VPP", channel, "V")

    def measure_voltage_max(self, channel: int) -> Action[Reading]:
        """Measure the highest voltage, in V."""
        return self._measure("VMAX", channel, "V")

    def measure_voltage_min(self, channel: int) -> Action[Reading]:
        """Measure the lowest voltage, in V."""
        return self._measure("VMIN", channel, "V")

    def measure_voltage_amplitude(self, channel: int) -> Action[Reading]:
        """Measure the voltage from base to top, in V."""
        return self._measure("VAMP", channel, "V")

    def measure_voltage_average(self, channel: int) -> Action[Reading]:
        """Measure the mean voltage, in V."""
        return self._measure("VAV", channel, "V")

    def measure_voltage_rms(self, channel: int) -> Action[Reading]:
        """Measure the RMS voltage, in V; the mean is part of it."""
        return self._measure("VRMS", channel, "V")

    def measure_frequency(self, channel: int) -> Action[Reading]:
        """Measure the frequency, in Hz; NaN without two rising edges on the screen."""
        return self._measure("FREQ", channel, "Hz")

    def measure_period(self, channel: int) -> Action[Reading]:
        """Measure the period, in s; NaN without two rising edges on the screen."""
        return self._measure("PER", channel, "s")

    def screenshot(self) -> Action[Screenshot]:
        """Return a picture of the screen."""
        return self.act(lambda: Screenshot(self.link.query_block(":DISP:DATA? PNG")))

    # ---- in the lane

    def _apply(self, commands: list[str], values: dict[str, tuple[float, str]]) -> None:
        for name in values:
            self.known.pop(name, None)  # unknown, should a command fail
        self.send(*commands)
        self.known.update(values)

    def _await_single(self, timeout_s: float) -> None:
        """Wait until the sweep that was begun is there."""
        deadline = present_clock().monotonic() + timeout_s
        while int(self.ask_number(":OPER:COND?")) & _RUNNING:
            if present_clock().monotonic() >= deadline:
                raise LinkTimeout(
                    f"{self.name} ({self.address}): no trigger within {timeout_s:g} s; check level and source of the "
                    "trigger, allow more by timeout_s, or trigger(..., wait=False)"
                )
            self.pause(2e-3)
        self._single = False

    def _read(self, channels: tuple[int, ...], timeout_s: float) -> "xr.DataArray":
        hidden = [number for number in channels if not self.ask_bool(f":CHAN{number}:DISP?")]
        if hidden:  # a sweep takes what is shown
            self.send(*(f":CHAN{number}:DISP ON" for number in hidden))
        runs = not self._single and bool(int(self.ask_number(":OPER:COND?")) & _RUNNING)
        try:
            if runs or hidden:
                self.send(":SINGle")
            self._await_single(timeout_s)
            return traces_of([self._trace(number) for number in channels], self._left())
        finally:
            if runs:
                self.send(":RUN")

    def _left(self) -> float:
        """Return the time from the trigger at the left edge of the screen, in s."""
        query = ":TIM:RANG?;POS?;REF?"
        answer = self.ask(query)
        numbers, _, reference = answer.rpartition(";")
        width, position = to_numbers(numbers.replace(";", ","), 2, f"{self.name} ({self.address}): {query!r}")
        return position - width * {"LEFT": 0.1, "RIGH": 0.9}.get(reference[:4], 0.5)

    def _trace(self, number: int) -> Trace:
        self.send(f":WAV:SOUR CHAN{number}", ":WAV:FORM WORD", ":WAV:BYT LSBF", ":WAV:UNS ON")
        fields = to_numbers(self.ask(":WAV:PRE?"), 10, f"{self.name} ({self.address}): ':WAV:PRE?'")
        return Trace(number, tuple(fields), self.link.query_block(":WAV:DATA?"))

    def _measure(self, what: str, channel: int, unit: str) -> Action[Reading]:
        self.check_channel(channel)
        return self.act(self._measured, f":MEAS:{what}? CHAN{channel}", unit)

    def _measured(self, query: str, unit: str) -> Reading:
        if self._single:
            self._await_single(4.0)
        number = to_numbers(self.ask(query), 1, f"{self.name} ({self.address}): {query!r}")[0]
        value = number if abs(number) < float("inf") else float("nan")  # 9.9E37 is "could not be measured" here
        return Reading(value, unit, present_clock().time_ns() / 1e9)
