"""A real JupyterLab server and a real Chromium for the tests in this folder."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, sync_playwright

CHROMIUM = os.environ.get("LABNB_CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
SIZE = {"width": 1300, "height": 1000}

# Everything below asks JupyterLab's own models, not the look of the page.
_CELL = "window.jupyterapp.shell.currentWidget.content.widgets[a]"
_READY = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


def pytest_addoption(parser):
    parser.addoption("--write-pictures", action="store_true", help="take the pictures of the README anew")


def pytest_collection_modifyitems(items):
    for item in items:
        item.add_marker(pytest.mark.browser)


@contextlib.contextmanager
def jupyter_lab(command, private, folder, root=None):
    """Start `command` (a `jupyter lab`) in `folder`, with settings below `private`; yield its address on the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = dict(os.environ)
    env.pop("LABNB_DATA", None)
    env["PATH"] = f"{Path(command[-2]).parent}:{env['PATH']}"
    for name in (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTERLAB_SETTINGS_DIR",
        "JUPYTERLAB_WORKSPACES_DIR",
        "IPYTHONDIR",
    ):
        env[name] = str(private / name)
    settings = private / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    options += ["--IdentityProvider.token=", f"--ServerApp.root_dir={root or folder}"]
    options += ["--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"]
    with (private / "lab.log").open("w") as log:
        server = subprocess.Popen([*command, *options], cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
        url = f"http://127.0.0.1:{port}"
        try:
            _wait_for_server(server, url, private / "lab.log")
            yield url
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture(scope="session")
def start_lab():
    """Return `jupyter_lab`, for tests that start one of their own."""
    return jupyter_lab


@pytest.fixture(scope="session")
def unnamed():
    """Return `unnamed_controls`."""
    return unnamed_controls


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """Yield (url, folder) of a JupyterLab with folders of its own, on a free port of the loopback."""
    root = tmp_path_factory.mktemp("lab")
    jupyter = str(Path(sys.executable).parent / "jupyter")
    with jupyter_lab([jupyter, "lab"], tmp_path_factory.mktemp("private"), Path.cwd(), root) as url:
        yield url, root


def _wait_for_server(server, url, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(log.read_text())
        with contextlib.suppress(OSError), urllib.request.urlopen(url + "/api", timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not answer: {log.read_text()}")


@pytest.fixture(scope="session")
def chrome():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield browser
        browser.close()


_CONTROL = re.compile(r"^\s*- (button|combobox|textbox|listbox|checkbox|spinbutton|slider|link|application)\b(?! \")")


def unnamed_controls(root):
    """Return those controls below a place that a screen reader has no name for, as the browser tells it."""
    return [line for line in root.aria_snapshot().splitlines() if _CONTROL.match(line)]


class Notebook:
    """One open notebook, seen through the page."""

    def __init__(self, page: Page, path: Path):
        self.page, self.path = page, path

    def js(self, expression, argument=None):
        """Evaluate an expression in which `cell` is the cell with the number `argument`."""
        return self.page.evaluate(
            f"(a) => {{ const cell = a === null ? null : {_CELL}; return {expression} }}", argument
        )

    def wait(self, expression, argument=None, timeout_s=30.0):
        script = f"(a) => {{ const cell = a === null ? null : {_CELL}; return {expression} }}"
        self.page.wait_for_function(script, arg=argument, timeout=timeout_s * 1000)

    def command(self, name, **arguments):
        self.page.evaluate("([name, args]) => { window.jupyterapp.commands.execute(name, args) }", [name, arguments])

    def run_all(self):
        self.command("notebook:run-all-cells")

    def running(self, number):
        return self.js("cell.model.sharedModel.executionState === 'running'", number)

    def wait_done(self, number, timeout_s=30.0):
        self.wait(
            "cell.model.executionCount !== null && cell.model.sharedModel.executionState !== 'running'",
            number,
            timeout_s,
        )

    def outputs(self, number):
        return self.js("cell.model.outputs.toJSON()", number)

    def text(self, number):
        """Return all plain text of a cell's outputs."""
        parts = []
        for output in self.outputs(number):
            parts += [output.get("text", ""), output.get("data", {}).get("text/plain", ""), output.get("evalue", "")]
        return "\n".join("".join(part) for part in parts)

    def seconds_until_done(self, number, action):
        """Do `action` (JavaScript) in the page; return after how many seconds the cell was not running any more."""
        script = f"""async ([a, timeout]) => {{
            const cell = {_CELL};
            const begin = performance.now();
            {action};
            while (cell.model.sharedModel.executionState === 'running') {{
                if (performance.now() - begin > timeout) return -1;
                await new Promise(done => setTimeout(done, 5));
            }}
            return (performance.now() - begin) / 1000;
        }}"""
        return self.page.evaluate(script, [number, 20_000])

    def points(self, number=None):
        """Return the count of points that the panel shows."""
        scope = self.page if number is None else self.page.locator(".jp-Cell").nth(number)
        text = scope.locator(".labnb-points").last.inner_text()
        return int("".join(c for c in text.split("/")[0].split("points")[0] if c.isdigit()))

    def paths(self):
        """Return what the figure's lines look like now, as one text."""
        return self.page.evaluate(
            "() => [...document.querySelectorAll('.labnb-panel .bqplot path.line')].map(p => p.getAttribute('d')).join()"
        )

    def images(self):
        """Return what the figure's maps show now, as one text."""
        return self.page.evaluate(
            "() => [...document.querySelectorAll('.labnb-panel .labnb-canvas')].map(c => c.toDataURL()).join()"
        )

    def count_changes(self, look, seconds):
        """Return how often what `look` returns changed within `seconds`."""
        changes, before, end = 0, look(), time.monotonic() + seconds
        while time.monotonic() < end:
            self.page.wait_for_timeout(30)
            now = look()
            changes += now != before
            before = now
        return changes

    def tab_to(self, selector, most=60):
        """Press Tab until what has the focus is of `selector`; return how often."""
        for count in range(1, most + 1):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return count
        raise AssertionError(f"the keyboard does not reach {selector}")

    def screenshot(self, name):
        ARTIFACTS.mkdir(exist_ok=True)
        self.page.screenshot(path=str(ARTIFACTS / f"{name}.png"))

    def theme(self, name):
        light = "true" if "Dark" not in name else "false"
        is_on = f"() => document.body.dataset.jpThemeLight === '{light}'"
        if self.page.evaluate(is_on):
            return
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_function(is_on)
        self.page.wait_for_timeout(300)


@pytest.fixture
def sharpness():
    """How many pixels of the screen are one of the page."""
    return 1


@pytest.fixture(scope="session")
def shared_pages(chrome):
    """Yield the pages of JupyterLab that tests use one after the other, by address: to load one takes seconds."""
    pages = {}
    yield pages
    for page, _ in pages.values():
        page.context.close()


# The page goes on as if it had just been loaded: no document is open, no kernel runs.
_TIDY = """async () => {
    const { shell, serviceManager } = window.jupyterapp;
    for (const widget of [...shell.widgets('main')]) widget.dispose();
    await serviceManager.sessions.shutdownAll();
    await serviceManager.sessions.refreshRunning();
}"""
_OPEN = """async name => { const { restored, commands } = window.jupyterapp; await restored;
    await commands.execute('docmanager:open', {path: name}) }"""
_SHOWN = "window.jupyterapp?.shell?.currentWidget?.context?.path === name"


def _new_page(chrome, sharpness=1):
    page = chrome.new_context(device_scale_factor=sharpness).new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    return page, errors


@pytest.fixture
def open_notebook(lab, chrome, shared_pages, sharpness):
    """Return a function that opens cells (or a notebook's path) in a page, with a kernel unless told otherwise.

    The page of JupyterLab is that of other tests before; with `fresh`, or without a kernel, it is loaded anew.
    """
    url, root = lab
    fresh_ones, used = [], []

    def open_it(cells=(), name="test.ipynb", kernel=True, client="lab", fresh=False):
        path = root / name
        if cells:
            notebook = nbformat.v4.new_notebook(
                cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
                metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
            )
            nbformat.write(notebook, path)
        if client == "lab" and kernel and sharpness == 1 and not fresh and not used:
            if url not in shared_pages:
                shared_pages[url] = _new_page(chrome)
                shared_pages[url][0].goto(f"{url}/lab?reset")
            page, errors = shared_pages[url]
            page.set_viewport_size(SIZE)
            page.wait_for_function("() => window.jupyterapp?.shell", timeout=60_000)
            page.evaluate(_OPEN, name)
            page.wait_for_function(f"name => {_SHOWN}", arg=name, timeout=60_000)
        else:
            page, errors = _new_page(chrome, sharpness)
            page.set_viewport_size(SIZE)
            fresh_ones.append(page)
            page.goto(f"{url}/lab/tree/{name}?reset" if client == "lab" else f"{url}/notebooks/{name}")
        notebook = Notebook(page, path)
        used.append((notebook, errors if client == "lab" else []))  # Notebook's own page has some of its own
        if kernel:
            page.wait_for_function(f"() => {_READY}", timeout=60_000)
        return notebook

    yield open_it
    failures = [error for _, errors in used for error in errors]
    for page in fresh_ones:
        page.evaluate("() => { window.jupyterapp?.commands.execute('kernelmenu:shutdown') }")
        page.context.close()
    if url in shared_pages:
        page, errors = shared_pages[url]
        errors.clear()
        page.mouse.move(0, 0)
        Notebook(page, root).theme("JupyterLab Light")
        page.evaluate(_TIDY)
    assert not failures, failures
