"""Tasks of a monitoring session: how they go on, end, fail and are interrupted."""

import asyncio
import json
import math
import signal
import subprocess
import sys
import threading
import time
import tracemalloc

import pytest

from labnb.core import LifecycleError, PlanError, RunCancelled
from labnb.instruments import demo
from labnb.session.monitoring import MonitoringSession, parse_limits, picture
from labnb.sim import run_virtual


@pytest.fixture
def sesn(tmp_path):
    with MonitoringSession("s", verbose=False, store=tmp_path) as session:
        yield session


def events(sesn):
    return [json.loads(line) for line in (sesn.path / "events.ndjson").read_text().splitlines()]


def test_a_function_is_called_again_and_again_with_or_without_the_session_and_a_coroutine_once(sesn):
    calls = []

    async def with_it(session):
        calls.append("with" if session is sesn else "wrong")
        await session.sleep(1)

    async def without():
        calls.append("without")
        await sesn.sleep(2)

    async def once():
        await sesn.sleep(9.5)
        calls.append("once")
        sesn.ask_exit()

    run_virtual(sesn.monitor(with_it, without, once()))
    assert (calls.count("with"), calls.count("without"), calls.count("once")) == (10, 5, 1)
    assert sesn.state() == "ended"


def test_a_sweep_goes_through_its_values_then_stops_the_session(sesn):
    async def log(session, value):
        session.add_entry(v=value)
        await session.sleep(1)

    async def forever():
        await sesn.sleep(1000)

    async def numbers():
        yield 7
        yield 8

    run_virtual(sesn.monitor(forever, sesn.sweep(log, [1, 2, 3])))
    run_virtual(sesn.monitor(sesn.sweep(log, numbers())))
    assert sesn["v"][1].tolist() == [1, 2, 3, 7, 8]


def test_a_task_that_raises_ends_its_siblings_is_named_and_nothing_logged_is_lost(sesn):
    ended = []

    async def pressure(session):
        await session.sleep(2.5)
        raise OSError("no answer")

    async def log(session):
        try:
            session.add_entry(a=1)
            await session.sleep(1)
        except asyncio.CancelledError:
            ended.append("log")
            raise

    with pytest.raises(OSError, match="no answer") as caught:
        run_virtual(sesn.monitor(log, pressure))
    assert "'pressure'" in caught.value.__notes__[0]
    assert str(sesn.path) in caught.value.__notes__[1]
    assert ended == ["log"]
    assert len(sesn["a"][1]) == 3
    assert "pressure" in str(events(sesn)[-1])


def test_tasks_that_are_none_are_refused_and_nothing_was_begun(sesn):
    async def two(a, b):
        pass

    async def fine(session):
        raise AssertionError

    for task, hint in ((print, "async def"), (3, "expected an async function"), (two, "takes 2 arguments")):
        with pytest.raises(PlanError, match=hint):
            run_virtual(sesn.monitor(fine(sesn), task))
    with pytest.raises(PlanError, match=r"call it: `plot\(...\)`"):
        run_virtual(sesn.monitor(fine, sesn.plot))
    with pytest.raises(PlanError, match="no task"):
        run_virtual(sesn.monitor())


def test_two_monitors_of_one_session_are_refused_and_the_first_goes_on(sesn):
    async def log(session):
        session.add_entry(a=1)
        await session.sleep(1)

    async def second():
        with pytest.raises(LifecycleError, match="already"):
            await sesn.monitor(log)
        await sesn.sleep(3)
        sesn.ask_exit()

    run_virtual(sesn.monitor(log, second()))
    assert len(sesn["a"][1]) == 4 or len(sesn["a"][1]) == 3


def test_what_never_looks_whether_it_should_stop_is_ended_all_the_same(sesn):
    async def deaf():
        while True:
            await sesn.sleep(1)

    async def stop():
        await sesn.sleep(5)
        sesn.ask_exit()

    run_virtual(sesn.monitor(deaf(), stop()))


def test_run_blocks_in_a_script_and_inside_of_a_running_loop(sesn):
    async def log(session, value):
        session.add_entry(v=value)

    sesn.run(sesn.sweep(log, [1]))

    async def main():
        sesn.run(sesn.sweep(log, [2]))

    asyncio.run(main())
    assert sesn["v"][1].tolist() == [1, 2]


def test_instruments_that_tasks_used_are_made_safe_on_every_exit(sesn):
    async def main(ending):
        psu = demo().psu
        await psu.channel(1).set(voltage=1, current_limit=0.1)

        async def hold(session):
            await psu.channel(1).on()
            session.add_entry(voltage=await psu.channel(1).get_voltage())
            await session.sleep(1)
            if ending == "error":
                raise ValueError("x")
            session.ask_exit()

        if ending == "error":
            with pytest.raises(ValueError, match="x"):
                await sesn.monitor(hold)
        else:
            await sesn.monitor(hold)
        return float(await psu.channel(1).get_voltage())

    for ending in ("stop", "error"):
        assert abs(run_virtual(main(ending))) < 0.01
        assert sesn["voltage"][1][-1] == pytest.approx(1, abs=0.01)


