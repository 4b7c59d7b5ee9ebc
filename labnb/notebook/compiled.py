"""What a `%%measure` body has become, and the errors that point at its lines."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from labnb.core import CellError
from labnb.session import Outline

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
