"""What stands on the bench that everybody can try? A diode whose temperature is controlled, and what else fits a table.

    psu CH1 + ──── dmm, current input (0.1 ohm) ──── R1 (4.7 ohm) ──┬── dmm, voltage input HI
                                                                    ▼  diode, on the oven's stage
    ground ─────────────────────────────────────────────────────────┴── dmm, voltage input LO

    psu CH2 + ──── load
    psu CH3 + ──── R3 (1 kohm) ──┬── NTC (10 kohm at 25 °C) on the oven's stage ── ground
                                 └── scope CH4
    awg CH1 ──┬── R2 (1 kohm) ──┬── C2 (100 nF) ── ground
              └── scope CH1     └── scope CH2
    awg CH2 ───── scope CH3
    smu ───────── solar cell of 6 in series, in full sun

While the meter measures current its voltage input is open, so `labnb.sim.diode_current(voltage, temperature)` is the
exact current. While it measures voltage its 10 Mohm stand beside the diode, unless `VOLT:IMP:AUTO ON`.
"""

from labnb.sim.bench import Bench
from labnb.sim.clock import ClockKind
from labnb.sim.models import (
    ElectronicLoad,
    Generator,
    Multimeter,
    Oscilloscope,
    PowerSupply,
    SourceMeter,
    Thermostat,
)
from labnb.sim.parts import Diode, Resistor
from labnb.sim.reactive import Capacitor, Thermistor
from labnb.sim.semiconductors import SolarCell

PSU_ADDRESS = "USB0::0x2A8D::0x8F01::CN6123::INSTR"
DMM_ADDRESS = "TCPIP0::192.0.2.21::inst0::INSTR"
OVEN_ADDRESS = "GPIB0::12::INSTR"
LOAD_ADDRESS = "USB0::0x2A8D::0x3802::MY61001234::INSTR"
SCOPE_ADDRESS = "USB0::0x2A8D::0x0396::CN61200123::INSTR"
AWG_ADDRESS = "TCPIP0::192.0.2.22::inst0::INSTR"
SMU_ADDRESS = "GPIB0::24::INSTR"
SERIES_OHM = 4.7
RC_OHM, RC_FARAD = 1e3, 100e-9
DIVIDER_OHM = 1e3
SOLAR_CELLS = 6


def demo_bench(clock: ClockKind = "real", seed: int = 0) -> Bench:
    """Return a new bench: `psu` (EDU36311A), `dmm` (34470A) and `oven` (a temperature controller) on a diode.

    Beside them `load` (EL33133A), `scope` (DSOX1204G), `awg` (EDU33212A) and `smu` (Keithley 2400).
    """
    bench = Bench(clock=clock, seed=seed)
    PowerSupply(bench, "psu", PSU_ADDRESS, outputs=(("psu1+", "gnd"), ("psu2+", "gnd"), ("psu3+", "gnd")))
    Multimeter(bench, "dmm", DMM_ADDRESS, voltage_input=("anode", "gnd"), current_input=("psu1+", "resistor"))
    oven = Thermostat(bench, "oven", OVEN_ADDRESS)
    bench.circuit.add(
        Resistor("resistor", "anode", ohms=SERIES_OHM),
        Diode("anode", "gnd", temperature=oven.temperature),
    )
    ElectronicLoad(bench, "load", LOAD_ADDRESS, terminals=("psu2+", "gnd"))
    scope_inputs = (("awg1", "gnd"), ("rc", "gnd"), ("awg2", "gnd"), ("ntc", "gnd"))
    Oscilloscope(bench, "scope", SCOPE_ADDRESS, inputs=scope_inputs)
    Generator(bench, "awg", AWG_ADDRESS, outputs=(("awg1", "gnd"), ("awg2", "gnd")))
    SourceMeter(bench, "smu", SMU_ADDRESS, terminals=("solar+", "gnd"))
    bench.circuit.add(
        Resistor("awg1", "rc", ohms=RC_OHM),
        Capacitor("rc", "gnd", farads=RC_FARAD),
        Resistor("psu3+", "ntc", ohms=DIVIDER_OHM),
        Thermistor("ntc", "gnd", ambient=oven.temperature),
        SolarCell("solar+", "gnd", cells=SOLAR_CELLS),
    )
    return bench
