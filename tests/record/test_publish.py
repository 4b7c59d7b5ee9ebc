"""A published run is what xarray opens from elsewhere: whole or not at all, and sent once."""

import asyncio
import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
import xarray as xr

from labnb.cli import main
from labnb.core import Axis, Group, LifecycleError, PlanError, Point, RecordError, RunLocked, Span, State, Variable
from labnb.record import Recorder, buckets, load, open_run, publish, publish_async, repositories, runs
from labnb.record.lock import take_lock
from labnb.record.sealing import packer, retire_run

pytest.importorskip("obstore")
GRID = Group(
    0,
    (Axis("v", tuple(0.1 * k for k in range(10)), "V"),),
    (
        Variable("x", "A"),
        Variable("label", dtype="str"),
        Variable("trace", "V", "<f8", (Span("k", 1000),)),
    ),
)
ONCE = Group(1, (), (Variable("temperature", "K"),))


def values(k):
    return (k * 0.5, f"p{k}", k + np.random.default_rng(k).normal(size=1000))


@pytest.fixture
def sealed(tmp_path):
    """Return a maker of runs that have ended after 8 of 10 points."""

    def make(name="iv", shift=0):
        recorder = Recorder.create(tmp_path / "data", name, {"sample": "A7"}, period_s=3600.0)
        recorder.declare(GRID)
        recorder.declare(ONCE)
        recorder.put(Point(1, 0, (4.2,), 10**18))
        for k in range(8):
            recorder.put(Point(0, k, values(k + shift), 10**18 + k))
        recorder.close(State.STOPPED)
        return open_run(recorder.path)

    (tmp_path / "data").mkdir()
    return make


class Endpoint:
    """A server that speaks S3, on a port of its own."""

    def __init__(self, url):
        self.url = url
        self.options = {"endpoint": url, "access_key_id": "key", "secret_access_key": "secret"}
        self.count = 0

    def bucket(self):
        """Make a bucket that everybody may read."""
        self.count += 1
        name = f"bucket{self.count}"
        self.send("PUT", name, headers={"x-amz-acl": "public-read"})
        return name

    def send(self, method, path, text="", headers=None):
        """Ask the server for something, without signing it."""
        request = urllib.request.Request(
            f"{self.url}/{path}", text.encode(), {"Content-Type": "text/plain"} | (headers or {}), method=method
        )
        urllib.request.urlopen(request).close()


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    """Serve S3 by moto, in a process of its own."""
    pytest.importorskip("moto")
    code = (
        "import sys; from moto.server import ThreadedMotoServer; server = ThreadedMotoServer('127.0.0.1', 0);"
        "server.start(); print(server.get_host_and_port()[1], flush=True); sys.stdin.read()"
    )
    log = (tmp_path_factory.mktemp("moto") / "log").open("w")
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as server:
        endpoint = Endpoint("http://127.0.0.1:1")
        for line in server.stdout:  # type: ignore[union-attr]
            if line.strip().isdigit():
                endpoint = Endpoint(f"http://127.0.0.1:{int(line)}")
                break
        yield endpoint
        server.kill()
    log.close()


