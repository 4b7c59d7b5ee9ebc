"""Which settings an electronic load keeps."""

from labnb.sim.instrument import Instrument
from labnb.sim.scpi import OVERLOAD
from labnb.sim.settings import Choice, Number, Switch

RANGES = {"CURR": (4.08, 40.8), "VOLT": (15.3, 153.0), "RES": (30.0, 1250.0, 4000.0), "POW": (5.1, 25.5, 255.0)}
EACH = ("CURRent", "VOLTage", "RESistance", "POWer")
UNITS = {"CURR": "A", "VOLT": "V", "RES": "OHM", "POW": "W"}
_HIGHEST = tuple(RANGES[name][-1] for name in ("CURR", "VOLT", "RES", "POW"))


class LoadSettings(Instrument):
    """The settings of an electronic load."""

    function = Choice(
        "[SOURce:]FUNCtion", "[SOURce:]MODE", default="CURR", choices=("CURRent", "VOLTage", "POWer", "RESistance")
    )
    level = Number(keys=EACH, default=(0.0, 153.0, 4000.0, 0.0), low=(0.0, 0.0, 0.08, 0.0), high=_HIGHEST)
    transient_level = Number(
        "[SOURce:]{}:TLEVel",
        keys=EACH,
        default=(0.0, 153.0, 4000.0, 0.0),
        low=0.0,
        high=_HIGHEST,
    )
    trigger_level = Number(
        "[SOURce:]{}[:LEVel]:TRIGgered[:AMPLitude]",
        keys=EACH,
        default=(0.0, 153.0, 4000.0, 0.0),
        low=0.0,
        high=_HIGHEST,
    )
    range = Number(keys=EACH, default=_HIGHEST, low=0.0, high=_HIGHEST)
    slew = Number("[SOURce:]{}:SLEW[:POSitive]", keys=EACH, default=OVERLOAD, low=1e-3, high=OVERLOAD)
    slew_down = Number("[SOURce:]{}:SLEW:NEGative", keys=EACH, default=OVERLOAD, low=1e-3, high=OVERLOAD)
    input = Switch("INPut[:STATe]", "OUTPut[:STATe]", default=False)
    short = Switch("INPut:SHORt[:STATe]", "OUTPut:SHORt[:STATe]", default=False)
    sensing = Choice("[SOURce:]VOLTage:SENSe[:SOURce]", default="INT", choices=("INTernal", "EXTernal"))
    transient_mode = Choice("[SOURce:]TRANsient:MODE", default="CONT", choices=("CONTinuous", "PULSe", "TOGGle"))
    remote = Choice("SYSTem:COMMunicate:RLSTate", default="LOC", choices=("LOCal", "REMote", "RWLock"))
    stepping = Choice("[SOURce:]{}:MODE", keys=EACH, default="FIX", choices=("FIXed", "STEP"))
    transient_frequency = Number("[SOURce:]TRANsient:FREQuency", unit="HZ", default=1e3, low=0.01, high=50e3)
    transient_duty = Number("[SOURce:]TRANsient:DCYCle", default=50.0, low=1.8, high=98.2)
    transient_width = Number("[SOURce:]TRANsient:TWIDth", unit="S", default=5e-4, low=2e-5, high=10.0)
    trigger_source = Choice(
        "TRIGger:TRANsient:SOURce", "TRIGger:SOURce", default="BUS", choices=("BUS", "IMMediate", "EXTernal")
    )  # fmt: skip
    continuous = Switch("INITiate:CONTinuous:TRANsient", default=False)
    current_protection = Number("[SOURce:]CURRent:PROTection[:LEVel]", unit="A", default=40.8, low=0.0, high=44.88)
    current_protected = Switch("[SOURce:]CURRent:PROTection:STATe", default=False)
    power_protection = Number("[SOURce:]POWer:PROTection[:LEVel]", unit="W", default=255.0, low=0.0, high=280.5)
    power_protected = Switch("[SOURce:]POWer:PROTection:STATe", default=False)
