"""Keeps measured points: a journal that a killed kernel cannot hurt, and a zarr store that anybody can open.

```
Recorder.put ──> journal ──(one thread, every 0.25 s)──> chunk files ──> one rename of the root ──> xarray.open_zarr
                    └── after a crash: recover ──────────────┘
```
"""

from labnb.record._explorers import register_explorer
from labnb.record.catalogue import Runs, runs
from labnb.record.exporting import FORMATS, export
from labnb.record.opening import open_run, recover
from labnb.record.publishing import Publication, publish, publish_async
from labnb.record.ragged import ragged
from labnb.record.recorder import Recorder
from labnb.record.resuming import Kept, find_unfinished, pace_of_latest
from labnb.record.root import data_root
from labnb.record.several import load
from labnb.record.stored import StoredRun, check_tag

__all__ = [
    "FORMATS",
    "Kept",
    "Publication",
    "Recorder",
    "Runs",
    "StoredRun",
    "check_tag",
    "data_root",
    "export",
    "find_unfinished",
    "load",
    "open_run",
    "pace_of_latest",
    "publish",
    "publish_async",
    "ragged",
    "recover",
    "register_explorer",
    "runs",
]