def files_of(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def same(found, run):
    """Compare everything: values, attributes, types."""
    with found:
        xr.testing.assert_identical(found.load(), load(run.path))


# ---- object stores


def test_xarray_opens_a_published_run_from_s3_as_it_is_here(sealed, s3):
    run, bucket, told = sealed(), s3.bucket(), []
    published = run.publish(f"s3://{bucket}/lab/2026", progress=lambda *now: told.append(now), **s3.options)
    assert published.url == f"s3://{bucket}/lab/2026/{run.path.name}/data.zarr"
    same(published.open(), run)
    same(xr.open_zarr(f"{s3.url}/{bucket}/lab/2026/{run.path.name}/data.zarr"), run)
    assert told[0] == (0, told[-1][1])
    assert told[-1][0] == told[-1][1] > 64_000
    assert told == sorted(told)
    with urllib.request.urlopen(f"{s3.url}/{bucket}/lab/2026/{run.path.name}/run.json") as answer:
        assert answer.read() == (run.path / "run.json").read_bytes()


def test_the_environment_says_where_s3_is_and_who_asks(sealed, s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    run, bucket = sealed(), s3.bucket()
    same(run.publish(f"s3://{bucket}/lab").open(), run)
    xr.testing.assert_identical(plain(run.publish(f"icechunk+s3://{bucket}/repository").open()), run.data)


def test_only_what_readers_use_travels(sealed, tmp_path):
    run = sealed()
    packer.withdraw(run.path)
    retire_run(run.path)  # the emptied chunk files of the growing store lie there too
    published = run.publish((tmp_path / "share").as_uri())
    there = files_of(tmp_path / "share" / run.path.name)
    assert not {name for name in there if "journal" in name or "lock" in name or "partial" in name}
    assert {"run.json", "files.json", "data.zarr/zarr.json", "data.zarr/trace/0.0"} <= there
    assert not {name for name in there if Path(name).name.startswith("c")}
    same(xr.open_zarr(tmp_path / "share" / run.path.name / "data.zarr"), run)
    same(published.open(), run)


def test_a_published_folder_is_a_run_like_any_other(sealed, tmp_path):
    run = sealed()
    run.publish((tmp_path / "share").as_uri())
    copy = open_run(tmp_path / "share" / run.path.name)
    assert (copy.run_id, copy.state, copy.points) == (run.run_id, run.state, run.points)
    xr.testing.assert_identical(copy.data, run.data)


def test_publishing_again_sends_nothing_but_what_describes_the_run(sealed, tmp_path):
    run, url = sealed(), (tmp_path / "share").as_uri()
    assert not run.publish(url).unchanged
    chunk = tmp_path / "share" / run.path.name / "data.zarr" / "trace" / "0.0"
    before = chunk.stat().st_mtime_ns
    run.tag("paper")
    for _ in range(2):
        assert run.publish(url).unchanged
    assert chunk.stat().st_mtime_ns == before
    assert open_run(tmp_path / "share" / run.path.name).tags == ("paper",)


class Lost(Exception):
    """The network went away."""


def break_after(monkeypatch, count, tell=None):
    """Have the connection fail after so many objects were sent; return the list of those."""
    import obstore

    sent, real = [], obstore.put_async

    async def put(store, path, data):
        if len(sent) >= count:
            raise Lost("HTTP error: error sending request")
        sent.append(path)
        answer = await real(store, path, data)
        if tell is not None:
            tell()
        return answer

    monkeypatch.setattr(obstore, "put_async", put)
    return sent


def opened(folder):
    """Return the data that a reader finds, None if it finds none."""
    try:
        return xr.open_zarr(folder / "data.zarr").load()
    except FileNotFoundError:
        return None


def test_at_no_moment_does_a_reader_find_half_a_run(sealed, tmp_path, monkeypatch):
    run, found = sealed(), []
    place = tmp_path / "share" / run.path.name
    with monkeypatch.context() as patch:
        sent = break_after(patch, 10**6, lambda: found.append(opened(place)))
        run.publish((tmp_path / "share").as_uri())
    assert len(sent) > 10
    assert [data is None for data in found] == [True] * (len(found) - 1) + [False]
    xr.testing.assert_identical(found[-1], run.data)


def test_an_upload_that_broke_off_goes_on_where_it_was(sealed, tmp_path, monkeypatch):
    run, url = sealed(), (tmp_path / "share").as_uri()
    for count in (1, 5, 9):
        with monkeypatch.context() as patch:
            first = break_after(patch, count)
            with pytest.raises(RecordError, match=r"cannot be reached.*goes on where it broke off"):
                run.publish(url)
            assert opened(tmp_path / "share" / run.path.name) is None
        assert len(first) == count
    with monkeypatch.context() as patch:
        rest = break_after(patch, 10**6)
        same(run.publish(url).open(), run)
    everything = files_of(tmp_path / "share")
    assert len(rest) < len(everything) - 9
    assert run.publish(url).unchanged


def resume(run, last):
    """Measure what a run lacks."""
    recorder = Recorder.resume(run.path, {}, period_s=3600.0)
    recorder.declare(GRID)
    for k in range(8, last):
        recorder.put(Point(0, k, values(k), 10**18 + k))
    recorder.close(State.DONE)
    return open_run(run.path)


def test_a_run_that_has_grown_replaces_what_was_published_and_no_reader_sees_a_mixture(sealed, tmp_path, monkeypatch):
    run, url = sealed(), (tmp_path / "share").as_uri()
    place = tmp_path / "share" / run.path.name
    run.publish(url)
    leftover = place / "data.zarr" / "trace" / "7.0"
    leftover.write_bytes(b"of a chunk that is no more")
    run = resume(run, 10)
    found = []
    with monkeypatch.context() as patch:
        break_after(patch, 10**6, lambda: found.append(opened(place)))
        run.publish(url)
    assert [data is None for data in found] == [True] * (len(found) - 1) + [False]
    same(xr.open_zarr(place / "data.zarr"), run)
    assert not leftover.exists()


def test_what_somebody_took_away_is_sent_again(sealed, tmp_path):
    run, url = sealed(), (tmp_path / "share").as_uri()
    run.publish(url)
    (tmp_path / "share" / run.path.name / "data.zarr" / "trace" / "0.0").unlink()
    again = run.publish(url)
    assert again.files == 2  # the chunk, and the root
    same(again.open(), run)


def test_several_runs_are_published_side_by_side(sealed, tmp_path, monkeypatch):
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    made = [sealed(name, shift) for shift, name in enumerate(("iv", "iv", "noise"))]
    places = runs(tmp_path / "data", name="iv").publish((tmp_path / "share").as_uri())
    assert {place.url.split("/")[-2] for place in places} == {run.path.name for run in made[:2]}
    by_name = {run.path.name: run for run in made}
    for place in places:
        same(place.open(), by_name[place.url.split("/")[-2]])


# ---- what is refused


def test_a_run_that_is_still_measured_is_refused(record, tmp_path):
    recorder = record()
    recorder.declare(GRID)
    recorder.put(Point(0, 0, values(0), 1))
    with pytest.raises(LifecycleError, match="still being measured; publish it when it has ended"):
        publish(recorder.path, (tmp_path / "share").as_uri())
    assert not files_of(tmp_path / "share")
    recorder.put(Point(0, 1, values(1), 1))
    recorder.close(State.STOPPED)
    assert publish(recorder.path, (tmp_path / "share").as_uri()).open().x.values[:2].tolist() == [0.0, 0.5]


def test_a_run_whose_process_died_is_completed_and_published(record, tmp_path):
    recorder = record()
    recorder.declare(GRID)
    for k in range(3):
        recorder.put(Point(0, k, values(k), 1 + k))
    shutil.copytree(recorder.path, tmp_path / "died" / recorder.path.name)
    data = publish(tmp_path / "died" / recorder.path.name, (tmp_path / "share").as_uri()).open()
    assert data.x.values[:3].tolist() == [0.0, 0.5, 1.0]
    assert json.loads(data.attrs["labnb"])["state"] == "interrupted"


def test_nobody_changes_a_run_while_it_is_published_and_the_holder_is_named(sealed, tmp_path):
    run, met = sealed(), []

    def look(_done, _total):
        with pytest.raises(RunLocked, match=r"is being published by process \d+ on .*; try again in a moment") as told:
            take_lock(run.path / "lock")
        met.append(told)

    run.publish((tmp_path / "share").as_uri(), progress=look)
    assert met
    resume(run, 9)


def test_a_damaged_chunk_is_not_published(sealed, tmp_path):
    run = sealed()
    chunk = run.path / "data.zarr" / "trace" / "0.0"
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)
    with pytest.raises(RecordError, match=r"trace/0\.0 is damaged.*nothing was published"):
        run.publish((tmp_path / "share").as_uri())
    assert not files_of(tmp_path / "share")


def test_another_run_or_something_else_of_that_name_is_left_alone(sealed, tmp_path):
    run, other = sealed("iv"), sealed("noise")
    other.publish((tmp_path / "share").as_uri())
    (tmp_path / "share" / other.path.name).rename(tmp_path / "share" / run.path.name)
    with pytest.raises(RecordError, match=rf"is another run: {other.run_id} of .*publish below another URL"):
        run.publish((tmp_path / "share").as_uri())
    shutil.rmtree(tmp_path / "share" / run.path.name)
    (tmp_path / "share" / run.path.name).mkdir()
    (tmp_path / "share" / run.path.name / "thesis.tex").write_text("x")
    with pytest.raises(RecordError, match="holds 1 objects that are not a published run"):
        run.publish((tmp_path / "share").as_uri())
    assert files_of(tmp_path / "share" / run.path.name) == {"thesis.tex"}


@pytest.mark.parametrize("kind", ["", "icechunk+"])
def test_a_bucket_that_is_not_there_is_said(sealed, s3, kind):
    with pytest.raises(RecordError, match="there is no such bucket; create it first"):
        sealed().publish(f"{kind}s3://nowhere/lab", **s3.options)


@pytest.mark.parametrize("kind", ["", "icechunk+"])
def test_wrong_credentials_are_said_and_not_shown(sealed, s3, kind):
    bucket = s3.bucket()
    s3.send("POST", "moto-api/reset-auth", "0")
    try:
        with pytest.raises(RecordError, match="access was refused; check the credentials") as told:
            sealed().publish(f"{kind}s3://{bucket}/lab", **(s3.options | {"secret_access_key": "not this"}))
    finally:
        s3.send("POST", "moto-api/reset-auth", str(10**9))
    assert "not this" not in str(told.value)


@pytest.mark.parametrize("kind", ["", "icechunk+"])
def test_a_network_that_is_away_is_said(sealed, s3, kind):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        options = s3.options | {"endpoint": f"http://127.0.0.1:{taken.getsockname()[1]}"}
        with pytest.raises(RecordError, match="it cannot be reached; check the network and `endpoint`"):
            sealed().publish(f"{kind}s3://bucket/lab", **options)


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("ftp://server/lab", {}, "expected a URL such as s3://"),
        ("memory:///lab", {}, "expected a URL such as s3://"),
        ("s3:///lab", {}, "expected a URL such as s3://"),
        ("results", {}, "expected a URL such as s3://"),
        (Path("results"), {}, "expected a URL such as"),
        ("s3://bucket/lab", {"endpiont": "x"}, "endpiont"),
        ("file:///tmp", {"endpoint": "x"}, "a folder has no option 'endpoint'"),
        ("icechunk+ftp://x/y", {}, r"expected icechunk\+s3://"),
        ("icechunk+s3://bucket/lab", {"endpiont": "x"}, "unknown option 'endpiont'; expected some of endpoint"),
        ("icechunk+file:///tmp/x", {"endpoint": "x"}, "a folder has no option 'endpoint'"),
    ],
)
def test_a_url_or_an_option_that_nobody_knows_is_said_at_once(sealed, url, options, said):
    with pytest.raises(PlanError, match=said):
        sealed().publish(url, **options)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(PlanError, match="int cannot be published; expected a run"):
        publish(3, (tmp_path / "share").as_uri())
    with pytest.raises(RecordError, match="is not a labnb run"):
        publish(tmp_path, (tmp_path / "share").as_uri())


