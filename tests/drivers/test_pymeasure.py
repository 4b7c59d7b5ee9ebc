"""PyMeasure's drivers, as they are, on the simulated bench."""

from importlib.util import find_spec

import pytest

from labnb.sim import (
    Bench,
    Generator,
    Multimeter34401A,
    Multimeter34410A,
    Oscilloscope,
    PowerSupplyE36312A,
    PowerSupplyE36313A,
    Resistor,
    Source,
    SourceMeter,
)

if find_spec("pymeasure") is None:
    pytest.skip("PyMeasure is not installed: pip install 'labnb[drivers]'", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

ADDRESS = "USB0::0x2A8D::0x1202::MY57900123::INSTR"


@pytest.fixture
def opened():
    """Open a driver; close its connection after the test."""
    made = []

    def open_driver(cls, visalib):
        made.append(cls(ADDRESS, visa_library=visalib))
        return made[-1]

    yield open_driver
    for driver in made:
        driver.adapter.close()


@pytest.mark.parametrize("model", [PowerSupplyE36312A, PowerSupplyE36313A])
def test_a_supply_connects_sets_and_measures_each_channel(stand, no_errors, opened, model):
    from pymeasure.instruments.keysight import KeysightE36312A

    def make(bench: Bench):
        bench.circuit.add(Resistor("a", ohms=10.0), Resistor("b", ohms=100.0))
        return model(bench, "psu", ADDRESS, outputs=(("a", "gnd"), ("b", "gnd"), ("c", "gnd")))

    bench, visalib = stand(make)
    psu = opened(KeysightE36312A, visalib)
    assert model.identity.split(",")[1] in psu.id
    psu.ch_1.voltage_setpoint = 5
    psu.ch_1.current_limit = 0.2
    psu.ch_2.voltage_setpoint = 20
    psu.ch_1.output_enabled = psu.ch_2.output_enabled = True
    assert (psu.ch_1.voltage_setpoint, psu.ch_1.current_limit, psu.ch_3.output_enabled) == (5, 0.2, False)
    assert psu.ch_1.voltage == pytest.approx(2.0, abs=5e-3)
    assert psu.ch_1.current == pytest.approx(0.2, abs=1e-3)
    assert psu.ch_2.current == pytest.approx(0.2, abs=1e-3)
    psu.ch_1.output_enabled = False
    assert psu.ch_1.voltage == pytest.approx(0.0, abs=5e-3)
    assert psu.check_errors() == []
    no_errors(bench)


def meter(model):
    """A meter on a source of 0.5 V behind 1 kohm, which its ammeter closes to ground through 99.9 ohm."""

    def make(bench: Bench):
        source = Source("in")
        source.volts, source.mode = 0.5, "cv"
        bench.circuit.add(source, Resistor("in", "x", ohms=1000.0), Resistor("x", "a", ohms=99.9))
        return model(bench, "dmm", ADDRESS, voltage_input=("in", "gnd"), current_input=("a", "gnd"))

    return make


def test_the_simple_meter_reads_all_that_it_names(stand, no_errors, opened):
    from pymeasure.instruments.agilent import Agilent34410A

    bench, visalib = stand(meter(Multimeter34410A))
    dmm = opened(Agilent34410A, visalib)
    assert dmm.voltage_dc == pytest.approx(0.5, abs=1e-5)
    assert dmm.current_dc == pytest.approx(0.5 / 1100, rel=1e-4)
    assert dmm.voltage_ac == pytest.approx(0.0, abs=1e-4)
    assert dmm.current_ac == pytest.approx(0.0, abs=1e-4)
    no_errors(bench)


@pytest.mark.parametrize(("reading", "ohms"), [("resistance", 4700.0), ("resistance_4w", 150e3)])
def test_the_simple_meter_reads_resistance(stand, no_errors, opened, reading, ohms):
    from pymeasure.instruments.agilent import Agilent34410A

    def make(bench: Bench):
        bench.circuit.add(Resistor("x", ohms=ohms))
        return Multimeter34410A(bench, "dmm", ADDRESS, voltage_input=("x", "gnd"), current_input=("i", "gnd"))

    bench, visalib = stand(make)
    assert getattr(opened(Agilent34410A, visalib), reading) == pytest.approx(ohms, rel=1e-4)
    no_errors(bench)


def test_the_34401a_sets_each_function_and_reads(stand, no_errors, opened):
    from pymeasure.instruments.hp import HP34401A

    bench, visalib = stand(meter(Multimeter34401A))
    dmm = opened(HP34401A, visalib)
    for function, expected in (("DCV", 0.5), ("DCI", 0.5 / 1100), ("ACV", 0.0), ("ACI", 0.0)):
        dmm.function_ = function
        assert dmm.function_ == function
        dmm.autorange = True
        assert dmm.reading == pytest.approx(expected, rel=1e-3, abs=1e-3)
    dmm.function_ = "DCV"
    dmm.range_ = 1
    dmm.nplc = 10
    dmm.resolution = 3e-6
    assert (dmm.range_, dmm.autorange, dmm.nplc) == (1, False, 1)
    assert dmm.resolution == pytest.approx(3e-6)
    dmm.autozero_enabled = False
    dmm.auto_input_impedance_enabled = True
    dmm.detector_bandwidth = 3
    dmm.sample_count = 4
    dmm.trigger_source = "IMM"
    dmm.trigger_delay = 0.01
    assert (dmm.autozero_enabled, dmm.trigger_delay, dmm.trigger_auto_delay_enabled) == (False, 0.01, False)
    dmm.init_trigger()
    assert dmm.stored_reading == pytest.approx([0.5] * 4, abs=1e-4)
    assert dmm.stored_readings_count == 4
    dmm.display_enabled = False
    dmm.displayed_text = "hi"
    assert (dmm.display_enabled, dmm.displayed_text, dmm.terminals_used) == (False, "hi", "FRONT")
    dmm.beeper_enabled = False
    dmm.beep()
    assert dmm.self_test_result == 0
    no_errors(bench)


def test_a_generator_sets_shapes_uploads_and_gives_them(stand, no_errors, opened):
    from pymeasure.instruments.agilent import Agilent33500

    def make(bench: Bench):
        return Generator(bench, "awg", ADDRESS, outputs=(("a", "gnd"), ("b", "gnd")))

    bench, visalib = stand(make)
    awg = opened(Agilent33500, visalib)
    first = awg.ch_1
    first.shape, first.frequency, first.amplitude, first.offset = "SIN", 1e3, 2.0, 0.5
    first.output = True
    assert (first.shape, first.frequency, first.amplitude, first.offset) == ("SIN", 1e3, 2.0, 0.5)
    assert (first.voltage_high, first.voltage_low) == (1.5, -0.5)
    awg.ch_2.shape = "SQU"
    awg.ch_2.square_dutycycle = 20
    assert (awg.ch_2.square_dutycycle, first.output, awg.ch_2.output) == (20, True, False)
    awg.data_volatile_clear()
    first.data_arb("test", [-10000, 0, 20000, 32767, 0, 0, 0, 0], data_format="DAC")
    first.arb_file, first.shape, first.arb_srate = "test", "ARB", 8000
    assert (first.arb_file, first.arb_srate) == ('"TEST"', 8000)
    bench.circuit.advance(bench.now)
    awg.ch_2.data_arb("ramp", [k / 10 for k in range(-10, 11)], data_format="float")
    first.burst_state, first.burst_ncycles, first.burst_period = True, 3, 0.1
    assert (first.burst_state, first.burst_ncycles, first.burst_period) == (True, 3, 0.1)
    awg.phase_sync()
    awg.beep()
    assert awg.check_errors() == []
    no_errors(bench)


def test_a_source_meter_sources_and_measures_both_ways(stand, no_errors, opened):
    from pymeasure.instruments.keithley import Keithley2400

    def make(bench: Bench):
        bench.circuit.add(Resistor("x", ohms=1000.0))
        return SourceMeter(bench, "smu", ADDRESS, terminals=("x", "gnd"))

    bench, visalib = stand(make)
    smu = opened(Keithley2400, visalib)
    smu.reset()
    smu.source_mode = "voltage"
    smu.source_voltage_range = 10
    smu.compliance_current = 0.01
    smu.source_voltage = 5
    smu.enable_source()
    smu.current_nplc = 1
    assert (smu.source_mode, smu.source_voltage, smu.source_enabled) == ("voltage", 5, True)
    everything = smu.measure_all()
    assert everything["voltage"] == pytest.approx(5.0, abs=1e-4)
    assert everything["current"] == pytest.approx(5e-3, rel=1e-4)
    assert everything["resistance"] == pytest.approx(1000.0, rel=1e-4)
    smu.compliance_current = 0.002
    limited = smu.measure_all()
    assert limited["voltage"] == pytest.approx(2.0, abs=1e-4)
    assert limited["status"] & 8
    smu.source_mode = "current"
    smu.compliance_voltage = 10
    smu.source_current = -3e-3
    assert smu.measure_all()["voltage"] == pytest.approx(-3.0, abs=1e-3)
    smu.disable_source()
    assert smu.check_errors() == []
    no_errors(bench)


def test_a_scope_gives_its_data_and_its_screen(stand, no_errors, opened):
    import io

    from PIL import Image
    from pymeasure.instruments.keysight import KeysightDSOX1102G

    def make(bench: Bench):
        generator = Generator(bench, "awg", "USB0::1::2::3::INSTR", outputs=(("a", "gnd"), ("b", "gnd")))
        for message in ("OUTP1:LOAD INF", "SOUR1:APPL:SIN 1000,4,0"):
            generator.receive(message)
        return Oscilloscope(bench, "scope", ADDRESS, inputs=(("a", "gnd"), ("b", "gnd"), ("c", "gnd"), ("d", "gnd")))

    bench, visalib = stand(make)
    scope = opened(KeysightDSOX1102G, visalib)
    scope.timebase_setup(mode="main", offset=0, horizontal_range=4e-3)
    scope.ch1.setup(display=True, coupling="dc", scale=1.0, offset=0.0, label="sine")
    assert scope.ch1.current_configuration["RANG"] == 8.0
    assert scope.timebase["MAIN:RANG"] == 4e-3
    scope.acquisition_type = "normal"
    scope.digitize("channel1")
    data, preamble = scope.download_data(source="channel1", points=1000)
    assert (len(data), preamble["points"], preamble["yreference"]) == (1000, 1000, 128)
    assert data.max() - data.min() == pytest.approx(4.0, abs=preamble["yincrement"])
    assert abs(data[500]) < 0.05  # the trigger is in the middle
    assert preamble["xorigin"] + 500 * preamble["xincrement"] == pytest.approx(0.0, abs=2 * preamble["xincrement"])
    screen = Image.open(io.BytesIO(scope.download_image()))
    assert (screen.format, screen.size) == ("PNG", (640, 480))
    assert (240, 220, 60) in {colour for _, colour in screen.convert("RGB").getcolors()}
    scope.clear_status()  # the driver reads on after the picture's end, until it times out: -420
    scope.run()
    scope.single()
    scope.stop()
    scope.autoscale()
    scope.default_setup()
    no_errors(bench)


@pytest.mark.parametrize(
    ("function", "expected"),
    [("FREQ", 1250.0), ("PERIOD", 1 / 1250.0), ("ACV", 1 / 2**0.5), ("DCV", 0.25), ("DCV_RATIO", 0.5)],
)
def test_the_34401a_measures_waves_and_ratios(stand, no_errors, opened, function, expected):
    from pymeasure.instruments.hp import HP34401A

    def make(bench: Bench):
        reference = Source("ref")
        reference.volts, reference.mode = 0.5, "cv"
        bench.circuit.add(reference)
        awg = Generator(bench, "awg", "GPIB0::10::INSTR", outputs=(("x", "gnd"), ("y", "gnd")))
        for message in ("OUTP1:LOAD INF", "SOUR1:APPL:SIN 1250,2,0.25"):
            awg.receive(message)
        return Multimeter34401A(
            bench, "dmm", ADDRESS, voltage_input=("x", "gnd"), current_input=("i", "gnd"), sense_input=("ref", "gnd")
        )

    bench, visalib = stand(make)
    dmm = opened(HP34401A, visalib)
    dmm.function_ = function
    assert dmm.function_ == function
    if function in ("FREQ", "PERIOD"):
        dmm.range_, dmm.gate_time = 10, 0.01
        assert (dmm.range_, dmm.autorange, dmm.gate_time) == (10, False, 0.01)
    assert dmm.reading == pytest.approx(expected, rel=1e-3)
    no_errors(bench)


@pytest.mark.parametrize(("function", "ohms", "expected"), [("CONTINUITY", 12.0, 12.0), ("R2W", 4.7e3, 4.7e3), ("R4W", 150e3, 150e3), ("DIODE", 500.0, 0.5)])  # fmt: skip
def test_the_34401a_measures_with_its_test_current(stand, no_errors, opened, function, ohms, expected):
    from pymeasure.instruments.hp import HP34401A

    def make(bench: Bench):
        bench.circuit.add(Resistor("x", ohms=ohms))
        return Multimeter34401A(bench, "dmm", ADDRESS, voltage_input=("x", "gnd"), current_input=("i", "gnd"))

    bench, visalib = stand(make)
    dmm = opened(HP34401A, visalib)
    dmm.function_ = function
    assert dmm.reading == pytest.approx(expected, rel=1e-3, abs=0.1 if function == "CONTINUITY" else 1e-4)
    no_errors(bench)


def test_a_source_meter_fills_its_buffer_and_says_when_it_is_full(stand, no_errors, opened):
    from pymeasure.instruments.keithley import Keithley2400

    def make(bench: Bench):
        bench.circuit.add(Resistor("x", ohms=1000.0))
        return SourceMeter(bench, "smu", ADDRESS, terminals=("x", "gnd"))

    bench, visalib = stand(make)
    smu = opened(Keithley2400, visalib)
    smu.reset()
    smu.use_front_terminals()
    smu.apply_voltage(voltage_range=20, compliance_current=0.1)
    smu.measure_current(nplc=0.1, current=0.01)
    smu.source_voltage = 5
    smu.enable_source()
    smu.config_buffer(points=20, delay=0.01)
    assert not smu.is_buffer_full()
    smu.start_buffer()
    smu.wait_for_buffer(interval=0.0, timeout=30)
    data = smu.buffer_data.reshape(20, 5)
    assert data[:, 1] == pytest.approx([5e-3] * 20, rel=1e-3)
    assert data[-1, 3] - data[0, 3] == pytest.approx(19 * (0.01 + 0.001 + 0.005 + 0.1 / 50), rel=1e-3)
    assert smu.mean_current == pytest.approx(5e-3, rel=1e-3)
    assert smu.min_current <= smu.mean_current <= smu.max_current
    smu.reset_buffer()
    smu.disable_buffer()
    assert not smu.is_buffer_full()
    assert smu.check_errors() == []
    no_errors(bench)


def test_a_source_meter_keeps_all_that_the_driver_sets(stand, no_errors, opened):
    from pymeasure.instruments.keithley import Keithley2400

    def make(bench: Bench):
        bench.circuit.add(Resistor("x", ohms=1000.0))
        return SourceMeter(bench, "smu", ADDRESS, terminals=("x", "gnd"))

    bench, visalib = stand(make)
    smu = opened(Keithley2400, visalib)
    settings = {
        "trigger_count": 3, "arm_count": 2, "trigger_delay": 0.5, "arm_timer": 0.25, "trigger_source": "trigger_link",
        "arm_source": "timer", "trigger_output_event": "sense", "arm_output_event": "trigger_exit",
        "trigger_input_line": 3, "arm_input_line": 2, "trigger_output_line": 4, "arm_output_line": 1,
        "source_delay": 0.01, "display_enabled": False, "line_frequency": 60, "wires": 4,
    }  # fmt: skip
    for name, value in settings.items():
        setattr(smu, name, value)
    assert {name: getattr(smu, name) for name in settings} == settings
    smu.triad(440, 0.0)
    smu.trigger_on_bus()
    smu.trigger_count = 1
    smu.trigger_delay = 0
    smu.apply_current(compliance_voltage=10)
    smu.measure_voltage()
    smu.source_current = 1e-3
    smu.enable_source()
    smu.start_buffer()
    smu.trigger()
    smu.trigger_immediately()
    assert smu.values("FETC?")[:2] == pytest.approx([1.0, 1e-3], rel=1e-4)
    smu.shutdown()
    assert not bench["smu"].output()
    no_errors(bench)


def test_a_scope_averages_and_gives_its_setup_back(stand, no_errors, opened):
    from pymeasure.instruments.keysight import KeysightDSOX1102G

    def make(bench: Bench):
        return Oscilloscope(
            bench, "scope", ADDRESS, inputs=(("w", "gnd"), ("b", "gnd"), ("c", "gnd"), ("d", "gnd")), generator=("w", "gnd")
        )  # fmt: skip

    bench, visalib = stand(make)
    scope = opened(KeysightDSOX1102G, visalib)
    scope.write(":WGEN:FUNC SIN;FREQ 1000;VOLT 4;OUTP ON")
    scope.timebase_setup(horizontal_range=4e-3)
    scope.acquisition_type = "average"
    scope.ch1.setup(scale=1.0, bwlimit=True, invert=False, label="wave", probe_attenuation=1.0)
    scope.digitize("channel1")
    scope.waveform_source, scope.waveform_points_mode, scope.waveform_points = "channel1", "normal", 500
    for form in ("ascii", "word", "byte"):
        scope.waveform_format = form
        assert scope.waveform_format == form
        assert scope.waveform_preamble["points"] == 500
    assert scope.waveform_preamble["type"] == "AVERAGE"
    assert max(scope.waveform_data) == pytest.approx(2.0, abs=0.04)
    data, preamble = scope.download_data(source="fft", points=500)
    assert data.max() == pytest.approx(20 * 0.150515 * 1.0, abs=2.0)  # 1.41 V RMS is 3 dBV
    assert preamble["xincrement"] > 0
    kept = scope.system_setup
    scope.ch1.scale, scope.ch1.label = 5.0, "other"
    scope.system_setup = kept.strip()
    assert (scope.ch1.scale, scope.ch1.label) == (1.0, '"wave"')
    no_errors(bench)


def test_a_generator_bursts_on_its_trigger(stand, no_errors, opened):
    from pymeasure.instruments.agilent import Agilent33500

    def make(bench: Bench):
        return Generator(bench, "awg", ADDRESS, outputs=(("a", "gnd"), ("b", "gnd")))

    bench, visalib = stand(make)
    awg = opened(Agilent33500, visalib)
    first = awg.ch_1
    first.output_load, first.shape, first.frequency, first.amplitude = "INF", "SQU", 100, 2.0
    awg.burst_mode, awg.burst_ncycles, awg.burst_state = "TRIGGERED", 1, True
    awg.ext_trig_out, awg.trigger_source = True, "BUS"
    first.output = True
    assert (awg.ext_trig_out, awg.trigger_source, awg.burst_mode) == (True, "BUS", "TRIG")
    awg.trigger()
    awg.wait_for_trigger()
    bench.wait(0.0075)
    bench.circuit.advance(bench.now)
    assert bench.circuit.voltage("a") == pytest.approx(-1.0, abs=1e-6)
    bench.wait(0.01)
    bench.circuit.advance(bench.now)
    assert bench.circuit.voltage("a") == pytest.approx(1.0, abs=1e-6)
    awg.display = "busy"
    awg.clear_display()
    no_errors(bench)
