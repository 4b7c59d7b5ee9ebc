"""VISA's locks: who may use an instrument, and for how long the others wait."""

import threading

import pytest
import pyvisa
from pyvisa.constants import AccessModes, Lock, ResourceAttribute, StatusCode
from pyvisa.errors import VisaIOError

from labnb.sim import Bench, Instrument

LOCKED = StatusCode.error_resource_locked


def failure(act, *arguments, **more) -> StatusCode:
    with pytest.raises(VisaIOError) as caught:
        act(*arguments, **more)
    return StatusCode(caught.value.error_code)


class Plain(Instrument):
    pass


@pytest.fixture
def two(open_trial):
    return open_trial("usb"), open_trial("usb")


def test_an_exclusive_lock_bars_every_operation_of_another_session_and_none_of_its_own(two):
    one, other = two
    one.lock_excl()
    for act in (lambda: other.write("VOLT 5"), other.read, other.clear, other.read_stb, other.assert_trigger,
                lambda: other.flush(pyvisa.constants.BufferOperation.discard_read_buffer)):  # fmt: skip
        assert failure(act) == LOCKED
    assert one.query("*TST?").strip() == "0"
    assert one.get_visa_attribute(ResourceAttribute.resource_lock_state) == AccessModes.exclusive_lock
    assert other.get_visa_attribute(ResourceAttribute.resource_lock_state) == AccessModes.exclusive_lock
    other.timeout = 100  # what belongs to the session alone may be set
    one.unlock()
    assert other.query("*TST?").strip() == "0"
    assert failure(one.unlock) == StatusCode.error_session_not_locked


def test_exclusive_locks_are_counted(two):
    one, other = two
    one.lock_excl()
    one.lock_excl()
    one.unlock()
    assert one.last_status == StatusCode.success_nested_exclusive
    assert failure(other.query, "*TST?") == LOCKED
    one.unlock()
    assert other.query("*TST?")


def test_who_knows_the_key_shares_the_lock(open_trial, two):
    one, other = two
    third = open_trial("usb")
    key = one.lock()
    assert other.lock(requested_key=key) == key
    assert one.query("*TST?")
    assert other.query("*TST?")
    assert failure(third.query, "*TST?") == LOCKED
    assert failure(third.lock, timeout=0) == LOCKED
    assert failure(third.lock, timeout=0, requested_key="another") == LOCKED
    assert failure(third.lock_excl, timeout=0) == LOCKED
    with third.lock_context(requested_key=key) as again:
        assert again == key
        assert third.query("*TST?")
    one.unlock()
    assert failure(one.query, "*TST?") == LOCKED
    other.unlock()
    assert one.query("*TST?")
    assert third.query("*TST?")


def test_a_key_may_be_chosen_and_is_made_up_otherwise(two):
    one, _ = two
    assert one.lock(requested_key="mine") == "mine"
    assert one.lock() == "mine"
    one.unlock()
    one.unlock()
    first = one.lock()
    one.unlock()
    assert first
    assert one.lock() != first


def test_who_shares_may_be_alone_for_a_while(two):
    one, other = two
    key = one.lock()
    other.lock(requested_key=key)
    one.lock_excl()
    assert failure(other.query, "*TST?") == LOCKED
    one.unlock()
    assert other.query("*TST?")
    assert failure(other.lock, timeout=0, requested_key="another") == LOCKED


def test_a_lock_is_waited_for_up_to_its_timeout(trials, two):
    one, other = two
    one.lock_excl()
    before = trials.now
    assert failure(other.lock_excl, timeout=500) == LOCKED
    assert trials.now - before == pytest.approx(0.5)
    assert failure(other.lock_excl, timeout=0) == LOCKED
    assert trials.now - before == pytest.approx(0.5)


def test_in_real_time_a_lock_that_is_given_back_meanwhile_is_taken(visa):
    bench = Bench(clock="real")
    Plain(bench, "plain", "GPIB0::1::INSTR")
    manager = visa(bench)
    one, other = manager.open_resource("GPIB0::1::INSTR"), manager.open_resource("GPIB0::1::INSTR")
    one.lock_excl()
    taken = threading.Event()
    waiter = threading.Thread(target=lambda: (other.lock_excl(timeout=20_000), taken.set()))
    waiter.start()
    assert not taken.is_set()
    one.unlock()
    assert taken.wait(10.0)
    waiter.join()
    assert failure(one.query, "*TST?") == LOCKED


def test_closing_gives_locks_back(open_trial, two):
    one, other = two
    one.lock_excl()
    one.close()
    assert other.query("*TST?")
    other.lock()
    other.close()
    assert open_trial("usb").query("*TST?")


def test_an_instrument_can_be_opened_locked_or_not_at_all(open_trial):
    one = open_trial("usb", access_mode=AccessModes.exclusive_lock)
    assert failure(open_trial, "usb", access_mode=AccessModes.exclusive_lock) == LOCKED
    assert failure(open_trial, "usb", access_mode=AccessModes.shared_lock, open_timeout=100) == LOCKED
    plain = open_trial("usb")
    assert failure(plain.query, "*TST?") == LOCKED
    one.close()
    assert plain.query("*TST?")
    assert open_trial("gpib", access_mode=AccessModes.shared_lock).query("*TST?")


def test_a_kind_of_lock_that_there_is_not_is_refused(two):
    one, _ = two
    assert failure(one.visalib.lock, one.session, 7, 0) == StatusCode.error_invalid_lock_type
    assert {Lock.exclusive, Lock.shared} == {1, 2}


def test_what_all_sessions_share_cannot_be_set_by_who_is_locked_out(open_trial):
    one, other = open_trial("asrl"), open_trial("asrl")
    one.baud_rate = 19_200
    assert other.baud_rate == 19_200
    one.lock_excl()
    with pytest.raises(VisaIOError):
        other.baud_rate = 9600
    one.timeout, other.timeout = 100, 200
    assert (one.timeout, other.timeout) == (100, 200)
