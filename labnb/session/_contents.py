"""What a session consists of: its parameters, functions, hooks and tasks, and the job that they make together."""

from collections.abc import Mapping, Sequence
from typing import final

from labnb.core import AdaptiveAxis, Axis, LoopAxis, Plan, PlanError
from labnb.instruments import Channel
from labnb.session._acquire import Acquire
from labnb.session._channels import Targets, aimed
from labnb.session._function import Registered, source_of
from labnb.session._gear import Gear
from labnb.session._schedule import time_axis
from labnb.session._task import Task, companion_of
from labnb.session._walk import Chosen, Functions, Grid, Hook, Series
from labnb.session.job import Job
from labnb.session.run import Run


@final
class Warnings:
    """Hands warnings of a run's functions to the run, which is made after them."""

    def __init__(self) -> None:
        self.run: Run | None = None

    def __call__(self, text: str) -> None:
        """Keep `text` with the run's data and show it."""
        if self.run is not None:
            self.run.warn(text)


@final
class Contents:
    """Everything that was registered with a session, by its name."""

    def __init__(self) -> None:
        self.axes = dict[str, Axis]()
        self.targets = dict[str, tuple[object, ...]]()
        self.repeats: Axis | None = None
        self.adaptive: AdaptiveAxis | None = None
        self.acquires = dict[str, Acquire]()
        self.tasks = dict[str, Task]()
        self.hooks = dict[tuple[str | None, bool, str], Hook]()
        self.until: Registered | None = None

    @property
    def plan(self) -> Plan:
        """The grid, without what is adaptive."""
        return Plan((*self.axes.values(), *([self.repeats] if self.repeats else [])))

    @property
    def swept(self) -> list[str]:
        """The names of everything that is swept."""
        chosen = () if self.adaptive is None else self.adaptive.chosen
        return [*chosen, *(name for axis in self.plan.axes for name in axis.names)]

    def job(
        self,
        name: str,
        gear: Gear,
        duration: float | None,
        interval: float | None,
        warnings: Warnings,
        about: Mapping[str, object],
    ) -> Job:
        """Return what a run is to do; `about` is kept with its data. Raises PlanError if it cannot be done."""
        if not self.acquires:
            raise PlanError("this session measures nothing: register a function with @session.acquire")
        functions = Functions(tuple(self.acquires.values()), tuple(self.hooks.values()), self.until, gear.by_alias)
        walk, axes = self._walk(functions, duration, interval, warnings)
        targets = self._aim(axes)
        chosen = () if self.adaptive is None else self.adaptive.chosen
        self._check_wants(gear.by_alias, [*chosen, *(each for axis in axes for each in axis.names)])
        return Job(
            name,
            walk.outline,
            walk.awaiting if functions.awaiting else walk.blocking,
            functions.awaiting,
            dict(enumerate(axes)),
            gear.ours,
            {**self._metadata(interval), **about},
            [companion_of(task, {**gear.by_alias, "ctx": walk.ctx}) for task in self.tasks.values()],
            targets=targets,
            channels=self._channels(targets),
            devices=gear.foreign,
        )

    def _walk(
        self, functions: Functions, duration: float | None, interval: float | None, warnings: Warnings
    ) -> tuple[Grid | Series | Chosen, Sequence[LoopAxis]]:
        if duration is not None or interval is not None:
            axis = self._schedule(duration, interval)
            return Series(functions, float(interval or 0), duration, warnings), [axis]
        if self.adaptive is not None:
            self._check_alone(self.adaptive)
            return Chosen(self.adaptive, functions, warnings), [self.adaptive]
        return Grid(self.plan.axes, functions, warnings), self.plan.axes

    def _aim(self, axes: Sequence[LoopAxis]) -> dict[int, Targets]:
        """Return what the axes set. Raises LimitError if a limit has been declared meanwhile that forbids a setpoint."""
        return {
            key: aimed(axis, self.targets[axis.name])[1]
            for key, axis in enumerate(axes)
            if isinstance(axis, Axis) and axis.name in self.targets
        }

    def _channels(self, targets: Mapping[int, Targets]) -> tuple[Channel, ...]:
        read = (acquire.channel for acquire in self.acquires.values())
        swept = (target for each in targets.values() for target in each)
        return tuple(made for made in (*swept, *read) if made is not None)

    def _schedule(self, duration: float | None, interval: float | None) -> LoopAxis:
        if interval is None:
            raise PlanError(f"run(duration={duration!r}) needs an interval too: how often to measure, in s")
        swept = [*(self.adaptive.chosen if self.adaptive else ()), *self.plan.dims]
        if swept:
            raise PlanError(
                f"run(interval={interval!r}) measures on a schedule and sweeps nothing, but this session has the "
                f"parameters {', '.join(swept)}; run() sweeps them"
            )
        return time_axis(interval, duration)

    def _check_alone(self, adaptive: AdaptiveAxis) -> None:
        """Raise PlanError if something is swept beside an adaptive parameter."""
        if self.plan.dims:
            raise PlanError(
                f"the adaptive parameter {', '.join(adaptive.chosen)} is the only one, but this session has "
                f"{', '.join(self.plan.dims)} too; average inside of the measurement function instead"
            )

    def _check_wants(self, instruments: Mapping[str, object], axes: Sequence[str]) -> None:
        """Raise PlanError if a function wants what it cannot get."""
        known = dict.fromkeys([*instruments, *axes, "ctx"], None)
        for function in (*self.acquires.values(), *self.hooks.values(), *([self.until] if self.until else [])):
            function.check(known, "neither an instrument nor a parameter")
        for task in self.tasks.values():
            task.check(dict.fromkeys([*instruments, "ctx", "stop"]), "no instrument")

    def _metadata(self, interval: float | None) -> dict[str, object]:
        """Return what is kept with the data: that of a cell that measures the same, but for the source."""
        functions: list[Registered] = [*self.acquires.values(), *self.tasks.values(), *self.hooks.values()]
        sources = {function.name: source_of(function.function) for function in functions}
        sources |= {name: f"channel {read.channel.name}" for name, read in self.acquires.items() if read.channel}
        return {"source": sources, "source_options": {}, "every_s": interval, "with": list(self.tasks)}
