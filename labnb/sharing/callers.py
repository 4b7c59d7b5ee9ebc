"""Who calls, and how long what they reserve lasts: from their connection, and from what they say of themselves."""

import getpass
import os
import socket
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from labnb.sharing.leases import Lease, process_lease, process_start
from labnb.sharing.peers import Peers, user_of
from labnb.sharing.table import Holder

OWN_PREFIX = "labnb/"
TOKEN, MODE, NOTE = "labnb/token", "labnb/mode", "labnb/note"
_PID, _STARTED, _MACHINE, _HOST, _USER, _TTL = (
    "labnb/pid", "labnb/started", "labnb/machine", "labnb/host", "labnb/user", "labnb/ttl_s",
)  # fmt: skip
_NI_HOST, _NI_USER = "ni/reserved.hostname", "ni/reserved.username"
_LONGEST_TTL_S = 3600.0


def introduction(note: str = "", ttl_s: float | None = None) -> dict[str, str]:
    """Return what this process says of itself when it reserves; `ttl_s` only if it will renew what it holds."""
    pid = os.getpid()
    said = {
        _PID: str(pid),
        _STARTED: process_start(pid),
        _MACHINE: this_machine(),
        _HOST: socket.gethostname(),
        _USER: _this_user(),
    }
    if note:
        said[NOTE] = note
    if ttl_s is not None:
        said[_TTL] = f"{ttl_s:g}"
    return said


def identify(peer: str, said: Mapping[str, str], peers: Peers) -> tuple[Holder, Lease]:
    """Return who calls from `peer` with these annotations, and the lease that they get."""
    distant = said.get(_MACHINE, this_machine()) != this_machine()
    lease = Lease() if distant else _lease_here(peer, said, peers)
    pid = lease.pid or _number(said.get(_PID, ""))
    if not lease.pid and _TTL in said:
        lease = Lease(ttl_s=_ttl_s(said[_TTL]))
    host = said.get(_HOST) or said.get(_NI_HOST) or ("" if distant else socket.gethostname())
    user = said.get(_USER) or said.get(_NI_USER) or ("" if distant else user_of(pid))
    return Holder(host, user, pid, said.get(NOTE, "")), lease


@cache
def this_machine() -> str:
    """Return a name that no other machine has, and this one only until it is started anew."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return socket.gethostname()


def _lease_here(peer: str, said: Mapping[str, str], peers: Peers) -> Lease:
    """Return a lease by process: that which the connection shows, else that which the caller says and which exists."""
    pid = peers.pid(peer)
    if pid:
        return process_lease(pid)
    said_pid = _number(said.get(_PID, ""))
    if said_pid and said.get(_STARTED) and process_start(said_pid) == said[_STARTED]:
        return Lease(said_pid, said[_STARTED])
    return Lease()


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _ttl_s(text: str) -> float:
    try:
        return min(max(float(text), 0.1), _LONGEST_TTL_S)
    except ValueError:
        return _LONGEST_TTL_S


def _this_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
