"""easy-scpi, as it is, on the simulated bench."""

from importlib.util import find_spec

import pytest

from labnb.sim import Bench, PowerSupply, Resistor

if find_spec("easy_scpi") is None:
    pytest.skip("easy-scpi is not installed: pip install 'labnb[drivers]'", allow_module_level=True)

ADDRESS = "USB0::0x2A8D::0x8F01::CN6123::INSTR"


def test_attributes_become_commands_and_queries(stand, no_errors):
    import easy_scpi

    def make(bench: Bench):
        bench.circuit.add(Resistor("a", ohms=10.0))
        return PowerSupply(bench, "psu", ADDRESS, outputs=(("a", "gnd"), ("b", "gnd"), ("c", "gnd")))

    bench, visalib = stand(make)
    for _ in range(2):
        psu = easy_scpi.Instrument(ADDRESS, backend=visalib)
        psu.connect()
        assert "EDU36311A" in psu.id
        psu.source.volt.level(3)
        psu.output.state("ON")
        assert float(psu.source.volt.level()) == 3.0
        assert float(psu.meas.curr()) == pytest.approx(0.3, abs=1e-3)
        assert float(psu.measure.voltage("(@1)", query=True)) == pytest.approx(3.0, abs=5e-3)
        psu.disconnect()
        assert not psu.is_connected
    no_errors(bench)
