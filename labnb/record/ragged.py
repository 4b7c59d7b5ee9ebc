"""Marks arrays whose length differs from point to point, so that they are recorded as such."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from labnb.core import SchemaError, describe_value
from labnb.core.schema import RAGGED_MARK

if TYPE_CHECKING:
    import xarray as xr


class RaggedArray(np.ndarray[Any, Any]):
    """A numpy array, also what is computed from it, that may have another length at the next point."""

    labnb_ragged = True


@overload
def ragged(values: xr.DataArray) -> xr.DataArray: ...
@overload
def ragged(values: NDArray[Any] | Sequence[object] | Awaitable[object]) -> NDArray[Any]: ...
def ragged(values: Any) -> Any:  # whatever numpy takes for an array, a labelled array, or a reading of one
    """Return an array that is recorded even if its shape differs from point to point.

    `peaks: "V" = ragged(find_peaks(trace))` in a cell, `{"peaks": ragged(...)}` as a result of a session. It goes on as a numpy (or labelled) array of the same values. In the data it is padded with NaN to the longest one, and
    `<name>_length` says how many values each point has; an empty array has 0. Every place that records the variable marks
    its value, or only the first one does. The dimensions of a labelled array keep their names, so that two variables can
    share one; what it has as coordinates along them is recorded only by names of their own.
    Raises SchemaError for what is no array of numbers.
    """
    values = _measured(values)
    if isinstance(getattr(values, "dims", None), tuple):
        return _labelled(values)
    array: NDArray[Any] = np.asarray(values)
    if array.ndim == 0 or array.dtype.kind not in "fiucb" or isinstance(values, np.ma.MaskedArray):
        raise SchemaError(
            f"ragged: expected an array of numbers, got {describe_value(values)}; a masked one has to be filled first"
        )
    return array.view(RaggedArray)


def _measured(values: Any) -> Any:  # an action or reading of an instrument, known by its names
    if hasattr(type(values), "__await__") and callable(getattr(values, "result", None)):
        values = values.result()
    known = isinstance(values, np.ndarray | list | tuple) or isinstance(getattr(values, "dims", None), tuple)
    return values if known else getattr(values, "values", values)


def _labelled(array: Any) -> Any:  # xarray's arrays, which are not imported to record
    lost = [str(dim) for dim in array.dims if dim in array.coords]
    if lost:
        warnings.warn(
            f"ragged: the values of {', '.join(lost)} are not recorded, since they may differ from point to point; record "
            "them as a variable of their own, ragged too",
            UserWarning,
            stacklevel=3,
        )
    return array.drop_vars(lost).assign_attrs({RAGGED_MARK: True})
