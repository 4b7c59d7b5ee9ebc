"""Every control of every panel, clicked in a real JupyterLab, with its effect asserted at the bench or in the data."""

import re
from pathlib import Path

import pytest

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"

BENCH = """import labnb, asyncio
%load_ext labnb
bench = labnb.demo_bench("fast")
bench.psu.channel(1).limit(voltage=(0, 0.8))
"""


class Shown:
    """A panel in the page, and the kernel behind it."""

    def __init__(self, notebook, cell, unnamed):
        self.notebook, self.page = notebook, notebook.page
        self._unnamed = unnamed
        self.root = notebook.page.locator(".labnb-tool").first
        self._cell = cell

    def field(self, label):
        return self.root.get_by_label(label, exact=True)

    def write(self, label, value):
        self.field(label).fill(value)
        self.field(label).press("Tab")

    def choose(self, label, *options):
        """Choose those whose text contains each of `options`."""
        field = self.field(label)
        texts = [field.locator("option", has_text=option).first.inner_text() for option in options]
        field.select_option(label=texts if len(texts) > 1 else texts[0])

    def click(self, name, within=None):
        (within or self.root).get_by_role("button", name=name, exact=True).click()

    def line(self, name, nth=0):
        return self.root.locator(".labnb-line").filter(has_text=name).nth(nth)

    def ask(self, expression):
        """Return what the kernel makes of `expression`, by a cell of its own at the end."""
        self.page.evaluate(
            """async (code) => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const future = kernel.requestExecute({code: 'print("=>", ' + code + ')', store_history: false});
                let text = '';
                future.onIOPub = m => { if (m.content.text) text += m.content.text;
                                        if (m.content.evalue) text += m.content.evalue; };
                await future.done;
                window.answered = text;
            }""",
            expression,
        )
        return self.page.evaluate("window.answered").partition("=>")[2].strip() or self.page.evaluate("window.answered")

    def until(self, expression, value, timeout_s=15):
        for _ in range(int(timeout_s * 10)):
            got = self.ask(expression)
            if got == str(value):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"{expression} is {got}, expected {value}")

    def sees(self, text, timeout_s=15):
        self.root.get_by_text(re.compile(re.escape(text))).first.wait_for(timeout=timeout_s * 1000)

    def unnamed(self):
        """Return the controls that have no accessible name."""
        return self._unnamed(self.root)

    def pictures(self, name):
        """Keep the panel's look in both themes; return nothing."""
        ARTIFACTS.mkdir(exist_ok=True)
        for theme in ("Light", "Dark"):
            self.notebook.theme(f"JupyterLab {theme}")
            self.root.scroll_into_view_if_needed()
            self.page.wait_for_timeout(200)
            self.root.screenshot(path=str(ARTIFACTS / f"{name}-{theme.lower()}.png"))
        self.notebook.theme("JupyterLab Light")


@pytest.fixture
def show(open_notebook, unnamed):
    def show_it(*cells, name="panels.ipynb", size=(1300, 1400)):
        notebook = open_notebook(list(cells), name=name)
        notebook.page.set_viewport_size({"width": size[0], "height": size[1]})
        notebook.run_all()
        notebook.wait_done(len(cells) - 1)
        notebook.page.wait_for_selector(".labnb-tool", timeout=30_000)
        return Shown(notebook, len(cells) - 1, unnamed)

    return show_it


