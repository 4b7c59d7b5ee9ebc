"""Read a run without labnb: `foreign.py <library> <path or URL>`. What is read is compared and printed."""

import sys

if __name__ == "__main__":
    sys.modules["labnb"] = None

import numpy as np

COUNT = 30


def with_xarray(place):
    import xarray as xr

    data = xr.open_zarr(place).load()
    assert data.x.attrs["units"] == "A"
    assert data.t.dtype.kind == "M"
    return {name: data[name].values for name in ("x", "n", "z", "trace", "image", "label", "v")}


def with_zarr(place):
    import zarr

    group = zarr.open_group(place, mode="r")
    return {name: group[name][...] for name in ("x", "n", "z", "trace", "image", "label", "v")}


def with_tensorstore(place):
    import tensorstore as ts

    def read(name):
        store = {"driver": "file", "path": f"{place}/{name}/"}
        return ts.open({"driver": "zarr3", "kvstore": store}).result().read().result()

    # tensorstore knows no texts of variable length.
    return {name: read(name) for name in ("x", "n", "z", "trace", "image", "v")}


def main():
    library, place = sys.argv[1:]
    found = {"xarray": with_xarray, "zarr": with_zarr, "tensorstore": with_tensorstore}[library](place)
    points = np.arange(COUNT)
    np.testing.assert_array_equal(found["x"][:COUNT], points * 0.5)
    np.testing.assert_array_equal(found["n"][:COUNT], points)
    np.testing.assert_array_equal(found["z"][:COUNT], points * 1j)
    np.testing.assert_array_equal(found["trace"][:COUNT], points[:, None] + np.arange(100.0))
    np.testing.assert_array_equal(found["image"][:COUNT, 2, 3], points)
    np.testing.assert_array_equal(found["v"], np.arange(40))
    if "label" in found:
        assert [str(text) for text in found["label"][:COUNT]] == [f"p{k}" for k in range(COUNT)]
    assert np.isnan(found["x"][COUNT:]).all()
    print("same")


if __name__ == "__main__":
    main()
