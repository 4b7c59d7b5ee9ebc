"""The session that measures what a cell measures, as Python text: `iv.session.code()`.

Each stretch of the body becomes a function of the session, where it is called at the same places and in the same order:

```
for t in sweep([280, 300], "K"):             session.parameter("t", sweep([280, 300], "K"))
    oven.go(t)                        →      @session.acquire(name="stage", unit="K", per="t")
    stage: "K" = oven.read()                 def read_stage(t): oven.go(t); return oven.read()
    for v in sweep(0, 1, 3, "V"):            session.parameter("v", sweep(0, 1, 3, "V"))
        current: smu.curr                    session.acquire(smu.curr, name="current")
    oven.rest()                              @session.after("t")
```
What the stretches share is kept in the function around them. A session measures whole grids only: bodies that do more
(a record under an `if`, two sweeps side by side, `break`) are refused at their line.
"""

import ast
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, cast, final

from labnb.core import PlanError
from labnb.instruments import Channel
from labnb.notebook._syntax import (
    SweepTest,
    assigned_names,
    awaits,
    is_adaptive_call,
    is_text,
    own_nodes,
    read_names,
    target_names,
)
from labnb.notebook.request import Request
from labnb.notebook.surroundings import Surroundings

_INDENT = "    "


@final
@dataclass(frozen=True, slots=True)
class CellSession:
    """The session of a run that a cell began. `units` are those of records that name a channel and give a value."""

    request: Request
    source: str
    surroundings: Surroundings
    is_sweep: SweepTest
    units: Mapping[str, Channel] = field(default_factory=dict[str, Channel])

    def code(self) -> str:
        """Return Python that measures the same by `labnb.Measurement`, to be run in this notebook or kept in a file.

        What only the notebook has, such as its instruments, is named at the top. Raises PlanError, with the line of the
        cell, for what a session cannot do.
        """
        return _Translation(self).text()

    def __repr__(self) -> str:
        return f"<the session of %%measure {self.request.name}; .code() is its Python>"


@dataclass
class _Function:
    """One function of the session: its decorator, its name, and the statements of the body that are in it."""

    decorator: str
    name: str
    statements: list[ast.stmt]
    result: ast.expr | None = None


