"""Rewrites the statements of a `%%measure` body, and finds its loops, its records and what breaks a rule."""

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import NoReturn, cast, final

from labnb.core.adaptive import POINT
from labnb.notebook._syntax import (
    SweepTest,
    assigned_names,
    awaits,
    is_adaptive_call,
    is_sweep_call,
    is_text,
    is_zip_call,
    own_nodes,
    read_names,
    sweeps_in_names,
    target_names,
)
from labnb.notebook.compiled import Cell, ChannelRecord, cell_error, no_unit
from labnb.notebook.pieces import (
    TIME_AXIS,
    body_function,
    call,
    cell_of,
    channels_function,
    left,
    reading,
    rest,
    sweeps_function,
    time_loop,
)
from labnb.session import Loop, Outline, Record, Section


@dataclass
class _LoopDraft:
    names: tuple[str, ...]
    parent: int | None
    before: int
    after: int = -1
    straight: bool = True
    chosen: tuple[str, ...] = ()


@dataclass
class _SectionDraft:
    loop: int | None
    records: list[Record] = field(default_factory=list[Record])
    conditional: bool = False


@final
class Writer:
    """Rewrites the statements of a body; collects its loops, sections and records on the way."""

    def __init__(self, tree: ast.Module, lines: list[str], filename: str, first_line: int, is_sweep: SweepTest) -> None:
        self._tree, self._lines, self._filename, self._first_line = tree, lines, filename, first_line
        own = sweeps_in_names(tree, is_sweep)
        self._is_sweep: SweepTest = lambda node: is_sweep(node) or (isinstance(node, ast.Name) and node.id in own)
        self._awaiting = awaits(tree)
        self._assigned = assigned_names(tree)
        self._names = read_names(tree)
        self._loops = list[_LoopDraft]()
        self._sections = [_SectionDraft(None)]
        self._hoisted = list[tuple[int, ast.expr]]()
        self._channels = list[ChannelRecord]()
        self._known: Collection[str] = ()
        self._lines_of = dict[str, int]()
        self._written = dict[str, str]()
        self._loop: int | None = None  # the sweep loop around, its present section, and what else is between
        self._section = 0
        self._branches = 0
        self._plain_loops = 0

    def cell(self, timed: bool, known: Collection[str]) -> Cell:
        """Return the compiled cell, see `compile_cell`; called once."""
        self._known = known
        self._refuse_returns()
        if timed:
            self._open_loop((TIME_AXIS,), self._tree)
        body = self._block(self._tree.body)
        if timed:
            self._loops[0].after = self._section
            body = [time_loop(body, self._awaiting), left(0)]
        axes = {name for loop in self._loops for name in loop.names}
        inherited = tuple(sorted((self._assigned & self._names & set(known)) - axes))
        filled = [key for key, section in enumerate(self._sections) if section.records]
        functions = [
            sweeps_function(self._hoisted),
            channels_function(self._channels),
            body_function(body, filled, inherited, self._awaiting),
        ]
        module = ast.fix_missing_locations(ast.Module(functions, []))
        names = tuple(sorted(self._names - self._assigned | set(inherited)))
        return Cell(module, self._outline(timed), self._awaiting, names, inherited, tuple(self._channels))

    def _outline(self, timed: bool) -> Outline:
        loops = tuple(
            Loop(
                key,
                loop.names[0],
                loop.parent,
                self._filled(loop.before),
                self._filled(loop.after),
                others=loop.names[1:],
                chosen=loop.chosen,
            )
            for key, loop in enumerate(self._loops)
        )
        sections = tuple(
            Section(key, draft.loop, tuple(draft.records), self._conditional(draft))
            for key, draft in enumerate(self._sections)
        )
        return Outline(loops, sections, None if timed else self._filled(self._section))

    def _filled(self, section: int) -> int | None:
        return section if self._sections[section].records else None

    def _conditional(self, draft: _SectionDraft) -> bool:
        straight = draft.loop is None or self._loops[draft.loop].straight
        return draft.conditional or not straight or not draft.records

    # ---- statements

    def _block(self, statements: Iterable[ast.stmt]) -> list[ast.stmt]:
        return [written for statement in statements for written in self._statement(statement)]

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.For() if self._is_sweep(node.iter):
                return self._sweep(node)
            case ast.AsyncFor() if self._is_sweep(node.iter):
                self._fail(node, "write `for`, not `async for`, over a sweep; its body may await all the same")
            case ast.For() if any(isinstance(n, ast.expr) and self._is_sweep(n) for n in own_nodes(node.iter)):
                self._fail(
                    node,
                    "a sweep inside of something else makes no axis, and its points would overwrite each other; write "
                    "for NAME in sweep(...), and count or pair inside of the loop",
                )
            case ast.For() | ast.AsyncFor() | ast.While():
                self._plain_loops += 1
                self._branch(node)
                self._plain_loops -= 1
            case ast.AnnAssign():
                return [self._record(node)]
            case ast.Break() | ast.Continue():
                self._leave()
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self._check_nested(node)
            case _:
                self._branch(node)
        return [node]

    def _branch(self, node: ast.stmt) -> None:
        """Rewrite the blocks of an if, try, with, match or plain loop; what they record may be absent."""
        self._branches += 1
        for holder in (node, *getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            for block in ("body", "orelse", "finalbody"):
                if getattr(holder, block, None):
                    setattr(holder, block, self._block(getattr(holder, block)))
        self._branches -= 1

    def _sweep(self, node: ast.For) -> list[ast.stmt]:
        names = target_names(node.target)
        if not names or (len(names) > 1 and is_sweep_call(node.iter) and not _gives_several(node.iter)):
            self._fail(node, "a sweep loop has one name: for voltage in sweep(...), or for x, y in sweep.zip(...)")
        around = self._loop, self._branches, self._plain_loops
        adaptive = is_adaptive_call(node.iter)
        key = self._open_loop((POINT,) if adaptive else names, node)
        self._branches = self._plain_loops = 0
        chosen = self._choose(key, names, node) if adaptive else []
        node.body = [*chosen, *self._block(node.body)]
        self._loops[key].after = self._section
        self._loop, self._branches, self._plain_loops = around
        self._section = self._new_section()
        straight = self._loops[key].straight
        self._branches += not straight  # what a `break` skips may be absent
        node.orelse = self._block(node.orelse)
        self._branches -= not straight
        node.iter = ast.copy_location(self._setpoints(key, node.iter), node.iter)
        if self._awaiting:
            node.body.insert(0, rest())
        return [node] if straight else [node, left(key)]

    def _choose(self, key: int, names: tuple[str, ...], node: ast.For) -> list[ast.stmt]:
        """Return the statements that record what an adaptive sweep has chosen."""
        self._loops[key].chosen = names
        written = list[ast.stmt]()
        for name in names:
            target = cell_of(self._section, self._column(node, name, ""))
            written.append(ast.copy_location(ast.Assign([target], ast.Name(name, ast.Load())), node))
        return written

    def _open_loop(self, names: tuple[str, ...], node: ast.AST) -> int:
        for place, name in enumerate(names):
            if name in names[:place] or any(name in loop.names for loop in self._loops):
                self._fail(node, f"the axis {name!r} is used twice; every sweep needs a name of its own")
            if name in self._lines_of:
                self._fail(node, f"{name!r} is recorded in line {self._lines_of[name]}; the axis needs another name")
        self._sections[self._section].conditional |= bool(self._branches)  # the loop may never be entered
        key = len(self._loops)
        self._loops.append(_LoopDraft(names, self._loop, self._section))
        self._loop = key
        self._section = self._new_section()
        return key

    def _new_section(self) -> int:
        self._sections.append(_SectionDraft(self._loop))
        return len(self._sections) - 1

    def _setpoints(self, key: int, iterable: ast.expr) -> ast.expr:
        """Return what the loop iterates: a sweep that needs nothing of the body is evaluated beforehand."""
        if read_names(iterable) & self._assigned or awaits(iterable):
            return call("loop", ast.Constant(key), iterable)
        self._hoisted.append((key, iterable))
        return call("loop", ast.Constant(key))

    def _leave(self) -> None:
        """Take note that a break or continue may leave a pass anywhere."""
        if self._loop is not None and not self._plain_loops:
            self._loops[self._loop].straight = False

    def _record(self, node: ast.AnnAssign) -> ast.stmt:
        if not isinstance(node.target, ast.Name):
            self._fail(node, 'only a plain name can be recorded: current: "A" = ...')
        name = node.target.id
        if is_text(node.annotation):
            if node.value is None:
                self._fail(node, f"{name!r} has a unit but no value to record")
            unit, value = cast(str, cast(ast.Constant, node.annotation).value), node.value
        else:
            self._check_channel(node, name)
            unit, value = "", self._read(node)
        column = self._column(node, name, unit)
        return ast.copy_location(ast.Assign([cell_of(self._section, column), node.target], value), node)

    def _check_channel(self, node: ast.AnnAssign, name: str) -> None:
        """Refuse an annotation that is no channel for sure; what it is shows when it is evaluated, before the run."""
        written, used = ast.unparse(node.annotation), read_names(node.annotation)
        if own := sorted(used & self._assigned):
            self._fail(
                node,
                f"which channel {written} is must be known before the run, but {own[0]!r} is assigned in this cell; write "
                f'{name}: "unit" = ... instead',
            )
        if not used or not used <= set(self._known) or awaits(node.annotation):
            self._fail(node, no_unit(name, written))

    def _read(self, node: ast.AnnAssign) -> ast.expr:
        """Return the value that is recorded: what is written, or else the channel's."""
        key = len(self._channels)
        self._channels.append(
            ChannelRecord(cast(ast.Name, node.target).id, ast.unparse(node.annotation), node.value is None, node)
        )
        if node.value is not None:
            return node.value
        return ast.copy_location(reading(key, self._awaiting), node)

    def _column(self, node: ast.AnnAssign | ast.For, name: str, unit: str) -> int:
        section = self._sections[self._section]
        if any(name in loop.names for loop in self._loops):
            self._fail(node, f"{name!r} is an axis, so its setpoints are kept anyway; record a reading by another name")
        section.conditional |= bool(self._branches)
        for column, record in enumerate(section.records):
            if record.name == name:
                if self._written[name] != (written := _written(node)):
                    self._fail(
                        node,
                        f"{name!r} has the unit {self._written[name]} in line {self._lines_of[name]} already, not {written}",
                    )
                return column
        if name in self._lines_of:
            self._fail(
                node, f"{name!r} is recorded in line {self._lines_of[name]} already, under other loops; use two names"
            )
        self._lines_of[name] = node.lineno
        self._written[name] = _written(node)
        section.records.append(Record(name, unit))
        return len(section.records) - 1

    # ---- what is refused

    def _refuse_returns(self) -> None:
        for node in own_nodes(self._tree):
            if isinstance(node, ast.Return):
                self._fail(node, "'return' outside of a function; leave a loop by break, end the run by Stop")
            if isinstance(node, ast.Yield | ast.YieldFrom):
                self._fail(node, "'yield' outside of a function")

    def _check_nested(self, node: "ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef") -> None:
        for inner in ast.walk(node):
            if isinstance(inner, ast.AnnAssign) and (is_text(inner.annotation) or self._may_read(node, inner)):
                self._fail(
                    inner, f"a record inside of {node.name!r} belongs to no loop; return the value and record it there"
                )
            if isinstance(inner, ast.For) and self._is_sweep(inner.iter):
                self._fail(inner, f"a sweep inside of {node.name!r} is no loop of the measurement; move it out")

    def _may_read(self, around: ast.stmt, node: ast.AnnAssign) -> bool:
        """Whether an annotation inside of a function looks like a channel to read: Python itself would ignore it."""
        used = read_names(node.annotation)
        return not isinstance(around, ast.ClassDef) and node.value is None and bool(used) and used <= set(self._known)

    def _fail(self, node: ast.AST, message: str) -> NoReturn:
        raise cell_error(message, node, self._lines, self._filename, self._first_line)


def _gives_several(iterable: ast.expr) -> bool:
    return is_zip_call(iterable) or is_adaptive_call(iterable)


def _written(node: "ast.AnnAssign | ast.For") -> str:
    """Return the annotation that a record was written with; the values that a sweep chooses have none."""
    return ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
