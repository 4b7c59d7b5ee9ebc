"""A colleague opens the live store over HTTP, with nothing but xarray."""

import asyncio

import numpy as np
import pytest
import xarray as xr

from labnb.core import Axis, Group, Point, State, Variable
from labnb.record import Recorder
from labnb.session.monitoring import SessionData, _parts
from labnb.testing.observed import PlainSession

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

    # From the first moment on it opens; what it shows is what has been committed, four times a second.
    async with asyncio.timeout(60):
        while "current" not in (data := await asyncio.to_thread(look)) or np.isfinite(data["current"]).sum() < 3:
            await asyncio.sleep(0.05)
    np.testing.assert_array_equal(data["current"][:3], [0.0, 0.5, 1.0])
    assert np.isnan(data["current"][3:]).all()
    assert data["current"].attrs["units"] == "A"
    np.testing.assert_array_equal(data["voltage"], VOLTAGE.values)


async def test_whoever_opens_the_store_while_it_grows_gets_what_was_logged_and_never_an_error(
    serve, tmp_path, monkeypatch
):
    monkeypatch.setattr(_parts, "KEEP", 64)
    monkeypatch.setattr(_parts, "MOST_BYTES", 100_000)
    seen, opened = 0, 0
    with SessionData("s", verbose=False, store=tmp_path) as sesn:
        observed = PlainSession("s")
        server = await serve(observed)

        def log(begin):
            for k in range(begin, begin + 300):
                sesn.add_entry({"a": k, f"late{k // 2000}": k})
                if k % 10 == 0:
                    sesn.add_dataset(trace=np.full(100, float(k)))
            observed.folders = dict(sesn.stores())

        def look(run):
            return xr.open_zarr(f"{server.url}/api/runs/{run}.zarr").load()

        begin = -300
        while begin < 9000 or len(observed.folders) <= 2:  # a busy machine begins new parts later
            begin += 300
            looking = asyncio.gather(*(asyncio.to_thread(look, run) for run in list(observed.folders)[-2:]))
            await asyncio.to_thread(log, begin)
            for data in await looking:
                opened += 1
                seen += sum(data.sizes.values())
                for name, values in data.data_vars.items():
                    step, flat = (10, values[:, 0]) if name == "trace" else (1, values)
                    assert (np.diff(flat) == step).all()
    assert opened > 20
    assert seen > 1000


async def test_without_the_token_the_store_stays_shut(serve, recorder):
    server = await serve(token="a-token-of-some-length")
    with pytest.raises(Exception, match=r"401|found"):
        await asyncio.to_thread(xr.open_zarr, f"{server.url}/api/runs/iv.zarr")
