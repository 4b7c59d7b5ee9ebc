"""Runs are found by what is known about them; what is cached is only a cache; tags and notes come later."""

import json
import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, date, datetime, timedelta

import pytest

from labnb.core import Axis, Group, PlanError, Point, RecordError, State, Variable
from labnb.record import Recorder, open_run, runs

GROUP = Group(0, (Axis("voltage", (0.0, 0.5, 1.0), "V"),), (Variable("current", "A"),))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep the index in a folder of the test's own; return that."""
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def measure(root, name="iv", state=State.DONE, points=3, **metadata):
    """Record a run; return its folder."""
    recorder = Recorder.create(root, name, metadata, period_s=3600.0)
    recorder.declare(GROUP)
    for place in range(points):
        recorder.put(Point(0, place, (0.1 * place,), 1_763_695_000_000_000_000 + place))
    recorder.close(state)
    return recorder.path


def dated(path, when):
    """Make a run one of another time."""
    document = json.loads((path / "run.json").read_text())
    document["created"] = when.isoformat()
    day = path.parents[3] / f"{when:%Y/%m/%d}"
    day.mkdir(parents=True, exist_ok=True)
    moved = path.rename(day / f"{when:%Y%m%d-%H%M%S}-{document['run']}")
    (moved / "run.json").write_text(json.dumps(document))
    return moved


def settle(root):
    """Let the days' folders be older than what could still change unseen."""
    for day in root.glob("*/*/*"):
        os.utime(day, (time.time() - 10, time.time() - 10))


def names(found):
    return [s.name for s in found.summaries()]


def test_the_newest_run_comes_first_and_is_a_stored_run(root):
    for k, name in enumerate(("a", "b", "c")):
        dated(measure(root, name), datetime(2026, 3, 1 + k, 12, tzinfo=UTC))
    found = runs(root)
    assert names(found) == ["c", "b", "a"]
    assert [run.name for run in found] == ["c", "b", "a"]
    assert [run.name for run in found[1:]] == ["b", "a"]
    assert found[-1].name == "a"
    assert found[0].state is State.DONE
    assert found[0].points == 3
    assert found[0].data.current.attrs["units"] == "A"
    with pytest.raises(IndexError):
        found[3]


def test_runs_are_found_by_name_state_tag_and_time(root):
    first = dated(measure(root, "iv_low"), datetime(2026, 3, 1, 12, tzinfo=UTC))
    dated(measure(root, "iv_high", State.FAILED), datetime(2026, 3, 2, 12, tzinfo=UTC))
    dated(measure(root, "map"), datetime(2026, 3, 3, 12, tzinfo=UTC))
    open_run(first).tag("good", "cold")
    assert names(runs(root, name="iv*")) == ["iv_high", "iv_low"]
    assert names(runs(root, name="iv_?ow")) == ["iv_low"]
    assert names(runs(root, state="failed")) == ["iv_high"]
    assert names(runs(root, state=["failed", State.DONE], limit=2)) == ["map", "iv_high"]
    assert names(runs(root, tag="good")) == ["iv_low"]
    assert names(runs(root, tag=["good", "warm"])) == []
    assert names(runs(root, since="2026-03-02")) == ["map", "iv_high"]
    assert names(runs(root, since=datetime(2026, 3, 2, 12, tzinfo=UTC), until=date(2026, 3, 2))) == ["iv_high"]
    assert names(runs(root, until="2026-03-01T23:00:00+00:00")) == ["iv_low"]
    assert names(runs(root, since=timedelta(hours=1))) == []


def test_words_are_found_in_names_notes_tags_variables_axes_and_metadata(root):
    path = measure(root, "iv", note="Sample A12", source="await dmm.measure()", instruments={"psu": {"serial": 4711}})
    open_run(path).tag("ÜBER").note("the second contact was bad")
    measure(root, "other")
    for text in ("a12", "sample iv", "current", "voltage", "4711", "psu", "dmm.measure", "über", "SECOND contact"):
        assert names(runs(root, text=text)) in (["iv"], ["other", "iv"]), text
    assert names(runs(root, text="a12")) == ["iv"]
    assert names(runs(root, text="current")) == ["other", "iv"]
    assert names(runs(root, text="sample missing")) == []
    assert names(runs(root, text="100%")) == []


