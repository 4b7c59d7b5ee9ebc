"""What a 7 1/2 digit multimeter does, after Keysight's Truevolt Operating and Service Guide (34460-90901)."""

from typing import ClassVar

from labnb.sim.instrument import Operation, command
from labnb.sim.models.meter_functions import COUNTED, EACH, NAMES, RANGED
from labnb.sim.models.meter_input import MeterInput
from labnb.sim.scpi import Call, parse_switch
from labnb.sim.status import ScpiError

_CONFIGURED = (
    ("samples", ""), ("triggers", ""), ("trigger_source", ""), ("sample_source", ""), ("trigger_delay", ""),
    ("trigger_auto_delay", ""), ("pretrigger_samples", ""), ("trigger_slope", ""),
)  # fmt: skip


class Multimeter(MeterInput):
    """Keysight 34470A: volts and amps, DC and AC, ohms, farads, hertz, diodes, temperature; less noise with more NPLC.

    `voltage_input` is the pair of nodes of its HI and LO terminals, `current_input` that of its ammeter, `sense_input`
    that of its sense terminals (by default HI and LO): for four wires, and as the reference of a ratio. Its trigger
    input may be wired to the sync output of another instrument of the bench, by name.

    A reading is the value at the end of its aperture; its error is noise alone (`noise_sigma`), as the unit is freshly
    calibrated. Without a wave a frequency reads 0, a period overload.
    """

    identity = "Keysight Technologies,34470A,MY57701234,A.03.01-03.15-03.01-00.52-03-02"
    terminal_names: ClassVar = {
        "voltage_input": ("hi", "lo"), "current_input": ("i", "i-"), "sense_input": ("sense", "sense-"),
    }  # fmt: skip

    def _configure(self, call: Call) -> None:
        """Choose function and range and go back to one immediate reading of 10 line cycles."""
        call.require(0, 2)
        function, words = call.key, [word.upper() for word in call.arguments]
        if function == "TEMP":
            self._choose_probe(words)
            words = []
        named = [word for word in words[:1] if word not in ("AUTO", "DEF", "DEFAULT")]
        counted = self.functions[function].header in COUNTED
        fixed = self.functions[function].range_for(named[0]) if named and not counted else None
        self.abort()
        for name, key in (
            *((name, function) for name in ("cycles", "aperture_enabled", "autozero", "null")),
            *_CONFIGURED,
        ):
            self.values.pop((name, key), None)
        self.values["autorange", function] = fixed is None and len(self.functions[function].ranges) > 1
        if fixed is not None:
            self.values["range", function] = fixed
        for word in words[1:]:
            if word not in ("DEF", "DEFAULT"):
                self.resolve(function, word)
        self.choose(function)

    def _choose_probe(self, words: list[str]) -> None:
        """Take `RTD,100` or `THER,5000`: the probe, and its resistance."""
        named = [word for word in words if word not in ("DEF", "DEFAULT")]
        if named:
            type(self).probe.write(self, "", named[0])
        if len(named) > 1:
            (type(self).rtd_ohms if self.probe().endswith("RTD") else type(self).thermistor).write(self, "", named[1])

    @command("CONFigure:{}", each=EACH)
    def _command_configure(self, call: Call) -> None:
        self._configure(call)

    @command("MEASure:{}?", each=EACH)
    def _measure(self, call: Call) -> Operation:
        self._configure(call)
        return self.read_all(call)

    @command("CONFigure?")
    def _ask_configuration(self, call: Call) -> str:
        range_ = self.range(self._function)
        return f'"{self._function} {range_:+.6E},{range_ * 1e-7:+.6E}"'

    @command("[SENSe:]FUNCtion[:ON]")
    def _command_function(self, call: Call) -> None:
        call.require(1, 1)
        word = call.arguments[0].strip("\"'").upper()
        if word not in NAMES:
            raise ScpiError(-224, call.arguments[0])
        self.choose(NAMES[word])

    @command("[SENSe:]FUNCtion[:ON]?")
    def _ask_function(self, call: Call) -> str:
        return f'"{self._function}"'

    @command("[SENSe:]{}:RANGe[:UPPer]", each=RANGED)
    def _command_range(self, call: Call) -> None:
        call.require(1, 1)
        value = self.functions[call.key].range_for(call.arguments[0])
        self.values["autorange", call.key] = False
        self.set_range(call.key, value)

    @command("[SENSe:]{}:RANGe[:UPPer]?", each=RANGED)
    def _ask_range(self, call: Call) -> str:
        return type(self).range.query(self, call)

    @command("[SENSe:]{}:RANGe:AUTO", each=RANGED)
    def _command_autorange(self, call: Call) -> Operation:
        """ON, OFF, or ONCE: find the range now and stay in it."""
        call.require(1, 1)
        once = call.arguments[0].upper() == "ONCE"
        on = not once and parse_switch(call.arguments[0])
        if once and call.key == self._function:
            yield from self.find_range()
        self.values["autorange", call.key] = on
        return None

    @command("[SENSe:]{}:RANGe:AUTO?", each=RANGED)
    def _ask_autorange(self, call: Call) -> str:
        return type(self).autorange.query(self, call)

    @command("[SENSe:]{}:VOLTage:RANGe[:UPPer]", each=COUNTED)
    def _command_counted_range(self, call: Call) -> None:
        """Choose the voltage range in which periods are counted."""
        self._command_range(call)

    @command("[SENSe:]{}:VOLTage:RANGe[:UPPer]?", each=COUNTED)
    def _ask_counted_range(self, call: Call) -> str:
        return self._ask_range(call)

    @command("[SENSe:]{}:VOLTage:RANGe:AUTO", each=COUNTED)
    def _command_counted_autorange(self, call: Call) -> None:
        call.require(1, 1)
        self.values["autorange", call.key] = parse_switch(call.arguments[0])

    @command("[SENSe:]{}:VOLTage:RANGe:AUTO?", each=COUNTED)
    def _ask_counted_autorange(self, call: Call) -> str:
        return self._ask_autorange(call)
