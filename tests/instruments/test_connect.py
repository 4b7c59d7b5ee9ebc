"""`connect`: what a key may be, and what is said when it leads nowhere."""

import sys
from types import ModuleType

import pytest

from labnb.core import InstrumentError, LimitError, LinkError
from labnb.instruments import (
    ElectronicLoad,
    Generator,
    Instrument,
    Multimeter,
    Oscilloscope,
    PowerSupply,
    SourceMeter,
    TemperatureController,
    connect,
    demo,
)
from labnb.sim import DMM_ADDRESS, PSU_ADDRESS, Bench, Multimeter34465A, PowerSupplyE36312A, register


@pytest.fixture
def library(bench: Bench, bench_name: str) -> str:
    return f"{bench_name}@labnb"


@pytest.mark.parametrize(
    ("key", "driver"),
    [
        ("keysight/EDU36311A", PowerSupply),
        ("keysight/34470A", Multimeter),
        ("keysight/EL33133A", ElectronicLoad),
        ("keysight/DSOX1204G", Oscilloscope),
        ("keysight/EDU33212A", Generator),
        ("keithley/2400", SourceMeter),
        ("labnb/TC100", TemperatureController),
    ],
)
def test_a_model_is_found_on_the_simulated_bench(library: str, key: str, driver: type[Instrument]):
    with connect(key, simulate=True, visa_library=library) as instrument:
        assert type(instrument) is driver
        assert key.partition("/")[2] in instrument.identity.model


def test_variants_are_found_where_a_bench_has_them(bench_name: str):
    made = Bench(clock="skip")
    PowerSupplyE36312A(made, "supply", PSU_ADDRESS, outputs=(("a", "gnd"), ("b", "gnd"), ("c", "gnd")))
    Multimeter34465A(made, "meter", DMM_ADDRESS, voltage_input=("a", "gnd"), current_input=("b", "gnd"))
    register(bench_name, made)
    with connect("keysight/E36312A", simulate=True, visa_library=f"{bench_name}@labnb") as psu:
        assert psu.address == PSU_ADDRESS
        with connect("keysight/34465A", simulate=True, visa_library=f"{bench_name}@labnb") as dmm:
            assert dmm.identity.model == "34465A"


def test_an_instrument_that_is_put_there_later_is_found(bench: Bench, library: str):
    connect("keysight/34470A", simulate=True, visa_library=library).close()
    PowerSupplyE36312A(bench, "second", "GPIB0::7::INSTR", outputs=(("x", "gnd"), ("y", "gnd"), ("z", "gnd")))
    connect("keysight/E36312A", simulate=True, visa_library=library).close()


def test_a_bench_that_was_replaced_is_looked_at_again(bench: Bench, bench_name: str, library: str):
    connect("keysight/34470A", simulate=True, visa_library=library).close()
    made = Bench(clock="skip")
    Multimeter34465A(made, "meter", "GPIB0::5::INSTR", voltage_input=("a", "gnd"), current_input=("b", "gnd"))
    register(bench_name, made)
    connect("keysight/34465A", simulate=True, visa_library=library).close()
    with pytest.raises(InstrumentError, match=r"has no '34470A'; it has 34465A at GPIB0::5::INSTR$"):
        connect("keysight/34470A", simulate=True, visa_library=library)


def test_looking_for_one_instrument_does_not_disturb_those_in_use(bench: Bench, library: str):
    psu = connect("keysight/EDU36311A", simulate=True, visa_library=library)
    asked = bench["psu"].log.count("*IDN?")
    PowerSupplyE36312A(bench, "second", "GPIB0::7::INSTR", outputs=(("x", "gnd"), ("y", "gnd"), ("z", "gnd")))
    connect("keysight/E36312A", simulate=True, visa_library=library).close()
    assert bench["psu"].log.count("*IDN?") == asked
    assert connect("keysight/EDU36311A", simulate=True, visa_library=library) is psu
    psu.close()


def test_two_spellings_of_an_address_are_one_instrument_and_one_lane(library: str):
    psu = connect("USB0::0x2A8D::0x8F01::CN6123::INSTR", visa_library=library)
    assert connect("usb::0x2a8d::0x8f01::CN6123::0::instr", visa_library=library) is psu
    psu.close()


