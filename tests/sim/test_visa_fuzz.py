"""Whatever is written and read, in whatever order: VISA errors and SCPI errors, never anything else, never for ever."""

import contextlib
import itertools
import threading

import pytest
import pyvisa
from hypothesis import given, settings
from hypothesis import strategies as st
from pyvisa import constants
from pyvisa.errors import VisaIOError

from labnb.sim import Bench, Thermostat, register

ADDRESSES = {
    "usb": "USB0::1::2::3::INSTR", "gpib": "GPIB0::5::INSTR", "vxi11": "TCPIP0::192.0.2.40::inst0::INSTR",
    "socket": "TCPIP0::192.0.2.41::5025::SOCKET", "asrl": "ASRL4::INSTR",
}  # fmt: skip
EVERYWHERE = pytest.mark.parametrize("interface", ADDRESSES)
IDENTITY = Thermostat.identity
_NUMBERS = itertools.count()

MESSAGES = st.sampled_from([
    b"*IDN?\n", b"*IDN?", b"SETP 310\n", b"SETP?;:OUTP?\n", b"*OPC?\n", b"*CLS;*SRE 255;*ESE 255\n", b"FOO\n", b"STAB?\n",
    b"SETP #15ab\n", b"SETP #H", b"SETP (@1,2:3)\n", b"SETP 1E999\n", b"*RST\n", b'SETP "a', b";;\n", b"SETP #0\n", b"\n",
    b"*STB?\n", b"SETP " + b"9" * 400 + b"\n", b"SETP #9", b"*SRE 16;*IDN?\n", b"SETP 1\tE\t2\n", b"SETP #H" + b"F" * 300,
])  # fmt: skip
WRITES = st.one_of(MESSAGES, st.binary(max_size=40), st.text(max_size=20).map(lambda text: text.encode("utf-8")))
STEPS = st.one_of(
    st.tuples(st.just("write"), WRITES),
    st.tuples(st.just("read"), st.sampled_from([0, 1, 3, 100, 20_480])),
    st.tuples(st.sampled_from(["clear", "read_stb"])),
    st.tuples(st.just("assert_trigger"), st.just(0)),
    st.tuples(st.just("flush"), st.integers(-1, 300)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.0003, 0.1])),
    st.tuples(st.just("set_attribute"), st.sampled_from([int(each) for each in constants.ResourceAttribute]),
              st.sampled_from([0, 1, 2, 10, 100, 300, -1, 2**32 - 1, True, "x", None, 0.5])),
    st.tuples(st.just("get_attribute"), st.sampled_from([int(each) for each in constants.ResourceAttribute])),
    st.tuples(st.just("lock"), st.sampled_from([1, 2, 3]), st.just(0), st.sampled_from([None, "key"])),
    st.tuples(st.just("unlock")),
    st.tuples(st.sampled_from(["enable_event", "disable_event", "discard_events"]),
              st.sampled_from([constants.EventType.service_request, constants.EventType.all_enabled]), st.integers(0, 8)),
    st.tuples(st.just("wait_on_event"), st.just(constants.EventType.service_request), st.sampled_from([0, 10])),
    st.tuples(st.just("fault"), st.sampled_from(["timeout", "garbage", "truncate", "drop", "duplicate", "slow",
                                                 "disconnect", "reboot"])),
    st.tuples(st.just("reconnect")),
)  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed():
    """Return a function that puts a fresh instrument on an interface; PyVISA's manager stays the same."""
    name, managers = f"fuzz{next(_NUMBERS)}", []

    def fresh(interface: str) -> tuple[Bench, pyvisa.ResourceManager]:
        bench = Bench(clock="skip")
        Thermostat(bench, interface, ADDRESSES[interface])
        register(name, bench)
        managers.append(managers[0] if managers else pyvisa.ResourceManager(f"{name}@labnb"))
        return bench, managers[0]

    yield fresh
    managers[0].close()


