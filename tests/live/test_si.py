"""Numbers are written as people in a lab write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.live import scaling, si_text, value_text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1.204e-3, "A", "1.204 mA"),
        (299.98, "K", "300.0 K"),
        (0.0, "V", "0.000 V"),
        (-2.5e-9, "A", "−2.500 nA"),
        (999.96, "V", "1.000 kV"),
        (1500, "mV", "1.500 V"),
        (2e3, "kg", "2.000 Mg"),
        (5e-6, "V/s", "5.000 µV/s"),
        (23.456, "°C", "23.46 °C"),
        (45.0, "min", "45.00 min"),
        (12.3456, "", "12.35"),
        (1e-9, "", "1.000e−09"),
        (math.nan, "V", "– V"),
        (9.9e37, "V", "overload"),
        (-math.inf, "V", "−overload"),
    ],
)
def test_a_number_gets_its_digits_and_its_prefix(value, unit, text):
    assert si_text(value, unit) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "V", "–"),
        (True, "", "yes"),
        ("[3 × 4]", "V", "[3 × 4] V"),
        (1j, "V", "1.000 V ∠ 90.0°"),
        (3, "Hz", "3.000 Hz"),
    ],
)
def test_every_reading_has_a_text(value, unit, text):
    assert value_text(value, unit) == text


@given(st.floats(-1e15, 1e15), st.sampled_from(["A", "mV", "kHz", "", "dB"]))
def test_the_text_never_lies_by_more_than_its_last_digit(value, unit):
    text = si_text(value, unit, 5).replace("−", "-").split(" ")
    prefixes = {"µ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15, "a": 1e-18, "z": 1e-21, "y": 1e-24, "m": 1e-3}
    prefixes |= {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
    shown = text[1] if len(text) > 1 else ""
    factor = prefixes[shown[0]] if unit != "dB" and len(shown) > 1 and shown[1:] in {"A", "V", "Hz"} else 1.0
    own = {"mV": 1e-3, "kHz": 1e3}.get(unit, 1.0)
    assert float(text[0]) * factor == pytest.approx(value * own, rel=1e-4, abs=1e-6 if unit in {"", "dB"} else 2e-24)


def test_an_axis_has_one_prefix_for_its_range():
    scale = scaling(-2e-4, 1.2e-3, "A")
    assert scale.label("current") == "current (mA)"
    assert 1.2e-3 / scale.factor == pytest.approx(1.2)


def test_a_prefix_stays_while_it_reads_well():
    first = scaling(0, 0.9e-3, "A")
    assert first.unit == "µA"
    assert scaling(0, 1.5e-3, "A", first) is first
    assert scaling(0, 2.5e-3, "A", first).unit == "mA"
    assert scaling(0, 0.6e-3, "A", scaling(0, 2e-3, "A")).unit == "mA"


def test_units_without_prefixes_get_a_power_of_ten_only_where_needed():
    assert scaling(0, 50, "°C").label("bath") == "bath (°C)"
    assert scaling(0, 3e-9, "").label("ratio") == "ratio (10⁻⁹)"
    assert scaling(0, 1, "").label("ratio") == "ratio"


def test_a_narrow_range_far_from_zero_gets_an_origin_that_float32_can_resolve():
    scale = scaling(9.192631770e9, 9.192631780e9, "Hz")
    assert scale.unit == "Hz"
    assert abs(9.19263178e9 - scale.offset) < 100
    assert scale.label("frequency").startswith("frequency − 9.1926317")
