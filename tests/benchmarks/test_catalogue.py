"""What it costs to find a run among ten thousand, beside what it costs to read their documents one by one."""

import json
import os
import time
from datetime import UTC, datetime, timedelta

import pytest

from labnb.record import runs

COUNT = 10_000
QUICK_MS = 1000.0
"""What reading all documents takes on a computer on which the goals hold as they are; a slower one may take longer."""
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def document(k):
    """Return a run's document as large as that of a small %%measure cell with two instruments."""
    when = BEGIN + timedelta(minutes=30 * k)
    source = "for voltage in sweep(0, 1, 101, 'V'):\n    current: 'A' = await dmm.measure_current_dc()\n" * 8
    instruments = {
        name: {
            "identity": f"MAKER,MODEL-{name},SN{k % 7:04},1.0",
            "settings": {f"setting_{i}": 0.5 * i for i in range(20)},
        }
        for name in ("psu", "dmm")
    }
    axis = {"name": "voltage", "unit": "V", "notes": "", "values": [0.01 * i for i in range(101)]}
    variable = {"name": "current", "unit": "A", "dtype": "<f8", "notes": "", "dims": []}
    return when, {
        "format": 1,
        "run": f"{('iv', 'gate_map', 'noise')[k % 3]}-{k:04x}",
        "name": ("iv", "gate_map", "noise")[k % 3],
        "state": "failed" if k % 50 == 0 else "done",
        "points": 101,
        "created": when.isoformat(),
        "ended": (when + timedelta(minutes=5)).isoformat(),
        "versions": {"python": "3.11", "labnb": "0.1.0"},
        "tags": ["good"] if k % 10 == 0 else [],
        "metadata": {"source": source, "note": f"sample {k % 97}", "instruments": instruments},
        "groups": [{"key": 0, "axes": [axis], "variables": [variable]}],
    }


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    root = tmp_path_factory.mktemp("many") / "labnb-data"
    for k in range(COUNT):
        when, described = document(k)
        folder = root / f"{when:%Y/%m/%d}" / f"{when:%Y%m%d-%H%M%S}-{described['run']}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(described, indent=1))
    for day in root.glob("*/*/*"):
        os.utime(day, (BEGIN.timestamp(), BEGIN.timestamp()))  # one that has just changed would be looked at again
    return root


def took(action, times):
    """Return milliseconds on the processor, which do not count what others do there."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        action()
        best = min(best, time.process_time() - began)
    return best * 1e3


def test_ten_thousand_runs_are_listed_in_milliseconds(many, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path))
    bare = took(lambda: [json.loads(path.read_bytes()) for path in many.glob("*/*/*/*/run.json")], 2)
    rebuilt = took(lambda: runs(many, rescan=True), 2)
    listed = took(lambda: runs(many), 5)
    newest = took(lambda: runs(many, limit=100), 5)
    tagged = took(lambda: runs(many, name="gate*", tag="good", since="2026-03-01"), 5)
    worded = took(lambda: runs(many, text="sample 13 psu"), 5)
    shown = took(runs(many)._repr_html_, 3)
    assert len(runs(many)) == COUNT
    with capsys.disabled():
        print(
            f"\n  {COUNT} runs: list {listed:.1f} ms, newest 100 {newest:.1f} ms, by name, tag and time {tagged:.1f} ms, "
            f"by words {worded:.1f} ms, as a table {shown:.1f} ms; rebuild {rebuilt:.0f} ms, bare json of all {bare:.0f} ms"
        )
    slower = max(1.0, bare / QUICK_MS)
    assert listed < 10 * slower
    assert rebuilt < 2000 * slower
