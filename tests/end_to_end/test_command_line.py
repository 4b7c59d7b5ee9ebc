"""The command `labnb` as a process of its own: help, exit codes, completion, bars, and manners in pipes."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labnb.cli import main
from labnb.core import Axis, Group, Point, State, Variable
from labnb.record import Recorder

SOURCE = Path(__file__).parents[2]
COMMANDS = [
    "demo", "lab", "doctor", "runs", "recover", "export", "publish", "monitor", "gateway", "serve", "docs", "completion"
]  # fmt: skip


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with `labnb` in PATH and runs in labnb-data; nothing of the user's own is looked at."""
    tool = tmp_path / "bin" / "labnb"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m labnb.cli "$@"\n')
    tool.chmod(0o755)
    (tmp_path / "labnb-data").mkdir()
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LABNB_DATA", raising=False)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return tmp_path


def labnb(place, *arguments):
    return subprocess.run(["labnb", *arguments], cwd=place, capture_output=True, text=True, check=False, timeout=60)


def begin(place, name):
    recorder = Recorder.create(place / "labnb-data", name, {}, period_s=3600.0)
    recorder.declare(Group(0, (Axis("voltage", (0.0, 0.5), "V"),), (Variable("current", "A"),)))
    recorder.put(Point(0, 0, (0.25,), 1))
    return recorder


def measured(place, name):
    recorder = begin(place, name)
    recorder.close(State.DONE)
    return recorder.path


def at_terminal(place, *arguments, piped=False, **environment):
    """Run `labnb` at a terminal of its own, stdout in a pipe if `piped`; return its exit code, and what each showed."""
    ours, theirs = pty.openpty()
    output = subprocess.PIPE if piped else theirs
    process = subprocess.Popen(
        ["labnb", *arguments], cwd=place, env={**os.environ, **environment}, stdin=theirs, stdout=output, stderr=theirs
    )
    os.close(theirs)
    shown = bytearray()
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:  # what a terminal says when nobody is there any more
        pass
    finally:
        os.close(ours)
    piped_out = process.stdout.read().decode() if piped else ""
    if piped:
        process.stdout.close()
    return process.wait(30), shown.decode(), piped_out


# ---- help and exit codes


def test_the_help_names_every_command_the_exit_codes_and_the_environment(place):
    told = labnb(place, "--help")
    assert (told.returncode, told.stderr) == (0, "")
    assert re.findall(r"^    (\w+)(?: |$)", told.stdout, re.MULTILINE) == COMMANDS
    assert re.findall(r"^  (\d+) ", told.stdout, re.MULTILINE) == ["0", "1", "2", "130"]
    for name in ("LABNB_DATA", "LABNB_CACHE", "NO_COLOR"):
        assert name in told.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_of_a_command_has_a_help(command):
    from labnb.cli import command_line
    from labnb.cli.completion import _actions

    parser = next(a.choices for a in command_line()._actions if isinstance(a.choices, dict))[command]
    assert [action.dest for action in _actions(parser) if not action.help] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_begins_with_what_it_is_for(command, capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main([command, "--help"])
    (what,) = re.findall(r"^\n([A-Z].*?\.)\n\n", capsys.readouterr().out, re.DOTALL | re.MULTILINE)[:1]
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--help"])
    listed = " ".join(capsys.readouterr().out.split())
    assert f"{command} {what[0].lower()}{' '.join(what[1:-1].split())}" in listed


def test_what_cannot_be_is_said_in_one_line(place):
    (place / "file").touch()
    for arguments in (
        ["serve", "--folder"],
        ["docs", "--no-open", "--output"],
        ["lab", "--folder"],
        ["demo", "--output"],
    ):
        failed = labnb(place, *arguments, "file/folder")
        assert (failed.returncode, failed.stderr) == (
            1, f"labnb {arguments[0]}: {told(arguments, place)} cannot be made: Not a directory; name another folder\n"
        )  # fmt: skip
    for arguments in (["runs", "--limit", "-3"], ["serve", "--port", "70000"], ["gateway", "--timeout", "-1"]):
        failed = labnb(place, *arguments)
        assert (failed.returncode, "; give " in failed.stderr) == (2, True)


def told(arguments, place):
    return place / "file/folder" if arguments[0] == "demo" else "file/folder"


def test_exit_codes_say_how_it_ended(place):
    assert labnb(place, "runs").returncode == 0
    failed = labnb(place, "runs", "--store", "nowhere")
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)
    assert labnb(place, "measure").returncode == 2
    unknown = labnb(place, "runs", "--newest")
    assert (unknown.returncode, "unrecognized arguments: --newest" in unknown.stderr) == (2, True)
    assert labnb(place).returncode == 2


