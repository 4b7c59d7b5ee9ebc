"""What the generator inside an oscilloscope does: one output of 50 ohm (`:WGEN`)."""

from typing import TYPE_CHECKING

from labnb.sim.instrument import command
from labnb.sim.models.scope_settings import ScopeSettings
from labnb.sim.scpi import Call, format_number, parse_number
from labnb.sim.settings import Choice, Key, Number, Switch
from labnb.sim.sources import WaveSource
from labnb.sim.status import ScpiError
from labnb.sim.waves import Shape, Wave, points, pulse, ramp, sine, square

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

SOURCE_OHM = 50.0
HIGHEST_V = 6.0
"""Of the source itself, in both directions."""
_NOISE_POINTS = 4096
_EDGE_S = 18e-9


class ScopeGenerator(ScopeSettings):
    """The generator of an oscilloscope: sine, square, ramp, pulse, noise, DC; 20 MHz, 12 V peak to peak open."""

    awg_output = Switch("WGEN:OUTPut", default=False)
    awg_shape = Choice(
        "WGEN:FUNCtion", default="SIN", choices=("SINusoid", "SQUare", "RAMP", "PULSe", "NOISe", "DC")
    )  # fmt: skip
    awg_frequency = Number("WGEN:FREQuency", unit="HZ", default=1e3, low=0.1, high=20e6)
    awg_amplitude = Number("WGEN:VOLTage", unit="V", default=0.5, low=2e-3, high=12.0)
    awg_offset = Number("WGEN:VOLTage:OFFSet", unit="V", default=0.0, low=-6.0, high=6.0)
    awg_load = Choice("WGEN:OUTPut:LOAD", default="ONEM", choices=("ONEMeg", "FIFTy"))
    awg_polarity = Choice("WGEN:OUTPut:POLarity", default="NORM", choices=("NORMal", "INVerted"))
    awg_duty = Number("WGEN:FUNCtion:SQUare:DCYCle", default=50.0, low=20.0, high=80.0)
    awg_symmetry = Number("WGEN:FUNCtion:RAMP:SYMMetry", default=100.0, low=0.0, high=100.0)
    awg_width = Number("WGEN:FUNCtion:PULSe:WIDTh", unit="S", default=1e-4, low=20e-9, high=10.0)

    def __init__(self, bench: "Bench", name: str, address: str, *, generator: tuple[str, str] | None) -> None:
        """Connect the output to the nodes `generator`, if that is used."""
        super().__init__(bench, name, address)
        self._awg_source = WaveSource(*generator, ohms=SOURCE_OHM) if generator else None
        if self._awg_source:
            bench.circuit.add(self._awg_source)

    def reset(self) -> None:
        """Go to the generator off, sine of 1 kHz and 0.5 V peak to peak."""
        super().reset()
        self.drive_generator()

    def changed(self, name: str, key: Key) -> None:
        """Drive the generator."""
        super().changed(name, key)
        if name in ("awg_amplitude", "awg_offset"):
            self._keep_within(name)
        if name.startswith("awg_"):
            self.drive_generator()

    def _keep_within(self, name: str) -> None:
        """Lower what was set, with -221, to what fits beside the other."""
        most = HIGHEST_V / self._doubling()
        over = abs(self.awg_offset()) + self.awg_amplitude() / 2.0 - most
        if over <= 1e-9:
            return
        self.status.error(-221, "amplitude and offset are beyond the generator")
        if name == "awg_amplitude":
            self.values["awg_amplitude", ""] = 2.0 * (most - abs(self.awg_offset()))
        else:
            room = most - self.awg_amplitude() / 2.0
            self.values["awg_offset", ""] = max(-room, min(self.awg_offset(), room))

    def _doubling(self) -> float:
        return 2.0 if self.awg_load() == "FIFT" else 1.0

    def drive_generator(self) -> None:
        """Let the output give what is set."""
        source = self._awg_source
        if source is None:
            return
        sign = self._doubling() * (-1.0 if self.awg_polarity() == "INV" else 1.0)
        with self.bench.circuit.edit(self.now, source):
            source.live = self.awg_output()
            source.drive(self._generated(sign), sign * self.awg_offset())

    def _generated(self, sign: float) -> Wave | None:
        if self.awg_shape() == "DC":
            return None
        noisy = self.awg_shape() == "NOIS"
        frequency = 1e6 / _NOISE_POINTS if noisy else self.awg_frequency()
        return Wave(self._shape(), frequency, sign * self.awg_amplitude() / 2.0, sign * self.awg_offset())

    def _shape(self) -> Shape:
        frequency = self.awg_frequency()
        shapes = {
            "SIN": sine, "SQU": square(self.awg_duty() / 100.0), "RAMP": ramp(self.awg_symmetry() / 100.0),
            "PULS": pulse(self.awg_width() * frequency, _EDGE_S * frequency),
        }  # fmt: skip
        if self.awg_shape() in shapes:
            return shapes[self.awg_shape()]
        return points([max(-1.0, min(1.0, self.rng.gauss(0.0, 0.3))) for _ in range(_NOISE_POINTS)])

    @command("WGEN:PERiod")
    def _set_wave_period(self, call: Call) -> None:
        call.require(1, 1)
        seconds = parse_number(call.arguments[0], "S")
        if seconds <= 0:
            raise ScpiError(-222, call.arguments[0])
        type(self).awg_frequency.write(self, "", repr(1.0 / seconds))

    @command("WGEN:PERiod?")
    def _ask_wave_period(self, call: Call) -> str:
        return format_number(1.0 / self.awg_frequency())

    @command("WGEN:VOLTage:HIGH")
    def _set_high(self, call: Call) -> None:
        call.require(1, 1)
        self._set_ends(self.awg_offset() - self.awg_amplitude() / 2.0, parse_number(call.arguments[0], "V"))

    @command("WGEN:VOLTage:LOW")
    def _set_low(self, call: Call) -> None:
        call.require(1, 1)
        self._set_ends(parse_number(call.arguments[0], "V"), self.awg_offset() + self.awg_amplitude() / 2.0)

    def _set_ends(self, low: float, high: float) -> None:
        if high <= low or max(high, -low) > HIGHEST_V / self._doubling():
            raise ScpiError(-221, f"{low:g} V to {high:g} V")
        self.values["awg_amplitude", ""], self.values["awg_offset", ""] = high - low, (high + low) / 2.0
        self.drive_generator()

    @command("WGEN:VOLTage:HIGH?")
    def _ask_wave_high(self, call: Call) -> str:
        return format_number(self.awg_offset() + self.awg_amplitude() / 2.0)

    @command("WGEN:VOLTage:LOW?")
    def _ask_wave_low(self, call: Call) -> str:
        return format_number(self.awg_offset() - self.awg_amplitude() / 2.0)

    @command("WGEN:RST")
    def _reset_generator(self, call: Call) -> None:
        for place in [place for place in self.values if place[0].startswith("awg_")]:
            del self.values[place]
        self.drive_generator()
