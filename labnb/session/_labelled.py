"""What labelled arrays (xarray's) bring beside their values: coordinates that are no dimension are recorded, too.

`clipped` and `time_shift` of an oscilloscope's traces say of each trace what it is worth; a dataset of many traces keeps
them as variables beside the traces. This room never imports xarray: its arrays are known by their names.
"""

import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from labnb.instruments import Action

_NUMBERS = "fiucb"


def labels_of(value: object) -> dict[str, Any]:  # Any: xarray's arrays
    """Return the coordinates of a labelled array that are no dimension, by name."""
    dims, coords = getattr(value, "dims", None), getattr(value, "coords", None)
    if not isinstance(dims, tuple) or not hasattr(coords, "items"):
        return {}
    return {str(name): coord for name, coord in cast(Any, coords).items() if name not in dims}


def has_labels(results: Mapping[str, object]) -> bool:
    """Whether there is something to take out of `results`."""
    return any(labels_of(_value(value)) for value in results.values())


def with_labels(results: Mapping[str, object], taken: Collection[str]) -> dict[str, object]:
    """Return `results` with the coordinates of labelled arrays as variables of their own.

    One whose name another variable has is called after its array, `trace_clipped`. Those that tell where the array was
    cut from an axis of the sweep (`taken`) are known already; texts and times cannot be recorded.
    """
    found = {name: _value(value) for name, value in results.items()}
    for name, value in tuple(found.items()):
        for label, coord in labels_of(value).items():
            if label not in taken and coord.dtype.kind in _NUMBERS:
                found[label if label not in found else f"{name}_{label}"] = coord
    return found


def warn_of_lost(names: Sequence[str], values: Sequence[object], taken: Collection[str]) -> None:
    """Warn of coordinates that are not recorded, of variables with `names` and their first `values`."""
    known = {*names, *taken}
    for name, value in zip(names, values, strict=True):
        lost = [label for label in labels_of(value) if label not in known and f"{name}_{label}" not in known]
        known.update(lost)
        if lost:
            warnings.warn(
                f"variable {name!r} comes with {', '.join(lost)}, which is not recorded; record it by name if it matters",
                UserWarning,
                stacklevel=2,
            )


def _value(value: object) -> object:
    return cast("Action[object]", value).result() if isinstance(value, Action) else value
