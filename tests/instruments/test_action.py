import asyncio
import contextlib
import gc
import threading
import time

import pytest

from labnb.core import CommandError, InstrumentError, LinkError
from labnb.instruments import Action, Instrument, Parameter, Switch
from labnb.testing.links import ScriptedLink


class Oven(Instrument):
    setpoint = Parameter("SETP {:.3f}", "SETP?", unit="K", within=(4.0, 300.0), doc="Target")
    temperature = Parameter(get="KRDG?", unit="K")
    heater = Switch("OUTP ON", "OUTP OFF", "OUTP?")
    safe_state = (heater.off,)


@pytest.fixture
def link():
    return ScriptedLink({"SETP?": "+2.95000E+02", "KRDG?": "294.5", "OUTP?": "1"})


@pytest.fixture
def oven(link: ScriptedLink):
    oven = Oven(link, name="oven", address="SCRIPT::1")
    link.sent.clear()
    yield oven
    with contextlib.suppress(InstrumentError):  # what a test has let fail unnoticed on purpose
        oven.close()


def refuse(link: ScriptedLink):
    """The next command is refused by the instrument, the following are not."""
    complaints = iter(['-222,"Data out of range"'])
    link.answers["SYST:ERR?"] = lambda _: next(complaints, '+0,"No error"')


def test_in_a_script_a_call_is_done_when_it_returns(oven: Oven, link: ScriptedLink):
    oven.setpoint.set(290)
    assert link.sent == ["SETP 290.000", "SYST:ERR?"]


def test_in_a_script_the_result_is_a_number(oven: Oven):
    kelvin = oven.temperature.get()
    assert isinstance(kelvin, float)
    assert kelvin + 1 == 295.5
    assert f"{kelvin:.2f}" == "294.50"


def test_in_a_script_errors_raise_in_the_call(oven: Oven, link: ScriptedLink):
    refuse(link)
    with pytest.raises(CommandError, match=r"oven.*SETP 290.*-222"):
        oven.setpoint.set(290)
    oven.setpoint.set(280)


async def test_a_result_is_awaited(oven: Oven):
    assert await oven.temperature.get() == 294.5
    assert await oven.heater.get() is True
    assert await oven.query("KRDG?") == "294.5"


def test_a_finished_result_can_be_awaited_too(oven: Oven):
    kelvin = oven.temperature.get()
    state = oven.heater.get()

    async def wait():
        return await kelvin, await state

    assert asyncio.run(wait()) == (294.5, True)


async def test_without_await_a_result_is_there_when_it_is_used(oven: Oven, link: ScriptedLink):
    kelvin = oven.temperature.get()
    assert repr(kelvin) == "294.5"
    assert kelvin + 1 == 295.5
    assert 1 + kelvin == 295.5
    assert kelvin > 294
    assert float(kelvin) == 294.5
    assert f"{kelvin:.1f}" == "294.5"
    link.answers["OUTP?"] = "0"
    assert not oven.heater.get()


async def test_asking_a_result_for_protocols_does_not_wait(oven: Oven, link: ScriptedLink):
    link.hold()
    kelvin = oven.temperature.get()
    assert not hasattr(kelvin, "__array__")
    assert not hasattr(kelvin, "_repr_png_")
    link.release()
    assert await kelvin == 294.5


def test_a_result_that_is_a_sequence_is_used_like_one(oven: Oven):
    words = oven.act(lambda: ["a", "b"])
    assert (words[1], len(words), list(words)) == ("b", 2, ["a", "b"])


async def test_a_notebook_shows_the_result_and_not_the_promise(oven: Oven):
    class Picture:
        def _repr_png_(self) -> bytes:
            return b"png"

        def __repr__(self) -> str:
            return "a picture"

    shown = oven.act(Picture)._repr_mimebundle_()
    assert shown == {"text/plain": "a picture", "image/png": b"png"}


async def test_without_await_it_is_sent_all_the_same_and_in_order(oven: Oven, link: ScriptedLink):
    oven.setpoint.set(290)
    oven.heater.on()
    await oven.temperature.get()
    assert link.sent == ["SETP 290.000", "SYST:ERR?", "OUTP ON", "SYST:ERR?", "KRDG?"]


async def test_the_loop_goes_on_while_an_exchange_takes_its_time(oven: Oven, link: ScriptedLink):
    link.hold()
    reading = asyncio.ensure_future(oven.temperature.get())
    await asyncio.sleep(0)
    assert not reading.done()
    link.release()
    assert await reading == 294.5


async def test_a_failure_that_nobody_awaited_is_raised_by_the_next_exchange_which_is_not_sent(oven, link):
    refuse(link)
    oven.setpoint.set(290)
    with pytest.raises(CommandError, match=r"-222"):
        await oven.heater.on()
    assert "OUTP ON" not in link.sent
    await oven.heater.on()
    assert "OUTP ON" in link.sent


async def test_a_failure_that_is_kept_but_not_awaited_is_raised_by_the_next_call(oven, link):
    refuse(link)
    action = oven.setpoint.set(290)
    oven.lane.call(int)
    with pytest.raises(CommandError, match=r"-222"):
        oven.heater.on()
    with pytest.raises(CommandError, match=r"-222"):
        await action


