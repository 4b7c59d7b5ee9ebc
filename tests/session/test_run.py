"""A run and its one exit: whatever ends it, points are kept, instruments are safe, and the state is true."""

import asyncio
import contextlib
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr

from labnb.core import (
    Axis,
    InstrumentError,
    LabnbError,
    LifecycleError,
    PlanError,
    RecordError,
    RunCancelled,
    SchemaError,
    State,
)
from labnb.instruments import Instrument, demo
from labnb.record import open_run
from labnb.session import Job, Loop, Measurement, Outline, Record, Run, Section
from labnb.sim import demo_bench, find_bench, register

ONE = Outline((Loop(0, "x", None, None, 0),), (Section(0, 0, (Record("y", "A"),)),))


@pytest.fixture
def bench(request):
    """Return (connected instruments, the simulated bench behind them)."""
    name = f"run-{request.node.name}-{id(request)}"
    register(name, demo_bench(clock="skip"))
    instruments = demo(name)
    yield instruments, find_bench(name)
    for instrument in (instruments.psu, instruments.dmm, instruments.oven):
        instrument.close()


def job_of(body, *, awaiting, n=100, instruments=()):
    return Job("exit", ONE, body, awaiting, {0: Axis("x", tuple(range(n)), "V")}, instruments)


class Body:
    """A body that switches a supply on, measures, and does something at point 36."""

    def __init__(self, psu, act=None):
        self.psu, self.act = psu, act
        self.reached = asyncio.Event()
        self.ended = False

    async def __call__(self, steps):
        try:
            await self.psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
            for x in steps.loop(0):
                if steps.due:
                    await steps.rest()
                if x == 36:
                    self.reached.set()
                    if isinstance(self.act, Exception):
                        raise self.act
                    await asyncio.sleep(60)
                steps.rows[0][0] = x + 0.5
        finally:
            self.ended = True


def stored(run):
    return xr.open_zarr(run.path / "data.zarr").load().y


async def test_a_run_that_is_done_has_its_data_and_a_safe_supply(bench, tmp_path):
    instruments, simulated = bench

    async def body(steps):
        await instruments.psu.channel(1).set(voltage=1.0).on()
        for x in steps.loop(0):
            assert simulated["psu"].output(1)
            steps.rows[0][0] = x * 2.0

    run = Run(job_of(body, awaiting=True, instruments=(instruments.psu,)), tmp_path)
    assert await run.foreground() is run
    assert run.state is State.DONE
    assert not simulated["psu"].output(1)
    assert run.data.y.values.tolist() == [2.0 * x for x in range(100)]
    assert run.data.y.attrs["units"] == "A"
    assert run.data.x.attrs["units"] == "V"
    assert "done" in repr(run)


async def test_an_error_keeps_the_points_before_it_and_says_where(bench, tmp_path):
    instruments, simulated = bench
    body = Body(instruments.psu, ValueError("no contact"))
    run = Run(job_of(body, awaiting=True, instruments=(instruments.psu,)), tmp_path)
    with pytest.raises(ValueError, match="no contact") as caught:
        await run.foreground()
    assert caught.value.__notes__ == [f"at x=36 V (point 37 of 100); 36 points kept in run {run.run_id}"]
    assert run.state is State.FAILED
    assert run.error is caught.value
    assert stored(run).notnull().sum() == 36
    assert not simulated["psu"].output(1)


@pytest.mark.parametrize("how", ["stop", "cancel", "cancel twice", "cancel the owner", "cancel the owner twice"])
async def test_every_way_to_end_it_early_keeps_the_points_and_makes_safe(bench, tmp_path, how):
    instruments, simulated = bench
    body = Body(instruments.psu)
    run = Run(job_of(body, awaiting=True, instruments=(instruments.psu,)), tmp_path)
    owner = asyncio.create_task(run.foreground())
    await body.reached.wait()
    assert simulated["psu"].output(1)
    for _ in range(2 if how.endswith("twice") else 1):
        if how == "stop":
            run.stop()
        elif "owner" in how:
            owner.cancel()
        else:
            run.cancel()
        await asyncio.sleep(0)
    (result,) = await asyncio.gather(owner, return_exceptions=True)
    if how == "stop":
        assert result is run
        assert run.state is State.STOPPED
    else:
        assert isinstance(result, asyncio.CancelledError if "owner" in how else RunCancelled)
        assert run.state is State.CANCELLED
    assert body.ended
    assert run.points == 36
    assert stored(run).notnull().sum() == 36
    assert not simulated["psu"].output(1)
    run.stop()  # of a run that has ended: nothing happens
    with pytest.raises(LifecycleError, match="has ended"):
        run.pause()


