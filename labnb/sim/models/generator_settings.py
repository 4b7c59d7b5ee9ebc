"""Which settings a waveform generator keeps, each for every channel."""

from labnb.sim.instrument import Instrument, command
from labnb.sim.scpi import OVERLOAD, Call, format_number
from labnb.sim.settings import Choice, Number, Switch, Text, Whole

DBM = 1e-3
"""0 dBm in W."""
_BOTH = (1, 2)
_SOURCE = "[SOURce#:]"


class GeneratorSettings(Instrument):
    """The settings of a generator, except those that act on several others."""

    channels = 2

    function = Choice(
        f"{_SOURCE}FUNCtion[:SHAPe]", keys=_BOTH, default="SIN",
        choices=("SINusoid", "SQUare", "RAMP", "TRIangle", "PULSe", "NOISe", "DC", "ARBitrary"),
    )  # fmt: skip
    frequency = Number(f"{_SOURCE}FREQuency[:CW]", unit="HZ", keys=_BOTH, default=1e3, low=1e-6, high=20e6)
    frequency_mode = Choice(f"{_SOURCE}FREQuency:MODE", keys=_BOTH, default="CW", choices=("CW", "FIXed"))
    amplitude = Number(keys=_BOTH, unit="V", default=0.1, low=1e-3, high=20.0)
    offset = Number(f"{_SOURCE}VOLTage:OFFSet", keys=_BOTH, unit="V", default=0.0, low=-10.0, high=10.0)
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
    sync_source = Choice("OUTPut:SYNC:SOURce", default="CH1", choices=("CH1", "CH2"))
    burst = Switch(f"{_SOURCE}BURSt:STATe", keys=_BOTH, default=False)
    burst_mode = Choice(f"{_SOURCE}BURSt:MODE", keys=_BOTH, default="TRIG", choices=("TRIGgered", "GATed"))
    burst_cycles = Whole(f"{_SOURCE}BURSt:NCYCles", keys=_BOTH, default=1.0, low=1.0, high=1e8)
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
    display = Switch("DISPlay[:STATe]", default=True)
    display_text = Text("DISPlay:TEXT[:DATA]", default="")

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

    @command("FORMat:BORDer")
    def _accept_byte_order(self, call: Call) -> None:
        """Accept NORMal, which is all that there is."""
        call.require(1, 1)
