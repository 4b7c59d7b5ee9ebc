"""Other people's drivers are connected by their class or its path, once, and again after they were closed."""

import pytest

from labnb.core import LinkError
from labnb.instruments import connect

WHERE = {"address": "GPIB0::24::INSTR", "visa_library": "fast@labnb"}


def test_a_driver_of_qcodes_is_connected_by_its_path():
    pytest.importorskip("qcodes")
    key = "qcodes.instrument_drivers.Keithley:Keithley2400"
    smu = connect(key, name="smu", **WHERE)
    assert smu.IDN()["model"] == "2400"
    assert connect(key, name="smu", **WHERE) is smu
    with pytest.raises(LinkError, match=r"is connected as"):
        connect(dict, **WHERE)
    smu.close()
    again = connect(key, name="smu", **WHERE)
    assert again is not smu
    again.close()


def test_a_driver_of_pymeasure_is_connected_by_its_path():
    pytest.importorskip("pymeasure")
    key = "pymeasure.instruments.keithley:Keithley2400"
    smu = connect(key, **WHERE)
    assert "2400" in smu.id
    assert connect(key, **WHERE) is smu
    smu.adapter.close()
    again = connect(key, **WHERE)
    assert again is not smu
    again.adapter.close()
