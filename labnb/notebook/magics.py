"""`%load_ext labnb` and `%%measure`: what IPython calls."""

import asyncio
import sys
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class

from labnb.core import LabnbError, PlanError, sweep
from labnb.notebook.loop import MeasureInterrupted, interrupts
from labnb.notebook.output import Output, session_output
from labnb.notebook.prepare import Prepared, prepare
from labnb.notebook.request import USAGE, Request, parse_line
from labnb.notebook.task_magics import TaskMagics
from labnb.notebook.tracebacks import register_source, shown_from
from labnb.record import find_unfinished, open_run
from labnb.session import Run, Task, data_root, describe, forget_view, register_cells, register_view
from labnb.session.monitoring import Chart, ChartView, Readings, forget_chart, register_chart

_CALL = "get_ipython().run_cell_magic('measure'"


@magics_class
class MeasureMagics(Magics):
    """The cell magics of labnb."""

    def __init__(self, shell: InteractiveShell, tasks: dict[str, Task]) -> None:
        super().__init__(shell)
        self._shell, self._tasks = shell, tasks

    @cell_magic
    def measure(self, line: str, cell: str) -> Coroutine[Any, Any, Run | None]:
        """Record the loop in this cell."""
        __tracebackhide__ = True
        filename, source = register_source(self._shell, line, cell)
        try:
            request = parse_line(line)
            _check_name_is_free(request.name, self._shell.user_ns)
            prepared = prepare(request, source, filename, self._shell.user_ns, self._tasks)
        except Exception as error:  # noqa: BLE001  raised again at once, from the user's line on
            shown = shown_from(error, filename, self._shell)
            raise shown from shown.__cause__
        if request.dry_run:
            return _describe(describe(prepared.job, data_root(request.store)))
        again = find_unfinished(data_root(request.store), request.name) if request.resume else None
        return _measure(self._shell, request, prepared, filename, again)


MeasureMagics.measure.__doc__ = f"""Record the loop in this cell: live, interruptible, safe on disk.

```
%%measure iv
for temperature in sweep([280, 300, 320], "K"):
    await oven.setpoint.set(temperature)
    stage: "K" = await oven.temperature.get()
    for voltage in sweep(0, 0.8, 81, "V"):
        await psu.channel(1).set(voltage=voltage)
        current: "A" = (await dmm.measure_current_dc()).values
```
`for NAME in sweep(...)` makes an axis, `name: "unit" = value` records; all else is Python as ever. The body has a
scope of its own: it reads the notebook's names, what it assigns stays inside. Afterwards `iv` is the run: `iv.data`.

Anybody's drivers, swept and read as they are (what `labnb.channel` takes), with their units:

```
%%measure iv
for v in sweep(smu.volt, 0, 1, 21):              set before each step; all setpoints are checked before the first
    current: smu.curr                            read and recorded
    half: (dmm, "voltage_dc")                    an attribute of a PyMeasure instrument
    power: "W" = v * current
```
`name: channel = value` takes only the unit. Blocking drivers run in the lane of their connection, with `await` in the
body and without. `gate = channel(smu.volt, limits=(0, 1), safe=0.0)` is back at 0 at the end, also after an error.

{USAGE}
"""


async def _describe(text: str) -> None:
    """Print what would be measured."""
    sys.stdout.write(text + "\n")


async def _measure(
    shell: InteractiveShell, request: Request, prepared: Prepared, filename: str, again: Path | None = None
) -> Run:
    __tracebackhide__ = True
    try:
        run = Run(
            prepared.job,
            data_root(request.store),
            lambda run: Output(run, plot=request.plot, show_error=shell.showtraceback if request.background else None),
            again=again,
        ).start()
    except LabnbError as error:
        raise shown_from(error, filename, shell) from error.__cause__
    shell.user_ns[request.name] = run
    if request.background:
        return run
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a coroutine runs outside of a task")
    with interrupts(task.cancel, prepared.code):
        try:
            return await run.foreground()
        except asyncio.CancelledError:
            while task.cancelling():
                task.uncancel()
            raise MeasureInterrupted(f"{run.kept} ({run.path})") from None
        except Exception as error:  # noqa: BLE001  raised again at once, from the user's line on
            raise shown_from(error, filename, shell) from error.__cause__


async def _resume_cell(shell: InteractiveShell, tasks: Mapping[str, Task], path: Path) -> Run:
    """Go on with the run in `path` by the cell that began it, which is kept with the data."""
    __tracebackhide__ = True
    stored = open_run(path)
    source = stored.metadata.get("source")
    if not isinstance(source, str):
        raise PlanError(
            f"run {stored.run_id} was not begun by a cell; resume it by its session: await labnb.resume(path, session)"
        )
    request = Request(stored.name, plot=_texts(stored.metadata.get("plot")), tasks=_texts(stored.metadata.get("with")))
    _check_name_is_free(request.name, shell.user_ns)
    filename, source = register_source(shell, request.name, source)
    try:
        prepared = prepare(request, source, filename, shell.user_ns, tasks)
    except Exception as error:  # noqa: BLE001  raised again at once, from the user's line on
        raise shown_from(error, filename, shell) from error.__cause__
    return await _measure(shell, request, prepared, filename, stored.path)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, cast("list[object]", value))) if isinstance(value, list) else ()


def _check_name_is_free(name: str, names: dict[str, Any]) -> None:  # the notebook's names may hold anything
    """Raise PlanError if `name` holds a run that goes on: nobody could stop it any more."""
    held = names.get(name)
    if isinstance(held, Run) and not held.state.ended:
        raise PlanError(
            f"{name} still measures (run {held.run_id}, {held.points} points so far): wait for it by `await {name}` or "
            f"end it by `{name}.stop()`, or give the new run another name"
        )


def _await_measure(lines: list[str]) -> list[str]:
    """Await the magic: a measurement in the foreground keeps its cell busy, not the kernel. Its value is not echoed."""
    if lines and lines[0].startswith(_CALL):
        text = "".join(lines)
        return [f"await {text.rstrip()};\n"]
    return lines


def _chart(chart: Chart, session: Readings) -> ChartView | None:
    from labnb.notebook.charts import session_chart

    return session_chart(chart, session)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Give `%%measure` and `sweep` to a notebook. Loading it twice changes nothing."""
    tasks = dict[str, Task]()
    shell.register_magics(MeasureMagics(shell, tasks), TaskMagics(shell, tasks))
    if _await_measure not in shell.input_transformers_post:
        shell.input_transformers_post.append(_await_measure)
    shell.push({"sweep": sweep}, interactive=False)
    register_view(session_output)
    register_chart(_chart)
    register_cells(partial(_resume_cell, shell, tasks))


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take them away again."""
    shell.input_transformers_post[:] = [t for t in shell.input_transformers_post if t is not _await_measure]
    for kind, name in (("cell", "measure"), ("cell", "task"), ("line", "tasks"), ("line", "stop")):
        shell.magics_manager.magics[kind].pop(name, None)
    forget_view(session_output)
    forget_chart(_chart)
    register_cells(None)
