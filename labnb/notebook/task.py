"""`%%task`: the body of a cell as a background task, for `%%measure --with NAME` or to run by itself."""

import ast
import shlex
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from labnb.core import CellError, PlanError, nearest
from labnb.notebook._syntax import assigned_names, awaits, own_nodes, read_names
from labnb.session import Task

USAGE = """%%task NAME [--start] [--on-error stop|warn]

NAME            what the task is called: %%measure --with NAME runs it beside the measurement
--start         run it now, by itself, until %stop NAME
--on-error      whether its failure stops the run (default), or is only noted

The body may `await`; without, it runs in a thread of its own and should end when told: while not stop.wait(0.5): ..."""

OPTIONS = ("--start", "--on-error")
"""All options, as they are written."""

_BODY = "__labnb_task__"


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """The options of one `%%task` cell."""

    name: str
    start: bool = False
    on_error: Literal["stop", "warn"] = "stop"


def parse_task_line(line: str) -> TaskRequest:
    """Return what `line` asks for. Raises PlanError with the usage if it cannot be understood.

    >>> parse_task_line("ramp --start").start
    True
    """
    try:
        words = shlex.split(line.replace("--on-error=", "--on-error "))
    except ValueError as error:
        raise PlanError(f"%%task {line}: {error}\n\n{USAGE}") from None
    names, start, on_error = list[str](), False, "stop"
    while words:
        word = words.pop(0)
        if word == "--start":
            start = True
        elif word == "--on-error":
            on_error = words.pop(0) if words else "nothing"
        elif word.startswith("-"):
            raise PlanError(f"%%task does not know {word}; {nearest(word, OPTIONS)}\n\n{USAGE}")
        else:
            names.append(word)
    if on_error not in ("stop", "warn"):
        raise PlanError(f"--on-error is stop or warn, got {on_error!r}\n\n{USAGE}")
    if len(names) != 1 or not names[0].isidentifier():
        got = " ".join(names) or "nothing"
        raise PlanError(f"%%task needs one name of letters, digits and '_', got {got}\n\n{USAGE}")
    return TaskRequest(names[0], start, "warn" if on_error == "warn" else "stop")


def compile_task(request: TaskRequest, source: str, filename: str, names: dict[str, Any]) -> Task:
    """Return `source` as a task that reads the notebook's `names`; what it assigns stays inside.

    `stop`, a threading.Event, is there for a body without `await`. Raises CellError at the line that breaks a rule.
    """
    tree = _parsed(source, filename)
    awaiting = awaits(tree)
    assigned = assigned_names(tree)
    inherited = sorted(assigned & read_names(tree) & set(names))
    arguments = ["stop", *inherited]
    kind = ast.AsyncFunctionDef if awaiting else ast.FunctionDef
    head = ast.arguments([], [ast.arg(name) for name in arguments], None, [], [], None, [])
    module = ast.Module([kind(_BODY, head, tree.body or [ast.Pass()], [])], [])
    functions = dict[str, Any]()
    # The user's own code, compiled from his cell; it sees the notebook's names as its globals.
    exec(compile(ast.fix_missing_locations(module), filename, "exec", dont_inherit=True), names, functions)  # noqa: S102
    body = cast(types.FunctionType, functions[_BODY])
    body.__code__ = body.__code__.replace(co_name="<module>", co_qualname="<module>")  # as the cell, in tracebacks
    return Task(request.name, _bound(body, inherited, names), ("stop",), awaiting, request.on_error)


def _bound(body: Callable[..., Any], inherited: list[str], names: Mapping[str, Any]) -> Callable[..., Any]:
    def begin(stop: object) -> Any:  # what the user's code returns: None, or a coroutine
        return body(stop, **{name: names[name] for name in inherited})

    begin.__labnb_body__ = body  # pyright: ignore[reportFunctionMemberAccess]  what the cell says, to be written out
    return begin


def _parsed(source: str, filename: str) -> ast.Module:
    try:
        tree = ast.parse("\n" + source, filename)
    except SyntaxError as error:
        ours = CellError(error.msg)
        ours.msg, ours.filename, ours.text, ours.lineno, ours.offset = (
            error.msg,
            error.filename,
            error.text,
            error.lineno,
            error.offset,
        )
        raise ours from None
    for node in own_nodes(tree):
        if isinstance(node, ast.Yield | ast.YieldFrom):
            ours = CellError("'yield' outside of a function")
            ours.msg, ours.filename, ours.lineno = ours.args[0], filename, node.lineno
            raise ours
    return tree


def known_task(name: str, tasks: Mapping[str, Task]) -> Task:
    """Return the task called `name`. Raises PlanError if there is none."""
    if name in tasks:
        return tasks[name]
    raise PlanError(f"no task is called {name!r}; {nearest(name, tasks)}; a %%task {name} cell makes one")
