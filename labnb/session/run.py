"""One run, from its first point to its one exit: the handle that people hold meanwhile.

Every exit (done, stop, error, cancel, cancel twice) leads through `_finish`, which makes the instruments safe, seals
the data and sets the true final state. Only the run's loop writes its state.
"""

import asyncio
import contextlib
import html
from collections.abc import Awaitable, Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from labnb.core import (
    ABSENT,
    AdaptiveAxis,
    Event,
    LifecycleError,
    PlanError,
    RunCancelled,
    State,
    present_clock,
    step,
)
from labnb.instruments import Channel, Lane
from labnb.live import Reading, Snapshot, Ticker, fraction
from labnb.record import Publication, Recorder, StoredRun, load, open_run, publish_async
from labnb.session import _active
from labnb.session._apart import check_apart
from labnb.session._blocking import run_blocking, unbroken
from labnb.session._channels import claims, snapshots
from labnb.session._engine import Performance
from labnb.session._gate import Order
from labnb.session._resumed import Measured, check_same
from labnb.session._sinks import Sinks
from labnb.session._stall import StallWatch
from labnb.session.job import Coded, Job, View
from labnb.session.outline import Outline
from labnb.session.steps import Steps

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

_STOP_GRACE_S = 0.05  # how long a stop waits for the present point before it cuts the body's await short


