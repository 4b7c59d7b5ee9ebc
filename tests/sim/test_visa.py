"""A bench through real PyVISA sessions: what unmodified drivers call."""

import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest
import pyvisa
from pyvisa.constants import BufferOperation, EventMechanism, EventType, StatusCode
from pyvisa.errors import InvalidSession, VisaIOError

from labnb.core import InstrumentError, LinkError
from labnb.sim import (
    AWG_ADDRESS,
    DMM_ADDRESS,
    LOAD_ADDRESS,
    OVEN_ADDRESS,
    PSU_ADDRESS,
    SCOPE_ADDRESS,
    SMU_ADDRESS,
    Bench,
    Multimeter,
    Thermostat,
    bench_names,
    demo_bench,
    find_bench,
    register,
)


@pytest.fixture
def manager(visa, bench):
    return visa(bench)


def failure(caught) -> StatusCode:
    return caught.value.error_code


def test_resources_are_listed_by_the_addresses_that_manuals_give(manager):
    more = (LOAD_ADDRESS, SCOPE_ADDRESS, AWG_ADDRESS, SMU_ADDRESS)
    assert manager.list_resources() == (PSU_ADDRESS, DMM_ADDRESS, OVEN_ADDRESS, *more)
    assert manager.list_resources("GPIB?*") == (OVEN_ADDRESS, SMU_ADDRESS)
    assert manager.list_resources("?*::SOCKET") == ()
    assert set(manager.list_resources_info()) == {PSU_ADDRESS, DMM_ADDRESS, OVEN_ADDRESS, *more}


@pytest.mark.parametrize(
    "address",
    [
        PSU_ADDRESS,
        DMM_ADDRESS,
        OVEN_ADDRESS,
        LOAD_ADDRESS,
        SCOPE_ADDRESS,
        AWG_ADDRESS,
        SMU_ADDRESS,
        "usb0::0x2a8d::0x8f01::cn6123::INSTR",
        "GPIB::12",
    ],
)
def test_every_instrument_opens_and_tells_who_it_is(manager, address):
    with manager.open_resource(address) as instrument:
        assert len(instrument.query("*IDN?").split(",")) == 4
        assert instrument.resource_name == instrument.resource_info.resource_name


def test_the_interface_decides_the_class(manager):
    classes = [type(manager.open_resource(address)).__name__ for address in manager.list_resources()]
    assert classes[:3] == ["USBInstrument", "TCPIPInstrument", "GPIBInstrument"]


def test_an_instrument_can_be_closed_and_opened_again(manager):
    first = manager.open_resource(DMM_ADDRESS)
    first.write("VOLT:NPLC 1")
    first.close()
    with pytest.raises(InvalidSession):
        first.query("*IDN?")
    assert float(manager.open_resource(DMM_ADDRESS).query("VOLT:NPLC?")) == 1.0


@pytest.mark.parametrize(
    ("address", "code"),
    [("GPIB0::13::INSTR", StatusCode.error_resource_not_found), ("nonsense", StatusCode.error_invalid_resource_name)],
)
def test_an_address_where_nothing_is_fails_as_visa_does(manager, address, code):
    with pytest.raises(VisaIOError) as caught:
        manager.open_resource(address)
    assert failure(caught) == code


def test_reading_what_was_not_asked_times_out_and_is_a_query_error(manager, bench):
    dmm = manager.open_resource(DMM_ADDRESS)
    dmm.timeout = 300
    before = bench.now
    with pytest.raises(VisaIOError) as caught:
        dmm.read()
    assert failure(caught) == StatusCode.error_timeout
    assert bench.now - before == pytest.approx(0.3)
    assert dmm.query("SYST:ERR?").startswith("-420")


def test_a_reading_that_lasts_longer_than_the_timeout_can_still_be_read_later(manager):
    dmm = manager.open_resource(DMM_ADDRESS)
    dmm.write("CONF:VOLT 10;:VOLT:NPLC 100")
    dmm.timeout = 1000
    dmm.write("READ?")
    with pytest.raises(VisaIOError):
        dmm.read()
    dmm.timeout = 10_000
    assert abs(float(dmm.read())) < 1


def test_an_infinite_timeout_waits_for_an_answer_and_gives_up_where_none_can_come(manager):
    dmm = manager.open_resource(DMM_ADDRESS)
    dmm.timeout = None
    assert float(dmm.query("MEAS:VOLT?")) < 1
    with pytest.raises(VisaIOError):
        dmm.read()