def test_a_run_that_is_measured_shows_its_points_and_then_how_it_ended(root):
    recorder = Recorder.create(root, "iv", {}, period_s=3600.0)
    recorder.declare(GROUP)
    assert [(s.state, s.points) for s in runs(root).summaries()] == [("running", 0)]
    recorder.put(Point(0, 0, (1.0,), 1))
    recorder.flush()
    assert [(s.state, s.points, s.variables) for s in runs(root).summaries()] == [("running", 1, ("current (A)",))]
    assert runs(root, state="running")[0].state is State.RUNNING
    settle(root)
    assert len(runs(root, state="running")) == 1
    recorder.put(Point(0, 1, (1.0,), 2))
    recorder.flush()
    assert [(s.state, s.points) for s in runs(root).summaries()] == [("running", 2)]
    recorder.close(State.STOPPED)
    assert [(s.state, s.points) for s in runs(root).summaries()] == [("stopped", 2)]


DYING = """
import os, sys
from pathlib import Path
from labnb.core import Axis, Group, Point, Variable
from labnb.record import Recorder
recorder = Recorder.create(Path(sys.argv[1]), "iv", {}, period_s=3600.0)
recorder.declare(Group(0, (Axis("voltage", (0.0, 0.5, 1.0), "V"),), (Variable("current", "A"),)))
recorder.put(Point(0, 0, (1.0,), 1)); recorder.flush(); recorder.put(Point(0, 1, (2.0,), 2))
os._exit(9)
"""


def test_a_run_whose_process_died_is_interrupted_and_only_its_data_complete_it(root):
    subprocess.run([sys.executable, "-c", DYING, root], check=False)
    (found,) = runs(root)
    assert found.state is State.INTERRUPTED
    assert (found.path / "journal").exists()
    assert runs(root, state="interrupted")[0].points == 2  # one is committed, the journal has both
    assert found.data.current.notnull().sum() == 2
    assert not (found.path / "journal").exists()
    assert [(s.state, s.points) for s in runs(root).summaries()] == [("interrupted", 2)]


