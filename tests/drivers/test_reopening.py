"""Every driver of the suite is closed and opened again, and finds what it has set."""

from importlib import import_module
from importlib.util import find_spec

import pytest

from labnb.sim import (
    Generator,
    Generator33512B,
    Multimeter,
    Multimeter34401A,
    Multimeter34410A,
    Multimeter34465A,
    Oscilloscope,
    PowerSupplyE36312A,
    SourceMeter,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ADDRESS = "TCPIP0::192.0.2.1::inst0::INSTR"
PAIRS = (("a", "gnd"), ("b", "gnd"), ("c", "gnd"), ("d", "gnd"))
METER = {"voltage_input": PAIRS[0], "current_input": PAIRS[1]}
KEYSIGHT, AGILENT = "qcodes.instrument_drivers.Keysight", "qcodes.instrument_drivers.agilent"


@pytest.mark.skipif(find_spec("qcodes") is None, reason="QCoDeS is not installed")
@pytest.mark.parametrize(
    ("module", "driver", "model", "wiring", "path", "value"),
    [
        (KEYSIGHT, "Keysight34470A", Multimeter, METER, "NPLC", 0.2),
        (KEYSIGHT, "Keysight34465A", Multimeter34465A, METER, "trigger.count", 7),
        (AGILENT, "Agilent34401A", Multimeter34401A, METER, "NPLC", 1),
        (AGILENT, "Agilent34410A", Multimeter34410A, METER, "range", 1.0),
        (KEYSIGHT, "Keysight33512B", Generator33512B, {"outputs": PAIRS[:2]}, "ch2.frequency", 2500.0),
        ("qcodes.instrument_drivers.Keithley", "Keithley2400", SourceMeter, {"terminals": PAIRS[0]}, "nplci", 0.5),
    ],
)  # fmt: skip
def test_a_qcodes_driver_finds_after_reopening_what_it_has_set(
    stand, no_errors, module, driver, model, wiring, path, value
):
    bench, visalib = stand(lambda bench: model(bench, "it", ADDRESS, **wiring))
    cls = getattr(import_module(module), driver)
    for opening in range(3):
        opened = cls("it", ADDRESS, visalib=visalib)
        try:
            parameter = opened
            for part in path.split("."):
                parameter = getattr(parameter, part)
            if opening:
                assert parameter() == value
            parameter(value)
            assert opened.get_idn()["vendor"]
            assert opened.snapshot(update=opening == 2)
        finally:
            opened.close()
    no_errors(bench)


@pytest.mark.skipif(find_spec("pymeasure") is None, reason="PyMeasure is not installed")
@pytest.mark.parametrize(
    ("module", "driver", "model", "wiring", "path", "value"),
    [
        ("keysight", "KeysightE36312A", PowerSupplyE36312A, {"outputs": PAIRS[:3]}, "ch_2.voltage_setpoint", 7.5),
        ("agilent", "Agilent34410A", Multimeter34410A, METER, "", 0),
        ("hp", "HP34401A", Multimeter34401A, METER, "sample_count", 5),
        ("keysight", "KeysightDSOX1102G", Oscilloscope, {"inputs": PAIRS}, "ch1.offset", 0.25),
        ("keithley", "Keithley2400", SourceMeter, {"terminals": PAIRS[0]}, "source_voltage", 1.25),
        ("agilent", "Agilent33500", Generator, {"outputs": PAIRS[:2]}, "ch_2.frequency", 2500.0),
    ],
)  # fmt: skip
def test_a_pymeasure_driver_finds_after_reopening_what_it_has_set(
    stand, no_errors, module, driver, model, wiring, path, value
):
    bench, visalib = stand(lambda bench: model(bench, "it", ADDRESS, **wiring))
    cls = getattr(import_module(f"pymeasure.instruments.{module}"), driver)
    *owners, name = path.split(".")
    for opening in range(3):
        opened = cls(ADDRESS, visa_library=visalib)
        assert opened.id == model.identity
        place = opened
        for owner in owners:
            place = getattr(place, owner)
        if name and opening:
            assert getattr(place, name) == value
        if name:
            setattr(place, name, value)
        opened.adapter.close()
    no_errors(bench)
