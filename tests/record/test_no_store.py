"""The store of a run is there whole from its first moment, and made again if it is gone while the journal is there."""

import shutil
import threading
import warnings

import xarray as xr

from labnb.core import Axis, Group, State, Variable
from labnb.record import Recorder, load, open_run

CURVE = Group(0, (Axis("x", (1.0, 2.0)),), (Variable("y", "A"),))


def test_a_run_without_its_store_is_completed_from_its_journal(record, tmp_path):
    recorder = record()
    recorder.declare(CURVE)
    recorder.put((0, 0, (1.5,), 1_000))
    copy = tmp_path / "copy" / recorder.path.name
    shutil.copytree(recorder.path, copy)
    shutil.rmtree(copy / "data.zarr")
    (copy / ".data.zarr.partial").mkdir()
    assert open_run(copy).state is State.INTERRUPTED
    assert load(copy).y.values[0] == 1.5
    assert not list(copy.glob(".*"))


def test_whoever_sees_the_store_can_open_it(tmp_path):
    ending, failures, opened = threading.Event(), [], []

    def watch():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            while not ending.is_set():
                for store in tmp_path.glob("*/*/*/*/data.zarr"):
                    try:
                        xr.open_zarr(store)
                        opened.append(store)
                    except Exception as failure:
                        failures.append(failure)

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(40):
        recorder = Recorder.create(tmp_path, "iv", {}, period_s=3600.0)
        recorder.close(State.DONE)
    ending.set()
    watcher.join()
    assert opened
    assert failures == []
