"""Figures in a real JupyterLab: every control of every kind, by clicks and keys, each with its effect; and their rates."""

import time

import pytest

LOAD = "%load_ext labnb\nimport asyncio, time, math\nimport numpy as np"
STOP = "document.querySelector('.labnb-stop').click()"

MAP = """%%measure map
for gate in sweep(-1, 1, 40, "V"):
    for bias in sweep(-1, 1, 60, "mV"):
        await asyncio.sleep(0.006)
        current: "A" = math.sin(5 * gate) * math.cos(7 * bias) * 1e-9
        phase: "°" = 10 * gate
"""
LOG = """%%measure filter
for frequency in sweep(10, 1e6, 600, "Hz", log=True):
    await asyncio.sleep(0.1)
    gain: "V" = 1 / (1 + (frequency / 1e3) ** 2) ** 0.5
    s21: "" = 1 / (1 + 1j * frequency / 1e3)
"""
WATERFALL = """%%measure spectra
for gate in sweep(0, 1, 200, "V"):
    await asyncio.sleep(0.1)
    trace: "V" = np.exp(-((np.arange(300) - 150 - 100 * gate) / 20) ** 2) + 0.02 * np.random.randn(300)
"""
CUBE = """%%measure cube
for field in sweep(0, 9, 10, "T"):
    for gate in sweep(0, 1, 20, "V"):
        for bias in sweep(0, 1, 20, "V"):
            await asyncio.sleep(0.01)
            z: "A" = (field + 1) * math.sin(9 * gate) * math.cos(7 * bias) * 1e-9
"""
MESH = """%%measure mesh
for a, b in sweep.adaptive((0, 1), (-2, 2), ("V", "T"), most=1000):
    await asyncio.sleep(0.06)
    z: "A" = math.tanh(10 * (a - 0.5) + b)
"""
STRIP = """%%measure strip --every 50ms --for 60s
level: "V" = math.sin(time.monotonic())
other: "V" = math.cos(time.monotonic())
stage: "K" = 300.0
"""
FAMILY = """%%measure family
for temperature in sweep([280, 300, 320], "K"):
    for voltage in sweep(0, 0.8, 41, "V"):
        await asyncio.sleep(0.15)
        current: "A" = 1e-12 * math.exp(voltage / 0.0259 * 300 / temperature)
"""


# Without a size for less than one frame, as when the theme changes, just when the figure is drawn.
LAID_OUT_AGAIN = """area => new Promise(done => { const chart = area.closest('.labnb-chart');
    requestAnimationFrame(() => { chart.style.display = 'none' });
    area.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'}));
    area.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}));
    requestAnimationFrame(() => { chart.style.display = ''; done() }) })"""


class Figure:
    """The figure on show, as a person uses it."""

    def __init__(self, notebook, scope=".labnb-panel"):
        self.notebook, self.page = notebook, notebook.page
        self.root = notebook.page.locator(f"{scope} .labnb-figure").last
        self.page.wait_for_selector(f"{scope} .labnb-figure .labnb-area", state="attached", timeout=30_000)
        self.root.scroll_into_view_if_needed()

    def area(self, number=0):
        return self.root.locator(".labnb-area").nth(number)

    def view(self, number=0):
        """Return the limits [x0, x1, y0, y1] on show, in the units of the ticks."""
        return self.area(number).evaluate("area => JSON.parse(area.dataset.view)")

    def wait_view(self, good, number=0, timeout_s=10):
        end = time.monotonic() + timeout_s
        while not good(self.view(number)):
            assert time.monotonic() < end, self.view(number)
            self.page.wait_for_timeout(50)
        return self.view(number)

    def readout(self, number=0):
        return self.root.locator(".labnb-readout").nth(number).inner_text()

    def legend(self):
        return self.root.locator(".labnb-legend").inner_text()

    def wait_legend(self, text):
        self.page.wait_for_function(
            "text => [...document.querySelectorAll('.labnb-legend')].some(l => l.innerText.includes(text))", arg=text
        )

    def at(self, u, v, number=0):
        box = self.area(number).bounding_box()
        return box["x"] + u * box["width"], box["y"] + (1 - v) * box["height"]

    def hover(self, u, v, number=0):
        self.page.mouse.move(*self.at(u, v, number))

    def drag(self, start, stop, number=0):
        self.hover(*start, number)
        self.page.mouse.down()
        self.hover((start[0] + stop[0]) / 2, (start[1] + stop[1]) / 2, number)
        self.hover(*stop, number)
        self.page.mouse.up()

    def wait_readout(self, text, number=0):
        end = time.monotonic() + 10
        while text not in self.readout(number):
            assert time.monotonic() < end, self.readout(number)
            self.page.wait_for_timeout(50)
        return self.readout(number)

    def control(self, name):
        return self.root.locator(f".labnb-head .labnb-{name}").first

    def pixels(self, number=0):
        """Return how much of a map is painted (0 … 1)."""
        return (
            self.root.locator(".labnb-canvas")
            .nth(number)
            .evaluate(
                """canvas => { const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
            let painted = 0; for (let k = 3; k < data.length; k += 4) painted += data[k] === 255;
            return painted / (data.length / 4) }"""
            )
        )

    def shots(self, name):
        for theme in ("Dark", "Light"):
            self.notebook.theme(f"JupyterLab {theme}")
            self.notebook.screenshot(f"figure-{name}-{theme.lower()}")


