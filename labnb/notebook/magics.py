"""`%load_ext labnb` and `%%measure`: what IPython calls."""

import asyncio
import atexit
import shutil
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from IPython.core.completer import CompletionContext, SimpleMatcherResult
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class

from labnb.core import LabnbError, PlanError, RecordError, sweep
from labnb.notebook.acknowledge import acknowledge_widgets, leave_widgets
from labnb.notebook.completing import make_matcher
from labnb.notebook.exploring import explore
from labnb.notebook.loop import MeasureInterrupted, interrupts
from labnb.notebook.output import ErrorInfo, Output, session_output
from labnb.notebook.prepare import Prepared, prepare
from labnb.notebook.request import USAGE, Request, parse_line
from labnb.notebook.task_magics import TaskMagics
from labnb.notebook.tracebacks import register_source, shown_from
from labnb.record import find_unfinished, open_run, register_explorer
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
    run = _begin(shell, request, prepared, filename, again)
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


def _begin(shell: InteractiveShell, request: Request, prepared: Prepared, filename: str, again: Path | None) -> Run:
    __tracebackhide__ = True

    def show(failed: ErrorInfo) -> None:
        _, error, _ = failed
        if isinstance(error, Exception):
            error = shown_from(error, filename, shell)
        shell.showtraceback((type(error), error, error.__traceback__))

    outputs = list[Output]()

    def make_output(run: Run) -> Output:
        outputs.append(Output(run, plot=request.plot, show_error=show if request.background else None))
        return outputs[0]

    try:
        root = data_root(request.store) if request.save else _unsaved_root()
        run = Run(prepared.job, root, make_output, again=again).start()
    except LabnbError as error:
        raise shown_from(error, filename, shell) from error.__cause__
    _tag(run, request.tags)
    if request.background:
        outputs[0].update()  # while the cell goes on: clients that run cells one by one lose what is shown later
    return run


def _tag(run: Run, tags: tuple[str, ...]) -> None:
    if tags:
        try:
            run.stored.tag(*tags)
        except RecordError as error:  # the measurement goes on; it can be tagged later
            run.warn(str(error))


def _unsaved_root() -> Path:
    """Return a folder for runs that are not to be kept: it is gone when the kernel ends."""
    root = tempfile.mkdtemp(prefix="labnb-not-saved-")
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return Path(root)


async def _resume_cell(shell: InteractiveShell, tasks: Mapping[str, Task], path: Path) -> Run:
    """Go on with the run in `path` by the cell that began it, which is kept with the data."""
    __tracebackhide__ = True
    stored = open_run(path)
    source = stored.metadata.get("source")
    if not isinstance(source, str):
        raise PlanError(
            f"run {stored.run_id} was not begun by a cell; resume it by its session: await labnb.resume(path, session)"
        )
    told = stored.metadata.get("source_options")
    options = told if isinstance(told, dict) else {}
    request = Request(
        stored.name,
        plot=_texts(options.get("plot")),
        tasks=_texts(stored.metadata.get("with")),
        thread=options.get("thread") is True,
    )
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


_OURS = (("cell", "measure"), ("cell", "task"), ("line", "tasks"), ("line", "stop"), ("line", "runs"))
_matchers: list[Callable[[CompletionContext], SimpleMatcherResult]] = []


def _chart(chart: Chart, session: Readings) -> ChartView | None:
    from labnb.notebook.charts import session_chart

    return session_chart(chart, session)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Give `%%measure` and `sweep` to a notebook. Loading it twice changes nothing.

    Magics that other packages have under these names stay theirs, but for `%%measure`.
    """
    tasks = dict[str, Task]()
    taken = _taken(shell)
    magics = TaskMagics(shell, tasks)
    for kind, name in taken:
        magics.magics[kind].pop(name, None)
    shell.register_magics(MeasureMagics(shell, tasks), magics)
    if told := [f"{'%' if kind == 'line' else '%%'}{name}" for kind, name in taken if name != "measure"]:
        sys.stderr.write(f"labnb: {', '.join(told)} belongs to another extension here, and stays what it was\n")
    if _await_measure not in shell.input_transformers_post:
        shell.input_transformers_post.append(_await_measure)
    shell.push({"sweep": sweep}, interactive=False)
    register_view(session_output)
    register_chart(_chart)
    register_explorer(explore)
    acknowledge_widgets(shell)
    register_cells(partial(_resume_cell, shell, tasks))
    _forget_matchers(shell)
    _matchers.append(make_matcher(shell, tasks))
    shell.Completer.custom_matchers.extend(_matchers)


def _taken(shell: InteractiveShell) -> list[tuple[str, str]]:
    """Return which magics of our names are there that are not ours."""
    found = shell.magics_manager.magics
    return [(kind, name) for kind, name in _OURS if name in found[kind] and not _is_ours(found[kind][name])]


def _is_ours(magic: object) -> bool:
    return isinstance(getattr(magic, "__self__", None), MeasureMagics | TaskMagics)


def _forget_matchers(shell: InteractiveShell) -> None:
    for matcher in _matchers:
        if matcher in shell.Completer.custom_matchers:
            shell.Completer.custom_matchers.remove(matcher)
    _matchers.clear()


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take them away again."""
    shell.input_transformers_post[:] = [t for t in shell.input_transformers_post if t is not _await_measure]
    magics = shell.magics_manager.magics
    for kind, name in _OURS:
        if _is_ours(magics[kind].get(name)):
            magics[kind].pop(name)
    _forget_matchers(shell)
    forget_view(session_output)
    forget_chart(_chart)
    register_cells(None)
    register_explorer(None)
    leave_widgets(shell)