async def test_a_blocking_body_leaves_the_loop_alone_and_stops_between_two_points(bench, tmp_path):
    instruments, simulated = bench
    threads, reached = set(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def body(steps):
        instruments.psu.channel(1).set(voltage=1.0).on()
        for x in steps.loop(0):
            threads.add(threading.current_thread())
            if x == 5:
                loop.call_soon_threadsafe(reached.set)
            time.sleep(0.005)
            steps.rows[0][0] = float(x)

    run = Run(job_of(body, awaiting=False, instruments=(instruments.psu,)), tmp_path).start()
    await reached.wait()
    run.stop()
    await run
    assert run.state is State.STOPPED
    assert threading.main_thread() not in threads
    assert 5 <= run.points < 99
    assert stored(run).notnull().sum() == run.points
    assert not simulated["psu"].output(1)


@pytest.mark.parametrize(("how", "state"), [("stop", State.STOPPED), ("cancel", State.CANCELLED)])
@pytest.mark.parametrize("around", ["each point", "everything"])
async def test_a_body_that_catches_everything_still_ends_and_never_says_done(bench, tmp_path, how, state, around):
    instruments, simulated = bench
    reached = asyncio.Event()

    async def body(steps):
        await instruments.psu.channel(1).set(voltage=1.0, current_limit=0.1).on()
        with contextlib.suppress(BaseException if around == "everything" else RuntimeError):
            for x in steps.loop(0):
                if steps.due:
                    await steps.rest()
                if x == 5:
                    reached.set()
                with contextlib.suppress(BaseException if around == "each point" else RuntimeError):
                    await asyncio.sleep(60 if x == 5 else 0)
                steps.rows[0][0] = 1.0

    run = Run(job_of(body, awaiting=True, instruments=(instruments.psu,)), tmp_path).start()
    await reached.wait()
    getattr(run, how)()
    async with asyncio.timeout(5):
        await asyncio.gather(run, return_exceptions=True)
    assert run.state is state
    assert run.points <= 6
    assert not simulated["psu"].output(1)


async def test_a_body_that_awaits_a_cancelled_task_has_failed_and_says_so(tmp_path):
    async def body(steps):
        for _ in steps.loop(0):
            task = asyncio.create_task(asyncio.sleep(60))
            task.cancel()
            await task

    run = Run(job_of(body, awaiting=True), tmp_path)
    with pytest.raises(LabnbError, match="awaited something that was cancelled"):
        await run.foreground()
    assert run.state is State.FAILED


async def test_errors_of_the_bodys_own_task_group_are_all_told(tmp_path):
    async def bad(text):
        raise ValueError(text)

    async def body(steps):
        for _ in steps.loop(0):
            async with asyncio.TaskGroup() as group:
                group.create_task(bad("one"))
                group.create_task(bad("two"))

    run = Run(job_of(body, awaiting=True), tmp_path)
    with pytest.raises(ExceptionGroup) as caught:
        await run.foreground()
    assert [str(error) for error in caught.value.exceptions] == ["one", "two"]


@pytest.mark.parametrize(("how", "state"), [("stop", State.STOPPED), ("cancel", State.CANCELLED)])
async def test_a_run_inside_of_the_bodys_own_task_group_ends_as_it_was_told(tmp_path, how, state):
    reached = asyncio.Event()

    async def body(steps):
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            for x in steps.loop(0):
                if steps.due:
                    await steps.rest()
                if x == 5:
                    reached.set()
                await asyncio.sleep(0.02)
                steps.rows[0][0] = 1.0

    run = Run(job_of(body, awaiting=True), tmp_path).start()
    await reached.wait()
    getattr(run, how)()
    async with asyncio.timeout(5):
        await asyncio.gather(run, return_exceptions=True)
    assert run.state is state
    assert run.error is None


async def test_cancelling_a_blocking_body_waits_for_its_thread(bench, tmp_path):
    instruments, _ = bench
    reached, ended = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def body(steps):
        try:
            for x in steps.loop(0):
                loop.call_soon_threadsafe(reached.set)
                time.sleep(0.02)
                steps.rows[0][0] = float(x)
        finally:
            ended.append(True)

    run = Run(job_of(body, awaiting=False), tmp_path)
    owner = asyncio.create_task(run.foreground())
    await reached.wait()
    owner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await owner
    assert ended == [True]
    assert run.state is State.CANCELLED
    assert instruments is not None


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_what_would_end_the_loop_ends_only_the_run(tmp_path, error):
    async def body(steps):
        for x in steps.loop(0):
            if x == 3:
                raise error
            steps.rows[0][0] = float(x)

    run = Run(job_of(body, awaiting=True), tmp_path).start()
    (result,) = await asyncio.gather(run, return_exceptions=True)
    assert isinstance(result, Exception)
    assert run.state is (State.CANCELLED if error is KeyboardInterrupt else State.FAILED)
    assert stored(run).notnull().sum() == 3


async def test_an_instrument_that_cannot_be_made_safe_is_shouted_about(tmp_path):
    class Stuck(Instrument):
        def __init__(self):
            self.name = "stuck"

        def snapshot(self):
            return {}

        async def make_safe(self):
            raise OSError("unplugged")

    async def body(steps):
        for x in steps.loop(0):
            steps.rows[0][0] = float(x)

    run = Run(job_of(body, awaiting=True, instruments=(Stuck(),)), tmp_path).start()
    with pytest.raises(InstrumentError, match=r"stuck may still be ON.*unplugged"):
        await run
    assert run.state is State.FAILED
    assert run.points == 100
    assert "may still be ON" in run.warnings[0]


async def test_a_view_that_breaks_does_not_cost_the_measurement(tmp_path):
    class Broken:
        def __init__(self, run):
            from labnb.live import LiveView

            self.sink = LiveView()

        def update(self):
            raise RuntimeError("no figure")

        async def end(self):
            raise RuntimeError("no picture")

    async def body(steps):
        for x in steps.loop(0):
            await asyncio.sleep(0)
            steps.rows[0][0] = float(x)

    run = Run(job_of(body, awaiting=True), tmp_path, Broken)
    await run.foreground()
    assert run.state is State.DONE
    assert stored(run).notnull().all()
    assert "no figure" in run.warnings[0]


async def test_nothing_is_pending_after_a_run(tmp_path):
    async def body(steps):
        for x in steps.loop(0):
            steps.rows[0][0] = float(x)

    def threads():
        return [
            t.name for t in threading.enumerate() if t.name != "labnb packing"
        ]  # ends by itself, some seconds later

    before = threads()
    await Run(job_of(body, awaiting=True), tmp_path).foreground()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert threads() == before


async def test_a_session_measures_its_grid(bench, tmp_path):
    instruments, simulated = bench
    async with Measurement("grid", store=tmp_path) as session:
        await session.instrument("psu", instruments.psu)
        await session.instrument("dmm", instruments.dmm)
        session.parameter("voltage", [0.1, 0.2, 0.3], unit="V", notes="Supply voltage")
        session.parameter("limit", [0.1, 0.2], unit="A")

        @session.acquire
        async def measure(psu, dmm, ctx):
            await psu.channel(1).set(voltage=ctx["voltage"], current_limit=ctx["limit"]).on()
            return {"current": (await dmm.measure_current_dc()).values, "twice": 2 * ctx["voltage"]}

        run = await session.run()
    assert run.data.sizes == {"voltage": 3, "limit": 2}
    assert run.data.voltage.attrs["units"] == "V"
    assert run.data.voltage.attrs["long_name"] == "Supply voltage"
    assert run.data.twice.values.tolist() == [[0.2, 0.2], [0.4, 0.4], [0.6, 0.6]]
    assert bool((run.data.current.diff("voltage") > 0).all())
    assert not simulated["psu"].output(1)


async def test_a_session_takes_sync_functions_single_values_and_several_functions(tmp_path):
    async with Measurement("mixed", store=tmp_path) as session:
        session.parameter("a", [1, 2])

        @session.acquire(unit="V")
        def level(a):
            return a * 2.0

        @session.acquire
        async def later(ctx):
            return {"sum": ctx["a"] + ctx["level"]}

        run = await session.run()
    assert run.data.level.values.tolist() == [2.0, 4.0]
    assert run.data.level.attrs["units"] == "V"
    assert run.data["sum"].values.tolist() == [3.0, 6.0]


async def test_a_session_without_parameters_measures_once(tmp_path):
    async with Measurement("once", store=tmp_path) as session:
        session.acquire(lambda: {"x": np.arange(3.0)})
        run = await session.run()
    assert run.data.x.values.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda s: s.parameter("a", []), PlanError, "empty"),
        (lambda s: s.parameter("a", [1, float("nan")]), PlanError, "nan"),
        (lambda s: s.parameter("a/b", [1]), PlanError, "no '/'"),
        (lambda s: s.parameter("a", [1], unit=5), PlanError, "unit must be a text"),
        (lambda s: s.parameter("a", [[1, 2]]), PlanError, "one dimension"),
        (lambda s: s.acquire("no function"), PlanError, "expected a function"),
        (lambda s: s.acquire(dict), PlanError, "does not tell its arguments"),
        (lambda s: s.acquire(lambda a, /: 1), PlanError, "positional only"),
        (lambda s: Measurement("a/b"), PlanError, "no '/'"),
    ],
)
def test_a_session_refuses_bad_input_at_once(make, error, words):
    with pytest.raises(error, match=words):
        make(Measurement("bad"))


