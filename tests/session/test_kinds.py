"""Every kind of value that a measurement function may return: stored right, or refused clearly with the points before."""

import numpy as np
import pytest
import xarray as xr

from labnb.core import LabnbError, State
from labnb.session import Measurement


async def measured(tmp_path, values):
    """Record `values`, one at each point; return the run (with its error, if it has one)."""
    session = Measurement("kinds", store=tmp_path)
    session.parameter("x", range(len(values)))
    session.acquire(name="y")(lambda x: values[x])
    run = session.start()
    try:
        await run
    except LabnbError:
        assert run.state is State.FAILED
    return run


FLOAT_LATE = [*range(120), 0.5, 7]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (FLOAT_LATE, [float(v) for v in FLOAT_LATE]),
        ([1, 2.5, np.float32(3.5), np.int64(4)], [1, 2.5, 3.5, 4]),
        ([1j, 2, 3.5 + 1j], [1j, 2, 3.5 + 1j]),
        ([True, False, True], [True, False, True]),
        (["on", "off", ""], ["on", "off", ""]),
        ([np.arange(3) + 1.0, np.arange(3)], [[1, 2, 3], [0, 1, 2]]),
        ([float("inf"), -float("inf"), 1.0], [float("inf"), -float("inf"), 1.0]),
    ],
)
async def test_numbers_of_all_kinds_are_stored_right(tmp_path, values, expected):
    run = await measured(tmp_path, values)
    assert run.error is None
    np.testing.assert_array_equal(run.data.y.values, expected)


@pytest.mark.parametrize(
    ("values", "kept", "words"),
    [
        ([None], 0, "returned nothing"),
        ([1.0, None], 1, "returned nothing"),
        ([1.0, "text"], 1, "text"),
        ([1.0, 1j], 1, "complex"),
        ([1.0, True], 1, "True"),
        ([np.arange(3), np.arange(4)], 1, r"shape \(4,\)"),
        ([np.arange(3), 1.0], 1, "shape"),
        ([np.arange(3), np.arange(3) + 0.5], 1, "of <i8, got array"),
        ([[1, 2]], 0, "make it an array first"),
        ([{}], 0, "returned no value"),
        ([{"a": 1.0}, {"a": 1.0, "b": 2.0}], 1, "measured b in addition"),
        ([{"a": 1.0, "b": 2.0}, {"a": 1.0}], 1, "no value for 'b'"),
        ([{"a": None}], 0, "cannot record None"),
        ([np.array(["a"])], 0, "dtype <U1"),
        ([object()], 0, "cannot record <object"),
    ],
)
async def test_what_cannot_be_stored_is_refused_clearly_and_the_points_before_it_are_kept(
    tmp_path, values, kept, words
):
    run = await measured(tmp_path, values)
    with pytest.raises(LabnbError, match=words) as caught:
        await run
    assert run.points == kept
    assert any(f"{kept} point{'' if kept == 1 else 's'} kept" in note for note in caught.value.__notes__)
    assert any(f"at x={kept}" in note for note in caught.value.__notes__)


async def test_xarray_objects_bring_their_dimensions_coordinates_and_units(tmp_path):
    session = Measurement("labelled", store=tmp_path)
    session.parameter("x", [1, 2])

    @session.acquire
    def spectrum(x):
        frequency = xr.DataArray([1.0, 2.0], dims="frequency", attrs={"units": "Hz"})
        power = xr.DataArray(
            [x * 1.0, x * 2.0], dims="frequency", coords={"frequency": frequency}, attrs={"units": "W"}
        )
        return xr.Dataset({"power": power, "peak": xr.DataArray(x * 2.0, attrs={"units": "W"})})

    run = await session.run()
    assert run.data.power.dims == ("x", "frequency")
    assert run.data.power.attrs["units"] == run.data.peak.attrs["units"] == "W"
    assert run.data.frequency.attrs["units"] == "Hz"
    assert run.data.power.values.tolist() == [[1, 2], [2, 4]]
    assert run.data.peak.dims == ("x",)
