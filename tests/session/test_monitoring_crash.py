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
from labnb.session.monitoring import SessionData, _parts
_parts.KEEP, _parts.MOST_BYTES = map(int, sys.argv[2:])
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


@pytest.mark.parametrize(("kill_at", "parts"), [(1, 1), (450, 1), (2000, 1), (2000, 2), (3001, 3)])
def test_kill_9_loses_no_acknowledged_entry_and_reopening_appends(tmp_path, kill_at, parts):
    command = [sys.executable, "-c", VICTIM, tmp_path, "16", str(6000 if parts > 1 else 1 << 20)]
    victim = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    acknowledged, killed = 0, False
    for line in victim.stdout:
        acknowledged = int(line)
        if acknowledged < kill_at:
            continue
        stores = list(tmp_path.glob("*/*/*/*/data.zarr")) if not killed or acknowledged % 50 == 0 else []
        if (
            not killed and sum((store.parent / "run.json").exists() for store in stores) >= parts
        ):  # else it is being made
            os.kill(victim.pid, signal.SIGKILL)
            killed = True
        for store in stores if acknowledged % 50 == 0 else ():
            xr.open_zarr(store).load().close()
    victim.wait()
    victim.stdout.close()
    with SessionData("v", verbose=False, store=tmp_path) as sesn:
        assert len(sesn.stores()) >= parts
        values = sesn["a"][1]
        assert len(values) in (acknowledged, acknowledged + 1)
        assert (values == np.arange(len(values))).all()
        assert sesn.parameter("gain") == 2.5
        traces = [array[0] for _, array in sesn.datasets("trace")]
        assert traces[: (acknowledged - 1) // 100 + 1] == list(range(0, acknowledged, 100))
        sesn.add_entry(a=-1)
        assert sesn["a"][1][-1] == -1