@pytest.mark.parametrize(
    ("functions", "error", "words"),
    [
        ([], PlanError, "measures nothing"),
        ([lambda voltge: 1], PlanError, "did you mean 'voltage'"),
        ([lambda: None], SchemaError, "returned nothing"),
        ([lambda voltage: {}], SchemaError, "no value"),
        ([lambda: {"x": b"text"}], SchemaError, "'x'"),
        ([lambda voltage: {"x": 1, "y": 2} if voltage == 1 else {"x": 1}], SchemaError, "no value for 'y'"),
        ([lambda voltage: {"x": 1} if voltage == 1 else {"x": 1, "y": 2}], SchemaError, "in addition"),
        ([lambda voltage: {"x": 1 if voltage == 1 else "a"}], SchemaError, "'x'"),
        ([lambda voltage: {"x": np.zeros(3 if voltage == 1 else 2)}], SchemaError, "'x'"),
        ([lambda: {"voltage": 3}], (PlanError, SchemaError), "'voltage'"),
    ],
)
async def test_a_session_refuses_what_cannot_be_measured_with_the_points_before_it_kept(
    tmp_path, functions, error, words
):
    session = Measurement("bad", store=tmp_path)
    session.parameter("voltage", [1, 2])
    for function in functions:
        session.acquire(function, name="f") if False else session.acquire(function)
    with pytest.raises(error, match=words):
        await session.run()


