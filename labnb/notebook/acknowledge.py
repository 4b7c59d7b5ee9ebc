"""Lets widgets in a page send more than one change while a cell awaits.

A page holds a widget's next change back until the kernel is idle again after the one before. ipykernel 7.4 handles the
messages of widgets beside a cell that awaits, but says neither busy nor idle for them: of a slider, a list or a toggle
only the first change would arrive until the cell has ended. Here idle is said for each of them.
"""

from collections.abc import Callable
from typing import Any, cast

from IPython.core.interactiveshell import InteractiveShell

_Handler = Callable[..., Any]  # ipykernel's handlers take streams and messages that have no types


class _Acknowledging:
    def __init__(self, shell: InteractiveShell, handle: _Handler) -> None:
        self._kernel = cast(Any, shell).kernel  # ipykernel's shell has one
        self.handle = handle
        self._cell: object = None

    def begin_cell(self, *_: object) -> None:
        self._cell = self._kernel.get_parent("shell")

    def end_cell(self, *_: object) -> None:
        self._cell = None

    def __call__(self, stream: object, ident: object, msg: object) -> Any:
        try:
            return self.handle(stream, ident, msg)
        finally:
            if self._cell is not None:
                self._kernel._publish_status("idle", "shell", parent=msg)  # noqa: SLF001 -- ipykernel offers no other way
                self._kernel._publish_status("busy", "shell", parent=self._cell)  # noqa: SLF001 -- as above


def acknowledge_widgets(shell: InteractiveShell) -> None:
    """Say idle for what a page's widgets send while a cell runs. Doing it twice changes nothing."""
    kernel = getattr(shell, "kernel", None)
    handlers = getattr(kernel, "shell_handlers", None)
    if handlers is None or isinstance(handlers.get("comm_msg"), _Acknowledging):
        return
    if "comm_msg" not in handlers or not callable(getattr(kernel, "_publish_status", None)):
        return  # another ipykernel: widgets work as they do without this
    own = _Acknowledging(shell, handlers["comm_msg"])
    own.begin_cell()
    handlers["comm_msg"] = own
    shell.events.register("pre_run_cell", own.begin_cell)
    shell.events.register("post_run_cell", own.end_cell)


def leave_widgets(shell: InteractiveShell) -> None:
    """Undo `acknowledge_widgets`."""
    handlers = getattr(getattr(shell, "kernel", None), "shell_handlers", None)
    own = None if handlers is None else handlers.get("comm_msg")
    if handlers is not None and isinstance(own, _Acknowledging):
        handlers["comm_msg"] = own.handle
        shell.events.unregister("pre_run_cell", own.begin_cell)
        shell.events.unregister("post_run_cell", own.end_cell)
