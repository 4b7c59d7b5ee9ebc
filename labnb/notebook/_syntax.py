"""Questions about a piece of Python source that the cell compiler asks; nothing is changed here."""

import ast
from collections.abc import Callable, Iterator

SweepTest = Callable[[ast.expr], bool]
"""Says of an expression that a loop iterates whether it is a sweep."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def own_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield `node` and what is below it, without the insides of nested functions and classes."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES):
            yield child
        else:
            yield from own_nodes(child)


def awaits(node: ast.AST) -> bool:
    """Whether `node` itself (not a function inside of it) awaits."""
    return any(
        isinstance(inner, ast.Await | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(inner, ast.comprehension) and bool(inner.is_async))
        for inner in own_nodes(node)
    )


def assigned_names(node: ast.AST) -> set[str]:
    """Return the names that `node` makes local to the function it becomes the body of."""
    found, shared = set[str](), set[str]()
    for inner in _own_scope(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store | ast.Del):
            found.add(inner.id)
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(inner.name)
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            found.update((alias.asname or alias.name).partition(".")[0] for alias in inner.names)
        elif isinstance(inner, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and inner.name:
            found.add(inner.name)
        elif isinstance(inner, ast.MatchMapping) and inner.rest:
            found.add(inner.rest)
        elif isinstance(inner, ast.Global | ast.Nonlocal):
            shared.update(inner.names)
    return found - shared


def _own_scope(node: ast.AST) -> Iterator[ast.AST]:
    """Like own_nodes, without the loop names of comprehensions, which are a scope of their own (`:=` is not)."""
    if isinstance(node, ast.comprehension):
        yield from _own_scope(node.iter)
        for condition in node.ifs:
            yield from _own_scope(condition)
        return
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _SCOPES):
            yield child
        else:
            yield from _own_scope(child)


def read_names(node: ast.AST) -> set[str]:
    """Return all names that `node` reads, also inside of nested functions."""
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load)}


def sweeps_in_names(node: ast.AST, is_sweep: Callable[[ast.expr], bool]) -> set[str]:
    """Return the names that `node` itself gives to sweeps: `voltages = sweep(0, 1, 3)`."""
    found = set[str]()
    for inner in own_nodes(node):
        if isinstance(inner, ast.Assign) and is_sweep(inner.value):
            found.update(target.id for target in inner.targets if isinstance(target, ast.Name))
    return found


def is_text(node: ast.expr) -> bool:
    """Whether `node` is a text constant."""
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


_VISITS = ("snake", "shuffled", "there_and_back")


def is_sweep_call(node: ast.expr) -> bool:
    """Whether `node` makes a sweep: `sweep(...)`, `labnb.sweep(...)`, `sweep.zip(...)`, `sweep(...).snake()`."""
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr in _VISITS:
        return is_sweep_call(function.value)
    return _is_sweep(function) or is_zip_call(node) or is_adaptive_call(node)


def is_adaptive_call(node: ast.expr) -> bool:
    """Whether `node` lets the points be chosen: `sweep.adaptive(...)`."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "adaptive"
        and _is_sweep(node.func.value)
    )


def is_zip_call(node: ast.expr) -> bool:
    """Whether `node` sweeps in lock-step: `sweep.zip(...)`, also `sweep.zip(...).snake()`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    inner = node.func.value
    return is_zip_call(inner) if node.func.attr in _VISITS else node.func.attr == "zip" and _is_sweep(inner)


def _is_sweep(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "sweep") or (
        isinstance(node, ast.Attribute) and node.attr == "sweep"
    )


def target_names(node: ast.expr) -> tuple[str, ...]:
    """Return the names that a loop assigns: `v`, or `(x, y)`; nothing if it assigns something else."""
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    return tuple(names) if len(names) == len(parts) else ()