class _Translation:
    def __init__(self, session: CellSession) -> None:
        self._session = session
        self._tree = ast.parse(session.source)
        self._awaiting = awaits(self._tree)
        self._parameters = list[str]()
        self._axes = list[str]()
        self._functions = list[_Function | str]()
        self._level_begins = 0  # how many there were before those of this level
        self._read = set[str]()  # names of records that channels give
        self._timed = session.request.every_s is not None
        self._check()
        self._level(self._tree.body, None)
        self._assigned = assigned_names(self._tree) - set(self._axes) - self._read

    # ---- the body, level by level

    def _level(self, statements: Sequence[ast.stmt], axis: str | None) -> None:
        loops = [k for k, node in enumerate(statements) if self._is_sweep_loop(node)]
        if not loops:
            self._stretch(statements, axis, inner=True)
            return
        if len(loops) > 1 or self._timed:
            what = "a sweep in a body that follows the clock" if self._timed else "a second sweep beside the first"
            self._refuse(statements[loops[-1]], f"{what} is no grid of parameters")
        (place,) = loops
        loop, after = cast(ast.For, statements[place]), list(statements[place + 1 :])
        self._stretch(statements[:place], axis, inner=False)
        self._level(loop.body, self._parameter(loop))
        for node in after:
            if isinstance(node, ast.AnnAssign):
                self._refuse(node, "what is recorded after an inner sweep would be recorded before it")
        if after:
            self._functions.append(_Function(_hook("after", axis), f"after_{axis or 'all'}", after))

    def _is_sweep_loop(self, node: ast.stmt) -> bool:
        return isinstance(node, ast.For) and self._session.is_sweep(node.iter)

    def _parameter(self, loop: ast.For) -> str:
        names = target_names(loop.target)
        if loop.orelse:
            self._refuse(loop.orelse[0], "`else` of a sweep has no place in it")
        if read_names(loop.iter) & assigned_names(self._tree):
            self._refuse(loop, "a sweep that depends on what the cell assigns is not known beforehand")
        named = repr(names[0]) if len(names) == 1 else repr(names)
        self._parameters.append(f"session.parameter({named}, {ast.unparse(loop.iter)})")
        self._axes += names
        return "point" if is_adaptive_call(loop.iter) else names[0]

    def _stretch(self, statements: Sequence[ast.stmt], axis: str | None, *, inner: bool) -> None:
        """Write what stands before an inner sweep, or all of the innermost level."""
        records = [node for node in statements if isinstance(node, ast.AnnAssign)]
        if not records:
            if statements:
                self._functions.append(_Function(_hook("before", axis), f"before_{axis or 'all'}", list(statements)))
            return
        if not inner and axis is None:
            self._refuse(records[0], "what is recorded once, outside of all sweeps, needs a session of its own")
        per = f", per={axis!r}" if not inner else ""
        self._level_begins = len(self._functions)
        pending = list[ast.stmt]()
        for node in statements:
            if isinstance(node, ast.AnnAssign):
                pending = self._record(node, self._moved(node, pending, axis), per)
            else:
                pending.append(node)
        self._leftover(pending, axis, inner)

    def _moved(self, node: ast.AnnAssign, before: list[ast.stmt], axis: str | None) -> list[ast.stmt]:
        """Give the statements before a channel that is read a place of their own, so that it is registered as it is.

        That is the end of the function before it, or a hook if it is the first one; returns those that found none.
        """
        if node.value is not None or not before:
            return before
        if len(self._functions) == self._level_begins and axis != "point":
            self._functions.append(_Function(_hook("before", axis), f"before_{axis or 'all'}", before))
            return []
        last = self._functions[-1]
        assigned = {name for each in before for name in assigned_names(each)}
        if (
            isinstance(last, _Function)
            and isinstance(last.result, ast.Name)
            and last.result.id not in self._read | assigned
        ):
            last.statements += before
            return []
        return before

    def _record(self, node: ast.AnnAssign, before: list[ast.stmt], per: str) -> list[ast.stmt]:
        name, value = cast(ast.Name, node.target).id, node.value
        if value is None:
            self._read.add(name)
            if not before:
                self._functions.append(f"session.acquire({ast.unparse(node.annotation)}, name={name!r}{per})")
                return []
            value = node.annotation  # a function may return a channel, which is read then
            self._functions.append(_Function(f"session.acquire(name={name!r}{per})", f"read_{name}", before, value))
            return []
        unit = cast(ast.Constant, node.annotation).value if is_text(node.annotation) else self._session.units[name].unit
        kept = ast.copy_location(ast.Assign([node.target], value), node)
        decorator = f"session.acquire(name={name!r}, unit={unit!r}{per})"
        self._functions.append(_Function(decorator, f"read_{name}", [*before, kept], ast.Name(name, ast.Load())))
        return []

    def _leftover(self, statements: list[ast.stmt], axis: str | None, inner: bool) -> None:
        """Write what follows the last record: into its function, or behind the point if a channel is read there."""
        if not statements:
            return
        last = self._functions[-1]
        if isinstance(last, _Function) and isinstance(last.result, ast.Name) and last.result.id not in self._read:
            if last.result.id in {name for node in statements for name in assigned_names(node)}:
                self._refuse(statements[0], f"{last.result.id!r} is assigned again after it was recorded")
            last.statements += statements
            return
        if not inner:
            self._refuse(
                statements[0], "what stands between a channel that is read and an inner sweep has no place in it"
            )
        self._functions.append(_Function(_hook("after", axis), f"after_{axis or 'all'}", statements))

    # ---- what a session cannot do

    def _check(self) -> None:
        for node in own_nodes(self._tree):
            if isinstance(node, ast.Global | ast.Nonlocal):
                self._refuse(node, "`global` and `nonlocal` reach out of the cell")
        self._check_block(self._tree.body)

    def _check_block(self, statements: Sequence[ast.stmt]) -> None:
        for node in statements:
            if self._is_sweep_loop(node):
                self._check_block(cast(ast.For, node).body)
                continue
            if isinstance(node, ast.AnnAssign):
                continue
            for inner in own_nodes(node):
                if isinstance(inner, ast.AnnAssign):
                    self._refuse(inner, "what is recorded under a condition may be absent")
                if isinstance(inner, ast.stmt) and self._is_sweep_loop(inner):
                    self._refuse(inner, "a sweep under a condition may be absent")
            if _leaves(node):
                self._refuse(node, "`break` and `continue` leave points out")

    def _refuse(self, node: ast.AST, why: str) -> NoReturn:
        line: int = getattr(node, "lineno", 1)
        raise PlanError(
            f"line {line + 1} of %%measure {self._session.request.name} cannot be written as a session: {why}; a session "
            "measures its functions at each point of one grid of parameters. The cell itself is in "
            f"{self._session.request.name}.stored.metadata['source']"
        )

    # ---- the text

    def text(self) -> str:
        request, around = self._session.request, self._session.surroundings
        shared = self._shared()
        given = sorted(shared & around.known)
        inside = [f"{name} = None" for name in sorted(shared - around.known)]
        inside += [f"session.instrument({alias!r}, {alias})" for alias in around.instruments]
        inside += self._parameters
        inside += [f"session.task({name})" for name in around.tasks]
        blocks = ["\n".join(inside)] if inside else []
        blocks += [each if isinstance(each, str) else self._written(each, shared) for each in self._functions]
        blocks.append(f"return session.run({self._schedule()})")
        body = textwrap.indent("\n\n".join(blocks), 2 * _INDENT)
        arguments = ", ".join(f"{name}={name}" for name in given)
        opening = f"with Measurement({self._described()}) as session:"
        function = f"def measure_{request.name}({arguments}):\n{_INDENT}{opening}\n{body}"
        return f"{around.head(self._session.request.name)}\n\n\n{function}\n\n\n{request.name} = measure_{request.name}()\n"

    def _described(self) -> str:
        request = self._session.request
        texts = [repr(request.name)]
        texts += [repr(request.note)] if request.note else []
        texts += [f"store={request.store!r}"] if request.store else []
        return ", ".join(texts)

    def _schedule(self) -> str:
        request = self._session.request
        if request.every_s is None:
            return ""
        return f"interval={request.every_s!r}, duration={request.for_s!r}"  # and `lateness` is recorded beside

    def _shared(self) -> set[str]:
        """Return the names that must live around the functions: all but those that one function assigns for itself."""
        users = dict[str, int]()
        for function in self._written_functions():
            for name in _names(function) & self._assigned:
                users[name] = users.get(name, 0) + 1
        alone = {name for f in self._written_functions() for name in _own(f) if users.get(name) == 1}
        return set(users) - alone

    def _written_functions(self) -> list[_Function]:
        return [each for each in self._functions if isinstance(each, _Function)]

    def _written(self, function: _Function, shared: set[str]) -> str:
        used, nodes = _names(function), ast.Module(function.statements, [])
        readings = sorted(used & self._read)
        arguments = [name for name in self._axes if name in used] + (["ctx"] if readings else [])
        lines = [f"nonlocal {', '.join(found)}"] if (found := sorted(assigned_names(nodes) & shared)) else []
        lines += [f"{name} = ctx[{name!r}]" for name in readings]
        lines += _lines(function, shared)
        kind = "async def" if self._awaiting else "def"
        head = f"@{function.decorator}\n{kind} {function.name}({', '.join(arguments)}):"
        return f"{head}\n{textwrap.indent(chr(10).join(lines), _INDENT)}"


