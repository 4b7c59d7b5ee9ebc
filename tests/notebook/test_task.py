"""A `%%task` cell: what its line asks for, and what becomes of its body."""

import asyncio
import threading

import pytest

from labnb.core import CellError, PlanError
from labnb.notebook.request import parse_line
from labnb.notebook.task import TaskRequest, compile_task, known_task, parse_task_line


def test_the_line_is_understood():
    assert parse_task_line("ramp") == TaskRequest("ramp")
    assert parse_task_line("--start ramp --on-error warn") == TaskRequest("ramp", True, "warn")
    assert parse_task_line("ramp --on-error=stop") == TaskRequest("ramp")


@pytest.mark.parametrize("line", ["", "two names", "9lives", "ramp --on-error ignore", "ramp --on-error", "'"])
def test_a_line_that_cannot_be_understood_is_refused_with_the_manual(line):
    with pytest.raises(PlanError, match="%%task"):
        parse_task_line(line)


async def test_a_body_has_a_scope_of_its_own_and_the_notebooks_names():
    names = {"out": [], "count": 3, "asyncio": asyncio}
    source = "for k in range(count):\n    count = count + 1\n    await asyncio.sleep(0)\nout.append(count)\n"
    task = compile_task(TaskRequest("t"), source, "<cell>", names)
    assert task.awaiting
    await task.bind({"stop": threading.Event()}, {})()
    await task.bind({"stop": threading.Event()}, {})()
    assert names["out"] == [6, 6]
    assert names["count"] == 3
    assert "k" not in names


def test_a_body_without_await_is_told_to_stop():
    names = {"out": []}
    task = compile_task(
        TaskRequest("t"), "while not stop.wait(0.001):\n    out.append(1)\nout.append(2)\n", "<c>", names
    )
    stop = threading.Event()
    stop.set()
    task.bind({"stop": stop}, {})()
    assert not task.awaiting
    assert names["out"] == [2]


@pytest.mark.parametrize(
    ("source", "line", "words"), [("x = (1\n", 2, "never closed"), ("a = 1\nyield a\n", 3, "'yield' outside")]
)
def test_a_body_that_is_no_function_is_refused_at_its_line(source, line, words):
    with pytest.raises(CellError, match=words) as caught:
        compile_task(TaskRequest("t"), source, "<cell>", {})
    assert caught.value.lineno == line


def test_a_measurement_names_the_tasks_that_go_with_it():
    assert parse_line("iv --with ramp,pulse --with pump").tasks == ("ramp", "pulse", "pump")
    task = compile_task(TaskRequest("ramp"), "pass", "<c>", {})
    assert known_task("ramp", {"ramp": task}) is task
    with pytest.raises(PlanError, match=r"no task is called 'rmap'; did you mean 'ramp'\? there are ramp"):
        known_task("rmap", {"ramp": task})
    with pytest.raises(PlanError, match="there are none; a %%task x cell makes one"):
        known_task("x", {})


def test_following_the_clock_cannot_be_resumed():
    with pytest.raises(PlanError, match="--resume and --every"):
        parse_line("iv --resume --every 1s")
