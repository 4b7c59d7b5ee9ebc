"""`%%measure` in a real JupyterLab: live, stoppable, pausable, interruptible, and readable for ever."""

import json
import shutil
from pathlib import Path

import pytest
import xarray as xr

FIRST = Path(__file__).parents[2] / "notebooks" / "01_first_sweep.ipynb"

LOAD = "%load_ext labnb\nimport asyncio, time, math"
SLOW = """%%measure wave
for x in sweep(0, 40, 4000, "s"):
    await asyncio.sleep(0.01)
    y: "V" = math.sin(x)
"""
BLOCKING = SLOW.replace("await asyncio.sleep", "time.sleep")
MAP = """%%measure map
for a in sweep(0, 1, 40, "V"):
    for b in sweep(0, 1, 60, "V"):
        await asyncio.sleep(0.002)
        z: "A" = math.sin(9 * a) * math.cos(7 * b) * 1e-9
"""
STOP = "document.querySelector('.labnb-stop').click()"
INTERRUPT = "window.jupyterapp.commands.execute('notebook:interrupt-kernel')"


def wait_for_figure(notebook, selector=".labnb-panel .bqplot path.line"):
    notebook.page.wait_for_selector(selector, state="attached", timeout=30_000)


def test_the_first_notebook_runs_whole_and_its_figure_is_live(lab, open_notebook):
    shutil.copy(FIRST, lab[1] / "first.ipynb")
    cells = json.loads(FIRST.read_text())["cells"]
    measure = next(k for k, cell in enumerate(cells) if "".join(cell["source"]).startswith("%%measure"))
    notebook = open_notebook(name="first.ipynb")
    notebook.run_all()
    wait_for_figure(notebook)
    notebook.page.locator(".labnb-panel").scroll_into_view_if_needed()
    notebook.wait("document.querySelector('.labnb-points').innerText.match(/[2-9]\\d+ \\//)")
    assert notebook.count_changes(notebook.paths, 2.0) >= 10
    notebook.screenshot("first-live-light")
    notebook.theme("JupyterLab Dark")
    notebook.screenshot("first-live-dark")
    assert notebook.running(measure), "the screenshots shall show a running cell"
    notebook.theme("JupyterLab Light")
    last = max(k for k, cell in enumerate(cells) if cell["cell_type"] == "code")
    notebook.wait_done(last, timeout_s=90)
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            assert not [o for o in notebook.outputs(number) if o["output_type"] == "error"], notebook.text(number)
    assert [o for o in notebook.outputs(measure) if "image/png" in o.get("data", {})]
    assert notebook.page.locator(".labnb-panel").count() == 0
    notebook.page.locator(".jp-RenderedImage").first.scroll_into_view_if_needed()
    notebook.screenshot("first-frozen-light")


@pytest.mark.speed
def test_stop_ends_the_cell_at_once_and_the_next_cell_runs(open_notebook):
    notebook = open_notebook([LOAD, SLOW, "wave.state, wave.points, wave.data.y.notnull().sum().item()"])
    notebook.run_all()
    wait_for_figure(notebook)
    assert notebook.count_changes(notebook.paths, 2.0) >= 10
    seconds = notebook.seconds_until_done(1, STOP)
    print(f"stop click to cell done: {seconds:.3f} s")
    assert 0 <= seconds <= 0.3
    notebook.wait_done(2)
    assert "<State.STOPPED" in notebook.text(2)
    points, stored = (int(word) for word in notebook.text(2).rstrip(")\n").split(",")[1:])
    assert points == stored > 10


@pytest.mark.speed
def test_stop_cuts_a_long_await_short(open_notebook):
    cell = '%%measure long\nfor x in sweep(range(9)):\n    await asyncio.sleep(1 if x == 0 else 60)\n    y: "V" = x'
    notebook = open_notebook([LOAD, cell, "long.state, long.points"])
    notebook.run_all()
    notebook.wait("document.querySelector('.labnb-points')?.innerText.startsWith('1 /')")
    seconds = notebook.seconds_until_done(1, STOP)
    print(f"stop of a long await: {seconds:.3f} s")
    assert 0 <= seconds <= 0.3
    notebook.wait_done(2)
    assert "STOPPED" in notebook.text(2)
    assert "1)" in notebook.text(2)


