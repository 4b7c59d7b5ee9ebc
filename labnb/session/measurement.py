"""The session API: parameters, instruments and measurement functions, and the run over their grid."""

import asyncio
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from labnb.core import Axis, InstrumentError, OpenAxis, Plan, PlanError, SchemaError, Sweep, check_name, sweep
from labnb.instruments import Instrument, connect_async, live_instruments
from labnb.session import _views
from labnb.session._acquire import Acquire, check, resolve, settled
from labnb.session._active import make_all_safe
from labnb.session.job import Job
from labnb.session.outline import Loop, Outline, Record, Section
from labnb.session.run import Run
from labnb.session.steps import Steps

F = TypeVar("F", bound=Callable[..., Any])  # a user's function keeps its own type


def data_root(store: str | os.PathLike[str] | None = None) -> Path:
    """Return where runs are kept: `store`, else the environment's LABNB_DATA, else ./labnb-data."""
    return Path(store or os.environ.get("LABNB_DATA") or "labnb-data").absolute()


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
        self, name: str | None = None, description: str = "", *, store: str | os.PathLike[str] | None = None
    ) -> None:
        self.name = check_name(name if name is not None else "measurement", "measurement")
        self.description = description
        self._store = store
        self._axes: dict[str, Axis] = {}
        self._acquires: dict[str, Acquire] = {}
        self._instruments: dict[str, tuple[object, Instrument]] = {}
        self._owned: list[Instrument] = []
        self._runs: list[Run] = []

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
        held = [instrument for _, instrument in self._instruments.values()]
        owned, self._owned = self._owned, []
        self._instruments.clear()
        failures = await make_all_safe(held)
        for instrument in owned:
            try:
                await asyncio.to_thread(instrument.close)
            except InstrumentError as error:
                failures.append(error)
        for other in failures[1:]:
            failures[0].add_note(f"and: {other}")
        if failures:
            raise failures[0]

    # ---- what it consists of

    async def instrument(
        self, alias: str, key: "str | Instrument", /, **options: Any
    ) -> Any:  # Any: its class depends on the key
        """Return the instrument called `alias` in measurement functions.

        `key` is a model ("keysight/EDU36311A", with `simulate=True` from the simulated bench), a VISA address, or a
        connected instrument. The same alias with the same key returns the same instrument. `options` are those of
        `connect`. Raises PlanError if the alias stands for something else already.
        """
        if not alias.isidentifier():
            raise PlanError(f"instrument alias {alias!r} cannot be an argument name; use letters, digits and '_'")
        if alias in self._axes:
            raise PlanError(f"{alias!r} is a parameter of this session already; choose another alias")
        identity = (key, tuple(sorted(options.items(), key=lambda item: item[0]))) if isinstance(key, str) else id(key)
        if alias in self._instruments:
            known, instrument = self._instruments[alias]
            if known != identity:
                raise PlanError(
                    f"instrument {alias!r} is {instrument!r} already; choose another alias for {key!r}, or close the session"
                )
            return instrument
        if isinstance(key, Instrument):
            self._instruments[alias] = (identity, key)
            return key
        held_by_others = live_instruments()
        instrument = await connect_async(key, name=alias, **options)
        self._instruments[alias] = (identity, instrument)
        if instrument not in held_by_others:
            self._owned.append(instrument)
        return instrument

    def parameter(
        self, name: str, values: "Sweep | Iterable[object]", unit: str | None = None, notes: str = ""
    ) -> Axis:
        """Declare a sweep axis; the first one declared is the outermost. Declaring it again replaces it.

        Raises PlanError if `values` are empty, not one-dimensional or not finite, or the name cannot be used.
        """
        if name in self._instruments:
            raise PlanError(f"{name!r} is an instrument of this session already; choose another name")
        if not isinstance(values, Sweep):
            values = sweep(values)
        axis = Axis(name, values.values, unit if unit is not None else values.unit, notes)
        self._axes[name] = axis
        return axis

    @overload
    def acquire(self, function: F, /) -> F: ...
    @overload
    def acquire(self, /, *, name: str | None = None, unit: str | None = None) -> Callable[[F], F]: ...

    def acquire(
        self, function: F | None = None, /, *, name: str | None = None, unit: str | None = None
    ) -> F | Callable[[F], F]:
        """Register a measurement function, sync or async; its arguments are instruments, parameters and `ctx`.

        It returns a mapping of variable names to values, one value (named after the function), or an xarray object.
        A sync function runs in a thread, so that it may block.
        """

        def register(given: F) -> F:
            acquire = resolve(given, name, unit)
            self._acquires[acquire.name] = acquire
            return given

        return register if function is None else register(function)

    @property
    def plan(self) -> Plan:
        """The grid that `run` measures."""
        return Plan(tuple(self._axes.values()))

    # ---- running

    async def run(self) -> Run:
        """Measure the whole grid; return the finished run (`.data`). Cancelling it cancels the run, safely."""
        return await self.start().foreground()

    def start(self) -> Run:
        """Begin on the running loop and return the run at once; `await` it for its end."""
        run = self._prepare().start()
        self._runs = [*self._under_way(), run]
        return run

    def _prepare(self) -> Run:
        if not self._acquires:
            raise PlanError("this session measures nothing: register a function with @session.acquire")
        instruments = {alias: instrument for alias, (_, instrument) in self._instruments.items()}
        known: dict[str, object] = {**instruments, **self._axes}
        for acquire in self._acquires.values():
            check(acquire, known)
        awaiting = any(acquire.awaiting for acquire in self._acquires.values())
        walk = _Walk(tuple(self._axes.values()), tuple(self._acquires.values()), instruments)
        job = Job(
            self.name,
            walk.outline,
            walk.awaiting if awaiting else walk.blocking,
            awaiting,
            dict[int, "Axis | OpenAxis"](enumerate(self._axes.values())),
            tuple(instruments.values()),
            {"description": self.description, "source": {a.name: _source(a) for a in self._acquires.values()}},
        )
        return Run(job, data_root(self._store), _views.make_view)


