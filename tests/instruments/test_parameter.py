import math
import pydoc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labnb.core import CommandError, InstrumentError, LimitError, LinkError
from labnb.instruments import Anything, Arrays, Bool, Enum, Instrument, Ints, Numbers, Parameter, Strings, Switch
from labnb.testing.links import ScriptedLink


class Generator(Instrument):
    """A source of waves."""

    shape = Parameter("FUNC {}", "FUNC?", vals=Enum({"sine": "SIN", "square": "SQU"}), doc="Shape of the wave")
    count = Parameter("COUN {:d}", "COUN?", vals=Ints(1, 10))
    label = Parameter("DISP:TEXT {}", "DISP:TEXT?", vals=Strings(10))
    gated = Parameter("GATE {}", "GATE?", vals=Bool())
    wave = Parameter("DATA {}", "DATA?", vals=Arrays(None, -1, 1), unit="V")
    trace = Parameter(get="CURV?", vals=Arrays(3, wire=">f4"), unit="V")
    level = Parameter("LEV {:.6g}", "LEV?", unit="mV", scale=1e-3, within=(0, 3300))
    coarse = Parameter("COAR {:.1f}", "COAR?", unit="V", within=(0, 10))
    output = Switch("OUTP ON", "OUTP OFF", "OUTP?", doc="The output")


ANSWERS = {
    "FUNC?": "SINUSOID",
    "COUN?": "+3",
    "DISP:TEXT?": '"hello"',
    "GATE?": "1",
    "DATA?": "0,0.5,-1",
    "CURV?": np.array([1, 2, 3], ">f4").tobytes(),
    "LEV?": "+2.5E-03",
    "COAR?": "1.5",
    "OUTP?": "0",
}


@pytest.fixture
def source():
    source = Generator(ScriptedLink(ANSWERS), name="source")
    source.link.sent.clear()
    yield source
    source.close()


@pytest.mark.parametrize(
    ("name", "value", "command"),
    [
        ("shape", "square", "FUNC SQU"),
        ("count", 4.0, "COUN 4"),
        ("label", 'say "hi"', 'DISP:TEXT "say ""hi"""'),
        ("gated", True, "GATE ON"),
        ("wave", [0, 0.5, -1], "DATA 0,0.5,-1"),
        ("level", 3300, "LEV 3.3"),
        ("level", "1 V", "LEV 1"),
        ("output", True, "OUTP ON"),
    ],
)
def test_a_value_of_each_kind_is_written_and_known(source: Generator, name, value, command):
    source.set(name, value)
    assert source.link.sent == [command, "SYST:ERR?"]
    assert source.parameters[name].cached is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("shape", "sine"), ("count", 3), ("label", "hello"), ("gated", True), ("level", 2.5), ("output", False)],
)
async def test_a_value_of_each_kind_is_asked_for(source: Generator, name, expected):
    value = await source.get(name)
    assert value == expected
    assert source.parameters[name].cached == expected


async def test_arrays_are_asked_for_as_lists_or_blocks(source: Generator):
    assert (await source.wave.get()).tolist() == [0, 0.5, -1]
    assert (await source.trace.get()).tolist() == [1, 2, 3]
    assert source.trace.get()[1] == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("shape", "sinus"), ("count", 11), ("count", 2.5), ("label", "a\nOUTP ON"), ("label", "x" * 11), ("gated", 2),
        ("wave", [0, 1.1]), ("wave", []), ("level", 3301), ("level", "1 A"), ("level", "3.4 V"), ("output", "maybe"),
    ],
)  # fmt: skip
def test_a_value_that_is_refused_never_reaches_the_wire(source: Generator, name, value):
    with pytest.raises(LimitError, match=rf"source\.{name}"):
        source.set(name, value)
    assert source.link.sent == []


def test_an_answer_of_another_kind_names_instrument_command_and_answer(source: Generator):
    source.link.answers["FUNC?"] = "NOISE"
    with pytest.raises(LinkError, match=r"source: 'FUNC\?' was answered by 'NOISE', none of 'SIN', 'SQU'"):
        source.shape.get()
    source.link.answers["CURV?"] = b"1234"
    with pytest.raises(LinkError, match=r"CURV\?.*shape \(3\)"):
        source.trace.get()


def test_rounding_to_the_digits_of_a_command_does_not_step_over_a_limit(source: Generator):
    source.coarse.limit((0, 2.68))
    with pytest.raises(
        LimitError, match=r"2.66 would be sent as 'COAR 2.7'.*safety limit 0 to 2.68 V; nothing was sent"
    ):
        source.coarse.set(2.66)
    assert source.link.sent == []
    source.coarse.set(2.64)