def test_clear_ends_a_reading_and_the_answer_never_comes(manager):
    dmm = manager.open_resource(DMM_ADDRESS)
    dmm.write("READ?")
    dmm.clear()
    assert dmm.query("*IDN?").startswith("Keysight")
    assert dmm.query("SYST:ERR?") == '0,"No error"\n'


def test_the_status_byte_is_polled_without_a_message(manager, bench):
    dmm = manager.open_resource(DMM_ADDRESS)
    dmm.write("FOO")
    assert dmm.read_stb() == 4
    dmm.write("*IDN?")
    bench.wait(0.001)
    assert dmm.read_stb() == 4 + 16
    assert bench["dmm"].log == ("FOO", "*IDN?")


@pytest.mark.parametrize("address", [PSU_ADDRESS, DMM_ADDRESS, OVEN_ADDRESS])
def test_a_new_message_discards_an_unread_answer_and_says_so(manager, address):
    instrument = manager.open_resource(address)
    instrument.write("*IDN?")
    assert instrument.query("*TST?").strip() == "0"
    assert instrument.query("SYST:ERR?").startswith("-410")


@pytest.fixture
def streamed(visa):
    bench = Bench(clock="skip")
    Thermostat(bench, "socket", "TCPIP0::192.0.2.30::5025::SOCKET")
    Thermostat(bench, "serial", "ASRL3::INSTR")
    return visa(bench)


@pytest.mark.parametrize("address", ["TCPIP0::192.0.2.30::5025::SOCKET", "ASRL3::INSTR"])
def test_a_stream_keeps_an_unread_answer_so_that_every_later_one_is_off_by_one(streamed, address):
    instrument = streamed.open_resource(address, read_termination="\n", write_termination="\n")
    instrument.write("*IDN?")
    assert instrument.query("*TST?").startswith("LABNB")
    assert instrument.query("SYST:ERR?") == "0"
    instrument.flush(BufferOperation.discard_receive_buffer)
    assert instrument.query("*OPC?") == "1"


def test_a_socket_needs_its_termination_characters(streamed):
    instrument = streamed.open_resource("TCPIP0::192.0.2.30::5025::SOCKET", write_termination="", timeout=100)
    instrument.write("*IDN?")
    with pytest.raises(VisaIOError):
        instrument.read()
    instrument.write("\n")
    assert instrument.read_bytes(5) == b"LABNB"
    with pytest.raises(VisaIOError):
        instrument.read()  # no END tells that this was all


def test_a_read_takes_no_more_than_was_asked_and_the_rest_later(manager):
    dmm = manager.open_resource(DMM_ADDRESS)
    dmm.write("*IDN?")
    assert dmm.read_bytes(8) == b"Keysight"
    assert dmm.read().startswith(" Technologies")


def test_small_chunks_make_the_same_answer(manager):
    dmm = manager.open_resource(DMM_ADDRESS)
    whole = dmm.query("*IDN?")
    dmm.chunk_size = 3
    assert dmm.query("*IDN?") == whole


def test_a_block_is_read_as_values(manager):
    dmm = manager.open_resource(DMM_ADDRESS)
    dmm.write("CONF:VOLT 10;:SAMP:COUN 3;:INIT")
    dmm.query("*OPC?")
    raw = dmm.query_binary_values("R?", datatype="B", container=bytes)
    assert len(raw.split(b",")) == 3


def test_attributes_are_kept_for_each_session_and_refused_where_visa_refuses(manager):
    one, two = manager.open_resource(DMM_ADDRESS), manager.open_resource(DMM_ADDRESS)
    one.timeout, two.timeout = 100, 5000
    assert (one.timeout, two.timeout) == (100, 5000)
    assert one.resource_manufacturer_name == "labnb"
    with pytest.raises(VisaIOError) as caught:
        one.get_visa_attribute(pyvisa.constants.ResourceAttribute.asrl_baud_rate)
    assert failure(caught) == StatusCode.error_nonsupported_attribute