Measurement = MeasurementSession


class _Walk:
    """The body of a session's run: nested loops over its axes, every function called at each point."""

    def __init__(
        self, axes: tuple[Axis, ...], acquires: tuple[Acquire, ...], instruments: dict[str, Instrument]
    ) -> None:
        self._axes = axes
        self._acquires = acquires
        self._setpoints: dict[str, object] = {}
        self._calls = tuple((a, a.bind(instruments, self._setpoints)) for a in acquires)
        self._names: tuple[str, ...] = ()
        last = len(axes) - 1
        loops = tuple(
            Loop(k, axis.name, k - 1 if k else None, None, 0 if k == last else None, axis.notes)
            for k, axis in enumerate(axes)
        )
        self.outline = Outline(loops, (Section(0, last if axes else None, ()),), None if axes else 0)

    def blocking(self, steps: Steps) -> None:
        if not self._axes:
            self._store(steps, self._collect())
            return
        self._nest(steps, 0)

    def _nest(self, steps: Steps, level: int) -> None:
        name, setpoints = self._axes[level].name, self._setpoints
        if level < len(self._axes) - 1:
            for value in steps.loop(level):
                setpoints[name] = value
                self._nest(steps, level + 1)
            return
        collect, store = self._collect, self._store
        for value in steps.loop(level):
            setpoints[name] = value
            store(steps, collect())

    async def awaiting(self, steps: Steps) -> None:
        if not self._axes:
            self._store(steps, await self._collect_async(steps))
            return
        await self._nest_async(steps, 0)

    async def _nest_async(self, steps: Steps, level: int) -> None:
        name, setpoints = self._axes[level].name, self._setpoints
        if level == len(self._axes) - 1:
            await self._innermost(steps, level)
            return
        for value in steps.loop(level):
            if steps.due:
                await steps.rest()
            setpoints[name] = value
            await self._nest_async(steps, level + 1)

    async def _innermost(self, steps: Steps, level: int) -> None:
        name, setpoints, store = self._axes[level].name, self._setpoints, self._store
        acquire, call = self._calls[0]
        alone = len(self._calls) == 1 and acquire.awaiting
        for value in steps.loop(level):
            if steps.due:
                await steps.rest()
            setpoints[name] = value
            if alone:  # the usual case, without a coroutine of our own around the user's
                result = await call()
                store(steps, result if type(result) is dict else dict(acquire.results(await settled(result))))
            else:
                store(steps, await self._collect_async(steps))

    def _collect(self) -> dict[str, object]:
        if len(self._calls) == 1:
            acquire, call = self._calls[0]
            value = call()
            return value if type(value) is dict else dict(acquire.results(value))
        found = dict[str, object]()
        for acquire, call in self._calls:
            self._merge(found, acquire, acquire.results(call()))
        return found

    async def _collect_async(self, steps: Steps) -> dict[str, object]:
        found = dict[str, object]()
        for acquire, call in self._calls:
            value = await settled(call()) if acquire.awaiting else await steps.aside(call)
            self._merge(found, acquire, acquire.results(value))
        return found

    def _merge(self, found: dict[str, object], acquire: Acquire, results: "dict[str, object] | Any") -> None:
        for name, value in results.items():
            if name in found:
                raise SchemaError(f"acquire {acquire.name!r} returned {name!r}, which another one measured already")
            found[name] = value
            if name in self._setpoints and name in {axis.name for axis in self._axes}:
                raise SchemaError(f"acquire {acquire.name!r} returned {name!r}, which is a parameter")
        self._setpoints.update(results)

    def _store(self, steps: Steps, results: dict[str, object]) -> None:
        row = steps.slots[0].row
        names = self._names
        if not names:
            self._names = names = self._declare(steps, results)
            row = steps.slots[0].row
        try:
            row[:] = [results[name] for name in names]
        except KeyError as error:
            raise SchemaError(
                f"this point has no value for {error}; the first one measured {', '.join(names)}"
            ) from None
        if len(results) != len(names):
            new = sorted(set(results) - set(names))
            raise SchemaError(f"this point measured {', '.join(new)} in addition; the first one had {', '.join(names)}")

    def _declare(self, steps: Steps, results: dict[str, object]) -> tuple[str, ...]:
        if not results:
            raise SchemaError("the measurement functions returned no value; return a mapping such as {'voltage': v}")
        units = {a.name: a.unit for a in self._acquires}
        steps.slots[0].define([Record(n, units.get(n) or _unit_of(v)) for n, v in results.items()])
        return tuple(results)


def _unit_of(value: object) -> str:
    unit: object = getattr(value, "unit", None) or getattr(value, "attrs", {}).get("units", "")
    return unit if isinstance(unit, str) else ""


def _source(acquire: Acquire) -> str:
    try:
        return inspect.getsource(acquire.function)
    except (OSError, TypeError):
        return ""