def test_an_own_driver_class_is_found_by_its_models_or_opened_at_an_address(library: str):
    class Meter(Instrument):
        models = ("34470A",)

    class Anything(Instrument):
        pass

    connect(Meter, simulate=True, visa_library=library, name="m").close()
    with connect(Anything, address=PSU_ADDRESS, visa_library=library) as instrument:
        assert (type(instrument), instrument.name) == (Anything, "Anything")
    with pytest.raises(InstrumentError, match=r"'Anything' does not say which models.*EDU36311A at USB0"):
        connect(Anything, simulate=True, visa_library=library)
    with pytest.raises(InstrumentError, match=r"'Meter': where is it\?"):
        connect(Meter)
    with pytest.raises(LinkError, match=r"this is a Keysight Technologies EDU36311A, but Meter drives 34470A"):
        connect(Meter, address=PSU_ADDRESS, visa_library=library)


def test_a_driver_is_named_by_its_path(library: str):
    path = "labnb.instruments.drivers:Multimeter"
    with connect(path, address=DMM_ADDRESS, visa_library=library) as dmm:
        assert isinstance(dmm, Multimeter)
    with connect(DMM_ADDRESS, driver=path, visa_library=library) as dmm:
        assert isinstance(dmm, Multimeter)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("no.such.package:Driver", "'no.such.package:Driver' cannot be imported.*is its package installed"),
        ("labnb.instruments.drivers:Multimetre", "did you mean 'Multimeter'"),
        ("labnb.instruments.drivers:", "expected 'module.path:Class'"),
        (":Multimeter", "expected 'module.path:Class'"),
    ],
)
def test_a_path_that_leads_nowhere_says_so(library: str, path: str, message: str):
    with pytest.raises(InstrumentError, match=message):
        connect(path, address=DMM_ADDRESS, visa_library=library)


def test_a_ready_instrument_is_returned_as_it_is():
    ready = object()
    assert connect(ready) is ready
    assert connect(ready, name="mine") is ready
    with pytest.raises(InstrumentError, match=r"is connected already: limits= would have no effect"):
        connect(ready, limits={"voltage": 1})


def test_a_ready_instrument_of_ours_takes_limits(library: str):
    with connect("keysight/EL33133A", simulate=True, visa_library=library) as load:
        assert connect(load, limits={"current": 1}) is load
        with pytest.raises(LimitError):
            load.set_load(2)


def test_an_option_that_does_not_exist_names_the_nearest(library: str):
    with pytest.raises(InstrumentError, match=r"unknown option 'simulated'; did you mean 'simulate'"):
        connect("keysight/34470A", simulated=True, simulate=True, visa_library=library)
    with pytest.raises(InstrumentError, match=r"not both"):
        connect(Multimeter, driver=PowerSupply, address=DMM_ADDRESS, visa_library=library)


def test_a_limit_that_makes_no_sense_leaves_nothing_open(library: str):
    with pytest.raises(LimitError):
        connect("keysight/EL33133A", simulate=True, visa_library=library, limits={"amps": 1})
    connect("keysight/EL33133A", simulate=True, visa_library=library, limits={"current": 1}).close()


def test_a_library_that_is_missing_says_what_to_install():
    with pytest.raises(LinkError, match=r"'@nonsense' cannot be loaded.*pip install"):
        connect("GPIB0::1::INSTR", visa_library="@nonsense")
    with pytest.raises(LinkError, match=r"no simulated bench is called 'nowhere'"):
        connect("keysight/34470A", simulate=True, visa_library="nowhere@labnb")


# ---- other people's drivers


class Theirs:
    """A driver as people write them on PyVISA."""

    def __init__(self, resource_name: str, *, visa_library: str = "", settings: int = 0) -> None:
        import pyvisa

        self.visa_handle = pyvisa.ResourceManager(visa_library).open_resource(resource_name)
        self.settings = settings

    def identify(self) -> str:
        return self.visa_handle.query("*IDN?")  # type: ignore[attr-defined]


class Strange:
    def __init__(self, tcp_host: str) -> None:
        self.host = tcp_host


class Local:
    def __init__(self, port: str) -> None:
        self.port = port


