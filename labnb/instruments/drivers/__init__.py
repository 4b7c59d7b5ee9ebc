"""The few instruments of the demo bench: short, and meant to be copied. Bring your own driver for everything else."""

from labnb.instruments.drivers.generator import Generator, GeneratorChannel
from labnb.instruments.drivers.load import ElectronicLoad
from labnb.instruments.drivers.multimeter import Multimeter
from labnb.instruments.drivers.oscilloscope import Oscilloscope
from labnb.instruments.drivers.scope_channel import ScopeChannel
from labnb.instruments.drivers.source_meter import Measured, SourceMeter
from labnb.instruments.drivers.supply import PowerSupply, SupplyChannel
from labnb.instruments.drivers.temperature import TemperatureController
from labnb.instruments.drivers.trace import Screenshot
from labnb.instruments.drivers.wave import Wave

__all__ = [
    "ElectronicLoad",
    "Generator",
    "GeneratorChannel",
    "Measured",
    "Multimeter",
    "Oscilloscope",
    "PowerSupply",
    "ScopeChannel",
    "Screenshot",
    "SourceMeter",
    "SupplyChannel",
    "TemperatureController",
    "Wave",
]
