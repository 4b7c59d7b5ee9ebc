"""What stands on the bench for two-dimensional maps? Quantum dots in a cryostat that nobody has to cool.

    gates CH1 ── P1 ──┐                       ┌── current amplifier (1 V/nA) ── dmm
    gates CH2 ── P2 ──┤ dots, and a sensor ───┤
    gates CH3 ── 1/1000 ── bias of dot 1 ─────┘── sensor's amplifier ────────── sensor

`dmm` over P1 and bias shows Coulomb diamonds: 40 mV of gate for an electron, 2 mV of bias to the tip of a diamond.
`sensor` over P1 and P2 shows the charge stability map of a double dot: a step for each electron, in a honeycomb.
Both drift slowly; an electron's step is 20 mV.
"""

from collections.abc import Sequence

from labnb.sim.bench import Bench
from labnb.sim.clock import ClockKind
from labnb.sim.models import GateSource, Multimeter, Multimeter34465A
from labnb.sim.quantum_dots import Dot, DoubleDot, Drift, Transfer

GATES_ADDRESS = "USB0::0x1209::0x5604::SIM0011::INSTR"
CURRENT_ADDRESS = "TCPIP0::192.0.2.31::inst0::INSTR"
SENSOR_ADDRESS = "TCPIP0::192.0.2.32::inst0::INSTR"
VOLTS_PER_AMP = 1e9
BIAS_DIVIDER = 1e-3
STEPS_V = (0.02, 0.015)
"""What an electron on dot 1 or 2 takes from the sensor's output."""
SLOPE = 0.1
"""How much of the gates' voltages the sensor sees by itself."""


def dots_bench(clock: ClockKind = "real", seed: int = 0, drift_v: float = 5e-4) -> Bench:
    """Return a new bench with `gates` (a voltage source), `dmm` (34470A, current) and `sensor` (34465A, charge).

    `drift_v` is the standard deviation of the slow charge noise, in V at gate P1.
    """
    bench = Bench(clock=clock, seed=seed)
    GateSource(bench, "gates", GATES_ADDRESS, outputs=("p1", "p2", "bias", "spare"))
    Multimeter(bench, "dmm", CURRENT_ADDRESS, voltage_input=("current", "gnd"), current_input=("dmm_i", "gnd"))
    Multimeter34465A(
        bench, "sensor", SENSOR_ADDRESS, voltage_input=("charge", "gnd"), current_input=("sensor_i", "gnd")
    )
    dot, pair, drift = Dot(), DoubleDot(), Drift(f"{seed}/charge", drift_v)

    def current(inputs: Sequence[float], now: float) -> float:
        gate_v, bias_v = inputs
        return VOLTS_PER_AMP * dot.current(gate_v + drift.at(now), bias_v * BIAS_DIVIDER)

    def charge(inputs: Sequence[float], now: float) -> float:
        first_v, second_v = inputs
        first, second = pair.electrons((first_v + drift.at(now), second_v))
        return 1.0 + SLOPE * (first_v + second_v + drift.at(now)) - STEPS_V[0] * first - STEPS_V[1] * second

    bench.circuit.add(Transfer("current", ("p1", "bias"), current), Transfer("charge", ("p1", "p2"), charge))
    return bench