SCRIPT = """
import asyncio, signal, sys, time
from labnb.session.monitoring import MonitoringSession
async def log(sesn):
    sesn.add_entry(a=1.0)
    print("logged", flush=True)
    await sesn.sleep(1000)
async def deaf():
    await asyncio.sleep(1000)
def mine(*_): pass
signal.signal(signal.SIGINT, mine)
with MonitoringSession("s", verbose=True, store=sys.argv[1]) as sesn:
    try:
        asyncio.run(sesn.monitor(log, *([deaf] if sys.argv[2] == "deaf" else [])))
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    print("restored", signal.getsignal(signal.SIGINT) is mine, len(sesn["a"][0]), flush=True)
"""


def script(tmp_path, kind):
    return subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path, kind], stdout=subprocess.PIPE, text=True)


def read_until(process, word):
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError(f"{word} was not among {lines}")


@pytest.mark.speed
def test_ctrl_c_stops_sleeping_tasks_within_0_3_s_and_gives_the_handler_back(tmp_path):
    process = script(tmp_path, "")
    read_until(process, "logged")
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    lines = read_until(process, "restored")
    took = time.monotonic() - begin
    process.communicate()
    assert took < 0.3
    assert lines == ["restored True 1\n"]
    assert process.returncode == 0


def test_a_second_ctrl_c_ends_what_does_not_listen(tmp_path):
    process = script(tmp_path, "deaf")
    read_until(process, "logged")
    process.send_signal(signal.SIGINT)
    assert "waiting for deaf" in read_until(process, "stopping")[-1]
    process.send_signal(signal.SIGINT)
    lines = read_until(process, "restored")
    process.communicate()
    assert "RunCancelled" in lines[-2]
    assert "True 1" in lines[-1]


def test_forcing_from_another_thread_raises_that_it_was_cut_short(sesn):
    async def main():
        async def log(session):
            await asyncio.sleep(100)

        async def cut():
            await asyncio.sleep(1)
            sesn._monitor.going.cancel()

        await asyncio.gather(sesn.monitor(log), cut())

    with pytest.raises(RunCancelled, match="kept"):
        run_virtual(main())


@pytest.mark.slow
def test_a_day_at_1_hz_is_logged_in_flat_memory(sesn):
    sizes = []

    async def log(session):
        session.add_entry(a=1.5)
        await session.sleep(1)

    async def hourly(session):
        session._show()
        sizes.append(tracemalloc.get_traced_memory()[0])
        await session.sleep(3600)
        if len(sizes) == 25:
            session.ask_exit()

    tracemalloc.start(1)
    try:
        run_virtual(sesn.monitor(log, hourly))
    finally:
        tracemalloc.stop()
    assert len(sesn["a"][0]) >= 24 * 3600
    print(f"after 4 h {sizes[4] / 1e3:.0f} kB, a day {sizes[24] / 1e3:.0f} kB, most {max(sizes[4:]) / 1e3:.0f} kB")
    assert max(sizes[4:]) - sizes[4] < 150_000  # bytes; the entries of those hours are 1150 kB


# ---- alarms


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("pressure", "expected a name"),
        ("1e-3 < pressure", "name comes first"),
        ("p > 1 and q > 2", "alert of its own"),
        ("p == 1", "hardly ever equal"),
        ("20 < flow < 10", "empty"),
        ("p > __import__('os')", "cannot understand"),
        (3, "expected a text"),
    ],
)
def test_a_condition_that_cannot_be_understood_says_what_is_possible(text, hint):
    with pytest.raises(PlanError, match=hint):
        parse_limits(text)


@pytest.mark.parametrize(
    ("text", "hysteresis", "values", "raised"),
    [
        ("p > 1", 0.1, [0.5, 1.0, 1.01, 0.95, 1.0, 0.9, 0.95], [0, 0, 1, 1, 1, 0, 0]),
        ("p <= -1e-3", 0.0, [0, -1e-3, -0.9e-3], [0, 1, 0]),
        ("10 < flow rate < 20", 1, [15, 20, 19.5, 18.9, 10, 10.5, 11.5], [0, 1, 1, 0, 1, 1, 0]),
        ("p > 1", None, [2, float("nan"), 0.995, 0.98], [1, 1, 1, 0]),
    ],
)
def test_an_alarm_is_over_only_when_the_value_has_come_back_by_the_hysteresis(text, hysteresis, values, raised):
    limits, now, states = parse_limits(text, hysteresis), False, []
    for value in values:
        now = limits.judge(float(value), raised=now)
        states.append(int(now))
    assert states == raised