def test_pause_holds_the_point_count_and_resume_goes_on(open_notebook):
    notebook = open_notebook([LOAD, SLOW])
    notebook.run_all()
    wait_for_figure(notebook)
    button = notebook.page.locator(".labnb-pause")
    button.click()
    notebook.wait("document.querySelector('.labnb-pause').innerText.includes('Resume')")
    notebook.page.wait_for_timeout(300)
    held = notebook.points()
    notebook.page.wait_for_timeout(700)
    assert notebook.points() == held
    assert "paused" in notebook.page.locator(".labnb-state").inner_text()
    notebook.screenshot("paused-light")
    button.click()
    notebook.page.wait_for_timeout(700)
    assert notebook.points() > held
    assert notebook.seconds_until_done(0, STOP) >= 0


@pytest.mark.speed
def test_interrupt_keeps_the_data_says_one_line_and_aborts_the_queue(lab, open_notebook):
    notebook = open_notebook([LOAD, SLOW, "'not reached'"], name="interrupt.ipynb")
    notebook.run_all()
    wait_for_figure(notebook)
    notebook.page.wait_for_timeout(500)
    seconds = notebook.seconds_until_done(1, INTERRUPT)
    print(f"interrupt to cell done: {seconds:.3f} s")
    assert 0 <= seconds <= 0.3
    notebook.wait("cell.model.outputs.toJSON().some(o => o.output_type === 'error')", 1)
    error = notebook.outputs(1)[-1]
    assert error["ename"] == "MeasureInterrupted"
    assert len(error["traceback"]) == 1
    assert error["traceback"][0].startswith("Measurement interrupted: ")
    assert "points kept in run wave-" in error["evalue"]
    assert notebook.outputs(2) == []
    path = error["evalue"].split("(")[1].rstrip(")")
    data = xr.open_zarr(Path(path) / "data.zarr")
    assert int(data.y.notnull().sum()) == int(error["evalue"].split()[0]) > 10
    notebook.wait("cell.model.outputs.toJSON().some(o => o.data && o.data['image/png'])", 1)


@pytest.mark.speed
def test_a_blocking_body_keeps_the_kernels_buttons_alive(open_notebook):
    notebook = open_notebook([LOAD, BLOCKING, "wave.state"])
    notebook.run_all()
    wait_for_figure(notebook)
    assert notebook.count_changes(notebook.paths, 2.0) >= 10
    notebook.page.locator(".labnb-pause").click()
    notebook.wait("document.querySelector('.labnb-pause').innerText.includes('Resume')")
    notebook.page.locator(".labnb-pause").click()
    notebook.wait("document.querySelector('.labnb-pause').innerText.includes('Pause')")
    seconds = notebook.seconds_until_done(1, STOP)
    print(f"stop of a blocking body: {seconds:.3f} s")
    assert 0 <= seconds <= 0.3
    notebook.wait_done(2)
    assert "STOPPED" in notebook.text(2)


@pytest.mark.speed
def test_interrupt_ends_a_blocking_body_too(open_notebook):
    notebook = open_notebook([LOAD, BLOCKING, "'not reached'"])
    notebook.run_all()
    wait_for_figure(notebook)
    seconds = notebook.seconds_until_done(1, INTERRUPT)
    assert 0 <= seconds <= 0.3
    notebook.wait("cell.model.outputs.toJSON().some(o => o.output_type === 'error')", 1)
    assert notebook.outputs(1)[-1]["ename"] == "MeasureInterrupted"
    assert notebook.outputs(2) == []


def test_a_background_run_returns_at_once_and_its_figure_goes_on(open_notebook):
    background = SLOW.replace("measure wave", "measure wave -b")
    notebook = open_notebook(
        [
            LOAD,
            background,
            "before = wave.points\nbefore, wave.state",
            "wave.stop()\nawait wave\nwave.state, wave.points > before",
        ]
    )
    notebook.command("notebook:run-cell-and-select-next")
    notebook.wait_done(0)
    notebook.command("notebook:run-cell-and-select-next")
    notebook.wait_done(1, timeout_s=5)
    wait_for_figure(notebook)
    notebook.command("notebook:run-cell-and-select-next")
    notebook.wait_done(2, timeout_s=5)
    assert "RUNNING" in notebook.text(2)
    assert notebook.count_changes(notebook.paths, 2.0) >= 10
    notebook.command("notebook:run-cell-and-select-next")
    notebook.wait_done(3, timeout_s=5)
    assert "STOPPED" in notebook.text(3)
    assert "True" in notebook.text(3)
    notebook.wait("cell.model.outputs.toJSON().some(o => o.data && o.data['image/png'])", 1)


