"""Instruments of a simulated bench that somebody has described in a file."""

import pytest

from labnb.core import BenchFileError, InstrumentError, LinkError
from labnb.instruments import Multimeter, PowerSupply, connect, demo
from labnb.sim import bench_file, find_bench

BENCH = """
clock: skip
instruments:
  psu: {profile: keysight/EDU36311A, address: "TCPIP0::192.0.2.4::INSTR"}
  dmm: {profile: keysight/34465A, address: "GPIB0::22::INSTR"}
  other: {profile: keysight/34410A, address: "GPIB0::23::INSTR"}
  another: {profile: keysight/34410A, address: "GPIB0::24::INSTR"}
wiring:
  - {from: psu.1, to: dmm.hi}
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder with a bench file; close what the test opens."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(BENCH)
    opened = []

    def open_it(*args, **options):
        opened.append(connect(*args, visa_library="my.yaml@labnb", **options))
        return opened[-1]

    yield open_it
    for instrument in opened:
        instrument.close()


def test_a_models_key_finds_the_instrument_wherever_the_file_has_put_it(here):
    psu, dmm = here("keysight/EDU36311A", simulate=True), here("keysight/34465A", simulate=True)
    assert isinstance(psu, PowerSupply)
    assert isinstance(dmm, Multimeter)
    psu.channel(1).set(voltage=2.5).on()
    assert dmm.measure_voltage_dc().values == pytest.approx(2.5, abs=1e-3)
    assert here("keysight/EDU36311A", simulate=True) is psu
    psu.channel(1).off()


def test_who_is_connected_already_is_not_asked_again(here):
    here("keysight/EDU36311A", simulate=True)
    before = find_bench("my.yaml")["psu"].log
    here("keysight/34465A", simulate=True)
    assert find_bench("my.yaml")["psu"].log == before


def test_a_model_that_is_not_there_or_there_twice_is_refused(here):
    with pytest.raises(
        InstrumentError, match=r"has no '34470A'; it has EDU36311A at TCPIP0::192\.0\.2\.4::INSTR, 34465A at"
    ):
        here("keysight/34470A", simulate=True)
    with pytest.raises(
        InstrumentError, match=r"2 of '34410A'; say which: address=GPIB0::23::INSTR or GPIB0::24::INSTR"
    ):
        here("keysight/34410A", simulate=True)


def test_a_mistake_in_the_file_is_said_as_it_is(here, tmp_path):
    (tmp_path / "my.yaml").write_text(BENCH.replace("wiring", "wirring"))
    with pytest.raises(
        BenchFileError, match=r"my\.yaml, line 8: wirring: unknown key 'wirring'; did you mean 'wiring'"
    ):
        here("keysight/EDU36311A", simulate=True)


def test_a_file_that_has_changed_is_not_mixed_with_what_it_was(here, tmp_path):
    psu = here("keysight/EDU36311A", simulate=True)
    (tmp_path / "my.yaml").write_text(BENCH + "  - {from: psu.2, to: other.hi}\n")
    for key in ("keysight/EDU36311A", "keysight/34465A"):
        with pytest.raises(LinkError, match="has changed, while instruments of the bench before are open: psu"):
            here(key, simulate=True)
    psu.close()
    assert here("keysight/EDU36311A", simulate=True) is not psu


def test_a_copy_of_the_demo_bench_is_opened_as_the_demo_bench_is(tmp_path):
    copy = tmp_path / "copy.yaml"
    copy.write_text(bench_file("demo").read_text().replace("clock: real", "clock: skip").replace("4.7 ohm", "100 ohm"))
    lab = demo(str(copy))
    lab.psu.channel(1).set(voltage=5, current_limit=0.5).on()
    assert 0.040 < lab.dmm.measure_current_dc().values < 0.044
    for instrument in (lab.psu, lab.dmm, lab.oven):
        instrument.close()
