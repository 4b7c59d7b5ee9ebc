"""What several rooms' tests share."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from _pytest.runner import runtestprotocol

_MEASURED_AGAIN: list[str] = []

# A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that mounts a tmpfs with the options given."""
    places: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(places)}"
        place.mkdir()
        if os.geteuid() != 0:
            pytest.skip("mounting a small disk needs root")
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"this machine cannot mount a tmpfs: {done.stderr.strip()}")
        places.append(place)
        return place

    yield mount
    for place in places:
        subprocess.run(["umount", "-l", place], check=True)


@pytest.fixture
async def _tasks_at_the_end():
    yield
    await asyncio.sleep(0)  # what has been cancelled ends in its next turn
    # A task of grpc's own outlives a cancelled call for a moment, and nothing of grpc's can wait for it: see
    # tests/sharing/test_transport.py, which has nothing of ours in it. Whatever else is left is ours.
    async with asyncio.timeout(5):
        while any("_AioCall" in repr(task) for task in asyncio.all_tasks()):
            await asyncio.sleep(0.001)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"the test left tasks behind: {left}"


@pytest.fixture(autouse=True)
def no_task_is_left_pending(request: pytest.FixtureRequest) -> None:
    """Fail an async test that leaves a task behind."""
    if request.node.get_closest_marker("asyncio") is not None:
        request.getfixturevalue("_tasks_at_the_end")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Measure a `speed` again, twice at most, if it was too slow: the machine may have had other things to do."""
    if item.get_closest_marker("speed") is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for _ in range(2):
        if not any(report.failed for report in reports):
            break
        _MEASURED_AGAIN.append(item.nodeid)
        item._initrequest()  # type: ignore[attr-defined]  fixtures of its own, made anew
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell which speeds were measured again."""
    for nodeid in _MEASURED_AGAIN:
        terminalreporter.write_line(f"too slow at first, measured again: {nodeid}")