def _lines(function: _Function, shared: set[str]) -> list[str]:
    """Return the statements, and what is returned: without a name for it if nobody needs one."""
    if function.result is None:
        return [ast.unparse(node) for node in function.statements]
    last = function.statements[-1] if function.statements else None
    if (
        isinstance(last, ast.Assign)
        and isinstance(function.result, ast.Name)
        and function.result.id not in shared
        and [ast.unparse(target) for target in last.targets] == [function.result.id]
    ):
        return [*(ast.unparse(node) for node in function.statements[:-1]), f"return {ast.unparse(last.value)}"]
    return [*(ast.unparse(node) for node in function.statements), f"return {ast.unparse(function.result)}"]


def _hook(kind: str, axis: str | None) -> str:
    return f"session.{kind}({'' if axis is None else repr(axis)})"


def _leaves(node: ast.AST) -> bool:
    """Whether a `break` or `continue` in `node` is for the loop around it."""
    if isinstance(node, ast.Break | ast.Continue):
        return True
    if isinstance(node, ast.For | ast.AsyncFor | ast.While):
        return any(_leaves(child) for child in node.orelse)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
        return False
    return any(_leaves(child) for child in ast.iter_child_nodes(node))


def _names(function: _Function) -> set[str]:
    """Return the names that a function reads or assigns."""
    nodes = ast.Module(function.statements, [])
    result = set[str]() if function.result is None else read_names(function.result)
    return read_names(nodes) | assigned_names(nodes) | result


def _own(function: _Function) -> set[str]:
    """Return the names that a function assigns, at its own level, before it reads them."""
    own, read = set[str](), set[str]()
    for node in function.statements:
        read |= read_names(node) - own
        if isinstance(node, ast.Assign | ast.FunctionDef | ast.AsyncFunctionDef | ast.Import | ast.ImportFrom):
            own |= assigned_names(node) - read
        else:
            read |= assigned_names(node) - own
    return own
