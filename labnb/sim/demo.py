"""What stands on the bench that everybody can try? See benches/demo.yaml, with a drawing of it; copies of it are welcome.

While the meter measures current its voltage input is open, so `labnb.sim.diode_current(voltage, temperature)` is the
exact current. While it measures voltage its 10 Mohm stand beside the diode, unless `VOLT:IMP:AUTO ON`.
"""

from labnb.sim.bench import Bench
from labnb.sim.bench_file import bench_file, load_bench
from labnb.sim.clock import ClockKind

PSU_ADDRESS = "USB0::0x2A8D::0x8F01::CN6123::INSTR"
"""Where the demo bench's supply is."""
DMM_ADDRESS = "TCPIP0::192.0.2.21::inst0::INSTR"
"""Where the demo bench's multimeter is."""
OVEN_ADDRESS = "GPIB0::12::INSTR"
"""Where the demo bench's oven is."""
LOAD_ADDRESS = "USB0::0x2A8D::0x3802::MY61001234::INSTR"
"""Where the demo bench's electronic load is."""
SCOPE_ADDRESS = "USB0::0x2A8D::0x0396::CN61200123::INSTR"
"""Where the demo bench's oscilloscope is."""
AWG_ADDRESS = "TCPIP0::192.0.2.22::inst0::INSTR"
"""Where the demo bench's generator is."""
SMU_ADDRESS = "GPIB0::24::INSTR"
"""Where the demo bench's source meter is."""


def demo_bench(clock: ClockKind = "real", seed: int = 0) -> Bench:
    """Return a new bench: `psu` (EDU36311A), `dmm` (34470A) and `oven` (a temperature controller) on a diode.

    Beside them `load` (EL33133A), `scope` (DSOX1204G), `awg` (EDU33212A) and `smu` (Keithley 2400).
    """
    return load_bench(bench_file("demo"), clock=clock, seed=seed)
