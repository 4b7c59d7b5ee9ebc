import asyncio
import contextlib
import math
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labnb.core import CommandError, InstrumentError, LimitError, LinkError, LinkTimeout
from labnb.instruments import Bounds, Identity, Instrument, Multimeter, Parameter, PowerSupply, Switch
from labnb.testing.links import ScriptedLink

PSU = {"*IDN?": "Keysight Technologies,EDU36311A,CN6123,1.0"}


class Oven(Instrument):
    """A stage that can be heated."""

    setpoint = Parameter("SETP {:.3f}", "SETP?", unit="K", within=(4.0, 300.0), doc="Target of the stage")
    temperature = Parameter(get="KRDG?", unit="K")
    ramp = Parameter("RAMP {:g}", unit="K/min")
    heater = Switch("OUTP ON", "OUTP OFF", "OUTP?", doc="Power of the stage")
    safe_state = (heater.off,)


@pytest.fixture
def oven():
    oven = Oven(ScriptedLink({"SETP?": "295", "KRDG?": "294.5", "OUTP?": "1"}), name="oven", address="GPIB0::9::INSTR")
    oven.link.sent.clear()
    yield oven
    oven.close()


@pytest.fixture
def psu():
    psu = PowerSupply(ScriptedLink({**PSU, "VOLT? (@1)": "5", "CURR? (@1)": "0.1"}), name="psu", address="USB0")
    psu.link.sent.clear()
    yield psu
    psu.close()


def test_connecting_asks_who_it_is_and_sets_no_output():
    link = ScriptedLink(PSU)
    PowerSupply(link, name="psu").close()
    assert link.sent == ["*IDN?", "*CLS"]


def test_another_model_than_the_drivers_is_refused_and_the_link_closed():
    link = ScriptedLink(PSU)
    with pytest.raises(LinkError, match=r"Keysight Technologies EDU36311A.*Multimeter drives 34470A"):
        Multimeter(link, name="dmm", address="USB0::1")
    assert link.closed


def test_an_instrument_that_does_not_say_who_it_is_leaves_no_thread_behind():
    link = ScriptedLink({"*IDN?": LinkTimeout("silence")})
    with pytest.raises(LinkTimeout):
        Oven(link, name="oven")
    assert link.closed


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Keysight Technologies,34470A,MY1,A.03", Identity("Keysight Technologies", "34470A", "MY1", "A.03")),
        ("A, B, C, 1,2", Identity("A", "B", "C", "1,2")),
        ("A,B", Identity("A", "B")),
        ("HOMEMADE", Identity("", "HOMEMADE")),
    ],
)
def test_an_identity_is_parsed(answer, expected):
    assert Identity.parse(answer) == expected


# ---- limits


@pytest.mark.parametrize("value", [301, 3.9, -1, math.nan, math.inf, "300", None, True, np.array([1.0, 2.0])])
def test_a_value_out_of_range_never_reaches_the_wire(oven: Oven, value):
    with pytest.raises(LimitError, match=r"oven.setpoint"):
        oven.setpoint.set(value)
    assert oven.link.sent == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_without_any_limit(oven: Oven, value):
    with pytest.raises(LimitError, match=r"oven.ramp must be a finite number"):
        oven.ramp.set(value)
    assert oven.link.sent == []


async def test_limits_are_checked_in_the_call_before_anything_is_queued(oven: Oven):
    with pytest.raises(LimitError, match=r"oven.setpoint = 301 K is outside of its range 4 to 300 K; nothing was sent"):
        oven.setpoint.set(301)
    assert oven.link.sent == []


@given(st.floats(0, 6), st.floats(0, 6))
def test_exactly_the_values_within_a_limit_pass(value, high):
    bounds = Bounds(0, high)
    if value <= high:
        assert bounds.check(value, "x") == value
    else:
        with pytest.raises(LimitError):
            bounds.check(value, "x")


@pytest.mark.parametrize(
    "limit", [(3.3, 0), (math.nan, 1), (0, math.nan), math.nan, (1,), (1, 2, 3), "3.3", {}, {"maximum": 1}, (0, "x")]
)
def test_limits_that_are_none_are_refused(psu: PowerSupply, limit):
    with pytest.raises(LimitError, match=r"psu channel 1 voltage"):
        psu.channel(1).limit(voltage=limit)


@pytest.mark.parametrize(
    "limit", [(0, 3.3), 3.3, {"max": 3.3}, (None, 3.3), {"min": 0, "max": 3.3}, [0, np.float64(3.3)]]
)
def test_a_supply_with_a_limit_refuses_more_before_a_byte_is_sent(psu: PowerSupply, limit):
    psu.channel(1).limit(voltage=limit)
    with pytest.raises(LimitError, match=r"psu channel 1 voltage = 5 V is outside of its safety limit .* to 3.3 V"):
        psu.channel(1).set(voltage=5)
    with pytest.raises(LimitError):
        psu.channel(1).set(current_limit=0.1, voltage=5)
    assert psu.link.sent == []
    psu.channel(1).set(voltage=3.3)
    psu.channel(2).set(voltage=5)


