"""The observer of the published pymanip package, in an environment of its own, records from our server.

`python3 -m venv E && E/bin/pip install pymanip six requests`, then `LABNB_PYMANIP=E/bin/python`: pymanip needs the last
two but does not say so.
"""

import asyncio
import json
import math
import os
import sys
import time
from pathlib import Path

import pytest

PYTHON = os.environ.get("LABNB_PYMANIP")

SCRIPT = """
import json, sys
from pymanip.asyncsession import RemoteObserver
observer = RemoteObserver("127.0.0.1", int(sys.argv[1]))
for line in sys.stdin:
    call, arguments = json.loads(line)
    result = getattr(observer, call)(**arguments)
    print("answer", json.dumps(result), flush=True)
"""


@pytest.fixture
async def observer(serve):
    """Return a function that calls a method of pymanip's observer of our server."""
    if not PYTHON:
        pytest.skip("pymanip was not tried: LABNB_PYMANIP names no python that has it")
    assert Path(PYTHON).exists(), f"LABNB_PYMANIP={PYTHON} does not exist"
    server = await serve()
    process = await asyncio.create_subprocess_exec(
        PYTHON,
        "-c",
        SCRIPT,
        str(server.port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "MPLBACKEND": "agg", "HOME": os.environ.get("HOME", "/")},
    )

    async def call(method, **arguments):
        process.stdin.write(json.dumps([method, arguments]).encode() + b"\n")
        async with asyncio.timeout(60):
            while not (line := await process.stdout.readline()).startswith(b"answer "):
                assert line, f"pymanip's observer ended at {method}, see above"
                sys.stdout.write(line.decode())
        return json.loads(line[len("answer ") :])

    yield call
    process.stdin.close()
    await process.wait()


async def test_values_times_parameters_and_nan_are_recorded(observer, session):
    assert await observer("get_last_values") == {"a": 2.0, "b": -4.0}
    await observer("start_recording")
    times = [time.time() + k for k in range(3)]
    for k, ts in enumerate(times):
        session.log(ts, a=float(k), b=math.nan if k == 1 else 10.0 * k)
    data = await observer("stop_recording")
    assert data == {"time": times, "a": [0.0, 1.0, 2.0], "b": [0.0, None, 20.0], "gain": 3.0}
    data = await observer("stop_recording", reduce_time=False)
    assert data == {
        "a": {"t": times, "value": [0.0, 1.0, 2.0]},
        "b": {"t": times, "value": [0.0, None, 20.0]},
        "gain": 3.0,
    }


async def test_an_empty_window_is_empty(observer):
    await observer("start_recording")
    # Reduced, pymanip's own observer looks for the first variable's times and has a KeyError.
    assert await observer("stop_recording", reduce_time=False) == {"gain": 3.0}


async def test_a_variable_that_appears_late_hurts_nothing(observer, session):
    await observer("start_recording")
    ts = time.time()
    session.log(ts, a=5.0, late=6.0)
    assert await observer("stop_recording") == {"time": [ts], "a": [5.0], "gain": 3.0}
    await observer("start_recording")
    session.log(ts + 10, late=7.0)
    assert await observer("stop_recording", reduce_time=False) == {
        "late": {"t": [ts + 10], "value": [7.0]},
        "gain": 3.0,
    }
    assert await observer("get_last_values") == {"a": 5.0, "b": -4.0, "late": 7.0}