async def test_rounding_over_a_limit_is_found_in_the_call(source: Generator):
    source.coarse.limit((0, 2.68))
    with pytest.raises(LimitError, match=r"would be sent as"):
        source.coarse.check(2.66)
    with pytest.raises(LimitError, match=r"would be sent as"):
        source.coarse.set(2.66)


def test_a_scaled_limit_can_be_reached_exactly(source: Generator):
    source.level.limit((0, 3300))
    for value in (3300, 0.1, 1 / 3, 3299.99):
        source.level.set(value)
    source.level.set(0.2)
    source.level.limit((0, 0.3))
    source.level.set(0.3)


def test_limits_hold_for_every_number_of_an_array(source: Generator):
    source.wave.limit(0.5)
    with pytest.raises(LimitError, match=r"source.wave = 0.6 V is outside of its safety limit -0.5 to 0.5 V"):
        source.wave.set([0, 0.6])
    source.wave.set([0, -0.5])


def test_limits_need_numbers(source: Generator):
    with pytest.raises(LimitError, match=r"one of 'sine', 'square'.*no meaning"):
        source.shape.limit((0, 1))
    with pytest.raises(LimitError, match=r"give \(low, high\)"):
        source.level.limit()


def test_a_parameter_is_called_as_in_qcodes(source: Generator):
    source.count(5)
    assert source.count() == 3
    assert source.link.sent == ["COUN 5", "SYST:ERR?", "COUN?"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Parameter("VOLT"),
        lambda: Parameter("VOLT {} {}"),
        lambda: Parameter("VOLT {"),
        lambda: Parameter("VOLT {}", within=(0, 1), vals=Numbers(0, 1)),
        lambda: Parameter("VOLT {}", vals=(0, 1)),
        lambda: Parameter("VOLT {}", vals=Enum("A"), scale=2),
        lambda: Parameter("VOLT {}", scale=0),
        lambda: Parameter("VOLT {}", max_step=1),
        lambda: Parameter("MODE {}", "MODE?", vals=Enum("A"), max_step=1),
        lambda: Parameter(3),
        lambda: Parameter('TEXT "{}"', vals=Strings()),
    ],
)
def test_a_declaration_that_contradicts_itself_is_refused_at_once(make):
    with pytest.raises(InstrumentError, match="parameter"):
        make()


def test_a_format_that_does_not_fit_the_kind_says_so():
    class Wrong(Instrument):
        x = Parameter("X {:d}")

    wrong = Wrong(ScriptedLink(), name="wrong")
    with pytest.raises(InstrumentError, match=r"Ints\(\)"):
        wrong.x.set(1.0)
    wrong.close()


def test_help_shows_doc_unit_range_and_commands(source: Generator):
    text = pydoc.render_doc(source.level, renderer=pydoc.plaintext)
    assert "Takes a number from 0 to 3300, in mV." in text
    assert "Asked by 'LEV?'" in text
    assert "Shape of the wave" in pydoc.render_doc(Generator.shape, renderer=pydoc.plaintext)


def test_parameters_are_listed_in_order_and_offered_for_completion(source: Generator):
    assert list(source.parameters) == [
        "shape", "count", "label", "gated", "wave", "trace", "level", "coarse", "output",
    ]  # fmt: skip
    assert {"shape", "output", "add_parameter"} <= set(dir(source))
    assert source.parameters["shape"] is source.shape
    with pytest.raises(InstrumentError, match=r"unknown parameter 'shap'; did you mean 'shape'"):
        source.get("shap")


# ---- interlocks


def test_an_interlock_refuses_before_anything_is_sent_and_says_what_to_do(source: Generator):
    closed = [False]
    source.coarse.interlock(lambda value: value < 1 or closed[0], "close the lid")
    source.coarse.set(0.5)
    source.link.sent.clear()
    with pytest.raises(LimitError, match=r"source.coarse = 5 is locked: close the lid; nothing was sent"):
        source.coarse.set(5)
    with pytest.raises(LimitError, match="close the lid"):
        source.write("COAR 5")
    assert source.link.sent == []
    closed[0] = True
    source.coarse.set(5)


async def test_an_interlock_is_asked_again_when_the_lane_gets_to_it(source: Generator):
    closed = [True]
    source.coarse.interlock(lambda _: closed[0], "close the lid")
    source.link.hold()
    busy = source.count.get()
    waiting = source.coarse.set(5)
    closed[0] = False
    source.link.release()
    await busy
    with pytest.raises(LimitError, match="close the lid"):
        await waiting
    assert source.link.sent == ["COUN?"]