def test_limits_are_given_at_connect_too():
    psu = PowerSupply(ScriptedLink(PSU), name="psu", limits={1: {"voltage": (0, 3.3), "current": 0.5}})
    with pytest.raises(LimitError, match=r"channel 1 current"):
        psu.channel(1).set(current_limit=0.6)
    assert psu.snapshot()["limits"] == {"channel 1 voltage": (0, 3.3), "channel 1 current": (-0.5, 0.5)}
    psu.close()


@pytest.mark.parametrize("limits", [{1: {"volts": 1}}, {4: {"voltage": 1}}, {1: 3.3}, {"voltage": (0, 1)}])
def test_limits_that_name_nothing_are_refused_before_connecting(limits):
    link = ScriptedLink(PSU)
    with pytest.raises(LimitError):
        PowerSupply(link, name="psu", limits=limits)
    assert link.sent == []
    assert link.closed


def test_an_unknown_quantity_suggests_the_nearest():
    with pytest.raises(LimitError, match=r"did you mean 'setpoint'"):
        Oven(ScriptedLink(), name="oven", limits={"setpiont": (4, 200)})


def test_an_output_whose_setting_exceeds_a_later_limit_is_not_switched_on(psu: PowerSupply):
    psu.channel(1).limit(voltage=(0, 3.3))
    with pytest.raises(LimitError, match=r"as set in the supply, = 5 V"):
        psu.channel(1).on()
    assert not [command for command in psu.link.sent if command.startswith("OUTP")]


def test_more_than_the_channel_can_is_refused(psu: PowerSupply):
    with pytest.raises(LimitError, match=r"range 0 to 6.18 V"):
        psu.channel(1).set(voltage=7)
    psu.channel(2).set(voltage=7)
    with pytest.raises(LimitError, match=r"no channel 4"):
        psu.channel(4)


# ---- commands


def test_a_set_batch_is_one_hop_with_one_look_at_the_error_queue(psu: PowerSupply):
    psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
    assert psu.link.sent == ["CURR 0.1,(@1)", "VOLT 1,(@1)", "SYST:ERR?", "OUTP ON,(@1)", "SYST:ERR?"]


def test_a_refused_command_tells_code_command_and_instrument(psu: PowerSupply):
    answers = iter(['-222,"Data out of range"', '-113,"Undefined header"'])
    psu.link.answers["SYST:ERR?"] = lambda _: next(answers, '0,"No error"')
    with pytest.raises(CommandError, match=r"psu \(USB0\) refused 'VOLT 1,\(@1\)': -222.*-113"):
        psu.channel(1).set(voltage=1)


async def test_what_is_chained_behind_a_failure_is_not_done(psu: PowerSupply):
    answers = iter(['-222,"Data out of range"'])
    psu.link.answers["SYST:ERR?"] = lambda _: next(answers, '0,"No error"')
    psu.link.hold()
    chain = psu.channel(1).set(voltage=1).on()
    psu.link.release()
    with pytest.raises(CommandError, match=r"-222"):
        await chain
    assert "OUTP ON,(@1)" not in psu.link.sent
    await psu.channel(1).on()


async def test_a_chain_is_awaited_and_gives_the_channel(psu: PowerSupply):
    channel = await psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
    assert repr(channel) == "<psu channel 1: current 0.1 A, voltage 1 V>"
    assert psu.link.sent[-2:] == ["OUTP ON,(@1)", "SYST:ERR?"]


def test_an_answer_that_is_no_number_is_an_error(oven: Oven):
    oven.link.answers["KRDG?"] = "OVER RANGE"
    with pytest.raises(LinkError, match=r"KRDG\?.*OVER RANGE"):
        oven.temperature.get()
    oven.link.answers["OUTP?"] = "2"
    with pytest.raises(LinkError, match=r"neither 0 nor 1"):
        oven.heater.get()


def test_an_error_queue_that_never_ends_does_not_hang(oven: Oven):
    oven.link.answers["SYST:ERR?"] = '-350,"Queue overflow"'
    with pytest.raises(CommandError, match=r"-350"):
        oven.heater.on()


def test_a_parameter_cannot_be_assigned_or_used_the_wrong_way(oven: Oven):
    with pytest.raises(AttributeError, match=r"oven.setpoint.set\(300\)"):
        oven.setpoint = 300
    with pytest.raises(AttributeError, match=r"only be read"):
        oven.temperature.set(3)


# ---- safe state


def test_making_safe_sends_the_declared_commands(psu: PowerSupply):
    psu.make_safe()
    assert psu.link.sent == ["OUTP OFF,(@1:3)", "SYST:ERR?"]


def test_what_shall_stay_on_stays_on(psu: PowerSupply):
    psu.leave_on = True
    psu.make_safe()
    assert psu.link.sent == []


