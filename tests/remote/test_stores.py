"""A colleague opens the live store over HTTP, with nothing but xarray."""

import asyncio

import numpy as np
import pytest
import xarray as xr

from labnb.core import Axis, Group, Point, State, Variable
from labnb.record import Recorder

VOLTAGE = Axis("voltage", tuple(float(k) for k in range(8)), "V")


@pytest.fixture
def recorder(tmp_path, session):
    recorder = Recorder.create(tmp_path, "iv", {})
    recorder.declare(Group(0, (VOLTAGE,), (Variable("current", "A"),)))
    session.folders = {"iv": recorder.path / "data.zarr"}
    yield recorder
    recorder.close(State.STOPPED)


async def test_the_store_opens_while_the_run_goes_on(serve, recorder):
    for k in range(3):
        recorder.put(Point(0, k, (0.5 * k,), 1_000 + k))
    server = await serve(token="a-token-of-some-length")
    url = f"{server.url}/api/runs/iv.zarr"
    options = {"client_kwargs": {"headers": {"Authorization": f"Bearer {server.token}"}}}

    def look():
        return xr.open_zarr(url, storage_options=options).load()

    async with asyncio.timeout(20):
        while np.isfinite((data := await asyncio.to_thread(look))["current"].values).sum() < 3:
            await asyncio.sleep(0.05)
    np.testing.assert_array_equal(data["current"][:3], [0.0, 0.5, 1.0])
    assert np.isnan(data["current"][3:]).all()
    assert data["current"].attrs["units"] == "A"
    np.testing.assert_array_equal(data["voltage"], VOLTAGE.values)


async def test_without_the_token_the_store_stays_shut(serve, recorder):
    server = await serve(token="a-token-of-some-length")
    with pytest.raises(Exception, match=r"401|found"):
        await asyncio.to_thread(xr.open_zarr, f"{server.url}/api/runs/iv.zarr")
