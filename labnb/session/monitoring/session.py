"""Monitoring sessions without a network: data, and the tasks that log them."""

import asyncio
import contextlib
import inspect
import math
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

from labnb.core import LifecycleError, PlanError, nearest
from labnb.session._blocking import run_blocking
from labnb.session.monitoring._going import Going
from labnb.session.monitoring._jobs import Accompaniment, Work, caller_of, works_of
from labnb.session.monitoring._limits import Limits, parse_limits
from labnb.session.monitoring.chart import Chart, Span, chart_of, view_of
from labnb.session.monitoring.data import SessionData
from labnb.session.monitoring.picture import PictureFile, load_drawing

Notify = Callable[["Alarm"], object]

_PERIOD_S = 0.5  # of charts
_PATIENCE_S = 2.0  # for their last pictures,
_HASTE_S = 0.1  # and where a person waits
_SLIP_S = 60.0  # until a name that nobody has logged is taken for a slip


@dataclass(slots=True)
class Alarm:
    """A limit that is watched, and whether it is exceeded now: `raised`, by the `value` of time `timestamp` (s)."""

    limits: Limits
    notify: tuple[Notify, ...] = ()
    raised: bool = False
    value: float = math.nan
    timestamp: float = math.nan

    @property
    def text(self) -> str:
        """Return e.g. `ALARM pressure > 1e-3: pressure is 0.002`."""
        state = "ALARM" if self.raised else "over"
        return f"{state} {self.limits.text}: {self.limits.name} is {self.value:.6g}"


@dataclass(slots=True)
class _Monitor:
    """What belongs to one call of `monitor`."""

    going: Going
    asides: set["asyncio.Task[None]"] = field(default_factory=set["asyncio.Task[None]"])