async def test_a_store_that_cannot_be_written_is_refused_before_anything_moves(tmp_path):
    (tmp_path / "file").write_text("")
    called = []
    session = Measurement("bad", store=tmp_path / "file")
    session.acquire(lambda: called.append(1))
    with pytest.raises(RecordError, match="file"):
        await session.run()
    assert called == []


async def test_an_alias_stands_for_one_instrument(bench, tmp_path):
    instruments, _ = bench
    session = Measurement("alias", store=tmp_path)
    assert await session.instrument("psu", instruments.psu) is instruments.psu
    assert await session.instrument("psu", instruments.psu) is instruments.psu
    with pytest.raises(PlanError, match=r"'psu' is .* already"):
        await session.instrument("psu", instruments.dmm)
    with pytest.raises(PlanError, match="already"):
        session.parameter("psu", [1])
    with pytest.raises(PlanError, match="argument name"):
        await session.instrument("my psu", instruments.psu)


async def test_closing_a_session_leaves_no_instrument_on_because_another_failed(bench, tmp_path):
    class Stuck(Instrument):
        def __init__(self):
            self.name = "stuck"

        async def make_safe(self):
            raise OSError("unplugged")

    instruments, simulated = bench
    session = Measurement("close", store=tmp_path)
    await session.instrument("stuck", Stuck())
    await session.instrument("psu", instruments.psu)
    await instruments.psu.channel(1).set(voltage=1.0).on()
    with pytest.raises(InstrumentError, match="stuck may still be ON"):
        await session.close()
    assert not simulated["psu"].output(1)


