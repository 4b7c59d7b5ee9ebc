"""The panel of reservations, over a real service."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

import labnb
from labnb.core import ReservationLost
from labnb.session import reserve

pytest.importorskip("grpc", reason="pip install 'labnb[sharing]'")

from labnb.sharing import ReservationClient, start_service

OTHER = """
import sys
from labnb.sharing import ReservationClient
client = ReservationClient(sys.argv[1], note="night run.ipynb")
held = client.reserve("the <oven>")
print("holds", flush=True)
for line in sys.stdin:
    print("has" if held.is_held else "lost", flush=True)
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABNB_SHARING", str(folder))
        yield start_service()
        os.kill(json.loads((folder / "address.json").read_text())["pid"], signal.SIGTERM)


@pytest.fixture
def other(service):
    """Another process that has reserved the oven."""
    process = subprocess.Popen(
        [sys.executable, "-c", OTHER, service], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "holds\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.fixture
async def panel(service):
    made = labnb.reservations()
    yield made
    tasks = tuple(made._tasks)
    made.close()
    await asyncio.gather(*tasks, return_exceptions=True)


def texts(panel):
    return [line._text.value for line in panel.lines]


async def test_it_shows_who_has_what_and_who_waits_as_it_changes(panel, other, service):
    await until(lambda: panel.lines)
    assert "the &lt;oven&gt;" in texts(panel)[0]
    assert f"process {other.pid} (night run.ipynb) since" in texts(panel)[0]
    with ReservationClient(service, note="impatient") as client:
        waiting = asyncio.ensure_future(asyncio.to_thread(client.reserve, "the <oven>", timeout=0.5))
        await until(lambda: len(panel._place.children) == 2)
        assert "waits, place 1" in panel._place.children[1].children[0].value
        with pytest.raises(TimeoutError):
            await waiting
    await until(lambda: len(panel._place.children) == 1)


async def test_taking_away_asks_once_more_and_then_does_it(panel, other):
    await until(lambda: panel.lines)
    (line,) = panel.lines
    assert line.release_button not in line.widget.children
    line.take_button.click()
    await until(lambda: line.yes_button in line.widget.children)
    line.no_button.click()
    await until(lambda: line.take_button in line.widget.children)
    other.stdin.write("\n")
    other.stdin.flush()
    assert await asyncio.to_thread(other.stdout.readline) == "has\n"
    line.take_button.click()
    await until(lambda: line.yes_button in line.widget.children)
    line.yes_button.click()
    await until(lambda: not panel.lines)
    told = ""
    while told != "lost\n":  # the service tells the holder at about the same time
        other.stdin.write("\n")
        other.stdin.flush()
        told = await asyncio.to_thread(other.stdout.readline)
    assert "nobody has reserved" in panel._place.children[0].value


async def test_ones_own_is_released_and_whoever_used_it_gets_told(panel):
    with pytest.raises(ReservationLost, match="you have released it"):  # noqa: PT012  the end of the block raises it
        async with reserve("a cell"):
            await until(lambda: panel.lines)
            assert "this kernel since" in texts(panel)[0]
            panel.lines[0].release_button.click()
            await until(lambda: not panel.lines)


async def test_what_cannot_be_taken_away_any_more_is_said(panel, other):
    await until(lambda: panel.lines)
    (line,) = panel.lines
    other.kill()
    await until(lambda: not panel.lines)
    panel.post(panel.take_away, line.reservation)
    await until(lambda: "ended with its process" in panel._message.value)


async def test_without_a_service_it_waits_for_one(tmp_path, monkeypatch):
    monkeypatch.setenv("LABNB_SHARING", str(tmp_path))
    panel = labnb.reservations()
    await asyncio.sleep(0)
    assert panel.lines == ()
    tasks = tuple(panel._tasks)
    panel.close()
    panel.close()
    await asyncio.gather(*tasks, return_exceptions=True)