def test_an_alarm_is_noted_and_calls_whom_it_should_and_logging_goes_on_if_that_fails(sesn):
    heard = []

    async def slowly(alarm):
        await asyncio.sleep(1)
        heard.append(("slow", alarm.limits.name))

    def broken(_):
        raise RuntimeError("valve stuck")

    sesn.alert("p > 1", [lambda alarm: heard.append(alarm.text), slowly, broken])

    async def log(session, value):
        session.add_entry(p=value, q=0)

    run_virtual(sesn.monitor(sesn.sweep(log, [0, 2, 3, 0])))
    assert heard[:2] == ["ALARM p > 1: p is 2", "over p > 1: p is 0"]
    assert heard[2:] == [("slow", "p")] * 2
    kinds = [event["kind"] for event in events(sesn)]
    assert kinds == ["alarm", "warning", "alarm", "warning"]
    assert "valve stuck" in str(events(sesn)[1])


def test_alarms_of_one_variable_are_told_apart_and_seen_while_they_last(sesn):
    high, higher = sesn.alert("p > 1", hysteresis=0.5), sesn.alert("p > 2")
    seen = []
    for value in (0, 1.5, math.nan, 2.5, 1.2, math.inf, 0.4, math.nan):
        sesn.add_entry(p=value)
        seen.append(sesn.alarms())
    one, both = {"p": ["p > 1"]}, {"p": ["p > 1", "p > 2"]}
    assert seen == [{}, one, one, both, one, both, {}, {}]
    assert (high.raised, higher.raised) == (False, False)


def test_a_name_that_nobody_logs_is_told_after_a_minute(sesn):
    sesn.alert("presure > 1e-3")
    sesn.alert("pressure > 1e-3")

    async def log(session):
        session.add_entry(pressure=1e-4)
        await session.sleep(10)

    async def end(session):
        await session.sleep(200)
        session.ask_exit()

    run_virtual(sesn.monitor(log, end, sesn.plot(["flow", "pressure"])))
    told = [event["text"] for event in events(sesn)]
    assert len(told) == 2
    assert told[0].startswith("the plot of flow, pressure waits for 'flow', which nobody has logged; ")
    assert told[1].startswith("the alarm 'presure > 1e-3' waits for 'presure', which nobody has logged; ")
    assert "pressure" in told[1].rpartition(";")[2]


def test_an_alarm_raised_by_a_thread_is_notified_on_the_loop(sesn):
    heard = []

    async def notify(alarm):
        heard.append(asyncio.get_running_loop())

    sesn.alert("p > 1", notify)

    async def log(session):
        await asyncio.to_thread(session.add_entry, p=2)
        await session.sleep(0.01)
        heard.append(asyncio.get_running_loop())
        session.ask_exit()

    asyncio.run(sesn.monitor(log))
    assert len(heard) == 2
    assert heard[0] is heard[1]


def test_a_plot_without_a_notebook_is_a_picture_in_the_folder_of_the_session(sesn):
    async def log(session, value):
        session.add_entry(v=value, w=value**2)
        await session.sleep(20)

    run_virtual(sesn.monitor(sesn.sweep(log, range(4)), sesn.plot(["v", "w"]), sesn.plot(x="v", y="w", yscale="log")))
    pictures = sorted(path.name for path in (sesn.path / "pictures").iterdir())
    assert pictures == ["v-w.png", "w-over-v.png"]
    assert (sesn.path / "pictures" / "v-w.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.speed
def test_whoever_stops_a_session_does_not_wait_for_its_last_picture_which_follows(sesn, monkeypatch):
    drawing, may_end = threading.Event(), threading.Event()

    def slowly(*_):
        drawing.set()
        may_end.wait(2)
        return b"a picture"

    monkeypatch.setattr(picture, "draw", slowly)

    async def log(session):
        session.add_entry(v=1)
        if drawing.is_set():
            log.stopped = time.monotonic()
            signal.raise_signal(signal.SIGINT)
        await session.sleep(0.01)

    try:
        asyncio.run(sesn.monitor(log, sesn.plot("v")))
        took = time.monotonic() - log.stopped
    finally:
        may_end.set()
    assert took < 0.3
    for thread in [each for each in threading.enumerate() if each.name.startswith("labnb picture")]:
        while not (sesn.path / "pictures" / "v.png").exists():
            thread.join(0.01)
    assert (sesn.path / "pictures" / "v.png").read_bytes() == b"a picture"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [({}, "names"), ({"x": "a"}, "both x and y"), ({"varnames": "a", "yscale": "cubic"}, "yscale"),
     ({"varnames": ["a"], "maxvalues": 1}, "maxvalues"), ({"varnames": "a", "fixed_ylim": (2, 1)}, "low < high")],
)  # fmt: skip
def test_a_plot_that_nobody_could_draw_is_refused(sesn, arguments, hint):
    with pytest.raises(PlanError, match=hint):
        sesn.plot(**arguments)
