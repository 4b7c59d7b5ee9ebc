"""Planned faults, as PyVISA's own errors or as wrong bytes."""

import pytest
from pyvisa.constants import StatusCode
from pyvisa.errors import VisaIOError

from labnb.sim import DMM_ADDRESS, PSU_ADDRESS, Fault


@pytest.fixture
def dmm(visa, bench):
    return visa(bench).open_resource(DMM_ADDRESS, timeout=500)


@pytest.fixture
def psu(visa, bench):
    return visa(bench).open_resource(PSU_ADDRESS, timeout=500)


IDENTITY = "Keysight Technologies,34470A,"


@pytest.mark.parametrize("kind", ["timeout", "drop"])
def test_an_answer_that_never_comes_is_a_visa_timeout_once(dmm, bench, kind):
    bench.fault("dmm", kind, match="IDN")
    with pytest.raises(VisaIOError) as caught:
        dmm.query("*IDN?")
    assert caught.value.error_code == StatusCode.error_timeout
    assert dmm.query("*IDN?").startswith(IDENTITY)


def test_a_setting_that_times_out_has_not_arrived_and_the_write_says_so(psu, bench):
    bench.fault("psu", "timeout", match="VOLT 5")
    before = bench.now
    with pytest.raises(VisaIOError) as caught:
        psu.write("VOLT 5,(@1)")
    assert caught.value.error_code == StatusCode.error_timeout
    assert bench.now - before == pytest.approx(0.5, abs=0.01)
    assert bench["psu"].voltage(1) == 0.0


def test_a_dropped_setting_is_lost_in_silence(psu, bench):
    bench.fault("psu", "drop", match="VOLT 5")
    psu.write("VOLT 5,(@1)")
    assert bench["psu"].voltage(1) == 0.0
    assert bench["psu"].log == ()


def test_garbage_is_as_long_as_the_answer_and_cannot_be_decoded(dmm, bench):
    bench.fault("dmm", "garbage")
    dmm.write("*IDN?")
    raw = dmm.read_raw()
    assert len(raw) == len(bench["dmm"].identity) + 1
    assert raw.endswith(b"\n")
    with pytest.raises(UnicodeDecodeError):
        raw.decode("ascii")


def test_half_an_answer_has_neither_terminator_nor_end_so_that_reading_it_times_out(dmm, bench):
    bench.fault("dmm", "truncate")
    dmm.write("*IDN?")
    half = dmm.read_bytes((len(bench["dmm"].identity) + 1) // 2).decode()
    assert bench["dmm"].identity.startswith(half)
    with pytest.raises(VisaIOError) as caught:
        dmm.read_bytes(1)
    assert caught.value.error_code == StatusCode.error_timeout


def test_a_duplicate_answer_is_found_by_the_next_read(dmm, bench):
    bench.fault("dmm", "duplicate")
    assert dmm.query("*IDN?") == dmm.read()
    bench.fault("dmm", "duplicate")
    dmm.query("*IDN?")
    assert dmm.query("*TST?").strip() == "0"
    assert dmm.query("SYST:ERR?").startswith("-410")


def test_a_slow_answer_comes_later(dmm, bench):
    bench.fault("dmm", "slow", delay_s=0.3)
    before = bench.now
    assert dmm.query("*IDN?").startswith(IDENTITY)
    assert bench.now - before == pytest.approx(0.3005, abs=1e-6)


def test_a_disconnected_instrument_is_lost_until_it_is_plugged_in_again(visa, bench):
    manager = visa(bench)
    psu = manager.open_resource(PSU_ADDRESS)
    psu.write("VOLT 3,(@1);:OUTP ON,(@1)")
    bench.fault("psu", "disconnect", match="MEAS")
    for _ in range(2):
        with pytest.raises(VisaIOError) as caught:
            psu.query("MEAS:VOLT? (@1)")
        assert caught.value.error_code == StatusCode.error_connection_lost
    for act in (psu.clear, psu.read_stb, psu.read):
        with pytest.raises(VisaIOError):
            act()
    assert PSU_ADDRESS not in manager.list_resources()
    with pytest.raises(VisaIOError) as caught:
        manager.open_resource(PSU_ADDRESS)
    assert caught.value.error_code == StatusCode.error_resource_not_found
    bench.reconnect("psu")
    again = manager.open_resource(PSU_ADDRESS)
    assert float(again.query("VOLT? (@1)")) == 3.0
    assert again.query("OUTP? (@1)").strip() == "1"


def damaged(resource, question: str) -> bool:
    resource.write(question)
    return not resource.read_raw().isascii()


def test_a_fault_lets_the_first_messages_pass_strikes_its_times_and_is_over(dmm, bench):
    bench.fault("dmm", "garbage", match="^read", after=2, times=2)
    dmm.write("CONF:VOLT 10")
    struck = []
    for _ in range(6):
        assert not damaged(dmm, "*TST?")
        struck.append(damaged(dmm, "READ?"))
    assert struck == [False, False, True, True, False, False]


def test_a_fault_without_end_goes_on(dmm, bench):
    bench.fault("dmm", "garbage", times=None)
    assert all(damaged(dmm, "*IDN?") for _ in range(20))


def test_a_fault_by_chance_strikes_about_as_often_as_it_says(dmm, bench):
    bench.fault(bench["dmm"], "garbage", times=None, chance=0.25)
    struck = sum(damaged(dmm, "*IDN?") for _ in range(1000))
    assert 190 < struck < 310


@pytest.mark.parametrize(
    "wrong",
    [{"kind": "explode"}, {"kind": "slow", "match": "("}, {"kind": "slow", "after": -1}, {"kind": "slow", "times": 0},
     {"kind": "slow", "delay_s": float("nan")}, {"kind": "slow", "chance": 2.0}],
)  # fmt: skip
def test_a_fault_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"expected|not a regular|no fault is called"):
        Fault(**wrong)