@pytest.mark.parametrize("harm", ["", "torn", "damaged", "long"])
def test_a_killed_run_shows_what_its_journal_holds_before_it_is_completed(root, tmp_path, monkeypatch, harm):
    recorder = Recorder.create(tmp_path / "elsewhere", "night", {}, period_s=3600.0)
    recorder.declare(Group(0, (Axis("slow", (1, 2)),), (Variable("level"),)))
    recorder.declare(Group(1, (Axis("slow", (1, 2)), Axis("fast", tuple(range(30)))), (Variable("current", "A"),)))
    for place in (*range(35), 3, 4):
        if place % 30 == 0:
            recorder.put(Point(0, place // 30, (0.5,), 10 + place))
        recorder.put(Point(1, place, (0.1 * place,), 10 + place))
    folder = root.joinpath(*recorder.path.parts[-4:])
    shutil.copytree(recorder.path, folder)
    recorder.close(State.DONE)
    journal = folder / "journal"
    if harm == "torn":
        journal.write_bytes(journal.read_bytes()[:-5])
    if harm == "damaged":
        journal.write_bytes(b"x" + journal.read_bytes())
    if harm == "long":
        monkeypatch.setattr("labnb.record.counting.MOST_BYTES", 100)
    before = journal.read_bytes()
    found = runs(root)
    assert "interrupted" in repr(found)
    shown = 0 if harm in ("damaged", "long") else 35
    assert (found[0].state, found[0].points, found.to_json()[0]["points"]) == (State.INTERRUPTED, shown, shown)
    assert journal.read_bytes() == before


def test_deleting_moving_and_copying_folders_is_noticed(root):
    first, second = measure(root, "a"), measure(root, "b")
    settle(root)
    assert len(runs(root)) == 2
    shutil.copytree(second, second.with_name("20260101-000000-copy-0000"))
    assert len(runs(root)) == 3
    shutil.rmtree(first)
    assert names(runs(root)) == ["b", "b"]
    shutil.rmtree(root)
    root.mkdir()
    assert len(runs(root)) == 0


def test_a_change_within_one_tick_of_the_file_systems_clock_is_noticed(root):
    first = measure(root, "a")
    tick = first.parent.stat().st_mtime_ns
    assert names(runs(root)) == ["a"]
    measure(root, "b")
    os.utime(first.parent, ns=(tick, tick))
    assert sorted(names(runs(root))) == ["a", "b"]


def test_a_settled_catalogue_is_answered_without_opening_a_single_run(root, monkeypatch):
    measure(root)
    settle(root)
    runs(root)
    monkeypatch.setattr("labnb.record.index.look", lambda *_: pytest.fail("a run's folder was read"))
    assert names(runs(root, text="current")) == ["iv"]


@pytest.mark.parametrize("damage", ["garbage", "empty", "other version", "torn"])
def test_a_damaged_cache_is_made_anew(root, cache, damage):
    for k in range(20):
        measure(root, f"iv{k}")
    settle(root)
    assert len(runs(root)) == 20
    (index,) = cache.glob("*.sqlite")
    if damage == "garbage":
        index.write_bytes(b"not a database" * 1000)
    elif damage == "empty":
        index.write_bytes(b"")
    elif damage == "torn":
        index.write_bytes(index.read_bytes()[:8192] + bytes(index.stat().st_size - 8192))
    else:
        with sqlite3.connect(index) as connection:
            connection.execute("DROP TABLE runs")
            connection.execute("PRAGMA user_version = 99")
        connection.close()
    assert len(runs(root)) == 20
    assert names(runs(root, text="iv7")) == ["iv7"]


def test_without_a_folder_for_the_cache_everything_works(root, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "file" / "inside"))
    measure(root)
    assert names(runs(root)) == ["iv"]


def test_a_read_only_folder_is_listed(root, mounted):
    disk = mounted("size=20m")
    measure(disk)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    assert names(runs(disk)) == ["iv"]
    with pytest.raises(RecordError, match=r"tag not written to .*Read-only file system; nothing was changed"):
        runs(disk)[0].tag("good")


def _list_in_a_loop(root, count):
    sys.exit(0 if all(len(runs(root, text="current")) <= count for _ in range(20)) and len(runs(root)) == count else 1)


def test_several_processes_list_while_the_cache_is_deleted_under_them(root, cache):
    for k in range(10):
        measure(root, f"iv{k}")
    context = multiprocessing.get_context("fork")
    readers = [context.Process(target=_list_in_a_loop, args=(root, 10)) for _ in range(4)]
    for reader in readers:
        reader.start()
    while any(reader.is_alive() for reader in readers):
        for file in cache.glob("*.sqlite"):
            file.unlink(missing_ok=True)
        readers[0].join(0.01)
    assert [reader.exitcode for reader in readers] == [0] * 4
    assert len(runs(root)) == 10


def test_a_folder_that_cannot_be_read_is_said_and_the_others_are_listed(root):
    measure(root, "good")
    bad = measure(root, "bad")
    (bad / "run.json").write_text('{"format": 1, "run": "bad"')
    shutil.rmtree(bad / "data.zarr")  # with it, the document could be made up from the store
    newer = measure(root, "newer")
    (newer / "run.json").write_text('{"format": 2}')
    found = runs(root)
    assert names(found) == ["good"]
    assert len(found.troubles) == 2
    assert any("reads format 1" in why for why in found.troubles)
    assert "not readable" in repr(found)
    shutil.rmtree(bad)
    assert len(runs(root).troubles) == 1


def test_a_table_names_what_was_measured_and_escapes_what_people_wrote(root):
    open_run(measure(root, note="<script>")).tag("a&b")
    found = runs(root)
    shown = found._repr_html_()
    assert "current (A)" in shown
    assert "voltage (V)" in shown
    assert "&lt;script&gt;" in shown
    assert "a&amp;b" in shown
    assert "<script>" not in shown + found[0]._repr_html_()
    assert "current (A)" in repr(found)
    assert "no runs in" in runs(root, name="none")._repr_html_()
    table = found.to_dataframe()
    assert table.loc[0, "points"] == 3
    assert table.loc[0, "tags"] == ("a&b",)
    assert str(table.created.dtype).startswith("datetime64")
    assert json.loads(json.dumps(found.to_json()))[0]["variables"] == ["current (A)"]


def test_more_runs_than_a_screen_holds_are_counted(root):
    for _ in range(33):
        measure(root, points=0)
    assert "and 3 older ones" in repr(runs(root))
    assert "and 3 older ones" in runs(root)._repr_html_()


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"state": "finished"}, "expected one or some of running, done"),
        ({"since": "yesterday"}, "expected a date or time such as"),
        ({"until": 5}, "expected a date or time such as"),
        ({"limit": -1}, "limit=-1"),
    ],
)
def test_what_cannot_be_understood_is_said(root, wanted, told):
    with pytest.raises(PlanError, match=told):
        runs(root, **wanted)


