"""Publishes runs that have ended: to an object store that any zarr reader opens, or to a versioned icechunk repository."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast, runtime_checkable

from labnb.core import PlanError, RecordError, SystemClock
from labnb.record import buckets, repositories
from labnb.record.folder import write_note
from labnb.record.parcel import STORE, Parcel, pack_up

if TYPE_CHECKING:
    import xarray as xr

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Told how many bytes are sent, and how many there are to send."""


@runtime_checkable
class _HasPath(Protocol):
    @property
    def path(self) -> Path: ...


@dataclass(frozen=True, slots=True)
class Publication:
    """A run where others can read it.

    `url` is that of the zarr store, or of the icechunk repository, in which `group` is the run and `snapshot` its state.
    """

    url: str
    files: int
    """How many had to be sent; 0 if nothing had changed."""
    bytes: int
    group: str | None = None
    snapshot: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def unchanged(self) -> bool:
        """Whether the data were there already as they are."""
        return self.files == 0

    def __str__(self) -> str:
        return self.url

    def open(self, **how: Any) -> "xr.Dataset":  # what xarray.open_zarr takes
        """Open the data there, as `xarray.open_zarr` does, with the options of publishing. Raises RecordError."""
        import xarray as xr

        try:
            if self.snapshot is None:
                from zarr.storage import ObjectStore

                store = ObjectStore(buckets.open_bucket(self.url, self.options), read_only=True)
                return xr.open_zarr(store, **how)
            import icechunk

            repository = icechunk.Repository.open(repositories.storage_of(self.url, self.options))
            session = repository.readonly_session(snapshot_id=self.snapshot)
            return xr.open_zarr(session.store, group=self.group, consolidated=False, **how)
        except Exception as error:
            raise buckets.explain(error, self.url) from error


def publish(
    run: "str | os.PathLike[str] | _HasPath", url: str, *, progress: Progress | None = None, **options: Any
) -> Publication:
    """Send a run that has ended (its folder, or itself) below `url`; return where it is then.

    - `s3://bucket/prefix`, `gs://…`, `az://…`, `file:///folder`: becomes `<url>/<name of its folder>/data.zarr`, with
      run.json and events beside it. Readers find all of it or nothing: the root is sent last. Publishing again sends what
      is missing or has changed, and goes on with what broke off.
    - `icechunk+s3://bucket/prefix`, `icechunk+file:///folder`: a group of that name in a versioned repository, made if need
      be; each time that something has changed is one commit.

    `options` are obstore's: `endpoint`, `region`, `access_key_id`, `secret_access_key`, `skip_signature`, …; without them
    the environment counts (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, … and those of Google and Azure). `progress` is
    called with the bytes sent and those to be sent.

    To read: `publication.open()`; without labnb `xarray.open_zarr(url, storage_options={"endpoint_url": …})` where s3fs
    is installed, `xarray.open_zarr("https://…")` if it is public, or
    `xarray.open_zarr(zarr.storage.ObjectStore(obstore.store.from_url(url, endpoint=…), read_only=True))`; of a repository
    `xarray.open_zarr(repository.readonly_session("main").store, group=…, consolidated=False)`.

    It blocks until all is there; `publish_async` does not. Needs labnb[cloud]. Raises LifecycleError if the run is still
    measured, PlanError for what cannot be understood, RecordError if it cannot be sent: no such bucket, access refused, no
    network, something else there.
    """

    def make() -> Coroutine[Any, Any, Publication]:
        return _publish(_folder_of(run), url, progress or _quietly, options)

    if asyncio._get_running_loop() is None:  # noqa: SLF001  documented; the other one would be the context of all errors
        return asyncio.run(make())
    done = Future[Publication]()
    thread = threading.Thread(target=_fulfil, args=(done, make), name="labnb publishing")
    thread.start()
    thread.join()
    return done.result()


async def publish_async(
    run: "str | os.PathLike[str] | _HasPath", url: str, *, progress: Progress | None = None, **options: Any
) -> Publication:
    """Publish a run as `publish` does, while this loop goes on. Cancelling it ends it: readers find nothing half."""
    loop = asyncio.get_running_loop()

    def tell(done: int, total: int) -> None:
        if progress is not None:
            loop.call_soon_threadsafe(progress, done, total)

    return await _aside(lambda: _publish(_folder_of(run), url, tell, options))


async def _publish(folder: Path, url: str, tell: Progress, options: Mapping[str, Any]) -> Publication:
    if not isinstance(url, str):  # pyright: ignore[reportUnnecessaryIsInstance]  what people pass
        raise PlanError(f"{url!r}: expected a URL such as 's3://bucket/prefix' or 'file:///folder'")
    url = url.rstrip("/")
    if url.startswith(repositories.PREFIX):
        repositories.storage_of(url, options)  # what cannot be understood is told before anything is read
    else:
        buckets.open_bucket(url, options)
    async with pack_up(folder) as parcel:
        found = await _send(parcel, url, tell, options)
    text = f"{found.url}: " + ("unchanged" if found.unchanged else f"{found.files} files, {found.bytes} bytes")
    with contextlib.suppress(RecordError):  # a copy on a read-only medium
        write_note(parcel.folder, SystemClock.time_ns(), "published", text, {})
    return found


async def _send(parcel: Parcel, url: str, tell: Progress, options: Mapping[str, Any]) -> Publication:
    if url.startswith(repositories.PREFIX):
        done = await repositories.commit(parcel, url, options, tell)
        return Publication(url, done.files, done.bytes, parcel.folder.name, done.snapshot, options)
    sent = await buckets.upload(parcel, url, options, tell)
    return Publication(f"{url}/{parcel.folder.name}/{STORE}", sent.files, sent.bytes, options=options)


def _quietly(_done: int, _total: int) -> None:
    """Tell nobody."""


def _folder_of(run: object) -> Path:
    if isinstance(run, str | os.PathLike):
        return Path(cast("str | os.PathLike[str]", run))
    if isinstance(run, _HasPath):
        return run.path
    raise PlanError(f"{type(run).__name__} cannot be published; expected a run, or the path of its folder")


def _fulfil(done: "Future[T]", make: Callable[[], Coroutine[Any, Any, T]]) -> None:
    done.set_running_or_notify_cancel()  # whoever waits may be cancelled; this is not
    try:
        done.set_result(asyncio.run(make()))
    except BaseException as error:
        done.set_exception(error)
        if not isinstance(error, Exception | asyncio.CancelledError):
            raise


async def _aside(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Await a coroutine on a loop of its own in another thread; being cancelled cancels it, and waits for its end."""
    began = Future[tuple[asyncio.AbstractEventLoop, "asyncio.Task[Any] | None"]]()

    async def work() -> T:
        began.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await make()

    done = Future["T"]()
    thread = threading.Thread(target=_fulfil, args=(done, work), name="labnb publishing")
    thread.start()
    try:
        return await asyncio.wrap_future(done)
    except asyncio.CancelledError:
        loop, task = began.result()
        if task is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)
        raise
    finally:
        await asyncio.shield(asyncio.to_thread(thread.join))
