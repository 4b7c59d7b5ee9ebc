"""What may be sent twice, and what proves that answers belong to their questions."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.instruments import LinkPolicy
from labnb.instruments.policy import headers
from labnb.instruments.resync import Proof, mask_in_greeting, mask_set_by, same_instrument

POLICY = LinkPolicy()


@pytest.mark.parametrize(
    "command",
    [
        "READ?", "MEAS:VOLT:DC? 10", "MEASure:CURRent?", "*IDN?", "*ESE?", "*OPC?", "*STB?", ":VOLT? (@1)", "KRDG? A",
        "SYST:ERR:COUN?", "SYSTem:VERSion?", "TRAC:DATA? 1,10", "VOLT?;CURR?", "SOUR:VOLT?;CURR?;:OUTP?", "CAL:COUN?",
        "RANG?", "RES:RANG?", "FETCHER?", "STAT:PRES?", "RATIO?",
    ],
)  # fmt: skip
def test_what_only_reads_may_be_asked_again(command: str):
    assert POLICY.may_repeat(command)


@pytest.mark.parametrize(
    "command",
    [
        "FETC?", "FETCh?", "fetch:volt?", ":FETC:ARR?", "R?", "r? 10", "*ESR?", "*esr?", "SYST:ERR?", ":SYSTem:ERRor:NEXT?",
        "syst:err:all?", "*TST?", "*TRG", "*CAL?", "CAL:ALL?", "DATA:REM? 5", "TRAC:DATA:REM?", "INIT", "INIT;:FETC?",
        "INITiate:IMMediate", "STAT:OPER?", "STAT:QUES:EVEN?", "STAT:QUE?", "VOLT 5", "VOLT 5;VOLT?", "VOLT?;*ESR?",
        "SYST:VERS?;ERR?", "STAT:OPER:COND?;EVEN?", "*RST", "", "DISP:TEXT 'why?'", "TEST:ALL?", "VOLT?;", "R1?",
    ],
)  # fmt: skip
def test_what_sets_takes_or_acts_is_never_sent_again(command: str):
    assert not POLICY.may_repeat(command)


def test_a_driver_names_queries_of_its_own_in_long_form_short_form_and_below():
    for command in ("TRAC:POP?", "trace:pop? 3", "TRAC2:POP1:ALL?"):
        assert POLICY.may_repeat(command)
        assert not POLICY.may_repeat(command, ["TRACe:POP?"])
        assert not LinkPolicy(asked_once=("[SENSe:]TRACe:POP?",)).may_repeat(command)
    assert not LinkPolicy(asked_once=("[SENSe:]TRACe:POP?",)).may_repeat("SENS:TRAC:POP?")
    assert LinkPolicy(asked_once=("TRACe:POP?",)).may_repeat("TRAC:POPS?")


@given(st.text(max_size=30))
def test_any_text_is_judged_and_what_has_no_question_mark_is_never_sent_again(text: str):
    assert not (POLICY.may_repeat(text) and "?" not in text)


def test_headers_are_read_below_the_one_before_them():
    assert headers("SYST:VERS?;ERR? 3;*OPC?;COUN?;:VOLT 1;A:B") == [
        "SYST:VERS?", "SYST:ERR?", "*OPC?", "SYST:COUN?", "VOLT", "A:B",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [{"retries": -1}, {"retries": 1.5}, {"resyncs": 0}, {"resync_timeout_s": 0.0}, {"reopens": -1}, {"backoff_s": -1.0}, {"backoff_s": 3.0},
     {"longest_backoff_s": float("inf")}, {"terminator": ""}, {"asked_once": ("TRAC POP?",)}, {"asked_once": ("POP",)}],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=r"expected"):
        LinkPolicy(**wrong)


@given(st.integers(0, 255), st.integers())
def test_only_its_own_answer_proves_a_question(mask: int, seed: int):
    drawn = random.Random(seed)
    one, other = Proof.draw(drawn, mask), Proof.draw(drawn, mask)
    answer = f"{one.first};{one.second};0"
    assert one.holds(answer)
    assert one.question.endswith(f"*ESE {mask}")
    if (one.first, one.second) != (other.first, other.second):
        assert not other.holds(answer)


@given(st.text(max_size=20))
def test_no_text_but_three_numbers_proves_anything(text: str):
    proof = Proof(17, 202, 0)
    if proof.holds(text):
        assert text.strip().replace("+", "").startswith("17;202;")


@pytest.mark.parametrize(("status", "on"), [("0", False), ("4", False), ("32", True), ("+100", True), ("96", True)])
def test_the_summary_bit_tells_that_it_was_switched_on(status: str, on: bool):
    assert Proof(1, 2, 0).switched_on(f"1;2;{status}") is on


@pytest.mark.parametrize(
    ("answer", "mask"), [("0;128", 0), ("+36;+0", 36), ("36", None), ("Error", None), ("1;2;3", None)]
)
def test_a_greeting_tells_who_speaks_488(answer: str, mask: int | None):
    assert mask_in_greeting(answer) == mask


@pytest.mark.parametrize(
    ("command", "mask"),
    [("*ESE 36", 36), ("*ese +4", 4), ("*ESE 1;*ESE 2;*SRE 3", 2), ("*ESE?", None), ("*SRE 32", None), ("*ESE 8.0", 8)],
)
def test_a_mask_that_people_set_is_put_back(command: str, mask: int | None):
    assert mask_set_by(command) == mask


def test_the_firmware_may_change_the_serial_number_not():
    assert same_instrument("Keysight,34470A,MY1,1.0", "Keysight,34470A, MY1,2.0")
    assert not same_instrument("Keysight,34470A,MY1,1.0", "Keysight,34470A,MY2,1.0")
