"""Which instruments can stand on a simulated bench."""

from labnb.sim.models.multimeter import Multimeter, noise_sigma
from labnb.sim.models.power_supply import PowerSupply
from labnb.sim.models.thermostat import Thermostat

__all__ = ["Multimeter", "PowerSupply", "Thermostat", "noise_sigma"]
