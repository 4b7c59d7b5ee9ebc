"""Service requests through PyVISA: queued events, handlers, and who is told what when."""

import logging
import threading

import pytest
from pyvisa.constants import EventMechanism, EventType, StatusCode
from pyvisa.errors import VisaIOError

from labnb.sim import Bench, Instrument, command

SRQ, QUEUE, HANDLER = EventType.service_request, EventMechanism.queue, EventMechanism.handler
MESSAGES = pytest.mark.parametrize("interface", ["usb", "gpib", "vxi11"])


def failure(act, *arguments) -> StatusCode:
    with pytest.raises(VisaIOError) as caught:
        act(*arguments)
    return StatusCode(caught.value.error_code)


@pytest.fixture
def usb(open_trial):
    return open_trial("usb")


def handled(resource, calls, user="user"):
    """Install and enable a handler that notes its calls and polls, as manuals tell; return what uninstalls it."""

    def note(resource, event, user):
        calls.append((event.event_type, user, resource.read_stb()))

    handler = resource.wrap_handler(note)
    back = resource.install_handler(SRQ, handler, user)
    resource.enable_event(SRQ, HANDLER)
    return lambda: resource.uninstall_handler(SRQ, handler, back)


@MESSAGES
def test_an_event_is_waited_for_as_long_as_the_operation_lasts(open_trial, trials, interface):
    instrument = open_trial(interface)
    instrument.write("*CLS;*ESE 1;*SRE 32")
    instrument.enable_event(SRQ, QUEUE)
    instrument.write("INIT;*OPC")
    before = trials.now
    response = instrument.wait_on_event(SRQ, 5000)
    assert trials.now - before == pytest.approx(1.0, abs=0.01)
    assert response.event.event_type == SRQ
    assert response.event.get_visa_attribute(0x3FFF4010) == SRQ  # VI_ATTR_EVENT_TYPE
    assert not response.timed_out
    assert instrument.read_stb() == 64 + 32


def test_there_is_one_event_for_a_request_however_long_it_stands(usb):
    usb.write("*CLS;*SRE 4")
    usb.enable_event(SRQ, QUEUE)
    usb.write("FOO")
    usb.write("FOO")
    usb.wait_on_event(SRQ, 100)
    assert failure(usb.wait_on_event, SRQ, 100) == StatusCode.error_timeout
    assert usb.wait_on_event(SRQ, 0, capture_timeout=True).timed_out
    usb.write("*CLS")
    usb.write("FOO")
    usb.wait_on_event(SRQ, 0)


def test_an_answer_that_can_be_read_is_an_event_when_it_is_there(usb, trials):
    usb.write("*SRE 16")
    usb.enable_event(SRQ, QUEUE)
    usb.write("READ?")
    before = trials.now
    usb.wait_on_event(SRQ, 5000)
    assert trials.now - before == pytest.approx(1.0, abs=0.01)
    assert usb.read_stb() == 64 + 16
    assert float(usb.read()) == 1.0
    assert usb.query("VOLT?")
    assert usb.read_stb() == 0  # the answer has been read: there is no reason any more


def test_a_request_that_stands_already_is_found_by_who_enables_events_later(open_trial):
    gpib = open_trial("gpib")
    gpib.write("*CLS;*ESE 1;*SRE 32;*OPC")
    gpib.wait_for_srq(100)
    assert gpib.read_stb() == 32


def test_events_that_nobody_wants_any_more_are_gone(usb):
    usb.write("*CLS;*SRE 4")
    usb.enable_event(SRQ, QUEUE)
    usb.write("FOO")
    usb.discard_events(SRQ, QUEUE)
    assert failure(usb.wait_on_event, SRQ, 0) == StatusCode.error_timeout
    usb.disable_event(SRQ, QUEUE)
    assert failure(usb.wait_on_event, SRQ, 0) == StatusCode.error_not_enabled


def test_every_session_on_an_instrument_is_told(open_trial):
    sessions = [open_trial("usb") for _ in range(3)]
    for each in sessions[:2]:
        each.enable_event(SRQ, QUEUE)
    sessions[2].write("*CLS;*SRE 4;FOO")
    for each in sessions[:2]:
        each.wait_on_event(SRQ, 0)
    assert failure(sessions[2].wait_on_event, SRQ, 0) == StatusCode.error_not_enabled


@MESSAGES
def test_a_handler_is_called_once_a_request_with_its_user_handle(open_trial, interface):
    instrument, calls = open_trial(interface), []
    uninstall = handled(instrument, calls)
    instrument.write("*CLS;*SRE 4")
    assert calls == []
    instrument.write("FOO")
    assert calls == [(SRQ, "user", 64 + 4)]
    instrument.write("FOO")
    assert len(calls) == 1
    uninstall()
    instrument.write("*CLS;FOO")
    assert len(calls) == 1