def do(bench: Bench, interface: str, library, session: int, step: tuple) -> None:
    name, *arguments = step
    if name == "wait":
        bench.wait(*arguments)
    elif name == "fault":
        bench.fault(interface, *arguments, delay_s=0.2)
    elif name == "reconnect":
        bench.reconnect(interface)
    else:
        getattr(library, name)(session, *arguments)


def comes_back(bench: Bench, manager, interface: str) -> bool:
    """Do what somebody does whose instrument does not answer: plug in, wait, open again, clear, ask."""
    for _ in range(40):  # faults that are armed still may strike meanwhile
        bench.reconnect(interface)
        bench.wait(1.0)
        try:
            with manager.open_resource(ADDRESSES[interface], read_termination="\n", write_termination="\n") as last:
                last.write("")  # ends what was begun
                bench.wait(1.0)
                last.clear()
                answers = [last.query("*CLS;*SRE 0;*IDN?"), last.query("SYST:ERR?")]
                if answers in ([IDENTITY, "0"], [IDENTITY, '0,"No error"']):
                    return True
        except (VisaIOError, UnicodeDecodeError):
            continue
    return False


@EVERYWHERE
@settings(max_examples=60, deadline=2000)
@given(steps=st.lists(STEPS, max_size=25))
def test_any_order_of_calls_ends_in_visa_errors_at_most(fuzzed, interface, steps):
    bench, manager = fuzzed(interface)
    library = manager.visalib
    session, _ = library.open(manager.session, ADDRESSES[interface])
    library.set_attribute(session, constants.VI_ATTR_TMO_VALUE, 100)
    for step in steps:
        try:
            with library.ignore_warning(session, constants.StatusCode.success_max_count_read):
                do(bench, interface, library, session, step)
        except VisaIOError:
            pass
    library.close(session)
    assert comes_back(bench, manager, interface)


@settings(max_examples=150, deadline=2000)
@given(garbage=st.text(st.characters(max_codepoint=255, exclude_characters="\n#?"), min_size=1, max_size=40))
def test_garbage_is_an_error_in_the_queue(fuzzed, garbage):
    _, manager = fuzzed("usb")
    with manager.open_resource(ADDRESSES["usb"], write_termination="\n", read_termination="\n") as instrument:
        instrument.write("*CLS")
        instrument.write_raw(f"~{garbage}\n".encode("latin-1"))
        code = int(instrument.query("SYST:ERR?").split(",")[0])
        assert -200 < code <= -100
        assert instrument.query("*CLS;*IDN?") == IDENTITY


def test_a_clear_from_another_thread_ends_no_read_but_its_answer_and_nobody_hangs(visa):
    bench = Bench(clock="real")
    Thermostat(bench, "oven", ADDRESSES["gpib"])
    oven = visa(bench).open_resource(ADDRESSES["gpib"], timeout=300, write_termination="\n")
    ends: list[object] = []

    def read() -> None:
        try:
            ends.append(oven.query("STAB?").strip())
        except VisaIOError as error:
            ends.append(error.error_code)

    for _ in range(3):
        reader = threading.Thread(target=read)
        reader.start()
        while not bench["oven"].log or (not bench["oven"].idle and bench["oven"].log[-1] != "STAB?"):
            pass
        oven.clear()
        reader.join(10.0)
        assert not reader.is_alive()
        assert oven.query("*IDN?").strip() == IDENTITY
    assert set(ends) <= {"0", constants.StatusCode.error_timeout}
    assert constants.StatusCode.error_timeout in ends


def test_many_threads_on_one_instrument_get_answers_or_visa_errors(visa):
    bench = Bench(clock="skip")
    Thermostat(bench, "oven", ADDRESSES["gpib"])
    manager, wrong = visa(bench), []

    def talk(number: int) -> None:
        try:
            with manager.open_resource(ADDRESSES["gpib"], timeout=50, write_termination="\n") as oven:
                for step in range(100):
                    with contextlib.suppress(VisaIOError):
                        (oven.clear if (step + number) % 10 == 0 else lambda: oven.query("SETP?"))()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
        assert not thread.is_alive()
    assert wrong == []
