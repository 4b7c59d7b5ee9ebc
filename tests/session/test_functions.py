"""What a session calls besides the plain measurement: levels, hooks, retries, conditions, repeats; without await."""

import asyncio
import contextlib

import numpy as np
import pytest

from labnb.core import InstrumentError, LinkError, PlanError, RunCancelled, State, sweep
from labnb.session import Measurement

BOTH = pytest.mark.parametrize("blocking", [False, True], ids=["async", "sync"])


def as_async(function, blocking):
    """Return a function of the same arguments that is awaited, unless it shall block."""
    if blocking:
        return function
    import functools

    @functools.wraps(function)
    async def wrapped(**arguments):
        await asyncio.sleep(0)
        return function(**arguments)

    return wrapped


@BOTH
async def test_an_acquire_per_parameter_is_called_once_at_each_of_its_values_before_what_is_inside(tmp_path, blocking):
    calls = []
    session = Measurement("levels", store=tmp_path)
    session.parameter("a", [1, 2])
    session.parameter("b", [10, 20, 30])
    session.parameter("c", [0.1, 0.2])

    def stage(a):
        calls.append(("stage", a))
        return {"t": a + 0.5}

    def middle(a, b, ctx):
        calls.append(("middle", a, b, ctx["t"]))
        return a * b

    def inner(a, b, c, ctx):
        calls.append(("inner", a, b, c))
        return {"y": a * b * c + ctx["middle"]}

    session.acquire(per="a")(as_async(stage, blocking))
    session.acquire(per="b", unit="V")(as_async(middle, blocking))
    session.acquire(as_async(inner, blocking))
    run = await session.run()
    assert run.data.t.dims == ("a",)
    assert run.data.t.values.tolist() == [1.5, 2.5]
    assert run.data.middle.dims == ("a", "b")
    assert run.data.middle.attrs["units"] == "V"
    assert run.data.middle.values.tolist() == [[10, 20, 30], [20, 40, 60]]
    assert run.data.y.dims == ("a", "b", "c")
    np.testing.assert_allclose(run.data.y.sel(a=2, b=30), [2 * 30 * 0.1 + 60, 2 * 30 * 0.2 + 60])
    assert calls[:4] == [("stage", 1), ("middle", 1, 10, 1.5), ("inner", 1, 10, 0.1), ("inner", 1, 10, 0.2)]
    assert len(calls) == 2 + 6 + 12


@BOTH
async def test_hooks_are_called_around_the_values_of_their_parameter_and_around_the_run(tmp_path, blocking):
    calls = []
    session = Measurement("hooks", store=tmp_path)
    session.parameter("a", [1, 2])
    session.parameter("b", [10, 20])

    def register(decorator, text, wants):
        def function(**values):
            calls.append((text, *values.values()))

        import inspect

        function.__name__ = text
        function.__signature__ = inspect.Signature(
            [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in wants]
        )
        decorator(as_async(function, blocking))

    register(session.before(), "begin", [])
    register(session.before("a"), "set_a", ["a"])
    register(session.after("a"), "left_a", ["a"])
    register(session.before("b"), "set_b", ["b"])
    register(session.after("b"), "left_b", ["a", "b"])
    register(session.after(), "end", [])

    def measure(a, b):
        calls.append("y")
        return {"y": a * b}

    session.acquire(as_async(measure, blocking))
    run = await session.run()
    inner = [("set_b", 10), "y", ("left_b", 1, 10), ("set_b", 20), "y", ("left_b", 1, 20)]
    assert calls[:9] == [("begin",), ("set_a", 1), *inner, ("left_a", 1)]
    assert calls[-1] == ("end",)
    assert run.data.y.values.tolist() == [[10, 20], [20, 40]]


@BOTH
async def test_what_comes_after_the_run_comes_also_when_it_fails(tmp_path, blocking):
    calls = []
    session = Measurement("hooks", store=tmp_path)
    session.parameter("a", [1, 2])

    def end():
        calls.append("end")

    def measure(a):
        raise ValueError("broken")

    session.after()(as_async(end, blocking))
    session.acquire(as_async(measure, blocking))
    with pytest.raises(ValueError, match="broken"):
        await session.run()
    assert calls == ["end"]


