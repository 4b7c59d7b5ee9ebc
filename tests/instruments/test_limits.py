"""What limits recognise in commands that people write themselves."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import LimitError
from labnb.instruments import Instrument, Parameter, PowerSupply, Setting
from labnb.instruments.limits import Bounds, exact_text
from labnb.instruments.message import number_of, plain_header, same_header, units_of
from labnb.testing.links import ScriptedLink

PSU = {"*IDN?": "Keysight Technologies,EDU36311A,CN6123,1.0"}


# ---- reading messages


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        ("VOLT 5", ["VOLT 5"]),
        (" VOLT 5 ; CURR 1;", ["VOLT 5", "CURR 1"]),
        ("VOLT 1\nVOLT 5\n", ["VOLT 1", "VOLT 5"]),
        ('DISP "a;b";VOLT 5', ['DISP "a;b"', "VOLT 5"]),
        ("DISP 'a;\"b';VOLT 5", ["DISP 'a;\"b'", "VOLT 5"]),
        ("DATA #15a;b;c;VOLT 5", ["DATA #15a;b;c", "VOLT 5"]),
        ("", []),
        (";;", []),
    ],
)
def test_a_message_is_cut_outside_of_texts_and_blocks(message, texts):
    assert [unit.text for unit in units_of(message)] == texts


@pytest.mark.parametrize("message", ['DISP "a', "VOLT 5,(@1", "DATA #15ab", "VOLT 5,(@1:99999)", "VOLT 5,(@x)"])
def test_a_message_that_is_cut_off_is_told_from_a_whole_one(message):
    with pytest.raises(ValueError, match=r"\S"):
        units_of(message)


def test_a_header_is_read_below_the_one_before_it_and_at_the_root():
    first, second, third, fourth = units_of("SOUR:VOLT 1;CURR 2;*OPC;:OUTP ON")
    assert first.headers == (("SOUR", "VOLT"),)
    assert second.headers == (("SOUR", "CURR"), ("CURR",))
    assert third.headers == (("*OPC",),)
    assert fourth.headers == (("OUTP",),)


def test_arguments_and_channels_are_told_apart():
    (unit,) = units_of("VOLT 5 , 6,(@1,3:4)")
    assert unit.arguments == ("5", "6")
    assert unit.channels == (1, 3, 4)


@pytest.mark.parametrize(
    ("header", "plain", "suffix"),
    [
        ("SOURCE2:VOLTAGE:LEVEL:IMMEDIATE:AMPLITUDE", ("VOLTAGE",), 2),
        ("VOLT", ("VOLT",), None),
        ("VOLT:TRIG", ("VOLT",), None),
        ("VOLT:PROT:LEV", ("VOLT", "PROT"), None),
        ("SOUR", ("SOUR",), None),
    ],
)
def test_a_header_is_freed_of_what_scpi_lets_out(header, plain, suffix):
    assert plain_header(tuple(header.split(":"))) == (plain, suffix)


@pytest.mark.parametrize(
    ("declared", "written", "same"),
    [
        ("VOLTage", "VOLT", True),
        ("VOLTage", "VOLTAGE", True),
        ("VOLTage", "volt", True),
        ("VOLT", "VOLTAGE", True),
        ("VOLTage", "VOL", False),
        ("VOLTage", "CURR", False),
        ("A", "AB", True),
        ("A", "B", False),
    ],
)
def test_headers_are_compared_in_short_and_long_form(declared, written, same):
    assert same_header((declared,), (written,)) is same


@pytest.mark.parametrize(
    ("text", "unit", "number"),
    [
        ("5", "V", 5), ("+.5E+1", "V", 5), ("5V", "V", 5), ("5 mv", "V", 0.005), ("3300MV", "V", 3.3), ("1MHZ", "HZ", 1e6),
        ("1KV", "V", 1000), ("100MA", "A", 0.1), ("5A", "V", None), ("5X", "V", None), ("MAX", "V", None), ("#H5", "V", None),
        ("5V", "", None), ("", "V", None), ("5 V 3", "V", None),
    ],
)  # fmt: skip
def test_a_number_is_read_with_its_suffix_or_not_at_all(text, unit, number):
    assert number_of(text, unit) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_written_so_that_it_reads_as_itself(number):
    assert float(exact_text(number)) == number
    assert number_of(exact_text(number), "V") == number


# ---- judging


@pytest.fixture
def psu():
    psu = PowerSupply(ScriptedLink({**PSU, "*OPC?": "1"}), name="psu", limits={1: {"voltage": (0, 3.3)}})
    psu.link.sent.clear()
    yield psu
    psu.close()


LIMITED = st.sampled_from(
    ["VOLT", "volt", "VOLTAGE", ":SOUR:VOLT", "SOURCE1:VOLT:LEV:IMM:AMPL", "VOLT:TRIG", "LIST:VOLT"]
)
VALUES = st.one_of(
    st.floats(3.31, 1e6).map(exact_text),
    st.floats(3.31, 1e6).map("{:.9e}".format),
    st.integers(3301, 10**6).map("{} mV".format),
    st.sampled_from(["MAX", "MAXIMUM", "DEF", "UP", "INF", "#H5", "5 V", "5 kV", "1e400", "five", "5 A"]),
)
CHANNELS = st.sampled_from(["", ",(@1)", ", (@1,2)", ",(@1:3)", ",(@2,1)"])
BEFORE = st.sampled_from(
    ["", "*CLS;", "OUTP OFF,(@1);:", 'DISP:TEXT "a;b";:', "CURR 0.1,(@1)\n", "INST CH1;:", "VOLT 1,(@1);:"]
)


@given(LIMITED, VALUES, CHANNELS, BEFORE)
def test_however_it_is_written_nothing_is_sent(header, value, channels, before):
    psu = PowerSupply(ScriptedLink(PSU), name="psu", limits={1: {"voltage": (0, 3.3)}})
    psu.link.sent.clear()
    try:
        with pytest.raises(LimitError):
            psu.write(f"{before}{header} {value}{channels}")
        assert psu.link.sent == []
    finally:
        psu.close()


def test_the_refusal_says_what_where_and_what_to_do(psu: PowerSupply):
    with pytest.raises(
        LimitError, match=r"psu channel 1 voltage = 5 V is outside of its safety limit 0 to 3.3 V.*':VOLT 5,\(@1\)'"
    ):
        psu.write("CURR 0.1,(@1);:VOLT 5,(@1)")
    with pytest.raises(
        LimitError, match=r"'VOLT UP' is refused, because channel 1 voltage has limits.*use the instrument"
    ):
        psu.write("VOLT UP")
    with pytest.raises(LimitError, match=r"= 6.18 V is outside"):
        psu.write("VOLT MAX,(@1)")


def test_the_channel_that_is_selected_in_the_same_message_counts(psu: PowerSupply):
    psu.write("INST:NSEL 2;:VOLT 5")
    psu.write("INST CH2;:APPL 5,0.1")
    with pytest.raises(LimitError):
        psu.write("INST CH2;:VOLT 5;:INST CH1;:VOLT 5")
    with pytest.raises(LimitError):
        psu.write("INST P6V;:VOLT 5")


def test_the_facade_obeys_interlocks_too(psu: PowerSupply):
    psu.interlock("channel 2 voltage", lambda volts: volts <= 1, "close the lid")
    psu.interlock("channel 2 output", lambda _: False, "close the lid")
    for way in (
        lambda: psu.channel(2).set(voltage=2),
        lambda: psu.write("VOLT 2,(@2)"),
        lambda: psu.channel(2).on(),
        lambda: psu.write("OUTP ON,(@2)"),
        lambda: psu.write("OUTP 1,(@1:3)"),
    ):
        with pytest.raises(LimitError, match="close the lid"):
            way()
    assert psu.link.sent == []
    psu.channel(2).set(voltage=1).off()
    psu.write("OUTP OFF,(@2)")
    psu.make_safe()
    with pytest.raises(LimitError, match="unknown quantity to lock 'channel 2 volts'"):
        psu.interlock("channel 2 volts", bool, "close the lid")


def test_a_facades_limit_that_comes_late_warns(psu: PowerSupply):
    psu.channel(2).set(voltage=5)
    with pytest.warns(UserWarning, match="psu: channel 2 voltage is 5 V, outside of its new safety limit"):
        psu.channel(2).limit(voltage=(0, 3.3))


def test_a_limit_can_be_reached_exactly_whatever_its_digits(psu: PowerSupply):
    for limit in (0.1 + 0.2, 1 / 3, 2 / 3, 3.3):
        psu.channel(2).limit(voltage=(0, limit)).set(voltage=limit)


class TwoLoops(Instrument):
    """Commands whose arguments say which loop is meant."""

    first = Parameter("SETP 1,{:.3f}", "SETP? 1", unit="K")
    second = Parameter("SETP 2,{:.3f}", "SETP? 2", unit="K")
    left = Parameter("SOUR1:FREQ {:g}", unit="Hz")
    right = Parameter("SOUR2:FREQ {:g}", unit="Hz")
    settings = (Setting("RANGe:STORe", None, "first"),)


def test_fixed_arguments_and_suffixes_tell_quantities_apart():
    oven = TwoLoops(ScriptedLink(), name="oven", limits={"first": (0, 300), "left": 10})
    oven.write("SETP 2,400")
    oven.write("SOUR2:FREQ 20")
    oven.write("RANG:STOR 400,3")
    for text in ("SETP 1,400", "SETP 1.0,400", "SETP 1,3E2;SETP 1,301", "SOUR:FREQ 20", "FREQ 20", "RANG:STOR 3,400"):
        with pytest.raises(LimitError):
            oven.write(text)
    oven.close()


@given(st.text(max_size=40))
def test_no_text_whatever_breaks_the_judging(text):
    psu = PowerSupply(ScriptedLink(PSU), name="psu", limits={1: {"voltage": (0, 3.3)}})
    try:
        with contextlib.suppress(LimitError):
            psu.judge(text, by_hand=True)
    finally:
        psu.close()


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_bounds_convert_units_before_they_compare(low, high, value):
    if low > high:
        low, high = high, low
    bounds = Bounds(low, high, "V")
    if low <= value <= high:
        assert bounds.check(f"{value!r} V", "x") == value
    else:
        with pytest.raises(LimitError):
            bounds.check(f"{value!r} V", "x")
