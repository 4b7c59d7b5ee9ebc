"""How many points a journal holds: of a run whose process died, before anybody completes it. Nothing is changed."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labnb.core import Group, LabnbError
from labnb.record.journal import START, Batch, Scanner, read_start
from labnb.record.layout import Layout
from labnb.record.writer import read_on

MOST_BYTES = 64 << 20
"""A longer journal is not read: what is committed lacks at most its last quarter of a second."""


def journal_points(folder: Path) -> int | None:
    """Return how many points the journal of a run holds; None if there is none, or it is damaged or very long."""
    try:
        with (folder / "journal").open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MOST_BYTES:
                return None
            read_start(os.pread(file.fileno(), START, 0))
            return _count(_items(file.fileno(), size))
    except (OSError, LabnbError, ValueError):
        return None


def _items(journal: int, size: int) -> Iterator[Batch | Group]:
    scanner, before = Scanner(verify=False), -1
    while scanner.offset > before:
        before = scanner.offset
        yield from read_on(journal, scanner, size)


def _count(items: Iterator[Batch | Group]) -> int:
    layout, places = Layout(), dict[int, list[NDArray[np.int64]]]()
    for item in items:
        if isinstance(item, Group):
            layout = layout if item in layout.groups else layout.with_group(item)
        else:
            places.setdefault(item.codec.group.key, []).append(np.unique(item.rows["place"]))
    found = [] if layout.main is None else places.get(layout.main.key, [])
    return len(np.unique(np.concatenate(found))) if found else 0
