"""Which settings a waveform generator keeps, each for every channel."""

import math

from labnb.sim.instrument import Instrument, command
from labnb.sim.scpi import OVERLOAD, Call, format_number
from labnb.sim.settings import Choice, Key, Number, Switch, Text, Whole

DBM = 1e-3
"""0 dBm in W."""
_BOTH = (1, 2)
_SOURCE = "[SOURce#:]"
_MODULATORS = ("SINusoid", "SQUare", "TRIangle", "RAMP", "NRAMp")


class Count(Whole):
    """A whole number, or INFinity."""

    def parse(self, text: str, key: Key) -> float:
        """Understand INF, too."""
        return math.inf if text.upper() in ("INF", "INFINITY") else super().parse(text, key)

    def format(self, value: float) -> str:
        """Write infinity as SCPI does."""
        return format_number(OVERLOAD) if math.isinf(value) else super().format(value)


class GeneratorSettings(Instrument):
    """The settings of a generator, except those that act on several others."""

    channels = 2

    function = Choice(
        f"{_SOURCE}FUNCtion[:SHAPe]", keys=_BOTH, default="SIN",
        choices=("SINusoid", "SQUare", "RAMP", "TRIangle", "PULSe", "NOISe", "DC", "ARBitrary"),
    )  # fmt: skip
    frequency = Number(f"{_SOURCE}FREQuency[:CW]", unit="HZ", keys=_BOTH, default=1e3, low=1e-6, high=20e6)
    frequency_mode = Choice(f"{_SOURCE}FREQuency:MODE", keys=_BOTH, default="CW", choices=("CW", "FIXed", "SWEep"))
    sweep_start = Number(f"{_SOURCE}FREQuency:STARt", unit="HZ", keys=_BOTH, default=100.0, low=1e-6, high=20e6)
    sweep_stop = Number(f"{_SOURCE}FREQuency:STOP", unit="HZ", keys=_BOTH, default=1e3, low=1e-6, high=20e6)
    sweep = Switch(f"{_SOURCE}SWEep:STATe", keys=_BOTH, default=False)
    sweep_spacing = Choice(f"{_SOURCE}SWEep:SPACing", keys=_BOTH, default="LIN", choices=("LINear", "LOGarithmic"))
    sweep_time = Number(f"{_SOURCE}SWEep:TIME", unit="S", keys=_BOTH, default=1.0, low=1e-3, high=250e3)
    sweep_hold = Number(f"{_SOURCE}SWEep:HTIMe", unit="S", keys=_BOTH, default=0.0, low=0.0, high=3600.0)
    sweep_return = Number(f"{_SOURCE}SWEep:RTIMe", unit="S", keys=_BOTH, default=0.0, low=0.0, high=3600.0)
    am = Switch(f"{_SOURCE}AM:STATe", keys=_BOTH, default=False)
    am_depth = Number(f"{_SOURCE}AM[:DEPTh]", keys=_BOTH, default=100.0, low=0.0, high=120.0)
    am_shape = Choice(f"{_SOURCE}AM:INTernal:FUNCtion", keys=_BOTH, default="SIN", choices=_MODULATORS)
    am_frequency = Number(f"{_SOURCE}AM:INTernal:FREQuency", unit="HZ", keys=_BOTH, default=100.0, low=1e-3, high=1e5)
    fm = Switch(f"{_SOURCE}FM:STATe", keys=_BOTH, default=False)
    fm_deviation = Number(f"{_SOURCE}FM[:DEViation]", unit="HZ", keys=_BOTH, default=100.0, low=0.0, high=1e7)
    fm_shape = Choice(f"{_SOURCE}FM:INTernal:FUNCtion", keys=_BOTH, default="SIN", choices=_MODULATORS)
    fm_frequency = Number(f"{_SOURCE}FM:INTernal:FREQuency", unit="HZ", keys=_BOTH, default=10.0, low=1e-3, high=1e5)
    modulator = Choice(f"{_SOURCE}AM:SOURce", f"{_SOURCE}FM:SOURce", keys=_BOTH, default="INT", choices=("INTernal",))
    amplitude = Number(keys=_BOTH, unit="V", default=0.1, low=1e-3, high=20.0)
    offset = Number(keys=_BOTH, unit="V", default=0.0, low=-10.0, high=10.0)
    limited = Switch(f"{_SOURCE}VOLTage:LIMit:STATe", keys=_BOTH, default=False)
    highest = Number(f"{_SOURCE}VOLTage:LIMit:HIGH", keys=_BOTH, unit="V", default=10.0, low=-10.0, high=10.0)
    lowest = Number(f"{_SOURCE}VOLTage:LIMit:LOW", keys=_BOTH, unit="V", default=-10.0, low=-10.0, high=10.0)
    unit = Choice(f"{_SOURCE}VOLTage:UNIT", keys=_BOTH, default="VPP", choices=("VPP", "VRMS", "DBM"))
    auto_range = Switch(f"{_SOURCE}VOLTage:RANGe:AUTO", keys=_BOTH, default=True)
    phase = Number(f"{_SOURCE}PHASe[:ADJust]", keys=_BOTH, default=0.0, low=-360.0, high=360.0)
    symmetry = Number(f"{_SOURCE}FUNCtion:RAMP:SYMMetry", keys=_BOTH, default=100.0, low=0.0, high=100.0)
    duty = Number(f"{_SOURCE}FUNCtion:SQUare:DCYCle", keys=_BOTH, default=50.0, low=0.01, high=99.99)
    pulse_width = Number(f"{_SOURCE}FUNCtion:PULSe:WIDTh", keys=_BOTH, unit="S", default=1e-4, low=16e-9, high=1e6)
    pulse_duty = Number(f"{_SOURCE}FUNCtion:PULSe:DCYCle", keys=_BOTH, default=10.0, low=0.01, high=99.99)
    pulse_hold = Choice(f"{_SOURCE}FUNCtion:PULSe:HOLD", keys=_BOTH, default="WIDT", choices=("WIDTh", "DCYCle"))
    pulse_edge = Number(
        f"{_SOURCE}FUNCtion:PULSe:TRANsition[:BOTH]", f"{_SOURCE}FUNCtion:PULSe:TRANsition:LEADing",
        keys=_BOTH, unit="S", default=10e-9, low=8.4e-9, high=1e-6,
    )  # fmt: skip
    arb_name = Text(keys=_BOTH, default="EXP_RISE")
    arb_rate = Number(f"{_SOURCE}FUNCtion:ARBitrary:SRATe", keys=_BOTH, default=4e4, low=1e-6, high=250e6)
    arb_advance = Choice(
        f"{_SOURCE}FUNCtion:ARBitrary:ADVance", keys=_BOTH, default="SRAT", choices=("SRATe", "TRIGger")
    )  # fmt: skip
    arb_filter = Choice(
        f"{_SOURCE}FUNCtion:ARBitrary:FILTer", keys=_BOTH, default="STEP", choices=("NORMal", "STEP", "OFF")
    )  # fmt: skip
    output = Switch("OUTPut#[:STATe]", keys=_BOTH, default=False)
    load = Number(keys=_BOTH, unit="OHM", default=50.0, low=1.0, high=OVERLOAD)
    polarity = Choice("OUTPut#:POLarity", keys=_BOTH, default="NORM", choices=("NORMal", "INVerted"))
    sync = Switch("OUTPut:SYNC[:STATe]", default=True)
    sync_polarity = Choice("OUTPut:SYNC:POLarity", default="NORM", choices=("NORMal", "INVerted"))
    trigger_output = Switch("OUTPut:TRIGger[:STATe]", default=False)
    trigger_output_slope = Choice("OUTPut:TRIGger:SLOPe", default="POS", choices=("POSitive", "NEGative"))
    sync_source = Choice("OUTPut:SYNC:SOURce", default="CH1", choices=("CH1", "CH2"))
    burst = Switch(f"{_SOURCE}BURSt:STATe", keys=_BOTH, default=False)
    burst_mode = Choice(f"{_SOURCE}BURSt:MODE", keys=_BOTH, default="TRIG", choices=("TRIGgered", "GATed"))
    burst_cycles = Count(f"{_SOURCE}BURSt:NCYCles", keys=_BOTH, default=1.0, low=1.0, high=1e8)
    burst_phase = Number(f"{_SOURCE}BURSt:PHASe", keys=_BOTH, default=0.0, low=-360.0, high=360.0)
    burst_gate = Choice(f"{_SOURCE}BURSt:GATE:POLarity", keys=_BOTH, default="NORM", choices=("NORMal", "INVerted"))
    burst_period = Number(f"{_SOURCE}BURSt:INTernal:PERiod", keys=_BOTH, unit="S", default=0.01, low=1e-6, high=8e3)
    trigger_source = Choice(
        "TRIGger#:SOURce", keys=_BOTH, default="IMM", choices=("IMMediate", "EXTernal", "TIMer", "BUS")
    )  # fmt: skip
    trigger_slope = Choice("TRIGger#:SLOPe", keys=_BOTH, default="POS", choices=("POSitive", "NEGative"))
    trigger_count = Whole("TRIGger#:COUNt", keys=_BOTH, default=1.0, low=1.0, high=1e6)
    trigger_delay = Number("TRIGger#:DELay", keys=_BOTH, unit="S", default=0.0, low=0.0, high=1000.0)
    trigger_timer = Number("TRIGger#:TIMer", keys=_BOTH, unit="S", default=1.0, low=1e-6, high=8e3)
    byte_order = Choice("FORMat:BORDer", default="NORM", choices=("NORMal", "SWAPped"))
    display = Switch("DISPlay[:STATe]", default=True)
    display_text = Text("DISPlay:TEXT[:DATA]", default="")

    def drive(self, channel: int) -> None:
        """Let the output of `channel` give what is set."""
        raise NotImplementedError

    def pulse_width_s(self, channel: int) -> float:
        """Return how long a pulse is, from its width or its duty cycle, whichever is held."""
        if self.pulse_hold(channel) == "DCYC":
            return self.pulse_duty(channel) / 100.0 / self.frequency(channel)
        return self.pulse_width(channel)

    @command("[SOURce#:]FUNCtion:PULSe:PERiod")
    def _set_period(self, call: Call) -> None:
        call.require(1, 1)
        seconds = Number(unit="S", default=1e-3, low=5e-8, high=1e6).parse(call.arguments[0], "")
        type(self).frequency.write(self, self.channels_of(call)[0], repr(1.0 / seconds))

    @command("[SOURce#:]FUNCtion:PULSe:PERiod?")
    def _ask_period(self, call: Call) -> str:
        return format_number(1.0 / self.frequency(self.channels_of(call)[0]))

    @command("DISPlay:TEXT:CLEar")
    def _clear_text(self, call: Call) -> None:
        self.values.pop(("display_text", ""), None)
