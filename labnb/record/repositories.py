"""Sends runs to an icechunk repository: each is a group, each publication one commit that can be gone back to.

Chunks are copied byte by byte, under the names that icechunk wants. A reader sees a commit or nothing of it.
"""

import hashlib
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from labnb.core import Json, PlanError, RecordError
from labnb.record.buckets import ENDPOINTS, Tell, explain, reach, several
from labnb.record.lock import hold_folder
from labnb.record.packages import need
from labnb.record.parcel import ROOT, STORE, Parcel

PREFIX = "icechunk+"
BRANCH = "main"
_S3_OPTIONS = {
    "endpoint": "endpoint_url",
    "region": "region",
    "access_key_id": "access_key_id",
    "secret_access_key": "secret_access_key",
    "session_token": "session_token",
    "skip_signature": "anonymous",
}


def storage_of(url: str, options: Mapping[str, Any]) -> Any:  # icechunk's storage; options are of any type
    """Return icechunk's storage for `icechunk+s3://bucket/prefix` or `icechunk+file:///folder`. Raises PlanError."""
    icechunk = need("icechunk", "publishing to a repository", "cloud")
    parts = urlsplit(url.removeprefix(PREFIX))
    if parts.scheme == "file":
        if options:
            raise PlanError(f"a folder has no option {next(iter(options))!r}")
        return icechunk.local_filesystem_storage(unquote(parts.path))
    if parts.scheme != "s3" or not parts.netloc:
        raise PlanError(f"{url!r}: expected icechunk+s3://bucket/prefix or icechunk+file:///folder")
    if unknown := sorted(set(options) - set(_S3_OPTIONS)):
        raise PlanError(f"{url}: unknown option {unknown[0]!r}; expected some of {', '.join(_S3_OPTIONS)}")
    endpoint = options.get("endpoint") or next(filter(None, map(os.environ.get, ENDPOINTS)), None)
    region = next(filter(None, map(os.environ.get, ("AWS_REGION", "AWS_DEFAULT_REGION"))), "us-east-1")
    given = {"region": region} | {_S3_OPTIONS[key]: value for key, value in options.items()}
    given["endpoint_url"] = endpoint
    return icechunk.s3_storage(
        bucket=parts.netloc,
        prefix=parts.path.strip("/") or None,
        allow_http=str(endpoint).startswith("http://"),
        force_path_style=endpoint is not None,
        **given,
    )


@dataclass(frozen=True, slots=True)
class Committed:
    """How much was sent, and the snapshot that holds it; nothing was sent if it held it before."""

    files: int
    bytes: int
    snapshot: str


async def commit(parcel: Parcel, url: str, options: Mapping[str, Any], tell: Tell) -> Committed:
    """Have the repository at `url` (made if there is none) hold the run as it is. Raises PlanError, RecordError."""
    storage = storage_of(url, options)
    import icechunk

    local = urlsplit(url.removeprefix(PREFIX))
    if local.scheme != "file":
        await reach(url.removeprefix(PREFIX), options)  # obstore gives up soon, icechunk after half a minute
    try:
        repository = await icechunk.Repository.open_or_create_async(storage)
        session = await repository.writable_session_async(BRANCH)
        group = _Group(parcel, session, url)
        before = await group.look()
        wanted = group.root(_digest(parcel))
        if before == wanted:
            tell(0, 0)
            return Committed(0, 0, session.snapshot_id)
        same_data = _published(before).get("data") == _published(wanted)["data"]
        sent = await group.write(wanted, tell, data=not same_data)
        with hold_folder(Path(unquote(local.path))) if local.scheme == "file" else nullcontext():
            snapshot = await session.commit_async(
                group.message, group.metadata, rebase_with=icechunk.BasicConflictSolver()
            )
    except icechunk.IcechunkError as error:
        raise explain(error, url) from error
    return Committed(*sent, snapshot)


def _digest(parcel: Parcel) -> str:
    """Return what tells one state of the data from another."""
    listed = json.dumps({name: [content.size, content.check] for name, content in parcel.files.items()}, sort_keys=True)
    return hashlib.sha256(listed.encode()).hexdigest()


