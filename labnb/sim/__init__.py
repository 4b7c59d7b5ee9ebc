"""A simulated bench that feels real: SCPI over PyVISA, one physics behind all instruments, faults, latency.

pyvisa.ResourceManager("demo@labnb").open_resource("TCPIP0::192.0.2.21::inst0::INSTR").query("READ?")
"""

from labnb.sim.bench import Bench
from labnb.sim.circuit import Circuit
from labnb.sim.clock import ClockKind
from labnb.sim.demo import DMM_ADDRESS, OVEN_ADDRESS, PSU_ADDRESS, demo_bench
from labnb.sim.faults import Fault, FaultKind
from labnb.sim.instrument import Instrument, command
from labnb.sim.models import (
    Multimeter,
    Multimeter34401A,
    Multimeter34410A,
    Multimeter34465A,
    PowerSupply,
    PowerSupplyE36312A,
    PowerSupplyE36313A,
    Thermostat,
    noise_sigma,
)
from labnb.sim.parts import CurrentSource, Diode, Part, Resistor, Source, diode_current, saturation_current
from labnb.sim.reactive import Capacitor, Inductor, Thermistor
from labnb.sim.registry import bench_names, find_bench, register

__all__ = [
    "DMM_ADDRESS",
    "OVEN_ADDRESS",
    "PSU_ADDRESS",
    "Bench",
    "Capacitor",
    "Circuit",
    "ClockKind",
    "CurrentSource",
    "Diode",
    "Fault",
    "FaultKind",
    "Inductor",
    "Instrument",
    "Multimeter",
    "Multimeter34401A",
    "Multimeter34410A",
    "Multimeter34465A",
    "Part",
    "PowerSupply",
    "PowerSupplyE36312A",
    "PowerSupplyE36313A",
    "Resistor",
    "Source",
    "Thermistor",
    "Thermostat",
    "bench_names",
    "command",
    "demo_bench",
    "diode_current",
    "find_bench",
    "noise_sigma",
    "register",
    "saturation_current",
]
