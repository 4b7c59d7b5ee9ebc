"""How the body of a `%%measure` cell becomes the body of a run: parsing and compiling, without running anything.

```
for voltage in sweep(0, 1, 3, "V"):          for voltage in __labnb_steps.loop(0):
    psu.set(voltage)                              psu.set(voltage)
    current: "A" = dmm.read()           →         __labnb_row1[0] = current = dmm.read()
    leak: smu.curr                                __labnb_row1[1] = leak = __labnb_reads[0]()
```
The body becomes a function, so what it assigns stays inside. Sweeps that do not depend on names of the body are
collected in a second function, so that the plan is known and checked before anything moves; channels in a third.
"""

import ast
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, cast

from labnb.core import CellError
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
from labnb.session import Loop, Outline, Record, Section

BODY, SWEEPS, CHANNELS, TIME_AXIS = "__labnb_body__", "__labnb_sweeps__", "__labnb_channels__", "time"
_STEPS, _TICKS, _READS = "__labnb_steps", "__labnb_ticks", "__labnb_reads"

FIRST_LINE = 2  # of the body: the first one of the cell is the magic's


@dataclass(frozen=True, slots=True)
class ChannelRecord:
    """A record whose annotation is a channel, `written` so, at a line of the cell; `reads`: its value comes from it."""

    name: str
    written: str
    reads: bool
    node: ast.AnnAssign


@dataclass(frozen=True, slots=True)
class Cell:
    """A compiled body, as a module that defines BODY, SWEEPS and CHANNELS.

    `names` are the notebook's names that it reads, `inherited` those that it also assigns: they are arguments of
    BODY, after the steps, the ticks and the functions that read channels, so that the body sees the notebook's value
    until it assigns its own. `channels` are the records of which CHANNELS gives the channels, in their order.
    """

    module: ast.Module
    outline: Outline
    awaiting: bool
    names: tuple[str, ...]
    inherited: tuple[str, ...]
    channels: tuple[ChannelRecord, ...] = ()


def compile_cell(
    source: str,
    filename: str,
    *,
    known: Collection[str] = (),
    is_sweep: SweepTest = is_sweep_call,
    first_line: int = FIRST_LINE,
    timed: bool = False,
) -> Cell:
    """Return the compiled form of `source`, which begins at line `first_line` of its cell.

    `known` are the names that the notebook has; `is_sweep` says of an iterated expression whether it is a sweep; `timed`
    puts the whole body into a loop over time.
    Raises CellError at the line that breaks a rule: a record whose annotation is neither a unit text nor a channel of
    the notebook's, one inside of a nested function or under two different loops; an axis used twice; Python's own
    syntax errors.
    """
    try:
        tree = ast.parse("\n" * (first_line - 1) + source, filename)
    except SyntaxError as error:
        raise _syntax_error(error) from None
    return _Writer(tree, source.splitlines(), filename, first_line, is_sweep).cell(timed, known)


def _syntax_error(error: SyntaxError) -> CellError:
    ours = CellError(error.msg)
    ours.msg, ours.filename, ours.text = error.msg, error.filename, error.text
    ours.lineno, ours.offset = error.lineno, error.offset
    ours.end_lineno, ours.end_offset = error.end_lineno, error.end_offset
    return ours


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


