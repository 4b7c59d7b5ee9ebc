"""Sends a run to an object store (S3, Google, Azure, a folder): whole or absent for readers, and only what is missing.

```
<url>/<run folder>/files.json        what is being sent: sizes and checksums; the first that is written
                   data.zarr/…       chunks and metadata of arrays, several at a time
                   run.json, events.ndjson
                   data.zarr/zarr.json   the root, last: without it there is nothing to open
```
What was sent for the present `files.json` is younger than it, by the server's own clock: an upload that broke off
goes on there. Before anything of a published store changes, its root is taken away.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from labnb.core import PlanError, RecordError
from labnb.record.packages import need
from labnb.record.parcel import DESCRIBING, ROOT, STORE, Content, Parcel

MANIFEST = "files.json"
SCHEMES = ("s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss", "file")
AT_ONCE = 8

Tell = Callable[[int, int], None]


def open_bucket(url: str, options: Mapping[str, Any]) -> Any:  # obstore's stores; options are obstore's own
    """Return obstore's store for `url`. Raises PlanError for a URL or an option that it does not know."""
    obstore = need("obstore.store", "publishing", "cloud")
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or not (parts.netloc or parts.scheme == "file"):
        raise PlanError(f"{url!r}: expected a URL such as s3://bucket/prefix, gs://…, az://…, or file:///folder")
    if parts.scheme == "file":
        if options:
            raise PlanError(f"a folder has no option {next(iter(options))!r}")
        return _folder_store(obstore, url, Path(unquote(parts.path)))
    given = dict(options)
    endpoint = str(given.get("endpoint") or next(filter(None, map(os.environ.get, ENDPOINTS)), ""))
    if endpoint.startswith("http://"):
        given["client_options"] = {"allow_http": True, **given.get("client_options", {})}
    if parts.scheme.startswith("s3") and not any(map(os.environ.get, ("AWS_REGION", "AWS_DEFAULT_REGION"))):
        given.setdefault("region", "us-east-1")
    try:
        return obstore.from_url(url, **given)
    except Exception as error:  # obstore's errors have one base, which is known only once it is installed
        raise explain(error, url) from error


ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


async def reach(url: str, options: Mapping[str, Any]) -> None:
    """Ask for what is at `url`. Raises RecordError if nobody answers, or refuses it."""
    import obstore

    try:
        async for _ in obstore.list(open_bucket(url, options), chunk_size=1):
            return
    except Exception as error:
        raise explain(error, url) from error


def _folder_store(obstore: Any, url: str, folder: Path) -> Any:
    try:
        return obstore.LocalStore(folder, mkdir=True)
    except Exception as error:
        raise explain(error, url) from error


@dataclass(frozen=True, slots=True)
class Sent:
    """How much had to be sent."""

    files: int
    bytes: int


async def upload(parcel: Parcel, url: str, options: Mapping[str, Any], tell: Tell) -> Sent:
    """Bring what lies below `url` up to the run. Raises PlanError, RecordError."""
    bucket = _Bucket(open_bucket(url, options), url, parcel)
    return await bucket.update(tell)


@dataclass(frozen=True, slots=True)
class _There:
    """What lies in the store already."""

    objects: Mapping[str, tuple[int, datetime]]  # size, time of the change
    manifest: bytes
    files: Mapping[str, Content]

    def has(self, name: str, wanted: Content) -> bool:
        """Whether this file was sent as it is wanted, since `files.json` has said so."""
        if name not in self.objects or self.files.get(name) != wanted or self.objects[name][0] != wanted.size:
            return False
        since = self.objects[MANIFEST][1]
        complete = ROOT in self.objects and self.objects[ROOT][1] >= since
        return complete or self.objects[name][1] > since


