"""`iv.session.code()`: the same measurement as a script of `Measurement`, run, gives the same dataset."""

import json
import re

import pytest
import xarray as xr

from labnb.core import PlanError

SETUP = """
import math
import numpy as np
from labnb import Measurement, channel, connect
psu = connect("keysight/EDU36311A", simulate=True, visa_library="{bench}@labnb", name="psu")
gain, offsets = 2.5, [0.0, 0.1]
level = {{"now": 0.0}}
def read(x):
    return gain * math.sin(x)
gate = channel((lambda: level["now"], lambda v: level.update(now=float(v))), name="gate", unit="V")
drain = channel(lambda: 2 * level["now"], name="drain", unit="A")
import asyncio
"""

BODIES = {
    "one sweep": 'for v in sweep(0, 1, 5, "V"):\n    i: "A" = read(v)',
    "one shot": 'i: "A" = read(1)\nj: "V" = gain',
    "awaiting, with an instrument": """
for v in sweep(0, 1, 3, "V"):
    await psu.channel(1).set(voltage=v, current_limit=0.1).on()
    await asyncio.sleep(0)
    seen: "V" = round(await psu.channel(1).get_voltage(), 1)
""",
    "records at two levels, and what is around them": """
level["now"] = 7.0
for t in sweep([280, 300, 320], "K"):
    level["now"] = t
    stage: "K" = level["now"] + 0.5
    doubled: "K" = 2 * stage
    for v in sweep(0, 1, 4, "V"):
        half = v / 2
        i: "A" = read(half) + stage
        power: "W" = i * v
        level["now"] = -1.0
    level["now"] = 0.0
level["now"] = 3.0
""",
    "what the body keeps from point to point": """
count = 0
for t in sweep(range(2)):
    row = 0
    for v in sweep(range(3)):
        count += 1
        row = row + v
        n: "" = count
        r: "" = row
""",
    "a name that the notebook has and the body assigns": """
for v in sweep(range(4)):
    gain = gain * 2
    y: "" = gain
""",
    "channels that are set and read": """
for v in sweep(gate, 0, 1, 5):
    current: drain
    half: "A" = current / 2
""",
    "a channel that gives the unit only, and one behind other work": """
for v in sweep(0, 1, 3, "V"):
    x: drain = 2 * v
    level["now"] = v
    y: drain
""",
    "a channel that is read first, behind other work": """
for v in sweep(0, 1, 3, "V"):
    level["now"] = v
    y: drain
    z: "A" = 2 * y
""",
    "arrays, branches, functions and loops of its own": """
def shape(n):
    return np.arange(float(n))
for v in sweep(range(3)):
    total = 0.0
    for offset in offsets:
        if offset:
            continue
        total += offset
    trace: "V" = shape(4) * v + total
""",
    "lock-step and other orders": """
for x, y in sweep.zip(sweep([1, 2, 3], "m"), sweep([4, 5, 6], "s")):
    for v in sweep(0, 1, 3, "V").snake():
        z: "" = x * y + v
""",
    "there and back": 'for v in sweep(0, 1, 3, "V").there_and_back():\n    i: "A" = read(v)',
}


def run(shell, code):
    result = shell.run_cell(code)
    result.raise_error()
    return result.result


@pytest.fixture
def shell(shell_in, tmp_path):
    shell = shell_in(tmp_path)
    run(shell, SETUP.format(bench="fast"))
    return shell


def compared(data):
    """Return what must be the same: all but the source, the name of the run, and times."""
    described = json.loads(data.attrs["labnb"])
    for key in ("run", "created", "last_point"):
        del described[key]
    for key in ("source", "source_options"):
        del described["metadata"][key]
    attrs = {key: value for key, value in data.attrs.items() if key != "labnb"}
    times = [name for name in data.variables if data[name].dtype.kind == "M"]
    return data.load().drop_vars(times).assign_attrs(attrs | {"labnb": ""}), described


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_the_code_of_a_cell_gives_the_same_dataset(shell, body):
    if any(word in body for word in ("psu", "gate", "drain")):  # so that both find the same settings
        run(shell, f"%%measure iv\n{body.strip()}\n")
    run(shell, f"%%measure iv --note 'again'\n{body.strip()}\n")
    first = shell.user_ns["iv"]
    code = first.session.code()
    run(shell, "gain = 2.5; level['now'] = 0.0")
    run(shell, code)
    second = shell.user_ns["iv"]
    assert second is not first
    (one, described), (other, described_too) = compared(first.data), compared(second.data)
    xr.testing.assert_identical(one, other)
    assert described == described_too
    assert described["metadata"]["note"] == "again"


