"""How lists are shown as tables, in a terminal and in a notebook: left-aligned columns, whatever the frontend's style."""

import html
from collections.abc import Iterable, Sequence


def text_table(rows: Sequence[Sequence[str]]) -> list[str]:
    r"""Return a line for each of `rows`, its columns below each other.

    >>> print(*text_table([("name", "unit"), ("voltage", "V"), ("time", "")]), sep="\n")
    name     unit
    voltage  V
    time
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def html_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table as HTML; texts may hold anything."""
    body = "".join(_html_row("td", row) for row in rows)
    return f"<table><thead>{_html_row('th', heads)}</thead><tbody>{body}</tbody></table>"


def _html_row(kind: str, texts: Iterable[str]) -> str:
    cells = "".join(f"<{kind} style='text-align:left'>{html.escape(text)}</{kind}>" for text in texts)
    return f"<tr>{cells}</tr>"
