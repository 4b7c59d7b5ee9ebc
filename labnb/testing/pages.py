"""The pieces of code on a page of the documentation, and whose they are."""

import re
from pathlib import Path
from typing import NamedTuple

_PIECE = re.compile(r"(?:<!-- (?P<owner>[\w ]+) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)```", re.DOTALL)


class Piece(NamedTuple):
    """One fenced block: the comment above it says whose it is ("" where there is none)."""

    owner: str
    language: str
    code: str


def pieces_of(page: Path) -> list[Piece]:
    """Return a page's pieces, in their order."""
    return [
        Piece(found["owner"] or "", found["language"], found["code"]) for found in _PIECE.finditer(page.read_text())
    ]