async def test_a_failure_that_was_awaited_is_not_raised_again(oven, link):
    refuse(link)
    with pytest.raises(CommandError):
        await oven.setpoint.set(290)
    await oven.heater.on()


async def test_a_failure_that_is_awaited_late_is_not_raised_again(oven, link):
    refuse(link)
    action = oven.setpoint.set(290)
    oven.lane.call(int)
    with pytest.raises(CommandError):
        await action
    await oven.heater.on()


async def test_a_failure_is_not_given_to_another_task(oven, link):
    link.answers["KRDG?"] = LinkError("broken")

    async def fails():
        for _ in range(100):
            with pytest.raises(LinkError, match=r"broken"):
                await oven.temperature.get()

    async def works():
        for _ in range(100):
            assert await oven.setpoint.get() == 295.0

    await asyncio.gather(fails(), works())


async def test_a_failure_after_its_wait_was_cancelled_does_not_vanish(oven, link):
    refuse(link)
    link.hold()
    task = asyncio.ensure_future(oven.setpoint.set(290))
    await asyncio.to_thread(link.held.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    link.release()
    with pytest.raises(CommandError, match=r"-222"):
        await oven.heater.on()


async def test_cancelling_in_mid_exchange_leaves_the_link_in_step(oven, link):
    for _ in range(50):
        link.hold()
        task = asyncio.ensure_future(oven.temperature.get())
        await asyncio.to_thread(link.held.wait, 10)
        task.cancel()
        behind = oven.setpoint.get()
        link.release()
        assert await behind == 295.0
        assert task.cancelled()


async def test_making_safe_reports_what_failed_unnoticed_and_is_safe(oven, link):
    refuse(link)
    oven.setpoint.set(290)
    with pytest.raises(InstrumentError, match=r"safe state.*failed before.*-222") as caught:
        await oven.make_safe()
    assert not isinstance(caught.value, LinkError)
    assert link.sent[-2:] == ["OUTP OFF", "SYST:ERR?"]


async def test_closing_reports_what_failed_unnoticed(oven, link):
    refuse(link)
    oven.setpoint.set(290)
    with pytest.raises(CommandError, match=r"-222"):
        oven.close()
    assert link.closed
    oven.close()


async def test_making_safe_queues_behind_what_has_begun(oven, link):
    link.hold()
    oven.setpoint.set(290)
    await asyncio.to_thread(link.held.wait, 10)
    safe = oven.make_safe()
    link.release()
    await safe
    assert link.sent == ["SETP 290.000", "SYST:ERR?", "OUTP OFF", "SYST:ERR?"]


def test_two_threads_never_get_each_others_answers(link: ScriptedLink):
    oven = Oven(link, name="oven")
    wrong: list[object] = []

    def hammer(parameter, expected):
        wrong.extend(value for _ in range(1000) if (value := parameter.get()) != expected)

    threads = [
        threading.Thread(target=hammer, args=pair) for pair in ((oven.setpoint, 295.0), (oven.temperature, 294.5))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    oven.close()
    assert wrong == []


async def test_actions_of_several_instruments_are_gathered(oven):
    second = Oven(ScriptedLink({"KRDG?": "1"}), name="second")
    assert await asyncio.gather(oven.temperature.get(), second.temperature.get()) == [294.5, 1.0]
    second.close()


async def test_an_awaited_exchange_costs_less_than_a_fifth_of_a_millisecond(oven):
    # The aim is 60 us; this bound only catches a blunder on a busy machine.
    times = []
    for _ in range(300):
        begin = time.perf_counter()
        await oven.temperature.get()
        times.append(time.perf_counter() - begin)
    assert sorted(times)[30] < 200e-6


async def test_an_action_is_an_action_and_leaves_nothing_behind(oven, link):
    action = oven.temperature.get()
    assert isinstance(action, Action)
    await action
    del action
    gc.collect()
    assert oven.lane.unclaimed() is None


async def test_what_follows_a_result_thrown_away_begins_when_that_is_done(oven, link):
    other = Oven(ScriptedLink({"KRDG?": lambda _: str(len(link.sent))}), name="other")
    link.hold()
    oven.setpoint.set(290)
    seen = other.temperature.get()
    await asyncio.to_thread(link.held.wait, 10)
    link.release()
    assert await seen == 2  # both messages of the setting were out
    other.close()


async def test_results_that_are_kept_run_side_by_side(oven, link):
    other = Oven(ScriptedLink({"KRDG?": "1"}), name="other")
    link.hold()
    setting = oven.setpoint.set(290)
    assert await other.temperature.get() == 1
    link.release()
    await setting
    other.close()


async def test_a_driver_may_use_another_instrument_from_within_its_lane(oven, link):
    other = Oven(ScriptedLink({"KRDG?": "1"}), name="other")
    link.hold()
    both = oven.act(lambda: oven.ask_number("KRDG?") + other.temperature.get())
    oven.setpoint.set(290)
    link.release()
    assert await both == 295.5
    other.close()