def test_a_reopened_notebook_shows_the_picture_without_a_kernel(lab, open_notebook):
    quick = SLOW.replace("4000", "50")
    notebook = open_notebook([LOAD, quick], name="kept.ipynb")
    notebook.run_all()
    notebook.wait_done(1)
    notebook.wait("cell.model.outputs.toJSON().some(o => o.data && o.data['image/png'])", 1)
    notebook.command("docmanager:save")
    notebook.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    shutil.copy(lab[1] / "kept.ipynb", lab[1] / "reopened.ipynb")
    again = open_notebook(name="reopened.ipynb", kernel=False)
    again.page.wait_for_selector(".jp-RenderedImage img")
    width = again.page.evaluate("() => document.querySelector('.jp-RenderedImage img').naturalWidth")
    assert width > 1000
    assert "Error displaying widget" not in again.page.inner_text("body")
    again.screenshot("reopened-light")


def test_a_map_is_live_and_its_unmeasured_part_is_empty(open_notebook):
    notebook = open_notebook([LOAD, MAP])
    notebook.run_all()
    wait_for_figure(notebook, ".labnb-panel .labnb-canvas")
    notebook.page.wait_for_timeout(1500)
    assert notebook.count_changes(notebook.images, 2.0) >= 10
    notebook.screenshot("map-live-light")
    notebook.theme("JupyterLab Dark")
    notebook.screenshot("map-live-dark")
    notebook.theme("JupyterLab Light")
    notebook.wait_done(1, timeout_s=60)
    notebook.wait("cell.model.outputs.toJSON().some(o => o.data && o.data['image/png'])", 1)
    notebook.screenshot("map-frozen-light")


@pytest.mark.speed
def test_a_time_series_follows_its_schedule(open_notebook):
    cell = '%%measure log --every 100ms --for 2s\nlevel: "V" = math.sin(time.monotonic())'
    notebook = open_notebook(
        [LOAD, cell, "log.data.sizes['time'], log.data.level.notnull().sum().item(), log.data.time.values[:3].tolist()"]
    )
    notebook.run_all()
    notebook.wait_done(2)
    assert "(20, 20, [0.0, 0.1, 0.2])" in notebook.text(2)


def test_an_error_shows_the_users_line_and_the_setpoint(open_notebook):
    cell = '%%measure bad\nfor x in sweep(range(100), "V"):\n    if x == 36:\n        raise ValueError("no contact")\n    y: "A" = x * 1.0\n'
    notebook = open_notebook([LOAD, cell, "'not reached'", "bad.points"])
    notebook.run_all()
    notebook.wait("cell.model.outputs.toJSON().some(o => o.output_type === 'error')", 1)
    error = notebook.outputs(1)[-1]
    text = "\n".join(error["traceback"])
    assert error["ename"] == "ValueError"
    assert "no contact" in text
    assert "point 37 of 100" in text
    assert "x=36 V" in text
    assert "36 points kept in run bad-" in text
    assert "labnb/session" not in text
    assert notebook.outputs(2) == []
    notebook.screenshot("error-light")


def test_a_body_with_a_syntax_error_is_shown_at_its_own_line(open_notebook):
    notebook = open_notebook(
        [
            LOAD,
            "%%measure iv\nfor v in sweep(0, 1, 3)\n    x: 'A' = 1\n",
            "%%measure iv\nfor v in sweep(0, 1, 3):\n    x: A = 1\n",
        ]
    )
    notebook.command("notebook:run-cell-and-select-next")
    notebook.wait_done(0)
    for number, words in ((1, "expected ':'"), (2, "is no unit")):
        notebook.command("notebook:run-cell-and-select-next")
        notebook.wait("cell.model.outputs.toJSON().some(o => o.output_type === 'error')", number)
        text = "\n".join(notebook.outputs(number)[-1]["traceback"])
        assert words in text
        assert f"line {number + 1}" in text
