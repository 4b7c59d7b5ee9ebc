"""`labnb monitor`, as a process of its own."""

import asyncio
import io
import json
import re
import sys
import time

import pytest
from rich.console import Console

from labnb.cli.monitor import Row, Sight, _table
from labnb.core import Axis, Group, Point, State, Variable
from labnb.record import Recorder


@pytest.fixture
def command(tmp_path):
    """Return a function that runs `labnb monitor` and returns (exit code, output, errors)."""

    async def run(*arguments, meanwhile=None):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "labnb.cli", "monitor", "--store", str(tmp_path), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        first = await process.stdout.readline() if meanwhile else b""
        if meanwhile:
            await meanwhile()
        async with asyncio.timeout(30):
            output, errors = await process.communicate()
        return process.returncode, (first + output).decode(), errors.decode()

    return run


async def test_a_session_is_followed_to_its_end(serve, session, command):
    server = await serve()

    async def meanwhile():
        session.log(time.time(), a=0.25)
        await asyncio.sleep(0.5)
        await server.close()

    code, output, errors = await command(server.url, meanwhile=meanwhile)
    assert (code, errors) == (0, "")
    lines = output.splitlines()
    assert lines[0].startswith("bench 4  running  a 2.0000 V  b −4.0000")
    assert lines[-1].startswith("bench 4  ended  a 250.00 mV")


async def test_one_look_for_programs(serve, session, command):
    session.log(2000.0, a=float("nan"))
    session.exceeded = {"a": ["a > 1", "a > 2"]}
    server = await serve(token="a-token-of-some-length")
    code, output, _ = await command(f"127.0.0.1:{server.port}", "--token", server.token, "--once", "--json")
    assert code == 0
    assert json.loads(output) == {
        "name": "bench 4",
        "state": "running",
        "values": {
            "a": {"value": None, "unit": "V", "t": 2000.0},
            "b": {"value": -4.0, "unit": "", "t": 1004.0},
        },
        "alarms": {"a": ["a > 1", "a > 2"]},
    }
    code, output, _ = await command(f"127.0.0.1:{server.port}", "--token", server.token, "--once")
    assert output.startswith("bench 4  running  ALARM a > 1  ALARM a > 2  a ")


async def test_who_does_not_answer_is_told_with_exit_code_1(serve, command):
    server = await serve(token="a-token-of-some-length")
    code, _, errors = await command(server.url)
    assert code == 1
    assert "asks for a token" in errors
    await server.close()
    code, _, errors = await command(server.url, "--open")
    assert code == 1
    assert "does not answer" in errors
    assert "Traceback" not in errors
    code, _, errors = await command("no-such-run-or-host")
    assert code == 1
    assert re.search(r"no-such-run-or-host:6913 does not answer: .*nor is a run known by that name", errors)


@pytest.mark.parametrize(("state", "expected"), [(State.DONE, 0), (State.FAILED, 1)])
async def test_a_run_on_disk_is_followed_to_its_end(tmp_path, command, state, expected):
    recorder = Recorder.create(tmp_path, "iv", {})
    recorder.declare(Group(0, (Axis("voltage", (0.0, 1.0), "V"),), (Variable("current", "A"),)))
    recorder.put(Point(0, 0, (0.5,), 1_000))

    async def meanwhile():
        recorder.put(Point(0, 1, (0.002,), 1_001))
        recorder.close(state)

    code, output, errors = await command(recorder.run_id, meanwhile=meanwhile)
    assert (code, errors) == (expected, "")
    assert re.search(rf"{state.value}  2 points  .*current 2.0000 mA", output.splitlines()[-1])
    code, _, errors = await command(str(recorder.path), "--open")
    assert (code, "only a session" in errors) == (1, True)


def test_a_terminal_gets_a_table():
    out = io.StringIO()
    sight = Sight("bench [4]", "running", {"[b]": Row(0.25, "V", 1000.0), "a": Row(float("nan"), "K")}, "3 points")
    Console(file=out, width=80).print(_table(sight))
    text = out.getvalue()
    assert "bench [4]  running  3 points" in text
    assert re.search(r"\[b\] .*250\.00 mV .*:\d\d:40", text)
    assert "– K" in text


@pytest.mark.parametrize(("width", "height"), [(120, 60), (60, 24), (36, 24), (36, 8)])
def test_a_table_fits_its_terminal_with_alarms_first_and_no_number_cut(width, height):
    out = io.StringIO()
    rows = {f"a_very_long_name_of_a_channel_in_the_oven_{k:02}": Row(-1234.5 - k, "%", 1000.0) for k in range(30)}
    sight = Sight("oven", "running", rows | {"z": Row(2e-3, "mbar", 1000.0)}, alarms={"z": ["z > 1e-3"]})
    Console(file=out, width=width, height=height).print(_table(sight, width, height))
    lines = out.getvalue().splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "ALARM z > 1e-3" in lines[1]
    text = [line for line in lines if "\u2502" in line]
    assert re.search(r"z .* 2\.0000 \u00b5bar", text[0])
    assert all(re.search(r"_\d\d +\u2502 +\u22121\d{3}\.\d %", line) for line in text[1:])
    assert (f"… and {31 - len(text)} more" in out.getvalue()) == (height < 60)
