"""Arrays of any length, and variables that are there only sometimes, in cells of a real kernel that is killed."""

import threading

import numpy as np
import pytest

from labnb.cli import main
from labnb.record import open_run

CELL = """%%measure {options}counting
for v in sweep(range(8), "V"):
    if v == limit:
        os.kill(os.getpid(), 9)
    hits: "s" = ragged(numpy.arange(3.0 * (v % 4)))
    top: "" = len(hits)
    if v > 2:
        trace: "V" = numpy.full(5, 1.0 * v)
    if v > 5:
        word: "" = "warm"
"""
SETUP = "%load_ext labnb\nimport os, numpy\nfrom labnb import ragged\nlimit = {limit}"


def die(kernel, code):
    kernel.start(code)
    ended = threading.Event()
    while kernel.manager.provisioner.process.poll() is None:
        ended.wait(0.02)


def check(data, points):
    for place in range(points):
        length = 3 * (place % 4)
        assert int(data.hits_length[place]) == length
        np.testing.assert_array_equal(data.hits.values[place, :length], np.arange(length))
        assert np.isnan(data.hits.values[place, length:]).all()
        np.testing.assert_array_equal(data.trace.values[place], np.full(5, place if place > 2 else np.nan))


@pytest.mark.slow
@pytest.mark.parametrize("limit", [2, 5])
def test_a_cell_records_them_a_kill_loses_nothing_and_another_kernel_goes_on(tmp_path, kernel_in, limit, capsys):
    kernel = kernel_in(tmp_path)
    kernel.run(SETUP.format(limit=limit))
    die(kernel, CELL.format(options=""))
    (folder,) = tmp_path.glob("labnb-data/*/*/*/*")
    assert main(["recover", str(folder)]) == 0
    run = open_run(folder)
    assert run.points == limit
    if limit > 2:
        check(run.data, limit)
    assert np.isnan(run.data.word).all() if run.data.word.dtype.kind == "f" else (run.data.word == "").all()
    kernel = kernel_in(tmp_path)
    kernel.run(SETUP.format(limit=-1))
    content, _ = kernel.run(CELL.format(options="--resume "))
    assert content["status"] == "ok", content
    run = open_run(folder)
    assert (str(run.state), run.points) == ("done", 8)
    check(run.data, 8)
    assert run.data.word.values.tolist() == [""] * 6 + ["warm"] * 2
    assert "failed" not in (folder / "events.ndjson").read_text()
