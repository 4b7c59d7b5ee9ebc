"""Where each value stands in a YAML file.

A small, safe YAML: text, numbers, true and false, null, lists, mappings. No tags, no dates, no `yes` that turns into
true, no 1:30 that turns into 90; `1e-9` is a number. A key that stands twice is a mistake.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

import yaml

from labnb.core import BenchFileError

Place = tuple[str | int, ...]
"""The keys and indices on the way to a value."""

MOST_VALUES = 20_000
MOST_LEVELS = 50
_TAG = "tag:yaml.org,2002:"
_SIMPLE = {
    "null": re.compile(r"~|null|Null|NULL|"),
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"),
    "int": re.compile(r"[-+]?[0-9]+"),
    "float": re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan"),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML's; these are the schema of YAML 1.1, with its surprises


for _name, _pattern in _SIMPLE.items():
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern.pattern})$"), None)


@final
@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, and where."""

    line: int
    text: str


@final
class Document:
    """The values of a YAML text, and the line of each. Raises BenchFileError if it cannot be read."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self.value: object = None
        self.mistakes: list[Mistake] = []
        """What has been found wrong so far; `refuse` raises them all together."""
        self._lines: dict[Place, int] = {(): 1}
        self._count = 0
        self.value = self._built(_composed(text, name), ())
        self.refuse()

    def line(self, place: Place) -> int:
        """Return the line of the value at `place`, or of what it should have been in."""
        while place not in self._lines:
            place = place[:-1]
        return self._lines[place]

    def mistake(self, place: Place, text: str) -> None:
        """Note that `text` is wrong with the value at `place`."""
        where = spelled(place)
        self.mistakes.append(Mistake(self.line(place), f"{where}: {text}" if where else text))

    def refuse(self) -> None:
        """Raise BenchFileError if anything is wrong, with all of it, in order of lines."""
        if self.mistakes:
            raise _error(self.name, sorted(self.mistakes, key=lambda mistake: mistake.line))

    def _built(self, node: yaml.Node | None, place: Place) -> object:
        if node is None:
            raise _error(self.name, [Mistake(1, "the file is empty")])
        self._lines.setdefault(place, node.start_mark.line + 1)
        self._count += 1
        if self._count > MOST_VALUES or len(place) > MOST_LEVELS:
            raise _error(self.name, [Mistake(self.line(place), "too much, or too deep: no bench is so large")])
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._built(each, (*place, index)) for index, each in enumerate(node.value)]
        return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str | int, object]:
        found: dict[str | int, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._scalar(key_node, place) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str | int) or isinstance(key, bool):
                self.mistakes.append(Mistake(line, f"{spelled(place)}: a key must be a word, got {_shown(key_node)}"))
                continue
            below = (*place, key)
            if key in found:
                first = self._lines[below]
                self.mistakes.append(Mistake(line, f"{spelled(below)}: this key stands already in line {first}"))
                continue
            self._lines[below] = line
            found[key] = self._built(value_node, below)
        return found

    def _scalar(self, node: yaml.Node, place: Place) -> object:
        kind, text = node.tag.removeprefix(_TAG), str(node.value)
        if kind == "str":
            return text
        if kind in _SIMPLE and _SIMPLE[kind].fullmatch(text):
            return _value(kind, text)
        self.mistakes.append(
            Mistake(node.start_mark.line + 1, f"{spelled(place)}: {node.tag!r} is not understood; write a plain value")
        )
        return None


def _value(kind: str, text: str) -> object:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text) if len(text) < 400 else float("inf")
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


def _composed(text: str, name: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told = ", ".join(part for part in (error.context, error.problem) if part)
        raise _error(name, [Mistake(mark.line + 1 if mark else 1, f"this is not YAML: {told}")]) from error
    except yaml.YAMLError as error:
        raise _error(name, [Mistake(1, f"this is not YAML: {error}")]) from error
    except RecursionError as error:
        raise _error(name, [Mistake(1, "brackets inside of brackets without end")]) from error


def _error(name: str, mistakes: Sequence[Mistake]) -> BenchFileError:
    told = "\n".join(f"{name}, line {mistake.line}: {mistake.text}" for mistake in mistakes)
    return BenchFileError(told, name, tuple(mistake.line for mistake in mistakes))


def _shown(node: yaml.Node) -> str:
    return repr(node.value) if isinstance(node, yaml.ScalarNode) else "a list or mapping"


def spelled(place: Place) -> str:
    """Return how a person would name `place`.

    >>> spelled(("wiring", 2, "from"))
    'wiring[3].from'
    """
    text = "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".")


def read_document(path: Path) -> Document:
    """Read the YAML file at `path`. Raises BenchFileError if there is none, or if it cannot be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BenchFileError(f"{path}: this is not UTF-8 text: {error}; save it as UTF-8", str(path)) from error
    except OSError as error:
        raise BenchFileError(f"{path} cannot be read: {error.strerror}", str(path)) from error
    return Document(text, str(path))
