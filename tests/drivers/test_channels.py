"""Other people's drivers, as they are, swept and read by labnb."""

import asyncio
import gc
import re
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from labnb.instruments import Meta, channel, connect
from labnb.sim import Bench, Multimeter34410A, Resistor, SourceMeter, register

for _library in ("qcodes", "pymeasure"):
    if find_spec(_library) is None:
        pytest.skip(f"{_library} is not installed: pip install 'labnb[drivers]'", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

SMU, DMM = "GPIB0::24::INSTR", "TCPIP0::192.0.2.1::inst0::INSTR"

BENCH = f"""
import warnings
warnings.simplefilter("ignore")
from labnb.sim import Bench, Multimeter34410A, Resistor, SourceMeter, register

bench = Bench(clock="skip", seed=3)
bench.circuit.add(Resistor("x", "half", ohms=1000.0), Resistor("half", ohms=1000.0))
SourceMeter(bench, "smu", {SMU!r}, terminals=("x", "gnd"))
Multimeter34410A(bench, "dmm", {DMM!r}, voltage_input=("half", "gnd"), current_input=("a", "gnd"))
register("divider", bench)

from pymeasure.instruments.agilent import Agilent34410A
from qcodes.instrument_drivers.Keithley import Keithley2400

smu = Keithley2400("smu", {SMU!r}, visalib="divider@labnb")
dmm = Agilent34410A({DMM!r}, visa_library="divider@labnb")
smu.mode("VOLT"), smu.sense("CURR"), smu.compliancei(0.01), smu.output(1)
%load_ext labnb
"""

CELL = """%%measure iv
for v in sweep(smu.volt, 0, 1, 5):
    half: (dmm, "voltage_dc")
    current: smu.curr
"""


README = (Path(__file__).parents[2] / "README.md").read_text()


def block_of_the_readme(word):
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if word in text]
    return block


