"""Benches that no other test shares, and PyVISA sessions on them."""

import itertools

import pytest
import pyvisa

from labnb.core import InstrumentError
from labnb.sim import Bench, Instrument, command, demo_bench, register
from labnb.sim.scpi import encode_block
from labnb.sim.settings import Choice, Number, Switch, Text, Whole
from labnb.sim.status import ScpiError

_NAMES = itertools.count()


@pytest.fixture
def bench() -> Bench:
    return demo_bench(clock="skip", seed=7)


@pytest.fixture
def visa():
    """Open a bench by PyVISA: `visa(bench)` returns its resource manager."""
    managers = []

    def open_bench(bench: Bench) -> pyvisa.ResourceManager:
        name = f"test{next(_NAMES)}"
        register(name, bench)
        managers.append(pyvisa.ResourceManager(f"{name}@labnb"))
        return managers[-1]

    yield open_bench
    for manager in managers:
        manager.close()


@pytest.fixture
def ask(bench):
    """Send a message to an instrument of the bench without PyVISA; return the answer, or None without one."""

    def exchange(name: str, message: str) -> str | None:
        port = bench.port(name)
        port.send(message.encode("latin-1") + b"\n", end=True, timeout_s=2.0)
        if "?" not in message:
            return None
        data, _ = port.receive(1_000_000, timeout_s=1000.0, termination=None)
        return data.decode("latin-1").removesuffix("\n")

    return exchange


# --- an instrument with a bit of everything, on every interface ---

TRIAL = {
    "usb": "USB0::0x2A8D::0x0101::SIM1::INSTR",
    "gpib": "GPIB0::5::INSTR",
    "vxi11": "TCPIP0::192.0.2.40::inst0::INSTR",
    "socket": "TCPIP0::192.0.2.41::5025::SOCKET",
    "asrl": "ASRL4::INSTR",
}
_FOUR = (1, 2, 3, 4)


class Trial(Instrument):
    """Settings of every type, blocks, and operations that take a second."""

    identity = "LABNB,TRIAL,SIM0099,1.0"
    channels = 4

    voltage = Number("[SOURce#:]VOLTage[:LEVel][:IMMediate]", unit="V", keys=_FOUR, default=1.0, low=-10.0, high=10.0)
    slew = Number("[SOURce#:]VOLTage:SLEW", keys=_FOUR, default=1.0, low=0.0, high=10.0)
    frequency = Number("FREQuency", unit="HZ", default=1e3, low=1e-6, high=1e8)
    resistance = Number("RESistance", unit="OHM", default=50.0, low=0.0, high=1e9)
    delay = Number("TRIGger:DELay", unit="S", default=0.0, low=0.0, high=3600.0)
    count = Whole("SAMPle:COUNt", default=1.0, low=1.0, high=1e6)
    output = Switch("OUTPut[:STATe]", default=False)
    source = Choice("TRIGger:SOURce", choices=("IMMediate", "BUS", "EXTernal"), default="IMM")
    label = Text("LABel[:DATA]", default="")

    def __init__(self, bench, name, address):
        super().__init__(bench, name, address)
        self.data = b""

    @command("DATA")
    def _store(self, call):
        call.require(0, 0)
        if call.block is None:
            raise ScpiError(-109)
        self.data = call.block

    @command("DATA?")
    def _ask(self, call):
        return encode_block(self.data)

    def _last(self):
        yield self.now + 1.0

    @command("INITiate[:IMMediate]")
    def _initiate(self, call):
        if self.busy:
            raise ScpiError(-213)
        self.begin(self._last())

    def _failing(self, error):
        yield self.now + 1.0
        raise error

    @command("INITiate:FAIL")
    def _initiate_failing(self, call):
        self.begin(self._failing(InstrumentError("no solution") if call.arguments else ScpiError(-221)))

    @command("READ?")
    def _read(self, call):
        yield self.now + 1.0
        return "+1.00000000E+00"

    def trigger(self):
        self.values["output", ""] = True


@pytest.fixture
def trials() -> Bench:
    """A bench with a trial instrument on every interface, each named after it."""
    bench = Bench(clock="skip", seed=3)
    for name, address in TRIAL.items():
        Trial(bench, name, address)
    return bench


@pytest.fixture
def open_trial(visa, trials):
    """Open the trial instrument on an interface: `open_trial("usb", timeout=100)`."""
    managers = []

    def open_it(interface: str, **how):
        managers.append(managers[0] if managers else visa(trials))
        if interface in ("socket", "asrl"):
            how = {"read_termination": "\n", **how}
        return managers[0].open_resource(TRIAL[interface], **{"write_termination": "\n", **how})

    return open_it


@pytest.fixture
def tell(trials):
    """Send a message to the trial instrument on USB; return its answer (None without one) and the errors queued."""
    port = trials.port("usb")

    def exchange(message: str) -> tuple[str | None, list[int]]:
        port.send(message.encode("latin-1") + b"\n", end=True, timeout_s=1.0)
        trials.wait(0.001)
        answer = port.receive(10_000_000, timeout_s=10.0, termination=None)[0] if port.arrived() else None
        errors = []
        while True:
            port.send(b"SYST:ERR?", end=True, timeout_s=1.0)
            code = int(port.receive(1000, timeout_s=1.0, termination=None)[0].split(b",")[0])
            if code == 0:
                return answer and answer.decode("latin-1").removesuffix("\n"), errors
            errors.append(code)

    return exchange


@pytest.fixture
def ask_trial(trials):
    """Send a message to the trial instrument on USB without PyVISA; return the answer, or None without one."""
    port = trials.port("usb")

    def exchange(message: str) -> str | None:
        port.send(message.encode("latin-1") + b"\n", end=True, timeout_s=1.0)
        if "?" not in message:
            return None
        return port.receive(1_000_000, timeout_s=10.0, termination=None)[0].decode("latin-1").removesuffix("\n")

    return exchange


@pytest.fixture
def talk():
    """Speak to one instrument of any bench: `talk(bench, "dmm")` returns a function from message to answer."""

    def speak_to(bench: Bench, name: str):
        port = bench.port(name)

        def speak(message: str | bytes, *, raw: bool = False, timeout_s: float = 1000.0):
            data = message if isinstance(message, bytes) else message.encode("latin-1")
            port.send(data + b"\n", end=True, timeout_s=2.0)
            if b"?" not in data.partition(b"#")[0]:
                return None
            answer, _ = port.receive(4_000_000, timeout_s=timeout_s, termination=None)
            return answer.removesuffix(b"\n") if raw else answer.decode("latin-1").removesuffix("\n")

        return speak

    return speak_to
