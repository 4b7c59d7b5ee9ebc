"""`%%task`, `%tasks`, `%stop` and `%runs`: what goes on beside cells, and what was measured."""

from collections.abc import Callable

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.display import display

from labnb.core import LabnbError
from labnb.notebook import searching
from labnb.notebook.going import Going, table, to_stop
from labnb.notebook.task import USAGE, compile_task, parse_task_line
from labnb.notebook.tracebacks import register_source, shown_from
from labnb.record import Runs
from labnb.session import StandingTask, Task


@magics_class
class TaskMagics(Magics):
    """The magics of background tasks. `tasks` are those that cells have made, by name; `%%measure --with` reads them."""

    def __init__(self, shell: InteractiveShell, tasks: dict[str, Task]) -> None:
        super().__init__(shell)
        self._shell, self._tasks = shell, tasks
        self._standing: dict[str, StandingTask] = {}

    @cell_magic
    def task(self, line: str, cell: str) -> StandingTask | None:
        """Keep the body of this cell as a background task."""
        __tracebackhide__ = True
        filename, source = register_source(self._shell, line, cell, "task")
        try:
            request = parse_task_line(line)
            task = compile_task(request, source, filename, self._shell.user_ns)
        except Exception as error:  # noqa: BLE001  raised again at once, from the user's line on
            raise shown_from(error, filename, self._shell) from error.__cause__
        self._tasks[request.name] = task
        return self._stand(task) if request.start else None

    def _stand(self, task: Task) -> StandingTask:
        going = self._standing.get(task.name)
        if going is not None and going.going:
            raise UsageError(f"task {task.name} is going already; %stop {task.name} first")
        self._standing[task.name] = StandingTask(task, _warn_here()).start()
        return self._standing[task.name]

    @line_magic("stop")  # pyright: ignore[reportUntypedFunctionDecorator]  IPython does not say what it returns
    def stop_by_name(self, line: str) -> None:
        """Stop runs and background tasks: `%stop NAME ...`; `%stop all`, or `%stop` alone, stops all of them.

        Their points are kept, their instruments are made safe. `await NAME` waits for the end of a run.
        """
        try:
            found = to_stop(line.replace(",", " ").split())
        except LabnbError as error:
            raise UsageError(str(error)) from None
        for each in found:
            each.stop()
        told = [each.run_id for each in found]
        print(f"stopping {', '.join(told)}" if told else "nothing is going on")  # noqa: T201  that is its purpose

    @line_magic("tasks")  # pyright: ignore[reportUntypedFunctionDecorator]  IPython does not say what it returns
    def list_tasks(self, line: str) -> Going:
        """Show what is going on: runs and background tasks, those that failed, and tasks that are ready."""
        if line.strip():
            raise UsageError(
                f"%tasks takes nothing, got {line.strip()!r}; %stop NAME ends one, %runs lists what was measured"
            )
        return table(self._tasks, self._standing, self._shell.user_ns)

    @line_magic("runs")  # pyright: ignore[reportUntypedFunctionDecorator]  IPython does not say what it returns
    def list_runs(self, line: str) -> Runs:
        """List what was measured."""
        try:
            return searching.search_runs(line)
        except LabnbError as error:
            raise UsageError(str(error)) from None


TaskMagics.list_runs.__doc__ = searching.USAGE
TaskMagics.task.__doc__ = f"""Keep the body of this cell as a background task.

```
%%task ramp
while True:
    for v in (1.0, 2.0, 3.0):
        await psu.channel(1).set(voltage=v)
        await asyncio.sleep(0.5)
```
{USAGE}
"""


def _warn_here() -> Callable[[str], None]:
    """Return what shows a warning under the cell that is running now, also later."""
    handle = display({"text/plain": ""}, raw=True, display_id=True)
    lines = list[str]()

    def warn(text: str) -> None:
        lines.append(text)
        if handle is not None:
            handle.update({"text/plain": "\n".join(lines)}, raw=True)

    return warn