def test_an_interrupt_ends_it_with_130_and_one_line(place):
    living = begin(place, "living")
    process = subprocess.Popen(
        ["labnb", "monitor", str(living.path)], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert "living" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "labnb monitor: interrupted\n")
    living.close(State.DONE)


def test_a_reader_that_has_seen_enough_is_no_error(place):
    for k in range(5):
        measured(place, f"run{k}")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", "labnb runs --json | head -c 1"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "[", "")


# ---- completion


def completed(place, *words):
    """Return what Tab offers at the end of `words` in a bash that has read labnb's completion."""
    script = (
        f"source labnb.bash; COMP_WORDS=({' '.join(map(repr, words))}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); "
    )
    script += '_shtab_labnb; printf "%s\\n" "${COMPREPLY[@]}"'
    (place / "labnb.bash").write_text(labnb(place, "completion", "bash").stdout)
    done = subprocess.run(["bash", "-c", script], cwd=place, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_options_values_and_runs(place):
    path = measured(place, "iv")
    assert completed(place, "labnb", "re") == {"recover"}
    assert {"--to", "--output", "--overwrite"} <= completed(place, "labnb", "export", "--")
    assert completed(place, "labnb", "export", "--to", "") == {"netcdf", "csv", "parquet"}
    assert path.name[16:] in completed(place, "labnb", "export", "")
    assert "labnb-data" in completed(place, "labnb", "recover", "")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_reads_its_completion(place):
    (place / "_labnb").write_text(labnb(place, "completion", "zsh").stdout)
    done = subprocess.run(["zsh", "-n", "_labnb"], cwd=place, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_completion_of_an_unknown_shell_is_not_understood(place):
    assert labnb(place, "completion", "fish").returncode == 2
    assert labnb(place, "completion", "zsh").stdout.startswith("#compdef labnb")


# ---- bars

_COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-9]|9[0-7])[0-9;]*m")


def test_a_person_at_a_terminal_sees_how_far_long_work_is(place):
    path = measured(place, "iv")
    code, shown, _ = at_terminal(place, "export", str(path), "--output", "iv.csv")
    assert code == 0
    assert "writing iv.csv" in shown
    assert _COLOUR.search(shown)
    assert "iv.csv" in shown.splitlines()[-1]
    code, shown, _ = at_terminal(place, "recover", str(path))
    assert (code, "completing runs" in shown, "already complete" in shown) == (0, True, True)


def test_no_colour_is_shown_where_none_is_wanted(place):
    path = measured(place, "iv")
    _, shown, _ = at_terminal(place, "export", str(path), "--output", "iv.csv", NO_COLOR="1")
    assert "writing iv.csv" in shown
    assert not _COLOUR.search(shown)
    _, shown, _ = at_terminal(place, "export", str(path), "--output", "iv2.csv", TERM="dumb")
    assert "\x1b[" not in shown


def test_what_is_piped_is_what_was_asked_for(place):
    path = measured(place, "iv")
    code, shown, piped = at_terminal(place, "recover", str(path), piped=True)
    assert (code, "\x1b" in piped, "already complete" in shown) == (0, False, False)
    assert piped.startswith("already complete: ")
    done = labnb(place, "export", str(path), "--output", "iv.csv")
    assert (done.stdout, done.stderr) == (f"{place / 'iv.csv'}\n", "")


def test_the_lab_opens_the_notebooks_that_binder_opens(tmp_path):
    from labnb.cli.lab import copy_examples

    copy_examples(tmp_path)
    kept = {path.name for path in (SOURCE / "notebooks").iterdir() if path.suffix in (".ipynb", ".png")}
    assert {path.name for path in tmp_path.iterdir()} == kept
    (tmp_path / "01_first_sweep.ipynb").write_text("mine")
    copy_examples(tmp_path)
    assert (tmp_path / "01_first_sweep.ipynb").read_text() == "mine"
