"""The README's lines about other people's drivers, as printed, on the simulated bench."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "README.md").read_text()
BENCH = """
instruments:
  smu: {profile: keithley/2400, address: "GPIB0::24::INSTR"}
  dmm: {profile: keysight/34410A, address: "TCPIP0::192.0.2.1::inst0::INSTR"}
parts:
  load: {part: resistor, ohms: 100 kohm}  # 10 µA at 1 V: below the compliance that a 2400 begins with
wiring:
  - {from: smu.hi, to: [load.1, dmm.hi]}
  - {from: load.2, to: gnd}
"""
PROGRAM = """
import sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in ["%load_ext labnb", *sys.stdin.read().split("# ----\\n")]:
    shell.run_cell(cell).raise_error()
"""


def python_block(word):
    (block,) = [text for text in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if word in text]
    return block


def test_the_readmes_cell_sweeps_a_qcodes_parameter_and_reads_a_pymeasure_property(tmp_path):
    for package in ("qcodes", "pymeasure"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed: pip install 'labnb[drivers]'")
    (tmp_path / "bench.yaml").write_text(BENCH)
    cells = [
        python_block("Keithley2400("),
        "smu.output(1)",
        python_block("%%measure leak"),
        "assert leak.data.current.size == 21 and leak.data.current.attrs['units'] == 'A', leak.data\n"
        "assert abs(leak.data.current[-1] - 1e-5) < 1e-7 and abs(leak.data.half[-1] - 1) < 1e-3, leak.data\n"
        "assert abs(smu.volt()) < 1e-4, smu.volt()",
        "class Dac:\n    voltage = 0.0\ndac = Dac()",
        python_block("Meta("),
        "assert abs(smu.volt() - 0.3) < 1e-4 and dac.voltage == 0.3",
    ]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input="# ----\n".join(cells),
        cwd=tmp_path,
        env={**os.environ, "PYVISA_LIBRARY": f"{tmp_path / 'bench.yaml'}@labnb", "IPYTHONDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
