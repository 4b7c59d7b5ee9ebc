"""Which settings an oscilloscope keeps."""

from labnb.sim.instrument import Instrument, command
from labnb.sim.models.scope_record import DIVISIONS
from labnb.sim.scpi import Call, format_number, parse_number
from labnb.sim.settings import Choice, Number, Switch, Text, Whole

_FOUR = (1, 2, 3, 4)
_SOURCES = ("CHANnel1", "CHANnel2", "CHANnel3", "CHANnel4")
_COMPUTED = ("FUNCtion", "MATH", "FFT", "WMEMory1", "WMEMory2")


class ScopeSettings(Instrument):
    """The settings of a four-channel oscilloscope."""

    channels = 4

    scale = Number("CHANnel#:SCALe", keys=_FOUR, unit="V", default=1.0, low=5e-4, high=1e5)
    offset = Number("CHANnel#:OFFSet", keys=_FOUR, unit="V", default=0.0, low=-400.0, high=400.0)
    coupling = Choice("CHANnel#:COUPling", keys=_FOUR, default="DC", choices=("AC", "DC"))
    shown = Switch("CHANnel#:DISPlay", keys=_FOUR, default=(True, False, False, False))
    probe = Number("CHANnel#:PROBe", keys=_FOUR, default=1.0, low=0.1, high=1e4)
    bandwidth_limit = Switch("CHANnel#:BWLimit", "CHANnel#:BANDwidth", keys=_FOUR, default=False)
    inverted = Switch("CHANnel#:INVert", keys=_FOUR, default=False)
    label = Text("CHANnel#:LABel", keys=_FOUR, default=("1", "2", "3", "4"))
    unit = Choice("CHANnel#:UNITs", keys=_FOUR, default="VOLT", choices=("VOLT", "AMPere"))
    time_mode = Choice("TIMebase:MODE", default="MAIN", choices=("MAIN", "WINDow", "XY", "ROLL"))
    time_range = Number("TIMebase[:MAIN]:RANGe", unit="S", default=1e-3, low=5e-8, high=500.0)
    time_position = Number("TIMebase[:MAIN]:POSition", unit="S", default=0.0, low=-500.0, high=500.0)
    time_reference = Choice("TIMebase:REFerence", default="CENT", choices=("LEFT", "CENTer", "RIGHt"))
    acquisition = Choice("ACQuire:TYPE", default="NORM", choices=("NORMal", "AVERage", "HRESolution", "PEAK"))
    acquisition_mode = Choice("ACQuire:MODE", default="RTIM", choices=("RTIMe",))
    averages = Whole("ACQuire:COUNt", default=8.0, low=2.0, high=65536.0)
    trigger_mode = Choice("TRIGger:MODE", default="EDGE", choices=("EDGE",))
    trigger_sweep = Choice("TRIGger:SWEep", default="AUTO", choices=("AUTO", "NORMal"))
    trigger_source = Choice("TRIGger[:EDGE]:SOURce", default="CHAN1", choices=_SOURCES)
    trigger_level = Number("TRIGger[:EDGE]:LEVel", unit="V", default=0.0, low=-400.0, high=400.0)
    trigger_slope = Choice("TRIGger[:EDGE]:SLOPe", default="POS", choices=("POSitive", "NEGative", "EITHer"))
    trigger_reject = Switch("TRIGger:NREJect", "TRIGger:HFReject", default=False)
    trigger_holdoff = Number("TRIGger:HOLDoff", unit="S", default=60e-9, low=60e-9, high=10.0)
    trigger_coupling = Choice("TRIGger[:EDGE]:COUPling", default="DC", choices=("AC", "DC", "LFReject"))
    wave_source = Choice("WAVeform:SOURce", default="CHAN1", choices=(*_SOURCES, *_COMPUTED))
    wave_form = Choice("WAVeform:FORMat", default="BYTE", choices=("BYTE", "WORD", "ASCii"))
    wave_points = Whole("WAVeform:POINts", default=1000.0, low=100.0, high=2e6)
    wave_points_mode = Choice("WAVeform:POINts:MODE", default="NORM", choices=("NORMal", "MAXimum", "RAW"))
    wave_order = Choice("WAVeform:BYTeorder", default="MSBF", choices=("MSBFirst", "LSBFirst"))
    wave_unsigned = Switch("WAVeform:UNSigned", default=True)
    measure_source = Choice("MEASure:SOURce", default="CHAN1", choices=_SOURCES)
    operation = Choice(
        "FUNCtion:OPERation", default="ADD", choices=("ADD", "SUBTract", "MULTiply", "DIVide", "FFT")
    )  # fmt: skip
    operand = Choice("FUNCtion:SOURce1", default="CHAN1", choices=_SOURCES)
    second_operand = Choice("FUNCtion:SOURce2", default="CHAN2", choices=_SOURCES)
    function_shown = Switch("FUNCtion:DISPlay", default=False)
    spectrum_source = Choice("FFT:SOURce1", default="CHAN1", choices=_SOURCES)
    spectrum_shown = Switch("FFT:DISPlay", default=False)
    spectrum_window = Choice(
        "FFT:WINDow", "FUNCtion:FFT:WINDow", default="HANN", choices=("RECTangular", "HANNing", "FLATtop", "BHARris")
    )  # fmt: skip

    @command("CHANnel#:RANGe")
    def _set_range(self, call: Call) -> None:
        """Set the full height: 8 divisions."""
        call.require(1, 1)
        word = call.arguments[0]
        word = word if word.isalpha() else repr(parse_number(word, "V") / DIVISIONS)
        type(self).scale.write(self, self.channels_of(call)[0], word)

    @command("CHANnel#:RANGe?")
    def _ask_range(self, call: Call) -> str:
        return format_number(self.scale(self.channels_of(call)[0]) * DIVISIONS)

    @command("TIMebase[:MAIN]:SCALe")
    def _set_time_scale(self, call: Call) -> None:
        """Set a tenth of the width."""
        call.require(1, 1)
        word = call.arguments[0]
        word = word if word.isalpha() else repr(parse_number(word, "S") * 10)
        type(self).time_range.write(self, "", word)

    @command("TIMebase[:MAIN]:SCALe?")
    def _ask_time_scale(self, call: Call) -> str:
        return format_number(self.time_range() / 10)

    @command("CHANnel#?")
    def _ask_channel(self, call: Call) -> str:
        """Answer all of a channel, as the front panel's setup has it."""
        k = self.channels_of(call)[0]
        return (
            f":CHAN{k}:RANG {self.scale(k) * DIVISIONS:+.2E};OFFS {self.offset(k):+.5E};COUP {self.coupling(k)};"
            f"IMP ONEM;DISP {self.shown(k):d};BWL {self.bandwidth_limit(k):d};INV {self.inverted(k):d};"
            f'LAB "{self.label(k)}";UNIT {self.unit(k)};PROB {self.probe(k):+.2E};PROB:SKEW +0.00E+00;STYP SING'
        )

    @command("TIMebase?")
    def _ask_time(self, call: Call) -> str:
        return (
            f":TIM:MODE {self.time_mode()};REF {self.time_reference()};MAIN:RANG {self.time_range():+.4E};"
            f"POS {self.time_position():+.4E}"
        )

    @command("ACQuire?")
    def _ask_acquisition(self, call: Call) -> str:
        return f":ACQ:MODE {self.acquisition_mode()};TYPE {self.acquisition()};COUN {self.averages():.0f}"
