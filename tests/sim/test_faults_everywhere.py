"""Every fault on every interface, as raw PyVISA shows it, and the way back."""

from typing import get_args

import pytest
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError

from labnb.sim import FaultKind

INTERFACES = ("usb", "gpib", "vxi11", "socket")
IDENTITY = "LABNB,TRIAL,SIM0099,1.0"
TIMEOUT = StatusCode.error_timeout
GONE = {
    "usb": StatusCode.error_connection_lost, "gpib": StatusCode.error_no_listeners,
    "vxi11": StatusCode.error_connection_lost, "socket": StatusCode.error_connection_lost,
}  # fmt: skip

everywhere = pytest.mark.parametrize("interface", INTERFACES)


def failure(act, *arguments) -> StatusCode:
    with pytest.raises(VisaIOError) as caught:
        act(*arguments)
    return StatusCode(caught.value.error_code)


def works(instrument) -> bool:
    return instrument.query("*CLS;*IDN?").strip() == IDENTITY


@pytest.fixture
def opened(open_trial, interface):
    return open_trial(interface, timeout=200)


@everywhere
@pytest.mark.parametrize("kind", get_args(FaultKind))
def test_a_question_that_is_struck_fails_with_visas_own_error_or_is_visibly_wrong(opened, trials, interface, kind):
    trials.fault(interface, kind, match="IDN", delay_s=0.5)
    if kind in ("garbage", "duplicate"):
        opened.write("*IDN?")
        raw = opened.read_raw()
        assert raw.isascii() == (kind == "duplicate")
        assert len(raw) == len(IDENTITY) + 1
        if kind == "duplicate":
            assert opened.read_raw() == raw
    else:
        lost = kind in ("disconnect", "reboot")
        assert failure(opened.query, "*IDN?") == (GONE[interface] if lost else TIMEOUT)


@everywhere
@pytest.mark.parametrize("kind", sorted(set(get_args(FaultKind)) - {"disconnect", "reboot"}))
def test_after_a_clear_the_next_question_gets_its_own_answer(opened, trials, interface, kind):
    trials.fault(interface, kind, match="VOLT", delay_s=0.1)
    opened.timeout = 50
    opened.write("VOLT?")
    try:
        opened.read_raw()
    except VisaIOError:
        trials.wait(0.2)  # a stream cannot be told to be silent: what comes late must have come
    opened.clear()
    assert works(opened)


@everywhere
def test_a_late_answer_can_be_waited_for(opened, trials, interface):
    trials.fault(interface, "slow", match="IDN", delay_s=0.5)
    assert failure(opened.query, "*IDN?") == TIMEOUT
    trials.wait(0.4)
    assert opened.read().strip() == IDENTITY


@everywhere
def test_a_late_answer_is_found_by_the_next_read_of_a_stream_alone(opened, trials, interface):
    trials.fault(interface, "slow", match="IDN", delay_s=0.3)
    assert failure(opened.query, "*IDN?") == TIMEOUT
    trials.wait(0.2)
    assert opened.query("*TST?").strip() == (IDENTITY if interface == "socket" else "0")


@everywhere
@pytest.mark.parametrize("kind", sorted(set(get_args(FaultKind)) - {"disconnect", "reboot", "timeout"}))
def test_a_setting_that_is_struck_is_lost_or_arrives_but_never_fails(opened, trials, interface, kind):
    trials.fault(interface, kind, match="VOLT 5")
    opened.write("VOLT 5")
    assert trials[interface].voltage(1) == (1.0 if kind == "drop" else 5.0)
    assert works(opened)


@everywhere
@pytest.mark.parametrize("kind", ["timeout", "disconnect", "reboot"])
def test_a_setting_that_does_not_arrive_says_so(opened, trials, interface, kind):
    trials.fault(interface, kind, match="VOLT 5")
    assert failure(opened.write, "VOLT 5") == (TIMEOUT if kind == "timeout" else GONE[interface])
    assert trials[interface].voltage(1) == 1.0


@everywhere
def test_a_block_with_a_question_mark_in_it_is_a_setting(opened, trials, interface):
    trials.fault(interface, "timeout", match="DATA")
    assert failure(opened.write_raw, b"DATA #13?;?\n") == TIMEOUT
    assert trials[interface].data == b""


