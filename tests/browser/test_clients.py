"""`%%measure` in each page that notebooks are opened in: JupyterLab, Notebook and Voila."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
import xarray as xr

LOAD = "%load_ext labnb\nimport asyncio, time, math"
KINDS = {"awaiting": "await asyncio.sleep(0.01)", "blocking": "time.sleep(0.01)", "thread": "await asyncio.sleep(0.01)"}
STOP = "document.querySelector('.labnb-stop').click()"
INTERRUPT = "window.jupyterapp.commands.execute('notebook:interrupt-kernel')"


def measure(kind, options="", points=4000):
    thread = "--thread " if kind == "thread" else ""
    body = f'for x in sweep(0, 40, {points}, "s"):\n    {KINDS[kind]}\n    y: "V" = math.sin(x)'
    return f"%%measure wave {thread}{options}\n{body}\n"


def wait_for_figure(page):
    page.wait_for_selector(".labnb-panel .bqplot path.line", state="attached", timeout=30_000)


def wait_for_changes(page, times):
    look = "() => document.querySelector('.labnb-panel .bqplot path.line').getAttribute('d')"
    for _ in range(times):
        page.wait_for_function(f"(before) => ({look})() !== before", arg=page.evaluate(look))


@pytest.mark.speed
@pytest.mark.parametrize("client", ["lab", "notebook"])
def test_pause_stop_and_run_all_with_a_queue_behind_each_kind_of_run(open_notebook, client):
    after = "states = [*globals().get('states', []), wave.state.value, wave.points == int(wave.data.y.count())]\nstates"
    cells = [cell for kind in KINDS for cell in (measure(kind), after)]
    notebook = open_notebook([LOAD, *cells], client=client, name=f"queue-{client}.ipynb")
    notebook.run_all()
    for number, kind in enumerate(KINDS):
        place = 1 + 2 * number
        notebook.wait("cell.model.sharedModel.executionState === 'running'", place)
        wait_for_figure(notebook.page)
        notebook.page.locator(".labnb-panel").scroll_into_view_if_needed()
        wait_for_changes(notebook.page, 4)
        notebook.page.locator(".labnb-pause").click()
        notebook.wait("document.querySelector('.labnb-state').innerText.includes('paused')")
        notebook.page.locator(".labnb-pause").click()
        notebook.wait("document.querySelector('.labnb-state').innerText.includes('running')")
        notebook.screenshot(f"client-{client}-{kind}")
        seconds = notebook.seconds_until_done(place, STOP)
        print(f"{client}, {kind}: stop click to cell done {seconds:.3f} s")
        assert 0 <= seconds <= 0.5
        notebook.wait("cell.model.outputs.toJSON().some(o => o.data && o.data['image/png'])", place)
    notebook.wait_done(6)
    assert notebook.text(6).strip() == str(["stopped", True] * 3)


@pytest.mark.speed
@pytest.mark.parametrize("client", ["lab", "notebook"])
def test_an_interrupt_ends_a_run_in_a_thread_and_aborts_the_queue(open_notebook, client):
    notebook = open_notebook([LOAD, measure("thread"), "'not reached'"], client=client, name=f"irq-{client}.ipynb")
    notebook.run_all()
    wait_for_figure(notebook.page)
    seconds = notebook.seconds_until_done(1, INTERRUPT)
    print(f"{client}: interrupt to cell done {seconds:.3f} s")
    assert 0 <= seconds <= 0.5
    notebook.wait("cell.model.outputs.toJSON().some(o => o.output_type === 'error')", 1)
    assert notebook.outputs(1)[-1]["traceback"][0].startswith("Measurement interrupted: ")
    assert notebook.outputs(2) == []


def test_a_cell_that_computes_does_not_stop_the_run_in_a_thread_and_else_the_panel_says_so(open_notebook):
    block = "end = time.monotonic() + 2.5\nwhile time.monotonic() < end: sum(range(1000))"
    both = measure("awaiting", "-b") + "    moment: 's' = time.monotonic()\n"
    notebook = open_notebook([LOAD, both, block, "wave.warnings"], name="stall.ipynb")
    notebook.run_all()
    notebook.wait_done(3)
    notebook.wait("document.querySelector('.labnb-small').innerText.includes('see --thread')")
    text = notebook.page.locator(".labnb-small").inner_text()
    assert "⚠" in text
    assert "the kernel's loop stood still for 2." in text
    notebook.page.locator(".labnb-panel").scroll_into_view_if_needed()
    notebook.screenshot("stalled-light")
    notebook.page.evaluate(STOP)


def test_a_restarted_kernel_has_kept_every_point_and_goes_on_with_resume(lab, open_notebook):
    cell = measure("awaiting", "-b --resume", points=600).replace("wave", "killed")
    cells = [LOAD, cell, "done = await killed\ndone.points, done.state.value"]
    notebook = open_notebook(cells, name="restart.ipynb")
    notebook.command("notebook:run-cell-and-select-next")
    notebook.wait_done(0)
    notebook.command("notebook:run-cell-and-select-next")
    wait_for_figure(notebook.page)
    notebook.page.wait_for_timeout(300)
    notebook.js("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    notebook.wait("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'")
    (path,) = lab[1].glob("labnb-data/*/*/*/*-killed-*")
    kept = int(xr.open_zarr(path / "data.zarr").y.notnull().sum())
    assert 5 < kept < 600
    notebook.run_all()
    notebook.wait_done(2, timeout_s=60)
    assert "(600, 'done')" in notebook.text(2)
    assert int(xr.open_zarr(path / "data.zarr").y.notnull().sum()) == 600


@pytest.fixture
def voila(tmp_path):
    """Return a function that serves a notebook by Voila; it returns the address."""
    with contextlib.ExitStack() as stack:

        def serve(cells):
            spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
            book = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": spec}
            )
            nbformat.write(book, tmp_path / "bench.ipynb")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
            env = {**os.environ, **{name: str(tmp_path / name) for name in names}}
            env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
            command = [sys.executable, "-m", "voila", "bench.ipynb", "--no-browser", f"--port={port}"]
            command += ["--Voila.ip=127.0.0.1", "--strip_sources=True"]
            log = stack.enter_context((tmp_path / "voila.log").open("w"))
            server = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=subprocess.STDOUT)
            stack.callback(server.wait, 30)
            stack.callback(server.terminate)
            url = f"http://127.0.0.1:{port}/"
            end = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError), urllib.request.urlopen(url + "voila/api/", timeout=1):
                    return url
                if _listens(port):
                    return url
                assert time.monotonic() < end, (tmp_path / "voila.log").read_text()
                assert server.poll() is None, (tmp_path / "voila.log").read_text()
                time.sleep(0.1)

        yield serve


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def page(chrome):
    context = chrome.new_context(viewport={"width": 1300, "height": 900})
    yield context.new_page()
    context.close()


def test_voila_shows_the_figure_live_and_its_buttons_work(voila, page, tmp_path):
    url = voila([LOAD, measure("awaiting", "-b")])
    page.goto(url, timeout=60_000)
    wait_for_figure(page)
    wait_for_changes(page, 4)
    page.locator(".labnb-pause").click()
    page.wait_for_function("() => document.querySelector('.labnb-state').innerText.includes('paused')")
    page.screenshot(path=str(tmp_path / "voila.png"))
    page.locator(".labnb-pause").click()
    page.wait_for_function("() => document.querySelector('.labnb-state').innerText.includes('running')")
    page.locator(".labnb-stop").click()
    (path,) = tmp_path.glob("labnb-data/*/*/*/*-wave-*")
    end = time.monotonic() + 10
    while '"stopped"' not in (path / "run.json").read_text():
        assert time.monotonic() < end
        page.wait_for_timeout(50)


def test_voila_shows_the_picture_of_a_run_that_it_waited_for(voila, page):
    page.goto(voila([LOAD, measure("awaiting", points=40)]), timeout=60_000)
    page.wait_for_selector("img[src^='data:image/png']", timeout=30_000)
    assert "Error displaying widget" not in page.inner_text("body")
    assert "Traceback" not in page.inner_text("body")
