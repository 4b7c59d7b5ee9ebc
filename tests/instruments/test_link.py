import pytest

from labnb.core import LinkError, LinkTimeout
from labnb.instruments import VisaLink
from labnb.instruments.visa import open_visa
from labnb.sim import DMM_ADDRESS, Bench, command
from labnb.sim import Instrument as SimulatedInstrument
from labnb.sim.scpi import Call, encode_block
from labnb.testing.links import LinkContract, ScriptedLink


class TestScriptedLink(LinkContract):
    @pytest.fixture
    def link(self):
        return ScriptedLink()

    @pytest.fixture
    def silent(self):
        return "READ?"


class TestVisaLink(LinkContract):
    @pytest.fixture
    def link(self, bench: Bench, bench_name: str):
        link = open_visa(DMM_ADDRESS, f"{bench_name}@labnb", name="dmm", timeout_s=0.1)
        yield link
        link.close()

    @pytest.fixture
    def silent(self):
        return "NONSENSE?"


@pytest.fixture
def link(bench: Bench, bench_name: str):
    link = open_visa(DMM_ADDRESS, f"{bench_name}@labnb", name="dmm", timeout_s=0.1)
    yield link
    link.close()


@pytest.mark.parametrize("kind", ["garbage", "truncate"])
def test_a_damaged_answer_is_an_error_and_never_a_value(link: VisaLink, bench: Bench, kind):
    bench.fault("dmm", kind, match=r"IDN")
    with pytest.raises(LinkError, match=r"dmm \(TCPIP0::192.0.2.21::inst0::INSTR\).*\*IDN\?"):
        link.query("*IDN?")
    assert link.query("*IDN?").startswith("Keysight")


def test_a_late_answer_is_never_taken_for_the_next_questions(link: VisaLink, bench: Bench):
    bench.fault("dmm", "slow", match=r"READ", delay_s=0.3)
    with pytest.raises(LinkTimeout, match=r"'READ\?' within 0.1 s"):
        link.query("READ?")
    assert link.query("*IDN?").startswith("Keysight")


def test_a_pulled_plug_is_told_with_instrument_address_and_command(link: VisaLink, bench: Bench):
    bench.fault("dmm", "disconnect", match=r"READ")
    with pytest.raises(LinkError, match=r"dmm \(TCPIP0.*READ\?.*check cable"):
        link.query("READ?")
    bench.reconnect("dmm")


def test_an_address_that_does_not_exist_lists_what_does(bench: Bench, bench_name: str):
    with pytest.raises(LinkError, match=r"USB0::0x2A8D::0x8F01::CN6123::INSTR"):
        open_visa("GPIB0::3::INSTR", f"{bench_name}@labnb", name="dmm", timeout_s=0.1)


def test_an_address_that_is_none_is_refused(bench: Bench, bench_name: str):
    with pytest.raises(LinkError, match=r"NOWHERE::AT::ALL"):
        open_visa("NOWHERE::AT::ALL", f"{bench_name}@labnb", name="dmm", timeout_s=0.1)


def test_a_bench_that_does_not_exist_says_which_do():
    with pytest.raises(LinkError, match=r"fast"):
        open_visa(DMM_ADDRESS, "nosuchbench@labnb", name="dmm", timeout_s=0.1)


class _Scope(SimulatedInstrument):
    @command("DATA?")
    def _data(self, call: Call) -> bytes:
        return encode_block(DATA)

    @command("SHORT?")
    def _short(self, call: Call) -> bytes:
        return b"#210" + DATA[:5]


DATA = bytes(range(256)) * 300


@pytest.mark.parametrize("address", ["USB0::1::2::SCOPE::INSTR", "TCPIP0::192.0.2.9::5025::SOCKET"])
def test_a_block_arrives_whole_whatever_bytes_are_in_it(bench: Bench, bench_name: str, address: str):
    _Scope(bench, "pictures", address)
    link = open_visa(address, f"{bench_name}@labnb", name="pictures", timeout_s=0.1)
    assert link.query_block("DATA?") == DATA
    assert link.query("*IDN?").startswith("LABNB")
    with pytest.raises(LinkError, match=r"SHORT\?"):
        link.query_block("SHORT?")
    assert link.query_block("DATA?") == DATA
    link.close()