@pytest.fixture
def kernel(tmp_path):
    """Return a function that runs a cell in a kernel and gives what it printed."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))

    def run(code):
        outputs = []
        reply = client.execute_interactive(code, timeout=60, output_hook=outputs.append)["content"]
        assert reply["status"] == "ok", "\n".join(reply["traceback"])
        return "".join(o["content"]["text"] for o in outputs if o["msg_type"] == "stream")

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


def test_a_cell_sweeps_a_qcodes_parameter_and_reads_a_pymeasure_instrument(kernel):
    kernel(BENCH)
    kernel("import asyncio, json")
    for await_ in ("", "    await asyncio.sleep(0)\n"):
        kernel(CELL + await_)
        check_the_divider(kernel)


def test_what_the_readme_says_of_other_drivers_runs_as_printed(kernel):
    kernel(BENCH + "smu.close(); dmm.adapter.close()\n")
    opened = block_of_the_readme("from qcodes.instrument_drivers.Keithley")
    opened = opened.replace('::24::INSTR"', "::24::INSTR\", visalib='divider@labnb'")
    kernel(opened.replace('inst0::INSTR"', "inst0::INSTR\", visa_library='divider@labnb'"))
    kernel('smu.mode("VOLT"), smu.sense("CURR"), smu.compliancei(0.01), smu.output(1)')
    kernel(block_of_the_readme("%%measure leak"))
    assert (
        kernel("print(leak.state, leak.data.sizes['v'], leak.data.half.attrs['units'], abs(round(smu.volt(), 3)))")
        == "done 21 V 0.0\n"
    )
    kernel("class Dac:\n    voltage = 0.0\ndac = Dac()")
    kernel(block_of_the_readme("gates = Meta") + "\nawait gates.both.set(0.3)")
    assert kernel("print(dac.voltage, round(smu.volt(), 3))") == "0.3 0.3\n"


def check_the_divider(kernel):
    assert kernel("print([round(1e3 * u) for u in iv.data.half.values])") == "[0, 125, 250, 375, 500]\n"
    assert kernel("print([round(1e6 * i) for i in iv.data.current.values])") == "[0, 125, 250, 375, 500]\n"
    assert kernel("print([iv.data[n].attrs['units'] for n in ('v', 'half', 'current')])") == "['V', 'V', 'A']\n"
    kernel("told = json.loads((iv.path / 'run.json').read_text())['metadata']['instruments']")
    assert kernel("print(told['smu']['parameters']['compliancei']['value'])") == "0.01\n"
    assert kernel("print(told[dmm.name]['connection'])") == f"{DMM}\n"
    assert "Agilent34410A" in kernel("print(told[dmm.name]['driver'])")
    assert kernel("print(len(told))") == "2\n"


@pytest.fixture
def divider():
    """Return (QCoDeS source meter, PyMeasure meter, the name of their bench)."""
    from pymeasure.instruments.agilent import Agilent34410A
    from qcodes.instrument_drivers.Keithley import Keithley2400

    bench = Bench(clock="skip", seed=3)
    bench.circuit.add(Resistor("x", "half", ohms=1000.0), Resistor("half", ohms=1000.0))
    SourceMeter(bench, "smu", SMU, terminals=("x", "gnd"))
    Multimeter34410A(bench, "dmm", DMM, voltage_input=("half", "gnd"), current_input=("a", "gnd"))
    name = f"divider{id(bench)}"
    register(name, bench)
    smu = Keithley2400("smu", SMU, visalib=f"{name}@labnb")
    dmm = Agilent34410A(DMM, visa_library=f"{name}@labnb")
    smu.mode("VOLT")
    smu.sense("CURR")
    smu.compliancei(0.01)
    smu.output(1)
    yield smu, dmm, f"{name}@labnb"
    smu.close()
    dmm.adapter.close()


def test_names_units_limits_and_ways_are_the_drivers_own(divider):
    from pymeasure.instruments.keithley import Keithley2400

    smu, dmm, library = divider
    volt, volts = channel(smu.volt), channel((dmm, "voltage_dc"))
    assert (volt.name, volt.unit, volt.readable, volt.writable) == ("smu_volt", "V", True, True)
    assert (volts.name, volts.unit, volts.readable, volts.writable) == ("voltage_dc", "V", True, False)
    assert channel((dmm, "resistance")).unit == "Ohm"
    with pytest.raises(ValueError, match="smu_mode = 'NONSENSE' is refused by its driver"):
        channel(smu.mode).check("NONSENSE")
    other = Keithley2400(SMU, visa_library=library)
    sourced = channel((other, "source_voltage"))
    assert (sourced.unit, sourced.readable, sourced.writable) == ("V", True, True)
    with pytest.raises(ValueError, match="source_voltage = 300 is refused by its driver"):
        sourced.check(300)
    other.adapter.close()


def test_channels_of_one_connection_share_a_lane_whoever_opened_it(divider):
    from pymeasure.instruments.keithley import Keithley2400

    from labnb.instruments.connections import key_of, lane_of

    smu, dmm, library = divider
    assert lane_of(channel(smu.volt).owner) is lane_of(channel(smu.curr).owner)
    assert lane_of(channel(smu.volt).owner) is not lane_of(channel((dmm, "voltage_dc")).owner)
    other = Keithley2400(SMU, visa_library=library)
    assert key_of(channel((other, "source_voltage")).owner) == key_of(channel(smu.volt).owner)
    assert lane_of(channel((other, "source_voltage")).owner) is lane_of(channel(smu.volt).owner)
    other.adapter.close()


def test_parameters_of_submodules_delegates_and_manual_ones_are_channels(divider):
    from qcodes.instrument_drivers.Keysight import Keysight33512B
    from qcodes.parameters import DelegateParameter, ManualParameter

    from labnb.sim import Generator33512B

    smu, _, _ = divider
    bench = Bench(clock="skip", seed=3)
    Generator33512B(bench, "awg", SMU, outputs=(("a", "gnd"), ("b", "gnd")))
    register("submodules", bench)
    awg = Keysight33512B("awg", SMU, visalib="submodules@labnb")
    frequency = channel(awg.ch1.frequency)
    frequency.set(2e3)
    assert (frequency.name, frequency.unit, frequency.get()) == ("awg_ch1_frequency", "Hz", 2e3)
    assert frequency.owner is awg.visa_handle
    awg.close()
    half = channel(DelegateParameter("half", source=smu.volt, scale=0.5))
    half.set(0.5)
    assert (smu.volt(), half.get()) == pytest.approx((0.25, 0.5), abs=1e-4)
    assert half.owner is smu.visa_handle
    note = channel(ManualParameter("note", unit="K", initial_value=4))
    note.set(5)
    assert (note.get(), note.unit) == (5, "K")


def test_a_group_of_two_peoples_drivers_is_set_and_read_as_one(divider):
    from qcodes.parameters import ManualParameter

    smu, _, _ = divider
    noted = ManualParameter("noted", unit="V")
    gates = Meta("gates", both=[smu.volt, noted])
    gates.both.set(0.5)
    assert (smu.volt(), noted()) == pytest.approx((0.5, 0.5), abs=1e-4)
    assert gates.both.get().result() == pytest.approx((0.5, 0.5), abs=1e-4)
    assert gates.both.unit == "V"


def test_an_error_of_a_driver_stays_what_it_is_and_says_which_channel(divider):
    from pyvisa.errors import VisaIOError

    smu, _, _ = divider
    smu.visa_handle.timeout = 50
    with pytest.raises(VisaIOError) as failed:
        channel(partial(smu.ask, "NOTHING?"), name="nothing").get()
    assert "while reading nothing" in failed.value.__notes__


def test_the_cost_of_a_channel_beside_the_direct_call(divider, capsys):
    smu, dmm, library = divider
    own = connect(DMM, visa_library=library, name="own")
    state = {"x": 1.0}
    volt = channel(smu.volt)
    ways = {
        "QCoDeS get": (smu.volt.get, volt.get),
        "QCoDeS set": (lambda: smu.volt.set(0.5), lambda: volt.set(0.5)),
        "PyMeasure get": (lambda: dmm.voltage_dc, channel((dmm, "voltage_dc")).get),
        "labnb get": (own.measure_voltage_dc, channel(own.measure_voltage_dc).get),
        "tuple get": (lambda: state["x"], channel((lambda: state["x"], None)).get),
    }

    def best(call, turns=40):
        def once():
            start = time.perf_counter()
            for _ in range(turns):
                call()
            return (time.perf_counter() - start) / turns * 1e6

        return min(once() for _ in range(5))

    async def best_awaited(call, turns=40):
        async def once():
            start = time.perf_counter()
            for _ in range(turns):
                await call()
            return (time.perf_counter() - start) / turns * 1e6

        return min([await once() for _ in range(5)])

    gc.collect()
    rows = [
        (name, best(direct), best(through), asyncio.run(best_awaited(through)))
        for name, (direct, through) in ways.items()
    ]
    own.close()
    with capsys.disabled():
        print("\n                direct   channel, blocking   channel, awaited   (us a call)")
        for name, direct, blocking, awaited in rows:
            print(
                f"{name:14} {direct:7.1f} {blocking:11.1f} (+{blocking - direct:5.1f}) {awaited:10.1f} (+{awaited - direct:5.1f})"
            )
    assert all(blocking - direct < 1000 and awaited - direct < 1000 for _, direct, blocking, awaited in rows)