def test_making_safe_tries_twice_and_says_what_may_still_be_on(psu: PowerSupply):
    psu.link.refused["OUTP OFF,(@1:3)"] = LinkTimeout("psu: no answer")
    with pytest.raises(LinkError, match=r"psu may still be on.*switch it off by hand"):
        psu.make_safe()
    assert psu.link.sent.count("OUTP OFF,(@1:3)") == 2


async def test_making_safe_now_blocks_whatever_runs(psu: PowerSupply):
    psu.make_safe_now()
    assert psu.link.sent[0] == "OUTP OFF,(@1:3)"


def test_making_safe_now_gives_up_in_time_if_the_lane_is_stuck(psu: PowerSupply):
    psu.link.hold()
    job = psu.lane.submit(psu.link.write, "VOLT 1,(@1)")
    with pytest.raises(LinkTimeout, match=r"0.02 s"):
        psu.make_safe_now(0.02)
    psu.link.release()
    job.wait()


def test_leaving_a_with_block_makes_safe_and_closes():
    link = ScriptedLink(PSU)
    with contextlib.suppress(ZeroDivisionError), PowerSupply(link, name="psu") as psu:
        psu.channel(1).set(voltage=1).on()
        raise ZeroDivisionError
    assert link.sent[-2:] == ["OUTP OFF,(@1:3)", "SYST:ERR?"]
    assert link.closed


# ---- what is known


@pytest.mark.parametrize("ending", [None, ValueError, asyncio.CancelledError])
async def test_leaving_an_async_with_block_makes_safe_and_closes_however_it_ends(ending):
    link = ScriptedLink(PSU)
    with contextlib.suppress(ValueError, asyncio.CancelledError):
        async with PowerSupply(link, name="psu") as psu:
            assert not psu.closed
            if ending:
                raise ending
    assert link.sent[-2:] == ["OUTP OFF,(@1:3)", "SYST:ERR?"]
    assert (psu.closed, link.closed) == (True, True)


async def test_an_async_exit_that_is_cancelled_while_the_lane_is_busy_still_makes_safe():
    link, go_on = ScriptedLink(PSU), threading.Event()

    async def use():
        async with PowerSupply(link, name="psu") as psu:
            psu.lane.submit(go_on.wait)

    using = asyncio.create_task(use())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    using.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert "OUTP OFF,(@1:3)" in link.sent
    assert link.closed


async def test_what_an_instrument_mainly_reads_is_had_by_aget(oven: Oven, psu: PowerSupply):
    assert await oven.aget("temperature") == await oven.temperature.aget() == 294.5
    await oven.setpoint.aset(300.0)
    assert oven.link.sent[-2:] == ["SETP 300.000", "SYST:ERR?"]
    with pytest.raises(InstrumentError, match=r"needs the name of what to read.*temperature"):
        oven.aget()
    with pytest.raises(InstrumentError, match="there is none"):
        psu.aget()
    one = Instrument("one")
    one.add_parameter("level", get_cmd=lambda: 4.0)
    assert await one.aget() == 4.0
    oven.main_reading = "temperature"
    assert await oven.aget() == 294.5


def test_a_snapshot_asks_nothing(oven: Oven):
    oven.temperature.get()
    oven.setpoint.set(290)
    oven.link.sent.clear()
    snapshot = oven.snapshot()
    assert snapshot["values"] == {
        "temperature": {"value": 294.5, "unit": "K"},
        "setpoint": {"value": 290.0, "unit": "K"},
        "ramp": {"value": None, "unit": "K/min"},
        "heater": {"value": None, "unit": ""},
    }
    assert snapshot["identity"]["model"] == "SCRIPTED"
    assert oven.link.sent == []


def test_a_refused_value_is_not_known(oven: Oven):
    oven.setpoint.set(290)
    oven.link.answers["SYST:ERR?"] = '-222,"Data out of range"'
    with pytest.raises(CommandError):
        oven.setpoint.set(100)
    assert oven.setpoint.cached is None


def test_a_raw_command_makes_what_is_known_doubtful(oven: Oven):
    oven.setpoint.set(290)
    oven.write("SETP 5")
    assert oven.setpoint.cached is None


def test_representations_name_the_instrument_and_escape(oven: Oven):
    oven.name = "<oven>"
    oven.setpoint.set(290)
    assert "GPIB0::9::INSTR" in repr(oven)
    assert "&lt;oven&gt;" in oven._repr_html_()
    assert "290 K" in oven._repr_html_()
    assert repr(oven.setpoint) == "<<oven>.setpoint: 290 K>"


def test_declared_docs_are_help():
    assert Oven.setpoint.__doc__ == "Target of the stage (K)"
    assert Oven.heater.__doc__ == "Power of the stage"


def test_importing_instruments_loads_no_device_library():
    code = "import sys, labnb.instruments; sys.exit(any(m in sys.modules for m in ('pyvisa', 'numpy', 'labnb.sim')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
