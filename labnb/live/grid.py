"""The pictures of a run: a map over two axes, traces one above the other, points that were chosen freely, frames."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labnb.core import Axis, OpenAxis, Span, Variable
from labnb.live.cells import Cells
from labnb.live.choice import Choice, Kind, Part
from labnb.live.colours import ColourRange
from labnb.live.curves import part_of
from labnb.live.decimate import Floats
from labnb.live.extent import Extent
from labnb.live.raster import Raster, can_be_logarithmic, coordinates
from labnb.live.si import OVERLOAD
from labnb.live.slicing import Slice
from labnb.live.table import Table
from labnb.live.view import LiveView

_ROWS = 256  # traces over an open axis that are shown at most before every other one is left out
_MESH = 128
_MESH_GROWTH = 1.02  # a mesh is made anew when it has so many more points


class Picture(ABC):
    """One quantity as colours over x and y, in `cells`. `advance` takes what is new."""

    at: Slice
    across: Raster
    up: Raster
    cells: Cells

    def __init__(self, view: LiveView, choice: Choice) -> None:
        self._table: Table = view.table(choice.group)
        self._choice = choice
        self._quantity = choice.ys[0]
        self._ordinal = 0
        self.x, self.y = _extent(choice.x, choice.log_x), _extent(choice.outer, choice.log_y)
        self.colours = ColourRange(self._quantity.unit)

    @property
    def label(self) -> str:
        """Return what the colour says: `current (mA)`."""
        return self.colours.scaling.label(self._quantity.name)

    @property
    def name(self) -> str:
        """Return the name of the quantity."""
        return self._quantity.name

    @property
    def unit(self) -> str:
        """Return its unit."""
        return self._quantity.unit

    @property
    def is_log(self) -> tuple[bool, bool]:
        """Whether x and y are drawn logarithmically: where that was asked for, and can be."""
        return self.x.log, self.y.log

    @property
    def dots(self) -> tuple[Floats, Floats] | None:
        """Where points lie that have no grid; None for those of a grid."""
        return None

    @abstractmethod
    def advance(self) -> bool:
        """Take what is new; return whether anything changed."""

    def _set_rasters(self, across: Raster, up: Raster) -> None:
        self.across, self.up = across, up
        self.x.show(across.low, across.high)
        self.y.show(up.low, up.high)

    def shades(self) -> NDArray[np.uint8]:
        """Return the colour index of every pixel, top row first; 255 is transparent."""
        shades = self.colours.shades(self.cells.values)
        return shades[self.up.pixels][:, self.across.pixels][::-1]

    def row(self, row: int) -> tuple[Floats, Floats]:
        """Return x and the values of one row of cells, from left to right, without what is not measured."""
        values = self.cells.values[row]
        measured = np.isfinite(values)
        return self.across.centres[measured], values[measured]

    def row_at(self, y: float) -> int | None:
        """Return the row of cells at a coordinate; None beside the picture."""
        return self.up.cell_at(y)

    def row_coordinate(self, row: int) -> float:
        """Return the coordinate of a row of cells."""
        return float(self.up.centres[row])

    def value_at(self, x: float, y: float) -> tuple[float, float, float] | None:
        """Return the centre of the cell at (x, y), and its value (NaN: not measured); None beside the picture."""
        column, row = self.across.cell_at(x), self.up.cell_at(y)
        if column is None or row is None:
            return None
        return float(self.across.centres[column]), float(self.up.centres[row]), float(self.cells.values[row, column])


def _extent(axis: object, log: bool) -> Extent:
    name, unit = getattr(axis, "name", ""), getattr(axis, "unit", "")
    return Extent(name, unit, log=log and can_be_logarithmic(axis))


class _OfNumbers(Picture):
    def advance(self) -> bool:
        rows = self._table.since(self._ordinal)
        if rows.start >= rows.stop:
            return False
        self._ordinal = self._table.total
        self._take(rows)
        self.colours.fit(self.cells.values)
        return True

    @abstractmethod
    def _take(self, rows: slice) -> None: ...


class Grid(_OfNumbers):
    """The map over two axes at one setpoint of the others. Several points of one cell are averaged."""

    def __init__(self, view: LiveView, choice: Choice) -> None:
        super().__init__(view, choice)
        if not isinstance(choice.x, Axis) or not isinstance(choice.outer, Axis):
            raise TypeError("a map needs two axes with setpoints")
        axes = self._table.group.axes
        self._x_place, self._y_place = axes.index(choice.x), axes.index(choice.outer)
        self.at = Slice(self._table.group, (choice.x, choice.outer), choice.held)
        self._set_rasters(
            Raster(coordinates(choice.x), log=self.x.log), Raster(coordinates(choice.outer), log=self.y.log)
        )
        self.cells = Cells(self.up.cells, self.across.cells)
        self._sum = np.zeros(self.cells.values.shape)
        self._count = np.zeros(self._sum.shape, np.int64)

    def _take(self, rows: slice) -> None:
        indices = self.at.indices(self._table.places[rows])
        inside, begun = self.at.select(indices)
        if begun or rows.start == 0:
            self._sum[:], self._count[:] = 0, 0
            self.cells.clear()
        values = part_of(self._table.column(self._quantity.variable.name)[rows], self._quantity.part)
        good = np.abs(values) < OVERLOAD
        if inside is not None:
            good &= inside
        cells = (self.up.cell_of[indices[self._y_place][good]], self.across.cell_of[indices[self._x_place][good]])
        np.add.at(self._sum, cells, values[good])
        np.add.at(self._count, cells, 1)
        self.cells.put(*cells, self._sum[cells] / self._count[cells])


class Waterfall(Picture):
    """Traces one above the other: along x the dimension of the array, upwards the innermost loop."""

    def __init__(self, view: LiveView, choice: Choice) -> None:
        super().__init__(view, choice)
        if not isinstance(choice.x, Axis | Span) or not isinstance(choice.outer, Axis | OpenAxis):
            raise TypeError("a waterfall needs an array and a loop around it")
        self._outer: Axis | OpenAxis = choice.outer
        self.at = Slice(self._table.group, (choice.outer,), choice.held)
        self._columns = Raster(coordinates(choice.x), log=self.x.log)
        self._gather = Raster(coordinates(choice.x))  # how the table keeps traces: binned as they come
        self._stride = 1
        self._begin()

    def _begin(self) -> None:
        rows = np.arange(_ROWS) * self._stride
        where: Floats = (
            rows * np.float64(self._outer.step) if isinstance(self._outer, OpenAxis) else coordinates(self._outer)
        )
        self._set_rasters(self._columns, Raster(where, log=self.y.log))
        self.cells = Cells(self.up.cells, self.across.cells)

    def advance(self) -> bool:
        """Take the new traces; return whether anything changed."""
        found = self._table.traces_since(self._quantity.variable.name, self._ordinal)
        if not found:
            return False
        fresh = self._ordinal == 0
        self._ordinal = found[-1].ordinal + 1
        indices = self.at.indices(np.array([one.place for one in found], np.int64))
        inside, begun = self.at.select(indices)
        if begun or fresh:
            self.cells.clear()
        self._make_room(int(indices[-1].max()))
        columns = np.arange(self.across.cells)
        for k, one in enumerate(found):
            if inside is not None and not inside[k]:
                continue
            values = part_of(one.values, self._quantity.part)
            row = self._row_of(int(indices[-1][k]))
            self.cells.put(np.full(len(columns), row), columns, np.where(np.abs(values) < OVERLOAD, values, np.nan))
        self.colours.fit(self.cells.values)
        return True

    def _row_of(self, index: int) -> int:
        return index // self._stride if isinstance(self._outer, OpenAxis) else int(self.up.cell_of[index])

    def _make_room(self, newest: int) -> None:
        """Leave every other trace out, as often as needed, so that an open axis fits."""
        while isinstance(self._outer, OpenAxis) and newest // self._stride >= _ROWS:
            before = self.cells
            self._stride *= 2
            self._begin()
            self.cells.epoch = before.epoch + 1
            self.cells.values[: _ROWS // 2] = before.values[::2]
            self.cells.touch_all()


class Mesh(_OfNumbers):
    """A map between points that were chosen freely (an adaptive sweep): linear between three neighbours."""

    def __init__(self, view: LiveView, choice: Choice) -> None:
        super().__init__(view, choice)
        if not isinstance(choice.x, Variable) or not isinstance(choice.outer, Variable):
            raise TypeError("a mesh needs two recorded coordinates")
        self._x_name, self._y_name = choice.x.name, choice.outer.name
        self._bounds = choice.bounds
        self.at = Slice(self._table.group, self._table.group.axes[-1:], choice.held)
        self._set_rasters(*(Raster(np.linspace(low, high, _MESH)) for low, high in self._bounds))
        self.cells = Cells(_MESH, _MESH)
        self._points = (np.empty(0), np.empty(0), np.empty(0))
        self._meshed = 0

    @property
    def dots(self) -> tuple[Floats, Floats]:
        """Where the points lie."""
        return self._points[0], self._points[1]

    def _take(self, rows: slice) -> None:
        rows = slice(0, rows.stop)
        inside, begun = self.at.select(self.at.indices(self._table.places[rows]))
        names = (self._x_name, self._y_name)
        x, y = (part_of(self._table.column(name)[rows], Part.VALUE) for name in names)
        z = part_of(self._table.column(self._quantity.variable.name)[rows], self._quantity.part)
        good = (np.abs(x) < OVERLOAD) & (np.abs(y) < OVERLOAD) & (np.abs(z) < OVERLOAD)
        if inside is not None:
            good &= inside
        self._points = x[good], y[good], z[good]
        if begun:
            self._meshed = 0
        count = len(self._points[0])
        if count >= 3 and (count >= _MESH_GROWTH * self._meshed or count < 100):
            self._meshed = count
            self._fill()

    def _fill(self) -> None:
        values = interpolated(*self._points, self.across.centres, self.up.centres)
        self.cells.values[:] = values
        self.cells.touch_all()


class Frame(Picture):
    """The newest of the pictures that an instrument takes: an array with two dimensions of its own."""

    def __init__(self, view: LiveView, choice: Choice) -> None:
        super().__init__(view, choice)
        if not isinstance(choice.x, Axis | Span) or not isinstance(choice.outer, Axis | Span):
            raise TypeError("an image needs an array of two dimensions")
        self.at = Slice(self._table.group, (), choice.held)
        self._set_rasters(
            Raster(coordinates(choice.x), log=self.x.log), Raster(coordinates(choice.outer), log=self.y.log)
        )
        self.cells = Cells(self.up.cells, self.across.cells)
        self.cells.newest = self.up.cells // 2  # the row that a cut shows first: a frame comes at once
        self._shown: object = None

    def advance(self) -> bool:
        """Take the newest frame; return whether anything changed. One that is still being sent is sent whole first."""
        frame = self._table.trace(self._quantity.variable.name)
        if frame is None or frame is self._shown or (self._shown is not None and self.cells.is_waiting):
            return False
        self._shown = frame
        self.at.select(self.at.indices(self._table.places[-1:]))
        last = frame.reshape(-1, *frame.shape[-2:])[-1]
        values = part_of(last, self._quantity.part) if last.dtype.kind == "c" else last
        binned = _means(_means(values, self.up.cell_of, 0), self.across.cell_of, 1)
        self.cells.values[:] = np.where(np.abs(binned) < OVERLOAD, binned, np.nan)
        self.cells.touch_all()
        self.colours.fit(self.cells.values)
        return True


def _means(values: NDArray[Any], cell_of: NDArray[np.int64], axis: int) -> Floats:  # an array of any numbers
    """Return the means along `axis` of what falls into each cell."""
    if (np.diff(cell_of) < 0).any():
        order = np.argsort(cell_of, kind="stable")
        values, cell_of = values.take(order, axis), cell_of[order]
    starts = np.flatnonzero(np.diff(cell_of, prepend=-1))
    sums = np.add.reduceat(values, starts, axis, dtype=np.float64)
    return sums / np.expand_dims(np.diff(starts, append=len(cell_of)), 1 - axis)


def interpolated(x: Floats, y: Floats, z: Floats, across: Floats, up: Floats) -> Floats:
    """Return z on a grid, linear within Delaunay's triangles of the points; NaN outside, or if all lie on one line."""
    # Matplotlib takes a fifth of a second to import; only adaptive maps need it here.
    from matplotlib.tri import LinearTriInterpolator, Triangulation

    # Triangles are to be fair in the picture, whatever the units are.
    (x0, x1), (y0, y1) = (across[0], across[-1]), (up[0], up[-1])
    try:
        triangles = Triangulation((x - x0) / (x1 - x0), (y - y0) / (y1 - y0))
        grid = np.meshgrid((across - x0) / (x1 - x0), (up - y0) / (y1 - y0))
        return np.ma.filled(LinearTriInterpolator(triangles, z)(*grid), np.nan)
    except (RuntimeError, ValueError):  # what matplotlib raises for points on one line
        return np.full((len(up), len(across)), np.nan)


def make_picture(view: LiveView, choice: Choice) -> Picture:
    """Return the picture of a choice of such a kind. Raises ValueError for one of lines."""
    kinds: dict[Kind, type[Picture]] = {Kind.MAP: Grid, Kind.WATERFALL: Waterfall, Kind.MESH: Mesh, Kind.IMAGE: Frame}
    if choice.kind not in kinds:
        raise ValueError(f"a choice of {choice.kind} is drawn as lines, not as a picture")
    return kinds[choice.kind](view, choice)