def test_a_locked_instrument_answers_only_to_who_has_locked_it(manager):
    one, two = manager.open_resource(DMM_ADDRESS), manager.open_resource(DMM_ADDRESS)
    with one.lock_context():
        assert one.query("*TST?")
        with pytest.raises(VisaIOError) as caught:
            two.query("*TST?")
        assert failure(caught) == StatusCode.error_resource_locked
    assert two.query("*TST?")
    one.lock_excl()
    one.close()
    assert two.query("*TST?")


def test_a_service_request_can_be_waited_for(manager):
    dmm = manager.open_resource(DMM_ADDRESS)
    dmm.write("*CLS;*ESE 1;*SRE 32;:CONF:VOLT 10;:VOLT:NPLC 10")
    dmm.enable_event(EventType.service_request, EventMechanism.queue)
    dmm.write("INIT;*OPC")
    assert dmm.read_stb() & 64 == 0
    dmm.wait_on_event(EventType.service_request, 1000)
    assert dmm.read_stb() & 64
    dmm.write("*CLS")
    with pytest.raises(VisaIOError) as caught:
        dmm.wait_on_event(EventType.service_request, 100)
    assert failure(caught) == StatusCode.error_timeout


def test_a_handler_is_called_when_service_is_requested(manager):
    dmm, calls = manager.open_resource(DMM_ADDRESS), []
    handler = dmm.wrap_handler(lambda resource, event, user: calls.append(user))
    user = dmm.install_handler(EventType.service_request, handler, "here")
    dmm.enable_event(EventType.service_request, EventMechanism.handler)
    dmm.write("*SRE 4")
    assert calls == []
    dmm.write("FOO")
    assert calls == ["here"]
    dmm.uninstall_handler(EventType.service_request, handler, user)
    dmm.write("FOO")
    assert calls == ["here"]


def test_a_bus_trigger_reaches_the_instrument(manager):
    dmm = manager.open_resource(DMM_ADDRESS)
    dmm.write("CONF:VOLT 10;:TRIG:SOUR BUS;:INIT")
    dmm.assert_trigger()
    assert float(dmm.query("FETC?")) < 1


def test_a_gpib_instrument_takes_remote_and_local(manager):
    oven = manager.open_resource(OVEN_ADDRESS)
    oven.control_ren(pyvisa.constants.RENLineOperation.asrt)
    assert oven.query("SETP?")


def test_a_test_can_look_at_the_instrument_itself(manager, bench):
    psu = manager.open_resource(PSU_ADDRESS)
    psu.write("APPL CH1,2.5,0.1;:OUTP ON,(@1)")
    assert (bench["psu"].output(1), bench["psu"].output(2), bench["psu"].voltage(1)) == (True, False, 2.5)
    assert bench["psu"].log == ("APPL CH1,2.5,0.1;:OUTP ON,(@1)",)
    with pytest.raises(InstrumentError, match="no instrument 'dnn'; it has psu at USB0"):
        bench["dnn"]


# --- names ---


def test_an_unknown_bench_is_refused_with_the_known_ones():
    with pytest.raises(LinkError, match=r"no simulated bench is called 'nowhere'; there are .*demo, dots, fast"):
        pyvisa.ResourceManager("nowhere@labnb")


@pytest.mark.parametrize("name", ["", "unset", "a@b"])
def test_a_name_that_pyvisa_takes_for_something_else_is_refused(name):
    with pytest.raises(ValueError, match="cannot name a bench"):
        register(name, demo_bench)


def test_a_factory_is_called_once_and_only_when_its_bench_is_opened():
    made = []

    def factory() -> Bench:
        made.append(demo_bench(clock="skip"))
        return made[-1]

    register("lazy", factory)
    assert made == []
    assert find_bench("lazy") is find_bench("lazy") is made[0]
    assert len(made) == 1


def test_the_predefined_benches_are_there_and_each_is_one_a_process():
    assert {"demo", "fast"} <= set(bench_names())
    assert find_bench("fast") is find_bench("fast")
    assert (find_bench("fast").timeline.kind, find_bench("demo").timeline.kind) == ("skip", "real")


def test_at_labnb_alone_is_the_demo_bench():
    manager = pyvisa.ResourceManager("@labnb")
    try:
        assert DMM_ADDRESS in manager.list_resources()
    finally:
        manager.close()


