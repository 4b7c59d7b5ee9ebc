"""Which command a SCPI header means.

Source: SCPI-99 volume 1, chapter 6.2.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, final

from labnb.sim.status import ScpiError

T = TypeVar("T")

LONGEST_MNEMONIC = 12
MAX_SUFFIX_DIGITS = 6
_KNOWN_HEADERS = 4096

_CHARACTERS = re.compile(r"[\w:*?]*", re.ASCII)


def short_form(word: str) -> str:
    """Return the short form of a mnemonic as manuals write it: `VOLTage` -> `VOLT`."""
    return "".join(char for char in word if not char.islower())


def expand(pattern: str) -> list[str]:
    """Return every spelling of a pattern whose `[...]` nodes may be left out."""
    found = re.search(r"\[([^\[\]]*)\]", pattern)
    if not found:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return expand(before + found[1] + after) + expand(before + after)


@dataclass(slots=True)
class _Node(Generic[T]):
    children: "dict[str, _Node[T]]" = field(default_factory=dict)
    numbered: bool = False
    targets: dict[bool, T] = field(default_factory=dict)


@final
class Grammar(Generic[T]):
    """A tree of headers; `T` is what stands at its leaves, one for the command and one for the query."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        """Take patterns as manuals write them: `[SOURce#:]VOLTage[:LEVel]?`; `#` is a numeric suffix."""
        self._root: _Node[T] = _Node()
        self._found: dict[str, tuple[T, tuple[int, ...]]] = {}
        for pattern, target in entries:
            for spelling in expand(pattern.removesuffix("?")):
                self._insert(spelling, target, query=pattern.endswith("?"))

    def _insert(self, spelling: str, target: T, *, query: bool) -> None:
        node = self._root
        for word in filter(None, spelling.split(":")):
            mnemonic = word.removesuffix("#")
            long, short = mnemonic.upper(), short_form(mnemonic)
            child = node.children.get(long) or node.children.get(short) or _Node()
            child.numbered |= word.endswith("#")
            node.children[long] = node.children[short] = child
            node = child
        node.targets[query] = target

    def find(self, header: str) -> tuple[T, tuple[int, ...]]:
        """Return the target of `header` and its numeric suffixes, each 1 where it is left out.

        Raises -113 for a header that there is not, -114 for a suffix of more than 6 digits, and says with -101 or
        -112 what no header could be.
        """
        known = self._found.get(header)
        if known is None:
            known = self._walk(header)
            if len(self._found) < _KNOWN_HEADERS:
                self._found[header] = known
        return known

    def _walk(self, header: str) -> tuple[T, tuple[int, ...]]:
        query = header.endswith("?")
        node, suffixes = self._root, list[int]()
        for word in header.removesuffix("?").upper().split(":"):
            node, suffix = _descend(node, word, header)
            suffixes += suffix
        if query not in node.targets:
            raise _undefined(header)
        return node.targets[query], tuple(suffixes)


def _descend(node: _Node[T], word: str, header: str) -> tuple[_Node[T], list[int]]:
    child = node.children.get(word)
    if child is not None:
        return child, [1] if child.numbered else []
    mnemonic = word.rstrip("0123456789")
    child = node.children.get(mnemonic)
    if child is None or not child.numbered:
        raise _undefined(header)
    if len(word) - len(mnemonic) > MAX_SUFFIX_DIGITS:
        raise ScpiError(-114, header)
    return child, [int(word[len(mnemonic) :])]


def _undefined(header: str) -> ScpiError:
    if not _CHARACTERS.fullmatch(header):
        return ScpiError(-101, header)
    words = header.removesuffix("?").lstrip("*").split(":")
    return ScpiError(-112 if any(len(word) > LONGEST_MNEMONIC for word in words) else -113, header)
