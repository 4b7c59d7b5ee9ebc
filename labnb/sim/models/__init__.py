"""Which instruments can stand on a simulated bench."""

from labnb.sim.models.gate_source import GateSource
from labnb.sim.models.generator import Generator, Generator33512B
from labnb.sim.models.load import ElectronicLoad
from labnb.sim.models.meter_functions import noise_sigma
from labnb.sim.models.meter_models import Multimeter34401A, Multimeter34410A, Multimeter34465A
from labnb.sim.models.multimeter import Multimeter
from labnb.sim.models.oscilloscope import Oscilloscope
from labnb.sim.models.power_supply import PowerSupply, PowerSupplyE36312A, PowerSupplyE36313A
from labnb.sim.models.source_meter import SourceMeter
from labnb.sim.models.thermostat import Thermostat

__all__ = [
    "ElectronicLoad",
    "GateSource",
    "Generator",
    "Generator33512B",
    "Multimeter",
    "Multimeter34401A",
    "Multimeter34410A",
    "Multimeter34465A",
    "Oscilloscope",
    "PowerSupply",
    "PowerSupplyE36312A",
    "PowerSupplyE36313A",
    "SourceMeter",
    "Thermostat",
    "noise_sigma",
]
