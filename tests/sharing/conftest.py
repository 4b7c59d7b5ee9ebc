"""A reservation service in a process of its own, and programs that reserve."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import AsyncExitStack
from pathlib import Path

import grpc
import pytest

from labnb.sharing import PinMapClient, ReservationClient, serving

FULL = Path(__file__).parent / "full.pinmap"


collect_ignore = ["ni_program.py"]  # for other interpreters


class Service:
    """`labnb serve` with a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.process = None
        self.address = ""

    def start(self, port=0):
        """Start it; return when it listens."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "labnb.cli", "serve", "--port", str(port), "--folder", str(self.folder)],
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:"), line
        self.address = line.removeprefix("listening on ").strip()

    def end(self, how=signal.SIGTERM):
        """End it and wait for its end."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(20)
            self.process.stdout.close()
            self.process = None

    def restart(self, how=signal.SIGKILL):
        """End it, and start it again at the same port."""
        self.end(how)
        self.start(int(self.address.rpartition(":")[2]))


class Within:
    """The same service on an event loop of this process: quick to start, for what needs no process of its own."""

    def __init__(self):
        self.address = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._opened = AsyncExitStack()

    def start(self):
        """Return when it listens."""
        self._thread.start()
        self.address = f"127.0.0.1:{self._run(self._opened.enter_async_context(serving()))}"

    def end(self):
        """End it; a second time does nothing."""
        if not self._loop.is_closed():
            self._run(self._opened.aclose())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


class Program:
    """A Python program that talks through its standard streams."""

    def __init__(self, code, *arguments, python=sys.executable):
        self.process = subprocess.Popen(
            [python, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.pid = self.process.pid

    def reads(self):
        """Return its next line."""
        return self.process.stdout.readline().strip()

    def says(self, text):
        """Give it a line."""
        self.process.stdin.write(text + "\n")

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def close(self):
        """End it, however it is."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def service():
    """A service that was just started."""
    made = Within()
    made.start()
    yield made
    made.end()


@pytest.fixture(scope="module")
def new_process_service():
    """Return a function that starts a service in a process of its own."""
    made = []

    def start(folder):
        made.append(Service(folder))
        made[-1].start()
        return made[-1]

    yield start
    for each in made:
        each.end()


@pytest.fixture
def process_service(new_process_service, tmp_path):
    """A service in a process of its own that was just started."""
    made = new_process_service(tmp_path / "sharing")
    yield made
    made.end()


@pytest.fixture
def program():
    """Return a function that starts a program."""
    started = []

    def start(code, *arguments, **options):
        started.append(Program(code, *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def channel(service):
    with grpc.insecure_channel(service.address) as opened:
        yield opened


@pytest.fixture
def pin_map(channel):
    """The id of the full pin map, which was uploaded."""
    return PinMapClient(grpc_channel=channel).update_pin_map(FULL)


@pytest.fixture
def client(service):
    with ReservationClient(service.address, note="test") as opened:
        yield opened


@pytest.fixture
def until(client):
    """Return a function that waits for a situation at the service, told by the service itself."""

    def wait(condition):
        situations = client.watch()
        try:
            return next(each for each in situations if condition(each))
        finally:
            situations.close()

    return wait


HOLDER = """
import sys
from labnb.sharing import ReservationClient
address, *resources = sys.argv[1:]
client = ReservationClient(address, note="holder")
held = client.reserve(resources, timeout=-1, on_wait=lambda wait: print("waits", wait.position, flush=True))
print("holds", held.token, flush=True)
sys.stdin.readline()
held.release()
print("released", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder_at(program):
    """Return a function that starts a process that reserves, and holds until it reads a line."""
    return lambda address, *resources: program(HOLDER, address, *resources)


@pytest.fixture
def holder(service, holder_at):
    """The same, at the service."""
    return lambda *resources: holder_at(service.address, *resources)


@pytest.fixture
def full_map():
    return FULL


os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
