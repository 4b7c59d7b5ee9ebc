"""What is written around the statements of a `%%measure` body, as syntax trees."""

import ast
from collections.abc import Collection, Sequence

from labnb.notebook.compiled import ChannelRecord

BODY, SWEEPS, CHANNELS, TIME_AXIS = "__labnb_body__", "__labnb_sweeps__", "__labnb_channels__", "time"
_STEPS, _TICKS, _READS = "__labnb_steps", "__labnb_ticks", "__labnb_reads"


def rest() -> ast.stmt:
    """Give the loop its turn where that is due."""
    due = ast.Attribute(ast.Name(_STEPS, ast.Load()), "due", ast.Load())
    return ast.If(due, [ast.Expr(ast.Await(call("rest")))], [])


def time_loop(body: list[ast.stmt], awaiting: bool) -> ast.stmt:
    """Put a body into the loop of its schedule."""
    wait = ast.Await(call("wait_tick_async")) if awaiting else call("wait_tick")
    over = ast.If(ast.UnaryOp(ast.Not(), wait), [ast.Break()], [])
    ticks = ast.Call(ast.Name(_TICKS, ast.Load()), [], [])
    return ast.For(ast.Name("__labnb_time", ast.Store()), ticks, [over, *body], [])


def sweeps_function(hoisted: Sequence[tuple[int, ast.expr]]) -> ast.stmt:
    """Return the function that gives the sweeps that are known beforehand, by the keys of their loops."""
    keys: list[ast.expr | None] = [ast.Constant(key) for key, _ in hoisted]
    result = ast.Return(ast.Dict(keys, [iterable for _, iterable in hoisted]))
    return ast.FunctionDef(SWEEPS, _arguments(()), [result], [])


def channels_function(channels: Sequence[ChannelRecord]) -> ast.stmt:
    """Return the function that gives what annotations name."""
    result = ast.Return(ast.Tuple([record.node.annotation for record in channels], ast.Load()))
    return ast.FunctionDef(CHANNELS, _arguments(()), [result], [])


def body_function(
    body: list[ast.stmt], filled: Collection[int], inherited: tuple[str, ...], awaiting: bool
) -> ast.stmt:
    """Return the function whose body is the cell's; `filled` are the sections that record something."""
    rows = [_take_row(key) for key in filled]
    kind = ast.AsyncFunctionDef if awaiting else ast.FunctionDef
    return kind(BODY, _arguments((_STEPS, _TICKS, _READS, *inherited)), [*rows, *body, ast.Pass()], [])


def cell_of(section: int, column: int) -> ast.expr:
    """Return where a value of a section's row is written."""
    return ast.Subscript(ast.Name(_row(section), ast.Load()), ast.Constant(column), ast.Store())


def reading(key: int, awaiting: bool) -> ast.expr:
    """Return the call that reads the channel `key`."""
    made = ast.Call(ast.Subscript(ast.Name(_READS, ast.Load()), ast.Constant(key), ast.Load()), [], [])
    return ast.Await(made) if awaiting else made


def call(method: str, *arguments: ast.expr) -> ast.expr:
    """Return a call of the run's steps."""
    return ast.Call(ast.Attribute(ast.Name(_STEPS, ast.Load()), method, ast.Load()), list(arguments), [])


def left(key: int) -> ast.stmt:
    """Say that a loop was left, maybe by a `break`."""
    return ast.Expr(call("left", ast.Constant(key)))


def _row(section: int) -> str:
    return f"__labnb_row{section}"


def _take_row(section: int) -> ast.stmt:
    rows = ast.Attribute(ast.Name(_STEPS, ast.Load()), "rows", ast.Load())
    return ast.Assign([ast.Name(_row(section), ast.Store())], ast.Subscript(rows, ast.Constant(section), ast.Load()))


def _arguments(names: tuple[str, ...]) -> ast.arguments:
    return ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
