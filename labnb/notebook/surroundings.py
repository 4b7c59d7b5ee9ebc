"""What the text of a session needs of the notebook: imports, constants and functions are written out, the rest is named."""

import ast
import inspect
import linecache
import textwrap
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

import labnb
from labnb.instruments import Instrument
from labnb.session import Task

_LONGEST = 200  # characters: a longer constant stays in the notebook


@final
@dataclass(frozen=True, slots=True)
class Surroundings:
    """The notebook as a cell sees it: the `values` that it reads by their names, its `instruments` and its `tasks`."""

    values: Mapping[str, object]
    instruments: Sequence[str] = ()
    tasks: Mapping[str, Task] = field(default_factory=dict[str, Task])

    @property
    def known(self) -> frozenset[str]:
        """The names that the notebook has."""
        return frozenset(self.values)

    def head(self, name: str) -> str:
        """Return imports, constants and functions, below a line that says what else is needed."""
        parts = _Parts()
        for each in sorted({*self.values, *self.instruments}):
            parts.add(each, self.values)
        for task, made in self.tasks.items():
            parts.add_task(task, made)
        needed = [*parts.needed, *(each for each in self.instruments if each not in parts.needed)]
        from_notebook = f"; from the notebook: {', '.join(sorted(needed))}" if needed else ""
        told = f"# what %%measure {name} measures, as a session{from_notebook}"
        imports = "\n".join([*sorted(parts.imports), f"from labnb import {', '.join(sorted(parts.ours))}"])
        return "\n\n".join(
            [f"{told}\n{imports}", *(["\n".join(parts.constants)] if parts.constants else []), *parts.functions]
        )


class _Parts:
    """What was found so far. `needed` are names that cannot be written out."""

    def __init__(self) -> None:
        self.imports, self.ours = set[str](), {"Measurement"}
        self.constants, self.functions, self.needed = list[str](), list[str](), list[str]()
        self._seen = set[str]()

    def add(self, name: str, values: Mapping[str, object]) -> None:
        """Write out what `name` stands for, or take note that it is needed."""
        if name in self._seen or name not in values:
            return
        self._seen.add(name)
        value = values[name]
        if isinstance(value, types.ModuleType):
            self.imports.add(f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}"))
        elif name in labnb.__all__ and value is getattr(labnb, name):
            self.ours.add(name)
        elif (text := _constant(value)) is not None:
            self.constants.append(f"{name} = {text}")
        elif isinstance(value, types.FunctionType) and value.__module__ == "__main__" and (text := _source(value)):
            for other in (*value.__code__.co_names, *value.__code__.co_freevars):
                self.add(other, value.__globals__)
            self.functions.append(text)
        elif _is_importable(name, value):
            self.imports.add(f"from {value.__module__} import {name}")
        else:
            self.needed.append(name)

    def add_task(self, name: str, task: Task) -> None:
        """Write out a `%%task` cell as a function."""
        code = getattr(task.function, "__labnb_body__", task.function).__code__
        text = "".join(linecache.getlines(code.co_filename)[1:])
        kind = "async def" if task.awaiting else "def"
        self.functions.append(f"{kind} {name}(stop):\n{textwrap.indent(text.rstrip(), '    ')}")


def _constant(value: object) -> str | None:
    """Return the text of a plain constant, or of a list, tuple or dict of them; None of anything else."""
    if not isinstance(value, str | bytes | bool | int | float | complex | list | tuple | dict | set | type(None)):
        return None
    text = repr(value)
    try:
        same = len(text) <= _LONGEST and type(ast.literal_eval(text)) is type(value) and ast.literal_eval(text) == value
    except (ValueError, SyntaxError):
        return None
    return text if same else None


def _source(function: types.FunctionType) -> str:
    if function.__closure__ or function.__name__ == "<lambda>":
        return ""
    try:
        return textwrap.dedent(inspect.getsource(function)).rstrip()
    except (OSError, TypeError):
        return ""


def _is_importable(name: str, value: object) -> bool:
    """Whether `value`, a function or class, can be imported by its own name from where it was written."""
    module = getattr(value, "__module__", None)
    return (
        isinstance(value, type | types.FunctionType | types.BuiltinFunctionType)
        and isinstance(module, str)
        and module != "__main__"
        and getattr(value, "__qualname__", None) == name
        and not isinstance(value, Instrument)
    )
