"""What threads wait by: conditions, flags and mutexes that follow the clock of whoever waits."""

import threading

import pytest

from labnb.core import Condition, Flag, Mutex, SystemClock, following, present_clock


class Patient:
    """A clock on which a wait with a time limit is over at once, and one without is an error."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def latch(self):
        return PatientLatch(self)


class PatientLatch:
    def __init__(self, clock):
        self._clock = clock
        self._open = False

    def acquire(self, blocking=True, timeout=-1):
        assert timeout >= 0 or self._open, "nobody would ever open it"
        self._clock.now += max(timeout, 0.0)
        return self._open

    def release(self):
        self._open = True


def test_the_systems_clock_is_present_unless_another_is_followed():
    assert isinstance(present_clock(), SystemClock)
    clock = Patient()
    with following(clock):
        assert present_clock() is clock
    assert isinstance(present_clock(), SystemClock)


def test_a_condition_wakes_all_that_wait_in_other_threads():
    condition, ready, seen = Condition(), [], []

    def wait():
        with condition:
            assert condition.wait_for(lambda: bool(ready), 10)
            seen.append(1)

    threads = [threading.Thread(target=wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    with condition:
        ready.append(1)
        condition.notify_all()
    for thread in threads:
        thread.join(10)
    assert seen == [1, 1, 1]


def test_a_condition_gives_up_after_its_time_by_the_clock_that_is_present():
    clock, condition = Patient(), Condition()
    with following(clock), condition:
        assert condition.wait_for(lambda: False, 3600.0) is False
        assert condition.wait(5.0) is False
        assert condition.wait_for(lambda: True) is True
    assert clock.now == 3605.0


def test_a_condition_of_a_clock_waits_by_that_one():
    clock = Patient()
    condition = Condition(clock)
    with condition:
        assert condition.wait_for(lambda: clock.now > 7, 8.0)
    assert clock.now == 8.0


def test_a_flag_is_an_event_that_waits_by_the_present_clock():
    flag, clock = Flag(), Patient()
    assert isinstance(flag, threading.Event)
    with following(clock):
        assert flag.wait(0.5) is False
    flag.set()
    assert flag.is_set()
    assert flag.wait() is True
    assert clock.now == 0.5


def test_a_flag_wakes_a_thread():
    flag, seen = Flag(), []
    thread = threading.Thread(target=lambda: seen.append(flag.wait(10)))
    thread.start()
    flag.set()
    thread.join(10)
    assert seen == [True]


def test_a_mutex_lets_one_in_at_a_time_and_is_free_after_an_error():
    mutex, inside, most = Mutex(), [], []

    def enter():
        for _ in range(200):
            with mutex:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert set(most) == {1}
    with pytest.raises(ZeroDivisionError), mutex:
        raise ZeroDivisionError
    with mutex:
        """It is free."""
