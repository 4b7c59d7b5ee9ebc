"""How long a reservation lasts: as long as the process that holds it lives, however many days that is.

Time alone would be wrong: a run lasts for days, and a killed kernel frees its instruments at once. Only a holder whose
process cannot be seen from here (it comes through a tunnel) has to show itself every so often.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Lease:
    """A process (`pid`, and `started`, since numbers are used again), else `ttl_s`, else until it is given back."""

    pid: int = 0
    started: str = ""
    ttl_s: float = 0.0

    def has_ended(self) -> bool:
        """Tell whether it was bound to a process that is no more."""
        return bool(self.pid) and process_start(self.pid) != self.started


def process_lease(pid: int) -> Lease:
    """Return a lease by the life of a process; one without an end if there is no such process to be seen."""
    started = process_start(pid)
    return Lease(pid, started) if started else Lease()


def process_start(pid: int) -> str:
    """Return when a process of this machine began, in the kernel's own words; "" if it is not alive.

    Source: proc(5), /proc/pid/stat, fields 3 (state) and 22 (starttime). Elsewhere than on Linux only life is seen.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return _alive_without_proc(pid)
    fields = text[text.rindex(")") + 2 :].split()
    return "" if fields[0] in "ZX" else fields[19]


def _alive_without_proc(pid: int) -> str:
    if Path("/proc/self/stat").exists() or os.name != "posix":
        return ""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return "alive"
    except OSError:
        return ""
    return "alive"