def start(open_notebook, *cells, name="figure.ipynb", **how):
    notebook = open_notebook([LOAD, *cells], name=name, **how)
    notebook.run_all()
    return notebook, Figure(notebook)


def test_a_line_is_zoomed_panned_and_reset_by_mouse_and_by_keys_and_read_under_the_cursor(open_notebook):
    notebook, figure = start(open_notebook, STRIP)
    figure.page.wait_for_timeout(1500)
    whole = figure.view()
    figure.drag((0.1, 0.2), (0.5, 0.8))
    zoomed = figure.wait_view(lambda view: view[1] - view[0] < 0.5 * (whole[1] - whole[0]))
    assert zoomed[1] - zoomed[0] == pytest.approx(0.4 * (whole[1] - whole[0]), rel=0.02)
    figure.page.wait_for_timeout(500)
    assert figure.view() == pytest.approx(zoomed), "new points must not move what a person zoomed to"
    area = figure.area()
    area.press("ArrowRight")
    moved = figure.wait_view(lambda view: view[0] > zoomed[0])
    assert moved[1] - moved[0] == pytest.approx(zoomed[1] - zoomed[0])
    area.press("+")
    closer = figure.wait_view(lambda view: view[1] - view[0] < 0.9 * (moved[1] - moved[0]))
    area.press("-")
    figure.wait_view(lambda view: view[1] - view[0] > 1.1 * (closer[1] - closer[0]))
    area.press("0")
    figure.wait_view(lambda view: view[0] == whole[0] and view[1] >= whole[1])
    figure.page.keyboard.down("Shift")
    figure.drag((0.5, 0.5), (0.3, 0.5))
    figure.page.keyboard.up("Shift")
    figure.wait_view(lambda view: view[0] > whole[0])
    figure.control("reset").click()
    figure.wait_view(lambda view: view[0] == whole[0])
    area.focus()  # a page that is scrolled past a figure must not stop in it
    figure.hover(0.5, 0.5)
    figure.page.mouse.wheel(0, -200)
    figure.wait_view(lambda view: view[1] - view[0] < 0.8 * (whole[1] - whole[0]))
    area.dblclick()
    figure.wait_view(lambda view: view[0] == whole[0])
    figure.hover(0.05, 0.5)
    text = figure.wait_readout("● level")
    assert "time" in text
    assert " s " in text
    assert "● other" in text
    figure.shots("strip")
    figure.control("show").locator("select").select_option(label="stage (K)")
    figure.page.wait_for_timeout(400)
    figure.hover(0.06, 0.5)
    assert "stage 300.0 K" in figure.wait_readout("● stage")
    assert notebook.seconds_until_done(1, STOP) >= 0


def test_logarithmic_axes_are_chosen_by_the_sweep_and_by_their_buttons(open_notebook):
    notebook, figure = start(open_notebook, LOG)
    figure.page.wait_for_timeout(1500)
    toggle = figure.control("log-x")
    assert "mod-active" in toggle.get_attribute("class")
    assert figure.view()[0] > 0
    assert figure.view()[1] / figure.view()[0] > 1e4
    figure.hover(0.5, 0.5)
    assert "Hz" in figure.wait_readout("● gain")
    figure.shots("log")
    toggle.click()
    figure.wait_view(lambda view: view[0] < 0)
    toggle.click()
    figure.wait_view(lambda view: view[0] > 0)
    figure.control("log-y").click()
    figure.wait_view(lambda view: view[2] > 0 and "log y" in figure.control("log-y").inner_text())
    figure.page.wait_for_timeout(200)
    figure.control("show").locator("select").select_option(label="Re s21 · Im s21")
    figure.wait_legend("Im s21")
    figure.control("show").locator("select").select_option(label="∠s21 (°)")
    figure.page.wait_for_timeout(300)
    assert figure.control("log-y").count() == 0, "a phase has no logarithm"
    figure.wait_view(lambda view: view[2] < -0.1)
    figure.shots("phase")
    assert notebook.seconds_until_done(1, STOP) >= 0


