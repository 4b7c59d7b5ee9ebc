"""Which settings a Keithley 2400 keeps."""

from labnb.sim.instrument import Instrument, command
from labnb.sim.scpi import Call, parse_switch
from labnb.sim.settings import Choice, Key, Number, Switch, Text, Whole
from labnb.sim.status import ScpiError

_DIRECT = ("VOLTage[:DC]", "CURRent[:DC]")
_THREE = (*_DIRECT, "RESistance")
_SOURCED = ("VOLTage", "CURRent")
_LOWEST, _HIGHEST = (-210.0, -1.05), (210.0, 1.05)


def _sourced(header: str, default: float | tuple[float, ...]) -> Number:
    """Return a level of the source, in V or A."""
    return Number(f"SOURce#:{{}}:{header}", keys=_SOURCED, default=default, low=_LOWEST, high=_HIGHEST)


class SourceMeterSettings(Instrument):
    """The settings of a source-measure unit."""

    source_function = Choice("SOURce#:FUNCtion[:MODE]", default="VOLT", choices=("VOLTage", "CURRent"))
    source_level = Number(
        "SOURce#:{}[:LEVel][:IMMediate][:AMPLitude]", keys=_SOURCED, default=0.0, low=_LOWEST, high=_HIGHEST
    )  # fmt: skip
    source_range = _sourced("RANGe", (21.0, 1.05e-4))
    auto_source_range = Switch("SOURce#:{}:RANGe:AUTO", keys=_SOURCED, default=True)
    source_mode = Choice("SOURce#:{}:MODE", keys=_SOURCED, default="FIX", choices=("FIXed", "SWEep", "LIST"))
    voltage_protection = Number("SOURce#:VOLTage:PROTection[:LEVel]", unit="V", default=210.0, low=20.0, high=210.0)
    sweep_start = _sourced("STARt", 0.0)
    sweep_stop = _sourced("STOP", 0.0)
    sweep_step = _sourced("STEP", 0.0)
    sweep_spacing = Choice("SOURce#:SWEep:SPACing", default="LIN", choices=("LINear", "LOGarithmic"))
    sweep_direction = Choice("SOURce#:SWEep:DIRection", default="UP", choices=("UP", "DOWN"))
    sweep_ranging = Choice("SOURce#:SWEep:RANGing", default="BEST", choices=("BEST", "AUTO", "FIXed"))
    sweep_points = Whole("SOURce#:SWEep:POINts", default=2500.0, low=2.0, high=2500.0)
    compliance = Number(
        "[SENSe#:]{}:PROTection[:LEVel]", keys=_DIRECT, default=(21.0, 1.05e-4), low=_LOWEST, high=_HIGHEST
    )  # fmt: skip
    range = Number(
        "[SENSe#:]{}:RANGe[:UPPer]", keys=_THREE, default=(21.0, 1.05e-4, 2.1e5),
        low=(*_LOWEST, 0.0), high=(*_HIGHEST, 2.1e8),
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
    trigger_output = Choice("TRIGger:OUTPut", default="NONE", choices=("SOURce", "DELay", "SENSe", "NONE"))
    arms = Whole("ARM:COUNt", default=1.0, low=1.0, high=2500.0)
    arm_source = Choice("ARM:SOURce", default="IMM", choices=("IMMediate", "TIMer", "MANual", "BUS", "TLINk"))
    arm_timer = Number("ARM:TIMer", unit="S", default=0.1, low=1e-3, high=99999.99)
    arm_output = Choice("ARM:OUTPut", default="NONE", choices=("TENTer", "TEXit", "NONE"))
    input_line = Whole("{}:ILINe", keys=("TRIGger", "ARM"), default=1.0, low=1.0, high=4.0)
    output_line = Whole("{}:OLINe", keys=("TRIGger", "ARM"), default=2.0, low=1.0, high=4.0)
    trace_points = Whole("TRACe:POINts", default=100.0, low=1.0, high=2500.0)
    trace_feed = Choice("TRACe:FEED", default="SENS1", choices=("SENSe1", "SENSe", "CALCulate1", "CALCulate2"))
    trace_control = Choice("TRACe:FEED:CONTrol", default="NEV", choices=("NEXT", "NEVer"))
    trace_stamp = Choice("TRACe:TSTamp:FORMat", default="ABS", choices=("ABSolute", "DELTa"))
    data_form = Choice(default="ASC", choices=("ASCii", "SREal", "REAL"))
    byte_order = Choice("FORMat:BORDer", default="NORM", choices=("NORMal", "SWAPped"))
    remote_sensing = Switch("SYSTem:RSENse", default=False)
    terminals = Choice("ROUTe:TERMinals", default="FRON", choices=("FRONt", "REAR"))
    beeper = Switch("SYSTem:BEEPer:STATe", default=True)
    line_hz = Whole("SYSTem:LFRequency", default=50.0, low=50.0, high=60.0)
    auto_line = Switch("SYSTem:LFRequency:AUTO", default=True)
    display = Switch("DISPlay:ENABle", default=True)
    display_text = Text("DISPlay[:WINDow#]:TEXT[:DATA]", default="")
    display_text_on = Switch("DISPlay[:WINDow#]:TEXT:STATe", default=False)

    def changed(self, name: str, key: Key) -> None:
        """Let a range that is chosen, and a delay that is set, be no more automatic."""
        if name in ("source_range", "range"):
            self.values[f"auto_{name}", key] = False
        if name == "delay":
            self.values["auto_delay", ""] = False

    @command("FORMat[:DATA]")
    def _set_form(self, call: Call) -> None:
        """`ASCii`, or `REAL,32` and `SREal`: floats of 4 bytes in a block without a length."""
        call.require(1, 2)
        if call.arguments[1:] not in ([], ["32"]):
            raise ScpiError(-224, call.arguments[1])
        type(self).data_form.write(self, "", call.arguments[0])

    @command("FORMat[:DATA]?")
    def _ask_form(self, call: Call) -> str:
        return "ASC" if self.data_form() == "ASC" else "REAL,32"

    @command("SYSTem:AZERo[:STATe]")
    def _set_autozero(self, call: Call) -> None:
        """ON, OFF, or ONCE, which zeroes now and is OFF from then on."""
        call.require(1, 1)
        word = call.arguments[0].upper()
        self.values["autozero", ""] = word != "ONCE" and parse_switch(word)

    @command("SYSTem:AZERo[:STATe]?")
    def _ask_autozero(self, call: Call) -> str:
        return "1" if self.values.get(("autozero", ""), True) else "0"

    @command("DISPlay:CNDisplay")
    def _restore_display(self, call: Call) -> None:
        """Accept: there is no display."""
