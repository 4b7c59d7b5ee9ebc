"""The magics in a shell without a kernel: what they list, stop and complete, and that they take nothing from others."""

import html
import inspect

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class

from labnb.core import PlanError
from labnb.notebook import request, searching, task
from labnb.notebook.completing import Known, body_names, offered
from labnb.notebook.magics import load_ipython_extension, unload_ipython_extension
from labnb.notebook.request import parse_line
from labnb.notebook.task import parse_task_line
from labnb.testing.shells import end_shell

QUICK = '%%measure {line}\nfor v in sweep(0, 1, 3, "V"):\n    i: "A" = v\n'
KNOWN = Known(runs=("iv", "map"), going=("iv", "ramp"), tasks=("ramp", "rinse"), tags=("good", "bad"))
BODY = (
    'for t in sweep([1]):\n    for (a, b) in sweep.zip([1], [2]):\n        volt: "V" = 1\n    else:\n        amps: smu'
)


@pytest.fixture
def shell(shell_in, tmp_path):
    return shell_in(tmp_path)


def run(shell, code):
    result = shell.run_cell(code)
    result.raise_error()
    return result.result


def completions(shell, text):
    with provisionalcompleter():
        return [found.text for found in shell.Completer.completions(text, len(text))]


def test_runs_lists_what_was_measured_as_text_and_as_html(shell):
    run(shell, QUICK.format(line="iv --tag good,first --note 'new contacts'"))
    run(shell, QUICK.format(line="map"))
    found = run(shell, "%runs")
    assert [one.name for one in found] == ["map", "iv"]
    assert "new contacts" in repr(found)
    assert "<td" in found._repr_html_()
    assert [one.name for one in run(shell, "%runs contacts")] == ["iv"]
    assert [one.tags for one in run(shell, "%runs --tag good --state=done --limit 5")] == [("first", "good")]
    assert list(run(shell, "%runs --name m* --tag good")) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--nmae iv", "does not know --nmae; did you mean '--name'"),
        ("--name", "--name needs a value"),
        ("--limit few", "expected a whole number of runs"),
        ("--since yesterday", "expected a date or time"),
        ("--state dnoe", "done"),
        ("'open", "No closing quotation"),
    ],
)
def test_what_runs_does_not_understand_is_said_in_one_error(shell, line, words):
    with pytest.raises(UsageError, match=words):
        shell.run_line_magic("runs", line)


def test_a_run_that_is_not_saved_has_data_but_leaves_nothing_in_the_folder_of_runs(shell, tmp_path):
    run(shell, QUICK.format(line="trial --no-save"))
    assert run(shell, "trial.data.i.values.tolist()") == [0, 0.5, 1]
    assert "not-saved" in str(run(shell, "trial.path"))
    assert not list((tmp_path / "data").rglob("*trial*"))
    assert list(run(shell, "%runs")) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("iv --no-save --resume", "--no-save and --resume"),
        ("iv --no-save --store x", "--no-save and --store"),
        ("iv --thread=yes", "--thread takes no value"),
        ("iv --plot --thread", "--plot needs a value, and --thread is an option"),
        ("iv --tag", "--tag needs a value"),
        ("iv --thraed", "did you mean '--thread'"),
        ("iv --tag " + "x" * 200, "cannot be a tag"),
    ],
)
def test_a_bad_option_is_refused_with_what_was_meant(line, words):
    with pytest.raises(PlanError, match=words):
        parse_line(line)


def test_a_bad_option_of_a_task_is_refused_with_what_was_meant():
    with pytest.raises(PlanError, match="%%task does not know --strat; did you mean '--start'"):
        parse_task_line("ramp --strat")
    with pytest.raises(PlanError, match="needs one name"):
        parse_task_line("a b")


def test_tasks_tells_what_is_ready_and_stop_what_is_not_there(shell, capsys):
    assert "nothing is going on" in repr(run(shell, "%tasks"))
    run(shell, "%%task ramp\npass")
    shown = run(shell, "%tasks")
    assert "ready" in repr(shown)
    assert html.escape("%%measure --with ramp") in shown._repr_html_()
    with pytest.raises(UsageError, match="nothing called 'iv' is going on; nothing is going on"):
        shell.run_line_magic("stop", "iv")
    run(shell, "%stop all")
    assert "nothing is going on" in capsys.readouterr().out
    with pytest.raises(UsageError, match=r"%tasks takes nothing"):
        shell.run_line_magic("tasks", "ramp")


@magics_class
class Foreign(Magics):
    @line_magic
    def runs(self, line):
        """Run something of theirs."""
        return f"theirs: {line}"


def test_a_magic_of_another_package_stays_what_it_is(tmp_path, capsys):
    shell = InteractiveShell()
    shell.register_magics(Foreign(shell))
    load_ipython_extension(shell)
    load_ipython_extension(shell)
    assert "%runs belongs to another extension" in capsys.readouterr().err
    assert run(shell, "%runs x") == "theirs: x"
    assert "stop" in shell.magics_manager.magics["line"]
    unload_ipython_extension(shell)
    assert run(shell, "%runs x") == "theirs: x"
    assert "stop" not in shell.magics_manager.magics["line"]
    end_shell(shell)


def test_the_manuals_tell_every_option(shell):
    for name, options in (("measure", request.OPTIONS), ("task", task.OPTIONS)):
        text = inspect.getdoc(shell.find_cell_magic(name))
        assert not [option for option in options if option not in text]
    assert not [o for o in searching.OPTIONS if o not in inspect.getdoc(shell.find_line_magic("runs"))]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("%%measure iv --th", ("--thread",)),
        ("%%measure iv --no", ("--no-save", "--note")),
        ("%%measure iv --thread --th", ()),
        ("%%measure iv --plot ", ("t", "a", "b", "volt", "amps")),
        ("%%measure iv --plot t,v", ("volt",)),
        ("%%measure iv --plot=a", ("a", "amps")),
        ("%%measure m", ("map",)),
        ("%%measure iv m", ()),
        ("%%measure iv --with r", ("ramp", "rinse")),
        ("%%measure iv --with ramp --with=ri", ("rinse",)),
        ("%%measure iv --tag g", ("good",)),
        ("%%measure iv --note g", ()),
        ("%%task r", ("ramp", "rinse")),
        ("%%task ramp --on-error w", ("warn",)),
        ("%%task ramp --s", ("--start",)),
        ("%stop ", ("iv", "ramp", "all")),
        ("%stop iv r", ("ramp",)),
        ("%runs --state st", ("stopped",)),
        ("%runs --na", ("--name",)),
        ("%%measure", None),
        ("print(", None),
    ],
)
def test_tab_offers_what_can_stand_there(line, found):
    assert offered(line, BODY, lambda: KNOWN) == found


def test_names_of_a_body_are_found_while_it_is_being_written():
    assert body_names("for v in sweep(0, 1, 3):\n    i: smu.curr\n    x: ") == ("v", "i")


def test_tab_works_in_a_shell(shell):
    run(shell, QUICK.format(line="iv --tag good"))
    run(shell, "%%task ramp\npass")
    assert completions(shell, "%%measure iv --thr") == ["--thread"]
    assert completions(shell, "%%measure iv --with r") == ["ramp"]
    assert completions(shell, "%%measure i") == ["iv"]
    assert completions(shell, "%runs --tag g") == ["good"]
