"""Which other multimeters of the family there are, and in what they differ."""

from typing import final

from labnb.sim.models.meter_functions import (
    AGILENT_34410A,
    HP_34401A,
    LATER,
    RESOLUTIONS_34401A,
    RESOLUTIONS_34410A,
    RESOLUTIONS_34465A,
)
from labnb.sim.models.meter_settings import range_setting
from labnb.sim.models.multimeter import Multimeter


@final
class Multimeter34465A(Multimeter):
    """Keysight 34465A, 6 1/2 digits."""

    identity = "Keysight Technologies,34465A,MY57501234,A.03.01-03.15-03.01-00.52-03-01"
    resolutions = RESOLUTIONS_34465A
    noise = 3.0


@final
class Multimeter34410A(Multimeter):
    """Agilent 34410A, 6 1/2 digits, 0.1 mA to 3 A."""

    identity = "Agilent Technologies,34410A,MY47001234,2.35-2.35-0.09-46-09"
    functions = AGILENT_34410A
    range = range_setting(AGILENT_34410A)
    resolutions = RESOLUTIONS_34410A
    noise = 3.0


@final
class Multimeter34401A(Multimeter):
    """HP 34401A, 6 1/2 digits, 10 mA to 3 A."""

    identity = "HEWLETT-PACKARD,34401A,0,11-5-2"
    functions = HP_34401A
    range = range_setting(HP_34401A)
    resolutions = RESOLUTIONS_34401A
    lacks = LATER
    noise = 10.0
