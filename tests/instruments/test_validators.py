import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import LimitError
from labnb.instruments import Anything, Arrays, Bool, Enum, Ints, Numbers, Strings


class Pint:
    """What looks like a quantity of pint."""

    def __init__(self, magnitude, units):
        self.magnitude, self.units = magnitude, units


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Numbers(0, 10), 10, 10.0),
        (Numbers(0, 10), np.float32(2.5), 2.5),
        (Numbers(0, 10), "500 mV", 0.5),
        (Numbers(0, 10), "3300mV", 3.3),
        (Numbers(0, 10), "1e-3 kV", 1.0),
        (Numbers(0, 10), Pint(5, "mV"), 0.005),
        (Ints(1, 4), 4, 4),
        (Ints(1, 4), np.int16(3), 3),
        (Ints(1, 4), 2.0, 2),
        (Enum("SINE", "SQU"), "sine", "SINE"),
        (Bool(), "off", False),
        (Bool(), np.True_, True),
        (Bool(), 1, True),
        (Strings(5), "a;'b", "a;'b"),
        (Strings(pattern="[A-Z]+"), "ABC", "ABC"),
        (Anything(), None, None),
    ],
)
def test_a_fitting_value_is_kept_as_one_of_its_kind(kind, value, expected):
    kept = kind.check(value, "x", "V")
    assert kept == expected
    assert type(kept) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (Numbers(0, 10), 11, "= 11 V is outside of its range 0 to 10 V"),
        (Numbers(0, 10), math.nan, "finite"),
        (Numbers(0, 10), "5", "number in V"),
        (Numbers(0, 10), "5 A", "in A.*units do not match.*plain number in V"),
        (Numbers(0, 10), "5 m", "units do not match"),
        (Numbers(0, 10), Pint(5, "kelvin"), "units do not match"),
        (Numbers(0, 10), [1], "number"),
        (Numbers(0, 10), None, "number"),
        (Ints(1, 4), 5, "from 1 to 4"),
        (Ints(1, 4), 2.5, "whole number from 1 to 4"),
        (Ints(1, 4), True, "number"),
        (Enum("SINE", "SQUARE"), "SQARE", "did you mean 'SQUARE'.*there are SINE, SQUARE"),
        (Enum("SINE"), 3, "there are SINE"),
        (Bool(), 2, "True or False"),
        (Bool(), "yes", "True or False"),
        (Bool(), np.array([True]), "True or False"),
        (Strings(3), "four", "at most 3 characters, got 4"),
        (Strings(pattern="[A-Z]+"), "abc", "matches"),
        (Strings(), "a\nOUTP ON", "cannot carry"),
        (Strings(), "ä", "cannot carry 'ä'"),
        (Strings(quoted=False), "A;OUTP ON", "cannot carry ';'"),
        (Strings(), 5, "a text"),
        (Arrays(3), [1, 2], r"shape \(3\), got one of shape \(2,\)"),
        (Arrays(), [], "shape"),
        (Arrays(), [1, math.nan], "finite"),
        (Arrays(), ["a"], "numbers"),
        (Arrays(), [[1], [1, 2]], "numbers"),
        (Arrays(low=-1, high=1), [0, 1.5, 0], "= 1.5 V is outside of its range -1 to 1 V"),
    ],
)
def test_anything_else_is_refused_and_told_what_is_expected(kind, value, says):
    with pytest.raises(LimitError, match=rf"x.*{says}"):
        kind.check(value, "x", "V")


@pytest.mark.parametrize(
    ("kind", "answer", "expected"),
    [
        (Numbers(), "+1.5E+00", 1.5),
        (Numbers(0, 1), "7", 7.0),
        (Ints(), "+4.0E+00", 4),
        (Enum({"sine": "SIN", "square": "SQU"}), "SINUSOID", "sine"),
        (Enum({"sine": "SIN", "square": "SQU"}), '"squ"', "square"),
        (Enum("VOLT", "VOLT:AC"), "VOLT", "VOLT"),
        (Bool(), "0", False),
        (Bool("YES", "NO"), "yes", True),
        (Strings(), '"say ""hi"""', 'say "hi"'),
    ],
)
def test_an_answer_is_read_as_one_of_its_kind(kind, answer, expected):
    value = kind.read(answer)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (Numbers(), "OVER"),
        (Ints(), "1.5"),
        (Enum("SINE", "SQU"), "TRI"),
        (Enum("SINE", "SQU"), ""),
        (Bool(), "2"),
        (Arrays(3), "1,2"),
        (Arrays(), "1,x"),
        (Arrays(wire=">f4"), b"123"),
    ],
)
def test_an_answer_of_another_kind_is_an_error(kind, answer):
    with pytest.raises(ValueError, match=r"\w"):
        kind.read(answer)


def test_arrays_are_read_from_lists_and_blocks():
    assert Arrays().read("1, 2.5,3").tolist() == [1, 2.5, 3]
    assert Arrays((2, None)).read("1,2,3,4").tolist() == [[1, 2], [3, 4]]
    assert Arrays(wire=">f4").read(np.array([1, 2], ">f4").tobytes()).tolist() == [1, 2]


def test_an_array_is_copied_when_it_is_checked():
    given = np.array([1.0, 2.0])
    kept = Arrays().check(given, "x")
    given[0] = 99
    assert kept.tolist() == [1, 2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Numbers(3, 1),
        lambda: Ints(0, math.nan),
        Enum,
        lambda: Enum("A;B"),
        lambda: Arrays((None, None)),
    ],
)
def test_a_kind_that_takes_nothing_is_refused(make):
    with pytest.raises(LimitError):
        make()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_text_comes_back_as_it_was_written(text):
    kind = Strings()
    assert kind.read(kind.write(kind.check(text, "x"))) == text


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_an_array_comes_back_as_it_was_written(values):
    kind = Arrays()
    assert kind.read(kind.write(kind.check(values, "x"))).tolist() == values


@given(st.integers(-(10**9), 10**9), st.sampled_from(["", "m", "u", "n", "k"]))
def test_a_number_with_a_prefix_is_exact_to_the_last_bit_of_a_division(number, prefix):
    exponent = {"": 0, "m": -3, "u": -6, "n": -9, "k": 3}[prefix]
    assert Numbers().check(f"{number} {prefix}V", "x", "V") == float(f"{number}e{exponent}")
