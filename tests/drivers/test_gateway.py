"""Two kernels, one simulated supply: other people's drivers, as they are, through a gateway or by turns of reservations."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise
from queue import Empty

import pytest

for package in ("qcodes", "pymeasure", "pyvisa_py", "jupyter_client", "ipykernel"):
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: pip install 'labnb[drivers]'", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")

SUPPLY = "GPIB0::24::INSTR"  # Keithley's source-measure unit, which both packages have a driver for


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("sharing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABNB_SHARING", str(made))
        yield made
        address = made / "address.json"  # of the service that the kernels started, unless none of them did
        if address.exists():
            os.kill(json.loads(address.read_text())["pid"], signal.SIGTERM)


@pytest.fixture(scope="module")
def addresses(folder):
    """A gateway that owns the simulated bench; the address of each instrument by its model."""
    process = subprocess.Popen(
        [sys.executable, "-m", "labnb.cli", "gateway", "--visa-library", "fast@labnb"],
        stdout=subprocess.PIPE,
        text=True,
    )
    found = {}
    while "serving" not in (line := process.stdout.readline()):
        address, _, rest = line.partition(" is ")
        found[rest.split(",")[1]] = address
    yield found
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()


class Kernel:
    """A real kernel."""

    def __init__(self):
        from jupyter_client import KernelManager

        self.manager = KernelManager()
        spec = self.manager.kernel_spec  # that of this interpreter, whatever is installed elsewhere
        spec.argv[0] = sys.executable
        self.manager.start_kernel(env=os.environ | {"PYDEVD_DISABLE_FILE_VALIDATION": "1"})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def begin(self, code):
        """Begin a cell."""
        self.cell = self.client.execute(code)

    def end(self, timeout_s=100):
        """Return what the cell has printed, once it is done. Raises AssertionError with its traceback."""
        printed = ""
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=timeout_s)
            except Empty:
                raise AssertionError(f"the cell is not done after {timeout_s} s; it printed {printed!r}") from None
            if message["parent_header"].get("msg_id") != self.cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                printed += content["text"]
            elif kind == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return printed

    def do(self, code):
        self.begin(code)
        return self.end()

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()


@pytest.fixture(scope="module")
def kernels(addresses):
    made = [Kernel(), Kernel()]
    made[0].do(
        "from qcodes.instrument_drivers.Keithley import Keithley2400\n"
        f"smu = Keithley2400('smu', {addresses['MODEL 2400']!r}, visalib='@py', terminator='\\n')\n"
    )
    made[1].do(
        "from pymeasure.instruments.keithley import Keithley2400\n"
        f"smu = Keithley2400({addresses['MODEL 2400']!r}, visa_library='@py', read_termination='\\n', write_termination='\\n')\n"
    )
    yield made
    for kernel in made:
        kernel.close()


def told(text):
    return json.loads(text.strip().splitlines()[-1])


def test_drivers_of_two_packages_in_two_kernels_ask_a_thousand_times_each_and_all_is_right(kernels):
    qcodes, pymeasure = kernels
    code = """
import json, time
began, wrong = time.perf_counter(), 0
for number in range(1000):
    {exchange}
print(json.dumps([wrong, time.perf_counter() - began]))
"""
    qcodes.begin(
        code.format(
            exchange="""wanted = round(1e-3 + number % 97 * 1e-5, 6)
    if number % 10 == 0: smu.compliancei(wanted); last = wanted
    wrong += abs(smu.compliancei() - last) > 1e-9"""
        )
    )
    pymeasure.begin(
        code.format(
            exchange="""wanted = 1 + number % 89
    if number % 10 == 0: smu.source_delay = wanted / 1000; last = wanted / 1000
    wrong += abs(smu.source_delay - last) > 1e-9"""
        )
    )
    (wrong_here, took_s), (wrong_there, took_too_s) = told(qcodes.end()), told(pymeasure.end())
    print(f"2 x 1000 queries: {took_s:.2f} s and {took_too_s:.2f} s")
    assert (wrong_here, wrong_there) == (0, 0)


TURNS = """
import json, time
from labnb.session import reserve
from labnb.sharing import ReservationClient
log, client = [], ReservationClient()
for number in range(6):
    with reserve({address!r}, wait=60):
        log.append(["begins", time.monotonic()])
        assert {read} == ({other} if number or {other} == 1 else 0)
        {write}
        assert {read} == {own}
        if number < {waits}:
            next(each for each in client.watch() if each.queue)  # the other one is at our heels
        log.append(["ends", time.monotonic()])
print(json.dumps(log))
"""


def test_by_reservation_two_kernels_alternate(kernels, addresses):
    """Each finds at its turn the voltage that the other has left: they are first come, first served."""
    qcodes, pymeasure = kernels
    address = addresses["MODEL 2400"]
    qcodes.do("smu.visa_handle.write(':SOUR:VOLT 0')")
    first = TURNS.format(
        address=address,
        read="float(smu.ask(':SOUR:VOLT?'))",
        write="smu.write(':SOUR:VOLT 1')",
        own=1.0,
        other=2.0,
        waits=6,
    )
    second = TURNS.format(
        address=address, read="smu.source_voltage", write="smu.source_voltage = 2", own=2.0, other=1.0, waits=5
    )
    from labnb.session import resource_of
    from labnb.sharing import ReservationClient

    with ReservationClient(note="starter") as client:
        start = client.reserve(resource_of(address))
        qcodes.begin(first)
        _until(client, lambda situation: len(situation.queue) == 1)
        pymeasure.begin(second)
        _until(client, lambda situation: len(situation.queue) == 2)
        start.release()  # from now on both queue at each other's heels
        logs = [told(qcodes.end()), told(pymeasure.end())]
    turns = sorted(
        (begin[1], end[1], who) for who, log in enumerate(logs) for begin, end in zip(log[::2], log[1::2], strict=True)
    )
    assert len(turns) == 12
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(turns))
    assert [who for _, _, who in turns] == [0, 1] * 6


def _until(client, condition):
    situations = client.watch()
    try:
        next(each for each in situations if condition(each))
    finally:
        situations.close()
