"""Questions about a piece of Python source that the cell compiler asks; nothing is changed here."""

import ast
from collections.abc import Callable, Iterator

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


def is_sweep_call(node: ast.expr) -> bool:
    """Whether `node` is a call of `sweep` (also `labnb.sweep`)."""
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    return (isinstance(function, ast.Name) and function.id == "sweep") or (
        isinstance(function, ast.Attribute) and function.attr == "sweep"
    )