class MonitoringSession(SessionData):
    """A session whose tasks log, plot and watch; nothing leaves this computer. See `labnb.AsyncSession`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._monitor: _Monitor | None = None
        self._alarms: dict[str, list[Alarm]] = {}
        self._charts: list[Chart] = []

    @property
    def running(self) -> bool:
        """Whether tasks should go on; long ones look at it."""
        return self._monitor is not None and not self._monitor.going.stopping

    def state(self) -> str:
        """Return "running", "stopping" or "ended" for what `monitor` does."""
        return "ended" if self._monitor is None else "stopping" if self._monitor.going.stopping else "running"

    def ask_exit(self, *_: object) -> None:
        """Have all tasks of `monitor` end after their present call; what sleeps wakes at once. From any thread."""
        if self._monitor is not None:
            self._monitor.going.ask()

    # ---- tasks

    async def monitor(self, *tasks: object) -> None:
        """Run tasks until they end, `ask_exit()` or Ctrl-C; a second Ctrl-C cuts them short.

        An async function is called again and again, with the session if it takes an argument; a coroutine runs once;
        `plot` and others of the session go along. When a task raises, the others are cancelled, and its error, which
        names it, is raised. Instruments that the tasks used are made safe then, and on every other exit.
        Raises PlanError for what is no task, LifecycleError if a monitor goes on already, RunCancelled when cut short.
        """
        await self._watch_over(tasks, contextlib.nullcontext())

    async def _watch_over(self, tasks: Sequence[object], around: contextlib.AbstractAsyncContextManager[None]) -> None:
        """Run tasks inside of `around`, which shows the session to others."""
        try:
            works = works_of(tasks, self, lambda: not self.running)
            if self._monitor is not None:
                raise LifecycleError(f"session {self.name!r} is monitored already; wait for that, or ask_exit() first")
            await self._go(works, around)
        finally:
            for task in tasks:
                if inspect.iscoroutine(task):
                    task.close()  # one that was never begun

    async def _go(self, works: Sequence[Work], around: contextlib.AbstractAsyncContextManager[None]) -> None:
        self._part()
        self._monitor = monitor = _Monitor(Going(self.name, self._tell))
        doubt = asyncio.get_running_loop().call_later(_SLIP_S, self._tell_slips)
        try:
            for load in {work.load for work in works if work.load}:
                await asyncio.to_thread(load)
            async with around:
                await monitor.going.perform(works)
        except Exception as error:
            part = self._part()
            error.add_note(f"what was logged is kept in {part.path}")
            notes = list(getattr(error, "__notes__", ()))
            part.note("error", f"{type(error).__name__}: {error}", notes=notes)
            raise
        finally:
            doubt.cancel()
            await self._end_asides(monitor)
            self._monitor = None

    def run(self, *tasks: object, **options: Any) -> None:
        """Do what `monitor` does, and block until it is done: in a script, and where a loop runs already."""
        run_blocking(lambda: self.monitor(*tasks, **options))

    async def sleep(self, duration: float, verbose: bool = True) -> None:
        """Sleep for `duration` s; wakes at once when the session stops. Raises PlanError for what is no duration."""
        if not _is_duration(duration):
            raise PlanError(f"sleep: expected a number of seconds, got {duration!r}")
        if self._monitor is None:
            await asyncio.sleep(duration)
        else:
            await self._monitor.going.sleep(max(0.0, duration))

    def sweep(
        self, task: Callable[..., Any], iterable: "Iterable[Any] | AsyncIterable[Any]"
    ) -> Coroutine[Any, Any, None]:
        """Return a task that awaits `task(session, value)` for every value and stops the session after the last.

        Raises PlanError for what is no async function, or cannot be iterated.
        """
        call = caller_of(task, "sweep", (self,), "value")
        if not (hasattr(iterable, "__iter__") or hasattr(iterable, "__aiter__")):
            raise PlanError(f"sweep: expected values to go through, got {iterable!r}")
        return self._sweep(call, iterable)

    async def _sweep(self, call: Callable[[Any], Awaitable[Any]], values: "Iterable[Any] | AsyncIterable[Any]") -> None:
        if isinstance(values, AsyncIterable):
            async for value in values:
                await call(value)
                if not self.running:
                    break
        else:
            for value in values:
                await call(value)
                if not self.running:
                    break
        self.ask_exit()

    def plot(
        self,
        varnames: str | Sequence[str] | None = None,
        maxvalues: int = 1000,
        yscale: object = None,
        *,
        x: str | None = None,
        y: str | None = None,
        fixed_ylim: Span | None = None,
        fixed_xlim: Span | None = None,
    ) -> Accompaniment:
        """Return a task that shows variables over time, or `y` over `x`, as long as the session goes on.

        In a notebook the figure is live; elsewhere a PNG in the session's folder is kept up to date, and the web page
        shows every variable anyway. `maxvalues`: how many of the latest entries. `yscale`: (low, high), or "log".
        Raises PlanError if nobody could draw it.
        """
        chart = chart_of(varnames, maxvalues, yscale, x, y, (fixed_xlim, fixed_ylim))
        return Accompaniment(f"plot of {chart.title}", lambda: self._plot(chart), load_drawing)

    async def _plot(self, chart: Chart) -> None:
        view = view_of(chart, self)
        if view is None:
            view = PictureFile(chart, self, self.path)
            self._say(f"plot of {chart.title}: {view.path}, every 10 s")
        self._charts.append(chart)
        try:
            while self.running:
                await view.update()
                await self.sleep(_PERIOD_S)
        except Exception as error:  # noqa: BLE001  a picture that fails must not end what is logged; its person sees it
            self._tell(f"the plot of {chart.title} failed and was switched off: {type(error).__name__}: {error}")
        finally:
            self._charts.remove(chart)
            await self._leave(view)

    async def _leave(self, view: Any) -> None:  # a ChartView
        try:
            await view.end(_HASTE_S if self._monitor is None or self._monitor.going.hasty else _PATIENCE_S)
        except Exception as error:  # noqa: BLE001  as above
            self._tell(f"the last picture failed: {type(error).__name__}: {error}")

    # ---- alarms

    def alert(
        self,
        condition: str,
        notify: "Notify | str | Sequence[Notify | str] | None" = None,
        *,
        hysteresis: float | None = None,
    ) -> Alarm:
        """Watch a logged variable: `sesn.alert("pressure > 1e-3", notify=close_valve)`. Return the alarm.

        When an entry exceeds the limit, that is shown and written to the session's events, and `notify` (a function
        that takes the alarm, sync or async, or several) is called; again when it is over. It is over when the value has
        come back by `hysteresis` (in its unit; 1 % of the limit). "10 < flow < 20" is the band that is allowed.
        Raises PlanError for a condition that cannot be understood.
        """
        limits = parse_limits(condition, hysteresis)
        several = notify if isinstance(notify, list | tuple) else [] if notify is None else [notify]
        alarm = Alarm(limits, tuple(self._notifier(each) for each in cast("Sequence[object]", several)))
        self._alarms.setdefault(limits.name, []).append(alarm)
        return alarm

    def alarms(self) -> dict[str, list[str]]:
        """Return, by variable, the limits that are exceeded now, as they were written."""
        raised = {name: [each.limits.text for each in several if each.raised] for name, several in self._alarms.items()}
        return {name: texts for name, texts in raised.items() if texts}

    def _notifier(self, notify: object) -> Notify:
        if callable(notify):
            return cast(Notify, notify)
        raise PlanError(f"alert: notify is a function that takes the alarm, got {notify!r}")

    def add_entry(self, *args: Mapping[str, object], **kwargs: object) -> None:
        """Log numbers, all with the present time. See `SessionData.add_entry`; alarms look at them."""
        super().add_entry(*args, **kwargs)
        if self._alarms:
            self._watch({name for given in (*args, kwargs) for name in given} & self._alarms.keys())

    def _watch(self, names: set[str]) -> None:
        for name in names:
            timestamp, value = next(part.last(name) for part in reversed(self._all_parts()) if name in part.numbers)
            for alarm in self._alarms[name]:
                raised = alarm.limits.judge(value, raised=alarm.raised)
                if raised is not alarm.raised:
                    alarm.raised, alarm.value, alarm.timestamp = raised, value, timestamp / 1e9
                    self._sound(alarm)

    def _sound(self, alarm: Alarm) -> None:
        self._part().note("alarm", alarm.text, variable=alarm.limits.name, value=alarm.value, raised=alarm.raised)
        self._say(alarm.text)
        for notify in alarm.notify:
            try:
                result = notify(alarm)
            except Exception as error:  # noqa: BLE001  logging goes on; a person sees it
                self._tell_failed(alarm, error)
                continue
            if inspect.isawaitable(result):
                self._aside(self._notified(alarm, result))

    async def _notified(self, alarm: Alarm, result: Awaitable[object]) -> None:
        try:
            await result
        except Exception as error:  # noqa: BLE001  as above
            self._tell_failed(alarm, error)

    def _tell_failed(self, alarm: Alarm, error: Exception) -> None:
        self._tell(f"what {alarm.limits.text!r} should have called failed: {type(error).__name__}: {error}")

    def _aside(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Do something beside the tasks; the monitor waits for it at its end."""
        if self._monitor is None:
            coroutine.close()
            self._tell("an alarm has nobody to run its notification: no monitor is going on")
            return
        self._monitor.going.post(partial(_begin_aside, coroutine, self._monitor.asides))

    async def _end_asides(self, monitor: _Monitor) -> None:
        if monitor.asides:
            _, left = await asyncio.wait(monitor.asides, timeout=10.0)
            for task in left:
                task.cancel()

    def _tell_slips(self) -> None:
        """Tell of names that are watched or shown, but were not logged."""
        logged = self.logged_variables()
        shown = {
            name: f"the plot of {chart.title}" for chart in self._charts for name in (*chart.names, chart.x) if name
        }
        watched = {
            each.limits.name: f"the alarm {each.limits.text!r}" for all_ in self._alarms.values() for each in all_
        }
        for name, what in {**shown, **watched}.items():
            if name not in logged:
                self._tell(f"{what} waits for {name!r}, which nobody has logged; {nearest(name, sorted(logged))}")

    def _tell(self, text: str) -> None:
        """Keep a warning with the data, and show it."""
        self._part().note("warning", text)
        self._say(text)


def _begin_aside(coroutine: Coroutine[Any, Any, None], asides: "set[asyncio.Task[None]]") -> None:
    task = asyncio.ensure_future(coroutine)
    asides.add(task)
    task.add_done_callback(asides.discard)


def _is_duration(value: object) -> bool:
    return isinstance(value, int | float) and not math.isnan(value)
