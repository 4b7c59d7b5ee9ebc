"""A simulated bench that feels real: SCPI over PyVISA, one physics behind all instruments, faults, latency.

pyvisa.ResourceManager("demo@labnb").open_resource("TCPIP0::192.0.2.21::inst0::INSTR").query("READ?")
"""

from labnb.sim.bench import Bench
from labnb.sim.bench_file import bench_file, load_bench
from labnb.sim.catalogue import instrument_keys, part_words, register_instrument, register_part
from labnb.sim.circuit import Circuit
from labnb.sim.clock import ClockKind
from labnb.sim.demo import (
    AWG_ADDRESS,
    DMM_ADDRESS,
    LOAD_ADDRESS,
    OVEN_ADDRESS,
    PSU_ADDRESS,
    SCOPE_ADDRESS,
    SMU_ADDRESS,
    demo_bench,
)
from labnb.sim.dots import CURRENT_ADDRESS, GATES_ADDRESS, SENSOR_ADDRESS, dots_bench
from labnb.sim.faults import Fault, FaultKind
from labnb.sim.instrument import Instrument, command
from labnb.sim.models import (
    ElectronicLoad,
    GateSource,
    Generator,
    Generator33512B,
    Multimeter,
    Multimeter34401A,
    Multimeter34410A,
    Multimeter34465A,
    Oscilloscope,
    PowerSupply,
    PowerSupplyE36312A,
    PowerSupplyE36313A,
    SourceMeter,
    Thermostat,
    noise_sigma,
)
from labnb.sim.parts import CurrentSource, Diode, Part, Resistor, Source, diode_current, saturation_current
from labnb.sim.reactive import Capacitor, Inductor, Thermistor
from labnb.sim.registry import bench_names, find_bench, register
from labnb.sim.semiconductors import BipolarTransistor, Led, Mosfet, SolarCell
from labnb.sim.sources import Sink, Switch, WaveSource
from labnb.sim.waves import Wave

__all__ = [
    "AWG_ADDRESS",
    "CURRENT_ADDRESS",
    "DMM_ADDRESS",
    "GATES_ADDRESS",
    "LOAD_ADDRESS",
    "OVEN_ADDRESS",
    "PSU_ADDRESS",
    "SCOPE_ADDRESS",
    "SENSOR_ADDRESS",
    "SMU_ADDRESS",
    "Bench",
    "BipolarTransistor",
    "Capacitor",
    "Circuit",
    "ClockKind",
    "CurrentSource",
    "Diode",
    "ElectronicLoad",
    "Fault",
    "FaultKind",
    "GateSource",
    "Generator",
    "Generator33512B",
    "Inductor",
    "Instrument",
    "Led",
    "Mosfet",
    "Multimeter",
    "Multimeter34401A",
    "Multimeter34410A",
    "Multimeter34465A",
    "Oscilloscope",
    "Part",
    "PowerSupply",
    "PowerSupplyE36312A",
    "PowerSupplyE36313A",
    "Resistor",
    "Sink",
    "SolarCell",
    "Source",
    "SourceMeter",
    "Switch",
    "Thermistor",
    "Thermostat",
    "Wave",
    "WaveSource",
    "bench_file",
    "bench_names",
    "command",
    "demo_bench",
    "diode_current",
    "dots_bench",
    "find_bench",
    "instrument_keys",
    "load_bench",
    "noise_sigma",
    "part_words",
    "register",
    "register_instrument",
    "register_part",
    "saturation_current",
]