def test_a_sweep_is_chosen_started_paused_stopped_and_copied(show, chrome):
    panel = show(BENCH, "panel = labnb.SweepPanel(bench, name='iv')\npanel", name="sweep.ipynb")
    assert panel.unnamed() == []
    panel.choose("Fast axis", "psu.channel(1).voltage")
    panel.until("panel.fast.stop.value", "0.8")
    assert panel.field("From (V)").first.input_value() == "0"
    _write_first(panel, "Points", "21")
    panel.choose("Read at each point", "dmm.measure_current_dc", "oven.temperature")
    panel.choose("Switch on first", "psu.channel(1).output")
    panel.sees("voltage 21 = 21 points")
    _write_first(panel, "To (V)", "5")
    panel.sees("outside of its safety limit 0 to 0.8 V")
    assert panel.root.get_by_role("button", name="Start", exact=True).is_disabled()
    _write_first(panel, "To (V)", "0.8")
    panel.choose("Slow axis", "psu.channel(1).current_limit")
    panel.until("panel.slow.offer.label", "psu.channel(1).current_limit")
    panel.write("From (A)", "0.004")
    panel.write("To (A)", "0.02")
    panel.write("or step (A)", "0.008")
    panel.write("Dwell (s)", "0.1")
    panel.write("Name of the run", "map")
    panel.sees("current_limit 3 × voltage 21 = 63 points")
    panel.click("Start")
    panel.until("panel.run is not None and panel.run.points > 5", True)
    panel.click("Pause")
    panel.until("str(panel.run.state)", "paused")
    panel.page.wait_for_timeout(300)
    held = panel.ask("panel.run.points")
    panel.page.wait_for_timeout(400)
    assert panel.ask("panel.run.points") == held
    panel.click("Resume")
    panel.until("panel.run.points > 30", True)
    panel.page.wait_for_selector(".labnb-sweep .bqplot path.line, .labnb-sweep .bqplot image", state="attached")
    assert panel.unnamed() == []
    panel.pictures("panel-sweep")
    panel.click("Stop")
    panel.until("str(map.state)", "stopped")
    assert panel.ask("bench.psu.channel(1).output.get()") == "False"
    assert 30 < int(panel.ask("int(map.data.current_dc.notnull().sum())")) < 63
    assert float(panel.ask("float(map.data.current_dc.max())")) > 1e-4

    panel.root.get_by_role("button", name="Copy as cell").click()
    panel.root.get_by_role("button", name="Copied").wait_for()
    copied = panel.ask("repr(panel.cell.value)")
    assert copied.startswith("'%%measure map")
    panel.notebook.command("notebook:insert-cell-below")
    panel.page.wait_for_timeout(200)
    panel.notebook.command("notebook:enter-edit-mode")
    panel.page.keyboard.press("Control+V")
    panel.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource().includes('current_limit')"
    )
    pasted = panel.page.evaluate(
        "window.jupyterapp.shell.currentWidget.content.activeCell.model.sharedModel.getSource()"
    )
    assert repr(pasted.strip()) == copied.replace("\\n'", "'")
    panel.notebook.command("notebook:run-cell")
    panel.until("str(map.state), map.points, map.data.current_dc.dims", "done 63 ('current_limit', 'voltage')", 60)


def _write_first(panel, label, value):
    field = panel.field(label).first
    field.fill(value)
    field.press("Tab")


def test_every_control_of_a_supplys_front_panel_reaches_the_supply(show):
    panel = show(BENCH, "panel = labnb.panel(bench.psu, every_s=0.3)\npanel", name="supply.ipynb")
    assert panel.unnamed() == []
    panel.sees("channel 3")
    state = "[bench.psu.channel({0}).{1}.get().result() for _ in '1'][0]"
    for number, value in ((1, "0.7"), (2, "1.2"), (3, "2.5")):
        line = panel.field(f"Set channel({number}).voltage (V)")
        line.fill(value)
        panel.root.get_by_title(f"Set channel({number}).voltage to what is written").click()
        panel.until(state.format(number, "voltage"), value)
        limit = panel.field(f"Set channel({number}).current_limit (A)")
        limit.fill("0.2")
        limit.press("Enter")
        panel.until(state.format(number, "current_limit"), "0.2")
        panel.root.get_by_title(f"Switch channel({number}).output on").click()
        panel.until(state.format(number, "output"), True)
    panel.field("Set channel(1).voltage (V)").fill("5")
    panel.root.get_by_title("Set channel(1).voltage to what is written").click()
    panel.sees("psu channel 1 voltage = 5 V is outside of its safety limit 0 to 0.8 V; nothing was sent")
    assert panel.ask(state.format(1, "voltage")) == "0.7"
    panel.page.wait_for_timeout(800)
    panel.pictures("panel-instrument")
    panel.root.get_by_title("Switch channel(2).output off").click()
    panel.until(state.format(2, "output"), False)
    panel.click("Make safe")
    for number in (1, 2, 3):
        panel.until(state.format(number, "output"), False)
    panel.sees("psu is in its safe state")


def test_an_oven_and_a_meter_are_read_set_and_switched(show, unnamed):
    panel = show(
        BENCH,
        "oven = labnb.panel(bench.oven, every_s=0.3)\ndmm = labnb.panel(bench.dmm)\noven",
        "dmm",
        name="oven.ipynb",
    )
    assert panel.unnamed() == []
    panel.field("Set setpoint (K)").fill("305")
    panel.root.get_by_title("Set setpoint to what is written").click()
    panel.until("bench.oven.setpoint.get().result()", "305.0")
    panel.root.get_by_title("Switch heater on").click()
    panel.until("bench.oven.heater.get().result()", True)
    before = panel.line("temperature").inner_text()
    panel.page.wait_for_timeout(1500)
    assert panel.line("temperature").inner_text() != before, "the readback is live"
    panel.pictures("panel-oven")
    panel.root.get_by_title("Switch heater off").click()
    panel.until("bench.oven.heater.get().result()", False)
    panel.click("Make safe")
    panel.sees("oven is in its safe state")
    meter = panel.page.locator(".labnb-tool").nth(1)
    assert unnamed(meter) == []
    buttons = meter.get_by_role("button", name="Read", exact=True)
    assert buttons.count() == 11
    for k in range(buttons.count()):
        buttons.nth(k).click()
    panel.page.wait_for_function(
        """() => [...document.querySelectorAll('.labnb-tool')[1].querySelectorAll('.labnb-value')]
                .every(v => v.innerText.trim() !== '–' || v.closest('.widget-vbox').innerText.includes('✗'))"""
    )
    assert "voltage dc" in meter.inner_text()
    assert panel.ask("oven.watched, dmm.watched") == "True True"
    panel.notebook.command("notebook:clear-all-cell-outputs")
    panel.until("oven.watched, dmm.watched", "False False")


