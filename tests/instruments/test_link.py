from random import Random

import pytest
import pyvisa

from labnb.core import InstrumentError, LinkError, LinkTimeout
from labnb.instruments import LinkPolicy, SteadyLink, VisaLink
from labnb.instruments.resync import GREETING, Proof
from labnb.instruments.steady import open_steady
from labnb.instruments.visa import open_visa
from labnb.sim import DMM_ADDRESS, Bench, Fault, command
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


class TestSteadyLink(LinkContract):
    @pytest.fixture(params=[DMM_ADDRESS, "TCPIP0::192.0.2.9::5025::SOCKET", "ASRL7::INSTR"])
    def link(self, request: pytest.FixtureRequest, bench: Bench, bench_name: str):
        if request.param != DMM_ADDRESS:
            _Scope(bench, "stream", request.param)
        link = open_steady(request.param, f"{bench_name}@labnb", name="steady", timeout_s=0.1, wait=bench.wait)
        yield link
        link.close()

    @pytest.fixture
    def silent(self):
        return "NONSENSE?"


class TestSteadyLinkWithoutStatusRegisters(LinkContract):
    @pytest.fixture
    def link(self):
        return SteadyLink(ScriptedLink(), wait=lambda seconds: None)

    @pytest.fixture
    def silent(self):
        return "READ?"


@pytest.fixture
def link(bench: Bench, bench_name: str):
    link = open_visa(DMM_ADDRESS, f"{bench_name}@labnb", name="dmm", timeout_s=0.1)
    yield link
    link.close()


@pytest.mark.parametrize("kind", ["garbage", "truncate"])
def test_a_damaged_answer_is_an_error_and_never_a_value(link: VisaLink, bench: Bench, kind):
    link.query("*IDN?")
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


class _ByEnd(SimulatedInstrument):
    """An instrument whose messages end by the bus's END alone."""

    def _answer(self, data: bytes, fault: Fault | None) -> None:
        super()._answer(data, fault)
        self.outbox[-1].data = self.outbox[-1].data.removesuffix(b"\n")


def test_an_instrument_that_ends_its_answers_without_a_newline_is_understood(bench: Bench, bench_name: str):
    _ByEnd(bench, "plain", "GPIB0::5::INSTR")
    link = open_steady("GPIB0::5::INSTR", f"{bench_name}@labnb", name="plain", timeout_s=0.1)
    assert link.query("*IDN?") == "LABNB,GENERIC,SIM0001,1.0"
    assert link.query("SYST:VERS?") == "1999.0"
    link.close()


def test_a_truncated_first_answer_does_not_teach_that_answers_may_be_truncated(bench: Bench, bench_name: str):
    bench.fault("dmm", "truncate", match="IDN", times=2)
    link = open_steady(DMM_ADDRESS, f"{bench_name}@labnb", name="dmm", timeout_s=0.1)
    assert link.query("*IDN?").startswith("Keysight")
    bench.fault("dmm", "truncate", match="VERS")
    assert link.query("SYST:VERS?") == "1999.0"
    link.close()


def test_a_command_that_is_not_ascii_is_refused_before_anything_is_sent(link: VisaLink, bench: Bench):
    with pytest.raises(InstrumentError, match=r"dmm .*'DISP:TEXT \"5 µA\"' not sent.*not ASCII"):
        link.write('DISP:TEXT "5 µA"')
    assert bench["dmm"].log == ()


@pytest.mark.parametrize("library", ["@nosuchbackend", "/no/such/library.so"])
def test_a_visa_library_that_is_missing_says_what_to_install(library: str):
    with pytest.raises(LinkError, match=r"cannot be loaded.*pip install 'labnb\[hardware\]'"):
        open_visa(DMM_ADDRESS, library, name="dmm", timeout_s=0.1)


class _Numb(SimulatedInstrument):
    """An instrument whose status byte says that an answer waits when none does."""

    def status_byte(self) -> int:
        return 16


