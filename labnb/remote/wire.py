"""How numbers are written as JSON that every reader understands: NaN is null, an infinity a number beyond floats."""

import json
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Sendable = None | bool | int | float | str | Floats | Mapping[str, "Sendable"] | Sequence["Sendable"]


def json_text(value: Sendable) -> str:
    """Return `value` as JSON.

    JSON has no word for an infinity; `1e999` is a number in its grammar, and Python and browsers read it as infinite.

    >>> json_text({"a": float("nan"), "b": [1, True, float("-inf")]})
    '{"a":null,"b":[1,true,-1e999]}'
    """
    if isinstance(value, np.ndarray):
        return numbers_text(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{json.dumps(str(key))}:{json_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, float | np.floating):
        return _plain(json.dumps(float(value)))
    if isinstance(value, str) or not isinstance(value, Sequence):
        return json.dumps(value)
    return "[" + ",".join(json_text(each) for each in value) + "]"


def numbers_text(values: Floats) -> str:
    """Return an array of floats, of one dimension or of two, as JSON."""
    text = json.dumps(values.tolist(), separators=(",", ":"))
    return text if np.isfinite(values).all() else _plain(text)


def _plain(text: str) -> str:
    """Replace what Python writes for numbers that JSON lacks; `text` has numbers only."""
    return text.replace("NaN", "null").replace("Infinity", "1e999")