RUNS = """import os
os.environ["LABNB_DATA"] = "labnb-data-browsed"
for tag, factor in (("first", 1.0), ("second", 2.0)):
    async with labnb.Measurement("iv") as session:
        session.parameter("voltage", labnb.sweep(0, 1, 41, "V"))
        @session.acquire(unit="A")
        async def current(voltage):
            return factor * (2.718281828 ** (voltage / 0.2) - 1) * 1e-6
        (await session.run()).stored.tag(tag)
"""
SLOW = """%%measure slow
for x in sweep(0, 1, 60, "V"):
    await asyncio.sleep(0.03)
    y: "A" = x ** 2
"""


def test_runs_are_found_previewed_opened_compared_marked_and_resumed(show, lab):
    stop = "asyncio.get_running_loop().call_later(1.0, lambda: slow.stop())"
    panel = show(BENCH, RUNS, stop, SLOW, "panel = labnb.RunsPanel()\npanel", name="runs.ipynb")
    assert panel.unnamed() == []
    options = panel.field("Runs, newest first").locator("option")
    options.nth(2).wait_for(state="attached")
    panel.write("Words", "current")
    panel.until("len(panel.list.options)", 2)
    panel.write("Tag", "second")
    panel.until("len(panel.list.options)", 1)
    panel.write("Tag", "")
    panel.write("Words", "")
    panel.choose("State", "stopped")
    panel.until("len(panel.list.options)", 1)
    panel.choose("Runs, newest first", "slow-")
    panel.root.locator(".labnb-preview img").wait_for()
    panel.click("Resume")
    panel.choose("State", "any")
    panel.sees("done: 60 points", 30)
    assert panel.ask("slow.state, slow.points") == "done 60"
    panel.write("Since", "2099-01-01")
    panel.until("len(panel.list.options)", 0)
    panel.write("Since", "")
    panel.until("len(panel.list.options)", 3)

    panel.choose("Runs, newest first", "second")
    panel.until("panel.tags.value", "second")
    panel.field("Tags").fill("second, diode")
    panel.click("Save tags")
    panel.until("labnb.runs(tag='diode')[0].tags", "('diode', 'second')")
    panel.field("Note").fill("a clean curve")
    panel.click("Add note")
    panel.until("labnb.runs(tag='diode')[0].notes[0][1]", "a clean curve")
    panel.click("Open")
    panel.until("float(iv.current[-1]) > 1e-4 if 'iv' in globals() else 0", True)
    panel.choose("Runs, newest first", "first", "second")
    panel.click("Compare")
    panel.page.wait_for_function(
        "() => (document.querySelector('.labnb-preview img')?.alt.match(/-iv-/g) || []).length === 2"
    )
    panel.pictures("panel-runs")


def test_what_is_going_on_is_held_and_ended_each_by_its_button(show):
    slow = SLOW.replace("60", "6000").replace("measure slow", "measure slow -b")
    task = "%%task blink --start\nwhile True:\n    await asyncio.sleep(0.2)\n"
    other = slow.replace("slow", "other")
    panel = show(BENCH, slow, other, task, "panel = labnb.tasks()\npanel", name="tasks.ipynb")
    panel.page.wait_for_timeout(800)
    assert panel.unnamed() == []
    panel.pictures("panel-tasks")
    runs = [panel.ask(f"{name}.run_id") for name in ("slow", "other")]
    panel.root.get_by_role("button", name="Pause").nth(0).click()
    panel.until("str(slow.state)", "paused")
    panel.root.get_by_role("button", name="Resume").click()
    panel.until("str(slow.state)", "running")
    panel.line("task blink").get_by_role("button", name="Stop").click()
    panel.until("[e.thing.going for e in panel.entries if 'blink' in e.name]", "[False]")
    panel.line(runs[0]).get_by_role("button", name="Stop").click()
    panel.until("str(slow.state)", "stopped")
    assert panel.ask("str(other.state)") == "running"
    panel.click("Stop all")
    panel.until("str(other.state)", "stopped")
    panel.ask("panel.close()")
    panel.page.wait_for_selector(".labnb-tool", state="detached")
    assert panel.ask("[t for t in asyncio.all_tasks() if 'Panel' in t.get_name()]") == "[]"
