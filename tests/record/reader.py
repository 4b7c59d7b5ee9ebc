"""Open runs by plain xarray in a loop, as somebody who has never heard of labnb; what is seen must be right.

Every line of the input names a store to look at until the next line; an empty one names none. Prints a line per look.
"""

import os
import select
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.modules["labnb"] = None

import numpy as np
import xarray as xr


def look(path):
    """Return how many points are seen."""
    data = xr.open_zarr(path, chunks=None)
    if "x" not in data:
        return 0
    # Times first: they are written last, so where there is one, the rest is whole.
    seen = ~np.isnat(data.t.load().values)
    places = np.arange(seen.size).reshape(seen.shape)
    x = data.x.values
    again = "again" in str(path)  # each place is measured twice, the first time as -1
    assert (x[seen] == places[seen] * 0.5).all() or (again and np.isin(x[seen], [*(places[seen] * 0.5), -1.0]).all())
    assert (np.isnan(x) | (x == places * 0.5) | (again & (x == -1))).all()
    if seen.ndim == 1 and "n" in data:
        assert seen.all()
    for name in ("n_seen", "label"):
        if name in data:
            values = data[name].values
            told = [
                (int(v), k) for v, k in zip(values[seen], places[seen].tolist(), strict=True) if v != "" or k >= 100
            ]
            assert all(v == k for v, k in told)
    if "trace" in data and ("trace_length" in data or again or "late-" in str(path)):
        # Of any length, put twice or only sometimes there: each is one whole array, or none.
        lengths = data.trace_length.values if "trace_length" in data else None
        for place in np.flatnonzero(seen)[-20:]:
            trace = data.trace[place].values
            known = trace[~np.isnan(trace)]
            assert len(known) == (len(trace) if lengths is None else lengths[place]) or (
                lengths is None and not len(known)
            )
            assert (known == place).all() or (again and (known == -1).all()), (place, known)
    elif "trace" in data:
        latest = np.flatnonzero(seen)[-20:]
        trace = data.trace.values if data.trace.size < 1e6 else data.trace.isel({data.trace.dims[0]: latest}).values
        trace = trace[seen][-20:] if len(trace) == len(seen) else trace
        np.testing.assert_array_equal(trace, latest[:, None] * np.ones(trace.shape[1]))
    return int(seen.sum())


def next_line():
    """Return a line, None at the end; nothing is read ahead, which `select` would not see."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return None
        line += byte
    return line.decode().strip()


def main():
    """Look until told to stop."""
    path, before = "", 0
    while True:
        if not path or select.select([sys.stdin], [], [], 0)[0]:
            line = next_line()
            if line is None:
                return
            path, before = line, 0
            if not path:
                print("idle", flush=True)
        if path and Path(path).exists():
            now = look(path)
            assert now >= before, (now, before)
            before = now
            print(now, flush=True)


if __name__ == "__main__":
    main()
