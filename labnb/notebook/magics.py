"""`%load_ext labnb` and `%%measure`: what IPython calls."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, magics_class

from labnb.core import LabnbError, PlanError, sweep
from labnb.notebook.loop import MeasureInterrupted, interrupts
from labnb.notebook.output import Output, session_output
from labnb.notebook.prepare import Prepared, prepare
from labnb.notebook.request import USAGE, Request, parse_line
from labnb.record import find_unfinished, open_run
from labnb.session import Run, data_root, forget_view, register_cells, register_view

_CALL = "get_ipython().run_cell_magic('measure'"


@magics_class
class MeasureMagics(Magics):
    """The cell magics of labnb."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._shell = shell

    @cell_magic
    def measure(self, line: str, cell: str) -> Coroutine[Any, Any, Run]:
        """Record the loop in this cell."""
        __tracebackhide__ = True
        filename, source = _register(self._shell, line, cell)
        try:
            request = parse_line(line)
            _check_name_is_free(request.name, self._shell.user_ns)
            prepared = prepare(request, source, filename, self._shell.user_ns)
        except Exception as error:  # noqa: BLE001  raised again at once, from the user's line on
            shown = _shown_from(error, filename, self._shell)
            raise shown from shown.__cause__
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

{USAGE}
"""


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
        raise _shown_from(error, filename, shell) from error.__cause__
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
            raise _shown_from(error, filename, shell) from error.__cause__


async def _resume_cell(shell: InteractiveShell, path: Path) -> Run:
    """Go on with the run in `path` by the cell that began it, which is kept with the data."""
    __tracebackhide__ = True
    stored = open_run(path)
    source = stored.metadata.get("source")
    if not isinstance(source, str):
        raise PlanError(
            f"run {stored.run_id} was not begun by a cell; resume it by its session: await labnb.resume(path, session)"
        )
    plot = stored.metadata.get("plot")
    request = Request(stored.name, plot=tuple(map(str, plot)) if isinstance(plot, list) else ())
    _check_name_is_free(request.name, shell.user_ns)
    filename, source = _register(shell, request.name, source)
    try:
        prepared = prepare(request, source, filename, shell.user_ns)
    except Exception as error:  # noqa: BLE001  raised again at once, from the user's line on
        raise _shown_from(error, filename, shell) from error.__cause__
    return await _measure(shell, request, prepared, filename, stored.path)


def _register(shell: InteractiveShell, line: str, cell: str) -> tuple[str, str]:
    """Make the cell's text known to tracebacks; return its file name there and the body as plain Python."""
    source = shell.transform_cell(cell)
    text = f"# %%measure {line}\n{source}"  # a comment: what shows tracebacks parses it
    return shell.compile.cache(text, shell.execution_count - 1, raw_code=text), source


def _check_name_is_free(name: str, names: dict[str, Any]) -> None:  # the notebook's names may hold anything
    """Raise PlanError if `name` holds a run that goes on: nobody could stop it any more."""
    held = names.get(name)
    if isinstance(held, Run) and not held.state.ended:
        raise PlanError(
            f"{name} still measures (run {held.run_id}, {held.points} points so far): wait for it by `await {name}` or "
            f"end it by `{name}.stop()`, or give the new run another name"
        )


class CellRefused(PlanError):
    """A body that cannot be a measurement, shown at its own line.

    Not a SyntaxError: of those IPython shows all that led there.
    """


def _shown_from(error: Exception, filename: str, shell: InteractiveShell) -> Exception:
    """Return `error`, shown by IPython from the user's own line on, without the frames that lead there.

    Of an error that labnb raises on purpose its own frames below are left out too: what is wrong is in the cell.
    """
    if isinstance(error, SyntaxError):
        return _shown_at_its_line(error, shell)
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != filename:
        trace = trace.tb_next
    if isinstance(error, LabnbError):
        trace = _without_ours(trace)

    def render() -> list[str]:
        if trace is None:
            return ["\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])]
        return shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)

    if trace is not None or isinstance(error, LabnbError):
        error._render_traceback_ = render  # pyright: ignore[reportAttributeAccessIssue]  IPython's protocol
    return error


def _shown_at_its_line(error: SyntaxError, shell: InteractiveShell) -> CellRefused:
    where = "" if error.lineno is None else f"line {error.lineno} of the cell: "
    said = error.msg or error.args[0]
    refused = CellRefused(f"{where}{said}")
    refused.__cause__ = error

    def render() -> list[str]:
        if error.lineno is None:
            return [f"{type(error).__name__}: {said}"]
        return shell.SyntaxTB.structured_traceback(type(error), error)

    refused._render_traceback_ = render  # pyright: ignore[reportAttributeAccessIssue]  IPython's protocol
    return refused


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return `trace` up to the last frame that is not labnb's."""
    frames = list[TracebackType]()
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    while frames and frames[-1].tb_frame.f_globals.get("__name__", "").partition(".")[0] != "__main__":
        frames.pop()
    for frame in reversed(frames):
        trace = TracebackType(trace, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return trace


def _await_measure(lines: list[str]) -> list[str]:
    """Await the magic: a measurement in the foreground keeps its cell busy, not the kernel. Its value is not echoed."""
    if lines and lines[0].startswith(_CALL):
        text = "".join(lines)
        return [f"await {text.rstrip()};\n"]
    return lines


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Give `%%measure` and `sweep` to a notebook. Loading it twice changes nothing."""
    shell.register_magics(MeasureMagics)
    if _await_measure not in shell.input_transformers_post:
        shell.input_transformers_post.append(_await_measure)
    shell.push({"sweep": sweep}, interactive=False)
    register_view(session_output)
    register_cells(partial(_resume_cell, shell))


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take them away again."""
    shell.input_transformers_post[:] = [t for t in shell.input_transformers_post if t is not _await_measure]
    shell.magics_manager.magics["cell"].pop("measure", None)
    forget_view(session_output)
    register_cells(None)