def test_an_interlock_that_cannot_tell_refuses(source: Generator):
    source.coarse.interlock(lambda _: 1 / 0, "mend the lid switch")
    with pytest.raises(LimitError, match=r"could not be found out \(ZeroDivisionError.*mend the lid switch"):
        source.coarse.set(5)
    assert source.link.sent == []


def test_switching_off_is_never_locked(source: Generator):
    source.output.interlock(lambda _: False, "close the lid")
    with pytest.raises(LimitError, match="close the lid"):
        source.output.on()
    for text in ("OUTP ON", "OUTPUT 1", ":OUTP:STAT ON;:OUTP ON"):
        with pytest.raises(LimitError, match="close the lid"):
            source.write(text)
    assert source.link.sent == []
    source.output.off()
    source.write("OUTP 0")


def test_an_interlock_must_be_a_plain_function_with_a_reason(source: Generator):
    async def lid(_):
        return True

    for allows, otherwise in ((lid, "close"), (3, "close"), (lambda _: True, "")):
        with pytest.raises(LimitError, match="interlock"):
            source.coarse.interlock(allows, otherwise)


# ---- limits that come late


def test_a_limit_that_the_present_value_breaks_warns_and_holds_from_now_on(source: Generator):
    source.coarse.set(5)
    with pytest.warns(UserWarning, match=r"source: coarse is 5 V, outside of its new safety limit 0 to 3.3 V"):
        source.coarse.limit((0, 3.3))
    with pytest.raises(LimitError):
        source.coarse.set(5)
    source.coarse.set(3)


def test_a_limit_may_be_given_as_a_mapping_with_a_pace(source: Generator):
    source.set_limits({"coarse": {"min": 0, "max": 3, "max_rate": 50}, "level": {"max_step": 10}})
    assert source.coarse.pace.max_rate == 50
    assert source.level.bounds is None
    with pytest.raises(LimitError, match="more than 0"):
        source.coarse.limit(max_step=-1)


# ---- whatever people do


class Probe(Instrument):
    """Quantities in the ways that people write them."""

    plain = Parameter("A {:.3f}", "A?", unit="V")
    short = Parameter("B {:.1f}", "B?", unit="V", within=(-20, 20))
    milli = Parameter("C {:.4g}", "C?", unit="mV", scale=1e-3)


NUMBERS = st.one_of(
    st.floats(-30, 30),
    st.integers(-30, 30),
    st.sampled_from([math.nan, math.inf, "5 V", "5 kV", "1 mV", None, "x", True]),
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from(["set", "call", "write", "query", "send", "limit"]),
        st.sampled_from(["plain", "short", "milli"]),
        NUMBERS,
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(CALLS)
def test_no_sequence_of_calls_sends_a_value_outside_of_the_limits_in_force(calls):
    probe = Probe(ScriptedLink({"A?": "0", "B?": "0", "C?": "0", "*OPC?": "1"}), name="probe", limits={"plain": 3.3})
    headers = {"plain": ("A", 1.0), "short": ("B", 1.0), "milli": ("C", 1e-3)}
    sent = probe.link.sent
    try:
        for what, name, value in calls:
            before = len(sent)
            try:
                _do(probe, what, name, headers[name][0], value)
            except (LimitError, CommandError, UserWarning):
                assert len(sent) == before or what == "limit"
            _nothing_exceeds(probe, sent[before:], headers)
    finally:
        probe.close()


def _do(probe, what, name, header, value):
    quantity = probe.parameters[name]
    if what == "limit":
        quantity.limit(value)
    elif what in ("set", "call"):
        quantity.set(value) if what == "set" else quantity(value)
    elif what == "send":
        probe.send(f"{header} {value}")
    elif what == "write":
        probe.write(f"{header} {value}")
    else:
        probe.query(f"{header} {value};*OPC?").result() if f"{header} {value};*OPC?" in probe.link.answers else None
        probe.judge(f"{header} {value}", by_hand=True)


def _nothing_exceeds(probe, sent, headers):
    for command in sent:
        for name, (header, scale) in headers.items():
            bounds = probe.parameters[name].bounds
            if bounds is not None and command.startswith(header + " "):
                number = float(command.split()[1].removesuffix("V")) / scale
                slack = 1e-12 * abs(number)
                assert bounds.low - slack <= number <= bounds.high + slack, command


def test_anything_may_be_kept_by_functions():
    assert Anything().check({"a": 1}, "x") == {"a": 1}
