"""A simulated bench that feels real: SCPI over PyVISA, one physics behind all instruments, faults, latency.

    pyvisa.ResourceManager("demo@labnb").open_resource("TCPIP0::192.0.2.21::inst0::INSTR").query("READ?")

`run_virtual(main())` runs a measurement on it in virtual time: waiting takes none, and a second run is equal bit by bit.

**A bench of your own** is a YAML file, opened by its path as `"my_bench.yaml@labnb"`: `bench_file("demo")` is one to copy.
It says which instruments there are (`instrument_keys()`), which parts (`part_words()`) and how they are wired; what is
wrong with it is said with its line. The file is read again when it has changed and none of its instruments is open.

**An instrument of your own** is a class that declares what can be set and asked. What takes time is a generator that
yields the bench time at which it goes on:

    class Lamp(Instrument):
        identity = "MYLAB,LAMP,1,1.0"
        influences = ("brightness",)                    # what parts may follow: `light: lamp` in the bench file
        terminal_names = {"supply": ("+", "-")}         # what can be wired, for each keyword that takes nodes
        level = settings.Number("LEVel", default=0.0, low=0.0, high=1.0)      # LEV 0.5, LEV?, MIN, MAX, -222

        def __init__(self, bench, name, address, *, supply, gain: float = 1.0):
            super().__init__(bench, name, address)      # other keywords are `options` in the bench file
            self.gain = gain
            bench.circuit.add(Resistor(*supply, ohms=50.0))

        def brightness(self, now):                      # a function of bench time in s
            return self.gain * self.level()

        @command("READY?")
        def _ready(self, call):
            yield self.now + 0.2
            return "1"

**A part of your own** stands between nodes and says its law around a guess of the voltages: `_add_conductance` and
`_add_current` (A, from its first to its second node). A nonlinear one says its tangent, with `nonlinear = True`:

    class Varistor(Part):
        nonlinear = True
        terminal_names = ("1", "2")

        def __init__(self, first, second, *, k_a_per_v3: float = 1e-3):
            super().__init__(first, second)
            self.k = k_a_per_v3

        def stamp(self, rows, right, guess, step_s):    # i = k v^3
            volts = self.across(guess)
            self._add_conductance(rows, 3 * self.k * volts**2)
            self._add_current(right, -2 * self.k * volts**3)

        def commit(self, solution, step_s):
            self.voltage = self.across(solution)
            self.current = self.k * self.voltage**3

In a bench file they are `model: my_module:Lamp` and `part: my_module:Varistor`, with `my_module.py` beside the file, or
`__main__:Lamp` in a notebook. A number's unit is in the name of its keyword (`ohms`, `farads`, `photo_a`, `rise_s`);
a keyword annotated `float | Callable[[float], float]` may follow an instrument; one called `seed` gets the bench's.
"""

from typing import TYPE_CHECKING

from labnb.sim import settings
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
from labnb.sim.diode_law import diode_current, saturation_current
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
from labnb.sim.parts import CurrentSource, Diode, Part, Resistor, Source
from labnb.sim.reactive import Capacitor, Inductor, Thermistor
from labnb.sim.registry import bench_names, find_bench, register
from labnb.sim.semiconductors import BipolarTransistor, Led, Mosfet, SolarCell
from labnb.sim.sources import Sink, Switch, WaveSource
from labnb.sim.turns import VirtualClock
from labnb.sim.waves import Wave

if TYPE_CHECKING:
    from labnb.sim.virtual import VirtualLoop, run_virtual

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
    "VirtualClock",
    "VirtualLoop",
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
    "run_virtual",
    "saturation_current",
    "settings",
]


def __getattr__(name: str) -> object:  # asyncio is not loaded for those who do not use it
    if name not in ("VirtualLoop", "run_virtual"):
        raise AttributeError(f"module 'labnb.sim' has no attribute {name!r}")
    from labnb.sim import virtual

    return getattr(virtual, name)
