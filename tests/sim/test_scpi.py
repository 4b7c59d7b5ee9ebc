"""The language: what SCPI-99 and IEEE 488.2 say, as a table and as properties."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.sim.headers import Grammar, short_form
from labnb.sim.messages import split_arguments, split_messages, split_units
from labnb.sim.scpi import (
    decode_block,
    encode_block,
    format_number,
    format_text,
    parse_channels,
    parse_number,
    parse_text,
)
from labnb.sim.status import ScpiError


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("5", "V", 5.0), ("+5.0E-1", "", 0.5), (".5", "V", 0.5), ("5.", "V", 5.0), ("500mV", "V", 0.5),
        ("500 MV", "V", 0.5), ("2MAV", "V", 2e6), ("3kV", "V", 3e3), ("5uA", "A", 5e-6), ("5MA", "A", 5e-3),
        ("1MHZ", "HZ", 1e6), ("1MOHM", "OHM", 1e6), ("10ms", "S", 1e-2), ("#H1F", "", 31.0), ("#b101", "", 5.0),
        ("1 e 3", "", 1000.0),
    ],
)  # fmt: skip
def test_numbers_are_read_with_their_units(text, unit, value):
    assert parse_number(text, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "unit", "code"),
    [("abc", "V", -104), ("", "V", -104), ("5A", "V", -131), ("5XV", "V", -131), ("5V", "", -138), ("nan", "V", -104),
     ("1_000", "V", -104), ("inf", "V", -104), ("٣", "V", -104)],
)  # fmt: skip
def test_what_is_no_number_is_refused(text, unit, code):
    with pytest.raises(ScpiError) as caught:
        parse_number(text, unit)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "channels"), [("(@1)", (1,)), ("(@1,3:5)", (1, 3, 4, 5)), ("(@3:1)", (3, 2, 1)), ("(@ 1 , 2 )", (1, 2))]
)
def test_channel_lists_keep_their_order(text, channels):
    assert parse_channels(text) == channels


@pytest.mark.parametrize("text", ["(@)", "(@a)", "(@1,)", "(@1:999999)", "(1)"])
def test_what_is_no_channel_list_is_refused(text):
    with pytest.raises(ScpiError):
        parse_channels(text)


@given(st.floats(allow_nan=False, allow_infinity=False, max_value=1e30, min_value=-1e30))
def test_a_number_comes_back_to_its_nine_digits(value):
    assert parse_number(format_number(value)) == pytest.approx(value, rel=5e-9, abs=0)


def test_infinity_and_no_number_are_written_as_scpi_has_them():
    assert [format_number(each) for each in (math.inf, -math.inf, math.nan)] == [
        "+9.90000000E+37", "-9.90000000E+37", "+9.91000000E+37",
    ]  # fmt: skip


@given(st.integers(0, 2**200), st.sampled_from([("#H", "X"), ("#h", "x"), ("#Q", "o"), ("#B", "b")]))
def test_a_whole_number_comes_back_from_every_radix(value, radix):
    prefix, code = radix
    assert parse_number(f"{prefix}{value:{code}}") == float(value)


@given(st.floats(-1e6, 1e6), st.sampled_from(["", "m", "M", "U", "n", "k"]), st.sampled_from(["V", "A", "S", "W"]))
def test_a_multiplier_is_a_power_of_ten(value, prefix, unit):
    factor = {"": 1.0, "m": 1e-3, "M": 1e-3, "U": 1e-6, "n": 1e-9, "k": 1e3}[prefix]
    assert parse_number(f"{value!r} {prefix}{unit}", unit) == pytest.approx(value * factor, abs=1e-300)


_TRICKY = st.text(st.sampled_from("\"'#(@),;:1 0aü"), max_size=20)


@given(st.one_of(_TRICKY, st.text(st.characters(max_codepoint=255, exclude_characters="\n"))))
def test_a_text_comes_back_through_a_message_as_it_was(text):
    (unit,) = split_units(f"LABEL {format_text(text)}")
    (word,), channels, block = split_arguments(unit.removeprefix("LABEL "))
    assert (parse_text(word), channels, block) == (text, None, None)


@given(_TRICKY)
def test_a_single_quote_inside_must_be_doubled(text):
    if "'" in text.replace("''", ""):
        with pytest.raises(ScpiError) as caught:
            parse_text(f"'{text}'")
        assert caught.value.code == -151
    else:
        assert parse_text(f"'{text}'") == text.replace("''", "'")


@given(
    st.lists(st.one_of(st.integers(0, 999), st.tuples(st.integers(0, 50), st.integers(0, 50))), min_size=1, max_size=9)
)
def test_a_channel_list_comes_back_in_its_order(parts):
    text = ",".join(str(each) if isinstance(each, int) else f"{each[0]}:{each[1]}" for each in parts)
    wanted = []
    for each in parts:
        first, last = (each, each) if isinstance(each, int) else each
        wanted += range(first, last + 1) if first <= last else range(first, last - 1, -1)
    assert parse_channels(f"(@{text})") == tuple(wanted)


_MNEMONIC = st.from_regex(r"[A-Z]{1,4}[a-z]{0,6}", fullmatch=True)


@given(st.lists(_MNEMONIC, min_size=1, max_size=4), st.data())
def test_a_header_is_found_in_each_of_its_spellings_and_in_no_other(words, data):
    grammar = Grammar([(":".join(words), "set"), (":".join(words) + "?", "get")])
    spelled = [data.draw(st.sampled_from([word, short_form(word)])) for word in words]
    header = "".join(data.draw(st.sampled_from([char, char.swapcase()])) for char in ":".join(spelled))
    assert grammar.find(header) == ("set", ())
    assert grammar.find(header + "?") == ("get", ())
    place = data.draw(st.integers(0, len(words) - 1))
    cut = data.draw(st.integers(1, 10))
    spelled[place] = words[place][:cut]
    if spelled[place].upper() not in (words[place].upper(), short_form(words[place])):
        with pytest.raises(ScpiError):
            grammar.find(":".join(spelled))


def outcome(act, *arguments) -> object:
    try:
        return act(*arguments)
    except ScpiError as error:
        return error.code


@given(st.text(st.characters(max_codepoint=255), max_size=30), st.sampled_from(["", "V", "HZ", "OHM"]))
def test_what_is_read_as_a_number_is_finite_or_beyond_every_limit_or_refused(text, unit):
    result = outcome(parse_number, text, unit)
    assert isinstance(result, float) or result in (-104, -121, -123, -124, -131, -138)
    assert not math.isnan(result)


@given(st.binary(max_size=2000), st.integers(0, 9))
def test_a_block_comes_back_as_it_was(payload, digits):
    assert decode_block(encode_block(payload, digits)) == payload


@given(st.binary(max_size=300))
def test_a_block_passes_through_a_message_unharmed(payload):
    message = b"DATA 1, " + encode_block(payload) + b";*IDN?\n"
    messages, rest = split_messages(message.decode("latin-1"), end=True)
    assert (len(messages), rest) == (1, "")
    first, second = split_units(messages[0])
    assert second == "*IDN?"
    assert split_arguments(first.removeprefix("DATA ")) == (["1"], None, payload)


@given(st.text(st.characters(max_codepoint=255)))
def test_cutting_never_fails_but_by_a_scpi_error(text):
    for message in split_messages(text, end=True)[0]:
        try:
            for unit in split_units(message):
                split_arguments(unit)
        except ScpiError:
            pass


@given(st.binary(max_size=200), st.integers(0, 250))
def test_a_message_may_arrive_in_pieces(payload, cut):
    whole = "A 'x;y\"';B " + encode_block(payload).decode("latin-1") + "\nC?\n"
    at_once, _ = split_messages(whole, end=False)
    first, rest = split_messages(whole[:cut], end=False)
    second, _ = split_messages(rest + whole[cut:], end=False)
    assert first + second == at_once


def test_a_newline_in_a_block_ends_no_message():
    assert split_messages("D #13\n\n\n\n", end=False) == (["D #13\n\n\n"], "")


def test_semicolons_and_commas_in_quotes_separate_nothing():
    assert split_units("TEXT \"a;b\",'c;d';X") == ["TEXT \"a;b\",'c;d'", "X"]
    assert split_arguments('"a,b",(@1,2),3') == (['"a,b"', "3"], (1, 2), None)


def test_half_a_block_is_an_error_once_the_message_has_ended():
    messages, rest = split_messages("D #15ab", end=True)
    assert (messages, rest) == (["D #15ab"], "")
    with pytest.raises(ScpiError) as caught:
        split_units(messages[0])
    assert caught.value.code == -161


@pytest.fixture
def grammar() -> Grammar[str]:
    return Grammar([("[SOURce#:]VOLTage[:LEVel]", "set"), ("[SOURce#:]VOLTage[:LEVel]?", "get"), ("*IDN?", "idn")])


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("VOLT", ("set", ())), ("volt", ("set", ())), ("VoLtAgE", ("set", ())), ("VOLT:LEV?", ("get", ())),
        ("SOUR:VOLT", ("set", (1,))), ("SOURCE2:VOLTAGE:LEVEL?", ("get", (2,))), ("*idn?", ("idn", ())),
    ],
)  # fmt: skip
def test_headers_are_found_in_every_spelling(grammar, header, found):
    assert grammar.find(header) == found


@pytest.mark.parametrize(
    ("header", "code"),
    [("VOLTA", -113), ("VOL", -113), ("SOUR", -113), ("VOLT2", -113), ("VOLT:LEV:X", -113), ("*IDN", -113), ("", -113),
     ("SOUR9999999:VOLT", -114), ("²", -101), ("VOLT&", -101), ("VOLTAGELEVELS", -112)],
)  # fmt: skip
def test_other_headers_are_refused_with_what_is_wrong_with_them(grammar, header, code):
    with pytest.raises(ScpiError) as caught:
        grammar.find(header)
    assert caught.value.code == code