def test_a_map_has_a_cut_that_follows_until_a_row_is_clicked(open_notebook):
    notebook, figure = start(open_notebook, MAP)
    figure.page.wait_for_timeout(2500)
    assert 0.02 < figure.pixels() < 0.6, "the unmeasured part is empty"
    row = figure.legend()
    figure.page.wait_for_timeout(800)
    assert figure.legend() != row, "the cut follows the row that is measured"
    figure.page.mouse.click(*figure.at(0.5, 0.02))
    figure.wait_legend("(picked)")
    held = figure.legend()
    assert "gate = −1.000 V" in held
    figure.area().press("PageUp")
    figure.wait_legend("gate = −948.7 mV")
    figure.page.wait_for_timeout(500)
    figure.hover(0.5, 0.02)
    assert "A" in figure.wait_readout("● current").split("●")[1]
    figure.hover(0.5, 0.98)
    figure.wait_readout("● current not measured")
    figure.hover(0.5, 0.5, 1)
    figure.wait_readout("● current", 1)
    whole = figure.view()
    figure.drag((0.2, 0.1), (0.6, 0.5))
    zoomed = figure.wait_view(lambda view: view[1] - view[0] < 0.5 * (whole[1] - whole[0]))
    assert figure.view(1)[:2] == pytest.approx(zoomed[:2]), "the cut below shows the same part of x"
    figure.shots("map")
    figure.control("reset").click()
    figure.wait_view(lambda view: view == whole)
    figure.control("newest").click()
    figure.page.wait_for_function("() => !document.querySelector('.labnb-legend').innerText.includes('picked')")
    figure.control("show").locator("select").select_option(label="phase (°)")
    figure.page.wait_for_function("() => document.querySelector('.labnb-scale').innerText.includes('phase (°)')")
    assert notebook.seconds_until_done(1, STOP) >= 0
    notebook.wait("cell.model.outputs.toJSON().some(o => o.data && o.data['image/png'])", 1)
    assert figure.page.locator(".labnb-figure").count() == 0


def test_a_cube_shows_the_newest_or_a_chosen_slice(open_notebook):
    notebook, figure = start(open_notebook, CUBE)
    figure.wait_legend("at field = 1 T")
    chooser = figure.control("slice").locator("select")
    chooser.select_option(label="0 T")
    figure.wait_legend("at field = 0 T")
    figure.page.wait_for_timeout(300)
    assert figure.pixels() > 0.98
    figure.area().evaluate(LAID_OUT_AGAIN)
    figure.page.wait_for_timeout(500)
    assert figure.pixels() > 0.98, "a picture that gets nothing new stays, when the page is laid out again"
    figure.shots("slice")
    chooser.select_option(label="newest")
    figure.page.wait_for_function("() => !document.querySelector('.labnb-legend').innerText.includes('field = 0 T')")
    assert notebook.seconds_until_done(1, STOP) >= 0


def test_traces_are_a_waterfall_and_the_newest_trace(open_notebook):
    notebook, figure = start(open_notebook, WATERFALL)
    figure.page.wait_for_timeout(2000)
    assert figure.root.locator(".labnb-area").count() == 2
    assert 0.01 < figure.pixels() < 0.9
    assert notebook.count_changes(notebook.paths, 1.0) >= 4
    figure.shots("waterfall")
    figure.control("show").locator("select").select_option(label="trace (V), trace")
    figure.page.wait_for_function("() => document.querySelectorAll('.labnb-figure .labnb-area').length === 1")
    assert notebook.seconds_until_done(1, STOP) >= 0


def test_an_adaptive_sweep_over_two_values_is_a_mesh_with_its_points(open_notebook):
    notebook, figure = start(open_notebook, MESH)
    figure.page.wait_for_timeout(3000)
    assert figure.pixels() > 0.5
    figure.hover(0.9, 0.5)
    figure.wait_readout("● z")
    figure.shots("mesh")
    assert notebook.seconds_until_done(1, STOP) >= 0