async def test_a_session_does_not_close_what_somebody_else_connected(bench, tmp_path):
    instruments, _ = bench
    async with Measurement("own", store=tmp_path) as session:
        assert await session.instrument("supply", instruments.psu) is instruments.psu
    assert not instruments.psu.closed


async def test_a_reading_is_recorded_as_its_number(bench, tmp_path):
    instruments, _ = bench
    async with Measurement("reading", store=tmp_path) as session:
        await session.instrument("dmm", instruments.dmm)
        session.parameter("k", [1, 2, 3])

        @session.acquire
        async def measure(dmm):
            return {"awaited": await dmm.measure_voltage_dc(), "not_awaited": dmm.measure_voltage_dc()}

        run = await session.run()
    assert run.data.awaited.dtype == run.data.not_awaited.dtype == float
    assert run.data.awaited.attrs["units"] == "V"
    assert bool(run.data.not_awaited.notnull().all())


@pytest.mark.parametrize("awaiting", [True, False])
async def test_an_instrument_that_the_body_got_hold_of_somehow_is_made_safe(bench, tmp_path, awaiting):
    instruments, simulated = bench

    def hidden():
        return instruments.psu.channel(1)

    async def body(steps):
        async with asyncio.TaskGroup() as group:
            group.create_task(switch_on())
        for x in steps.loop(0):
            steps.rows[0][0] = float(x)

    async def switch_on():
        await hidden().set(voltage=1.0).on()

    def blocking(steps):
        hidden().set(voltage=1.0).on()
        for x in steps.loop(0):
            steps.rows[0][0] = float(x)

    run = Run(job_of(body if awaiting else blocking, awaiting=awaiting), tmp_path)
    await run.foreground()
    assert any("OUTP" in str(line) and "ON" in str(line) for line in simulated["psu"].log)
    assert not simulated["psu"].output(1)


async def test_what_another_run_uses_is_left_to_that_run(bench, tmp_path):
    instruments, simulated = bench
    going = asyncio.Event()

    async def long(steps):
        await instruments.psu.channel(1).set(voltage=1.0).on()
        await going.wait()

    async def short(steps):
        await instruments.psu.channel(1).get_voltage()

    first = Run(job_of(long, awaiting=True, instruments=(instruments.psu,)), tmp_path).start()
    while not simulated["psu"].output(1):
        await asyncio.sleep(0)
    await Run(job_of(short, awaiting=True), tmp_path).foreground()
    assert simulated["psu"].output(1)
    going.set()
    await first
    assert not simulated["psu"].output(1)


async def test_of_two_runs_that_end_together_one_makes_their_instrument_safe(bench, tmp_path):
    instruments, simulated = bench
    ending, on = asyncio.Event(), []

    async def body(steps):
        await instruments.psu.channel(1).set(voltage=1.0).on()
        on.append(True)
        await ending.wait()

    runs = [Run(job_of(body, awaiting=True), tmp_path).start() for _ in range(2)]
    while len(on) < 2:
        await asyncio.sleep(0)
    assert simulated["psu"].output(1)
    ending.set()
    await asyncio.gather(*runs)
    assert not simulated["psu"].output(1)


