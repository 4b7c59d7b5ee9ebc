"""Open a growing run by plain xarray in a loop and load it; end when the input closes. Prints a line per round."""

import select
import sys

import numpy as np
import xarray as xr


def look(path: str) -> int:
    """Return how many points are seen; whatever is seen must be whole and right."""
    data = xr.open_zarr(path).load()
    if "x" not in data:
        return 0
    x = data.x.values
    np.testing.assert_array_equal(x, np.arange(len(x)) * 0.5)
    assert len(data.n) == len(x)
    assert not np.isnat(data.t.values).any()
    if "trace" in data:
        np.testing.assert_array_equal(data.trace.values[:, -1], np.arange(len(x)))
    return len(x)


def main() -> None:
    """Look until told to stop."""
    seen = 0
    while not select.select([sys.stdin], [], [], 0)[0]:
        now = look(sys.argv[1])
        assert now >= seen, (now, seen)
        seen = now
        print(seen, flush=True)


if __name__ == "__main__":
    main()