def _published(root: Mapping[str, Any]) -> Mapping[str, Any]:  # JSON
    return root.get("attributes", {}).get("labnb_published", {})


class _Group:
    """The run's group in a session."""

    def __init__(self, parcel: Parcel, session: Any, url: str) -> None:  # icechunk's session
        from zarr.core.buffer import default_buffer_prototype

        self._parcel = parcel
        self._store = session.store
        self._url = url
        self._prototype = default_buffer_prototype()
        self.name = parcel.folder.name

    @property
    def message(self) -> str:
        """What the repository's history says."""
        run = self._parcel.run
        return f"{run.run_id}: {run.state.value}, {run.points} points"

    @property
    def metadata(self) -> dict[str, Json]:
        """What the repository's history says for programs."""
        run = self._parcel.run
        facts = {"run": run.run_id, "name": run.name, "state": run.state.value, "group": self.name}
        return {**facts, "points": run.points, "created": run.created.isoformat(), "tags": list(run.tags)}

    async def look(self) -> dict[str, Any]:  # JSON
        """Return the metadata of the group, {} if there is none. Raises RecordError if it is something else's."""
        found = await self._store.get(f"{self.name}/zarr.json", self._prototype)
        if found is None:
            return {}
        root = cast("dict[str, Any]", json.loads(found.to_bytes()))
        owner = (_published(root).get("run"), _published(root).get("created"))
        run = self._parcel.run
        if owner != (run.run_id, run.created.isoformat()):
            raise RecordError(
                f"{self._url} has a group {self.name} already, which is not this run; publish to another repository"
            )
        return root

    def root(self, digest: str) -> dict[str, Any]:  # JSON
        """Return the metadata that the group is to have; run.json is among its attributes."""
        run = self._parcel.run
        attributes = dict(json.loads(self._parcel.read(ROOT))["attributes"])
        attributes["labnb_run"] = self._parcel.read("run.json").decode()
        attributes["labnb_published"] = {"run": run.run_id, "created": run.created.isoformat(), "data": digest}
        return {"zarr_format": 3, "node_type": "group", "attributes": attributes}

    async def write(self, root: Mapping[str, Any], tell: Tell, *, data: bool) -> tuple[int, int]:
        """Replace the metadata, and with `data` all that is in the group; return files and bytes."""
        text = json.dumps(root).encode()
        files = {name: content for name, content in self._parcel.files.items() if data and name != ROOT}
        done, total = 0, len(text) + sum(content.size for content in files.values())
        tell(0, total)
        if data:
            await self._store.delete_dir(self.name)
        if not await self._store.exists("zarr.json"):
            await self._set("zarr.json", b'{"zarr_format": 3, "node_type": "group", "attributes": {}}')
        await self._set(f"{self.name}/zarr.json", text)
        shapes = {PurePosixPath(name).parent.name: await self._describe(name) for name in files if _is_array(name)}

        def sending(name: str) -> Callable[[], Awaitable[None]]:
            async def send() -> None:
                nonlocal done
                path = PurePosixPath(name)
                key = _chunk_key(path.name, has_axes=bool(shapes[path.parent.name]))
                await self._set(f"{self.name}/{path.parent.name}/{key}", self._parcel.read(name))
                done += files[name].size
                tell(done, total)

            return send

        await several([sending(name) for name in files if not _is_array(name)])
        tell(total, total)
        return len(files) + 1, total

    async def _describe(self, name: str) -> list[int]:
        """Write the metadata of an array; return its shape."""
        document = json.loads(self._parcel.read(name))
        document["chunk_key_encoding"] = {"name": "default", "configuration": {"separator": "/"}}
        path = PurePosixPath(name).relative_to(STORE)
        await self._set(f"{self.name}/{path}", json.dumps(document).encode())
        return document["shape"]

    async def _set(self, key: str, data: bytes) -> None:
        await self._store.set(key, self._prototype.buffer.from_bytes(data))


def _is_array(name: str) -> bool:
    return name.endswith("/zarr.json")


def _chunk_key(file: str, *, has_axes: bool) -> str:
    """Return icechunk's name of a chunk, given that of its file: `0.1` or `c.0.1`."""
    if not has_axes:
        return "c"
    return "/".join(("c", *file.removeprefix("c.").split(".")))
