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
from collections.abc import Collection

from labnb.core import CellError
from labnb.notebook._syntax import SweepTest, is_sweep_call
from labnb.notebook.compiled import FIRST_LINE, Cell
from labnb.notebook.writer import Writer


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
    return Writer(tree, source.splitlines(), filename, first_line, is_sweep).cell(timed, known)


def _syntax_error(error: SyntaxError) -> CellError:
    ours = CellError(error.msg)
    ours.msg, ours.filename, ours.text = error.msg, error.filename, error.text
    ours.lineno, ours.offset = error.lineno, error.offset
    ours.end_lineno, ours.end_offset = error.end_lineno, error.end_offset
    return ours