@BOTH
async def test_a_condition_ends_the_run_after_its_point(tmp_path, blocking):
    session = Measurement("until", store=tmp_path)
    session.parameter("x", range(100))

    def measure(x):
        return {"y": x * 2.0}

    session.acquire(as_async(measure, blocking))
    session.stop_when(as_async(lambda ctx: ctx["y"] >= 10, blocking))
    run = await session.run()
    assert run.state is State.STOPPED
    assert run.points == 6
    assert run.data.y.dropna("x").values.tolist() == [0, 2, 4, 6, 8, 10]


@BOTH
async def test_a_point_is_tried_again_while_an_instrument_fails(tmp_path, blocking):
    failures = {3: 2, 5: 1}
    session = Measurement("retries", store=tmp_path)
    session.parameter("x", range(8))

    def measure(x):
        if failures.get(x, 0):
            failures[x] -= 1
            raise LinkError("dmm: no answer")
        return {"y": x}

    session.acquire(retries=2)(as_async(measure, blocking))
    run = await session.run()
    assert run.data.y.values.tolist() == list(range(8))
    assert len(run.warnings) == 3
    assert "acquire 'measure' failed and is tried again (2 left): dmm: no answer" in run.warnings
    failures[4] = 3
    with pytest.raises(LinkError):
        await session.run()


@BOTH
async def test_an_error_of_the_users_own_is_not_tried_again(tmp_path, blocking):
    calls = []
    session = Measurement("retries", store=tmp_path)

    def measure():
        calls.append(1)
        raise ValueError("broken")

    session.acquire(retries=5)(as_async(measure, blocking))
    with pytest.raises(ValueError, match="broken"):
        await session.run()
    assert len(calls) == 1


async def test_repeats_are_an_innermost_dimension(tmp_path):
    session = Measurement("repeats", store=tmp_path)
    session.repeat(3)
    session.parameter("x", [1, 2])

    @session.acquire
    def measure(x, repeat):
        return {"y": x * 10.0 + repeat}

    run = await session.run()
    assert run.data.y.dims == ("x", "repeat")
    assert run.data.y.mean("repeat").values.tolist() == [11, 21]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda s: s.repeat(0), "whole number of times"),
        (lambda s: s.repeat(True), "whole number of times"),
        (lambda s: s.repeat(2, "x"), "'x' is the name of something else"),
        (lambda s: s.acquire(retries=-1)(print), "retries must be"),
        (lambda s: s.before(print), "with parentheses"),
    ],
)
def test_bad_input_is_refused_at_once(tmp_path, make, words):
    session = Measurement("bad", store=tmp_path)
    session.parameter("x", [1])
    with pytest.raises(PlanError, match=words):
        make(session)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda s: s.acquire(per="z")(lambda: 1), r"belongs to 'z', which is no parameter .*\(parameters: x\)"),
        (lambda s: s.before("z")(lambda: 1), "belongs to 'z'"),
        (lambda s: s.stop_when(lambda q: 1), "wants 'q'"),
        (lambda s: s.before("x")(lambda q: 1), "before '<lambda>' wants 'q'"),
    ],
)
async def test_what_does_not_fit_together_is_refused_before_anything_moves(tmp_path, make, words):
    session = Measurement("bad", store=tmp_path / "data")
    session.parameter("x", [1])
    moved = []
    session.acquire(name="m")(lambda x: moved.append(x) or {"y": 1})
    make(session)
    with pytest.raises(PlanError, match=words):
        await session.run()
    assert moved == []
    assert not (tmp_path / "data").exists()


async def test_only_outer_acquires_are_refused(tmp_path):
    session = Measurement("bad", store=tmp_path)
    session.parameter("a", [1])
    session.parameter("b", [1])
    session.acquire(per="a")(lambda a: a)
    with pytest.raises(PlanError, match="nothing is measured at each 'b'"):
        await session.run()


def test_a_script_needs_no_await(tmp_path):
    with Measurement("script", store=tmp_path) as session:
        psu = session.instrument("psu", "keysight/EDU36311A", simulate=True, visa_library="fast@labnb")
        assert session.instrument("psu", "keysight/EDU36311A", simulate=True, visa_library="fast@labnb") is psu
        session.parameter("voltage", [0.5, 1.0], unit="V")

        @session.acquire
        def measure(psu, voltage):
            psu.channel(1).set(voltage=voltage, current_limit=0.1).on()
            return {"v": psu.channel(1).get_voltage()}

        run = session.run()
        np.testing.assert_allclose(run.data.v, [0.5, 1.0], atol=0.01)
    assert psu.closed


