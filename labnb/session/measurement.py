"""The session API: parameters, instruments, measurement functions and background tasks, and the runs over them."""

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast, overload

from labnb.core import (
    AdaptiveSweep,
    Axis,
    LoopAxis,
    Plan,
    PlanError,
    RecordError,
    Sweep,
    check_name,
    sweep,
)
from labnb.instruments import channel as to_channel
from labnb.instruments import is_channel
from labnb.record import data_root, find_unfinished
from labnb.session import _views
from labnb.session._acquire import acquire_of, reading_of
from labnb.session._active import telling
from labnb.session._adaptive import check_installed
from labnb.session._blocking import check_loop, run_blocking
from labnb.session._channels import aimed
from labnb.session._contents import Contents, Warnings
from labnb.session._function import Registered, check_named, wants_of
from labnb.session._gear import RESERVED, Gear
from labnb.session._task import OnError, task_of
from labnb.session._walk import Hook
from labnb.session.bench import Bench
from labnb.session.describe import describe
from labnb.session.job import Job
from labnb.session.run import Run

F = TypeVar("F", bound=Callable[..., Any])  # a user's function keeps its own type
T = TypeVar("T")  # so does a channel


class MeasurementSession:
    """Sweep parameters over a grid and record what measurement functions return.

    ```python
    async with Measurement("iv") as session:
        psu = await session.instrument("psu", "keysight/EDU36311A", simulate=True)
        session.parameter("voltage", [1.0, 2.0], unit="V")

        @session.acquire
        async def measure(psu, ctx):
            await psu.channel(1).set(voltage=ctx["voltage"]).on()
            return {"current": await psu.channel(1).get_current()}

        experiment = await session.run()
    experiment.data            # an xarray.Dataset with the dimension voltage
    ```
    """

    def __init__(
        self,
        name: str | None = None,
        description: str = "",
        *,
        bench: Bench | None = None,
        store: str | os.PathLike[str] | None = None,
    ) -> None:
        """`bench`: its instruments are there by their names. `store`: where runs are kept, see `data_root`."""
        self.name = check_name(name if name is not None else "measurement", "measurement")
        self.description = description
        self._store = store
        self._contents = Contents()
        self._blocking = False
        self._bench = bench
        self._gear = Gear({} if bench is None else bench.instruments)
        self._runs: list[Run] = []

    def __enter__(self) -> Self:
        """Use the session without `await`: `instrument` and `run` then block until they are done."""
        self._blocking = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        run_blocking(lambda: self.__aexit__(kind, error, trace))
        self._blocking = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the runs that go on (after an error: cancel them), then close."""
        try:
            if error is None:
                for run in self._under_way():
                    await run
        finally:
            with telling(error):
                await self.close()

    def _under_way(self) -> list[Run]:
        self._runs = [run for run in self._runs if not run.state.ended]
        return list(self._runs)

    async def close(self) -> None:
        """Cancel what still runs, make all instruments of this session safe, close those that it connected itself.

        Raises InstrumentError if one could not be made safe or closed, after all others were.
        """
        under_way = self._under_way()
        for run in under_way:
            run.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)  # each run keeps its own error
        await self._gear.close()

    # ---- what it consists of

    def instrument(self, alias: str, key: object, /, **options: Any) -> Any:  # Any: depends on the key
        """Return the instrument called `alias` in measurement functions: `await` it, unless the session is used by `with`.

        `key` is a model ("keysight/EDU36311A", with `simulate=True` from the simulated bench), a VISA address, a driver
        class of whatever package or its "module:Class", or a connected instrument. The same alias with the same key
        returns the same instrument. `options` are those of `connect`. Raises PlanError if the alias stands for something
        else already.

        `reserve=True` reserves the instrument first and queues for it (a number: for so many s at most), until the session
        is closed; if it is taken away, the next exchange raises ReservationLost.

        The session makes labnb's instruments safe and closes what it has connected itself. Other people's drivers are
        given to functions as they are: labnb knows neither their limits nor what is safe for them, unless you use
        `labnb.channel(thing, limits=..., safe=...)`.
        """
        connect = self._gear.connect if self._blocking else self._gear.connect_async
        return connect(alias, key, options, self._contents.swept)

    def parameter(
        self,
        name: object,
        values: "Sweep | AdaptiveSweep | Iterable[object]",
        unit: str | None = None,
        notes: str = "",
        *,
        channel: object = None,
    ) -> LoopAxis:
        """Declare a sweep axis; the first one declared is the outermost. Declaring it again replaces it.

        `parameter(("x", "y"), sweep.zip(xs, ys))` sweeps two in lock-step, along the one dimension `x`.
        `parameter("x", sweep.adaptive(0, 1, "V", on="y"))` lets the points be chosen by what is measured, along the
        dimension `point`; it is then the only parameter.
        With a `channel`, anything that `labnb.channel` takes, the run sets it at each step, and the unit is its own;
        `parameter(smu.volt, values)` does the same under the channel's own name.
        Raises PlanError if `values` are empty, not one-dimensional or not finite, or the name cannot be used;
        LimitError if the channel may not be set to one of them.
        """
        if not _is_name(name):
            channel = to_channel(name)
            name = channel.name
        first, *others = (name,) if isinstance(name, str) else cast("tuple[str, ...]", name)
        self._check_parameters(first, *others)
        if isinstance(values, AdaptiveSweep):
            if channel is not None:
                raise PlanError(
                    f"parameter {first!r}: an adaptive sweep sets no channel; set it in a measurement function"
                )
            check_installed()
            self._contents.adaptive = values.named(first, *others)
            self._contents.axes.clear()
            return self._contents.adaptive
        self._contents.adaptive = None
        if not isinstance(values, Sweep):
            values = sweep(values)
        axis = values.named(first, *others, unit=unit, notes=notes)
        targets = values.targets if channel is None else (channel, *values.targets[1:])
        self._contents.targets.pop(first, None)
        if any(target is not None for target in targets):
            axis, self._contents.targets[first] = aimed(axis, targets)
        self._contents.axes[first] = axis
        return axis

    def _check_parameters(self, *names: str) -> None:
        for each in names:
            if each in self._gear:
                raise PlanError(f"{each!r} is an instrument of this session already; choose another name")
            if each in RESERVED:
                raise PlanError(f"parameter {each!r}: functions get something else by this name; choose another")

    def repeat(self, times: int, name: str = "repeat") -> Axis:
        """Measure each point `times` times: one more dimension, innermost, which `.mean("repeat")` averages over."""
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:  # pyright: ignore[reportUnnecessaryIsInstance]  people pass anything
            raise PlanError(f"repeat: expected a whole number of times, 1 or more, got {times!r}")
        if self._contents.repeats is not None and name == self._contents.repeats.name:
            self._contents.repeats = None
        if name in self._contents.swept or name in self._gear or name in RESERVED:
            raise PlanError(f"repeat: {name!r} is the name of something else in this session; choose another")
        self._contents.repeats = Axis(name, tuple(range(times)))
        return self._contents.repeats

    # ---- what is called

    @overload
    def acquire(self, function: F, /) -> F: ...
    @overload
    def acquire(
        self,
        channel: T,
        /,
        *,
        name: str | None = None,
        unit: str | None = None,
        per: str | None = None,
        retries: int = 0,
    ) -> T: ...
    @overload
    def acquire(
        self, /, *, name: str | None = None, unit: str | None = None, per: str | None = None, retries: int = 0
    ) -> Callable[[F], F]: ...

    def acquire(
        self,
        function: Any = None,  # Any: a function, or whatever is a channel
        /,
        *,
        name: str | None = None,
        unit: str | None = None,
        per: str | None = None,
        retries: int = 0,
    ) -> Any:  # what was given, or the decorator
        """Register a measurement function, sync or async; its arguments are instruments, parameters and `ctx`.

        It returns a mapping of variable names to values, one value (named after the function), or an xarray object.
        A sync function runs in a thread, so that it may block. `per="temperature"` calls it once at each value of that
        parameter, before what is inside, and records along the parameters down to it. `retries=2` calls it up to twice
        again at a point where an instrument fails (InstrumentError); each failure is noted.

        `acquire(dmm.volt)` registers a channel, what `labnb.channel` takes and is no function; and a value that a
        function returns may be one: it is read.
        """

        def register(given: Any) -> Any:
            acquire = (reading_of if is_channel(given) else acquire_of)(given, name, unit, per, retries)
            check_named(acquire, self._contents.acquires.get(acquire.name))
            self._contents.acquires[acquire.name] = acquire
            return given

        return register if function is None else register(function)

    @overload
    def task(self, function: F, /) -> F: ...
    @overload
    def task(self, /, *, name: str | None = None, on_error: OnError = "stop") -> Callable[[F], F]: ...

    def task(
        self, function: F | None = None, /, *, name: str | None = None, on_error: OnError = "stop"
    ) -> F | Callable[[F], F]:
        """Register a background task: begun before the first point, ended and awaited after the last, on every path.

        An async one is cancelled at the end. A sync one has a thread of its own and should ask for `stop`, a
        threading.Event: `while not stop.wait(0.5): ...`. If it fails, so does the run, unless `on_error="warn"`.
        """

        def register(given: F) -> F:
            task = task_of(given, name, on_error)
            check_named(task, self._contents.tasks.get(task.name))
            self._contents.tasks[task.name] = task
            return given

        return register if function is None else register(function)

    def before(self, axis: str | None = None) -> Callable[[F], F]:
        """Register a function that is called at each value of the parameter `axis`, before anything is measured there.

        Without `axis`: once, before the first point.
        """
        return self._hook(axis, late=False)

    def after(self, axis: str | None = None) -> Callable[[F], F]:
        """Register a function that is called when everything at a value of the parameter `axis` has been measured.

        Without `axis`: once, after the last point, also if the run is stopped or fails.
        """
        return self._hook(axis, late=True)

    def _hook(self, axis: str | None, *, late: bool) -> Callable[[F], F]:
        if axis is not None and not isinstance(axis, str):  # pyright: ignore[reportUnnecessaryIsInstance]  @session.before without ()
            raise PlanError('write @session.before() or @session.before("voltage"), with parentheses')

        def register(given: F) -> F:
            kind = "after" if late else "before"
            called, wants, awaiting = wants_of(given, kind, None)
            hook = Hook(called, given, wants, awaiting, axis, late)
            check_named(hook, self._contents.hooks.get((axis, late, called)))
            self._contents.hooks[axis, late, called] = hook
            return given

        return register

    def stop_when(self, condition: F) -> F:
        """Register the condition that ends the run normally after a point, e.g. `lambda ctx: ctx["current"] > 1e-3`.

        Its arguments are instruments, parameters and `ctx`, which has the results of the point too.
        """
        called, wants, awaiting = wants_of(condition, "stop_when", None)
        self._contents.until = Registered(called, condition, wants, awaiting)
        return condition

    @property
    def plan(self) -> Plan:
        """The grid that `run` measures."""
        return self._contents.plan

    # ---- running

    def run(
        self, *, duration: float | None = None, interval: float | None = None
    ) -> Any:  # a coroutine that returns the Run, or in `with` the Run itself: pyright cannot tell which
        """Measure; return the finished run (`.data`). Cancelling it cancels the run, safely.

        Without arguments the whole grid of the parameters. With `interval` (s) and `duration` (s; None: until it is
        stopped) on a schedule, at k * interval, while the tasks go on: dimension `time`, and the variable `lateness`
        says how late each point was begun. Await it, unless the session is used by `with`.
        """
        if self._blocking:
            return self.run_sync(duration=duration, interval=interval)
        return self._run(duration, interval)

    async def _run(self, duration: float | None, interval: float | None) -> Run:
        return await self.start(duration=duration, interval=interval).foreground()

    def run_sync(self, *, duration: float | None = None, interval: float | None = None) -> Run:
        """Do the same and block until it is done, in a script and in a notebook."""
        return run_blocking(lambda: self._run(duration, interval))

    def start(self, *, duration: float | None = None, interval: float | None = None) -> Run:
        """Begin on the running loop and return the run at once; `await` it for its end. Arguments as for `run`.

        Raises LifecycleError where no loop runs, as in a synchronous script.
        """
        check_loop(f"run {self.name!r}")
        return self._start(self._prepare(duration, interval))

    def _start(self, run: Run) -> Run:
        run.start()
        self._runs = [*self._under_way(), run]
        return run

    def resume(self, run: str | os.PathLike[str] | None = None) -> Any:  # as `run`
        """Go on with a run of this session that was killed, stopped or failed: measure the points that it lacks.

        `run` is its folder; without it the latest run of this session's name, which must not be done. Functions of
        outer parameters are called again before what is inside goes on. Raises PlanError if what this session measures
        is not what the run has, RecordError if there is nothing to resume, RunLocked if it is still being written.
        """
        if self._blocking:
            return run_blocking(lambda: self._resume(run))
        return self._resume(run)

    async def _resume(self, run: str | os.PathLike[str] | None) -> Run:
        return await self._start(self._prepare(None, None, again=self._unfinished(run))).foreground()

    def _unfinished(self, run: str | os.PathLike[str] | None) -> Path:
        if run is not None:
            return Path(run)
        root = data_root(self._store)
        found = find_unfinished(root, self.name)
        if found is None:
            raise RecordError(
                f"no run called {self.name!r} in {root} is unfinished: the latest is done, or there is none; run() "
                "starts a new one"
            )
        return found

    def describe(self, *, duration: float | None = None, interval: float | None = None) -> str:
        """Return in words what `run` with these arguments would measure, and how long it would take if that is known.

        Nothing moves. Raises what `run` would raise before it begins.
        """
        return describe(self._job(duration, interval, Warnings()), data_root(self._store))

    def _prepare(self, duration: float | None, interval: float | None, again: Path | None = None) -> Run:
        warnings = Warnings()
        job = self._job(duration, interval, warnings)
        run = Run(job, data_root(self._store), _views.make_view, again=again)
        warnings.run = run
        return run

    def _job(self, duration: float | None, interval: float | None, warnings: Warnings) -> Job:
        about: dict[str, object] = {} if self._bench is None else {"bench": self._bench.describe()}
        return self._contents.job(
            self.name, self._gear, duration, interval, warnings, {"note": self.description, **about}
        )


def resume(run: "Run | str | os.PathLike[str]", session: MeasurementSession | None = None) -> Any:  # an awaitable Run
    """Go on with a run that was killed, stopped or failed: `await labnb.resume("labnb-data/2026/11/21/...-iv-7f3a")`.

    A run that a `%%measure` cell began is continued by that cell, whose text is kept with the data, with the names that
    the notebook has now; one that a session began needs the `session` that measures the same. What the run has stays as
    it is, and only the points that it lacks are measured.
    Raises PlanError if that is not the measurement that began the run, RecordError if there is nothing to resume.
    """
    path = run.path if isinstance(run, Run) else Path(run)
    if session is not None:
        return session.resume(path)
    resuming = _views.resume_cell(path)
    if resuming is None:
        raise PlanError(
            f"{path}: give the session that measures it, labnb.resume(path, session); a run that a cell began is resumed "
            "in a notebook, after %load_ext labnb"
        )
    return resuming


def _is_name(name: object) -> bool:
    """Whether `name` is one name or several, as opposed to a channel."""
    return isinstance(name, str) or (
        isinstance(name, tuple) and all(isinstance(each, str) for each in cast("tuple[object, ...]", name))
    )


Measurement = MeasurementSession
"""The short name of `labnb.session.MeasurementSession`."""