def test_a_package_that_lacks_is_named(sealed, monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    monkeypatch.setitem(sys.modules, "icechunk", None)
    run = sealed()
    for url in ("s3://bucket/lab", "icechunk+s3://bucket/lab"):
        with pytest.raises(RecordError, match=r"pip install 'labnb\[cloud\]'"):
            run.publish(url)


# ---- inside a running loop


class Pace:
    """Watches how long this loop is held up."""

    async def __aenter__(self):
        self.longest = 0.0
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def _watch(self):
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            self.longest = max(self.longest, time.perf_counter() - began - 0.001)

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.mark.parametrize("kind", ["", "icechunk+"])
async def test_publishing_does_not_hold_up_the_loop(tmp_path, s3, kind, capsys):
    recorder = Recorder.create(tmp_path, "traces", {}, period_s=3600.0)
    recorder.declare(Group(0, (Axis("n", tuple(range(40))),), (Variable("y", "V", "<f8", (Span("k", 100_000),)),)))
    for k in range(40):
        recorder.put(Point(0, k, (np.random.default_rng(k).normal(size=100_000),), k + 1))
    recorder.close(State.DONE)
    run, bucket, told = open_run(recorder.path), s3.bucket(), []
    await publish_async(run, kind + (tmp_path / "first").as_uri())  # what is imported once
    async with Pace() as pace:
        published = await run.publish_async(
            f"{kind}s3://{bucket}/lab", progress=lambda *n: told.append(n), **s3.options
        )
    with capsys.disabled():
        print(f"\n  32 MB published to {kind}s3: the loop was held up for at most {pace.longest * 1e3:.1f} ms")
    assert told[-1][0] == told[-1][1] > 28e6
    assert pace.longest < 0.02 + 0.03  # other work on the machine
    xr.testing.assert_identical(plain(published.open()), load(run.path).load())


async def test_a_publication_that_is_cancelled_ends_and_can_be_repeated(sealed, tmp_path, monkeypatch):
    import obstore

    run, url = sealed(), (tmp_path / "share").as_uri()
    loop, begun, ended = asyncio.get_running_loop(), asyncio.Event(), []

    async def put(_store, _path, _data):
        loop.call_soon_threadsafe(begun.set)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with monkeypatch.context() as patch:
        patch.setattr(obstore, "put_async", put)
        task = asyncio.create_task(run.publish_async(url))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended
    assert opened(tmp_path / "share" / run.path.name) is None
    same((await run.publish_async(url)).open(), run)


async def test_the_blocking_form_works_where_a_loop_runs(sealed, tmp_path):
    run = sealed()
    same(run.publish((tmp_path / "share").as_uri()).open(), run)
    with pytest.raises(PlanError):
        run.publish("ftp://x/y")


# ---- icechunk


def plain(data):
    """Return data without what says that it was published."""
    data = data.load()
    data.attrs = {key: value for key, value in data.attrs.items() if not key.startswith("labnb_")}
    return data


@pytest.fixture(params=["folder", "s3"])
def repository(request, tmp_path):
    """Return the URL of a repository, options, and a function that opens it without labnb."""
    icechunk = pytest.importorskip("icechunk")
    if request.param == "folder":
        place = tmp_path / "repository"
        return (
            f"icechunk+{place.as_uri()}",
            {},
            lambda: icechunk.Repository.open(icechunk.local_filesystem_storage(str(place))),
        )
    server = request.getfixturevalue("s3")
    bucket = server.bucket()
    storage = icechunk.s3_storage(
        bucket=bucket,
        prefix="lab",
        region="us-east-1",
        endpoint_url=server.url,
        allow_http=True,
        force_path_style=True,
        access_key_id="key",
        secret_access_key="secret",
    )
    return f"icechunk+s3://{bucket}/lab", server.options, lambda: icechunk.Repository.open(storage)


def test_xarray_opens_a_run_from_an_icechunk_repository_as_it_is_here(sealed, repository):
    url, options, again = repository
    run, other = sealed(), sealed("noise", 3)
    first = run.publish(url, **options)
    second = other.publish(url, **options)
    assert first.snapshot != second.snapshot
    assert (first.url, first.group) == (url, run.path.name)
    session = again().readonly_session("main")
    for each in (run, other):
        found = xr.open_zarr(session.store, group=each.path.name, consolidated=False)
        assert json.loads(found.attrs["labnb_run"])["run"] == each.run_id
        xr.testing.assert_identical(plain(found), each.data)
    xr.testing.assert_identical(plain(first.open()), run.data)
    newest, before, *_ = again().ancestry(branch="main")
    assert newest.message == f"{other.run_id}: stopped, 8 points"
    assert before.metadata["run"] == run.run_id
    assert before.metadata["group"] == run.path.name


def test_every_change_of_a_run_is_a_snapshot_that_can_be_gone_back_to(sealed, repository):
    url, options, again = repository
    run = sealed()
    first, before = run.publish(url, **options), run.data.copy(deep=True)
    assert run.publish(url, **options).unchanged
    assert run.publish(url, **options).snapshot == first.snapshot
    tagged = run.tag("paper").publish(url, **options)
    assert tagged.files == 1
    assert tagged.snapshot != first.snapshot
    run = resume(run, 10)
    grown = run.publish(url, **options)
    xr.testing.assert_identical(plain(grown.open()), run.data)
    xr.testing.assert_identical(plain(first.open()), before)
    assert len(list(again().ancestry(branch="main"))) == 4


def test_a_group_of_somebody_else_in_a_repository_is_left_alone(sealed, repository):
    url, options, again = repository
    run = sealed()
    sealed("other").publish(url, **options)
    session = again().writable_session("main")
    xr.Dataset({"a": ("x", [1.0])}).to_zarr(session.store, group=run.path.name, consolidated=False)
    session.commit("mine")
    with pytest.raises(RecordError, match=r"has a group .* already, which is not this run"):
        run.publish(url, **options)


def test_a_commit_that_breaks_off_shows_nothing(sealed, repository, monkeypatch):
    url, options, again = repository
    sealed("other").publish(url, **options)
    run, real = sealed(), repositories.several

    async def broken(works):
        await real(works[:2])
        raise RecordError("the network is away")

    with monkeypatch.context() as patch:
        patch.setattr(repositories, "several", broken)
        with pytest.raises(RecordError, match="network is away"):
            run.publish(url, **options)
    with pytest.raises(FileNotFoundError):
        xr.open_zarr(again().readonly_session("main").store, group=run.path.name, consolidated=False)
    xr.testing.assert_identical(plain(run.publish(url, **options).open()), run.data)


# ---- the command


def test_the_command_publishes_runs_and_says_where_they_are(sealed, tmp_path, s3, monkeypatch, capsys):
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    run, other, bucket = sealed(), sealed("noise"), s3.bucket()
    where = ["--store", str(tmp_path / "data"), "--endpoint", s3.url, "--option", "region=eu-west-1"]
    assert main(["publish", run.run_id, str(other.path), f"s3://{bucket}/lab", *where]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [f"s3://{bucket}/lab/{each.path.name}/data.zarr" for each in (run, other)]
    assert err.count("files, 0.1 MB") == 2
    assert main(["publish", run.run_id, f"s3://{bucket}/lab", *where]) == 0
    assert "nothing had changed" in capsys.readouterr().err
    assert main(["publish", run.run_id, f"icechunk+{(tmp_path / 'r').as_uri()}", *where[:2]]) == 0
    assert capsys.readouterr().out == f"icechunk+{(tmp_path / 'r').as_uri()} {run.path.name}\n"


def test_the_command_says_what_went_wrong(sealed, tmp_path, s3, capsys):
    run = sealed()
    assert (
        main(["publish", str(run.path), "s3://nowhere/lab", *(f"--option={k}={v}" for k, v in s3.options.items())]) == 1
    )
    assert "there is no such bucket" in capsys.readouterr().err
    assert main(["publish", str(run.path), "s3://nowhere/lab", "--option", "region"]) == 1
    assert "expected NAME=VALUE" in capsys.readouterr().err
    assert main(["publish", str(tmp_path / "no"), "s3://nowhere/lab"]) == 1
    with pytest.raises(SystemExit) as told:
        main(["publish", str(run.path)])
    assert told.value.code == 2


# ---- other stores


@pytest.mark.parametrize(
    ("url", "options", "kind"),
    [
        ("gs://bucket/lab", {"skip_signature": "true"}, "GCSStore"),
        ("az://container/lab", {"account_name": "me", "skip_signature": "true"}, "AzureStore"),
        ("s3://bucket/lab", {"region": "eu-west-1"}, "S3Store"),
    ],
)
def test_each_url_has_its_store(url, options, kind):
    store = buckets.open_bucket(url, options)
    assert type(store).__name__ == kind
    assert store.prefix == urlsplit(url).path.strip("/")
