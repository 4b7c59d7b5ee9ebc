"""The pictures of the README, taken anew by `pytest tests/browser/test_pictures.py --write-pictures`; else not run."""

import asyncio
import math
import threading
from pathlib import Path

import pytest

import labnb
from labnb.testing.pictures import with_fewer_colours

PICTURES = Path(__file__).parents[2] / "notebooks"
MOST_BYTES = 200_000

LOAD = """%load_ext labnb
import labnb
from labnb import demo_bench

bench = demo_bench("demo")
psu, dmm, oven = bench.psu, bench.dmm, bench.oven
await oven.heater.on()
await psu.channel(1).set(voltage=0, current_limit=0.1).on();
"""
SWEEP = """%%measure iv
for temperature in sweep([280, 300, 320], "K"):
    await oven.setpoint.set(temperature)
    await oven.settle()
    stage: "K" = await oven.temperature.get()

    for voltage in sweep(0, 0.8, 81, "V"):
        await psu.channel(1).set(voltage=voltage)
        current: "A" = (await dmm.measure_current_dc()).values"""
FRONT = "labnb.panel(bench.psu)"
CHOSEN = """psu.channel(1).limit(voltage=(0, 0.8))
sweeping = labnb.SweepPanel(bench, name="map")
sweeping.choose(
    fast=("psu.channel(1).voltage", 0, 0.8, 41),
    slow=("oven.setpoint", 280, 320, 3),
    read=["dmm.measure_current_dc", "oven.temperature"],
    on=["psu.channel(1).output", "oven.heater"],
)"""


@pytest.fixture(autouse=True, scope="module")  # before what takes a minute to be looked at
def wanted(request):
    if not request.config.getoption("--write-pictures"):
        pytest.skip("takes the README's pictures; only with --write-pictures")


def keep(picture, name):
    (PICTURES / f"{name}.png").write_bytes(with_fewer_colours(picture))
    assert (PICTURES / f"{name}.png").stat().st_size < MOST_BYTES


@pytest.fixture
def sharpness():
    return 2


def opened(open_notebook, *cells, width=1180):
    notebook = open_notebook(list(cells), name="pictures.ipynb")
    notebook.page.set_viewport_size({"width": width, "height": 1300})
    notebook.run_all()
    return notebook


def cell(notebook, number):
    return notebook.page.locator(".jp-Notebook .jp-Cell").nth(number)


def test_a_cell_with_its_live_figure(open_notebook):
    notebook = opened(open_notebook, LOAD, SWEEP)
    notebook.wait("document.querySelector('.labnb-points')?.innerText.match(/1[5-9]\\d \\//)", timeout_s=90)
    keep(cell(notebook, 1).screenshot(), "first_sweep")
    notebook.wait_done(1, timeout_s=90)


def test_the_front_panel_of_an_instrument(open_notebook):
    notebook = opened(open_notebook, LOAD, FRONT)
    notebook.page.wait_for_selector(".labnb-tool", timeout=30_000)
    notebook.page.wait_for_timeout(2500)  # its readings come every second
    keep(notebook.page.locator(".labnb-tool").first.screenshot(), "panel_instrument")


def test_the_sweep_panel_while_it_measures(open_notebook):
    notebook = opened(open_notebook, LOAD, CHOSEN, width=1320)
    panel = notebook.page.locator(".labnb-tool").first
    panel.get_by_role("button", name="Start").click(timeout=30_000)
    notebook.page.mouse.move(1, 1)  # so that no tool shows itself
    notebook.wait("document.querySelector('.labnb-points')?.innerText.match(/^ *6\\d \\//)", timeout_s=90)
    keep(panel.screenshot(), "panel_sweep")
    panel.get_by_role("button", name="Stop").click()


@pytest.fixture(scope="module")
def cooldown(tmp_path_factory):
    """A session with a minute behind it, monitored in a thread; its page's address."""
    session = labnb.AsyncSession(str(tmp_path_factory.mktemp("cooldown") / "Cryostat"), verbose=False)
    session.save_units(temperature="K", leak="A", heater="V")
    ready = threading.Event()

    async def watch(session):
        k = len(session.logged_variable("temperature")[0]) if session.logged_variables() else 0
        cold, wave = math.exp(-k / 300), math.sin(k / 60)
        session.add_entry(temperature=4.2 + 1.5 * cold, leak=3e-9 + 2e-10 * wave, heater=1.2 if k // 200 % 2 else 0.8)
        if k > 1100:
            ready.set()
        await session.sleep(0.05, verbose=False)

    thread = threading.Thread(target=lambda: asyncio.run(session.monitor(watch, server_port=0)))
    thread.start()
    assert ready.wait(110)
    yield session.url
    session.ask_exit()
    thread.join()


@pytest.mark.parametrize(("name", "width", "height"), [("monitor_phone", 390, 844), ("monitor_page", 1180, 430)])
def test_the_page_of_a_session(cooldown, chrome, sharpness, name, width, height):
    context = chrome.new_context(viewport={"width": width, "height": height}, device_scale_factor=sharpness)
    page = context.new_page()
    page.goto(cooldown)
    page.wait_for_selector(".card:nth-child(3) canvas")
    page.get_by_role("button", name="1 min").click()
    page.wait_for_timeout(800)
    keep(page.screenshot(), name)
    context.close()
