"""What labelled arrays bring beside their values is recorded with them, or said to be lost."""

import numpy as np
import pytest
import xarray as xr

from labnb.instruments import demo
from labnb.session import Measurement


def trace(x):
    return xr.DataArray(
        np.arange(6.0).reshape(2, 3),
        dims=("channel", "time"),
        coords={
            "channel": [1, 2],
            "time": ("time", [0.0, 0.1, 0.2], {"units": "s"}),
            "shift": ((), x, {"units": "s"}),
            "clipped": ("channel", [x > 1, False]),
        },
        attrs={"units": "V"},
    )


async def recorded(tmp_path, function, **axes):
    session = Measurement("labelled", store=tmp_path)
    for name, values in axes.items():
        session.parameter(name, values)
    session.acquire(function, name="trace")
    return (await session.run()).data


async def test_coordinates_that_are_no_dimension_become_variables(tmp_path):
    data = await recorded(tmp_path, trace, x=[0.5, 1.5])
    assert data["trace"].dims == ("x", "channel", "time")
    assert data["shift"].values.tolist() == [0.5, 1.5]
    assert data["shift"].attrs["units"] == "s"
    assert data["clipped"].dims == ("x", "channel")
    assert data["clipped"].values.tolist() == [[False, False], [True, False]]


async def test_one_whose_name_is_taken_is_called_after_its_array(tmp_path):
    data = await recorded(tmp_path, lambda x: {"a": trace(x), "b": trace(x + 1), "clipped": 7.0}, x=[0.5])
    assert data["shift"].values.tolist() == [0.5]
    assert data["b_shift"].values.tolist() == [1.5]
    assert data["clipped"].values.tolist() == [7.0]
    assert data["b_clipped"].values.tolist() == [[True, False]]


async def test_where_it_was_cut_from_the_sweep_is_known_already(tmp_path):
    data = await recorded(tmp_path, lambda x: trace(0.0).assign_coords(x=x).drop_vars(["shift", "clipped"]), x=[0.5])
    assert set(data.data_vars) == {"trace"}


async def test_what_cannot_be_recorded_is_said(tmp_path):
    with pytest.warns(UserWarning, match="variable 'trace' comes with who, which is not recorded"):
        data = await recorded(tmp_path, lambda x: trace(x).assign_coords(who="me"), x=[0.5])
    assert "shift" in data


async def test_an_oscilloscopes_marks_are_kept_with_its_traces(tmp_path):
    lab = demo("fast")
    session = Measurement("scope", store=tmp_path)
    await session.instrument("scope", lab.scope)

    @session.acquire
    async def traces(scope):
        return await scope.read_channels(1, 2)

    data = (await session.run()).data
    assert data["clipped"].dims == ("channel",)
    assert data["time_shift"].attrs["units"] == "s"
    lab.close()