def test_run_sync_works_in_a_script(tmp_path):
    session = Measurement("script", store=tmp_path)
    session.acquire(name="y")(lambda: 3.0)
    assert float(session.run_sync().data.y) == 3.0


def test_an_error_inside_of_with_still_closes_the_session(tmp_path):
    connected = []

    def script():
        with Measurement("script", store=tmp_path) as session:
            connected.append(session.instrument("psu", "keysight/EDU36311A", simulate=True, visa_library="fast@labnb"))
            raise InstrumentError("stop here")

    with pytest.raises(InstrumentError, match="stop here"):
        script()
    assert connected[0].closed


@pytest.mark.parametrize("how", ["stop", "cancel", "error"])
async def test_the_last_hook_is_not_broken_off_however_the_run_ends(tmp_path, how):
    session, events = Measurement("hooks", store=tmp_path), []
    session.parameter("x", range(1000))

    @session.acquire
    async def y(x):
        await asyncio.sleep(0.001)
        if x == 5:
            events.append("reached")
            if how == "error":
                raise ValueError("broken")
        return x

    @session.after()
    async def ramp_down():
        await asyncio.sleep(0.15)  # longer than a stop waits for a body
        events.append("ramped down")

    run = session.start()
    while not events:
        await asyncio.sleep(0.001)
    if how == "cancel":
        run.cancel()
        await asyncio.sleep(0.01)
        run.cancel()
    run.stop()
    with pytest.raises((RunCancelled, ValueError)) if how != "stop" else contextlib.nullcontext():
        await run
    assert events == ["reached", "ramped down"]
    assert run.state is {"stop": State.STOPPED, "cancel": State.CANCELLED, "error": State.FAILED}[how]


@BOTH
async def test_a_last_hook_that_fails_too_does_not_hide_what_ended_the_run(tmp_path, blocking):
    session = Measurement("hooks", store=tmp_path)

    def measure():
        raise ValueError("broken")

    def ramp_down():
        raise OSError("no pressure")

    session.acquire(as_async(measure, blocking))
    session.after()(as_async(ramp_down, blocking))
    with pytest.raises(ValueError, match="broken") as caught:
        await session.run()
    assert "and then: OSError: no pressure" in caught.value.__notes__


@pytest.mark.parametrize(
    "register", [lambda s: s.acquire, lambda s: s.task, lambda s: s.before(), lambda s: s.after("x")]
)
def test_a_function_without_a_name_does_not_silently_replace_another(tmp_path, register):
    session = Measurement("names", store=tmp_path)

    def declare():
        register(session)(lambda: {"y": 1.0})

    declare()
    declare()  # a cell that is run again
    with pytest.raises(PlanError, match=r"called '<lambda>' already, .* a name of its own"):
        register(session)(lambda: {"z": 1.0})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda s: s.repeat(2, "ctx"), "'ctx' is the name of something else"),
        (lambda s: s.repeat(2, "v"), "'v' is the name of something else"),
        (lambda s: s.parameter(("a", "a"), sweep.adaptive((0, 1), (0, 1))), "'a': each value needs a name of its own"),
        (lambda s: s.parameter("point", sweep.adaptive(0, 1)), "'point': that is its dimension"),
    ],
)
def test_names_that_collide_are_refused_when_they_are_given(tmp_path, make, words):
    session = Measurement("bad", store=tmp_path)
    session.parameter(("u", "v"), sweep.zip([1, 2], [3, 4]))
    with pytest.raises(PlanError, match=words):
        make(session)


async def test_an_instrument_cannot_be_called_like_what_is_chosen_or_repeated(tmp_path):
    session = Measurement("bad", store=tmp_path)
    session.parameter("x", sweep.adaptive(0, 1))
    session.repeat(2, "again")
    for alias in ("x", "again"):
        with pytest.raises(PlanError, match=f"'{alias}' is a parameter of this session already"):
            await session.instrument(alias, "keysight/EDU36311A", simulate=True)


async def test_an_adaptive_parameter_beside_repeats_or_a_schedule_is_refused_before_anything_moves(tmp_path):
    session = Measurement("bad", store=tmp_path / "data")
    session.parameter("x", sweep.adaptive(0, 1))
    session.acquire(name="y")(lambda x: x)
    with pytest.raises(PlanError, match="has the parameters x; run"):
        await session.run(interval=0.1, duration=1)
    session.repeat(2)
    with pytest.raises(PlanError, match="x is the only one, but this session has repeat too"):
        await session.run()
    assert not (tmp_path / "data").exists()
