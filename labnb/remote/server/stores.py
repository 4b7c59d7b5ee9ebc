"""The live stores as files: `xr.open_zarr("http://.../api/runs/<name>.zarr")` while the run goes on."""

import asyncio
from pathlib import Path

from aiohttp import web

from labnb.remote.observed import Observed


class Stores:
    """Hands out what is inside a run's store, and nothing else."""

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def routes(self) -> list[web.RouteDef]:
        """Return what is asked where."""
        return [web.get("/api/runs/{run:[^/]+}.zarr/{key:.+}", self.file)]

    async def file(self, request: web.Request) -> web.StreamResponse:
        """Answer with one file of a store; a chunk that is not written yet is 404, as zarr expects."""
        store = self._observed.stores().get(request.match_info["run"])
        if store is None:
            raise web.HTTPNotFound(text="no such run in this session")
        path = await asyncio.to_thread(inside, store, request.match_info["key"])
        if path is None:
            raise web.HTTPNotFound(text="no such key in the store")
        kind = "application/json" if path.suffix == ".json" else "application/octet-stream"
        return web.FileResponse(path, headers={"Content-Type": kind})


def inside(store: Path, key: str) -> Path | None:
    """Return the file that zarr calls `key`, or None if there is none, or if it would not lie in the store."""
    parts = key.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in parts):
        return None
    try:
        path = store.joinpath(*parts).resolve(strict=True)
        root = store.resolve(strict=True)
    except (OSError, ValueError):
        return None
    return path if path.is_relative_to(root) and path.is_file() else None