@everywhere
def test_what_is_unplugged_is_not_listed_cannot_be_opened_and_keeps_its_settings(opened, open_trial, trials, interface):
    manager = opened.visalib.resource_manager
    opened.write("VOLT 5;:FOO")
    trials.fault(interface, "disconnect", match="IDN")
    assert failure(opened.query, "*IDN?") == GONE[interface]
    assert failure(opened.write, "VOLT 6") == GONE[interface]
    assert failure(opened.clear) == GONE[interface]
    if interface != "socket":
        assert failure(opened.assert_trigger) == GONE[interface]
        assert failure(opened.read_stb) == (TIMEOUT if interface == "gpib" else GONE[interface])
    assert failure(opened.read) == (TIMEOUT if interface == "gpib" else GONE[interface])
    assert opened.resource_name not in manager.list_resources("?*")
    assert failure(open_trial, interface) == StatusCode.error_resource_not_found
    trials.reconnect(interface)
    again = open_trial(interface)
    assert float(again.query("VOLT?")) == 5.0
    assert again.query("SYST:ERR?").startswith("-113")


@everywhere
@pytest.mark.parametrize("kind", ["disconnect", "reboot"])
def test_a_connection_that_was_lost_stays_dead_and_an_address_comes_back(opened, open_trial, trials, interface, kind):
    trials.fault(interface, kind, match="IDN", delay_s=2.0)
    failure(opened.query, "*IDN?")
    trials.reconnect(interface)
    if interface == "gpib":
        assert works(opened)
    else:
        assert failure(opened.query, "*IDN?") == StatusCode.error_connection_lost
        assert failure(opened.read) == StatusCode.error_connection_lost
        assert failure(opened.clear) == StatusCode.error_connection_lost
    opened.close()
    assert works(open_trial(interface))


@everywhere
def test_a_reboot_ends_after_its_delay_with_nothing_left_of_before(opened, open_trial, trials, interface):
    opened.write("*ESR?")
    opened.read()
    opened.write("VOLT 5;:OUTP ON;*ESE 255;*SRE 255;:FOO")
    opened.write("*IDN?")  # unread
    trials.fault(interface, "reboot", match="VOLT 6", delay_s=2.0)
    assert failure(opened.write, "VOLT 6") == GONE[interface]
    assert not trials[interface].output()
    assert failure(open_trial, interface) == StatusCode.error_resource_not_found
    trials.wait(2.0)
    again = opened if interface == "gpib" else open_trial(interface)
    assert again.query("*ESR?;*ESE?;*SRE?;:SYST:ERR?;:VOLT?;OUTP?").strip() == (
        '128;0;0;0,"No error";+1.00000000E+00;0'
    )


@everywhere
def test_a_reboot_breaks_a_reading_off_that_another_session_waits_for(opened, open_trial, trials, interface):
    other = open_trial(interface, timeout=5000)
    opened.write("READ?")
    trials.fault(interface, "reboot", match="VOLT", delay_s=0.1)
    assert failure(other.write, "VOLT 2") == GONE[interface]
    opened.timeout = 3000
    assert failure(opened.read) == (TIMEOUT if interface == "gpib" else GONE[interface])


def test_a_serial_line_that_is_pulled_is_silence(open_trial, trials):
    instrument = open_trial("asrl", timeout=200)
    trials.fault("asrl", "disconnect", match="IDN")
    instrument.write("*IDN?")
    assert failure(instrument.read) == TIMEOUT
    instrument.write("VOLT 5")
    trials.reconnect("asrl")
    assert trials["asrl"].voltage(1) == 1.0
    assert works(instrument)


def test_looking_for_what_is_not_there_takes_time_so_that_trying_again_comes_to_an_end(opened_usb, open_trial, trials):
    trials.fault("usb", "reboot", delay_s=1.0)
    failure(opened_usb.query, "*IDN?")
    tries = 0
    while tries < 100:
        try:
            again = open_trial("usb")
            break
        except VisaIOError:
            tries += 1
    assert works(again)
    assert 5 <= tries <= 15


@pytest.fixture
def opened_usb(open_trial):
    return open_trial("usb", timeout=200)
