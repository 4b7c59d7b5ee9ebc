"""A kernel that is killed in the middle of a map: a new one finishes it, by the cell's own text or by the same cell."""

import threading

import numpy as np
import pytest

import labnb
from labnb.record import open_run

CELL = """
for voltage in sweep(0, 3, 7, "V"):
    psu.channel(2).set(voltage=voltage, current_limit=0.1).on()
    outer.append(voltage)
    for current in sweep(0.1, 0.5, 5, "A"):
        if len(inner) == limit:
            os.kill(os.getpid(), 9)
        inner.append((voltage, current))
        v: "V" = psu.channel(2).get_voltage()
        y: "" = voltage * current
"""
SETUP = """%load_ext labnb
import os, labnb
from labnb import connect
psu = connect("keysight/EDU36311A", simulate=True, visa_library="fast@labnb")
outer, inner, limit = [], [], {limit}
"""


def prepared(kernel_in, folder, limit):
    kernel = kernel_in(folder)
    kernel.run(SETUP.format(limit=limit))
    return kernel


def die(kernel, code):
    """Run a cell that kills its kernel."""
    kernel.start(code)
    ended = threading.Event()
    while kernel.manager.provisioner.process.poll() is None:
        ended.wait(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["labnb.resume", "the same cell"])
def test_a_new_kernel_finishes_what_a_killed_one_began(tmp_path, kernel_in, way):
    die(prepared(kernel_in, tmp_path, 17), "%%measure map" + CELL)
    (folder,) = tmp_path.glob("labnb-data/*/*/*/*")
    assert open_run(folder).points == 17
    kernel = prepared(kernel_in, tmp_path, -1)
    code = f"map = await labnb.resume({str(folder)!r})" if way == "labnb.resume" else "%%measure map --resume" + CELL
    content, _ = kernel.run(code)
    assert content["status"] == "ok", content
    assert kernel.value("map.state") == "<State.DONE: 'done'>"
    assert kernel.value("outer[0], len(inner)") == "(1.5, 18)"  # the voltage is set again, then the map goes on
    data = labnb.load(folder)
    assert data.y.sizes == {"voltage": 7, "current": 5}
    np.testing.assert_allclose(data.y, data.voltage * data.current)
    np.testing.assert_allclose(data.v, data.voltage.broadcast_like(data.y), atol=0.01)
    assert kernel.value("psu.channel(2).get_output_state()") == "False"
    content, _ = kernel.run("%%measure map --resume" + CELL)  # that one is done: a new run begins
    assert content["status"] == "ok"
    assert len(list(tmp_path.glob("labnb-data/*/*/*/*"))) == 2
    content, _ = kernel.run(f"await labnb.resume({str(folder)!r})")
    assert content["ename"] == "RecordError"
    assert "is done" in content["evalue"]