def test_a_name_that_is_registered_anew_opens_the_new_bench_although_pyvisa_keeps_the_library(bench):
    register("renewed", bench)
    manager = pyvisa.ResourceManager("renewed@labnb")
    try:
        assert len(manager.list_resources()) == 7
        new = Bench(clock="skip")
        Thermostat(new, "only", "GPIB0::1::INSTR")
        register("renewed", new)
        assert pyvisa.ResourceManager("renewed@labnb").list_resources() == ("GPIB0::1::INSTR",)
    finally:
        manager.close()


def test_two_instruments_cannot_share_an_address(bench):
    with pytest.raises(ValueError, match="name or address is taken"):
        Thermostat(bench, "second", OVEN_ADDRESS.lower())


def test_importing_the_sim_needs_neither_pyvisa_nor_numpy():
    code = "import sys, labnb.sim; print(*sorted({'pyvisa', 'numpy', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- time and threads ---


def conversation(seed: int) -> list[str]:
    bench = demo_bench(clock="skip", seed=seed)
    bench.fault("dmm", "garbage", match="READ", chance=0.3, times=None)
    answers = []
    for volts in (0.3, 0.5, 0.7):
        for name, message in (
            ("psu", f"VOLT {volts},(@1);:OUTP ON,(@1);:MEAS:CURR? (@1)"), ("oven", "SETP 310;OUTP ON;KRDG?"),
            ("dmm", "CONF:CURR;:READ?"), ("dmm", "MEAS:RES?"),
        ):  # fmt: skip
            bench.port(name).send(message.encode(), end=True, timeout_s=1.0)
            answers.append(bench.port(name).receive(1000, timeout_s=10.0, termination=None))
    return [*map(str, answers), str(bench.now)]


def test_two_runs_with_the_same_seed_are_identical_and_with_another_they_are_not():
    assert conversation(3) == conversation(3) != conversation(4)


@pytest.mark.speed
def test_in_real_time_a_slow_reading_of_one_instrument_does_not_hold_up_another(visa):
    manager = visa(demo_bench(clock="real"))
    dmm, oven = manager.open_resource(DMM_ADDRESS), manager.open_resource(OVEN_ADDRESS)
    dmm.write("CONF:VOLT 10;:VOLT:NPLC 10;:VOLT:ZERO:AUTO OFF")
    seen: list[float] = []
    reader = threading.Thread(target=lambda: seen.append(float(dmm.query("READ?"))))
    start = time.monotonic()
    reader.start()
    questions = 0
    while reader.is_alive():
        oven.query("KRDG?")
        questions += 1
    took = time.monotonic() - start
    reader.join()
    assert len(seen) == 1
    assert 0.2 <= took < 2.0
    assert questions > 20


def test_in_real_time_a_setting_has_arrived_when_the_write_returns(visa):
    bench = demo_bench(clock="real")
    psu = visa(bench).open_resource(PSU_ADDRESS)
    for on in (True, False) * 5:
        psu.write(f"OUTP {'ON' if on else 'OFF'},(@1)")
        assert bench["psu"].output(1) is on


@pytest.mark.speed
def test_in_real_time_waiting_for_a_stable_stage_takes_about_a_second(visa):
    oven = visa(demo_bench(clock="real")).open_resource(OVEN_ADDRESS)
    start = time.monotonic()
    oven.write("SETP 320;OUTP ON")
    while oven.query("STAB?").strip() != "1":
        assert time.monotonic() - start < 5.0
    assert 0.8 < time.monotonic() - start < 3.0


def test_threads_that_talk_to_instruments_of_their_own_get_their_own_answers(visa):
    bench = Bench(clock="skip")
    for number in range(4):
        Thermostat(bench, f"oven{number}", f"GPIB0::{number + 1}::INSTR")
    manager, wrong = visa(bench), []

    def talk(number: int) -> None:
        oven = manager.open_resource(f"GPIB0::{number + 1}::INSTR")
        for step in range(200):
            kelvin = 100 + number * 50 + step / 10
            oven.write(f"SETP {kelvin}")
            if float(oven.query("SETP?")) != pytest.approx(kelvin):
                wrong.append((number, step))

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_bench_that_nobody_holds_is_freed():
    bench = Bench(clock="skip")
    Multimeter(bench, "dmm", DMM_ADDRESS, voltage_input=("a", "gnd"), current_input=("b", "gnd"))
    watch = weakref.ref(bench.circuit)
    del bench
    gc.collect()
    assert watch() is None
