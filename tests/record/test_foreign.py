"""Whoever reads zarr reads a run, while it grows and after it was packed, without labnb.

`LABNB_FOREIGN_PYTHON` names the interpreter of an environment without labnb; with `{library}` in it, one for each of
xarray, zarr, tensorstore and http.
"""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from labnb.core import Axis, Group, Point, Span, State, Variable

READER = Path(__file__).parent / "foreign.py"
FOREIGN = os.environ.get("LABNB_FOREIGN_PYTHON", "")


@pytest.fixture(params=["growing", "packed"])
def store(request, record):
    """Return the store of a run of which 30 of 40 points are measured."""
    recorder = record()
    trace, image = (
        Variable("trace", "V", "<f8", (Span("k", 100),)),
        Variable("image", "", "<u2", (Span("r", 9), Span("c", 8))),
    )
    scalars = (
        Variable("x", "A"),
        Variable("n", dtype="<i4"),
        Variable("z", dtype="<c16"),
        Variable("label", dtype="str"),
    )
    recorder.declare(Group(0, (Axis("v", tuple(range(40)), "V"),), (*scalars, trace, image)))
    for k in range(30):
        values = (k * 0.5, np.int32(k), k * 1j, f"p{k}", k + np.arange(100.0), np.full((9, 8), k, "u2"))
        recorder.put(Point(0, k, values, 10**18 + k))
    recorder.flush()
    if request.param == "packed":
        recorder.close(State.STOPPED)
    return recorder.data_path


def python_for(library):
    """Return the interpreter that has this library."""
    return FOREIGN.replace("{library}", library) or sys.executable


def read(library, place, python):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [python, "-W", "error", READER, library, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd="/")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "same\n"


@pytest.mark.parametrize("library", ["xarray", "zarr"])
def test_other_peoples_libraries_read_a_run(store, library):
    read(library, store, python_for(library))


@pytest.fixture
def served(store):
    """Serve the folder of the store; return the store's URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=store.parent)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/{store.name}"
        server.shutdown()
        thread.join()


def test_xarray_reads_a_run_over_http(served):
    if not FOREIGN:
        pytest.importorskip("aiohttp")
    read("xarray", served, python_for("http"))


@pytest.fixture(scope="session")
def tensorstore_python(tmp_path_factory):
    """Return an interpreter of its own that has tensorstore."""
    if FOREIGN:
        return python_for("tensorstore")
    home = tmp_path_factory.mktemp("tensorstore")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home], check=True)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--timeout", "10", "tensorstore"]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(home)
        pytest.skip(f"tensorstore cannot be installed here: {done.stderr[-200:]}")
    return python


@pytest.mark.slow
def test_tensorstore_reads_a_run(store, tensorstore_python):
    read("tensorstore", store, tensorstore_python)
