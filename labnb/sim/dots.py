"""What stands on the bench for two-dimensional maps? Quantum dots: see benches/dots.yaml, with a drawing of it."""

from labnb.sim.bench import Bench
from labnb.sim.bench_file import bench_file, load_bench
from labnb.sim.clock import ClockKind

GATES_ADDRESS = "USB0::0x1209::0x5604::SIM0011::INSTR"
"""Where the gates' voltage source of the quantum dots is."""
CURRENT_ADDRESS = "TCPIP0::192.0.2.31::inst0::INSTR"
"""Where the meter of the dots' current is."""
SENSOR_ADDRESS = "TCPIP0::192.0.2.32::inst0::INSTR"
"""Where the meter of the charge sensor is."""


def dots_bench(clock: ClockKind = "real", seed: int = 0) -> Bench:
    """Return a new bench with `gates` (a voltage source), `dmm` (34470A, current) and `sensor` (34465A, charge)."""
    return load_bench(bench_file("dots"), clock=clock, seed=seed)