def test_a_family_can_be_turned_into_a_map(open_notebook):
    notebook, figure = start(open_notebook, FAMILY)
    figure.page.wait_for_timeout(2000)
    figure.hover(0.4, 0.2)
    figure.wait_readout("● 280 K")
    figure.shots("family")
    figure.control("show").locator("select").select_option(label="current (A), map")
    figure.page.wait_for_selector(".labnb-figure .labnb-scale")
    assert notebook.seconds_until_done(1, STOP) >= 0


def test_every_control_has_a_name_and_a_run_is_watched_and_stopped_by_keys_alone(open_notebook, unnamed):
    notebook, figure = start(open_notebook, CUBE)
    figure.wait_legend("at field")
    panel = notebook.page.locator(".labnb-panel")
    assert unnamed(panel) == []
    told = panel.aria_snapshot()
    for control in ('button "Pause"', 'button "Stop"', 'combobox "field"', 'button "Reset"', 'button "Newest row"'):
        assert control in told, told
    assert 'application "map of z; drag or + and − zoom, arrow keys move, 0 resets"' in told
    notebook.tab_to(".labnb-pause")  # from the cell, which has the focus after Run
    notebook.page.keyboard.press("Space")
    notebook.wait("document.querySelector('.labnb-state').innerText.includes('paused')")
    notebook.page.keyboard.press("Space")
    notebook.wait("document.querySelector('.labnb-state').innerText.includes('running')")
    assert notebook.tab_to(".labnb-stop") == 1
    for next_one in (".labnb-slice select", ".labnb-reset", ".labnb-newest", ".labnb-area"):
        assert notebook.tab_to(next_one) == 1
    whole = figure.view()
    notebook.page.keyboard.press("+")
    figure.wait_view(lambda view: view[1] - view[0] < 0.9 * (whole[1] - whole[0]))
    for _ in range(4):
        notebook.page.keyboard.press("Shift+Tab")
    assert notebook.page.evaluate("document.activeElement.matches('.labnb-stop')") is True
    notebook.page.keyboard.press("Enter")
    notebook.wait_done(1)


def test_a_reloaded_page_shows_the_running_figure_again_whole(open_notebook):
    notebook, figure = start(open_notebook, MAP, name="reload.ipynb", fresh=True)
    figure.page.wait_for_timeout(2500)
    before = figure.pixels()
    notebook.command("docmanager:save")
    notebook.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    notebook.page.reload()
    again = Figure(notebook)
    again.page.wait_for_timeout(1500)
    assert again.pixels() >= before
    assert notebook.count_changes(notebook.images, 1.0) >= 5
    assert notebook.seconds_until_done(1, STOP) >= 0


def test_a_finished_run_is_explored_overlaid_and_kept_as_a_picture(open_notebook, unnamed):
    quick = FAMILY.replace("0.15", "0").replace("family", "iv")
    other = quick.replace("1e-12", "2e-12").replace("iv", "later", 1)
    notebook = open_notebook(
        [
            LOAD,
            quick,
            other,
            "iv.explore(later)",
            "iv.show()",
            "iv.stored.explore(plot=('voltage', 'temperature', 'current'));",
        ],
        name="explore.ipynb",
    )
    notebook.run_all()
    notebook.wait_done(5, timeout_s=60)
    assert not [o for k in range(6) for o in notebook.outputs(k) if o["output_type"] == "error"], notebook.text(3)
    assert [o for o in notebook.outputs(4) if "image/png" in o.get("data", {})]
    figure = Figure(notebook, ".jp-Cell:nth-child(4) .labnb-explore")
    assert len(notebook.outputs(3)) == 1, "as the value of its cell, it is not shown twice"
    assert "later-" in figure.legend()
    assert unnamed(notebook.page.locator(".jp-Cell:nth-child(4) .labnb-explore")) == []
    assert figure.root.locator("path.line").count() == 6
    whole, numbers = figure.view(), figure.root.locator(".tick text").all_text_contents()
    figure.drag((0.3, 0.2), (0.7, 0.8))
    figure.wait_view(lambda view: view[1] - view[0] < 0.5 * (whole[1] - whole[0]))
    figure.control("reset").click()
    figure.wait_view(lambda view: view == whole)
    figure.page.wait_for_timeout(300)
    assert figure.root.locator(".tick text").all_text_contents() == numbers
    figure.hover(0.99, 0.5)
    figure.wait_readout("280 K")
    figure.shots("explore")
    overlay = notebook.page.locator(".labnb-overlay select").first
    assert overlay.locator("option").count() == 1, "there is one run of this name only"
    notebook.page.locator(".labnb-keep").first.click()
    notebook.wait("cell.model.outputs.toJSON().some(o => o.data && o.data['image/png'])", 3)
    assert notebook.page.locator(".jp-Cell:nth-child(4) .labnb-explore").count() == 0


