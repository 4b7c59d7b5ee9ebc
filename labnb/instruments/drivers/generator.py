"""Waveform generators of the Keysight EDU33210 and 33500B families."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

from labnb.core import LimitError, LinkError, unknown
from labnb.instruments.action import Action
from labnb.instruments.drivers.part import Part
from labnb.instruments.drivers.wave import FUNCTIONS, UNTIMED, Wave
from labnb.instruments.facet import Facet
from labnb.instruments.guard import Setting
from labnb.instruments.instrument import Instrument
from labnb.instruments.limits import Bounds, to_number

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# The highest frequencies of sine, square and pulse in Hz, and the highest sample rate in 1/s (data sheets).
_RATINGS: dict[str, tuple[dict[str, float], float]] = {
    "EDU33212A": ({"sine": 20e6, "square": 10e6, "pulse": 10e6}, 250e6),
    "33512B": ({"sine": 20e6, "square": 20e6, "pulse": 20e6}, 160e6),
    "33522B": ({"sine": 30e6, "square": 30e6, "pulse": 30e6}, 250e6),
}
_NAMES = {word: name for name, word in FUNCTIONS.items()}
_LONGEST = 1_000_000
_FULL_SCALE = 32767
_ARBITRARY = "LABNB"


class Generator(Instrument):
    """A generator with two outputs of 50 Ohm.

    ```python
    awg.channel(1).limit(voltage=(0, 3.3))       # holds for the lowest and the highest voltage at the load
    await awg.channel(1).set(function="square", frequency=1e3, amplitude=3, offset=1.5).on()
    ```
    Amplitudes are in V from peak to peak across the load that `set_load` declares (50 Ohm unless told otherwise):
    an open output gives twice as much. Its safe state: both outputs off.
    """

    models = tuple(_RATINGS)
    safe_state = ("OUTP1 OFF", "OUTP2 OFF")
    channel_numbers = (1, 2)
    limitable: ClassVar[Mapping[str, str]] = {"channel {} voltage": "V", "channel {} frequency": "Hz"}
    settings = (
        Setting("FREQuency", "channel {} frequency"),
        Setting("OUTPut", "channel {} output", switch=True),
    )
    unseen = (
        "VOLTage", "APPLy", "FUNCtion", "OUTPut", "FREQuency", "SWEep", "AM", "FM", "SUM", "COMBine", "TRACe", "DATA",
        "MMEMory", "RATE", "MARKer", "COUPle", "LIST",
    )  # fmt: skip
    """The highest voltage is made of offset, amplitude, load and function: `GeneratorChannel.set` knows all of them."""

    def channel(self, number: int) -> "GeneratorChannel":
        """Return output 1 or 2."""
        self.check_channel(number)
        return GeneratorChannel(self, number)

    def range_of(self, name: str) -> Bounds | None:
        """Return the frequencies of a sine, the widest that there are."""
        if not name.endswith("frequency"):
            return None
        return Bounds(1e-6, _RATINGS[self.identity.model][0]["sine"], "Hz", "range")

    def reached(self, name: str) -> Iterable[float]:
        """Return the lowest and the highest voltage that an output is known to give."""
        if not name.endswith("voltage"):
            return super().reached(name)
        ends = (super(Generator, self).reached(name.replace("voltage", end)) for end in ("low", "high"))
        return [volts for end in ends for volts in end]

    @property
    def facets(self) -> Mapping[str, Facet]:
        """What can be set of each channel."""
        words = ("frequency", "amplitude", "offset", "output")
        return {f"channel({k}).{word}": getattr(self.channel(k), word) for k in self.channel_numbers for word in words}

    def weigh(self, name: str, value: object) -> None:
        """Raise LimitError if what is set in the generator may not be given."""
        if name.endswith(" output") and value is True:
            self.channel(int(name.split()[1])).check_present()

    def trigger(self) -> Action[None]:
        """Begin the bursts that wait for it."""
        return self.act(self.send, "*TRG")


def _switch(channel: "GeneratorChannel", on: bool) -> "GeneratorChannel":
    return channel.on() if on else channel.off()


class GeneratorChannel(Part):
    """One output of a generator."""

    def set(
        self,
        *,
        function: str | None = None,
        frequency: float | None = None,
        amplitude: float | None = None,
        offset: float | None = None,
        phase: float | None = None,
        duty: float | None = None,
    ) -> Self:
        """Set the waveform; what is left out stays, and so does the output, on or off.

        `function` is "sine", "square", "ramp", "triangle", "pulse", "noise", "dc" or "arbitrary"; `frequency` in Hz,
        `amplitude` in V from peak to peak, `offset` in V, `phase` in degrees, `duty` (of square and pulse) in percent.
        Raises LimitError before anything is set, CommandError if the generator refuses.
        """
        if function is not None and function not in FUNCTIONS:
            raise LimitError(f"{self._where}: {unknown(function, tuple(FUNCTIONS), 'function')}; nothing was sent")
        wanted = {"frequency": frequency, "amplitude": amplitude, "offset": offset}
        numbers = {
            name: to_number(value, f"{self._where} {name}") for name, value in wanted.items() if value is not None
        }
        extras: list[str] = []
        if phase is not None:
            turned = Bounds(-360.0, 360.0, "deg", "range").check(phase, f"{self._where} phase")
            extras.append(f"{self._source}PHAS {turned!r}")
        if duty is not None:
            duty = Bounds(0.01, 99.99, "%", "range").check(duty, f"{self._where} duty")
        return self._step(partial(self._set, function, numbers, duty, extras))

    @property
    def frequency(self) -> Facet:
        """The frequency that is set, in Hz: `sweep(awg.channel(1).frequency, 10, 1e4, 31, log=True)`."""
        return self._number_of("frequency", "Hz")

    @property
    def amplitude(self) -> Facet:
        """The amplitude that is set, in V from peak to peak."""
        return self._number_of("amplitude", "V")

    @property
    def offset(self) -> Facet:
        """The offset that is set, in V."""
        return self._number_of("offset", "V")

    @property
    def output(self) -> Facet:
        """The output, on or off."""
        plain = GeneratorChannel(self._owner, self._number)
        write = partial(_switch, plain)
        return self.facet("output", read=plain.get_output_state, write=write, switch=True, doc="The output")

    def _number_of(self, quantity: str, unit: str) -> Facet:
        plain = GeneratorChannel(self._owner, self._number)

        def read() -> Action[float]:
            return self._owner.act(lambda: getattr(plain.get_wave().result(), quantity))

        def write(value: float) -> Action[Any]:
            chosen: dict[str, Any] = {quantity: value}  # Any: `set` has arguments of several types
            return plain.set(**chosen)

        return self.facet(quantity, unit, read=read, write=write, doc=f"{quantity} that is set".capitalize())

    def set_load(self, ohms: float) -> Self:
        """Say what stands at the output, 1 to 10000 Ohm or `math.inf`.

        What it gives stays, so amplitude and offset are other numbers from now on.
        """
        if ohms != math.inf:
            ohms = Bounds(1.0, 10e3, "Ohm", "range").check(ohms, f"{self._where} load")
        return self._step(partial(self._set_load, ohms))

    def arbitrary(self, volts: "ArrayLike", *, sample_rate: float) -> Self:
        """Give the `volts` at the load, again and again: 8 to 1 000 000 samples, shape (n,), `sample_rate` a second.

        Raises LimitError before anything is sent.
        """
        import numpy as np

        samples = np.asarray(volts, dtype=float)
        if samples.ndim != 1 or not 8 <= samples.size <= _LONGEST or not np.isfinite(samples).all():
            raise LimitError(
                f"{self._where}: expected 8 to {_LONGEST} finite volts in one dimension, got shape {samples.shape}; "
                "nothing was sent"
            )
        rate = Bounds(1e-6, _RATINGS[self._owner.identity.model][1], "1/s", "range")
        rate.check(sample_rate, f"{self._where} sample rate")
        low, high = float(samples.min()), float(samples.max())
        if high - low < 1e-3:
            raise LimitError(f"{self._where}: {low:g} to {high:g} V is no wave; use set(function='dc', offset={low:g})")
        codes = np.rint((samples - low) * (2 * _FULL_SCALE / (high - low)) - _FULL_SCALE).astype(int)
        text = ",".join(map(str, codes.tolist()))
        levels = {"amplitude": high - low, "offset": (high + low) / 2}
        return self._step(partial(self._upload, text, levels, float(sample_rate)))

    def burst(self, cycles: int, *, period: float | None = None) -> Self:
        """Give `cycles` periods at a time: every `period` seconds, or (None) at each `trigger()` of the generator."""
        count = Bounds(1, 1e8, kind="range").check(cycles, f"{self._where} cycles")
        commands = [f"{self._source}BURS:MODE TRIG", f"{self._source}BURS:NCYC {count:.0f}"]
        if period is None:
            commands.append(f"TRIG{self._number}:SOUR BUS")
        else:
            every = Bounds(1e-6, 8000.0, "s", "range").check(period, f"{self._where} burst period")
            commands += [f"TRIG{self._number}:SOUR IMM", f"{self._source}BURS:INT:PER {every!r}"]
        return self._step(partial(self._owner.send, *commands, f"{self._source}BURS:STAT ON"))

    def continuous(self) -> Self:
        """End bursts."""
        return self._step(partial(self._owner.send, f"{self._source}BURS:STAT OFF"))

    def on(self) -> Self:
        """Switch the output on. If it has limits, what is set in the generator is checked against them before."""
        return self._switch_on(f"OUTP{self._number} ON")

    def off(self) -> Self:
        """Switch the output off."""
        return self._step(partial(self._owner.send, f"OUTP{self._number} OFF"))

    def get_output_state(self) -> Action[bool]:
        """Ask whether the output is on."""
        return self._owner.act(self._owner.ask_bool, f"OUTP{self._number}?")

    def get_wave(self) -> Action[Wave]:
        """Ask what is set: function, frequency in Hz, amplitude and offset in V across load in Ohm."""
        return self._owner.act(self._present)

    @property
    def _where(self) -> str:
        return f"{self._owner.name} channel {self._number}"

    @property
    def _source(self) -> str:
        return f"SOUR{self._number}:"

    def _present(self) -> Wave:
        """Ask for all in one exchange; the levels in volts, whatever the unit of the amplitude is."""
        query = f"{self._source}FUNC?;FREQ?;:{self._source}VOLT:LOW?;HIGH?;:OUTP{self._number}:LOAD?"
        answer = self._owner.ask(query)
        function, *words = answer.split(";")
        try:
            frequency, low, high, load = map(float, words)
            shape = _NAMES[function]
        except (ValueError, KeyError):
            raise LinkError(f"{self._where}: {query!r} was answered by {answer!r}; ask again") from None
        return Wave(shape, frequency, high - low, (high + low) / 2, math.inf if load >= 9.9e37 else load)

    def _check(self, wave: Wave) -> None:
        for volts in (wave.low, wave.high):
            self._safe("voltage", volts)
        if wave.function not in UNTIMED:
            self._safe("frequency", wave.frequency)

    def check_present(self) -> None:
        """Raise LimitError if limits or interlocks forbid what is set in the generator. Blocking, in the lane."""
        if self._owner.safety or self._owner.interlocks:
            self._check(self._present())

    def _set(self, function: str | None, numbers: Mapping[str, float], duty: float | None, extras: list[str]) -> None:
        before = self._present()
        after = replace(before, **numbers, **({"function": function} if function else {}))
        self._check(after)
        after.check(self._where, _RATINGS[self._owner.identity.model][0])
        if duty is not None:
            if after.function not in ("square", "pulse"):
                raise LimitError(f"{self._where}: {after.function} has no duty cycle; nothing was sent")
            extras = [*extras, f"{self._source}FUNC:{FUNCTIONS[after.function]}:DCYC {duty!r}"]
        self._doubt(*numbers, "low", "high")
        self._owner.send(*self._steps(before, after), *extras)
        self._remember({name: (value, "Hz" if name == "frequency" else "V") for name, value in numbers.items()})
        self._remember({"low": (after.low, "V"), "high": (after.high, "V")})

    def _steps(self, before: Wave, after: Wave) -> list[str]:
        """Return the commands from one wave to the other, in an order that never goes beyond both."""
        levels: list[str] = []
        if after.amplitude != before.amplitude:
            levels.append(f"{self._source}VOLT:UNIT VPP;:{self._source}VOLT {after.amplitude!r}")
        if after.offset != before.offset:
            levels.append(f"{self._source}VOLT:OFFS {after.offset!r}")
        shape = [f"{self._source}FUNC {FUNCTIONS[after.function]}"] if after.function != before.function else []
        if after.frequency != before.frequency:
            frequency = f"{self._source}FREQ {after.frequency!r}"
            shape = [frequency, *shape] if after.frequency < before.frequency else [*shape, frequency]
        ordered = levels if after.amplitude <= before.amplitude else levels[::-1]
        return [*shape, *ordered] if after.function == "dc" else [*ordered, *shape]

    def _set_load(self, ohms: float) -> None:
        before = self._present()
        ratio = replace(before, load=ohms).share / before.share
        after = replace(before, load=ohms, amplitude=before.amplitude * ratio, offset=before.offset * ratio)
        self._check(after)
        self._doubt("amplitude", "offset", "load", "low", "high")
        self._owner.send(f"OUTP{self._number}:LOAD {'INF' if math.isinf(ohms) else f'{ohms:.9g}'}")
        self._remember({"load": (ohms, "Ohm"), "low": (after.low, "V"), "high": (after.high, "V")})

    def _upload(self, text: str, levels: Mapping[str, float], rate: float) -> None:
        before = self._present()
        after = replace(before, function="arbitrary", **levels)
        self._check(after)
        after.check(self._where, {})
        self._doubt(*levels, "frequency", "low", "high")
        self._owner.send(
            f"{self._source}DATA:VOL:CLE",
            f"{self._source}DATA:ARB:DAC {_ARBITRARY},{text}",
            f'{self._source}FUNC:ARB "{_ARBITRARY}"',
            f"{self._source}FUNC:ARB:SRAT {rate!r}",
            *self._steps(before, after),
        )
        known = {**levels, "low": after.low, "high": after.high}
        self._remember({name: (value, "V") for name, value in known.items()} | {"sample rate": (rate, "1/s")})
