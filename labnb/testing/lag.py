"""How long a thread was held up by other processes: what a busy machine does, and not the program that is measured."""

import threading
from pathlib import Path


def waited_s() -> float:
    """Return how long this thread has waited, since it began, for a processor that somebody else had; 0 if nobody counts.

    Source: `/proc/<pid>/schedstat` of Linux, second number (Documentation/scheduler/sched-stats).
    """
    try:
        return int(Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