async def test_a_session_that_closes_ends_its_runs_first(bench, tmp_path):
    instruments, simulated = bench
    session = Measurement("left", store=tmp_path)
    await session.instrument("psu", instruments.psu)
    session.parameter("x", range(10_000))

    @session.acquire
    async def measure(psu, x):
        await psu.channel(1).set(voltage=1.0).on()
        return {"y": x}

    run = session.start()
    while run.points < 3:
        await asyncio.sleep(0)
    await session.close()
    assert run.state is State.CANCELLED
    assert not simulated["psu"].output(1)
    assert stored(run).notnull().sum() == run.points


async def test_leaving_a_session_waits_for_what_it_has_started(bench, tmp_path):
    instruments, simulated = bench
    async with Measurement("wait", store=tmp_path) as session:
        await session.instrument("psu", instruments.psu)
        session.parameter("x", range(20))

        @session.acquire
        async def measure(psu, x):
            await psu.channel(1).set(voltage=1.0).on()
            return {"y": x}

        run = session.start()
    assert run.state is State.DONE
    assert run.points == 20
    assert not simulated["psu"].output(1)


async def test_a_run_that_may_not_begin_leaves_nothing_open(bench, tmp_path):
    instruments, _ = bench

    async def wait(steps):
        await asyncio.sleep(60)

    first, second = (
        Run(job_of(wait, awaiting=True, instruments=(instruments.psu,)), tmp_path / name)
        for name in ("first", "second")
    )
    first.start()
    with pytest.raises(PlanError, match="in use by run"):
        second.start()
    assert second.state is State.CANCELLED
    assert open_run(second.path).state is State.CANCELLED
    assert not [t for t in threading.enumerate() if second.run_id in t.name]
    first.stop()
    await first


def test_a_run_that_is_started_where_no_loop_runs_is_refused_and_claims_nothing(tmp_path):
    with Measurement("alone", store=tmp_path / "data") as session:
        session.instrument("psu", "keysight/EDU36311A", simulate=True)
        session.acquire(name="y")(lambda psu: 1.0)
        with pytest.raises(LifecycleError, match="no event loop runs: use run_sync"):
            session.start()
        assert not (tmp_path / "data").exists()
        assert session.run().state is State.DONE


def test_waiting_synchronously_within_a_loop_leaves_asyncio_run_as_it_is(tmp_path):
    code = """
import asyncio
from labnb import Measurement

session = Measurement("left", store="data")
session.acquire(name="y")(lambda: 1.0)

async def wait():
    session.run_sync()

async def leave():
    return session.start(interval=0.01)

run = asyncio.run
asyncio.run(wait())
assert asyncio.run is run
left = asyncio.run(leave())
assert left.state.value == "cancelled", left
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=60)


def test_a_run_whose_loop_was_closed_says_that_it_can_never_end(tmp_path):
    code = """
import asyncio
from labnb import Measurement

session = Measurement("closed", store="data")
session.acquire(name="y")(lambda: 1.0)

async def begin():
    run = session.start(interval=0.01)
    while not run.points:
        await asyncio.sleep(0.01)
    return run

loop = asyncio.new_event_loop()
run = loop.run_until_complete(begin())
loop.close()
try:
    run.wait()
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False
    )
    assert "LifecycleError run closed-" in done.stdout
    assert "can never end: its event loop was closed while it went on" in done.stdout


async def test_a_run_tells_its_progress_and_gives_tidy_tables(tmp_path):
    seen = []

    def body(steps):
        for x in steps.loop(0):
            seen.append(run.progress)
            steps.rows[0][0] = x * 2.0

    run = Run(job_of(body, awaiting=False, n=4), tmp_path)
    await run.start()
    assert seen == [0.0, 0.25, 0.5, 0.75]
    assert run.progress == 1.0
    table = run.to_dataframe()
    assert table["x"].tolist() == [0, 1, 2, 3]
    assert table["y"].tolist() == [0, 2, 4, 6]
    assert table.attrs["units"]["y"] == "A"


async def test_aborting_is_cancelling(tmp_path):
    async def body(steps):
        await asyncio.sleep(60)

    run = Run(job_of(body, awaiting=True), tmp_path).start()
    await asyncio.sleep(0.01)
    run.abort()
    with pytest.raises(RunCancelled):
        await run
    assert run.state is State.CANCELLED
