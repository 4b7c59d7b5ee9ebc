"""A session whose process is killed loses no entry that was acknowledged."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from labnb.session.monitoring import SessionData

VICTIM = """
import sys
from labnb.session.monitoring import SessionData
with SessionData("v", verbose=False, store=sys.argv[1]) as sesn:
    sesn.save_parameter(gain=2.5)
    k = 0
    while True:
        sesn.add_entry(a=k, **({"late": k} if k > 300 else {}))
        if k % 100 == 0:
            sesn.add_dataset(trace=[k] * 50)
        k += 1
        sys.stdout.write(f"{k}\\n")
        sys.stdout.flush()
"""


@pytest.mark.parametrize("kill_at", [1, 450, 2000])
def test_kill_9_loses_no_acknowledged_entry_and_reopening_appends(tmp_path, kill_at):
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, tmp_path], stdout=subprocess.PIPE, text=True)
    acknowledged = 0
    for line in victim.stdout:
        acknowledged = int(line)
        if acknowledged == kill_at:
            os.kill(victim.pid, signal.SIGKILL)
        if acknowledged >= kill_at and acknowledged % 50 == 0:
            for store in tmp_path.glob("*/*/*/*/data.zarr"):
                xr.open_zarr(store).load().close()
    victim.wait()
    victim.stdout.close()
    with SessionData("v", verbose=False, store=tmp_path) as sesn:
        values = sesn["a"][1]
        assert len(values) in (acknowledged, acknowledged + 1)
        assert (values == np.arange(len(values))).all()
        assert sesn.parameter("gain") == 2.5
        traces = [array[0] for _, array in sesn.datasets("trace")]
        assert traces[: (acknowledged - 1) // 100 + 1] == list(range(0, acknowledged, 100))
        sesn.add_entry(a=-1)
        assert sesn["a"][1][-1] == -1
