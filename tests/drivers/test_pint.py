"""Quantities of pint, which PyMeasure brings along, as values to set."""

import pytest

from labnb.core import LimitError
from labnb.instruments import Numbers

pint = pytest.importorskip("pint")


def test_pint_converts_what_it_knows():
    units = pint.UnitRegistry()
    assert Numbers(0, 3.3).check(units.Quantity(3300, "mV"), "x", "V") == 3.3
    assert Numbers().check(units.Quantity(1, "minute"), "x", "s") == 60
    assert Numbers().check(units.Quantity(2, "kiloohm"), "x", "Ohm") == 2000
    with pytest.raises(LimitError, match="units do not match"):
        Numbers().check(units.Quantity(1, "A"), "x", "V")