BY_HAND = """
with Measurement("iv") as session:
    session.instrument("psu", psu)
    session.parameter("t", sweep([280, 300], "K"))
    session.parameter("v", [0.0, 0.5, 1.0], unit="V")

    @session.acquire(per="t", unit="K")
    async def stage(t):
        return t + 0.5

    @session.acquire(unit="V")
    async def seen(v):
        await psu.channel(1).set(voltage=v, current_limit=0.1).on()
        return round(await psu.channel(1).get_voltage(), 1)

    {name} = session.run()
"""
CELL = """%%measure {name}
for t in sweep([280, 300], "K"):
    stage: "K" = t + 0.5
    for v in sweep(0, 1, 3, "V"):
        await psu.channel(1).set(voltage=v, current_limit=0.1).on()
        seen: "V" = round(await psu.channel(1).get_voltage(), 1)
"""


def test_a_cell_a_cell_in_a_thread_its_code_and_a_session_give_the_same_dataset(shell):
    run(shell, CELL.format(name="iv"))  # so that each of the others finds the same settings
    found = []
    for code in (CELL.format(name="iv"), CELL.format(name="iv --thread"), None, BY_HAND.format(name="iv")):
        run(shell, code or shell.user_ns["iv"].session.code())
        found.append(shell.user_ns["iv"])
    assert len({each.run_id for each in found}) == 4
    first, *others = [compared(each.data) for each in found]
    for other in others:
        xr.testing.assert_identical(first[0], other[0])
        assert first[1] == other[1]


def test_the_code_of_a_cell_is_the_code_that_people_write(shell):
    run(
        shell, f"%%measure iv --note 'dark, cold'\n{BODIES['records at two levels, and what is around them'].strip()}\n"
    )
    code = shell.user_ns["iv"].session.code()
    for line in (
        "with Measurement('iv', 'dark, cold') as session:",
        "session.parameter('t', sweep([280, 300, 320], 'K'))",
        "@session.acquire(name='i', unit='A')",
        "@session.acquire(name='stage', unit='K', per='t')",
        "gain = 2.5",
        "import math",
        "def read(x):",
        "level = {'now': ",
    ):
        assert line in code, code
    assert "from the notebook" not in code


REFUSED = {
    "a record under a condition": ('for v in sweep(range(3)):\n    if v:\n        y: "V" = v', 4, "condition"),
    "break": ('for v in sweep(range(3)):\n    y: "V" = v\n    if v > 1:\n        break', 4, "break"),
    "two sweeps": ('for v in sweep(range(3)):\n    y: "V" = v\nfor w in sweep(range(3)):\n    z: "V" = w', 4, "beside"),
    "a record behind": (
        'for v in sweep([1]):\n    for w in sweep([1]):\n        y: "V" = v\n    z: "" = 1',
        5,
        "after an",
    ),
    "a sweep of the body's": ('n = 3\nfor v in sweep(range(n)):\n    y: "V" = v', 3, "depends"),
    "a record outside": ('x: "" = 1\nfor v in sweep(range(3)):\n    y: "V" = v', 2, "once"),
}


@pytest.mark.parametrize(("body", "line", "words"), REFUSED.values(), ids=REFUSED)
def test_what_a_session_cannot_do_is_refused_at_its_line(shell, body, line, words):
    run(shell, f"%%measure iv\n{body}\n")
    with pytest.raises(PlanError, match=rf"line {line} of %%measure iv cannot be .*{words}"):
        shell.user_ns["iv"].session.code()


def test_tasks_and_a_schedule_are_part_of_the_code(shell):
    run(shell, "%%task beat\nwhile not stop.wait(0.01):\n    level['now'] += 1\n")
    run(shell, "%%measure log --every 20ms --for 200ms --with beat\nx: 'V' = level['now']\n")
    first, code = shell.user_ns["log"], shell.user_ns["log"].session.code()
    assert "session.task(beat)" in code
    assert re.search(r"interval=0.02, duration=0.2", code)
    run(shell, code)
    second = shell.user_ns["log"]
    assert second.data.x.sizes == first.data.x.sizes == {"time": 10}
    assert float(second.data.x[-1]) > float(second.data.x[0])
