"""The panel of reservations, each of its controls clicked in a real JupyterLab."""

from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="pip install 'labnb[sharing]'")

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"

START = """import os, subprocess, sys
os.environ["LABNB_SHARING"] = os.path.abspath("sharing")
import labnb
from labnb.sharing import ReservationClient

PROGRAM = '''
import sys
from labnb.sharing import ReservationClient
client = ReservationClient(note="night run.ipynb")
held = client.reserve(sys.argv[1:], timeout=-1, on_wait=lambda _: None)
print("holds", flush=True)
sys.stdin.readline()
'''
def start(*resources):
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *resources], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
service = subprocess.Popen([sys.executable, "-m", "labnb.cli", "serve"], stdout=subprocess.PIPE, text=True)
service.stdout.readline()
oven = start("GPIB0::12::INSTR", "USB0::0x2A8D::0x8F01::CN6123::INSTR")
oven.stdout.readline()
waiting = start("GPIB0::12::INSTR")
own = labnb.reserve("the cryostat")
await own.__aenter__()
"""


def test_who_has_what_is_shown_released_and_taken_away(open_notebook, unnamed):
    notebook = open_notebook([START, "panel = labnb.reservations()\npanel"], name="reservations.ipynb")
    page = notebook.page
    page.set_viewport_size({"width": 1300, "height": 900})
    notebook.run_all()
    notebook.wait_done(1)
    panel = page.locator(".labnb-tool").first
    panel.get_by_text("waits, place 1").first.wait_for(timeout=20_000)
    assert unnamed(panel) == []
    pictures(notebook, panel, "reservations")
    panel.get_by_role("button", name="Release", exact=True).click()
    panel.get_by_text("the cryostat").first.wait_for(state="detached", timeout=20_000)
    panel.get_by_role("button", name="Take away…", exact=True).click()
    panel.get_by_text("what is measured there now will fail").first.wait_for(timeout=20_000)
    assert unnamed(panel) == []
    pictures(notebook, panel, "reservations-asked")
    panel.get_by_role("button", name="Leave it", exact=True).click()
    panel.get_by_role("button", name="Take away…", exact=True).click()
    panel.get_by_role("button", name="Yes, take away", exact=True).click()
    panel.get_by_text("waits, place 1").first.wait_for(state="detached", timeout=20_000)  # it is its turn now
    panel.get_by_role("button", name="Take away…", exact=True).first.wait_for(timeout=20_000)
    page.evaluate(
        """async () => { const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
        await kernel.requestExecute({code: 'oven.kill(); waiting.kill(); service.terminate(); panel.close()'}).done; }"""
    )


def pictures(notebook, panel, name):
    """Keep the panel's look in both themes."""
    ARTIFACTS.mkdir(exist_ok=True)
    for theme in ("Light", "Dark"):
        notebook.theme(f"JupyterLab {theme}")
        panel.scroll_into_view_if_needed()
        notebook.page.wait_for_timeout(200)
        panel.screenshot(path=str(ARTIFACTS / f"{name}-{theme.lower()}.png"))
    notebook.theme("JupyterLab Light")