def test_a_root_that_is_not_there_is_an_error_only_if_it_was_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LABNB_DATA", raising=False)
    assert len(runs()) == 0
    with pytest.raises(RecordError, match="is not a folder"):
        runs(tmp_path / "nowhere")


def test_tags_and_notes_are_kept_with_the_run_and_never_touch_its_data(root):
    path = measure(root)
    before = {file: file.read_bytes() for file in (path / "data.zarr").rglob("*") if file.is_file()}
    run = open_run(path)
    run.tag("good", "cold").tag("good").note("first").note(" second\n").untag("cold")
    assert run.tags == ("good",)
    assert [text for _, text in open_run(path).notes] == ["first", "second"]
    assert json.loads((path / "run.json").read_text())["tags"] == ["good"]
    kinds = [json.loads(line)["kind"] for line in (path / "events.ndjson").read_text().splitlines()]
    assert kinds == ["tag", "tag", "note", "note", "untag"]
    assert {file: file.read_bytes() for file in (path / "data.zarr").rglob("*") if file.is_file()} == before
    settle(root)
    assert names(runs(root, tag="good")) == ["iv"]
    run.untag("good")
    assert names(runs(root, tag="good")) == []
    assert "second" in run._repr_html_()


@pytest.mark.parametrize("tag", ["", "  ", "two\nlines", "x" * 101, 5])
def test_a_tag_that_is_no_short_text_is_refused(root, tag):
    with pytest.raises(PlanError, match="cannot be a tag"):
        open_run(measure(root)).tag(tag)


def test_a_tag_that_is_not_there_cannot_be_taken_away(root):
    with pytest.raises(PlanError, match=r"has no tag 'bad'; its tags: good"):
        open_run(measure(root)).tag("good").untag("bad")
    with pytest.raises(PlanError, match="empty note"):
        runs(root)[0].note(" ")


def test_a_tag_given_while_a_run_is_measured_survives_the_run(root):
    recorder = Recorder.create(root, "iv", {}, period_s=3600.0)
    open_run(recorder.path).tag("early")
    recorder.declare(GROUP)
    recorder.put(Point(0, 0, (1.0,), 1))
    recorder.flush()
    recorder.update_metadata({"sample": "A12"})
    open_run(recorder.path).note("while it runs")
    recorder.close(State.DONE)
    (run,) = runs(root, tag="early", text="A12 while")
    assert run.state is State.DONE


def test_tags_given_at_the_same_moment_are_all_kept(root):
    path = measure(root)
    threads = [threading.Thread(target=open_run(path).tag, args=(f"tag{k}",)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert open_run(path).tags == tuple(f"tag{k}" for k in range(8))


def test_only_tags_and_notes_can_be_edited(root):
    from labnb.record.runfile import RunFile

    path = measure(root) / "run.json"
    before = path.read_bytes()
    with pytest.raises(ValueError, match="state"):
        RunFile.edit(path, lambda _: {"state": "done"})
    assert path.read_bytes() == before
