"""What a run records, as far as it was declared: for every group how its points are stored, and where its arrays go."""

from collections.abc import Mapping
from pathlib import Path

from labnb.core import Group, OpenAxis, SchemaError, amended
from labnb.record.arrays import StoredArray
from labnb.record.chunks import ChunkFiles
from labnb.record.journal import RowCodec, group_document
from labnb.record.layout import Layout
from labnb.record.materialiser import open_array
from labnb.record.pieces import Pieces
from labnb.record.points import Row


class Declared:
    """The groups of a run; `rows` says by their keys how points are stored."""

    def __init__(self, data_path: Path) -> None:
        self.rows: dict[int, Row] = {}
        self._data_path = data_path
        self._layout = Layout()
        self._count = 0

    def row_of(self, group: Group) -> Row:
        """Return how points of a new group, or of one of which more is known now, are stored. Raises SchemaError."""
        layout = self._layout.with_group(group)
        group, before = layout.group(group.key), self.rows.get(group.key)
        arrays = {array.name: array for array in layout.arrays()}
        known = {} if before is None else before.arrays
        own = {
            v.name: known.get(v.name) or open_array(self._data_path, arrays[v.name]) for v in group.variables if v.dims
        }
        self._share_open_axis(group, own)
        return Row(RowCodec(self._count, group), own, None if before is None else before.had)

    def accept(self, row: Row) -> None:
        """Go on with what `row_of` gave, which the journal has by now."""
        self._layout = self._layout.with_group(row.group)
        self._count += 1
        self.rows[row.group.key] = row

    def array(self, name: str) -> StoredArray:
        """Return how the array called `name` is stored."""
        return next(array for array in self._layout.arrays() if array.name == name)

    def _share_open_axis(self, group: Group, own: Mapping[str, ChunkFiles | Pieces]) -> None:
        """Let arrays over an open axis be filled late, as long as nothing else makes that axis longer than they are."""
        if not group.axes or not isinstance(group.axes[0], OpenAxis):
            return
        others = [row for row in self.rows.values() if row.group.dims[:1] == group.dims[:1]]
        for row in others:
            for files in row.arrays.values():
                if isinstance(files, ChunkFiles):
                    files.fill_up()
        for files in own.values():
            if isinstance(files, ChunkFiles):
                files.late = not others and len(group.axes) == 1


def as_kept(known: Group, group: Group, run_id: str) -> Group:
    """Return a group of a run that is resumed, with what its new declaration adds. Raises SchemaError if it differs."""
    try:
        changed = amended(known, group)
    except SchemaError as error:
        raise _differs(known, group, run_id) from error
    if group_document(changed)["axes"] != group_document(group)["axes"]:
        raise _differs(known, group, run_id)
    return changed


def _differs(known: Group, group: Group, run_id: str) -> SchemaError:
    return SchemaError(
        f"run {run_id} cannot be resumed by this measurement: it records {_outline(group)}, but the run has "
        f"{_outline(known)}; start a new run"
    )


def _outline(group: Group) -> str:
    axes = ", ".join(f"{axis.name} ({axis.size} values)" for axis in group.axes)
    variables = ", ".join(f"{v.name} in {v.unit!r} ({v.describe()})" for v in group.variables)
    return f"{variables} over {axes or 'nothing'}"
