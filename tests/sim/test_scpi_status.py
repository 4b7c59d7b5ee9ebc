"""What an instrument remembers of what has happened, and how it asks for attention."""

import pytest


def test_after_power_on_bit_7_says_so_once(ask_trial):
    assert ask_trial("*ESR?") == "128"
    assert ask_trial("*ESR?") == "0"


@pytest.mark.parametrize(
    ("message", "bit"), [("FOO", 32), ("VOLT 1A", 32), ("VOLT 99", 16), ("*OPC", 1), ("VOLT?", 0), ("*WAI", 0)]
)
def test_each_class_of_errors_has_its_event_bit(trials, ask_trial, message, bit):
    ask_trial("*CLS")
    trials.port("usb").send(message.encode(), end=True, timeout_s=1.0)
    trials.port("usb").clear()
    assert ask_trial("*ESR?") == str(bit)


def test_a_query_error_and_an_overflow_have_theirs(trials, ask_trial):
    port = trials.port("usb")
    ask_trial("*CLS")
    port.send(b"*IDN?", end=True, timeout_s=1.0)
    assert ask_trial("*ESR?") == "4"
    port.receive(100, timeout_s=0.1, termination=None)
    assert [ask_trial("SYST:ERR?")[:4] for _ in range(3)] == ["-410", "-420", '0,"N']
    ask_trial("VOLT 99;" * 21)
    assert ask_trial("*ESR?") == str(4 + 16)


def test_reset_forgets_settings_and_the_awaited_completion_and_keeps_status(trials, ask_trial):
    ask_trial("*CLS;*ESE 33;*SRE 36;VOLT 5;FOO")
    ask_trial("INIT;*OPC;*RST")
    assert ask_trial("VOLT?;*ESE?;*SRE?;:SYST:ERR?") == '+1.00000000E+00;33;36;-113,"Undefined header;FOO"'
    trials.wait(5.0)
    assert ask_trial("*ESR?") == "32"


def test_clear_status_forgets_events_errors_and_the_awaited_completion_and_keeps_masks(trials, ask_trial):
    ask_trial("*ESE 33;*SRE 36;VOLT 5;FOO;INIT;*OPC")
    ask_trial("*CLS")
    trials.wait(5.0)
    assert ask_trial("*ESR?;*ESE?;*SRE?;:SYST:ERR?;:VOLT?") == '0;33;36;0,"No error";+5.00000000E+00'


def test_completion_is_told_later_by_a_bit_an_answer_or_by_waiting(trials, ask_trial):
    ask_trial("*CLS;:INIT;*OPC")
    assert ask_trial("*ESR?") == "0"
    start = trials.now
    assert ask_trial("*OPC?") == "1"
    assert trials.now - start == pytest.approx(1.0, abs=0.01)
    assert ask_trial("*ESR?") == "1"
    start = trials.now
    assert ask_trial("INIT;*WAI;:VOLT?") == "+1.00000000E+00"
    assert trials.now - start == pytest.approx(1.0, abs=0.01)


def test_what_comes_while_an_operation_is_pending_is_executed_at_once(trials, ask_trial):
    start = trials.now
    assert ask_trial("INIT;:VOLT 3;VOLT?") == "+3.00000000E+00"
    assert trials.now - start < 0.01
    assert ask_trial("INIT;:SYST:ERR?").startswith("-213")


def test_a_device_clear_ends_what_is_pending_without_calling_it_complete(trials, ask_trial):
    ask_trial("*CLS;:INIT;*OPC")
    trials.port("usb").clear()
    trials.wait(5.0)
    assert ask_trial("*ESR?;*OPC?") == "0;1"


def test_the_status_byte_sums_up_errors_messages_and_events(trials, ask_trial):
    port = trials.port("usb")
    poll = lambda: port.poll(timeout_s=1.0)[0]  # noqa: E731
    ask_trial("*CLS;*ESE 32")
    assert poll() == 0
    ask_trial("FOO")
    assert poll() == 4 + 32
    assert ask_trial("*STB?") == str(4 + 32)
    ask_trial("SYST:ERR?")
    assert poll() == 32
    ask_trial("*ESR?")
    assert poll() == 0
    port.send(b"VOLT?", end=True, timeout_s=1.0)
    assert poll() == 0
    trials.wait(0.001)
    assert poll() == 16
    port.receive(100, timeout_s=1.0, termination=None)
    assert poll() == 0


def test_a_poll_takes_the_request_back_and_the_summary_stays(trials, ask_trial):
    port = trials.port("usb")
    poll = lambda: port.poll(timeout_s=1.0)[0]  # noqa: E731
    ask_trial("*CLS;*SRE 4;FOO")
    assert [poll(), poll()] == [4 + 64, 4]
    assert ask_trial("*STB?") == str(4 + 64)
    ask_trial("FOO")
    assert poll() == 4  # the same reason: no new request
    ask_trial("*CLS")
    ask_trial("FOO")
    assert poll() == 4 + 64
    ask_trial("*SRE 0")
    assert poll() == 4


def test_a_reason_that_goes_away_takes_its_request_along(trials, ask_trial):
    ask_trial("*CLS;*SRE 4;FOO")
    ask_trial("*CLS")
    assert trials.port("usb").poll(timeout_s=1.0)[0] == 0


def test_the_master_summary_is_no_reason_of_itself(ask_trial):
    ask_trial("*SRE 64")
    assert ask_trial("*SRE?") == "0"


@pytest.mark.parametrize(("interface", "answers"), [
    ("usb", ["0", '-410,"Query INTERRUPTED"']), ("gpib", ["0", '-410,"Query INTERRUPTED"']),
    ("vxi11", ["0", '-410,"Query INTERRUPTED"']),
    ("socket", ["LABNB,TRIAL,SIM0099,1.0", "0"]), ("asrl", ["LABNB,TRIAL,SIM0099,1.0", "0"]),
])  # fmt: skip
def test_an_unread_answer_is_discarded_where_messages_end_and_shifts_the_others_on_a_stream(
    open_trial, interface, answers
):
    instrument = open_trial(interface)
    instrument.write("*IDN?")
    assert [instrument.query(each).strip() for each in ("*TST?", "SYST:ERR?")] == answers


@pytest.mark.parametrize(("message", "code"), [("INIT:FAIL", "-221"), ("INIT:FAIL 1", "-300")])
def test_an_operation_that_fails_in_the_background_is_over_and_its_error_is_queued(trials, ask_trial, message, code):
    ask_trial(message)
    assert ask_trial("*OPC?;:SYST:ERR?").startswith(f"1;{code}")
    ask_trial(message)
    trials.wait(2.0)
    assert ask_trial("SYST:ERR?;*OPC?").startswith(code)