class _Writer:
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
        self._known = known
        self._refuse_returns()
        if timed:
            self._open_loop((TIME_AXIS,), self._tree)
        body = self._block(self._tree.body)
        if timed:
            self._loops[0].after = self._section
            body = [self._time_loop(body), _left(0)]
        axes = {name for loop in self._loops for name in loop.names}
        inherited = tuple(sorted((self._assigned & self._names & set(known)) - axes))
        functions = [self._sweeps_function(), self._channels_function(), self._body_function(body, inherited)]
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
            node.body.insert(0, self._rest())
        return [node] if straight else [node, _left(key)]

    def _choose(self, key: int, names: tuple[str, ...], node: ast.For) -> list[ast.stmt]:
        """Return the statements that record what an adaptive sweep has chosen."""
        self._loops[key].chosen = names
        written = list[ast.stmt]()
        for name in names:
            target = self._cell_of(self._column(node, name, ""))
            written.append(ast.copy_location(ast.Assign([target], ast.Name(name, ast.Load())), node))
        return written

    def _cell_of(self, column: int) -> ast.expr:
        return ast.Subscript(ast.Name(_row(self._section), ast.Load()), ast.Constant(column), ast.Store())

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
            return _call("loop", ast.Constant(key), iterable)
        self._hoisted.append((key, iterable))
        return _call("loop", ast.Constant(key))

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
        return ast.copy_location(ast.Assign([self._cell_of(column), node.target], value), node)

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
        call = ast.Call(ast.Subscript(ast.Name(_READS, ast.Load()), ast.Constant(key), ast.Load()), [], [])
        return ast.copy_location(ast.Await(call) if self._awaiting else call, node)

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

    # ---- what is written around

    def _rest(self) -> ast.stmt:
        due = ast.Attribute(ast.Name(_STEPS, ast.Load()), "due", ast.Load())
        return ast.If(due, [ast.Expr(ast.Await(_call("rest")))], [])

    def _time_loop(self, body: list[ast.stmt]) -> ast.stmt:
        wait = ast.Await(_call("wait_tick_async")) if self._awaiting else _call("wait_tick")
        over = ast.If(ast.UnaryOp(ast.Not(), wait), [ast.Break()], [])
        ticks = ast.Call(ast.Name(_TICKS, ast.Load()), [], [])
        return ast.For(ast.Name("__labnb_time", ast.Store()), ticks, [over, *body], [])

    def _sweeps_function(self) -> ast.stmt:
        keys: list[ast.expr | None] = [ast.Constant(key) for key, _ in self._hoisted]
        result = ast.Return(ast.Dict(keys, [iterable for _, iterable in self._hoisted]))
        return ast.FunctionDef(SWEEPS, _arguments(()), [result], [])

    def _channels_function(self) -> ast.stmt:
        result = ast.Return(ast.Tuple([record.node.annotation for record in self._channels], ast.Load()))
        return ast.FunctionDef(CHANNELS, _arguments(()), [result], [])

    def _body_function(self, body: list[ast.stmt], inherited: tuple[str, ...]) -> ast.stmt:
        rows = [_take_row(key) for key, section in enumerate(self._sections) if section.records]
        kind = ast.AsyncFunctionDef if self._awaiting else ast.FunctionDef
        return kind(BODY, _arguments((_STEPS, _TICKS, _READS, *inherited)), [*rows, *body, ast.Pass()], [])

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


def cell_error(
    message: str, node: ast.AST, lines: Sequence[str], filename: str, first_line: int = FIRST_LINE
) -> CellError:
    """Return an error that points at `node` in the cell whose body has `lines`."""
    error = CellError(message)
    error.msg, error.filename = message, filename
    lineno: int = getattr(node, "lineno", first_line)
    error.lineno, error.offset = lineno, getattr(node, "col_offset", 0) + 1
    line = lineno - first_line
    error.text = lines[line] if 0 <= line < len(lines) else None
    return error


def no_unit(name: str, written: str) -> str:
    """Return why an annotation is refused."""
    return (
        f"{written} is no unit and no channel: an annotation records, and its unit is a text. Write "
        f'{name}: "{written}" = ... (or {name}: "" without a unit), or a channel to read, such as {name}: dmm.volt, or '
        "drop the annotation of a temporary"
    )


def _gives_several(iterable: ast.expr) -> bool:
    return is_zip_call(iterable) or is_adaptive_call(iterable)


def _written(node: "ast.AnnAssign | ast.For") -> str:
    """Return the annotation that a record was written with; the values that a sweep chooses have none."""
    return ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""


def _row(section: int) -> str:
    return f"__labnb_row{section}"


def _call(method: str, *arguments: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(ast.Name(_STEPS, ast.Load()), method, ast.Load()), list(arguments), [])


def _left(key: int) -> ast.stmt:
    return ast.Expr(_call("left", ast.Constant(key)))


def _take_row(section: int) -> ast.stmt:
    rows = ast.Attribute(ast.Name(_STEPS, ast.Load()), "rows", ast.Load())
    return ast.Assign([ast.Name(_row(section), ast.Store())], ast.Subscript(rows, ast.Constant(section), ast.Load()))


def _arguments(names: tuple[str, ...]) -> ast.arguments:
    return ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