def test_a_run_is_shown_again_where_its_output_is_gone(open_notebook):
    notebook = open_notebook(
        [LOAD, STRIP.replace("strip", "strip -b"), "strip.show()", "await strip"], name="show.ipynb"
    )
    for number in range(3):
        notebook.command("notebook:run-cell-and-select-next")
        notebook.wait_done(number)
    figure = Figure(notebook, ".jp-Cell:nth-child(3) .labnb-panel")
    assert notebook.count_changes(notebook.paths, 1.0) >= 3
    figure.page.locator(".jp-Cell:nth-child(3) .labnb-stop").click()
    for number in (1, 2):
        notebook.wait("cell.model.outputs.toJSON().some(o => o.data && o.data['image/png'])", number)


FRAMES = """seconds => new Promise(done => { let frames = 0; const begin = performance.now();
    const step = () => { frames++; const spent = (performance.now() - begin) / 1000;
        spent < seconds ? requestAnimationFrame(step) : done(frames / spent) }; requestAnimationFrame(step) })"""


# What the kernel sends, and how long it is busy with the figure, second by second, once it has so many points. Full
# collections of garbage, 0.1 s among a million points, are not the figure's, whomever they happen to meet.
METER = """import gc, itertools, threading
from collections import Counter
from ipywidgets import Widget
from labnb.notebook.output import Output
noise = itertools.cycle(np.random.randn(65536).tolist())
sent, spent, frames = Counter(), Counter(), Counter()
publish, update = Widget._send, Output.update
collected = [0.0]
def meter_garbage(phase, info):
    if info["generation"] == 2 and threading.current_thread() is threading.main_thread():
        collected[0] += time.thread_time() * (1 if phase == "stop" else -1)
gc.callbacks.append(meter_garbage)
def metered_send(self, msg, buffers=None):
    sent[int(time.monotonic())] += len(repr(msg)) + sum(memoryview(b).nbytes for b in buffers or ())
    return publish(self, msg, buffers)
def metered_update(self):
    second, before, begin = int(time.monotonic()), collected[0], time.thread_time()
    update(self)
    spent[second] += time.thread_time() - begin - (collected[0] - before)
    frames[second] += self._run.points >= {points}
Widget._send, Output.update = metered_send, metered_update"""
REPORT = """seconds = [s for s in sorted(frames) if frames[s]][1:-1]
print(max(sent[s] for s in seconds), sum(spent[s] for s in seconds) / len(seconds),
      sum(frames[s] for s in seconds) / len(seconds))"""
LINE = """%%measure big
for k in sweep(range(1_500_000)):
    y: "V" = next(noise)
    if k > 1_000_000 and not k % 500:
        time.sleep(0.01)
"""
NOISY_MAP = """%%measure big
for a in sweep(0, 1, 500, "V"):
    for b in sweep(0, 1, 500, "V"):
        y: "V" = next(noise)
        if not (b * 499) % 10:
            time.sleep(0.0005)
"""


@pytest.mark.speed
@pytest.mark.parametrize(("name", "cell", "points"), [("line", LINE, 1_000_000), ("map", NOISY_MAP, 20_000)])
def test_a_large_live_figure_is_quick_and_sends_little(open_notebook, name, cell, points):
    notebook, figure = start(
        open_notebook, METER.replace("{points}", str(points)), cell, REPORT, name=f"rates-{name}.ipynb"
    )
    end = time.monotonic() + 40
    while notebook.points() < points:
        assert time.monotonic() < end
        figure.page.wait_for_timeout(100)
    look = notebook.paths if name == "line" else notebook.images
    changes = notebook.count_changes(look, 2.0) / 2
    fps = figure.page.evaluate(FRAMES, 2.0)
    notebook.screenshot(f"figure-million-{name}")
    assert notebook.seconds_until_done(2, STOP) >= 0
    notebook.wait_done(3)
    most, busy, updates = (float(word) for word in notebook.text(3).split())
    print(
        f"{name}: {updates:.1f} updates/s sent, {changes:.1f}/s seen, {most / 1e3:.0f} kB/s at most, "
        f"{busy:.1%} of the kernel, {fps:.0f} fps"
    )
    assert most <= 200_000
    assert 0 < busy <= 0.05
    assert round(updates) >= 10
    assert fps >= 50
