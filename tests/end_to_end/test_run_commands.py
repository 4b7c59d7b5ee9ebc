"""`labnb runs`, `recover` and `export`: what they print, and one line and an exit code where they cannot work."""

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest

import labnb.cli.export
from labnb.cli import main
from labnb.core import Axis, Group, Point, State, Variable
from labnb.record import FORMATS, Recorder, open_run

BEGIN = """
import os, sys
from pathlib import Path
from labnb.core import Axis, Group, Point, Variable
from labnb.record import Recorder
recorder = Recorder.create(Path(sys.argv[1]), "broken", {}, period_s=3600.0)
recorder.declare(Group(0, (Axis("voltage", (0.0, 0.5), "V"),), (Variable("current", "A"),)))
recorder.put(Point(0, 0, (1.0,), 1)); recorder.flush(); recorder.put(Point(0, 1, (2.0,), 2))
"""


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Return a folder for runs; the command runs beside it and keeps its index there."""
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LABNB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labnb-data").mkdir()
    return tmp_path / "labnb-data"


def begin(store, name="iv"):
    recorder = Recorder.create(store, name, {"note": "sample A12"}, period_s=3600.0)
    recorder.declare(Group(0, (Axis("voltage", (0.0, 0.5), "V"),), (Variable("current", "A"),)))
    recorder.put(Point(0, 0, (0.25,), 1))
    return recorder


def measure(store, name="iv", state=State.DONE):
    recorder = begin(store, name)
    recorder.close(state)
    return recorder.path


def die(store):
    subprocess.run([sys.executable, "-c", BEGIN + "os._exit(9)", store], check=False)
    return next(store.glob("*/*/*/*-broken-*"))


def test_runs_lists_what_was_measured(store, capsys):
    measure(store)
    open_run(measure(store, "map", State.FAILED)).tag("odd")
    assert main(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["started", "name", "run", "state", "points", "measured", "over", "tags", "note"]
    assert len(lines) == 4
    assert "current (A)" in lines[1]
    assert main(["runs", "--state", "failed", "--tag", "odd", "--text", "a12"]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "current" in line)
    assert "map" in line
    assert main(["runs", "--limit", "1"]) == 0
    assert "The newest 1 are shown; --limit 0 shows all." in capsys.readouterr().err


def test_runs_for_programs_is_json_whatever_there_is(store, capsys):
    path = measure(store)
    assert main(["runs", "--json", "--name", "i*"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["path"] == str(path)
    assert (found["state"], found["points"], found["variables"]) == ("done", 1, ["current (A)"])
    (path / "run.json").write_text("{")
    assert main(["runs", "--json"]) == 0
    assert [run["run_id"] for run in json.loads(capsys.readouterr().out)] == [found["run_id"]]  # the store says enough
    shutil.rmtree(path / "data.zarr")
    (path / "run.json").write_text("{{")
    assert main(["runs", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == []
    assert "not readable" in captured.err


def test_runs_says_where_it_looked(store, capsys):
    assert main(["runs"]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"no runs in {store}\n"
    assert "--store" in captured.err
    assert main(["runs", "--store", "elsewhere"]) == 1
    assert "labnb runs: " in (told := capsys.readouterr().err)
    assert "elsewhere is not a folder" in told
    assert main(["runs", "--since", "soon"]) == 1
    assert "expected a date or time" in capsys.readouterr().err


def test_recover_completes_what_died_and_leaves_the_living_alone(store, capsys):
    done, broken, living = measure(store), die(store), begin(store, "living")
    assert main(["recover"]) == 0
    printed = capsys.readouterr().out
    assert f"completed: {broken.name[16:]}, interrupted, 2 points, {broken}" in printed
    assert f"left alone: run {living.path.name} is being written by process {os.getpid()}" in printed
    assert done.name not in printed
    assert not (broken / "journal").exists()
    living.close(State.DONE)
    assert main(["recover"]) == 0
    assert "nothing to complete" in capsys.readouterr().out
    assert main(["recover", str(broken / "data.zarr")]) == 0
    assert "already complete" in capsys.readouterr().out


def test_recover_goes_on_after_a_run_that_cannot_be_completed(store, capsys):
    damaged, broken = die(store), None
    damaged = damaged.rename(damaged.with_name("20260101-000000-broken-0000"))
    (damaged / "journal").write_bytes(b"garbage")
    broken = next(path for path in [die(store), *store.glob("*/*/*/*-broken-*")] if path != damaged)
    assert main(["recover"]) == 1
    captured = capsys.readouterr()
    assert f"completed: {broken.name[16:]}" in captured.out
    assert "labnb recover: the journal of" in captured.err
    assert "nothing was changed" in captured.err


def test_export_takes_a_folder_or_an_id(store, capsys, tmp_path):
    path = measure(store)
    assert main(["export", path.name[16:], "--to", "csv"]) == 0
    written = tmp_path / f"{path.name[16:]}.csv"
    assert capsys.readouterr().out == f"{written}\n"
    with written.open(newline="") as file:
        assert next(csv.DictReader(file))["current (A)"] == "0.25"
    assert main(["export", str(path), "--output", "x.csv"]) == 0
    assert main(["export", str(path / "data.zarr"), "--output", "x.csv"]) == 1
    assert "exists already; choose another name, or overwrite it" in capsys.readouterr().err
    assert main(["export", str(path), "--output", "x.csv", "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["iv-0000", "--to", "csv"], "neither a folder nor the id of a run"),
        (["."], "which format? give --to netcdf"),
        ([".", "--to", "csv"], "not a labnb run"),
        ([".", "--output", "x.xlsx"], "not a labnb run"),
    ],
)
def test_an_export_that_cannot_be_says_why_in_one_line(store, capsys, arguments, told):
    assert main(["export", *arguments]) == 1
    captured = capsys.readouterr().err
    assert told in captured
    assert captured.count("\n") == 1


def test_the_formats_of_the_command_are_those_that_can_be_written():
    assert labnb.cli.export._FORMATS == FORMATS


def test_an_unknown_format_is_not_understood(store, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["export", ".", "--to", "excel"])
    assert ended.value.code == 2
    assert "netcdf" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["runs", "recover", "export"])
def test_help_is_there_and_loads_nothing_heavy(command):
    code = f"import sys; from labnb.cli import main\ntry: main(['{command}', '--help'])\nexcept SystemExit: pass\nassert 'numpy' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"labnb {command}" in done.stdout
