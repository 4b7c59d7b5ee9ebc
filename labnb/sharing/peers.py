"""Which process of this machine is at the other end of a connection to the loopback address.

An unmodified client says nothing about its process, but its socket does: /proc/net/tcp names the socket's inode, and
one of the process's open files is that inode.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_LOOPBACK = re.compile(r"(?:ipv4:127\.\d+\.\d+\.\d+|ipv6:(?:%5B|\[)(?:::1|::ffff:127\.\d+\.\d+\.\d+)(?:%5D|\])):(\d+)")
_ESTABLISHED = "01"


@dataclass(frozen=True, slots=True)
class _Seen:
    pid: int
    descriptor: str
    inode: str

    def holds_still(self) -> bool:
        return _inode(self.descriptor) == self.inode


class Peers:
    """Looks up processes by gRPC's peer names; remembers what it found, and checks it at each use."""

    def __init__(self, own_port: int = 0) -> None:
        self.own_port = own_port
        self._seen: dict[str, _Seen] = {}

    def pid(self, peer: str) -> int:
        """Return the process behind `peer`, 0 if it cannot be told (another machine, or another user's process)."""
        seen = self._seen.get(peer)
        if seen is None or not seen.holds_still():
            self._seen = {name: each for name, each in self._seen.items() if each.holds_still()}
            seen = self._look(peer)
            if seen is None:
                return 0
            self._seen[peer] = seen
        return seen.pid

    def _look(self, peer: str) -> _Seen | None:
        address = _LOOPBACK.fullmatch(peer)
        inode = address and _socket_of_port(int(address[1]), self.own_port)
        if not inode:
            return None
        wanted = f"socket:[{inode}]"
        known = sorted({seen.pid for seen in self._seen.values()})
        for pid in (*known, *_processes()):
            for descriptor in _descriptors(pid):
                if _inode(descriptor) == wanted:
                    return _Seen(pid, descriptor, wanted)
        return None


def user_of(pid: int) -> str:
    """Return the name of the user whose process this is, "" if there is none such."""
    try:
        import pwd  # not everywhere
    except ImportError:
        return ""
    try:
        return pwd.getpwuid(Path(f"/proc/{pid}").stat().st_uid).pw_name
    except (OSError, KeyError):
        return ""


def _socket_of_port(port: int, own_port: int) -> str:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for fields in _rows(table):
            local, remote, state = fields[1], fields[2], fields[3]
            if state == _ESTABLISHED and _port(local) == port and own_port in (0, _port(remote)):
                return fields[9]
    return ""


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


def _rows(table: str) -> Iterable[list[str]]:
    try:
        lines = Path(table).read_text("ascii").splitlines()
    except OSError:
        return []
    return [line.split() for line in lines[1:]]


def _processes() -> Iterator[int]:
    try:
        names = os.listdir("/proc")  # noqa: PTH208  names are all that is needed
    except OSError:
        return
    # A fork inherits its parent's sockets, and is younger: the parent is asked for.
    yield from sorted(int(name) for name in names if name.isdigit())


def _descriptors(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208  thousands of names: no objects are needed
    except OSError:
        return
    yield from (f"{folder}/{name}" for name in names)


def _inode(descriptor: str) -> str:
    try:
        return os.readlink(descriptor)  # noqa: PTH115  as above
    except OSError:
        return ""
