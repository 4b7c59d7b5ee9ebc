"""Writes the data of a run for other programs: netCDF, CSV and parquet files."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np

from labnb.core import PlanError, RecordError, to_jsonable
from labnb.record.files import reason
from labnb.record.netcdf import write_netcdf
from labnb.record.opening import load
from labnb.record.packages import is_there
from labnb.record.stored import StoredRun
from labnb.record.tables import Column, tables, to_pandas, to_polars

if TYPE_CHECKING:
    import xarray as xr

_SUFFIXES = {"netcdf": ".nc", "csv": ".csv", "parquet": ".parquet"}
FORMATS = tuple(_SUFFIXES)
"""What can be written."""


@runtime_checkable
class _HasData(Protocol):
    @property
    def data(self) -> "xr.Dataset": ...


def export(
    run: "str | os.PathLike[str] | StoredRun | _HasData | xr.Dataset",
    path: str | os.PathLike[str],
    *,
    to: str | None = None,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write the data of a run (its folder, itself, or a dataset) to `path`; return the files that were written.

    `to` is netcdf, csv or parquet; without it the end of the name says so (.nc, .csv, .parquet).

    - netcdf: everything, attributes included. By h5netcdf, else netCDF4, which keep complex numbers (a compound of r and
      i), else scipy, which splits them into `name_real` and `name_imag`.
    - csv: a row for each measured point, units in the header, times in UTC. Complex numbers are `name.real`, `name.imag`.
    - parquet: the same table; units in the metadata, where pandas finds them as `.attrs["units"]`.

    Data that do not fit one table (traces, unrelated loops) make several files: `path` holds the one of the innermost
    loop's numbers, those of the others end in `-<dimensions>`. A file is whole or absent.
    Raises PlanError for an unknown format, RecordError if a file exists already, or cannot be written, or a package lacks.
    """
    target = Path(path).absolute()
    kind = _kind(target, to)
    data = _data_of(run)
    if kind == "netcdf":
        return (_put(target, overwrite, lambda spare: write_netcdf(_with_plain_attributes(data), spare)),)
    write = _write_csv if kind == "csv" else _parquet_writer()
    found = tables(data)
    if not found:
        raise RecordError(f"{target}: the run has recorded no variable yet, so there is no table to write")
    names = [target, *(target.with_name(f"{target.stem}-{key}{target.suffix}") for key in list(found)[1:])]
    for name in names:
        _check_free(name, overwrite)
    described = str(data.attrs.get("labnb", ""))
    return tuple(
        _put(name, overwrite, _writing(write, columns, described))
        for name, columns in zip(names, found.values(), strict=True)
    )


def suffix_of(to: str) -> str:
    """Return how the names of such files end. Raises PlanError for an unknown format."""
    if to not in _SUFFIXES:
        raise PlanError(f"data cannot be written as {to!r}; expected one of {', '.join(FORMATS)}")
    return _SUFFIXES[to]


def _kind(path: Path, to: str | None) -> str:
    if to is not None:
        suffix_of(to)
        return to
    for kind, suffix in _SUFFIXES.items():
        if path.suffix.lower() == suffix:
            return kind
    raise PlanError(
        f"{path.name}: expected a name that ends in {', '.join(_SUFFIXES.values())}, or to={'|'.join(FORMATS)!r}"
    )


def _data_of(run: object) -> "xr.Dataset":
    import xarray as xr

    if isinstance(run, xr.Dataset):
        return run
    if isinstance(run, str | os.PathLike):
        return load(Path(cast("str | os.PathLike[str]", run)))
    if isinstance(run, _HasData):
        return run.data
    raise PlanError(f"{type(run).__name__} cannot be exported; expected a run, the path of its folder, or a dataset")


def _writing(
    write: Callable[[list[Column], str, Path], None], columns: list[Column], described: str
) -> Callable[[Path], None]:
    return lambda spare: write(columns, described, spare)


def _put(path: Path, overwrite: bool, write: Callable[[Path], None]) -> Path:
    """Write a file under another name and give it its own when it is whole."""
    _check_free(path, overwrite)
    spare = path.with_name(f".{path.name}.partial")
    try:
        write(spare)
        spare.replace(path)
    except OSError as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"{path} cannot be written: {reason(error)}") from error
    finally:
        spare.unlink(missing_ok=True)
    return path


def _check_free(path: Path, overwrite: bool) -> None:
    if path.is_dir():
        raise RecordError(f"{path} is a folder; expected the name of a file in it")
    if path.exists() and not overwrite:
        raise RecordError(f"{path} exists already; choose another name, or overwrite it (overwrite=True, --overwrite)")
    if not path.parent.is_dir():
        raise RecordError(f"{path} cannot be written: there is no folder {path.parent}; make it first")


def _with_plain_attributes(data: "xr.Dataset") -> "xr.Dataset":
    """Return the data with attributes that netCDF can hold: others become JSON text."""
    data = data.copy(deep=False)
    data.attrs = _plain_attributes(data.attrs)
    for name in data.variables:
        data[name].attrs = _plain_attributes(data[name].attrs) | _flags(data[name])
    return data


def _plain_attributes(attrs: Mapping[Any, Any]) -> dict[str, Any]:  # xarray's attributes are of any type
    return {str(key): _plain(value) for key, value in attrs.items()}


def _flags(values: "xr.DataArray") -> dict[str, Any]:  # xarray's attributes
    """Return the numbers that tell flags, in the type of the variable, as CF asks."""
    stored = np.dtype(values.encoding.get("dtype", values.dtype))
    stored = np.dtype("i1") if stored.kind == "b" else stored
    names = [name for name in ("flag_values", "flag_masks") if name in values.attrs and stored.kind in "iu"]
    return {name: np.asarray(values.attrs[name], stored) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, str | float | np.number) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    if isinstance(value, list | tuple | np.ndarray) and np.asarray(value).dtype.kind in "iuf" and np.size(value):
        return np.asarray(value)
    return json.dumps(to_jsonable(value), ensure_ascii=False)


def _write_csv(columns: Iterable[Column], _described: str, path: Path) -> None:
    headed = {_header(part): _for_csv(part) for column in columns for part in column.parts()}
    to_pandas(headed.values()).set_axis(list(headed), axis=1).to_csv(path, index=False)


def _header(column: Column) -> str:
    unit = "UTC" if column.values.dtype.kind == "M" else column.unit
    return f"{column.name} ({unit})" if unit else column.name


def _for_csv(column: Column) -> Column:
    if column.values.dtype.kind != "M":
        return column
    texts = np.datetime_as_string(column.values)
    return Column(column.name, "", np.where(np.isnat(column.values), "", texts))


def _parquet_writer() -> Callable[[list[Column], str, Path], None]:
    """Return what writes parquet here. Raises RecordError if nothing does."""
    if is_there("pyarrow") or is_there("fastparquet"):
        return _write_parquet
    if is_there("polars"):
        return _write_parquet_by_polars
    raise RecordError(
        "a parquet file needs pyarrow or polars, neither is installed; run: pip install 'labnb[analysis]'"
    )


def _write_parquet(columns: list[Column], described: str, path: Path) -> None:
    frame = to_pandas(part for column in columns for part in column.parts())
    frame.attrs["labnb"] = described
    frame.to_parquet(path, index=False)


def _write_parquet_by_polars(columns: list[Column], described: str, path: Path) -> None:
    units = {part.name: part.unit for column in columns for part in column.parts() if part.unit}
    metadata = {"PANDAS_ATTRS": json.dumps({"units": units, "labnb": described})}
    to_polars(columns).write_parquet(path, metadata=metadata)
