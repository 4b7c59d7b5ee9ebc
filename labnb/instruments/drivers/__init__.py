"""The few instruments of the demo bench: short, and meant to be copied. Bring your own driver for everything else."""

from labnb.instruments.drivers.multimeter import Multimeter
from labnb.instruments.drivers.supply import Channel, PowerSupply
from labnb.instruments.drivers.temperature import TemperatureController

__all__ = ["Channel", "Multimeter", "PowerSupply", "TemperatureController"]