class Run:
    """A measurement that runs or ran: awaitable, stoppable, with its data at hand.

    `await run` waits for the end and returns the run; it raises what the measurement raised, or RunCancelled.
    """

    def __init__(
        self,
        job: Job,
        root: Path,
        make_view: "Callable[[Run], View | None] | None" = None,
        *,
        again: Path | None = None,
    ) -> None:
        """`again` is the folder of a run of the same job that ended too early: what it lacks is measured."""
        claimed = (*job.instruments, *claims(job.channels), *job.devices)
        _active.check_free(claimed)
        if job.apart:
            check_apart(job.name)
        self._clock = present_clock()
        self._job = job
        if again is None:
            self._recorder = Recorder.create(root, job.name, _metadata(job))
        else:
            self._recorder = _resumed(again, job)
        measured = Measured(self._recorder.kept, job.outline) if again else None
        self._lane = Lane(f"run {self._recorder.run_id}")
        self._state = State.CREATED
        self._error: BaseException | None = None
        self._warnings: list[str] = []
        self._view = make_view(self) if make_view is not None else None
        self._sinks = Sinks(self._recorder, None if self._view is None else self._view.sink)
        self._steps = Steps(
            job.outline,
            dict(job.axes),
            awaiting=job.awaiting,
            declare=self._sinks.declare,
            put=self._sinks.route(),
            aside=self._lane.run,
            measured=measured,
            targets=job.targets,
            units=job.units,
        )
        self._used = dict.fromkeys(claimed)  # and whatever else the body turns out to use
        self._performance = Performance(job, self._steps, self._lane, self._used, self._companions(), self.warn)
        if self._sinks.has_to_show:
            self._performance.prelude = self._sinks.show_kept
        self._started_ns = 0
        self._begun: float | None = None
        self._finished: float | None = None
        self._main: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # ---- what people read

    @property
    def name(self) -> str:
        """The name it was given."""
        return self._job.name

    @property
    def run_id(self) -> str:
        """Name and four digits: unique, also on disk."""
        return self._recorder.run_id

    @property
    def path(self) -> Path:
        """Its folder; the zarr store is `data.zarr` in it."""
        return self._recorder.path

    @property
    def state(self) -> State:
        """Where it is between created and its end."""
        return self._state

    @property
    def error(self) -> BaseException | None:
        """What ended it, if it failed."""
        return self._error

    @property
    def points(self) -> int:
        """Points of the innermost loop that are kept."""
        return self._steps.points

    @property
    def total(self) -> int | None:
        """Points of the innermost loop that it will have; None if nobody knows."""
        return self._steps.total

    @property
    def outline(self) -> Outline:
        """Its loops and sections."""
        return self._job.outline

    @property
    def session(self) -> Coded:
        """The session behind it; `.code()` is its Python. Raises PlanError for a run that no cell began."""
        if self._job.session is None:
            raise PlanError(f"run {self.run_id} was not begun by a cell: the session that began it is in its own code")
        return self._job.session

    @property
    def warnings(self) -> tuple[str, ...]:
        """What did not stop it but should be known."""
        return tuple(self._warnings)

    @property
    def data(self) -> "xr.Dataset":
        """Everything measured so far, as stored: a lazy dataset for large runs. Not measured yet is NaN."""
        if not self._state.ended:
            self._recorder.flush()
        return load(self.path)

    @property
    def stored(self) -> StoredRun:
        """It as it lies on disk, to tag, to note on, to export: `run.stored.tag("good")`. Also while it runs."""
        return open_run(self.path)

    def publish(
        self, url: str, *, progress: "Callable[[int, int], None] | None" = None, **options: object
    ) -> Publication:
        """Send it below `url` when it has ended, see `labnb.record.publish`; a notebook's loop goes on meanwhile."""
        return run_blocking(lambda: publish_async(self, url, progress=progress, **options))

    @property
    def progress(self) -> float | None:
        """How much of it is measured, 0 to 1; None if nobody knows how many points there will be."""
        return fraction(self.points, self.total)

    def to_dataframe(self, *names: str) -> "pd.DataFrame":
        """Return what is measured so far as one tidy pandas table; of several tables `names` say which variables."""
        return cast("pd.DataFrame", self.data.labnb.to_dataframe(*names))

    def to_polars(self, *names: str) -> Any:  # polars is optional
        """Return what is measured so far as one tidy polars table, as `to_dataframe`. Needs polars."""
        return self.data.labnb.to_polars(*names)

    def show(self) -> None:
        """Show its panel here, or its picture if it has ended: when the output of its cell is gone, or far away.

        Raises LifecycleError if nobody shows it, as outside of a notebook.
        """
        if self._view is None:
            raise LifecycleError(
                f"run {self.run_id} has no panel: it was not started in a notebook with `%load_ext labnb`"
            )
        self._view.show()

    def explore(self, *others: "Run | StoredRun", plot: Sequence[str] | None = None) -> object:
        """Show what is measured so far in an interactive figure, with other runs over it; see `StoredRun.explore`."""
        if not self._state.ended:
            self._recorder.flush()
        stored = [other.stored if isinstance(other, Run) else other for other in others]
        return self.stored.explore(*stored, plot=plot)

    def snapshot(self) -> Snapshot:
        """Return what is to be shown about it now."""
        end = self._clock.monotonic() if self._finished is None else self._finished
        return Snapshot(
            name=self.name,
            run_id=self.run_id,
            state=self._state,
            points=self.points,
            total=self.total,
            elapsed_s=0.0 if self._begun is None else end - self._begun,
            setpoint="" if self._state.ended else self._steps.setpoint_text(),
            latest=self._latest(),
            path=_short(self.path),
            started_ns=self._started_ns,
            warnings=self.warnings,
            error="" if self._error is None else _one_line(self._error),
        )

    def _latest(self) -> tuple[Reading, ...]:
        found = list[Reading]()
        for slot in self._steps.slots:
            for record, value in zip(slot.records, slot.shown, strict=True):
                shape: object = getattr(value, "shape", ())
                if value is not ABSENT and not shape:
                    found.append(Reading(record.name, cast("float", value), record.unit))
        return tuple(found)

    # ---- what people ask for, from any thread

    def pause(self) -> None:
        """Hold before the next point. Raises LifecycleError if it has ended."""
        self._post(Event.PAUSE, Order.HOLD)

    def resume(self) -> None:
        """Go on after a pause. Raises LifecycleError if it has ended."""
        self._post(Event.RESUME, Order.GO)

    def stop(self) -> None:
        """End it normally after the present point, or at the body's next await. A run that has ended stays as it is."""
        if not self._state.ended:
            self._post(Event.STOP, Order.STOP)

    def cancel(self) -> None:
        """End it now: the present point is dropped, those before are kept. A run that has ended stays as it is."""
        if self._loop is None:
            raise LifecycleError(f"run {self.run_id} has not been started")
        self._loop.call_soon_threadsafe(self._cancel)

    abort = cancel

    def _post(self, event: Event, order: Order) -> None:
        step(self._state, event)  # raises here, where it was asked for
        if self._loop is None:
            raise LifecycleError(f"run {self.run_id} has not been started")
        if _running_loop() is self._loop:
            self._obey(event, order)
        else:
            self._loop.call_soon_threadsafe(self._obey, event, order)

    def _obey(self, event: Event, order: Order) -> None:
        if self._state is State.CLOSING:
            return
        try:
            self._state = step(self._state, event)
        except LifecycleError:
            return  # it has begun to end since this was asked for
        self._steps.gate.give(order)
        if order is Order.STOP and self._loop is not None:
            self._loop.call_later(_STOP_GRACE_S, self._performance.cut)

    def _cancel(self) -> None:
        if self._main is not None and not self._state.ended:
            self._main.cancel()

    # ---- its life

    def start(self) -> "Run":
        """Begin on the running loop and return at once. Raises LifecycleError if it was started before."""
        following = step(self._state, Event.START)
        try:
            self._loop = asyncio.get_running_loop()
            _active.enter(self, self._used)
        except BaseException:
            self._give_up()
            raise
        self._state = following
        self._started_ns, self._begun = self._clock.time_ns(), self._clock.monotonic()
        self._main = self._loop.create_task(self._live(), name=f"labnb {self.run_id}")
        self._main.add_done_callback(self._end_unbegun)
        return self

    def _give_up(self) -> None:
        """Close what was opened for a run that may not begin."""
        self._state = step(step(self._state, Event.CLOSE), Event.CANCEL)
        self._sinks.close(self._state)
        self._lane.close()

    def __await__(self) -> Generator[Any, None, "Run"]:  # the protocol of await has Any
        return self._wait().__await__()

    def wait(self) -> "Run":
        """Block until it has ended; return it, or raise as `await` does. For code that cannot await.

        In a notebook the kernel's loop goes on meanwhile: figure, buttons and background tasks work.
        """
        loop = self._loop
        if loop is not None and loop.is_closed() and not self._state.ended:
            raise LifecycleError(
                f"run {self.run_id} can never end: its event loop was closed while it went on; {self.kept}"
            )
        if loop is not None and loop.is_running() and _running_loop() is not loop:
            return asyncio.run_coroutine_threadsafe(self._wait(), loop).result()
        return run_blocking(self._wait)

    async def _wait(self) -> "Run":
        if self._main is None:
            raise LifecycleError(f"run {self.run_id} has not been started")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(self._main)
        if not self._main.done():
            raise asyncio.CancelledError(f"nobody waits any more for run {self.run_id}, which goes on")
        if self._error is not None:
            raise self._error
        if self._state is State.CANCELLED:
            raise RunCancelled(f"cancelled; {self.kept}")
        return self

    async def foreground(self) -> "Run":
        """Start, if needed, and wait as its owner: cancelling this cancels the run and waits until it is safe."""
        if self._main is None:
            self.start()
        main = cast("asyncio.Task[None]", self._main)
        cancelled = False
        while not main.done():
            try:
                await asyncio.shield(main)
            except asyncio.CancelledError:
                cancelled = True
                main.cancel()
        if cancelled:
            raise asyncio.CancelledError
        return await self._wait()

    async def _live(self) -> None:
        event, error = await self._performance.perform()
        self._state = step(self._state, Event.CLOSE)
        if self._steps.missed:
            self.warn(
                f"{self._steps.missed} slots of the schedule were missed: the body takes longer than its interval"
            )
        if self._steps.held:
            self.warn(
                f"{self._steps.held} slots of the schedule were not measured: the run was paused, or something else "
                "kept the kernel busy"
            )
        await unbroken(lambda: self._finish(event, error))

    def _end_unbegun(self, main: "asyncio.Task[None]") -> None:
        """Bring a run to its end that was cancelled before its first step, when its loop ended: it has moved nothing."""
        if not main.cancelled() or self._state.ended or self._state is State.CLOSING:
            return
        self._state = step(self._state, Event.CLOSE)
        self._sinks.close(State.CANCELLED)
        self._finished = self._clock.monotonic()
        self._state = step(self._state, Event.CANCEL)
        self._lane.close()
        _active.leave(self)

    def _companions(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        if self._view is None:
            return ()
        ticker = Ticker(self._view.update, on_error=self._view_failed, clock=self._clock)
        if self._job.apart or not self._job.awaiting:
            return (ticker.run,)
        return (ticker.run, StallWatch(self._clock, self.warn, self._job.apart_by).run)

    def _view_failed(self, error: Exception) -> None:
        self.warn(f"the live view failed and was switched off: {_one_line(error)}")

    # ---- its end

    async def _finish(self, event: Event, error: BaseException | None) -> None:
        if self._state.ended:  # this is done once more, see `unbroken`: what was cut short is the view
            return
        final_event = event
        failures = await _active.make_all_safe(_active.take_own(self))
        for failure in failures:
            self.warn(str(failure))
        if failures and error is None:
            error, final_event = failures[0], Event.FAIL
        final = step(self._state, final_event)
        try:
            await self._lane.run(self._sinks.close, final)
        except Exception as closing:  # noqa: BLE001  becomes the run's error, which its owner sees
            final = State.FAILED
            error = closing if error is None else _noted(error, f"and closing the run failed: {_one_line(closing)}")
        for failure in failures:
            if error is not None and failure is not error:
                error.add_note(f"and making instruments safe failed: {_one_line(failure)}")
        self._error = None if error is None else self._explained(error)
        self._finished = self._clock.monotonic()
        self._state = final
        self._lane.close()
        _active.leave(self)
        await self._end_view()

    async def _end_view(self) -> None:
        if self._view is None:
            return
        try:
            await self._view.end()
        except Exception as error:  # noqa: BLE001  the data are safe; what failed is only the picture
            self.warn(f"the final view failed: {_one_line(error)}")

    def _explained(self, error: BaseException) -> BaseException:
        where = self._steps.where()
        return _noted(error, f"{where}; {self.kept}".removeprefix("; "))

    @property
    def kept(self) -> str:
        """Say how many points are kept, and where."""
        count = self.points
        return f"{count} point{'' if count == 1 else 's'} kept in run {self.run_id}"

    @property
    def swept(self) -> tuple[Channel, ...]:
        """The channels that its axes set."""
        return tuple(one for each in self._job.targets.values() for one in each if one is not None)

    def warn(self, text: str) -> None:
        """Keep a warning with the data and show it."""
        self._warnings.append(text)
        with contextlib.suppress(OSError):  # the record's own trouble is reported where points are put
            self._recorder.note("warning", text)

    def __repr__(self) -> str:
        total = "" if self.total is None else f" of {self.total}"
        return f"<Run {self.run_id}: {self._state}, {self.points}{total} points, {_short(self.path)}>"

    def _repr_html_(self) -> str:
        total = "" if self.total is None else f" of {self.total}"
        return (
            f"<b>{html.escape(self.run_id)}</b> {self._state}, {self.points}{total} points<br>"
            f"<code>{html.escape(_short(self.path))}</code>"
        )


def _resumed(folder: Path, job: Job) -> Recorder:
    return Recorder.resume(folder, _metadata(job), lambda kept: check_same(kept, job.outline, job.axes))


def _metadata(job: Job) -> dict[str, object]:
    described = {**job.metadata, "instruments": snapshots(job.instruments, job.channels, job.devices)}
    chosen = [name for axis in job.axes.values() if isinstance(axis, AdaptiveAxis) for name in axis.chosen]
    if chosen:
        described["chosen"] = chosen
    if job.channels:
        described["channels"] = [one.snapshot() for one in dict.fromkeys(job.channels)]
    return described


def _noted(error: BaseException, note: str) -> BaseException:
    error.add_note(note)
    return error


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().rstrip(":").splitlines()[0]


def _short(path: Path) -> str:
    with contextlib.suppress(ValueError, OSError):
        return str(path.relative_to(Path.cwd()))
    return str(path)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    with contextlib.suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None
