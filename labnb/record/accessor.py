"""What people do with measured data next, as `ds.labnb`: look, cut, draw, derive, fit, hand on.

It is there on every dataset as soon as labnb has opened one, or after `import labnb.xarray`.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import xarray as xr

from labnb.core import PlanError, RecordError, State, check_name, check_unit
from labnb.record.packages import need
from labnb.record.tables import table, tables, to_pandas, to_polars

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from labnb.record.stored import StoredRun

Derived = (
    tuple[str, "Callable[[xr.Dataset], Any] | xr.DataArray"]
    | tuple[str, "Callable[[xr.Dataset], Any] | xr.DataArray", str]
)


@xr.register_dataset_accessor("labnb")
class LabAccessor:
    """Measured data with their run, names and units: `ds.labnb.plot("current")`."""

    def __init__(self, data: xr.Dataset) -> None:
        self._data = data

    @cached_property
    def run(self) -> Mapping[str, Any]:  # JSON
        """What the data say about their run. Raises RecordError if they are not of one."""
        text = self._data.attrs.get("labnb")
        try:
            found: object = json.loads(text) if isinstance(text, str) else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RecordError(
                "these data do not say which run they are of; expected those of labnb.load or its data.zarr"
            )
        return cast("dict[str, Any]", found)

    @property
    def run_id(self) -> str:
        """Name and four digits of the run."""
        return str(self.run["run"])

    @property
    def name(self) -> str:
        """The name of the measurement."""
        return str(self.run["name"])

    @property
    def state(self) -> State:
        """How the run stood when the data were written."""
        return State(str(self.run["state"]))

    @property
    def metadata(self) -> Mapping[str, Any]:  # JSON
        """What describes the run: the cell's source, its note, the instruments' settings."""
        return cast("Mapping[str, Any]", self.run["metadata"])

    @property
    def stored(self) -> "StoredRun":
        """The run itself, with its tags and notes. Raises RecordError if the data are not from a run's folder."""
        from labnb.record.opening import open_run  # it opens data, which makes accessors

        source = str(self._data.encoding.get("source", ""))
        if Path(source).name != "data.zarr":
            raise RecordError("these data were not opened from a run's folder; use labnb.runs() to find the run")
        return open_run(source)

    def label(self, name: str) -> str:
        """Return what to write on an axis of a figure: `long name (unit)`."""
        from labnb.record.plotting import label

        if name not in self._data.variables and name not in self._data.dims:
            raise PlanError(f"there is no variable {name!r}; there are: {', '.join(map(str, self._data.variables))}")
        return label(self._data[name])

    def slice(self, **wanted: object) -> xr.Dataset:
        """Return the part at or between values of axes: `slice(temperature=300, voltage=(0.2, 0.5))`.

        A number is the nearest value that was swept (no further than half a step; all places that have it), a pair what
        is between, both included, None for no limit, a list several numbers. Axes may fall, turn or be swept in
        lock-step. Raises PlanError for what is no axis, or where nothing was swept.
        """
        from labnb.record.selecting import cut

        return cut(self._data, wanted)

    def plot(
        self,
        name: str | None = None,
        *,
        x: str | None = None,
        hue: str | None = None,
        part: str | None = None,
        **options: Any,  # xarray's and matplotlib's
    ) -> "Axes":
        """Draw a variable (default: the first one of the innermost loop) with names and units; return the axes.

        Over one axis it is a curve, over two a map, or curves if one of them is short or `hue` names it. `part` of
        complex values: abs (default), phase, real, imag. `options` go to xarray's plot: ax, yscale, cmap, marker, ...
        Raises PlanError if there are more than two axes.
        """
        from labnb.record.plotting import draw

        return draw(self._data, name, x=x, hue=hue, part=part, options=options)

    def assign(self, **derived: Derived) -> xr.Dataset:
        """Return the data with more variables: `assign(resistance=("ohm", lambda d: d.voltage / d.current))`.

        Each is its unit, a function of the data (or an array), and a long name if you like. Later ones may use earlier
        ones. Raises PlanError if a name is taken or the result is no array over the data's axes.
        """
        data = self._data
        for name, given in derived.items():
            data = data.assign({name: _derive(data, name, given)})
        return data

    def fit(
        self,
        name: str,
        along: str | Sequence[str],
        function: Callable[..., Any],  # of numpy arrays
        *,
        units: Mapping[str, str] | None = None,
        **options: Any,  # of xarray's curvefit
    ) -> xr.Dataset:
        """Fit `function(axis, parameter, ...)` to a variable along an axis, at every place of the others.

        What was not measured, and overloads (inf), are left out. Returns each parameter, `<parameter>_error` (one
        standard deviation) and `<name>_fit`, the curve. Units of the parameters are their annotations, as in
        `def line(x, slope: "ohm", offset: "V")`, or `units`. `options` go to xarray's `curvefit`: p0, bounds,
        errors="ignore", kwargs. Needs scipy. Raises PlanError if it cannot be fitted.
        """
        from labnb.record.fitting import fit

        return fit(self._data, name, along, function, units=units or {}, options=options)

    def quantify(self) -> xr.Dataset:
        """Return the data with pint's quantities instead of units in attributes. Needs pint-xarray."""
        need("pint_xarray", "quantities with units", "analysis")
        return cast("xr.Dataset", cast("Any", self._data).pint.quantify())  # another accessor

    def tables(self) -> "dict[str, pd.DataFrame]":
        """Return all data as tidy pandas tables, by their dimensions: a row for each point, see `labnb.record.tables`."""
        return {key: to_pandas(columns) for key, columns in tables(self._data).items()}

    def to_dataframe(self, *names: str) -> "pd.DataFrame":
        """Return one tidy pandas table, of these variables or of all if they fit one; units in `.attrs["units"]`."""
        return to_pandas(table(self._data, names))

    def to_polars(self, *names: str) -> Any:  # polars is optional
        """Return one tidy polars table, as `to_dataframe`; complex columns are split. Needs polars."""
        return to_polars(table(self._data, names))

    def export(
        self, path: "str | os.PathLike[str]", *, to: str | None = None, overwrite: bool = False
    ) -> tuple[Path, ...]:
        """Write the data for other programs, see `labnb.export`."""
        from labnb.record.exporting import export  # it opens data, which makes accessors

        return export(self._data, path, to=to, overwrite=overwrite)

    def __repr__(self) -> str:
        try:
            return f"<labnb: data of run {self.run_id}, {self.state}>"
        except RecordError:
            return "<labnb: data of no known run>"


