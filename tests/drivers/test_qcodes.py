"""QCoDeS' drivers, as they are, on the simulated bench."""

import math
from importlib.util import find_spec

import pytest

from labnb.sim import (
    Bench,
    Generator33512B,
    Multimeter,
    Multimeter34401A,
    Multimeter34410A,
    Multimeter34465A,
    Resistor,
    Source,
    SourceMeter,
)

if find_spec("qcodes") is None:
    pytest.skip("QCoDeS is not installed: pip install 'labnb[drivers]'", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ADDRESS = "TCPIP0::192.0.2.1::inst0::INSTR"


def meter(model, volts=0.5):
    """A meter on a source of 0.5 V behind 1 kohm, which its ammeter closes to ground through 99.9 ohm."""

    def make(bench: Bench):
        source = Source("in")
        source.volts, source.mode = volts, "cv"
        bench.circuit.add(source, Resistor("in", "x", ohms=1000.0), Resistor("x", "a", ohms=99.9))
        return model(bench, "dmm", ADDRESS, voltage_input=("in", "gnd"), current_input=("a", "gnd"))

    return make


@pytest.fixture
def opened():
    """Open a driver; close it after the test."""
    made = []

    def open_driver(cls, name, visalib, **more):
        made.append(cls(name, ADDRESS, visalib=visalib, **more))
        return made[-1]

    yield open_driver
    for driver in made:
        driver.close()


def every_value(snapshot):
    """The values of all parameters in a snapshot, also of submodules."""
    values = {name: parameter.get("value") for name, parameter in snapshot["parameters"].items()}
    for name, module in snapshot.get("submodules", {}).items():
        values |= {f"{name}.{inner}": value for inner, value in every_value(module).items()}
    return values


@pytest.mark.parametrize(("driver", "model"), [("Keysight34470A", Multimeter), ("Keysight34465A", Multimeter34465A)])
def test_truevolt_meters_connect_set_read_and_give_a_snapshot(stand, no_errors, opened, driver, model):
    import qcodes.instrument_drivers.Keysight as keysight

    bench, visalib = stand(meter(model))
    dmm = opened(getattr(keysight, driver), "dmm", visalib)
    assert dmm.get_idn()["model"] == driver.removeprefix("Keysight")
    dmm.NPLC(1)
    dmm.range(1)
    assert (dmm.NPLC(), dmm.range(), dmm.autorange()) == (1, 1, "OFF")
    assert dmm.volt() == pytest.approx(0.5, abs=1e-5)
    assert dmm.curr() == pytest.approx(0.5 / 1100, rel=1e-4)
    assert dmm.ac_curr() == pytest.approx(0.0, abs=1e-5)
    dmm.sample.count(3)
    dmm.trigger.source("IMM")
    assert dmm.read() == pytest.approx([0.5] * 3, abs=1e-5)
    dmm.sense_function("DC Voltage")
    dmm.aperture_time(0.1)
    assert (dmm.aperture_mode(), dmm.aperture_time()) == ("ON", 0.1)
    dmm.resolution(dmm.range() * 1e-5 if driver == "Keysight34470A" else dmm.range() * 1.5e-5)
    assert dmm.NPLC() == 0.002
    dmm.autorange_once()
    dmm.display.text("measuring")
    values = every_value(dmm.snapshot(update=True))
    assert values["display.text"] == "measuring"
    assert values["sample.timer_minimum"] == pytest.approx(2 * 0.002 / 50)
    no_errors(bench)


def test_a_timed_burst_has_the_set_interval(stand, no_errors, opened):
    from qcodes.instrument_drivers.Keysight import Keysight34465A

    bench, visalib = stand(meter(Multimeter34465A))
    dmm = opened(Keysight34465A, "dmm", visalib)
    dmm.NPLC(0.02)
    dmm.autozero("OFF")
    dmm.autorange("OFF")
    dmm.sample.source("TIM")
    dmm.sample.timer(0.01)
    dmm.sample.count(11)
    before = bench.now
    dmm.init_measurement()
    assert len(dmm.fetch()) == 11
    assert bench.now - before == pytest.approx(0.1, abs=0.01)
    no_errors(bench)


@pytest.mark.parametrize(
    ("driver", "model"), [("Agilent34401A", Multimeter34401A), ("Agilent34410A", Multimeter34410A)]
)
def test_earlier_meters_connect_set_read_and_give_a_snapshot(stand, no_errors, opened, driver, model):
    import qcodes.instrument_drivers.agilent as agilent

    bench, visalib = stand(meter(model))
    dmm = opened(getattr(agilent, driver), "dmm", visalib)
    assert dmm.model == driver.removeprefix("Agilent")
    dmm.NPLC(1)
    dmm.range(1.0)
    assert (dmm.NPLC(), dmm.range(), dmm.range_auto()) == (1, 1.0, "off")
    assert dmm.resolution() == pytest.approx(3e-6 if driver == "Agilent34401A" else 3e-7)
    assert dmm.volt() == pytest.approx(0.5, abs=1e-4)
    dmm.display_text("hello")
    dmm.init_measurement()
    assert dmm.fetch() == pytest.approx(0.5, abs=1e-4)
    dmm.display_clear()
    dmm.clear_errors()
    values = every_value(dmm.snapshot(update=True))
    assert values["terminals"].startswith("FRON")
    assert None not in values.values()
    no_errors(bench)


def test_an_overloaded_input_reads_infinity(stand, opened):
    from qcodes.instrument_drivers.Keysight import Keysight34470A

    _, visalib = stand(meter(Multimeter))
    dmm = opened(Keysight34470A, "dmm", visalib)
    dmm.range(0.1)
    assert dmm.volt() == math.inf


def test_a_driver_may_be_closed_and_opened_again(stand, no_errors):
    from qcodes.instrument_drivers.Keysight import Keysight34470A

    bench, visalib = stand(meter(Multimeter))
    for _ in range(3):
        dmm = Keysight34470A("dmm", ADDRESS, visalib=visalib)
        assert dmm.volt() == pytest.approx(0.5, abs=1e-4)
        dmm.close()
    no_errors(bench)


def test_a_generator_connects_sets_and_gives_a_snapshot(stand, no_errors, opened):
    from qcodes.instrument_drivers.Keysight import Keysight33512B

    bench, visalib = stand(lambda bench: Generator33512B(bench, "awg", ADDRESS, outputs=(("a", "gnd"), ("b", "gnd"))))
    awg = opened(Keysight33512B, "awg", visalib)
    awg.ch1.function_type("RAMP")
    awg.ch1.frequency(2.5e3)
    awg.ch1.amplitude(2.0)
    awg.ch2.amplitude_unit("VRMS")
    awg.ch2.amplitude(1.0)
    awg.ch1.output("ON")
    awg.ch1.burst_state("ON")
    awg.ch1.burst_ncycles(4)
    assert (awg.ch1.frequency(), awg.ch1.amplitude(), awg.ch1.output()) == (2.5e3, 2.0, "ON")
    assert awg.ch2.amplitude() == pytest.approx(1.0)
    values = every_value(awg.snapshot(update=True))
    assert (values["ch1.burst_ncycles"], values["ch1.ramp_symmetry"], values["sync.source"]) == (4, 100.0, 1)
    assert len(values) > 40
    awg.sync_channel_phases()
    assert awg.error()[0] == 0
    no_errors(bench)


def test_a_source_meter_connects_sweeps_and_gives_a_snapshot(stand, no_errors, opened):
    from qcodes.instrument_drivers.Keithley import Keithley2400

    def make(bench: Bench):
        bench.circuit.add(Resistor("x", ohms=1000.0))
        return SourceMeter(bench, "smu", ADDRESS, terminals=("x", "gnd"))

    bench, visalib = stand(make)
    smu = opened(Keithley2400, "smu", visalib)
    smu.mode("VOLT")
    smu.sense("CURR")
    smu.rangev(10)
    smu.compliancei(0.01)
    smu.nplci(1)
    smu.output(1)
    for volts in (-2.0, 0.5, 4.0):
        smu.volt(volts)
        assert smu.volt() == pytest.approx(volts, abs=1e-3)
        assert smu.curr() == pytest.approx(volts / 1000, abs=1e-6)
    smu.sense("RES")
    assert smu.resistance() == pytest.approx(1000.0, rel=1e-3)
    values = every_value(smu.snapshot(update=True))
    assert (values["compliancei"], values["output"]) == (0.01, 1)
    no_errors(bench)


def test_a_truevolt_meter_traces_what_happens_after_its_trigger(stand, no_errors, opened):
    from qcodes.instrument_drivers.Keysight import Keysight34470A

    bench, visalib = stand(meter(Multimeter))
    dmm = opened(Keysight34470A, "dmm", visalib)
    dmm.NPLC(0.02)
    dmm.autozero("OFF")
    dmm.autorange("OFF")
    dmm.timetrace_dt(0.01)
    dmm.timetrace_npts(21)
    dmm.time_axis.get()
    trace = dmm.timetrace()
    assert len(trace) == 21
    assert list(trace) == pytest.approx([0.5] * 21, abs=1e-3)
    dmm.trigger.source("BUS")
    dmm.trigger.count(2)
    dmm.sample.count(1)
    dmm.sample.source("IMM")
    dmm.init_measurement()
    for _ in range(2):
        dmm.trigger.force()
        bench.wait(0.1)
    assert len(dmm.fetch()) == 2
    dmm.trigger.source("EXT")
    dmm.trigger.count("INF")
    dmm.trigger.slope("POS")
    dmm.trigger.level(0.25)
    dmm.sample.pretrigger_count(0)
    dmm.init_measurement()
    bench["dmm"].external_trigger()
    dmm.abort_measurement()
    dmm.reset()
    no_errors(bench)


def test_a_generator_gives_what_the_driver_sets(stand, no_errors, opened):
    from qcodes.instrument_drivers.Keysight import Keysight33512B

    bench, visalib = stand(lambda bench: Generator33512B(bench, "awg", ADDRESS, outputs=(("a", "gnd"), ("b", "gnd"))))
    awg = opened(Keysight33512B, "awg", visalib)
    awg.ch1.function_type("SQU")
    awg.ch1.frequency(100)
    awg.ch1.pulse_width(1e-3)
    awg.ch1.amplitude(2.0)
    awg.ch1.offset(0.5)
    awg.ch1.output_polarity("INV")
    awg.ch1.burst_mode("N Cycle")
    awg.ch1.burst_ncycles("INF")
    awg.ch1.trigger_source("EXT")
    awg.ch1.burst_state("ON")
    awg.ch1.output("ON")
    bench["awg"].external_trigger()
    bench.wait(0.001)
    bench.circuit.advance(bench.now)
    assert bench.circuit.voltage("a") == pytest.approx(-2 * (1.0 + 0.5), rel=1e-6)
    awg.sync.output("ON")
    awg.sync.source(2)
    assert (awg.sync.output(), awg.sync.source(), awg.ch1.burst_mode()) == ("ON", 2, "N Cycle")
    awg.ch1.trigger_source("BUS")
    awg.force_trigger()
    no_errors(bench)
