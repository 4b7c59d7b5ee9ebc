"""Keeps measured points: a journal that a killed kernel cannot hurt, and a zarr store that anybody can open.

```
Recorder.put ──> journal ──(one thread, every 0.25 s)──> chunk files ──> one rename of the root ──> xarray.open_zarr
                    └── after a crash: recover ──────────────┘
```
"""

from labnb.record.opening import StoredRun, load, open_run, recover
from labnb.record.recorder import Recorder
from labnb.record.resuming import Kept, find_unfinished

__all__ = ["Kept", "Recorder", "StoredRun", "find_unfinished", "load", "open_run", "recover"]