def _derive(data: xr.Dataset, name: str, given: object) -> xr.DataArray:
    check_name(name, "variable")
    parts: list[Any] = [*cast("tuple[Any, ...]", given)] if isinstance(given, tuple) else []
    if len(parts) not in (2, 3) or not isinstance(parts[0], str):
        raise PlanError(
            f'{name}={given!r}: expected (unit, function of the data), e.g. ("ohm", lambda d: d.voltage / d.current)'
        )
    if name in data.variables or name in data.dims:
        raise PlanError(f"there is already a {name!r}; choose another name for what is derived")
    unit, value = check_unit(parts[0], f"variable {name!r}"), parts[1]
    found: object = value(data) if callable(value) and not isinstance(value, xr.DataArray) else value
    if not isinstance(found, xr.DataArray) or not set(found.dims) <= set(data.dims):
        dims = f" over {found.dims}" if isinstance(found, xr.DataArray) else ""
        raise PlanError(
            f"{name}: got {type(found).__name__}{dims}; expected an array over {', '.join(map(str, data.dims)) or 'nothing'}"
        )
    found = found.copy(deep=False)
    found.attrs = {"units": unit} if unit else {}
    if len(parts) == 3:
        found.attrs["long_name"] = str(parts[2])
    return found.rename(name)
