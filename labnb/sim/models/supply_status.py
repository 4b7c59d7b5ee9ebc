"""Which settings and status registers a three-output supply has, beside its levels."""

from typing import TYPE_CHECKING

from labnb.sim.instrument import Instrument, command
from labnb.sim.scpi import OVERLOAD, Call, parse_number
from labnb.sim.settings import Choice, Number, Switch, Text
from labnb.sim.status import ScpiError

if TYPE_CHECKING:
    from labnb.sim.bench import Bench

ALL: tuple[int, ...] = (1, 2, 3)
CONSTANT_CURRENT, CONSTANT_VOLTAGE, OVERVOLTAGE, OVERCURRENT = 1, 2, 4, 8
"""Bits of an output's questionable register. Bits 0 and 1 are those of Keysight's manuals; 2 and 3 for the protections
are what the E36300 series is remembered to have (4 is overtemperature there, 7 and 8 wait for triggers), unverified."""
_QUESTIONABLE = 8
"""Bit 3 of the status byte."""
_INSTRUMENT_SUMMARY = 1 << 13


class SupplyStatus(Instrument):
    """Protections, delays and slopes of a supply, and what its questionable registers have seen.

    An output's conditions go through `STAT:QUES:INST:ISUM#:ENAB` to bit # of the instrument register, that through
    `STAT:QUES:INST:ENAB` to bit 13 of the questionable register, that through `STAT:QUES:ENAB` to bit 3 of the status
    byte. Events are latched until they are read.
    """

    channels = 3

    slew_up = Number("[SOURce:]VOLTage:SLEW[:RISing]", keys=ALL, default=OVERLOAD, low=1e-3, high=OVERLOAD)
    slew_down = Number("[SOURce:]VOLTage:SLEW:FALLing", keys=ALL, default=OVERLOAD, low=1e-3, high=OVERLOAD)
    output = Switch("OUTPut[:STATe]", keys=ALL, default=False)
    rise_delay = Number("OUTPut[:STATe]:DELay:RISE", unit="S", keys=ALL, default=0.0, low=0.0, high=3600.0)
    fall_delay = Number("OUTPut[:STATe]:DELay:FALL", unit="S", keys=ALL, default=0.0, low=0.0, high=3600.0)
    tracking = Switch("OUTPut:TRACk[:STATe]", default=False)
    voltage_protection = Switch("[SOURce:]VOLTage:PROTection:STATe", keys=ALL, default=False)
    current_protection = Switch("[SOURce:]CURRent:PROTection:STATe", keys=ALL, default=False)
    protection_delay = Number(
        "[SOURce:]CURRent:PROTection:DELay[:TIME]", unit="S", keys=ALL, default=0.0, low=0.0, high=3600.0
    )  # fmt: skip
    sensing = Choice("[SOURce:]VOLTage:SENSe[:SOURce]", keys=ALL, default="INT", choices=("INTernal", "EXTernal"))
    stepping = Choice("[SOURce:]{}:MODE", keys=("VOLTage", "CURRent"), default="FIX", choices=("FIXed", "STEP"))
    trigger_source = Choice("TRIGger[:SEQuence]:SOURce", default="BUS", choices=("BUS", "IMMediate"))
    display = Switch("DISPlay[:WINDow][:STATe]", default=True)
    display_text = Text("DISPlay[:WINDow]:TEXT[:DATA]", default="")

    def __init__(self, bench: "Bench", name: str, address: str) -> None:
        super().__init__(bench, name, address)
        self._events = dict.fromkeys(ALL, 0)
        self._enables: dict[str, int] = {}

    def condition(self, channel: int) -> int:
        """Return the condition register of `channel`."""
        raise NotImplementedError

    def latch(self, channel: int, condition: int) -> None:
        """Remember `condition` as an event of `channel`."""
        if condition & ~self._events[channel]:
            self._events[channel] |= condition
            self._summarise()

    def _enabled(self, place: str) -> int:
        return self._enables.get(place, 0)

    def _instrument_events(self) -> int:
        return sum(1 << channel for channel in ALL if self._events[channel] & self._enabled(f"ISUM{channel}"))

    def _questionable_events(self) -> int:
        return _INSTRUMENT_SUMMARY if self._instrument_events() & self._enabled("INST") else 0

    def _summarise(self) -> None:
        """Let the status byte say whether an event is there that is asked for, and request service if that is new."""
        there = self._questionable_events() & self._enabled("QUES")
        self.status.summaries = _QUESTIONABLE if there else 0
        self.notice()

    def _numbered(self, call: Call) -> int:
        return self.channels_of(call)[0]

    @command("STATus:QUEStionable:INSTrument:ISUMmary#:CONDition?")
    def _ask_condition(self, call: Call) -> str:
        """Bit 0: the current is limited (CC), 1: the voltage is held (CV), 2 and 3: OVP and OCP have tripped."""
        return str(self.condition(self._numbered(call)))

    @command("STATus:QUEStionable:INSTrument:ISUMmary#[:EVENt]?")
    def _take_channel_events(self, call: Call) -> str:
        channel = self._numbered(call)
        self.condition(channel)
        events, self._events[channel] = self._events[channel], 0
        self._summarise()
        return str(events)

    @command("STATus:QUEStionable:INSTrument:ISUMmary#:ENABle")
    def _enable_channel(self, call: Call) -> None:
        self._enables[f"ISUM{self._numbered(call)}"] = _register_mask(call)
        self._summarise()

    @command("STATus:QUEStionable:INSTrument:ISUMmary#:ENABle?")
    def _ask_enabled_channel(self, call: Call) -> str:
        return str(self._enabled(f"ISUM{self._numbered(call)}"))

    @command("STATus:QUEStionable:INSTrument:ENABle")
    def _enable_instrument(self, call: Call) -> None:
        self._enables["INST"] = _register_mask(call)
        self._summarise()

    @command("STATus:QUEStionable:INSTrument:ENABle?")
    def _ask_enabled_instrument(self, call: Call) -> str:
        return str(self._enabled("INST"))

    @command("STATus:QUEStionable:ENABle")
    def _enable_questionable(self, call: Call) -> None:
        self._enables["QUES"] = _register_mask(call)
        self._summarise()

    @command("STATus:QUEStionable:ENABle?")
    def _ask_enabled_questionable(self, call: Call) -> str:
        return str(self._enabled("QUES"))

    @command("STATus:QUEStionable:INSTrument[:EVENt]?")
    def _ask_instrument(self, call: Call) -> str:
        return str(self._instrument_events())

    @command("STATus:QUEStionable[:EVENt]?", "STATus:QUEStionable:CONDition?")
    def _ask_questionable(self, call: Call) -> str:
        return str(self._questionable_events())

    @command("STATus:PRESet")
    def _preset_status(self, call: Call) -> None:
        self._enables.clear()
        self._summarise()

    @command("*CLS")
    def _clear_status(self, call: Call) -> None:
        super()._clear_status(call)
        self._events = dict.fromkeys(ALL, 0)
        self._summarise()


def _register_mask(call: Call) -> int:
    call.require(1, 1)
    mask = parse_number(call.arguments[0])
    if not 0 <= mask <= 65535:
        raise ScpiError(-222, call.arguments[0])
    return round(mask)
