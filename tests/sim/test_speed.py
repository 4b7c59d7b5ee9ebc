"""How fast a bench answers with the skipping clock; the figures are printed (`pytest -s`)."""

import time

from labnb.sim import DMM_ADDRESS, PSU_ADDRESS


def rate(act, count: int) -> float:
    """Return the best of three, as the machine does other things, too."""
    best = 0.0
    for _ in range(3):
        start = time.perf_counter()
        for step in range(count):
            act(step)
        best = max(best, count / (time.perf_counter() - start))
    return best


def test_a_query_and_a_reading_with_a_solved_circuit_are_quick(bench, visa):
    psu, dmm = bench.port("psu"), bench.port("dmm")

    def setting(_step):
        psu.send(b"VOLT? (@1)", end=True, timeout_s=1.0)
        psu.receive(100, timeout_s=1.0, termination=None)

    def reading(step):
        psu.send(b"VOLT %.3f,(@1)" % (0.6 + step % 100 / 1000), end=True, timeout_s=1.0)
        dmm.send(b"READ?", end=True, timeout_s=1.0)
        dmm.receive(100, timeout_s=1.0, termination=None)

    psu.send(b"OUTP ON,(@1)", end=True, timeout_s=1.0)
    dmm.send(b"CONF:CURR 0.1", end=True, timeout_s=1.0)
    manager = visa(bench)
    visa_psu, visa_dmm = manager.open_resource(PSU_ADDRESS), manager.open_resource(DMM_ADDRESS)
    rates = {
        "setting query, device layer": rate(setting, 5000),
        "setting and READ? with solve, device layer": rate(reading, 1000),
        "setting query, PyVISA": rate(lambda _: visa_psu.query("VOLT? (@1)"), 1000),
        "READ?, PyVISA": rate(lambda _: visa_dmm.query("READ?"), 1000),
    }
    for what, per_second in rates.items():
        print(f"{what}: {per_second:,.0f} a second")
    assert rates["setting query, device layer"] > 5_000
    assert rates["setting and READ? with solve, device layer"] > 1_000
