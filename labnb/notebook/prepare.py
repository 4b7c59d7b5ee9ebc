"""From the text of a `%%measure` cell to a job that is checked and ready to run; nothing moves here."""

import ast
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from labnb.core import AdaptiveSweep, CellError, LoopAxis, PlanError, Sweep, nearest
from labnb.instruments import Channel, Instrument, channel
from labnb.notebook._syntax import SweepTest, is_sweep_call
from labnb.notebook.cell import compile_cell
from labnb.notebook.compiled import Cell, ChannelRecord, cell_error, no_unit
from labnb.notebook.equivalent import CellSession
from labnb.notebook.pieces import BODY, CHANNELS, SWEEPS
from labnb.notebook.reachable import find_channels, find_devices, find_instruments, used_parts
from labnb.notebook.request import Request
from labnb.notebook.surroundings import Surroundings
from labnb.notebook.task import known_task
from labnb.session import (
    Job,
    Outline,
    Steps,
    Targets,
    Task,
    aimed,
    check_installed,
    companion_of,
    recordable,
    time_axis,
)

# The notebook's names may hold anything.
Namespace = dict[str, Any]
Named = tuple[tuple[ChannelRecord, Channel], ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job, and the code object of its body (to know whether it is on the stack)."""

    job: Job
    code: types.CodeType


def prepare(
    request: Request, source: str, filename: str, names: Namespace, tasks: Mapping[str, Task] | None = None
) -> Prepared:
    """Compile `source` against the notebook's `names` and evaluate its sweeps.

    Raises CellError at the body's own line for what cannot be a measurement, PlanError for what the sweeps say.
    """
    timed = request.every_s is not None

    def is_sweep(node: ast.expr) -> bool:
        return is_sweep_call(node) or (isinstance(node, ast.Name) and isinstance(names.get(node.id), Sweep))

    cell = compile_cell(source, filename, known=names, is_sweep=is_sweep, timed=timed)
    if not any(section.records for section in cell.outline.sections):
        raise CellError(
            'nothing would be recorded; give what you measure a unit, current: "A" = dmm.read(), or name a channel to '
            "read, current: dmm.curr"
        )
    _check_plot(request, cell)
    functions = Namespace()
    # The user's own code, compiled from his cell; it sees the notebook's names as its globals.
    exec(compile(cell.module, filename, "exec", dont_inherit=True), names, functions)  # noqa: S102
    axes, targets = _axes(cell, _as_the_cell(functions[SWEEPS]))
    if timed:
        axes[0] = time_axis(cast(float, request.every_s), request.for_s)
    beside = [known_task(name, tasks or {}) for name in request.tasks]
    channels = _channels(cell, _as_the_cell(functions[CHANNELS]), source, filename)
    swept = (target for each in targets.values() for target in each if target is not None)
    function = _as_the_cell(functions[BODY])
    used = used_parts(ast.parse(source), cell.names, names)
    instruments = tuple(dict.fromkeys(find_instruments(tuple(used), used)))
    body = _bind(cell, function, names, axes, request.every_s, channels)
    job = Job(
        request.name,
        _with_units(cell.outline, channels),
        body,
        cell.awaiting,
        axes,
        instruments,
        _metadata(request, source),
        [companion_of(task, {}) for task in beside],
        targets=targets,
        units={record.name: made for record, made in channels},
        channels=(*swept, *(made for _, made in channels), *find_channels(tuple(used), used)),
        devices=tuple(find_devices(cell.names, names)),
        apart=request.thread,
        apart_by="--thread",
        session=_session(request, source, cell, names, is_sweep, tasks or {}, channels, instruments),
    )
    return Prepared(job, function.__code__)


def _session(
    request: Request,
    source: str,
    cell: Cell,
    names: Namespace,
    is_sweep: SweepTest,
    tasks: Mapping[str, Task],
    channels: Named,
    instruments: Sequence[Instrument],
) -> CellSession:
    aliases = [
        next((name for name in sorted(names) if names[name] is each and not name.startswith("_")), None)
        for each in instruments
    ]
    aliases += [device.name for device in find_devices(cell.names, names)]
    around = Surroundings(
        {name: names[name] for name in cell.names if name in names},
        [alias for alias in aliases if alias is not None],
        {name: tasks[name] for name in request.tasks},
    )
    return CellSession(request, source, around, is_sweep, {record.name: made for record, made in channels})


def _as_the_cell(function: types.FunctionType) -> types.FunctionType:
    """Return `function` as tracebacks shall show it: the cell, not something inside of it."""
    function.__code__ = function.__code__.replace(co_name="<module>", co_qualname="<module>")
    return function


def _check_plot(request: Request, cell: Cell) -> None:
    known = [name for loop in cell.outline.loops for name in (loop.name, *loop.others)]
    known += [record.name for section in cell.outline.sections for record in section.records]
    for name in request.plot:
        if name not in known:
            told = f"nothing in this cell is called {name!r}; {nearest(name, known)}"
            raise PlanError(f"--plot {','.join(request.plot)}: {told}")
    if len(request.plot) > 3:
        raise PlanError(f"--plot {','.join(request.plot)}: give y, or x,y, or, for a map, x,y,colour")


def _channels(cell: Cell, evaluate: Callable[[], tuple[object, ...]], source: str, filename: str) -> Named:
    """Return the channels that records name. Raises CellError at the line of an annotation that is none."""
    found = list[tuple[ChannelRecord, Channel]]()
    for record, given in zip(cell.channels, evaluate(), strict=True):

        def refused(message: str, record: ChannelRecord = record) -> CellError:
            return cell_error(message, record.node, source.splitlines(), filename)

        if isinstance(given, type):
            raise refused(no_unit(record.name, record.written))
        try:
            made = channel(given)
        except PlanError as error:
            raise refused(f"{no_unit(record.name, record.written)}. {error}") from error
        if record.reads and not made.readable:
            raise refused(f"{record.written} can only be set; nothing could be read for {record.name!r}")
        found.append((record, made))
    return tuple(found)


def _with_units(outline: Outline, channels: Named) -> Outline:
    """Return `outline` with the units that channels know before they are read."""
    units = {record.name: made.unit for record, made in channels}
    sections = tuple(
        replace(section, records=tuple(replace(r, unit=units.get(r.name, r.unit)) for r in section.records))
        for section in outline.sections
    )
    return replace(outline, sections=sections)


def _reads(cell: Cell, channels: Named) -> tuple[Callable[[], Any], ...]:
    """Return the functions by which the body reads channels: to be awaited if the body awaits."""
    return tuple((_awaited if cell.awaiting else _blocking)(made) for _, made in channels)


def _awaited(made: Channel) -> Callable[[], Any]:
    async def read() -> object:
        return recordable(await made.get())

    return read


def _blocking(made: Channel) -> Callable[[], Any]:
    return lambda: recordable(made.get().result())


def _axes(cell: Cell, evaluate: Callable[[], Mapping[int, object]]) -> tuple[dict[int, LoopAxis], dict[int, Targets]]:
    axes, targets = dict[int, LoopAxis](), dict[int, Targets]()
    for key, values in evaluate().items():
        loop = cell.outline.loops[key]
        if isinstance(values, AdaptiveSweep):
            check_installed()
            axes[key] = values.named(*loop.chosen)
            continue
        if not isinstance(values, Sweep):
            raise PlanError(f"the loop over {loop.name!r} needs a sweep, got {values!r}")
        axis = values.named(loop.name, *loop.others)
        if any(target is not None for target in values.targets):
            axis, targets[key] = aimed(axis, values.targets)
        axes[key] = axis
    return axes, targets


def _bind(
    cell: Cell,
    function: Callable[..., Any],
    names: Namespace,
    axes: Mapping[int, LoopAxis],
    every_s: float | None,
    channels: Named,
) -> Callable[[Steps], Any]:
    """Return the body as the engine calls it: with the steps alone."""
    reads = _reads(cell, channels)

    def body(steps: Steps) -> Any:  # None, or a coroutine: the user's code decides
        inherited = {name: names[name] for name in cell.inherited}

        def ticks() -> Iterator[object]:
            return steps.ticks(0, axes[0], cast(float, every_s))

        return function(steps, ticks, reads, **inherited)

    return body


def _metadata(request: Request, source: str) -> dict[str, object]:
    """Return what is kept with the data: that of a session that measures the same, but for the source."""
    return {
        "source": source,
        "source_options": {"plot": list(request.plot), "thread": request.thread},
        "note": request.note,
        "every_s": request.every_s,
        "with": list(request.tasks),
    }