class _Bucket:
    def __init__(self, store: Any, url: str, parcel: Parcel) -> None:  # obstore's store
        import obstore

        self._obstore: Any = obstore
        self._store = store
        self._url = url
        self._parcel = parcel
        self._at = parcel.folder.name + "/"

    async def update(self, tell: Tell) -> Sent:
        there = await self._look()
        files = self._parcel.files
        stale = [name for name in there.objects if name.startswith(f"{STORE}/") and name not in files]
        names = [name for name, content in files.items() if not there.has(name, content)]
        manifest = self._manifest()
        sizes = {name: files[name].size for name in names}
        if names or stale:
            sizes[ROOT] = files[ROOT].size
            if manifest != there.manifest:
                sizes[MANIFEST] = len(manifest)
            await self._take_away([ROOT, *stale], there)
        sizes |= {name: (self._parcel.folder / name).stat().st_size for name in self._parcel.described}
        count = _Count(sum(sizes.values()), tell)
        if MANIFEST in sizes:
            await self._put(MANIFEST, manifest, count)
        await several([self._sending(name, count) for name in names if name != ROOT])
        for name in (*self._parcel.described, *(name for name in sizes if name == ROOT)):
            await self._put(name, self._parcel.read(name), count)
        return Sent(len(sizes.keys() - {*DESCRIBING}), sum(sizes[name] for name in sizes.keys() - {*DESCRIBING}))

    def _manifest(self) -> bytes:
        run = self._parcel.run
        files = {name: [content.size, content.check] for name, content in self._parcel.files.items()}
        document = {"format": 1, "run": run.run_id, "created": run.created.isoformat(), "files": files}
        return json.dumps(document, indent=1).encode()

    async def _look(self) -> _There:
        """Return what is there. Raises RecordError if it is something else than this run."""
        objects = dict[str, tuple[int, datetime]]()
        try:
            async for batch in self._obstore.list(self._store, prefix=self._at):
                for found in batch:
                    name = str(found["path"]).removeprefix(self._at)
                    objects[name] = (found["size"], found["last_modified"])
        except Exception as error:
            raise explain(error, self._url) from error
        if not objects:
            return _There({}, b"", {})
        manifest = await self._get(MANIFEST) if MANIFEST in objects else b""
        return _There(objects, manifest, self._read(manifest, len(objects)))

    def _read(self, manifest: bytes, count: int) -> dict[str, Content]:
        place = f"{self._url}/{self._parcel.folder.name}"
        try:
            document = cast("dict[str, Any]", json.loads(manifest))
            files = {str(name): Content(int(size), str(check)) for name, (size, check) in document["files"].items()}
            owner = (document["run"], document["created"])
        except (ValueError, KeyError, TypeError) as error:
            raise RecordError(
                f"{place} holds {count} objects that are not a published run; publish below another URL, or remove them"
            ) from error
        run = self._parcel.run
        if owner != (run.run_id, run.created.isoformat()):
            raise RecordError(f"{place} is another run: {owner[0]} of {owner[1]}; publish below another URL")
        return files

    async def _get(self, name: str) -> bytes:
        got = await self._call(self._obstore.get_async(self._store, self._at + name))
        return bytes(await self._call(got.bytes_async()))

    async def _take_away(self, names: list[str], there: _There) -> None:
        for name in (name for name in names if name in there.objects):
            await self._call(self._obstore.delete_async(self._store, self._at + name))

    def _sending(self, name: str, count: "_Count") -> Callable[[], Awaitable[None]]:
        return lambda: self._put(name, self._parcel.read(name), count)

    async def _put(self, name: str, data: bytes, count: "_Count") -> None:
        await self._call(self._obstore.put_async(self._store, self._at + name, data))
        count.add(len(data))

    async def _call(self, request: Awaitable[Any]) -> Any:
        try:
            return await request
        except Exception as error:
            raise explain(error, self._url) from error


class _Count:
    """Bytes that were sent."""

    def __init__(self, total: int, tell: Tell) -> None:
        self._done, self._total, self._tell = 0, total, tell
        tell(0, total)

    def add(self, size: int) -> None:
        self._done += size
        self._tell(self._done, self._total)


async def several(works: list[Callable[[], Awaitable[None]]]) -> None:
    """Do all of these, some at a time; the first that fails ends the others, and its error is raised as it is."""
    waiting = iter(works)

    async def work() -> None:
        for each in waiting:
            await each()

    tasks = [asyncio.create_task(work()) for _ in range(min(AT_ONCE, len(works)))]
    try:
        for task in asyncio.as_completed(tasks):
            await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


_CAUSES = (
    (
        ("nosuchbucket", "bucket does not exist", "containernotfound", "bucket not found"),
        "there is no such bucket; create it first, or check its name and `endpoint`",
    ),
    (
        ("169.254.169.254", "metadata.google", "no credentials", "credentials provider", "credentialsnotloaded"),
        "no credentials were found; give access_key_id and secret_access_key, or set AWS_ACCESS_KEY_ID and "
        "AWS_SECRET_ACCESS_KEY (or what Google's and Azure's own tools use)",
    ),
    (
        (
            "invalidaccesskeyid",
            "signaturedoesnotmatch",
            "accessdenied",
            "403 forbidden",
            "401 unauthorized",
            "permission",
        ),
        "access was refused; check the credentials, and that they may list, write and delete there",
    ),
    (
        ("error sending request", "dispatch failure", "connection refused", "dns error", "timed out"),
        "it cannot be reached; check the network and `endpoint`; publishing again goes on where it broke off",
    ),
    (("status code: 5", "internalerror"), "the server failed; try again later, publishing goes on where it broke off"),
)


def explain(error: Exception, url: str) -> PlanError | RecordError:
    """Return an error of ours that says what another library's error about a store means, and what to do."""
    if isinstance(error, PlanError | RecordError):
        return error
    said = " ".join(str(error).split("Debug source")[0].split())
    if type(error).__name__ == "UnknownConfigurationKeyError" or isinstance(error, TypeError):
        return PlanError(f"{url}: {said}")
    for words, meaning in _CAUSES:
        if any(word in said.lower() for word in words):
            return RecordError(f"{url}: {meaning}. It said: {_short(said)}")
    return RecordError(f"{url}: {_short(said)}")


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:299] + "…"