def test_a_handler_is_called_when_a_delayed_completion_comes_whoever_lets_the_time_pass(open_trial, trials):
    usb, gpib, calls = open_trial("usb"), open_trial("gpib"), []
    handled(usb, calls)
    usb.write("*CLS;*ESE 1;*SRE 32;:INIT;*OPC")
    trials.wait(0.5)
    assert calls == []
    trials.wait(0.6)
    assert calls == [(SRQ, "user", 64 + 32)]
    usb.write("*CLS;:INIT;*OPC")
    gpib.query("READ?")
    gpib.query("READ?")
    assert len(calls) == 2


def test_a_handler_may_talk_to_the_instrument(usb, trials):
    seen = []
    handler = usb.wrap_handler(lambda resource, event, user: seen.append(resource.query("*ESR?").strip()))
    usb.install_handler(SRQ, handler)
    usb.enable_event(SRQ, HANDLER)
    usb.write("*CLS;*ESE 1;*SRE 32;:INIT;*OPC")
    trials.wait(2.0)
    assert seen == ["1"]


def test_a_handler_that_fails_is_logged_and_the_write_is_not_blamed(usb, caplog):
    handler = usb.wrap_handler(lambda resource, event, user: 1 / 0)
    usb.install_handler(SRQ, handler)
    usb.enable_event(SRQ, HANDLER)
    with caplog.at_level(logging.ERROR):
        usb.write("*SRE 4;FOO")
    assert "handler" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert usb.query("*TST?")


def test_handlers_are_called_the_last_installed_first_until_one_says_enough(usb):
    order = []
    codes = {"first": 0, "second": StatusCode.success_no_more_handler_calls_in_chain, "third": 0}
    for name, code in codes.items():
        usb.visalib.install_visa_handler(usb.session, SRQ, lambda *_, n=name, c=code: (order.append(n), c)[1], name)
    usb.enable_event(SRQ, HANDLER)
    usb.write("*SRE 4;FOO")
    assert order == ["third", "second"]


def test_events_that_are_suspended_are_handled_once_that_is_enabled(usb):
    calls = []
    handler = usb.wrap_handler(lambda resource, event, user: calls.append(user))
    usb.install_handler(SRQ, handler, 5)
    usb.enable_event(SRQ, EventMechanism.suspend_handler)
    usb.write("*SRE 4;FOO")
    assert calls == []
    usb.enable_event(SRQ, HANDLER)
    assert calls == [5]


def test_what_makes_no_sense_is_refused(open_trial, usb):
    assert failure(usb.enable_event, SRQ, HANDLER) == StatusCode.error_handler_not_installed
    assert failure(usb.enable_event, EventType.pxi_interrupt, QUEUE) == StatusCode.error_invalid_event
    assert failure(usb.enable_event, SRQ, 6) == StatusCode.error_invalid_mechanism
    assert failure(open_trial("socket").enable_event, SRQ, QUEUE) == StatusCode.error_invalid_event
    reference = StatusCode.error_invalid_handler_reference
    assert failure(usb.visalib.uninstall_handler, usb.session, SRQ, print) == reference


def test_a_closed_session_is_told_nothing(open_trial, trials):
    usb, other, calls = open_trial("usb"), open_trial("usb"), []
    handled(usb, calls)
    usb.write("*CLS;*ESE 1;*SRE 32;:INIT;*OPC")
    usb.close()
    trials.wait(2.0)
    assert calls == []
    assert trials.port("usb").on_request == []
    assert other.read_stb() == 64 + 32


# --- with the real clock ---


class Slow(Instrument):
    @command("INIT")
    def _initiate(self, call):
        def last():
            yield self.now + 0.05

        self.begin(last())


@pytest.fixture
def slow(visa):
    bench = Bench(clock="real")
    Slow(bench, "slow", "USB0::1::2::3::INSTR")
    with visa(bench).open_resource("USB0::1::2::3::INSTR") as instrument:
        yield instrument
    assert not [each for each in threading.enumerate() if each.name == "labnb-service-requests"]


def test_in_real_time_a_handler_is_called_while_nobody_talks_to_the_bench(slow):
    called = threading.Event()
    handler = slow.wrap_handler(lambda resource, event, user: called.set())
    slow.install_handler(SRQ, handler)
    slow.enable_event(SRQ, HANDLER)
    slow.write("*CLS;*ESE 1;*SRE 32;:INIT;*OPC")
    assert called.wait(5.0)


def test_in_real_time_an_event_that_another_thread_causes_ends_the_waiting(slow):
    slow.write("*CLS;*SRE 4")
    slow.enable_event(SRQ, QUEUE)
    writer = threading.Thread(target=lambda: slow.write("FOO"))
    writer.start()
    slow.wait_on_event(SRQ, 5000)
    writer.join()


def test_in_real_time_a_handler_may_close_its_session(slow):
    done = threading.Event()

    def close(resource, event, user):
        resource.close()
        done.set()

    slow.install_handler(SRQ, slow.wrap_handler(close))
    slow.enable_event(SRQ, HANDLER)
    slow.write("*SRE 4;FOO")
    assert done.wait(5.0)
    for thread in threading.enumerate():
        if thread.name == "labnb-service-requests":
            thread.join(5.0)