class Broken:
    def __init__(self, address: str, visalib: str) -> None:
        raise RuntimeError("no licence")


def test_anybodys_class_is_opened_once_and_again_after_it_was_closed(library: str):
    theirs = connect(Theirs, address=DMM_ADDRESS, visa_library=library, settings=3)
    assert "34470A" in theirs.identify()
    assert theirs.settings == 3
    assert connect(Theirs, address=DMM_ADDRESS, visa_library=library) is theirs
    with pytest.raises(LinkError, match=r"connected as .*Theirs.*not as Local"):
        connect(Local, address=DMM_ADDRESS, visa_library=library)
    theirs.visa_handle.close()
    again = connect(Theirs, address=DMM_ADDRESS, visa_library=library)
    assert again is not theirs
    again.visa_handle.close()


def test_a_driver_of_ours_and_theirs_do_not_share_a_connection(library: str):
    with (
        connect(DMM_ADDRESS, visa_library=library, name="dmm"),
        pytest.raises(LinkError, match=r"connected as 'dmm' \(Multimeter\), not as Theirs; close it first: dmm.close"),
    ):
        connect(Theirs, address=DMM_ADDRESS, visa_library=library)


def test_a_class_that_takes_no_visa_library_is_opened_by_its_address_alone():
    assert connect(Local, address="COM1::somewhere").port == "COM1::somewhere"


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        (Strange, "does not know how to open a Strange .its arguments are tcp_host.; open it yourself"),
        (Local, "cannot be told to use"),
        (Broken, "test_connect:Broken could not be opened at .*RuntimeError: no licence"),
    ],
)
def test_a_class_that_cannot_be_opened_says_why(library: str, driver: type, message: str):
    with pytest.raises(InstrumentError, match=message):
        connect(driver, address=DMM_ADDRESS, visa_library=library)


def test_limits_are_not_silently_lost_with_a_driver_that_has_none(library: str):
    with pytest.raises(InstrumentError, match=r"Theirs knows no limits"):
        connect(Theirs, address=DMM_ADDRESS, visa_library=library, limits={"voltage": 1})


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("qcodes.instrument", {"name": "smu", "address": "GPIB0::24::INSTR", "timeout": 5.0, "visalib": "{library}"}),
        ("pymeasure.instruments", {"adapter": "GPIB0::24::INSTR", "timeout": 5000, "visa_library": "{library}"}),
    ],
)
def test_each_family_of_drivers_gets_the_arguments_that_it_takes(library: str, family: str, expected: dict):
    class Base:
        def __init__(self, **given: object) -> None:
            self.given = given

    Base.__module__ = family
    module = ModuleType("labnb_test_family")
    module.Keithley2400 = type("Keithley2400", (Base,), {})  # type: ignore[attr-defined]
    sys.modules["labnb_test_family"] = module
    try:
        made = connect(
            "labnb_test_family:Keithley2400", address="GPIB0::24::INSTR", visa_library=library, name="smu"
        )  # fmt: skip
    finally:
        del sys.modules["labnb_test_family"]
    assert made.given == {key: library if value == "{library}" else value for key, value in expected.items()}


# ---- the demo bench


def test_the_first_cell_connects_only_what_it_needs(bench: Bench, bench_name: str):
    lab = demo(bench_name)
    assert "*CLS" in bench["psu"].log
    assert "*CLS" not in bench["scope"].log
    assert lab.scope is lab.scope
    assert "*CLS" in bench["scope"].log
    assert [lab.load.name, lab.awg.name, lab.smu.name] == ["load", "awg", "smu"]
    lab.close()
    assert lab.scope.closed
    assert lab.smu.closed


@pytest.mark.parametrize("key", [None, 5, 2.5, [], {}, ("a", "b"), b"GPIB0::1::INSTR"])
def test_what_is_no_instrument_is_refused(key):
    with pytest.raises(InstrumentError, match=r"is no instrument: expected a model, a VISA address"):
        connect(key)


def test_a_drivers_module_that_fails_to_import_is_named(tmp_path, monkeypatch):
    (tmp_path / "broken_driver.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InstrumentError, match=r"'broken_driver:Meter' cannot be imported: ZeroDivisionError"):
        connect("broken_driver:Meter", address="GPIB0::1::INSTR")
