"""Which settings a Keithley 2400 keeps."""

from labnb.sim.instrument import Instrument, command
from labnb.sim.scpi import Call, parse_switch
from labnb.sim.settings import Choice, Number, Switch, Whole

_DIRECT = ("VOLTage[:DC]", "CURRent[:DC]")
_THREE = (*_DIRECT, "RESistance")
_SOURCED = ("VOLTage", "CURRent")


class SourceMeterSettings(Instrument):
    """The settings of a source-measure unit."""

    source_function = Choice("SOURce#:FUNCtion[:MODE]", default="VOLT", choices=("VOLTage", "CURRent"))
    source_level = Number(
        "SOURce#:{}[:LEVel][:IMMediate][:AMPLitude]", keys=_SOURCED, default=0.0,
        low=(-210.0, -1.05), high=(210.0, 1.05),
    )  # fmt: skip
    source_range = Number(
        "SOURce#:{}:RANGe", keys=_SOURCED, default=(21.0, 1.05e-4), low=(-210.0, -1.05), high=(210.0, 1.05)
    )  # fmt: skip
    auto_source_range = Switch("SOURce#:{}:RANGe:AUTO", keys=_SOURCED, default=True)
    source_mode = Choice("SOURce#:{}:MODE", keys=_SOURCED, default="FIX", choices=("FIXed",))
    compliance = Number(
        "[SENSe#:]{}:PROTection[:LEVel]", keys=_DIRECT, default=(21.0, 1.05e-4),
        low=(-210.0, -1.05), high=(210.0, 1.05),
    )  # fmt: skip
    range = Number(
        "[SENSe#:]{}:RANGe[:UPPer]", keys=_THREE, default=(21.0, 1.05e-4, 2.1e5),
        low=(-210.0, -1.05, 0.0), high=(210.0, 1.05, 2.1e8),
    )  # fmt: skip
    auto_range = Switch("[SENSe#:]{}:RANGe:AUTO", keys=_THREE, default=True)
    cycles = Number("[SENSe#:]{}:NPLCycles", keys=_THREE, default=1.0, low=0.01, high=10.0)
    resistance_mode = Choice("[SENSe#:]RESistance:MODE", default="MAN", choices=("MANual", "AUTO"))
    concurrent = Switch("[SENSe#:]FUNCtion:CONCurrent", default=True)
    averaging = Switch("[SENSe#:]AVERage[:STATe]", default=False)
    average_kind = Choice("[SENSe#:]AVERage:TCONtrol", default="REP", choices=("REPeat", "MOVing"))
    average_count = Whole("[SENSe#:]AVERage:COUNt", default=10.0, low=1.0, high=100.0)
    output = Switch("OUTPut#[:STATe]", default=False)
    off_mode = Choice("OUTPut#:SMODe", default="NORM", choices=("HIMPedance", "NORMal", "ZERO", "GUARd"))
    clears = Switch("SOURce#:CLEar:AUTO", default=False)
    delay = Number("SOURce#:DELay", unit="S", default=1e-3, low=0.0, high=999.9999)
    auto_delay = Switch("SOURce#:DELay:AUTO", default=True)
    triggers = Whole("TRIGger:COUNt", default=1.0, low=1.0, high=2500.0)
    trigger_delay = Number("TRIGger:DELay", unit="S", default=0.0, low=0.0, high=999.9999)
    trigger_source = Choice("TRIGger:SOURce", default="IMM", choices=("IMMediate", "TLINk"))
    arms = Whole("ARM:COUNt", default=1.0, low=1.0, high=2500.0)
    arm_source = Choice("ARM:SOURce", default="IMM", choices=("IMMediate", "TIMer", "MANual", "BUS", "TLINk"))
    trace_points = Whole("TRACe:POINts", default=100.0, low=1.0, high=2500.0)
    trace_feed = Choice("TRACe:FEED", default="SENS", choices=("SENSe#", "SENSe", "CALCulate"))
    trace_control = Choice("TRACe:FEED:CONTrol", default="NEV", choices=("NEXT", "NEVer"))
    remote_sensing = Switch("SYSTem:RSENse", default=False)
    terminals = Choice("ROUTe:TERMinals", default="FRON", choices=("FRONt", "REAR"))
    beeper = Switch("SYSTem:BEEPer:STATe", default=True)
    display = Switch("DISPlay:ENABle", default=True)

    @command("SYSTem:AZERo[:STATe]")
    def _set_autozero(self, call: Call) -> None:
        """ON, OFF, or ONCE, which zeroes now and is OFF from then on."""
        call.require(1, 1)
        word = call.arguments[0].upper()
        self.values["autozero", ""] = word != "ONCE" and parse_switch(word)

    @command("SYSTem:AZERo[:STATe]?")
    def _ask_autozero(self, call: Call) -> str:
        return "1" if self.values.get(("autozero", ""), True) else "0"
