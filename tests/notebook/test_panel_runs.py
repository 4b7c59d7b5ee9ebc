"""The runs browser and the panel of tasks."""

import asyncio

import pytest

import labnb
from labnb import Measurement, sweep
from labnb.core import State
from labnb.notebook.panels import RunsPanel, TasksPanel
from labnb.notebook.prepare import prepare
from labnb.notebook.request import parse_line
from labnb.record import open_run
from labnb.session import Run, StandingTask
from labnb.session._task import task_of

SLOW = "import asyncio\nfor k in sweep(range(50)):\n    await asyncio.sleep(0.01)\n    y: 'V' = k * 2.0\n"


async def measured(store, name, *, factor=1.0, points=11):
    async with Measurement(name, store=store) as session:
        session.parameter("x", sweep(0, 1, points), unit="V")

        @session.acquire(unit="A")
        async def current(x):
            return factor * x

        return await session.run()


async def begun(store, name="slow", source=SLOW):
    return Run(prepare(parse_line(name), source, "<cell>", {"sweep": sweep}).job, store).start()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def browse(tmp_path):
    made = []

    async def open_it():
        made.append(RunsPanel(tmp_path))
        made[-1].widget._view_count = 1
        await until(lambda: made[-1]._count.value)
        return made[-1]

    yield open_it
    for each in made:
        each.close()
    await until(lambda: not any(each._tasks for each in made))


async def choose(panel, *runs):
    panel.list.value = tuple(str(run.path) for run in runs)
    if len(runs) == 1:
        await until(lambda: panel.preview.value)


async def test_runs_are_found_by_words_tag_state_and_date(tmp_path, browse):
    first, second = await measured(tmp_path, "iv"), await measured(tmp_path, "cv")
    first.stored.tag("good")
    panel = await browse()
    assert [path for _, path in panel.list.options] == [str(second.path), str(first.path)]
    for field, value, expected in (
        ("text", "cv", [second]),
        ("text", "", [second, first]),
        ("tag", "good", [first]),
        ("tag", "", [second, first]),
        ("state", "failed", []),
        ("state", "done", [second, first]),
        ("since", "2099-01-01", []),
    ):
        getattr(panel, field).value = value
        await until(lambda expected=expected: [p for _, p in panel.list.options] == [str(r.path) for r in expected])
    panel.since.value = "the day before"
    await until(lambda: "expected a date or time such as" in panel._message.value)
    panel.since.value = ""
    await until(lambda: panel._message.value == "")


async def test_a_chosen_run_is_previewed_and_told_as_code_that_runs(tmp_path, browse):
    run = await measured(tmp_path, "iv")
    panel = await browse()
    await choose(panel, run)
    assert "data:image/png;base64," in panel.preview.value
    names = {"labnb": labnb}
    exec(panel.code.value, names)
    assert names["iv"].current.sizes == {"x": 11}
    panel.open.click()
    await until(lambda: "iv = labnb.load" in panel.code.value)


async def test_two_runs_are_compared_in_one_picture_and_what_cannot_be_is_told(tmp_path, browse):
    one, other = await measured(tmp_path, "iv"), await measured(tmp_path, "iv", factor=2.0, points=7)
    slow = await begun(tmp_path)
    slow.stop()
    await slow
    panel = await browse()
    await choose(panel, one, other)
    await until(lambda: not panel.compare.disabled and panel.open.disabled)
    panel.compare.click()
    await until(lambda: one.path.name in panel.preview.value and other.path.name in panel.preview.value)
    await choose(panel, one, slow)
    panel.compare.click()
    await until(lambda: "no variable over the same axis" in panel._message.value)


async def test_tags_and_notes_are_written_to_the_run(tmp_path, browse):
    run = await measured(tmp_path, "iv")
    run.stored.tag("old")
    panel = await browse()
    await choose(panel, run)
    assert panel.tags.value == "old"
    panel.tags.value = "good, sample-7"
    panel.save_tags.click()
    await until(lambda: open_run(run.path).tags == ("good", "sample-7"))
    await until(lambda: "sample-7" in panel.list.options[0][0])
    panel.note.value = "lid was open"
    panel.add_note.click()
    await until(lambda: [text for _, text in open_run(run.path).notes] == ["lid was open"])
    await until(lambda: panel.note.value == "")
    panel.add_note.click()
    await until(lambda: "an empty note" in panel._message.value)


async def test_an_unfinished_run_is_resumed_by_its_cell(tmp_path, browse):
    run = await begun(tmp_path)
    await until(lambda: run.points > 3)
    run.stop()
    await run
    kept = run.points
    panel = await browse()
    await choose(panel, run)
    assert not panel.resume.disabled
    panel.resume.click()
    await until(lambda: "slow" in panel._message.value and "done: 50 points" in panel._message.value)
    again = open_run(run.path)
    assert again.state is State.DONE
    assert 0 < kept < again.points == 50
    assert again.data.y.values.tolist() == [2.0 * k for k in range(50)]
    await until(lambda: panel.resume.disabled)


async def test_a_run_of_a_session_says_how_it_is_resumed(tmp_path, browse):
    session = Measurement("iv", store=tmp_path)
    session.parameter("x", range(100))

    @session.acquire(unit="A")
    async def current(x):
        await asyncio.sleep(0.01)
        return x

    run = session.start()
    await until(lambda: run.points > 2)
    run.stop()
    await run
    panel = await browse()
    await choose(panel, run)
    panel.resume.click()
    await until(lambda: "await labnb.resume(" in panel._message.value)


async def test_what_is_going_on_is_shown_paused_and_stopped(tmp_path):
    run = await begun(tmp_path, source=SLOW.replace("50", "5000"))
    heard = []

    async def blink():
        await asyncio.sleep(60)

    standing = StandingTask(task_of(blink, "blink", "stop"), heard.append).start()
    panel = TasksPanel()
    panel.widget._view_count = 1
    assert [entry.name for entry in panel.entries] == [run.run_id, "task blink"]
    first, second = panel.entries
    first.pause_button.click()
    await until(lambda: run.state is State.PAUSED and first.pause_button.description == "Resume")
    first.pause_button.click()
    await until(lambda: run.state is State.RUNNING and first.pause_button.description == "Pause")
    await until(lambda: "/ 5000 points" in first._rest.value)
    assert second.pause_button.layout.visibility == "hidden"
    second.stop_button.click()
    await until(lambda: not standing.going and second.stop_button.disabled)
    first.stop_button.click()
    await run
    await until(lambda: "stopped" in first._state.value and panel._all.disabled)
    panel.close()
    await until(lambda: not panel._tasks)


async def test_stop_all_stops_all_and_keeps_the_points(tmp_path):
    panel = TasksPanel()
    panel.widget._view_count = 1
    assert panel._place.children == (panel._empty,)
    many = [await begun(tmp_path, f"slow{k}", SLOW.replace("50", "5000")) for k in range(2)]
    await until(lambda: len(panel.entries) == 2 and all(run.points for run in many))
    panel._all.click()
    for run in many:
        assert (await run).state is State.STOPPED
    panel.close()
    await until(lambda: not panel._tasks)