def test_a_status_byte_that_means_something_else_is_not_believed(bench: Bench, bench_name: str):
    _Numb(bench, "numb", "GPIB0::6::INSTR")
    link = open_steady("GPIB0::6::INSTR", f"{bench_name}@labnb", name="numb", timeout_s=0.1)
    assert [link.query("SYST:VERS?") for _ in range(3)] == ["1999.0"] * 3
    link.close()


def test_a_closed_link_is_not_opened_again_behind_its_owners_back():
    raw = ScriptedLink({"A?": "1"})
    link = SteadyLink(raw, wait=lambda seconds: None)
    assert link.query("A?") == "1"
    link.close()
    for speak in (link.query, link.write, link.query_block):
        with pytest.raises(LinkError, match=r"closed; connect again"):
            speak("A?")
    assert raw.reopened == 0


def test_before_it_is_opened_again_the_link_waits_longer_each_time():
    raw = ScriptedLink({"A?": "1", GREETING: "0;0"})
    waits: list[float] = []
    link = SteadyLink(raw, LinkPolicy(reopens=4, backoff_s=0.5, longest_backoff_s=1.5), wait=waits.append)
    link.query("A?")
    raw.answers.clear()
    with pytest.raises(LinkError, match=r"4 attempts"):
        link.query("A?")
    assert waits == [0.5, 1.0, 1.5, 1.5]
    assert raw.reopened == 4


def test_a_drivers_own_queries_that_act_are_asked_once():
    raw = ScriptedLink({"POP?": LinkTimeout("nothing")})
    link = SteadyLink(raw, LinkPolicy(asked_once=("TOP?",)), wait=lambda seconds: None)
    link.attend(when_lost=list, asked_once=("POP?",))
    with pytest.raises(LinkTimeout, match=r"not sent a second time"):
        link.query("POP?")
    with pytest.raises(LinkTimeout, match=r"not sent a second time"):
        link.query("TOP? 3")
    with pytest.raises(LinkTimeout, match=r"asked 3 times"):
        link.query("STOP?")
    assert [sent for sent in raw.sent if "OP?" in sent] == ["POP?", "TOP? 3", "STOP?", "STOP?", "STOP?"]


class _Unpollable(SimulatedInstrument):
    """An instrument on an interface without serial poll."""

    def status_byte(self) -> int:
        raise NotImplementedError


def test_an_interface_without_a_serial_poll_is_asked_for_it_once(bench: Bench, bench_name: str):
    _Unpollable(bench, "mute", "GPIB0::8::INSTR")
    link = open_steady("GPIB0::8::INSTR", f"{bench_name}@labnb", name="mute", timeout_s=0.1)
    assert [link.query("SYST:VERS?") for _ in range(3)] == ["1999.0"] * 3
    link.close()


def test_a_resource_with_an_infinite_timeout_is_refused(bench: Bench, bench_name: str):
    resource = pyvisa.ResourceManager(f"{bench_name}@labnb").open_resource(DMM_ADDRESS, timeout=None)
    with pytest.raises(InstrumentError, match=r"timeout is infinite"):
        VisaLink(resource, name="dmm")
    resource.close()


def test_an_answer_that_is_not_the_proofs_own_proves_nothing():
    drawn = Random(3)
    first, second = Proof.draw(drawn, 36), Proof.draw(drawn, 36)
    answers = iter([LinkError("truncated"), "0.5"])

    def late(_: str) -> str:
        answer = next(answers)
        if isinstance(answer, str):
            return answer
        raise answer

    raw = ScriptedLink({
        GREETING: "36;0",
        "VOLT?": late,
        first.question: "0.25",  # the late answer to VOLT?
        second.question: f"{second.first};{second.second};0",
    })  # fmt: skip
    link = SteadyLink(raw, random=Random(3))
    assert link.query("VOLT?") == "0.5"
    assert raw.sent == ["*IDN?", GREETING, "VOLT?", first.question, second.question, "VOLT?"]
    assert raw.reopened == 0
