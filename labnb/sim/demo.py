"""What stands on the bench that everybody can try? A diode whose temperature is controlled.

    psu CH1 + ──── dmm, current input (0.1 ohm) ──── R1 (4.7 ohm) ──┬── dmm, voltage input HI
                                                                    ▼  diode, on the oven's stage
    ground ─────────────────────────────────────────────────────────┴── dmm, voltage input LO

While the meter measures current its voltage input is open, so `labnb.sim.diode_current(voltage, temperature)` is the
exact current. While it measures voltage its 10 Mohm stand beside the diode, unless `VOLT:IMP:AUTO ON`.
"""

from labnb.sim.bench import Bench
from labnb.sim.clock import ClockKind
from labnb.sim.models import Multimeter, PowerSupply, Thermostat
from labnb.sim.parts import Diode, Resistor

PSU_ADDRESS = "USB0::0x2A8D::0x8F01::CN6123::INSTR"
DMM_ADDRESS = "TCPIP0::192.0.2.21::inst0::INSTR"
OVEN_ADDRESS = "GPIB0::12::INSTR"
SERIES_OHM = 4.7


def demo_bench(clock: ClockKind = "real", seed: int = 0) -> Bench:
    """Return a new bench with `psu` (EDU36311A), `dmm` (34470A) and `oven` (a temperature controller) on a diode."""
    bench = Bench(clock=clock, seed=seed)
    PowerSupply(bench, "psu", PSU_ADDRESS, outputs=(("psu1+", "gnd"), ("psu2+", "gnd"), ("psu3+", "gnd")))
    Multimeter(bench, "dmm", DMM_ADDRESS, voltage_input=("anode", "gnd"), current_input=("psu1+", "resistor"))
    oven = Thermostat(bench, "oven", OVEN_ADDRESS)
    bench.circuit.add(
        Resistor("resistor", "anode", ohms=SERIES_OHM),
        Diode("anode", "gnd", temperature=oven.temperature),
    )
    return bench
