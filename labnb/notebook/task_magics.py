"""`%%task`, `%tasks` and `%stop`: background tasks in a notebook."""

import sys
from collections.abc import Callable

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.display import display

from labnb.notebook.task import USAGE, compile_task, parse_task_line
from labnb.notebook.tracebacks import register_source, shown_from
from labnb.session import Run, StandingTask, Task


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
        """Stop a run or a background task: `%stop NAME`; `%stop` alone stops all."""
        going = self._going()
        name = line.strip()
        if name and name not in going:
            raise UsageError(f"nothing called {name!r} is going on; there is: {', '.join(going) or 'nothing'}")
        for each in going if not name else (name,):
            going[each].stop()

    @line_magic("tasks")  # pyright: ignore[reportUntypedFunctionDecorator]  IPython does not say what it returns
    def list_tasks(self, line: str) -> None:
        """Print the background tasks, and what is going on."""
        going = self._going()
        lines = [f"{name:20} {thing!r}" for name, thing in going.items()]
        lines += [f"{name:20} ready: %%measure --with {name}" for name in self._tasks if name not in going]
        sys.stdout.write("\n".join(lines or ["no background tasks; a %%task NAME cell makes one"]) + "\n")

    def _going(self) -> dict[str, StandingTask | Run]:
        runs = {k: v for k, v in self._shell.user_ns.items() if isinstance(v, Run) and v.state.active}
        return {name: task for name, task in self._standing.items() if task.going} | runs


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
