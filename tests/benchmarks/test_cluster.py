"""Many runs, more than fit into memory, reduced by a cluster of two small workers."""

import os
import time

import numpy as np
import pytest

from labnb.core import Group, OpenAxis, Point, Span, State, Variable
from labnb.record import Recorder, runs

RUNS = 6
SAMPLES = 100_000
GIGABYTES = float(os.environ.get("LABNB_CLUSTER_GB", "0.3"))  # 3 shows that it does not have to fit into memory


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore:Sending large graph")
def test_two_workers_of_500_mb_reduce_a_set_of_runs(tmp_path, monkeypatch, capsys):
    distributed = pytest.importorskip("distributed")
    dask = pytest.importorskip("dask")
    monkeypatch.setenv("LABNB_CACHE", str(tmp_path / "cache"))
    count = max(2, round(GIGABYTES * 1e9 / RUNS / SAMPLES / 8))
    group = Group(0, (OpenAxis("n", 1.0),), (Variable("trace", "V", "<f8", (Span("k", SAMPLES),)),))
    for k in range(RUNS):
        recorder = Recorder.create(tmp_path, "traces", {})
        recorder.declare(group)
        trace = np.full(SAMPLES, float(k))
        for place in range(count):
            recorder.put(Point(0, place, (trace,), 1))
        recorder.close(State.DONE)
    size = RUNS * count * SAMPLES * 8
    options = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": "500MB", "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        began = time.perf_counter()
        tree = runs(tmp_path).tree(chunks="auto")
        means = dask.compute(*(node.trace.mean() for node in tree.children.values()))
        took = time.perf_counter() - began
    with capsys.disabled():
        print(
            f"\n  {size / 1e9:.1f} GB in {RUNS} runs, two workers of 500 MB: {took:.1f} s, {size / took / 1e6:.0f} MB/s"
        )
    assert sorted(map(float, means)) == [float(k) for k in range(RUNS)]
