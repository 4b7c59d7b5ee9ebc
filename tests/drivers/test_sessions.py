"""Unmodified drivers of other packages as instruments of a session."""

import pytest

from labnb.record import open_run
from labnb.session import Measurement
from labnb.sim import find_bench

WHERE = {"address": "GPIB0::24::INSTR", "visa_library": "fast@labnb"}
KEYS = {
    "qcodes": "qcodes.instrument_drivers.Keithley:Keithley2400",
    "pymeasure": "pymeasure.instruments.keithley:Keithley2400",
}


@pytest.mark.parametrize("package", KEYS)
async def test_a_driver_is_opened_described_and_closed_by_a_session(package, tmp_path):
    pytest.importorskip(package)

    async with Measurement("theirs", store=tmp_path) as session:
        smu = await session.instrument("smu", KEYS[package], **WHERE)

        @session.acquire
        def level(smu):
            return smu.rangev() if package == "qcodes" else smu.source_voltage

        run = await session.run()
    assert float(run.data["level"]) in (0.0, 21.0, 20.0)
    told = open_run(run.path).metadata["instruments"]["smu"]
    assert told["driver"].endswith("Keithley2400")
    assert ("parameters" in told) is (package == "qcodes")
    with pytest.raises(Exception, match=r"[Ss]ession|closed|no attribute"):
        smu.ask("*IDN?")
    assert not find_bench("fast")["smu"].output()
